import { postgresBinaries, startPostgres, type Postgres } from '../../../tools/servers/postgres.ts'
import type { Env, Result, Scenario } from '../scenario.ts'
import type { Place } from './place.ts'

let places = 0

/** A fresh schema on the server, reached through `port`. */
export function postgresPlace(server: Postgres, port = server.port): Place {
  const url = new URL(server.url)
  url.port = String(port)
  url.hash = `chaos_${++places}`
  return { kind: 'postgres', address: url.href, folder: server.folder, remove: () => {} }
}

/** A scenario with a PostgreSQL of its own: durable, as users run it. */
export function withServer(
  of: Omit<Scenario, 'lacking' | 'run'>,
  run: (env: Env, server: Postgres) => Promise<Result>,
): Scenario {
  return {
    ...of,
    lacking: () => (postgresBinaries() === undefined ? 'no PostgreSQL here: set FAIRLEAD_POSTGRES_BIN' : undefined),
    run: async (env) => {
      await using server = await startPostgres()
      return await run({ ...env, fresh: () => postgresPlace(server) }, server)
    },
  }
}

/** The same scenario on PostgreSQL. */
export function onPostgres(scenario: Scenario): Scenario {
  const { name, about, kills, every } = scenario
  return withServer({ name: `pg-${name}`, about: `${name} on PostgreSQL: ${about}`, kills, every }, async (env) => {
    const result = await scenario.run(env)
    return { ...result, broken: result.broken.map((b) => b.replace(`-- ${name} `, `-- pg-${name} `)) }
  })
}
