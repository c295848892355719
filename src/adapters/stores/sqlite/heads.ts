import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { offsetCount } from '../port.ts'
import { LogRows } from './log.ts'
import { Seen } from './seen.ts'
import { Slots } from './slots.ts'

/**
 * What this process remembers of the log: the next offset of each slot and which ids were seen. Valid as long as nobody
 * else writes; `pragma data_version` changes when another connection has committed, and then the difference is read.
 */
export class Heads {
  readonly seen: Seen
  readonly slots: Slots
  readonly log: LogRows
  /** slot → next offset, for the slots touched so far. */
  readonly next = new Map<number, number>()
  readonly #db: DatabaseSync
  readonly #version: StatementSync
  readonly #run: StatementSync
  #known = -1
  #stale = false
  #topics: { slot: number; partitions: number }[] = []

  constructor(db: DatabaseSync) {
    this.#db = db
    this.#version = db.prepare('pragma data_version')
    this.#run = db.prepare('select max(run) r from fl_seen')
    this.slots = new Slots(db)
    this.log = new LogRows(db, this.slots, (slot) => this.head(slot))
    this.seen = new Seen(db, this.log)
    this.reload()
  }

  /** Changes whenever another connection has committed. */
  version(): number {
    return Number(this.#version.get()?.['data_version'])
  }

  /** Inside a write transaction, where nobody else can write: brings memory in line with what others have committed. */
  refresh(): void {
    if (this.#stale) return this.reload()
    const version = this.version()
    if (version === this.#known) return
    this.#known = version
    this.topicsChanged()
    const run = Number(this.#run.get()?.['r'] ?? 0)
    if (run !== this.seen.newestRun) return this.reload()
    const behind = this.#slots().map((s) => ({ ...s, from: this.next.get(s.slot) ?? 0, next: this.slots.next(s.slot) }))
    for (const s of behind) this.next.set(s.slot, s.next)
    this.seen.catchUp(behind)
  }

  /** After a rollback memory is ahead of the file: the next transaction reads everything again. Does no I/O itself. */
  forget(): void {
    this.#stale = true
    this.next.clear()
    this.slots.forget()
  }

  /** Reads everything again; of the runs, when memory is right about those it has, only what others have added. */
  reload(): void {
    if (this.#stale) this.seen.forget()
    this.#stale = true
    this.topicsChanged()
    this.slots.load()
    this.next.clear()
    this.#known = this.version()
    const slots = this.#slots().map((s) => ({ ...s, next: this.nextOf(s.slot) }))
    this.seen.load(slots)
    this.#stale = false
  }

  topicsChanged(): void {
    this.#topics = this.#db
      .prepare('select slot, partitions from fl_topics order by slot')
      .all()
      .map((r) => ({ slot: Number(r['slot']), partitions: Number(r['partitions']) }))
  }

  /**
   * The next offset to be given. Damage may have led astray what this process has appended, and brought a row to where nobody has put one:
   * then what is appended next would stand below the head, and count as read.
   */
  head(slot: number): number {
    const known = this.next.get(slot) ?? 0
    const stored = this.slots.next(slot)
    if (stored <= known) return known
    const newest = known === 0 || typeof this.log.idAt(slot * offsetCount + stored - 1) === 'string'
    return newest ? stored : known
  }

  take(slot: number): number {
    const offset = this.nextOf(slot)
    this.next.set(slot, offset + 1)
    return offset
  }

  nextOf(slot: number): number {
    let next = this.next.get(slot)
    if (next === undefined) this.next.set(slot, (next = this.slots.next(slot)))
    return next
  }

  /** First slot of the topic that this slot belongs to: ids are unique per topic, not per partition. */
  topicSlot(slot: number): number {
    let low = 0
    let high = this.#topics.length - 1
    while (low < high) {
      const mid = (low + high + 1) >> 1
      if (this.#topics[mid]!.slot <= slot) low = mid
      else high = mid - 1
    }
    return this.#topics[low]?.slot ?? slot
  }

  /** The slot itself if it belongs to a topic, otherwise one that does: what is left of a message is shown somewhere. */
  nearest(slot: number): number {
    const of = this.#topics.find((t) => slot >= t.slot && slot < t.slot + t.partitions)
    return of === undefined ? (this.#topics.at(-1)?.slot ?? 0) : slot
  }

  #slots(): { slot: number; topicSlot: number }[] {
    return this.#topics.flatMap((t) =>
      Array.from({ length: t.partitions }, (_, p) => ({ slot: t.slot + p, topicSlot: t.slot })),
    )
  }
}
