import type { Clock } from '#kernel/clock.ts'
import { fault } from '#kernel/fault.ts'
import { offsetCount, type Parked, type Read, type ReadResult, type Stored } from '../port.ts'
import type { Connector } from './connect.ts'
import { bitmapOf, escapeText } from './encode.ts'
import { storeFault } from './errors.ts'
import { Link } from './link.ts'
import { Lost, sqlState, type Row } from './session.ts'
import { Topics, type Segment } from './topics.ts'

/** SQLSTATE: the table is gone, dropped by retention. */
const noTable = '42P01'
const parkedColumns = `subscription, partition, "offset", key, id, time, meta, body, bytes, state, attempts, due, since, faults, held_by`

/** The connection for reads. A read that was cut off is asked again: it changes nothing. */
export class Reader {
  readonly topics: Topics
  readonly #connector: Connector
  readonly #clock: Clock
  readonly link: Link

  constructor(connector: Connector, clock: Clock) {
    this.#connector = connector
    this.#clock = clock
    this.link = new Link(connector)
    this.topics = new Topics((text, values, name) => this.#ask(text, values, name))
  }

  async answer<R extends Read>(query: R): Promise<ReadResult<R>> {
    try {
      return (await this.#answer(query)) as ReadResult<R>
    } catch (e) {
      throw storeFault(e)
    }
  }

  async #ask(text: string, values?: readonly unknown[], name?: string): Promise<readonly Row[]> {
    for (const until = this.#clock.mono() + this.#connector.settings.patience; ;) {
      const session = await this.link.session(until)
      try {
        return await session.query(text, values, name)
      } catch (e) {
        if (!(e instanceof Lost)) throw e
        if (this.#clock.mono() >= until) throw fault('store.unreachable', { cause: e })
      }
    }
  }

  async #answer(q: Read): Promise<unknown> {
    switch (q.read) {
      case 'log':
        return this.#log(q)
      case 'newest':
        return this.#newest(q)
      case 'heads': {
        const rows = await this.#ask('select topic, next from fl_heads', undefined, 'heads')
        return (rows as [number, number[]][]).flatMap(([topic, next]) =>
          next.map((n, p) => ({ slot: topic + p, next: n })),
        )
      }
      case 'bounds':
        return this.#bounds(q.slots)
      case 'topics': {
        const rows = await this.#ask('select name, slot, partitions from fl_topics order by name', undefined, 'topics')
        return rows.map(([name, slot, partitions]) => ({ name, slot, partitions }))
      }
      case 'subscriptions': {
        const rows = await this.#ask(
          'select id, name, topic from fl_subscriptions order by name',
          undefined,
          'subscriptions',
        )
        return rows.map(([id, name, topic]) => ({ id, name, topic }))
      }
      case 'cursors': {
        const rows = await this.#ask(
          'select partition, low, done::text from fl_cursors where subscription = $1 order by partition',
          [q.subscription],
          'cursors',
        )
        return rows.map(([partition, low, done]) => ({ partition, low, done: bitmapOf(done as string | null) }))
      }
      case 'parked': {
        const rows = await this.#ask(
          `select ${parkedColumns}, row from fl_parked where ($1::int is null or subscription = $1) and ($2::int is null or partition = $2)
           and ($3::text is null or state = $3) and row > $4 order by row limit $5`,
          [q.subscription ?? null, q.partition ?? null, q.state ?? null, q.after ?? 0, q.limit],
          'parked',
        )
        return rows.map((r) => ({ row: r[15] as number, ...parked(r) }))
      }
      case 'parkedAt':
        return this.#one(
          `select ${parkedColumns} from fl_parked where subscription = $1 and partition = $2 and "offset" = $3`,
          [q.at.subscription, q.at.partition, q.at.offset],
          'parked at',
        )
      case 'parkedFirst':
        return this.#one(
          `select ${parkedColumns} from fl_parked where subscription = $1 and partition = $2 and key = $3 order by "offset" limit 1`,
          [q.subscription, q.partition, escapeText(q.key)],
          'parked first',
        )
      case 'due': {
        const rows = await this.#ask(
          `select ${parkedColumns} from fl_parked where subscription = $1 and state in ('retry', 'held') and due <= $2
           and partition = any ($3::int[]) order by due, "offset" limit $4`,
          [q.subscription, q.now, `{${q.partitions.join()}}`, q.limit],
          'due',
        )
        return rows.map(parked)
      }
      case 'nextDue':
        return this.#value(
          `select due from fl_parked where subscription = $1 and state in ('retry', 'held') and due > $2 order by due, "offset" limit 1`,
          [q.subscription, q.after ?? Number.MIN_SAFE_INTEGER],
          'next due',
        )
      case 'parkedKeys': {
        const rows = await this.#ask(
          'select distinct key from fl_parked where subscription = $1 and partition = $2 and key is not null',
          [q.subscription, q.partition],
          'parked keys',
        )
        return rows.map(([key]) => key)
      }
      case 'parkedCounts': {
        const rows = await this.#ask(
          'select subscription, state, count(*) from fl_parked group by state, subscription',
          undefined,
          'parked counts',
        )
        return rows.map(([subscription, state, count]) => ({ subscription, state, count }))
      }
      case 'key': {
        const [row] = await this.#ask(
          'select value, version from fl_keys where name = $1 and (expires is null or expires > $2)',
          [escapeText(q.name), q.now],
          'key',
        )
        return row ? { value: row[0], version: row[1] } : null
      }
      case 'keys': {
        const rows = await this.#ask(
          'select name, value, version from fl_keys where name >= $1 and name < $1 || chr(1114111) and (expires is null or expires > $2) order by name',
          [escapeText(q.prefix), q.now],
          'keys',
        )
        return rows.map(([name, value, version]) => ({ name, value, version }))
      }
      case 'leases': {
        const rows = await this.#ask(
          'select name, worker, epoch from fl_leases where worker is not null',
          undefined,
          'leases',
        )
        return rows.map(([name, worker, epoch]) => ({ name, worker, epoch }))
      }
      case 'workers': {
        const rows = await this.#ask('select id, beat, level, host, pid, started from fl_workers', undefined, 'workers')
        return rows.map(([id, beat, level, host, pid, started]) => ({ id, beat, level, host, pid, started }))
      }
      case 'nextDelayed':
        return this.#value('select due from fl_delayed order by due, row limit 1', [], 'next delayed')
      case 'calls': {
        const rows = await this.#ask(
          `select id, time, connection, operation, outcome, record from fl_calls where ($1::text is null or connection = $1)
           and ($2::text is null or outcome = $2 or ($2 = 'failed' and outcome <> 'ok')) and id < $3 order by id desc limit $4`,
          [q.connection ?? null, q.outcome ?? null, q.before ?? Number.MAX_SAFE_INTEGER, q.limit],
          'calls',
        )
        return rows.map(([id, time, connection, operation, outcome, record]) => ({
          id,
          time,
          connection,
          operation,
          outcome,
          record,
        }))
      }
      case 'audit': {
        const rows = await this.#ask(
          'select id, time, verb, subject, detail from fl_audit order by id desc limit $1',
          [q.limit],
          'audit',
        )
        return rows.map(([id, time, verb, subject, detail]) => ({ id, time, verb, subject, detail }))
      }
      case 'size':
        return {
          bytes: await this.#value(
            `select coalesce(sum(pg_total_relation_size(oid)), 0)::bigint from pg_class where relnamespace = current_schema()::regnamespace and relkind = 'r' and relname like 'fl\\_%'`,
            [],
            'size',
          ),
        }
    }
  }

  async #log(q: Extract<Read, { read: 'log' }>): Promise<Stored[]> {
    const topic = await this.topics.ofSlot(q.slot)
    const out: Stored[] = []
    if (!topic) return out
    const partition = q.slot - topic.slot
    let left = q.bytes
    let from = q.from
    let anew = false
    for (;;) {
      const segments = await this.topics.segments(topic.slot, anew)
      const at = segments.findLastIndex((s) => s.first[partition]! <= from)
      const segment = segments[at] ?? segments[0]
      if (!segment) return out
      const end = segments[segments.indexOf(segment) + 1]?.first[partition] ?? Number.POSITIVE_INFINITY
      const below = Math.min(q.below, end, offsetCount)
      const page = await this.#page(topic.slot, segment, [
        q.slot,
        from,
        below,
        q.limit - out.length,
        left,
        out.length === 0,
      ])
      if (page === undefined) {
        anew = true // retention has dropped it: what comes next is in a later one
        continue
      }
      left -= page.bytes
      out.push(...page.messages)
      from = (out.at(-1)?.offset ?? from - 1) + 1
      if (page.full || out.length >= q.limit || from >= q.below) return out
      if (end < q.below) {
        from = Math.max(from, end)
        anew = false
      } else if (end === Number.POSITIVE_INFINITY && !anew) {
        anew = true // what the newest segment known here does not have may be in a newer one
      } else return out
    }
  }

  /** At most `limit` messages that have `bytes` together, the first whatever its size if nothing was read before. Undefined: the table is gone. */
  async #page(
    topic: number,
    { segment }: Segment,
    [slot, from, below, limit, bytes, first]: readonly [number, number, number, number, number, boolean],
  ): Promise<{ readonly messages: readonly Stored[]; readonly bytes: number; readonly full: boolean } | undefined> {
    const base = slot * offsetCount
    try {
      const rows = await this.#ask(
        pageOf(topic, segment),
        [base + from, base + below, limit, bytes, first, base],
        `log ${topic} ${segment}`,
      )
      const last = rows.at(-1)
      return { messages: rows.map(stored), bytes: Number(last?.[7] ?? 0), full: rows.length < Number(last?.[8] ?? 0) }
    } catch (e) {
      if (sqlState(e) === noTable) return undefined
      throw e
    }
  }

  async #newest(q: Extract<Read, { read: 'newest' }>): Promise<Stored[]> {
    const topic = await this.topics.ofSlot(q.slot)
    const out: Stored[] = []
    if (!topic) return out
    const base = q.slot * offsetCount
    for (const { segment } of (await this.topics.segments(topic.slot, true)).toReversed()) {
      if (out.length >= q.limit) break
      const rows = await this.#ask(
        `select pos - $4, time, id, key, meta, body, bytes from fl_log_${topic.slot}_${segment} where pos >= $1 and pos < $2 order by pos desc limit $3`,
        [base, base + Math.min(q.below, offsetCount), q.limit - out.length, base],
        `newest ${topic.slot} ${segment}`,
      )
      out.push(...rows.map(stored))
    }
    return out
  }

  async #bounds(slots: readonly number[]): Promise<{ slot: number; first: number; next: number }[]> {
    await this.topics.refresh()
    const found = new Map<number, number>()
    for (const topic of new Set(slots.map((s) => this.topics.find(s)).filter((t) => t !== undefined))) {
      const left = new Set(slots.filter((s) => s >= topic.slot && s < topic.slot + topic.partitions))
      for (const { segment } of await this.topics.segments(topic.slot, true)) {
        if (left.size === 0) break
        const rows = (await this.#ask(
          `select s, (select pos from fl_log_${topic.slot}_${segment} where pos >= s::bigint << 38 and pos < (s + 1)::bigint << 38 order by pos limit 1) from unnest($1::int[]) s`,
          [`{${[...left].join()}}`],
          `first ${topic.slot} ${segment}`,
        )) as [number, number | null][]
        for (const [slot, pos] of rows) {
          if (pos === null) continue
          found.set(slot, pos % offsetCount)
          left.delete(slot)
        }
      }
    }
    return slots.map((slot) => {
      const topic = this.topics.find(slot)
      return { slot, first: found.get(slot) ?? 0, next: topic?.next[slot - topic.slot] ?? 0 }
    })
  }

  async #one(text: string, values: readonly unknown[], name: string): Promise<Parked | null> {
    const [row] = await this.#ask(text, values, name)
    return row ? parked(row) : null
  }

  async #value(text: string, values: readonly unknown[], name: string): Promise<unknown> {
    return (await this.#ask(text, values, name))[0]?.[0] ?? null
  }
}
/** Sizes are known without reading the bodies, so what does not fit is not read. */
export function pageOf(topic: number, segment: number): string {
  return `select pos - $6, time, id, key, meta, body, bytes, size, total from (
      select *, sum(octet_length(coalesce(body, '')) + coalesce(octet_length(bytes), 0)) over w as size, row_number() over w as n, count(*) over () as total
      from (select * from fl_log_${topic}_${segment} where pos >= $1 and pos < $2 order by pos limit $3) page
      window w as (order by pos rows unbounded preceding)) sized
    where size <= $4 or (n = 1 and $5)`
}

function stored(r: Row): Stored {
  const [offset, time, id, key, meta, body, bytes] = r
  return { offset, time, id, key, meta, body: body ?? bytes } as Stored
}

function parked(r: Row): Parked {
  const [
    subscription,
    partition,
    offset,
    key,
    id,
    time,
    meta,
    body,
    bytes,
    state,
    attempts,
    due,
    since,
    faults,
    heldBy,
  ] = r
  return {
    subscription,
    partition,
    offset,
    key,
    id,
    time,
    meta,
    body: body ?? bytes,
    state,
    attempts,
    due,
    since,
    faults,
    heldBy,
  } as Parked
}
