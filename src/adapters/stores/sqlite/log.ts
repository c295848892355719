import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { offsetCount, type Stored } from '../port.ts'
import type { Slots } from './slots.ts'
import { tolerant } from './statements.ts'
import { bodyOf, fits, messageSum, textOf, type Column } from './sum.ts'

/** Rows looked at beyond those that were asked for, where the order of the rows cannot be trusted. */
const around = 64
/** Bytes of bodies, beyond those that were asked for, at which that ends. */
const bytesAround = 4 * 1024 * 1024

const columns = 'select pos, time, id, key, meta, body, sum from fl_log where'

type LogRow = readonly [
  pos: number,
  time: number,
  id: string,
  key: string | null,
  meta: string | null,
  body: string | Uint8Array,
  sum: number | null,
]

/**
 * Reads the log, each row against its checksum and its place. What does not fit, or is not there though nobody has removed it, comes as
 * damage (`Stored.damage`), so that the reader can tell it from what is done.
 */
export class LogRows {
  readonly #slots: Slots
  readonly #head: (slot: number) => number
  readonly #range: StatementSync
  readonly #size: StatementSync
  readonly #newest: StatementSync
  readonly #on: StatementSync
  readonly #one: StatementSync

  constructor(db: DatabaseSync, slots: Slots, head: (slot: number) => number) {
    this.#slots = slots
    this.#head = head
    this.#range = arrays(db, `${columns} pos >= ? and pos < ? order by pos limit ?`)
    // Of a body that goes on elsewhere this reads only how long it is.
    this.#size = db.prepare(
      'select coalesce(sum(octet_length(body)), 0) n from (select body from fl_log where pos >= ? and pos < ? order by pos limit ?)',
    )
    this.#newest = arrays(db, `${columns} pos >= ? and pos < ? order by pos desc limit ?`)
    this.#on = arrays(db, `${columns} pos >= ? order by pos limit ?`)
    this.#one = arrays(db, `${columns} pos = ?`)
  }

  range(slot: number, from: number, below: number, limit: number, bytes: number): Stored[] {
    const base = slot * offsetCount
    const out: Stored[] = []
    let [next, left] = [from, bytes]
    try {
      for (const row of this.#rows(base + from, base + Math.min(below, offsetCount), limit, bytes)) {
        const offset = row[0] - base
        if (!this.#isSound(row) || (offset !== next && (offset < next || !this.#slots.mayLack(slot, offset))))
          return this.#salvage(slot, from, below, limit, bytes)
        left -= row[5].length
        if (left < 0 && out.length > 0) return out
        out.push(stored(row, offset))
        next = offset + 1
      }
    } catch (e) {
      if ((e as { code?: unknown }).code === 'ERR_OUT_OF_RANGE') return this.#salvage(slot, from, below, limit, bytes)
      throw e
    }
    if (out.length === limit || next >= below) return out
    const end = Math.min(below, this.#head(slot))
    return next >= end || this.#slots.mayLack(slot, end) ? out : this.#salvage(slot, from, below, limit, bytes)
  }

  /**
   * Rows one by one cost 0.9 µs each, all at once 0.55. So all at once, if their bodies are known to be no more than `bytes`, which costs
   * 0.1; a few are not worth the asking.
   */
  #rows(from: number, below: number, limit: number, bytes: number): Iterable<LogRow> {
    const many = Math.min(limit, below - from) >= 32
    if (many && Number(this.#size.get(from, below, limit)?.['n']) <= bytes)
      return rows(this.#range.all(from, below, limit))
    return rows(this.#range.iterate(from, below, limit))
  }

  newest(slot: number, below: number, limit: number): Stored[] {
    const base = slot * offsetCount
    const found = tolerant(this.#newest, () => this.#newest.all(base, base + Math.min(below, offsetCount), limit))
    return (found as unknown as LogRow[]).filter((r) => r[0] >= base).map((r) => this.#shown(r, r[0] - base))
  }

  #isSound(r: LogRow): boolean {
    // By index: to take the row apart costs a quarter of a message. A flipped bit may have made anything of a column: what is no text has no length.
    const key = r[3]
    const meta = r[4]
    const body = r[5]
    const typed =
      typeof r[1] === 'number' &&
      typeof r[2] === 'string' &&
      (key === null || typeof key === 'string') &&
      (meta === null || typeof meta === 'string') &&
      (typeof body === 'string' || body instanceof Uint8Array)
    if (!typed) return false
    if (r[6] !== null) return fits(r[6], messageSum(r[0], r[1], r[2], key, meta, body))
    return r[0] % offsetCount < this.#slots.unchecked(Math.floor(r[0] / offsetCount))
  }

  /** The id of the message at this position. Undefined: it is gone; null: its row is damaged. */
  idAt(position: number): string | null | undefined {
    const row = tolerant(this.#one, () => this.#one.get(position)) as unknown as LogRow | undefined
    return row === undefined ? undefined : this.#isSound(row) ? row[2] : null
  }

  /**
   * Something is wrong in the range. A damaged position stands where it does not belong, and may end a scan too early or hide those
   * behind it from a search: so the scan goes on past the end of the range, and the rows are brought in order here.
   */
  #salvage(slot: number, from: number, below: number, limit: number, bytes: number): Stored[] {
    const base = slot * offsetCount
    // The head before the rows, what was removed after them: then no commit of another process looks like damage.
    const head = Math.min(below, this.#head(slot))
    const { found, cut } = this.#scan(base + from, limit + around, bytes + bytesAround)
    const removed = this.#slots.removed(slot)

    const there = new Map<number, Stored>()
    found.forEach((row, i) => {
      const offset = row[0] - base
      if (offset < from || offset >= head) return
      const inOrder = row[0] > (found[i - 1]?.[0] ?? -1) && row[0] < (found[i + 1]?.[0] ?? Number.POSITIVE_INFINITY)
      if (this.#isSound(row)) there.set(offset, stored(row, offset))
      else if (inOrder && !there.has(offset)) there.set(offset, damaged(row, offset))
    })
    const offsets = [...there.keys()].sort((a, b) => a - b)
    const end = cut ? Math.min(head, (offsets.at(-1) ?? from) + 1) : head

    const out: Stored[] = []
    let [next, left] = [from, bytes]
    for (const offset of [...offsets, end]) {
      const first = Math.max(next, removed)
      if (offset > first) out.push(missing(first, offset - first))
      if (offset === end || out.length >= limit) break
      const message = there.get(offset)!
      left -= message.body.length
      if (left < 0 && out.length > 0) break
      out.push(message)
      next = offset + 1
    }
    return out.slice(0, limit)
  }

  #shown(r: LogRow, offset: number): Stored {
    return this.#isSound(r) ? stored(r, offset) : damaged(r, offset)
  }

  #scan(from: number, limit: number, bytes: number): { readonly found: readonly LogRow[]; readonly cut: boolean } {
    const found: LogRow[] = []
    let left = bytes
    this.#on.setReadBigInts(true)
    try {
      for (const row of rows(this.#on.iterate(from, limit))) {
        found.push(row.map((v: unknown) => (typeof v === 'bigint' ? Number(v) : v)) as unknown as LogRow)
        left -= lengthOf(row[5])
        if (left < 0) return { found, cut: true }
      }
    } finally {
      this.#on.setReadBigInts(false)
    }
    return { found, cut: found.length === limit }
  }
}

function arrays(db: DatabaseSync, text: string): StatementSync {
  const s = db.prepare(text)
  s.setReturnArrays(true)
  return s
}

function rows(found: Iterable<unknown>): Iterable<LogRow> {
  return found as Iterable<LogRow>
}

function stored(r: LogRow, offset: number): Stored {
  return { offset, time: r[1], id: r[2], key: r[3], meta: r[4], body: r[5] }
}

/** For a person: what can be read of it. */
function damaged(r: LogRow, offset: number): Stored {
  const [, time, id, key, meta, body] = r as readonly Column[] as readonly [
    Column,
    Column,
    Column,
    Column,
    Column,
    Column,
  ]
  return {
    offset,
    time: Number(time),
    id: textOf(id) ?? '',
    key: textOf(key),
    meta: textOf(meta),
    body: bodyOf(body),
    damage: { missing: 0 },
  }
}

function missing(offset: number, count: number): Stored {
  return { offset, time: 0, id: '', key: null, meta: null, body: '', damage: { missing: count } }
}

function lengthOf(value: unknown): number {
  return typeof value === 'string' || value instanceof Uint8Array ? value.length : 0
}
