import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { fault } from '#kernel/fault.ts'
import {
  offsetCount,
  slotCount,
  type Appended,
  type Entry,
  type Guard,
  type Outcome,
  type Parked,
  type Unit,
  type Write,
  type WriteResult,
} from '../port.ts'
import { mergeCursors } from '../cursor.ts'
import { delayedSum, entryOf } from './delayed.ts'
import type { Heads } from './heads.ts'
import { parkedSum, quarantine, repark } from './parked.ts'
import { isSound } from './rows.ts'
import { Statements, type Row } from './statements.ts'
import { messageSum, rowSum, unfit } from './sum.ts'

/** Applies units inside an open write transaction. Everything is a prepared statement: about 3 µs an appended message. */
export class Apply {
  readonly #heads: Heads
  readonly #statements: Statements
  readonly #append: StatementSync
  #appended = 0

  constructor(db: DatabaseSync, heads: Heads) {
    this.#heads = heads
    this.#statements = new Statements(db)
    this.#append = db.prepare('insert into fl_log (pos, time, id, key, meta, body, sum) values (?, ?, ?, ?, ?, ?, ?)')
  }

  units(units: readonly Unit[]): Outcome[] {
    this.#heads.refresh()
    const outcomes = units.map((unit): Outcome => {
      const failed = unit.guards?.find((g) => !this.#holds(g))
      return failed ? { ok: false, failed } : { ok: true, results: unit.writes.map((w) => this.#write(w)) }
    })
    this.#heads.seen.flush(this.#heads.next)
    this.#heads.slots.appended(this.#heads.next, this.#appended)
    this.#appended = 0
    return outcomes
  }

  #holds(g: Guard): boolean {
    if (g.guard === 'lease')
      return (
        this.#get('select 1 from fl_leases where name = ? and epoch = ? and worker is not null', g.name, g.epoch) !==
        undefined
      )
    if (g.guard === 'key') {
      const row = this.#get('select * from fl_keys where name = ? and (expires is null or expires > ?)', g.name, g.now)
      // Of a damaged one nobody knows: who reads it to decide again is told.
      if (row !== undefined && !isSound('fl_keys', row)) return false
      return Number(row?.['version'] ?? 0) === g.version
    }
    const row = this.#get(
      'select state, body from fl_parked where subscription = ? and partition = ? and offset = ?',
      ...at(g.at),
    )
    if (row === undefined || !g.states.includes(row['state'] as Parked['state'])) return false
    return g.body === undefined || same(g.body, row['body'])
  }

  #write(w: Write): WriteResult {
    switch (w.write) {
      case 'append':
        return w.entries.map((e) => this.#appendOne(e))
      case 'advance':
        return this.#advance(w)
      case 'park':
        return this.#park(w.parked)
      case 'repark':
        return repark(this.#statements, w)
      case 'quarantine':
        return quarantine(this.#statements, w.parked)
      case 'unpark':
        return this.#unpark(w)
      case 'postpone':
        return this.#run(
          `update fl_parked set due = ? where subscription = ? and state = 'held' and held_by = ? and due < ?`,
          w.due,
          w.subscription,
          w.heldBy,
          w.due,
        )
      case 'put':
        return this.#put(w)
      case 'drop':
        return this.#run('delete from fl_keys where name = ?', w.name)
      case 'lease':
        return Number(
          this.#get(
            `insert into fl_leases (name, worker, epoch) values (?, ?, 1)
             on conflict (name) do update set worker = excluded.worker, epoch = fl_leases.epoch + 1
             where fl_leases.worker is null or fl_leases.worker is ? returning epoch`,
            w.name,
            w.worker,
            w.from,
          )?.['epoch'] ?? 0,
        )
      case 'release':
        return this.#run('update fl_leases set worker = null where name = ? and worker = ?', w.name, w.worker)
      case 'worker':
        return this.#run(
          `insert into fl_workers (id, beat, level, host, pid, started) values (?, ?, ?, ?, ?, ?) on conflict (id) do update set beat = excluded.beat`,
          w.worker.id,
          w.worker.beat,
          w.worker.level,
          w.worker.host,
          w.worker.pid,
          w.worker.started,
        )
      case 'gone':
        this.#run('update fl_leases set worker = null where worker = ?', w.worker)
        return this.#run('delete from fl_workers where id = ?', w.worker)
      case 'delay': {
        const e = w.entry
        return this.#run(
          'insert into fl_delayed (due, slot, id, key, time, meta, body, dedupe, sum) values (?, ?, ?, ?, ?, ?, ?, ?, ?)',
          w.due,
          e.slot,
          e.id,
          e.key,
          e.time,
          e.meta,
          e.body,
          e.dedupe,
          delayedSum(w.due, e),
        )
      }
      case 'fire':
        return this.#fire(w.now, w.limit)
      case 'call':
        return this.#run(
          'insert into fl_calls (time, connection, operation, outcome, record, sum) values (?, ?, ?, ?, ?, ?)',
          w.time,
          w.connection,
          w.operation,
          w.outcome,
          w.record,
          rowSum('fl_calls', [w.time, w.connection, w.operation, w.outcome, w.record]),
        )
      case 'audit':
        return this.#run(
          'insert into fl_audit (time, verb, subject, detail, sum) values (?, ?, ?, ?, ?)',
          w.time,
          w.verb,
          w.subject,
          w.detail,
          rowSum('fl_audit', [w.time, w.verb, w.subject, w.detail]),
        )
      case 'trim':
        return this.#trim(w)
      case 'shed':
        return 0
      case 'compact':
        return this.#compact(w)
      case 'topic':
        return this.#topic(w.name, w.partitions)
      case 'subscription':
        return this.#subscription(w)
    }
  }

  /** `damaged`: what is left of a message that was delayed. It gets its place, and is seen to be damaged there. */
  #appendOne(e: Entry, damaged = false): Appended {
    const heads = this.#heads
    let hash = 0
    if (e.dedupe > 0) {
      hash = heads.seen.hash(heads.topicSlot(e.slot), e.id)
      const first = heads.seen.find(hash, e.id, e.time - e.dedupe)
      if (first !== undefined)
        return { slot: Math.floor(first / offsetCount), offset: first % offsetCount, duplicate: true }
    }
    const offset = heads.take(e.slot)
    const position = e.slot * offsetCount + offset
    const sum = messageSum(position, e.time, e.id, e.key, e.meta, e.body)
    this.#append.run(position, e.time, e.id, e.key, e.meta, e.body, damaged ? unfit(sum) : sum)
    this.#appended++
    if (hash === 0) heads.seen.pass()
    else heads.seen.add(hash, position, e.time)
    return { slot: e.slot, offset, duplicate: false }
  }

  #park(p: Parked): number {
    // The one it was to wait for may have gone while this was on its way: then nobody would ever wake it.
    const first =
      p.state === 'behind' &&
      this.#get(
        'select 1 from fl_parked where subscription = ? and partition = ? and key = ? and offset < ? limit 1',
        p.subscription,
        p.partition,
        p.key,
        p.offset,
      ) === undefined
    return this.#run(
      `insert into fl_parked (subscription, partition, offset, key, id, time, meta, body, state, attempts, due, since, faults, held_by, sum)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (subscription, partition, offset) do nothing`,
      ...at(p),
      p.key,
      p.id,
      p.time,
      p.meta,
      p.body,
      first ? 'retry' : p.state,
      p.attempts,
      p.due,
      p.since,
      p.faults,
      p.heldBy,
      parkedSum(p),
    )
  }

  #put(w: Extract<Write, { write: 'put' }>): number {
    const last = this.#get('select version from fl_keys where name = ?', w.name)?.['version'] ?? 0
    const version = (Number.isSafeInteger(last) ? Number(last) : 0) + 1
    this.#run(
      `insert into fl_keys (name, value, version, expires, sum) values (?, ?, ?, ?, ?)
       on conflict (name) do update set value = excluded.value, version = excluded.version, expires = excluded.expires, sum = excluded.sum`,
      w.name,
      w.value,
      version,
      w.expires,
      rowSum('fl_keys', [w.name, w.value, version, w.expires]),
    )
    return version
  }

  #advance(w: Extract<Write, { write: 'advance' }>): number {
    const row = this.#get(
      'select * from fl_cursors where subscription = ? and partition = ?',
      w.subscription,
      w.partition,
    )
    // Damaged since it was read: the holder's word is right, and all there is.
    if (row !== undefined && !isSound('fl_cursors', row)) return this.#cursor(w)
    const known = { low: Number(row?.['low'] ?? 0), done: (row?.['done'] ?? null) as Uint8Array | null }
    return this.#cursor({ ...w, ...mergeCursors(known, w) })
  }

  #cursor(c: Omit<Extract<Write, { write: 'advance' }>, 'write'>): number {
    return this.#run(
      `insert into fl_cursors (subscription, partition, low, done, sum) values (?, ?, ?, ?, ?)
       on conflict (subscription, partition) do update set low = excluded.low, done = excluded.done, sum = excluded.sum`,
      c.subscription,
      c.partition,
      c.low,
      c.done,
      rowSum('fl_cursors', [c.subscription, c.partition, c.low, c.done]),
    )
  }

  #unpark(w: Extract<Write, { write: 'unpark' }>): number {
    const [subscription, partition, offset] = at(w.at)
    const row = this.#get(
      'delete from fl_parked where subscription = ? and partition = ? and offset = ? returning key',
      subscription,
      partition,
      offset,
    )
    const key = (row?.['key'] ?? null) as string | null
    if (key === null) return 0
    this.#run(
      `update fl_parked set state = 'retry', due = ? where state = 'behind' and row = (
         select row from fl_parked where subscription = ? and partition = ? and key = ? order by offset limit 1)`,
      w.now,
      subscription,
      partition,
      key,
    )
    return Number(
      this.#get(
        'select count(*) n from fl_parked where subscription = ? and partition = ? and key = ?',
        subscription,
        partition,
        key,
      )?.['n'],
    )
  }

  #fire(now: number, limit: number): number {
    const rows = this.#statements.all('select * from fl_delayed where due <= ? order by due, row limit ?', now, limit)
    for (const r of rows) {
      const { entry, damaged } = entryOf(r)
      if (damaged) this.#appendOne({ ...entry, time: now, slot: this.#heads.nearest(entry.slot), dedupe: 0 }, true)
      else this.#appendOne({ ...entry, time: now })
      this.#run('delete from fl_delayed where row = ?', r['row'] as number)
    }
    return rows.length
  }

  #trim(w: Extract<Write, { write: 'trim' }>): number {
    if (w.what === 'log') return this.#trimLog(w)
    if (w.what === 'seen') return this.#heads.seen.trim(w.before, w.limit)
    if (w.what === 'keys')
      return this.#run(
        'delete from fl_keys where name in (select name from fl_keys where expires is not null and expires < ? limit ?)',
        w.before,
        w.limit,
      )
    if (w.what === 'calls')
      return this.#run(
        'delete from fl_calls where id in (select id from (select id, time from fl_calls order by id limit ?2) where time < ?1)',
        w.before,
        w.limit,
      )
    return this.#run(
      'delete from fl_audit where id in (select id from (select id, time from fl_audit order by id limit ?2) where time < ?1)',
      w.before,
      w.limit,
    )
  }

  #trimLog(w: Extract<Write, { write: 'trim'; what: 'log' }>): number {
    // The newest message of a slot stays: the next offset is read from it.
    const base = w.slot * offsetCount
    const below = base + Math.min(w.below, (this.#heads.nextOf(w.slot) || 1) - 1)
    // One by one, not all below the last: a clock that was set back leaves newer messages among older ones.
    return this.#remove(
      w.slot,
      `delete from fl_log where pos in (
         select pos from (select pos, time from fl_log where pos >= ? and pos < ? order by pos limit ?) where time < ?)
       returning pos`,
      base,
      below,
      w.limit,
      w.before,
    )
  }

  #compact(w: Extract<Write, { write: 'compact' }>): number {
    const base = w.slot * offsetCount
    const top = base + (this.#heads.nextOf(w.slot) || 1) - 1
    const old = this.#statements.all(
      `select pos, newest from (
         select pos, first_value(pos) over (partition by key order by pos desc) newest from fl_log
         where pos >= ? and pos <= ? and key is not null)
       where pos < newest and pos < ? limit ?`,
      base + w.from,
      top,
      base + w.below,
      w.limit,
    )
    // The key of a damaged one may be another's: it takes nothing away, and is not taken away unseen.
    const sound = new Map<number, boolean>()
    const isSound = (pos: number): boolean => {
      const known = sound.get(pos) ?? typeof this.#heads.log.idAt(pos) === 'string'
      sound.set(pos, known)
      return known
    }
    const replaced = old.filter((r) => isSound(Number(r['pos'])) && isSound(Number(r['newest'])))
    return this.#remove(
      w.slot,
      'delete from fl_log where pos in (select value from json_each(?)) returning pos',
      JSON.stringify(replaced.map((r) => r['pos'])),
    )
  }

  /** Removes messages of a slot; an id that was chosen by somebody else outlives its message. */
  #remove(slot: number, text: string, ...values: SQLInputValue[]): number {
    const removed = this.#statements.all(text, ...values)
    const highest = removed.reduce((max, r) => Math.max(max, Number(r['pos']) - slot * offsetCount), -1)
    if (highest >= 0) {
      this.#heads.seen.leaving(slot, highest, this.#heads.next)
      this.#heads.slots.remove(slot, highest + 1)
    }
    return removed.length
  }

  #topic(name: string, partitions: number): number {
    const known = this.#get('select slot from fl_topics where name = ?', name)
    if (known) return Number(known['slot'])
    const slot = Number(this.#get('select coalesce(max(slot + partitions), 0) s from fl_topics')?.['s'])
    if (slot + partitions > slotCount) {
      throw fault('config.option', {
        message: `a store has ${slotCount} partitions in all: ${slot} are taken, topic "${name}" wants ${partitions}`,
        detail: { topic: name, partitions, taken: slot, most: slotCount },
      })
    }
    this.#run(
      'insert into fl_topics (name, slot, partitions, sum) values (?, ?, ?, ?)',
      name,
      slot,
      partitions,
      rowSum('fl_topics', [name, slot, partitions]),
    )
    for (let p = 0; p < partitions; p++) this.#heads.slots.add(slot + p)
    this.#heads.topicsChanged()
    return slot
  }

  #subscription(w: Extract<Write, { write: 'subscription' }>): number {
    const known = this.#get('select id from fl_subscriptions where name = ?', w.name)
    if (known) return Number(known['id'])
    const id = Number(this.#get('select coalesce(max(id), 0) + 1 id from fl_subscriptions')?.['id'])
    this.#run(
      'insert into fl_subscriptions (id, name, topic, sum) values (?, ?, ?, ?)',
      id,
      w.name,
      w.topic,
      rowSum('fl_subscriptions', [id, w.name, w.topic]),
    )
    const topic = this.#get('select slot, partitions from fl_topics where name = ?', w.topic)
    const partitions = Number(topic?.['partitions'] ?? 0)
    for (let p = 0; p < partitions; p++) {
      const low = w.from === 'now' ? this.#heads.nextOf(Number(topic!['slot']) + p) : 0
      this.#cursor({ subscription: id, partition: p, low, done: null })
    }
    return id
  }

  #run(text: string, ...values: SQLInputValue[]): number {
    return this.#statements.run(text, ...values)
  }

  #get(text: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#statements.get(text, ...values)
  }
}

function same(a: string | Uint8Array, b: unknown): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b
  return a.length === (b as Uint8Array).length && a.every((byte, i) => byte === (b as Uint8Array)[i])
}

function at(p: { subscription: number; partition: number; offset: number }): [number, number, number] {
  return [p.subscription, p.partition, p.offset]
}
