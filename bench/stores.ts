import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StoreAdapter } from 'fairlead'
import { postgres } from 'fairlead/postgres'
import { sqlite } from 'fairlead/sqlite'
import { startPostgres, type Postgres } from '../tools/servers/postgres.ts'
import { database } from './contenders/databases.ts'

/** An empty store for one part of a bench, gone when it is disposed. */
export interface BenchStore extends AsyncDisposable {
  /** What `adapterAt` takes, so that a child process can open the same one. */
  readonly at: string
  readonly adapter: StoreAdapter
  /** Bytes of its write-ahead log. */
  wal(): Promise<number>
  /** As a place's: what was written before reaches the disk now. */
  rest?(): Promise<void>
}

export function adapterAt(at: string): StoreAdapter {
  return at.startsWith('postgres:') ? postgres(at) : sqlite(at)
}

export function sqliteStore(): Promise<BenchStore> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-bench-'))
  const at = join(folder, 'fairlead.db')
  return Promise.resolve({
    at,
    adapter: adapterAt(at),
    wal: () => Promise.resolve(statSync(`${at}-wal`, { throwIfNoEntry: false })?.size ?? 0),
    [Symbol.asyncDispose]: () => Promise.resolve(rmSync(folder, { recursive: true })),
  })
}

/** A database of the server; the write-ahead log is that of the whole server. */
export async function postgresStore(server: Postgres): Promise<BenchStore> {
  const at = await database(server)
  return {
    at: at.url,
    adapter: adapterAt(at.url),
    async wal() {
      const [row] = await at.run('select sum(size) bytes from pg_ls_waldir()')
      return Number(row?.['bytes'])
    },
    rest: async () => void (await at.run('checkpoint')),
    [Symbol.asyncDispose]: () => at[Symbol.asyncDispose](),
  }
}

/** The stores that `--store` names, and what they need while the bench runs. */
export interface Stores extends AsyncDisposable {
  empty(): Promise<BenchStore>
  /** Process id of the server, if there is one: its CPU counts. */
  readonly server?: number
}

export async function stores(kind: string): Promise<Stores> {
  if (kind === 'sqlite') return { empty: sqliteStore, [Symbol.asyncDispose]: () => Promise.resolve() }
  if (kind !== 'postgres') throw new Error(`--store is ${kind}: sqlite or postgres`)
  const server = await startPostgres()
  return {
    empty: () => postgresStore(server),
    server: server.pid,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}
