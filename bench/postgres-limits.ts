import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import type { Postgres } from '../tools/servers/postgres.ts'
import { database } from './contenders/databases.ts'
import { event, events } from './workload.ts'

const span = 1_500

/**
 * What this PostgreSQL can do with the same rows and no engine: `unnest` inserts of 1,000 rows on one connection, one row a
 * transaction over 16 connections, COPY of 10,000 rows. Three columns and a primary key that the client counts.
 */
export async function postgresLimits(server: Postgres): Promise<Record<string, number>> {
  await using at = await database(server)
  const pool = new pg.Pool({ connectionString: at.url, max: 16 })
  try {
    await pool.query(
      'create table bare (seq bigint primary key, id text not null, key text not null, body text not null)',
    )
    let seq = 0
    await at.run('checkpoint')
    const commits = await perSecond(16, async () => {
      const e = event()
      await pool.query({
        name: 'single',
        text: 'insert into bare values ($1, $2, $3, $4)',
        values: [seq++, e.id, e.key, JSON.stringify(e)],
      })
      return 1
    })
    const unnest = await perSecond(1, async () => {
      const rows = events(1000)
      await pool.query({
        name: 'unnest',
        text: 'insert into bare select * from unnest($1::bigint[], $2::text[], $3::text[], $4::text[])',
        values: [
          rows.map(() => seq++),
          rows.map((e) => e.id),
          rows.map((e) => e.key),
          rows.map((e) => JSON.stringify(e)),
        ],
      })
      return rows.length
    })
    await at.run('checkpoint')
    const client = await pool.connect()
    const copy = await perSecond(1, async () => {
      const rows = events(10_000)
      // As text: the JSON of these events holds neither tab, newline nor backslash.
      const text = rows.map((e) => `${seq++}\t${e.id}\t${e.key}\t${JSON.stringify(e)}\n`).join('')
      await pipeline(Readable.from([text]), client.query(copyFrom('copy bare from stdin')))
      return rows.length
    })
    client.release()
    return { limit_unnest: unnest, limit_commits_16: commits, limit_copy: copy }
  } finally {
    await pool.end()
  }
}

async function perSecond(lanes: number, work: () => Promise<number>): Promise<number> {
  let count = 0
  const run = async (ms: number): Promise<number> => {
    count = 0
    const begun = performance.now()
    await Promise.all(
      Array.from({ length: lanes }, async () => {
        while (performance.now() - begun < ms) {
          const done = await work()
          count += done // not `+= await`: that adds to what it was before the wait
        }
      }),
    )
    return (count / (performance.now() - begun)) * 1000
  }
  await run(span / 3)
  return run(span)
}
