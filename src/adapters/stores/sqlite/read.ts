import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { offsetCount, type Parked, type Read, type ReadResult, type Stored } from '../port.ts'

/** Answers reads from prepared statements; rows come as arrays where there are many of them. */
export class Reader {
  readonly #db: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  readonly #log: StatementSync
  readonly #newest: StatementSync

  constructor(db: DatabaseSync) {
    this.#db = db
    const columns = 'select pos, time, id, key, meta, body from fl_log where'
    this.#log = arrays(db.prepare(`${columns} pos >= ? and pos < ? order by pos limit ?`))
    this.#newest = arrays(db.prepare(`${columns} pos >= ? and pos < ? order by pos desc limit ?`))
  }

  answer<R extends Read>(query: R): ReadResult<R> {
    return this.#answer(query) as ReadResult<R>
  }

  #answer(q: Read): unknown {
    switch (q.read) {
      case 'log':
        return this.#messages(q.slot, q.from, q.below, q.limit, q.bytes)
      case 'newest': {
        const base = q.slot * offsetCount
        const below = base + Math.min(q.below, offsetCount)
        return (this.#newest.all(base, below, q.limit) as unknown as LogRow[]).map((r) => stored(r, base))
      }
      case 'heads':
        return this.#all('select slot, partitions from fl_topics order by slot').flatMap((t) =>
          Array.from({ length: Number(t['partitions']) }, (_, p) => {
            const slot = Number(t['slot']) + p
            return { slot, next: this.#next(slot) }
          }),
        )
      case 'bounds':
        return q.slots.map((slot) => {
          const range: [number, number] = [slot * offsetCount, (slot + 1) * offsetCount]
          const first = this.#get('select min(pos) p from fl_log where pos >= ? and pos < ?', ...range)?.['p']
          return {
            slot,
            first: first == null ? 0 : Number(first) % offsetCount,
            next: this.#next(slot),
          }
        })
      case 'topics':
        return this.#all('select name, slot, partitions from fl_topics order by name')
      case 'subscriptions':
        return this.#all('select id, name, topic from fl_subscriptions order by name')
      case 'cursors':
        return this.#all(
          'select partition, low, done from fl_cursors where subscription = ? order by partition',
          q.subscription,
        )
      case 'parked':
        return this.#all(
          `select row, * from fl_parked where (?1 is null or subscription = ?1) and (?2 is null or partition = ?2)
           and (?3 is null or state = ?3) and row > ?4 order by row limit ?5`,
          q.subscription ?? null,
          q.partition ?? null,
          q.state ?? null,
          q.after ?? 0,
          q.limit,
        ).map((r) => ({ row: Number(r['row']), ...parked(r) }))
      case 'parkedAt': {
        const row = this.#get(
          'select * from fl_parked where subscription = ? and partition = ? and offset = ?',
          q.at.subscription,
          q.at.partition,
          q.at.offset,
        )
        return row ? parked(row) : null
      }
      case 'parkedFirst': {
        const row = this.#get(
          'select * from fl_parked where subscription = ? and partition = ? and key = ? order by offset limit 1',
          q.subscription,
          q.partition,
          q.key,
        )
        return row ? parked(row) : null
      }
      case 'due':
        return this.#all(
          `select * from fl_parked where subscription = ? and state in ('retry', 'held') and due <= ?
           and partition in (select value from json_each(?)) order by due, offset limit ?`,
          q.subscription,
          q.now,
          JSON.stringify(q.partitions),
          q.limit,
        ).map(parked)
      case 'nextDue':
        return (
          this.#get(
            `select min(due) n from fl_parked where subscription = ? and state in ('retry', 'held') and due > ?`,
            q.subscription,
            q.after ?? Number.MIN_SAFE_INTEGER,
          )?.['n'] ?? null
        )
      case 'parkedKeys':
        return this.#all(
          'select distinct key from fl_parked where subscription = ? and partition = ? and key is not null',
          q.subscription,
          q.partition,
        ).map((r) => String(r['key']))
      case 'parkedCounts':
        return this.#all('select subscription, state, count(*) count from fl_parked group by state, subscription')
      case 'key':
        return (
          this.#get(
            'select value, version from fl_keys where name = ? and (expires is null or expires > ?)',
            q.name,
            q.now,
          ) ?? null
        )
      case 'keys':
        return this.#all(
          `select name, value, version from fl_keys where name >= ?1 and name < ?1 || char(1114111) and (expires is null or expires > ?2) order by name`,
          q.prefix,
          q.now,
        )
      case 'leases':
        return this.#all('select name, worker, epoch from fl_leases where worker is not null')
      case 'workers':
        return this.#all('select id, beat, level, host, pid, started from fl_workers')
      case 'nextDelayed':
        return this.#get('select min(due) n from fl_delayed')?.['n'] ?? null
      case 'calls':
        return this.#all(
          `select id, time, connection, operation, outcome, record from fl_calls where (?1 is null or connection = ?1)
           and (?2 is null or outcome = ?2 or (?2 = 'failed' and outcome <> 'ok')) and id < ?3 order by id desc limit ?4`,
          q.connection ?? null,
          q.outcome ?? null,
          q.before ?? Number.MAX_SAFE_INTEGER,
          q.limit,
        )
      case 'audit':
        return this.#all('select id, time, verb, subject, detail from fl_audit order by id desc limit ?', q.limit)
      case 'size':
        return {
          bytes: Number(
            this.#get(
              'select (select page_count from pragma_page_count) * (select page_size from pragma_page_size) n',
            )?.['n'],
          ),
        }
    }
  }

  /** By a statement of its own: SQLite answers min and max from the B-tree's edge only when each stands alone. */
  #next(slot: number): number {
    const last = this.#get(
      'select max(pos) p from fl_log where pos >= ? and pos < ?',
      slot * offsetCount,
      (slot + 1) * offsetCount,
    )?.['p']
    return last == null ? 0 : (Number(last) % offsetCount) + 1
  }

  #messages(slot: number, from: number, below: number, limit: number, bytes: number): Stored[] {
    const base = slot * offsetCount
    const out: Stored[] = []
    let left = bytes
    const end = base + Math.min(below, offsetCount)
    for (const row of this.#log.iterate(base + from, end, limit) as unknown as Iterable<LogRow>) {
      left -= row[5].length
      if (left < 0 && out.length > 0) break
      out.push(stored(row, base))
    }
    return out
  }

  #prepare(text: string): StatementSync {
    let s = this.#statements.get(text)
    if (!s) this.#statements.set(text, (s = this.#db.prepare(text)))
    return s
  }

  #all(text: string, ...values: SQLInputValue[]): Record<string, unknown>[] {
    return this.#prepare(text).all(...values)
  }

  #get(text: string, ...values: SQLInputValue[]): Record<string, unknown> | undefined {
    return this.#prepare(text).get(...values)
  }
}

type LogRow = readonly [number, number, string, string | null, string | null, string | Uint8Array]

function arrays(s: StatementSync): StatementSync {
  s.setReturnArrays(true)
  return s
}

function stored(r: LogRow, base: number): Stored {
  return { offset: r[0] - base, time: r[1], id: r[2], key: r[3], meta: r[4], body: r[5] }
}

function parked(r: Record<string, unknown>): Parked {
  return {
    subscription: Number(r['subscription']),
    partition: Number(r['partition']),
    offset: Number(r['offset']),
    key: r['key'] as string | null,
    id: String(r['id']),
    time: Number(r['time']),
    meta: r['meta'] as string | null,
    body: r['body'] as string | Uint8Array,
    state: r['state'] as Parked['state'],
    attempts: Number(r['attempts']),
    due: Number(r['due']),
    since: Number(r['since']),
    faults: r['faults'] as string | null,
    heldBy: r['held_by'] as string | null,
  }
}
