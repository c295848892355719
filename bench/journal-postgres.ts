import process from 'node:process'
import { postgresBinaries, startPostgres } from '../tools/servers/postgres.ts'
import { graphile } from './contenders/graphile.ts'
import { ours } from './contenders/ours.ts'
import { pgboss } from './contenders/pgboss.ts'
import { rounds } from './contest.ts'
import { medians } from './measure.ts'
import { postgresLimits } from './postgres-limits.ts'
import { postgresStore } from './stores.ts'

export const about = [
  'one PostgreSQL with its own defaults (fsync on), loopback, client and server on the same cores; each contender its own database, 250-byte JSON',
  'pgboss, graphile: with their best settings, VACUUM ANALYZE before process; _default: as they come, measured once',
  'limits: unnest of 1,000 rows, COPY of 10,000, single-row commits over 16 connections; three columns and a primary key',
]

export async function run(): Promise<Record<string, number>> {
  if (postgresBinaries() === undefined) throw new Error('there is no PostgreSQL: set FAIRLEAD_POSTGRES_BIN')
  await using server = await startPostgres()
  process.stderr.write(`journal-postgres: PostgreSQL ${server.version}\n`)
  const defaults = await rounds([graphile(server, 'default'), pgboss(server, 'default')], 1)
  const store = ours(
    'ours',
    () => postgresStore(server),
    () => server.pid,
  )
  const contenders = [store, graphile(server, 'best'), pgboss(server, 'best')]
  return medians([...(await rounds(contenders, 3, () => postgresLimits(server))), ...defaults])
}
