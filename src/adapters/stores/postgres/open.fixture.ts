import { after } from 'node:test'
import type { Clock } from '#kernel/clock.ts'
import { uuid7 } from '#kernel/id.ts'
import type { Log } from '#kernel/log.ts'
import type { Runtime } from '#kernel/runtime.ts'
import { seededRandom } from '#testing/random.ts'
import { startPostgres, type Postgres } from '../../../../tools/servers/postgres.ts'
import type { Subject } from '../conformance/trial.ts'
import type { Store } from '../port.ts'
import { postgres, type PostgresOptions } from './index.ts'

let started: Promise<Postgres> | undefined
let schemas = 0

/** One server for all tests of the process, started with the first that asks, without fsync: nobody asks it to survive. */
export function server(): Promise<Postgres> {
  started ??= startPostgres({ volatile: true })
  return started
}

after(async () => (await started)?.[Symbol.asyncDispose]())

/** Opens a store that runs on this clock. */
export async function openStore(
  schema: string,
  clock: Clock,
  options: PostgresOptions = {},
  log: Log = { write: () => {} },
): Promise<Store> {
  const random = seededRandom(++schemas)
  const runtime = { clock, random, ids: uuid7(clock, random), log } as unknown as Omit<Runtime, 'store'>
  return postgres((await server()).url, { schema, ...options }).open(runtime)
}

export function newSchema(): string {
  return `test_${++schemas}`
}

/** A store in a schema of its own, gone with it. */
export async function inSchema(clock: Clock, options: PostgresOptions = {}): Promise<Subject> {
  const schema = newSchema()
  const open: Store[] = []
  const opened = async (): Promise<Store> => {
    open.push(await openStore(schema, clock, options))
    return open.at(-1)!
  }
  return {
    store: await opened(),
    second: opened,
    async reopen() {
      await open[0]![Symbol.asyncDispose]()
      return opened()
    },
    async close() {
      for (const store of open) await store[Symbol.asyncDispose]()
      await drop(schema)
    },
  }
}

export async function drop(schema: string): Promise<void> {
  await ask(`drop schema if exists "${schema}" cascade; drop table if exists mine`)
}

/** As the superuser, on a connection of its own that may write. */
export async function ask(text: string): Promise<readonly Record<string, unknown>[]> {
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: (await server()).url })
  await client.connect()
  await client.query('set default_transaction_read_only = off')
  try {
    const result = (await client.query(text)) as { rows?: Record<string, unknown>[] }
    return result.rows ?? []
  } finally {
    await client.end()
  }
}
