import type { Runtime } from '#kernel/runtime.ts'
import { wait } from '#kernel/clock.ts'
import { fault, isFault, type Fault } from '#kernel/fault.ts'
import { storeFault } from './errors.ts'
import { placeOf, type Settings } from './options.ts'
import { Lost, Session, sqlState, type PgClient, type PgClientClass } from './session.ts'

/** PostgreSQL 14: the oldest that still gets corrections (until November 2026) and that we test. */
const oldest = 140_000
const connectTimeout = 3_000
/** Waits between two tries: from a tenth of a second to a second, each with as much chance as length. */
const firstPause = 100
const longestPause = 1_000

/**
 * What every connection of ours is set to. The plan of a statement is pinned: with these methods off, and planned once for
 * all values, only the index remains, whatever the statistics say. On stale ones the same cursor read was seen to fall from
 * 640,000 rows/s to 39,000. Nobody waits for a lock, or keeps a transaction open, for ever.
 */
function pinned(settings: Settings): readonly (readonly [string, string])[] {
  return [
    ['search_path', `"${settings.schema}"`],
    ['plan_cache_mode', 'force_generic_plan'],
    ...['seqscan', 'bitmapscan', 'hashjoin', 'mergejoin', 'material'].map((m) => [`enable_${m}`, 'off'] as const),
    ['jit', 'off'],
    ['client_min_messages', 'warning'],
  ]
}

function limits(settings: Settings): readonly (readonly [string, string])[] {
  return [
    ['statement_timeout', String(settings.statementTimeout)],
    ['lock_timeout', String(Math.min(10_000, settings.statementTimeout))],
    ['idle_in_transaction_session_timeout', String(settings.statementTimeout)],
  ]
}

export type Use = 'ours' | 'user'

/** Opens connections: to the first server of the list that can be written to. */
export class Connector {
  readonly settings: Settings
  readonly #runtime: Pick<Runtime, 'clock' | 'random' | 'ids'>
  readonly #Client: PgClientClass
  #at = 0

  constructor(settings: Settings, runtime: Pick<Runtime, 'clock' | 'random' | 'ids'>, Client: PgClientClass) {
    this.settings = settings
    this.#runtime = runtime
    this.#Client = Client
  }

  /** Tries every server until one takes us or `until` (monotonic) has come: then `store.unreachable`, with the last reason. */
  async connect(use: Use, until: number): Promise<Session> {
    const { clock, random } = this.#runtime
    for (let pause = firstPause; ; pause = Math.min(longestPause, pause * 2)) {
      try {
        return await this.#once(use)
      } catch (e) {
        if (!isFault(e, 'store.unreachable') || clock.mono() >= until) throw e
        this.#at++
        await wait(clock, pause * (0.5 + random.float()))
      }
    }
  }

  async #once(use: Use): Promise<Session> {
    const { urls } = this.settings
    const url = urls[this.#at % urls.length]!
    const id = this.#runtime.ids.next()
    const client = this.#client(url, id)
    try {
      await client.connect()
    } catch (e) {
      await client.end().catch(() => {})
      throw refusal(e, url)
    }
    const session = new Session(client, id)
    session.isAtWork = () => this.#atWork(url, id)
    try {
      await this.#prepare(session, use, url)
      return session
    } catch (e) {
      await session.close()
      throw isFault(e) ? e : refusal(e, url)
    }
  }

  #client(url: string, id: string): PgClient {
    const client = new this.#Client({
      connectionString: url,
      pipeline: true,
      application_name: `fairlead ${id}`,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      connectionTimeoutMillis: connectTimeout,
      ...(this.settings.ssl ? { ssl: this.settings.ssl } : {}),
    })
    // A socket that fails while the handshake is under way is reported by `connect`, and again as an event.
    client.on('error', () => {})
    return client
  }

  /** Asks on another connection what the session of that id does. Rejects when nobody answers there either. */
  async #atWork(url: string, id: string): Promise<boolean> {
    const client = this.#client(url, this.#runtime.ids.next())
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>(
      (_, reject) => (timer = setTimeout(() => reject(new Error('nobody answers')), connectTimeout)),
    )
    try {
      const asked = client.connect().then(() =>
        client.query({
          text: `select 1 from pg_stat_activity where application_name = $1 and state = 'active'`,
          values: [`fairlead ${id}`],
          rowMode: 'array',
          types: { getTypeParser: () => (v) => v },
        }),
      )
      return (await Promise.race([asked, late])).rows.length > 0
    } finally {
      clearTimeout(timer)
      client.connection.stream.destroy()
    }
  }

  async #prepare(session: Session, use: Use, url: string): Promise<void> {
    const set = [...limits(this.settings), ...(use === 'ours' ? pinned(this.settings) : [])]
    const [[version, replica]] = (await session.query(
      `select current_setting('server_version_num')::int, pg_is_in_recovery() or current_setting('default_transaction_read_only')::bool
       ${set.map((_, i) => `, set_config($${i * 2 + 1}, $${i * 2 + 2}, false)`).join('')}`,
      set.flat(),
    )) as [[number, boolean]]
    const place = placeOf(url)
    if (version < oldest) {
      throw fault('store.open', {
        message: `PostgreSQL ${Math.floor(version / 10_000)} at ${place} is too old: 14 is the first that is supported`,
        detail: { place },
      })
    }
    if (replica)
      throw fault('store.unreachable', { message: `the server at ${place} takes no writes`, detail: { place } })
  }

  /** Resolves when the server has no connection of that name any more: what it was doing is done, or undone. */
  async gone(by: Session, id: string, until: number): Promise<void> {
    const name = `fairlead ${id}`
    for (;;) {
      const [[left]] = (await by.query(
        'select count(pg_terminate_backend(pid))::int from pg_stat_activity where application_name = $1',
        [name],
      )) as [[number]]
      if (left === 0) return
      if (this.#runtime.clock.mono() >= until) throw fault('store.unanswered')
      await wait(this.#runtime.clock, 10)
    }
  }
}

/** Wrong names and passwords do not get better by waiting; a server that is not there may. */
function refusal(e: unknown, url: string): Fault {
  const place = placeOf(url)
  const state = sqlState(e)
  const cause = e instanceof Lost ? e.cause : e
  const said = cause instanceof Error ? cause.message : ''
  if (state === '28P01' || state === '28000')
    return fault('store.rights', {
      cause: e,
      message: `PostgreSQL at ${place} does not let us in: ${said}`,
      detail: { place },
    })
  if (state === '3D000')
    return fault('store.open', {
      cause: e,
      message: `PostgreSQL at ${place} has no such database: ${said}`,
      detail: { place },
    })
  if (state !== undefined && !/^(?:08|53|57)/.test(state)) return storeFault(e, 'store.open')
  return fault('store.unreachable', {
    cause: e,
    message: `PostgreSQL at ${place} cannot be reached: ${said}`,
    detail: { place },
  })
}
