import pg from 'pg'
import type { Postgres } from '../../tools/servers/postgres.ts'

export interface Database extends AsyncDisposable {
  readonly url: string
  /** One statement on a connection of its own. */
  run(statement: string): Promise<readonly Record<string, unknown>[]>
}

let count = 0

/** An empty database of the server, dropped when it is disposed. */
export async function database(server: Postgres): Promise<Database> {
  const name = `bench_${count++}`
  const url = server.url.replace(/postgres$/, name)
  await run(server.url, `create database ${name}`)
  return {
    url,
    run: (statement) => run(url, statement),
    [Symbol.asyncDispose]: () => drop(server, name),
  }
}

/** Pools say that they have ended while their connections are still closing: cutting those would be an error of theirs. */
async function drop(server: Postgres, name: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await run(server.url, `drop database ${name}`)
      return
    } catch (e) {
      if ((e as { code?: string }).code !== '55006' || tries === 20) throw e
    }
  }
}

async function run(url: string, statement: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows
  } finally {
    await client.end()
  }
}
