import type { DatabaseSync } from 'node:sqlite'
import { fault } from '#kernel/fault.ts'
import { hash53 } from '#kernel/hash.ts'
import { offsetCount } from '../port.ts'
import { bloomOf, Filters } from './filters.ts'
import type { LogRows } from './log.ts'
import { assertSound } from './rows.ts'
import { tolerant } from './statements.ts'
import { fits, rowSum, textOf, type Column } from './sum.ts'

/** Ids per run: 768 KiB on disk, 128 KiB of filter in memory, about 4 ms to write. */
const perRun = 32_768
/** A commit that fills the table is kept with it: nearly all runs are a little larger than 32,768. */
const mostPerRun = 49_152

/**
 * Which ids were seen: a log-structured index of (topic, id) → position. An ordinary B-tree of random ids costs a page
 * write for each message (measured: 52,000 appends/s instead of 320,000); here new ids go into a hash table in memory
 * and leave it as sorted runs of 32,768, each guarded by a Bloom filter (false positives 6 in a million: each costs a read of the run, 0.5 ms).
 *
 * The table needs no writing of its own: after a crash it is rebuilt from the log beyond `seen_upto`. So a run is also
 * written when 32,768 messages lie beyond that mark, whoever chose their ids, and before a message beyond it is removed.
 *
 * Each id is kept with the time of its message: whether a repetition is within its window must not depend on whether
 * retention has taken the message. Hashes have 53 bits; a hit is confirmed by the id in the log, as long as it is there.
 */
export class Seen {
  readonly #db: DatabaseSync
  readonly #log: LogRows
  readonly #recent = new Table()
  #runs: Run[] = []
  readonly #filters = new Filters<Run>()
  /** Number of the newest run. It only rises, and the newest run stays: that is how other processes see a new one. */
  #newestRun = 0
  #upto = new Map<number, number>()
  /** Messages in the log beyond `#upto`, about. */
  #beyond = 0
  #cached: (Entries & { readonly run: number }) | undefined

  constructor(db: DatabaseSync, log: LogRows) {
    this.#db = db
    this.#log = log
  }

  hash(topicSlot: number, id: string): number {
    return hash53(id, topicSlot + 1) || 1
  }

  /** The position under which this id was first stored at or after `since`, if it was. */
  find(hash: number, id: string, since: number): number | undefined {
    const recent = this.#recent.find(hash)
    if (recent >= 0 && this.#recent.times[recent]! >= since) {
      const position = this.#recent.positions[recent]!
      if (this.#confirmed(position, id)) return position
    }
    for (const run of this.#filters.find(hash)) {
      if (run.newest < since) continue
      const { hashes, positions, times } = this.#entries(run.run)
      const at = search(hashes, hash)
      if (at >= 0 && times[at]! >= since && this.#confirmed(positions[at]!, id)) return positions[at]
    }
    return undefined
  }

  add(hash: number, position: number, time: number): void {
    this.#beyond++
    this.#recent.set(hash, position, time)
  }

  /** A message whose id nobody will look for. */
  pass(): void {
    this.#beyond++
  }

  /** Inside a write transaction: saves the table when it is full, or when too much of the log lies beyond the mark. */
  flush(next: ReadonlyMap<number, number>): void {
    if (this.#beyond >= perRun) this.#save(next)
  }

  /** Inside a write transaction in which messages of `slot` up to `offset` leave the log: ids that only it tells are saved. */
  leaving(slot: number, offset: number, next: ReadonlyMap<number, number>): void {
    if (offset >= (this.#upto.get(slot) ?? 0)) this.#save(next)
  }

  #save(next: ReadonlyMap<number, number>): void {
    if (this.#recent.size > 0) {
      // Small runs grow into one: what each find costs is the number of runs.
      const last = this.#runs.find((r) => r.run === this.#newestRun)
      if (last && last.count + this.#recent.size <= perRun) this.#absorb(last)
      this.#write()
    }
    const upto = this.#db.prepare(
      'insert into fl_seen_upto (slot, next, sum) values (?, ?, ?) on conflict (slot) do update set next = excluded.next, sum = excluded.sum',
    )
    for (const [slot, n] of next) {
      if (this.#upto.get(slot) !== n) upto.run(slot, n, rowSum('fl_seen_upto', [slot, n]))
      this.#upto.set(slot, n)
    }
    this.#beyond = 0
  }

  #absorb(run: Run): void {
    const { hashes, positions, times } = this.#entries(run.run)
    for (let i = 0; i < hashes.length; i++) {
      if (this.#recent.find(hashes[i]!) < 0) this.#recent.set(hashes[i]!, positions[i]!, times[i]!)
    }
    this.#delete(run)
  }

  /** One run, or several of one size when a huge commit has filled the table far beyond: a filter has no room for all. */
  #write(): void {
    const hashes = this.#recent.hashes().sort()
    const size = Math.ceil(hashes.length / Math.ceil(hashes.length / mostPerRun))
    for (let from = 0; from < hashes.length; from += size) this.#writeRun(hashes.subarray(from, from + size))
    this.#recent.clear()
  }

  #writeRun(hashes: Float64Array): void {
    const places = hashes.map((h) => this.#recent.find(h))
    const times = places.map((i) => this.#recent.times[i]!)
    const found = new Float64Array(hashes.length * 2)
    found.set(places.map((i) => this.#recent.positions[i]!))
    found.set(times, hashes.length)
    const run = {
      run: this.#newestRun + 1,
      newest: times.reduce((max, t) => Math.max(max, t), 0),
      count: hashes.length,
    }
    const bloom = bloomOf(hashes)
    this.#db
      .prepare(
        'insert into fl_seen (run, newest, count, bloom, hashes, positions, bloom_sum, sum) values (?, ?, ?, ?, ?, ?, ?, ?)',
      )
      .run(
        run.run,
        run.newest,
        run.count,
        bloom,
        bytesOf(hashes),
        bytesOf(found),
        bloomSum({ ...run, bloom }),
        runSum(run.run, bytesOf(hashes), bytesOf(found)),
      )
    this.#runs.push(run)
    this.#filters.add(run, bloom)
    this.#newestRun = run.run
  }

  /** Removes, at most `limit`, runs in which everything is older than `before`. */
  trim(before: number, limit: number): number {
    const old = this.#runs.filter((r) => r.newest < before && r.run !== this.#newestRun).slice(0, limit)
    for (const r of old) this.#delete(r)
    return old.length
  }

  #delete(run: Run): void {
    this.#db.prepare('delete from fl_seen where run = ?').run(run.run)
    this.#runs = this.#runs.filter((r) => r !== run)
    this.#filters.delete(run)
  }

  /** After a rollback: runs that memory has may never have been written. */
  forget(): void {
    this.#runs = []
    this.#filters.clear()
  }

  /** Brings memory in line with the file: at open, after a rollback, and after another process has written. */
  load(slots: readonly { slot: number; topicSlot: number; next: number }[]): void {
    this.#recent.clear()
    this.#beyond = 0
    this.#cached = undefined
    this.#upto = new Map(
      assertSound('fl_seen_upto', this.#db.prepare('select * from fl_seen_upto').all()).map((r) => [
        Number(r['slot']),
        Number(r['next']),
      ]),
    )
    // A run never changes under its number. Reading all filters again takes 2 ms each, and each 32,768 messages of
    // another process would ask for that.
    const known = new Map(this.#runs.map((r) => [r.run, r]))
    const filter = this.#db.prepare('select bloom, bloom_sum from fl_seen where run = ?')
    this.#runs = this.#db
      .prepare('select run, newest, count from fl_seen order by run')
      .all()
      .map((row) => {
        const number = Number(row['run'])
        const run = known.get(number) ?? { run: number, newest: Number(row['newest']), count: Number(row['count']) }
        if (known.delete(number)) return run
        const { bloom, bloom_sum } = filter.get(number) as { bloom: Uint8Array; bloom_sum: Column }
        assertRun(number, bloom_sum, bloomSum({ ...run, bloom }))
        this.#filters.add(run, bloom)
        return run
      })
    for (const gone of known.values()) this.#filters.delete(gone)
    this.#newestRun = this.#runs.at(-1)?.run ?? 0
    this.catchUp(slots.map((s) => ({ ...s, from: this.#upto.get(s.slot) ?? 0 })))
  }

  /** Reads the ids that another process has appended. */
  catchUp(slots: readonly { slot: number; topicSlot: number; from: number; next: number }[]): void {
    const tail = this.#db.prepare('select pos, id, time from fl_log where pos >= ? and pos < ?')
    tail.setReturnArrays(true)
    for (const s of slots) {
      if (s.next <= s.from) continue
      const base = s.slot * offsetCount
      const rows = tolerant(tail, () => tail.all(base + s.from, base + s.next)) as unknown[]
      for (const row of rows) {
        const [pos, id, time] = row as [number, Column, number]
        // Damaged ones too, as far as that goes: a hit is confirmed by the whole row.
        const hash = this.hash(s.topicSlot, textOf(id) ?? '')
        // Slot by slot is not the order of time: an id that was taken anew after its window counts from the later one.
        const known = this.#recent.find(hash)
        if (known >= 0 && this.#recent.times[known]! > time) this.pass()
        else this.add(hash, pos, time)
      }
    }
  }

  /** The newest run known here: another process may have written more. */
  get newestRun(): number {
    return this.#newestRun
  }

  #confirmed(position: number, id: string): boolean {
    const found = this.#log.idAt(position)
    // Retention may have taken the row: then 53 bits have to be enough. A damaged one is no message: whoever sends it again is welcome.
    return found === undefined || found === id
  }

  #entries(run: number): Entries {
    if (this.#cached?.run === run) return this.#cached
    const row = this.#db.prepare('select hashes, positions, sum from fl_seen where run = ?').get(run)
    const [hashed, at] = [row?.['hashes'] as Uint8Array, row?.['positions'] as Uint8Array]
    assertRun(run, row?.['sum'] as Column, runSum(run, hashed, at))
    const hashes = doubles(hashed)
    // One column holds both: the position of each hash, then the time of each.
    const found = doubles(at)
    this.#cached = { run, hashes, positions: found.subarray(0, hashes.length), times: found.subarray(hashes.length) }
    return this.#cached
  }
}

/** Two checksums a run: its filter is read when the store is opened, its ids when one of them may be the one that is looked for. */
export function bloomSum(r: { run: number; newest: number; count: number; bloom: Uint8Array }): number {
  return rowSum('fl_seen', [r.run, r.newest, r.count, r.bloom])
}

export function runSum(run: number, hashes: Uint8Array, positions: Uint8Array): number {
  return rowSum('fl_seen', [run, hashes, positions])
}

/** Ids that nobody can trust: a repetition would be taken for new. */
function assertRun(run: number, sum: Column, expected: number): void {
  if (fits(sum, expected)) return
  throw fault('store.corrupt', {
    message: `the ids of fl_seen, run ${run}, are not as they were written: restore a backup`,
    detail: { table: 'fl_seen', where: `run = ${run}` },
  })
}

type Run = { readonly run: number; readonly newest: number; readonly count: number }
type Entries = { readonly hashes: Float64Array; readonly positions: Float64Array; readonly times: Float64Array }

/** Open addressing over three arrays of doubles: 24 bytes an id, nothing for the collector to walk. 0 is the empty hash. */
class Table {
  size = 0
  positions = new Float64Array(1024)
  times = new Float64Array(1024)
  #keys = new Float64Array(1024)

  /** Index into `positions` and `times`, or -1. */
  find(hash: number): number {
    const mask = this.#keys.length - 1
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const k = this.#keys[i]
      if (k === hash) return i
      if (k === 0) return -1
    }
  }

  set(hash: number, position: number, time: number): void {
    if (this.size * 2 >= this.#keys.length) this.#grow()
    const mask = this.#keys.length - 1
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      if (this.#keys[i] === 0) this.size++
      else if (this.#keys[i] !== hash) continue
      this.#keys[i] = hash
      this.positions[i] = position
      this.times[i] = time
      return
    }
  }

  hashes(): Float64Array {
    return this.#keys.filter((k) => k !== 0)
  }

  clear(): void {
    this.#keys.fill(0)
    this.size = 0
  }

  #grow(): void {
    const [keys, positions, times] = [this.#keys, this.positions, this.times]
    this.#keys = new Float64Array(keys.length * 2)
    this.positions = new Float64Array(keys.length * 2)
    this.times = new Float64Array(keys.length * 2)
    this.size = 0
    for (let i = 0; i < keys.length; i++) if (keys[i] !== 0) this.set(keys[i]!, positions[i]!, times[i]!)
  }
}

/** Index of the hash in a sorted array, or -1. */
function search(hashes: Float64Array, hash: number): number {
  let low = 0
  let high = hashes.length - 1
  while (low <= high) {
    const mid = (low + high) >> 1
    if (hashes[mid]! < hash) low = mid + 1
    else if (hashes[mid]! > hash) high = mid - 1
    else return mid
  }
  return -1
}

function bytesOf(array: Float64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}

function doubles(bytes: Uint8Array): Float64Array {
  return new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
}
