import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { hash53 } from '#kernel/hash.ts'
import { offsetCount } from '../port.ts'

/** Ids per run: 512 KiB on disk, 64 KiB of filter in memory, about 4 ms to write. */
const perRun = 32_768
const bitsPerId = 16
const probes = 6

/**
 * Which ids were seen: a log-structured index of (topic, id) → position. An ordinary B-tree of random ids costs a page
 * write for each message (measured: 52,000 appends/s instead of 320,000); here new ids go into a hash table in memory
 * and leave it as sorted runs of 32,768, each guarded by a Bloom filter (false positives 0.1 %).
 *
 * The table needs no writing of its own: after a crash it is rebuilt from the log beyond `seen_upto`. Hashes have 53
 * bits; a hit is confirmed by the id in the log, so a collision can never drop a message.
 */
export class Seen {
  readonly #db: DatabaseSync
  readonly #recent = new Table()
  #runs: Run[] = []
  #upto = new Map<number, number>()
  #cached: { run: number; hashes: Float64Array; positions: Float64Array } | undefined
  readonly #idAt: StatementSync

  constructor(db: DatabaseSync) {
    this.#db = db
    this.#idAt = db.prepare('select id, time from fl_log where pos = ?')
  }

  hash(topicSlot: number, id: string): number {
    return hash53(id, topicSlot + 1) || 1
  }

  /** The position under which this id was first stored at or after `since`, if it was. */
  find(hash: number, id: string, since: number): number | undefined {
    const recent = this.#recent.get(hash)
    if (recent !== undefined && this.#confirmed(recent, id, since)) return recent
    for (const run of this.#runs) {
      if (run.newest < since || !maybe(run.bloom, hash)) continue
      const position = this.#inRun(run.run, hash)
      if (position !== undefined && this.#confirmed(position, id, since)) return position
    }
    return undefined
  }

  add(hash: number, position: number): void {
    this.#recent.set(hash, position)
  }

  /** Inside a write transaction: moves the table into a run when it is full (or `always`, when the store closes). */
  flush(now: number, next: ReadonlyMap<number, number>, always = false): void {
    const count = this.#recent.size
    if (count < perRun && !(always && count > 0)) return
    const hashes = this.#recent.hashes().sort()
    const positions = hashes.map((h) => this.#recent.get(h)!)
    const bloom = filter(hashes)
    const { lastInsertRowid } = this.#db
      .prepare('insert into fl_seen (newest, count, bloom, hashes, positions) values (?, ?, ?, ?, ?)')
      .run(now, count, bytesOf(bloom), bytesOf(hashes), bytesOf(positions))
    const upto = this.#db.prepare(
      'insert into fl_seen_upto values (?, ?) on conflict (slot) do update set next = excluded.next',
    )
    for (const [slot, n] of next) {
      if (this.#upto.get(slot) !== n) upto.run(slot, n)
      this.#upto.set(slot, n)
    }
    this.#runs.push({ run: Number(lastInsertRowid), newest: now, count, bloom })
    this.#recent.clear()
  }

  /** Removes runs in which everything is older than `before`. */
  trim(before: number): number {
    const old = this.#runs.filter((r) => r.newest < before)
    for (const r of old) this.#db.prepare('delete from fl_seen where run = ?').run(r.run)
    this.#runs = this.#runs.filter((r) => r.newest >= before)
    return old.length
  }

  /** Brings memory in line with the file: at open, after a rollback, and after another process has written. */
  load(slots: readonly { slot: number; topicSlot: number; next: number }[]): void {
    this.#recent.clear()
    this.#cached = undefined
    this.#upto = new Map(
      this.#db
        .prepare('select slot, next from fl_seen_upto')
        .all()
        .map((r) => [Number(r['slot']), Number(r['next'])]),
    )
    this.#runs = this.#db
      .prepare('select run, newest, count, bloom from fl_seen order by run desc')
      .all()
      .map((r) => ({
        run: Number(r['run']),
        newest: Number(r['newest']),
        count: Number(r['count']),
        bloom: r['bloom'] as Uint8Array,
      }))
    this.catchUp(slots.map((s) => ({ ...s, from: this.#upto.get(s.slot) ?? 0 })))
  }

  /** Reads the ids that another process has appended. */
  catchUp(slots: readonly { slot: number; topicSlot: number; from: number; next: number }[]): void {
    const tail = this.#db.prepare('select pos, id from fl_log where pos >= ? and pos < ?')
    tail.setReturnArrays(true)
    for (const s of slots) {
      if (s.next <= s.from) continue
      const base = s.slot * offsetCount
      for (const row of tail.iterate(base + s.from, base + s.next) as Iterable<unknown>) {
        const [pos, id] = row as [number, string]
        this.#recent.set(this.hash(s.topicSlot, id), pos)
      }
    }
  }

  /** The newest run known here: another process may have written more. */
  get newestRun(): number {
    return this.#runs.reduce((max, r) => Math.max(max, r.run), 0)
  }

  #confirmed(position: number, id: string, since: number): boolean {
    const row = this.#idAt.get(position)
    // Compaction may have taken the row: then 53 bits have to be enough.
    return row === undefined || (row['id'] === id && Number(row['time']) >= since)
  }

  #inRun(run: number, hash: number): number | undefined {
    if (this.#cached?.run !== run) {
      const row = this.#db.prepare('select hashes, positions from fl_seen where run = ?').get(run)
      if (!row) return undefined
      this.#cached = {
        run,
        hashes: doubles(row['hashes'] as Uint8Array),
        positions: doubles(row['positions'] as Uint8Array),
      }
    }
    const { hashes, positions } = this.#cached
    let low = 0
    let high = hashes.length - 1
    while (low <= high) {
      const mid = (low + high) >> 1
      if (hashes[mid]! < hash) low = mid + 1
      else if (hashes[mid]! > hash) high = mid - 1
      else return positions[mid]
    }
    return undefined
  }
}

type Run = { readonly run: number; readonly newest: number; readonly count: number; readonly bloom: Uint8Array }

/** Open addressing over two arrays of doubles: 16 bytes an id, nothing for the collector to walk. 0 is the empty hash. */
class Table {
  size = 0
  #keys = new Float64Array(1024)
  #values = new Float64Array(1024)

  get(hash: number): number | undefined {
    const mask = this.#keys.length - 1
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const k = this.#keys[i]
      if (k === hash) return this.#values[i]
      if (k === 0) return undefined
    }
  }

  set(hash: number, value: number): void {
    if (this.size * 2 >= this.#keys.length) this.#grow()
    const mask = this.#keys.length - 1
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      if (this.#keys[i] === 0) this.size++
      else if (this.#keys[i] !== hash) continue
      this.#keys[i] = hash
      this.#values[i] = value
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
    const [keys, values] = [this.#keys, this.#values]
    this.#keys = new Float64Array(keys.length * 2)
    this.#values = new Float64Array(keys.length * 2)
    this.size = 0
    for (let i = 0; i < keys.length; i++) if (keys[i] !== 0) this.set(keys[i]!, values[i]!)
  }
}

function filter(hashes: Float64Array): Uint8Array {
  const bytes = 2 ** Math.ceil(Math.log2(Math.max(64, (hashes.length * bitsPerId) / 8)))
  const bloom = new Uint8Array(bytes)
  for (const h of hashes) each(h, bytes * 8, (bit) => (bloom[bit >> 3]! |= 1 << (bit & 7)))
  return bloom
}

function maybe(bloom: Uint8Array, hash: number): boolean {
  const bits = bloom.length * 8
  let a = (hash % 4294967296) | 0
  const b = ((hash / 4294967296) | 0) * 2 + 1
  for (let i = 0; i < probes; i++, a = (a + b) | 0) {
    const bit = a & (bits - 1)
    if ((bloom[bit >> 3]! & (1 << (bit & 7))) === 0) return false
  }
  return true
}

function each(hash: number, bits: number, use: (bit: number) => void): void {
  let a = (hash % 4294967296) | 0
  const b = ((hash / 4294967296) | 0) * 2 + 1
  for (let i = 0; i < probes; i++, a = (a + b) | 0) use(a & (bits - 1))
}

function bytesOf(array: Uint8Array | Float64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}

function doubles(bytes: Uint8Array): Float64Array {
  return new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
}
