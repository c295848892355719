import type { Store, Write } from '#adapters/stores/port.ts'
import type { Cancel } from '#kernel/clock.ts'
import { isFault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { GroupCommit } from './commit.ts'
import type { Log, Topic } from './log.ts'

/** A pass comes after a hundredth of the shortest age, within these bounds; so soon again when one had to stop early. */
const shortestPause = 60_000
const longestPause = 3_600_000
const soonAgain = 1_000
/** Of a store that can drop whole segments: how many a topic's age is divided into, and how long one is at least. */
const segmentsPerAge = 8
const shortestSegment = 3_600_000
/** Rows a statement may remove, and statements a pass may run for one slot: a pass never holds the writer for long. */
const rowsAtOnce = 2_000
const stepsPerSlot = 50

export type Keep = {
  readonly topic: string
  /** Milliseconds a message is kept after it was accepted. */
  readonly age: number
  /** Of each key only the newest message is kept. */
  readonly compact: boolean
}

/** Milliseconds. */
export type KeepRecords = { readonly calls: number; readonly audit: number; readonly seen: number }

/**
 * Removes what is old, in small steps, between once a minute and once an hour: messages past the age of their topic, older messages of a key in
 * compacted topics, call records, audit entries, expired keys, dedupe entries. Where the store keeps the log in segments, an
 * age is kept to an eighth of it, and removing is dropping a table. A message that a subscription has not
 * finished is never removed, however old (P2); parked ones carry their own copy.
 */
export class Retention {
  readonly #runtime: Runtime<Store>
  readonly #commit: GroupCommit
  readonly #log: Log
  readonly #keep: readonly Keep[]
  readonly #records: KeepRecords
  #cancel: Cancel | undefined
  #running: Promise<void> = Promise.resolve()
  #stopped = false
  #more = false
  readonly #pause: number

  constructor(runtime: Runtime<Store>, commit: GroupCommit, log: Log, keep: readonly Keep[], records: KeepRecords) {
    this.#runtime = runtime
    this.#commit = commit
    this.#log = log
    this.#keep = keep
    this.#records = records
    const shortest = Math.min(records.calls, records.audit, ...keep.map((k) => k.age))
    this.#pause = Math.min(longestPause, Math.max(shortestPause, shortest / 100))
  }

  start(): void {
    if (this.#stopped) return
    this.#cancel = this.#runtime.clock.after(this.#more ? soonAgain : this.#pause, () => {
      this.#running = this.pass()
        .catch((e: unknown) => {
          if (!isFault(e, 'store.closed')) this.#runtime.log.write('warn', 'journal.retention_failed', { fault: e })
        })
        .finally(() => this.start())
    })
  }

  /** One pass over everything. */
  async pass(): Promise<void> {
    const now = this.#runtime.clock.now()
    const unread = await this.#unread()
    this.#more = false
    for (const keep of this.#keep) {
      const topic = this.#log.topic(keep.topic)
      const belows = Array.from(
        { length: topic.partitions },
        (_, p) => unread.get(topic.slot + p) ?? this.#log.head(topic.slot + p),
      )
      const before = await this.#shed(topic, keep, belows, now)
      for (let p = 0; p < topic.partitions && !this.#stopped; p++) {
        const slot = topic.slot + p
        const below = belows[p]!
        await this.#steps({ write: 'trim', what: 'log', slot, before, below, limit: rowsAtOnce })
        if (keep.compact) await this.#steps({ write: 'compact', slot, from: 0, below, limit: rowsAtOnce })
      }
    }
    await this.#steps({ write: 'trim', what: 'calls', before: now - this.#records.calls, limit: rowsAtOnce })
    await this.#steps({ write: 'trim', what: 'audit', before: now - this.#records.audit, limit: rowsAtOnce })
    await this.#steps({ write: 'trim', what: 'keys', before: now, limit: rowsAtOnce })
    await this.#commit.add(
      { writes: [{ write: 'trim', what: 'seen', before: now - this.#records.seen, limit: rowsAtOnce }] },
      'relaxed',
    )
  }

  /**
   * Drops whole segments where the store has some. Returns before when messages are to be removed one by one: at once
   * where there are none; otherwise only those that a partition which lags has kept for two segments beyond their age.
   */
  async #shed(topic: Topic, keep: Keep, below: readonly number[], now: number): Promise<number> {
    if (!this.#runtime.store.can.segments) return now - keep.age
    const span = Math.max(shortestSegment, keep.age / segmentsPerAge)
    await this.#steps({ write: 'shed', slot: topic.slot, now, before: now - keep.age, span, below })
    return now - keep.age - 2 * span
  }

  /** Repeats a bounded step until it finds nothing more, the pass has done enough, or we stop. */
  async #steps(write: Write): Promise<void> {
    for (let i = 0; i < stepsPerSlot && !this.#stopped; i++) {
      const [removed] = await this.#commit.add({ writes: [write] }, 'relaxed')
      if (Number(removed) === 0) return
    }
    this.#more = true
  }

  /** Slot → lowest offset that some subscription has not finished. */
  async #unread(): Promise<Map<number, number>> {
    const { store } = this.#runtime
    const out = new Map<number, number>()
    const topics = new Map(this.#log.topics.map((t) => [t.name, t]))
    for (const s of await store.read({ read: 'subscriptions' })) {
      const topic = topics.get(s.topic)
      if (!topic) continue
      for (const c of await store.read({ read: 'cursors', subscription: s.id })) {
        const slot = topic.slot + c.partition
        out.set(slot, Math.min(out.get(slot) ?? Number.POSITIVE_INFINITY, c.low))
      }
    }
    return out
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#running
  }
}
