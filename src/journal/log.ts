import type { Appended, Entry, Head, Store, Stored, TopicRow, WriteResult } from '#adapters/stores/port.ts'
import type { Clock } from '#kernel/clock.ts'
import { fault } from '#kernel/fault.ts'
import { hash53 } from '#kernel/hash.ts'
import type { GroupCommit } from './commit.ts'
import { ReadAhead } from './read-ahead.ts'

/** Largest body kept inline. */
export const inlineLimit = 1024 * 1024

/** A message before it has a place. */
export type Draft = {
  readonly id: string
  readonly key: string | null
  readonly meta: string | null
  readonly body: string | Uint8Array
  /** Dedupe window in ms; 0 for ids that we made ourselves. */
  readonly dedupe: number
}

export type Topic = { readonly name: string; readonly slot: number; readonly partitions: number }

/**
 * The log: topics with a fixed number of partitions, offsets without gaps. Readers see a message only after it is
 * durable: `head` is moved by the commit that made it so.
 */
export class Log {
  readonly #store: Store
  readonly #commit: GroupCommit
  readonly #clock: Clock
  readonly #topics = new Map<string, Topic>()
  readonly #heads = new Map<number, number>()
  readonly #listeners = new Map<number, Set<() => void>>()
  #turn = 0
  readonly ahead = new ReadAhead()

  constructor(store: Store, commit: GroupCommit, clock: Clock) {
    this.#store = store
    this.#commit = commit
    this.#clock = clock
  }

  /** Makes topics known; a topic that exists keeps the partitions it was born with. */
  async open(wanted: readonly { readonly name: string; readonly partitions: number }[]): Promise<void> {
    if (wanted.length > 0) {
      await this.#commit.add(
        { writes: wanted.map((t) => ({ write: 'topic', name: t.name, partitions: t.partitions })) },
        'durable',
      )
    }
    for (const row of await this.#store.read({ read: 'topics' })) this.#topics.set(row.name, topicOf(row))
    await this.refresh()
  }

  topic(name: string): Topic {
    const topic = this.#topics.get(name)
    if (!topic)
      throw fault('topic.unknown', { message: `there is no topic "${name}" in this store`, detail: { topic: name } })
    return topic
  }

  get topics(): readonly Topic[] {
    return [...this.#topics.values()]
  }

  /** Where a draft goes: the partition of its key; without a key, all of one commit together, another partition each time. */
  entry(topic: Topic, draft: Draft): Entry {
    const size = draft.body.length
    if (size > inlineLimit) {
      throw fault('journal.too_large', {
        message: `the message has ${size} bytes, the limit is ${inlineLimit}`,
        detail: { topic: topic.name, size },
      })
    }
    const partition = draft.key === null ? (this.#turn >>> 6) % topic.partitions : partitionOf(draft.key, topic)
    if (draft.key === null) this.#turn++
    return { slot: topic.slot + partition, time: this.#clock.now(), ...draft }
  }

  /** Durable when it resolves. One commit for all entries, shared with whoever else is writing. */
  async append(entries: readonly Entry[]): Promise<readonly Appended[]> {
    let bytes = 0
    for (const e of entries) bytes += e.body.length + 128
    const results = await this.#commit.add({ writes: [{ write: 'append', entries }] }, 'durable', bytes)
    const appended = results[0] as readonly Appended[]
    this.advance(appended)
    return appended
  }

  /** Moves the heads after a commit that appended, and wakes who waits for them. */
  advance(appended: readonly Appended[]): void {
    const moved = new Set<number>()
    for (const a of appended) {
      // A repetition moves the head too: the first one may have landed without an answer, and is accepted only now.
      if (a.offset < (this.#heads.get(a.slot) ?? 0)) continue
      this.#heads.set(a.slot, a.offset + 1)
      moved.add(a.slot)
    }
    for (const slot of moved) this.#wake(slot)
  }

  advanceBy(results: readonly WriteResult[]): void {
    for (const r of results) if (typeof r === 'object') this.advance(r)
  }

  /** Looks at the store: after another process, or the timer, has appended. */
  async refresh(): Promise<void> {
    this.reached(await this.#store.read({ read: 'heads' }))
  }

  /** These slots are known to have durable messages below `next`. */
  reached(heads: readonly Head[]): void {
    for (const { slot, next } of heads) {
      if (next <= (this.#heads.get(slot) ?? 0)) continue
      this.#heads.set(slot, next)
      this.#wake(slot)
    }
  }

  /** Everything below is durable and may be read. */
  head(slot: number): number {
    return this.#heads.get(slot) ?? 0
  }

  read(slot: number, from: number, limit: number, bytes: number): Promise<readonly Stored[]> {
    return this.#store.read({ read: 'log', slot, from, below: this.head(slot), limit, bytes })
  }

  onAppend(slot: number, wake: () => void): () => void {
    const set = this.#listeners.get(slot) ?? new Set()
    this.#listeners.set(slot, set.add(wake))
    return () => set.delete(wake)
  }

  #wake(slot: number): void {
    const set = this.#listeners.get(slot)
    if (set) for (const wake of set) wake()
  }
}

/** The partition of a key: the same for ever, because a topic keeps the partitions it was born with. */
export function partitionOf(key: string, topic: Topic): number {
  return hash53(key) % topic.partitions
}

function topicOf(row: TopicRow): Topic {
  return { name: row.name, slot: row.slot, partitions: row.partitions }
}
