import type { Clock } from '#kernel/clock.ts'
import { fault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Sql } from '#kernel/sql.ts'
import type {
  Entry,
  Joinable,
  Outcome,
  Read,
  ReadResult,
  Store,
  StoreAdapter,
  StoreTransaction,
  Sync,
  Unit,
} from '../port.ts'
import { Connector } from './connect.ts'
import { handingOver } from './hand-over.ts'
import { Listener } from './listen.ts'
import { migrate } from './migrate.ts'
import { settings, type PostgresOptions } from './options.ts'
import { warnOfPages } from './pages.ts'
import { Reader } from './read.ts'
import type { PgClientClass, Session } from './session.ts'
import { Transactions } from './transactions.ts'
import { Writer } from './write.ts'

export type { PostgresOptions } from './options.ts'

/**
 * The store of a fleet: PostgreSQL 14 or later, everything in one schema, through the package `pg` (an optional peer: install
 * it). Any number of processes, on any number of machines, share it.
 *
 * Acknowledged means flushed by the server (its own `synchronous_commit` and replication settings decide how far). A process
 * holds three connections (commits, reads, notices), and one for each open transaction of a user; a pooler between must
 * be in session mode. Several addresses are tried in turn until one can be written to.
 *
 * A lost connection is opened again with growing, jittered pauses; work waits for `patience` (10 s), then is refused with
 * `store.unreachable`. A commit whose answer was lost is looked up when the server is back, and done again only if it did
 * not happen. Rejects at start with `store.open`, `store.rights`, `store.newer`, `store.foreign` or `store.altered`.
 *
 * @example
 * await using app = await fairlead({ store: postgres(process.env.DATABASE_URL), use: [orders] })
 */
export function postgres(url: string | readonly string[], options: PostgresOptions = {}): StoreAdapter {
  const checked = settings(url, options)
  return Object.freeze({
    kind: 'postgres',
    open: async (runtime: Omit<Runtime, 'store'>) => {
      const connector = new Connector(checked, runtime, await client())
      const session = await connector.connect('ours', runtime.clock.mono() + checked.patience)
      try {
        await migrate(session, checked.schema)
        await warnOfPages(session, runtime.log)
        await session.query(`delete from fl_sessions where at < now() - interval '1 day'`)
      } catch (e) {
        await session.close()
        throw e
      }
      return new PostgresStore(connector, runtime.clock, session)
    },
  })
}

async function client(): Promise<PgClientClass> {
  try {
    const { default: pg } = (await import('pg')) as unknown as { default: { Client: PgClientClass } }
    return pg.Client
  } catch (cause) {
    throw fault('store.open', { cause, message: 'the package "pg" is not installed: npm install pg' })
  }
}

class PostgresStore implements Store, Joinable {
  readonly can = { durable: true, shared: 'fleet', writers: 'many', segments: true, joins: true } as const
  readonly #writer: Writer
  readonly #reader: Reader
  readonly #listener: Listener
  readonly #transactions: Transactions
  readonly #schema: string
  #closed: Promise<void> | undefined

  constructor(connector: Connector, clock: Clock, session: Session) {
    this.#schema = connector.settings.schema
    this.#listener = new Listener(connector, clock)
    this.#reader = new Reader(connector, clock)
    this.#reader.link.adopt(session)
    this.#writer = new Writer(connector, clock, this.#reader.topics, (heads, look) => this.#listener.tell(heads, look))
    this.#transactions = new Transactions(connector, clock, () => this.#listener.tell([], true))
  }

  async commit(units: readonly Unit[], sync: Sync): Promise<readonly Outcome[]> {
    this.#assertOpen()
    return this.#writer.commit(units, sync)
  }

  async read<R extends Read>(query: R): Promise<ReadResult<R>> {
    this.#assertOpen()
    return this.#reader.answer(query)
  }

  async begin(limit: number): Promise<StoreTransaction> {
    this.#assertOpen()
    return this.#transactions.begin(limit)
  }

  handOver(entry: Entry): Sql {
    return handingOver(this.#schema, entry)
  }

  watch(changed: Parameters<Store['watch']>[0]): () => void {
    return this.#listener.watch(changed)
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    await this.#listener.close()
    await this.#transactions.close()
    await this.#writer.close()
    await this.#reader.link.close()
  }

  #assertOpen(): void {
    if (this.#closed) throw fault('store.closed')
  }
}
