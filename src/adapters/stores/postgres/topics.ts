import { fault } from '#kernel/fault.ts'
import type { Unit } from '../port.ts'
import type { Row } from './session.ts'
import type { TopicAt } from './units.ts'

type Ask = (text: string, values?: readonly unknown[], name?: string) => Promise<readonly Row[]>

/** A table of the log: messages of the topic from `first` of each partition up to the next segment's. */
export type Segment = { readonly segment: number; readonly first: readonly number[] }

type Known = { readonly slot: number; readonly partitions: number; next: readonly number[] }

/** What this process knows of topics: where they stand, how far each was at least, and the tables that their logs lie in. */
export class Topics {
  readonly #ask: Ask
  #topics: Known[] = []
  readonly #segments = new Map<number, readonly Segment[]>()

  constructor(ask: Ask) {
    this.#ask = ask
  }

  /** Whether every slot that is appended to is of a topic that is known here. */
  knows(units: readonly Unit[]): boolean {
    return units.every((u) => u.writes.every((w) => w.write !== 'append' || w.entries.every((e) => this.find(e.slot))))
  }

  async refresh(): Promise<void> {
    const rows = await this.#ask(
      'select t.slot, t.partitions, h.next from fl_topics t join fl_heads h on h.topic = t.slot order by 1',
      undefined,
      'topics at',
    )
    const known = new Map(this.#topics.map((t) => [t.slot, t]))
    this.#topics = (rows as [number, number, number[]][]).map(([slot, partitions, next]) => {
      const topic = known.get(slot) ?? { slot, partitions, next }
      advance(topic, next)
      return topic
    })
  }

  of(slot: number): TopicAt {
    const topic = this.find(slot)
    if (!topic) throw fault('bug', { message: `slot ${slot} is of no topic` })
    return topic
  }

  async ofSlot(slot: number): Promise<TopicAt | undefined> {
    if (!this.find(slot)) await this.refresh()
    return this.find(slot)
  }

  moved(topic: number, next: readonly number[]): void {
    const known = this.#topics.find((t) => t.slot === topic)
    if (known) advance(known, next)
  }

  /** Oldest first; as read last, or anew. */
  async segments(topic: number, anew: boolean): Promise<readonly Segment[]> {
    const known = this.#segments.get(topic)
    if (known && !anew) return known
    const rows = (await this.#ask(
      'select segment, first from fl_segments where topic = $1 order by segment',
      [topic],
      'segments',
    )) as [number, number[]][]
    const segments = rows.map(([segment, first]) => ({ segment, first }))
    this.#segments.set(topic, segments)
    return segments
  }

  /** As far as it is known here. */
  find(slot: number): Known | undefined {
    let low = 0
    let high = this.#topics.length - 1
    while (low < high) {
      const mid = (low + high + 1) >> 1
      if (this.#topics[mid]!.slot <= slot) low = mid
      else high = mid - 1
    }
    const topic = this.#topics[low]
    return topic && slot >= topic.slot && slot < topic.slot + topic.partitions ? topic : undefined
  }
}

function advance(topic: Known, next: readonly number[]): void {
  if (next.some((n, p) => n > topic.next[p]!)) topic.next = next.map((n, p) => Math.max(n, topic.next[p]!))
}
