import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import { offsetCount, type Read, type ReadResult } from '../port.ts'
import { assertSound, marked, type Table } from './rows.ts'
import type { Heads } from './heads.ts'
import type { LogRows } from './log.ts'
import { parkedOf } from './parked.ts'
import { Statements, type Row } from './statements.ts'

/** Answers reads from prepared statements; rows come as arrays where there are many of them. */
export class Reader {
  readonly #statements: Statements
  readonly #heads: Heads
  readonly #log: LogRows

  constructor(db: DatabaseSync, heads: Heads) {
    this.#statements = new Statements(db)
    this.#heads = heads
    this.#log = heads.log
  }

  answer<R extends Read>(query: R): ReadResult<R> {
    return this.#answer(query) as ReadResult<R>
  }

  #answer(q: Read): unknown {
    switch (q.read) {
      case 'log':
        return this.#log.range(q.slot, q.from, q.below, q.limit, q.bytes)
      case 'newest':
        return this.#log.newest(q.slot, q.below, q.limit)
      case 'heads':
        return this.#sound('fl_topics', 'order by slot').flatMap((t) =>
          Array.from({ length: Number(t['partitions']) }, (_, p) => {
            const slot = Number(t['slot']) + p
            return { slot, next: this.#heads.head(slot) }
          }),
        )
      case 'bounds':
        return q.slots.map((slot) => {
          const range: [number, number] = [slot * offsetCount, (slot + 1) * offsetCount]
          const first = this.#get('select min(pos) p from fl_log where pos >= ? and pos < ?', ...range)?.['p']
          return {
            slot,
            first: first == null ? 0 : Number(first) % offsetCount,
            next: this.#heads.head(slot),
          }
        })
      case 'topics':
        return this.#sound('fl_topics', 'order by name')
      case 'subscriptions':
        return this.#sound('fl_subscriptions', 'order by name')
      case 'cursors':
        return this.#sound('fl_cursors', 'where subscription = ? order by partition', q.subscription).map(
          ({ partition, low, done }) => ({ partition, low, done }),
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
        ).map((r) => ({ row: Number(r['row']), ...parkedOf(r) }))
      case 'parkedAt': {
        const row = this.#get(
          'select * from fl_parked where subscription = ? and partition = ? and offset = ?',
          q.at.subscription,
          q.at.partition,
          q.at.offset,
        )
        return row ? parkedOf(row) : null
      }
      case 'parkedFirst': {
        const row = this.#get(
          'select * from fl_parked where subscription = ? and partition = ? and key = ? order by offset limit 1',
          q.subscription,
          q.partition,
          q.key,
        )
        return row ? parkedOf(row) : null
      }
      case 'due':
        return this.#all(
          `select * from fl_parked where subscription = ? and state in ('retry', 'held') and due <= ?
           and partition in (select value from json_each(?)) order by due, offset limit ?`,
          q.subscription,
          q.now,
          JSON.stringify(q.partitions),
          q.limit,
        ).map(parkedOf)
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
      case 'key': {
        const [row] = this.#sound('fl_keys', 'where name = ? and (expires is null or expires > ?)', q.name, q.now)
        return row ? { value: row['value'], version: row['version'] } : null
      }
      case 'keys':
        return this.#sound(
          'fl_keys',
          'where name >= ?1 and name < ?1 || char(1114111) and (expires is null or expires > ?2) order by name',
          q.prefix,
          q.now,
        ).map(({ name, value, version }) => ({ name, value, version }))
      case 'leases':
        return this.#all('select name, worker, epoch from fl_leases where worker is not null')
      case 'workers':
        return this.#all('select id, beat, level, host, pid, started from fl_workers')
      case 'nextDelayed':
        return this.#get('select min(due) n from fl_delayed')?.['n'] ?? null
      case 'calls':
        return this.#marked(
          'fl_calls',
          `where (?1 is null or connection = ?1)
           and (?2 is null or outcome = ?2 or (?2 = 'failed' and outcome <> 'ok')) and id < ?3 order by id desc limit ?4`,
          q.connection ?? null,
          q.outcome ?? null,
          q.before ?? Number.MAX_SAFE_INTEGER,
          q.limit,
        )
      case 'audit':
        return this.#marked('fl_audit', 'order by id desc limit ?', q.limit)
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

  /** Rows of a table in which a damaged one stops who asks for it. */
  #sound(table: Table, which: string, ...values: SQLInputValue[]): Row[] {
    return assertSound(table, this.#all(`select * from ${table} ${which}`, ...values))
  }

  #marked(table: 'fl_calls' | 'fl_audit', which: string, ...values: SQLInputValue[]): Row[] {
    return marked(table, this.#all(`select * from ${table} ${which}`, ...values))
  }

  #all(text: string, ...values: SQLInputValue[]): Row[] {
    return this.#statements.all(text, ...values)
  }

  #get(text: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#statements.get(text, ...values)
  }
}
