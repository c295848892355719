import type { DatabaseSync } from 'node:sqlite'
import { offsetCount } from '../port.ts'
import { assertSound } from './rows.ts'
import { Statements, type Row } from './statements.ts'
import { rowSum } from './sum.ts'

/** Messages appended until the heads are written down. */
const saveEvery = 4_096

/**
 * What has to be in the log of each slot: everything from `removed` to `head`. Without that nobody could tell a message that damage has
 * taken from one that retention has: both are a gap in the offsets, and a gap counts as done.
 *
 * `removed` is moved in the transaction that removes. `head` is written down every 4,096 messages and when the store is closed; beyond it
 * the newest message says how far the log goes.
 */
export class Slots {
  readonly #statements: Statements
  readonly #heads = new Map<number, number>()
  readonly #removed = new Map<number, number>()
  readonly #unchecked = new Map<number, number>()
  #unsaved = 0

  constructor(db: DatabaseSync) {
    this.#statements = new Statements(db)
    this.load()
  }

  /** After a rollback what is known may never have been written: it is read again. Does no I/O itself. */
  forget(): void {
    this.#heads.clear()
    this.#removed.clear()
    this.#unchecked.clear()
  }

  /** Reads everything again: at open, and after another process has written. */
  load(): void {
    this.forget()
    for (const row of this.#statements.all('select * from fl_slots')) this.#take(row)
  }

  /** A new slot, of which nothing is there yet. */
  add(slot: number): void {
    this.#unchecked.set(slot, 0)
    this.#write(slot, 0, 0)
  }

  /** The next offset to be given: by its newest message, and by what was written down. */
  next(slot: number): number {
    const base = slot * offsetCount
    // By a statement of its own: SQLite answers min and max from the B-tree's edge only when each stands alone.
    const newest = this.#statements.get(
      'select max(pos) p from fl_log where pos >= ? and pos < ?',
      base,
      base + offsetCount,
    )?.['p']
    if (!this.#heads.has(slot)) this.#read(slot)
    return Math.max(newest == null ? 0 : Number(newest) - base + 1, this.#heads.get(slot) ?? 0)
  }

  /** Whether retention or compaction may have taken messages up to `below`: `#removed` only rises, so what is known is true. */
  mayLack(slot: number, below: number): boolean {
    return below <= (this.#removed.get(slot) ?? 0) || below <= this.removed(slot)
  }

  /** Messages below this offset were written before there were checksums. */
  unchecked(slot: number): number {
    if (!this.#unchecked.has(slot)) this.#read(slot)
    return this.#unchecked.get(slot) ?? 0
  }

  /** As it is now: another process may have removed something. */
  removed(slot: number): number {
    this.#read(slot)
    return this.#removed.get(slot) ?? 0
  }

  /** Inside the transaction that removes messages below `below`. */
  remove(slot: number, below: number): void {
    this.#read(slot)
    const removed = this.#removed.get(slot) ?? 0
    if (below > removed) this.#write(slot, this.#heads.get(slot) ?? 0, below)
  }

  /** Inside a write transaction that has appended: writes the heads down when it is time. */
  appended(next: ReadonlyMap<number, number>, count: number): void {
    this.#unsaved += count
    if (this.#unsaved >= saveEvery) this.save(next)
  }

  get unsaved(): boolean {
    return this.#unsaved > 0
  }

  /** Inside a write transaction. */
  save(next: ReadonlyMap<number, number>): void {
    for (const [slot, head] of next) {
      if (head <= (this.#heads.get(slot) ?? 0)) continue
      this.#read(slot)
      if (head > (this.#heads.get(slot) ?? 0)) this.#write(slot, head, this.#removed.get(slot) ?? 0)
    }
    this.#unsaved = 0
  }

  #read(slot: number): void {
    const row = this.#statements.get('select * from fl_slots where slot = ?', slot)
    if (row !== undefined) this.#take(row)
  }

  #take(row: Row): void {
    assertSound('fl_slots', [row])
    this.#heads.set(Number(row['slot']), Number(row['head']))
    this.#removed.set(Number(row['slot']), Number(row['removed']))
    this.#unchecked.set(Number(row['slot']), Number(row['unchecked']))
  }

  #write(slot: number, head: number, removed: number): void {
    const unchecked = this.unchecked(slot)
    this.#statements.run(
      `insert into fl_slots (slot, head, removed, unchecked, sum) values (?, ?, ?, ?, ?)
       on conflict (slot) do update set head = excluded.head, removed = excluded.removed, sum = excluded.sum`,
      slot,
      head,
      removed,
      unchecked,
      rowSum('fl_slots', [slot, head, removed, unchecked]),
    )
    this.#heads.set(slot, head)
    this.#removed.set(slot, removed)
  }
}
