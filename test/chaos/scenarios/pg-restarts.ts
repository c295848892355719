import type { Postgres } from '../../../tools/servers/postgres.ts'
import type { Env, Result } from '../scenario.ts'
import { Arena } from '../world/arena.ts'
import { pause } from '../world/pause.ts'
import { withServer } from '../world/postgres.ts'

/** The server crashes under two engines, again and again; whether a commit happened that nobody answered must be found out. */
async function run(env: Env, server: Postgres): Promise<Result> {
  await using arena = new Arena(env)
  await arena.open()
  const { client, random, outside } = arena
  const members = [arena.spawn(), arena.spawn()]
  await Promise.all(members.map((m) => m.ready))
  let turn = 0
  client.pick = () => members[turn++ % 2]
  client.start(16, 15)
  for (let i = 0; i < env.kills; i++) {
    await pause(100 + random.float() * 900)
    arena.fault()
    await server.stop('immediate')
    await pause(random.float() * 500)
    await server.start()
    env.say(`pg-restarts: ${i + 1} of ${env.kills}, ${arena.ledger.acknowledged} acknowledged`)
  }
  client.pick = undefined
  arena.current = members[0]
  await members[1]!.stop()
  const verdict = await arena.finish()
  return arena.result(verdict, `npm run chaos -- pg-restarts --kills ${env.kills} --seed ${env.seed}`, {
    injected: env.kills,
    more: { repeated_calls: outside.repeats },
  })
}

export const pgRestarts = withServer(
  {
    name: 'pg-restarts',
    about: 'PostgreSQL is stopped with -m immediate and started again under two engines, --kills times',
    kills: 4,
    every: 1,
  },
  run,
)
