import { faultProxy, type Direction, type FaultProxy, type WireFaults } from 'fairlead/testing'
import type { Postgres } from '../../../tools/servers/postgres.ts'
import type { Env, Result } from '../scenario.ts'
import { Arena } from '../world/arena.ts'
import { pause } from '../world/pause.ts'
import { postgresPlace, withServer } from '../world/postgres.ts'

type Trouble = { readonly name: string; readonly do: (proxy: FaultProxy, direction: Direction, bytes: number) => void }

const faults = (name: string, made: (bytes: number) => WireFaults): Trouble => ({
  name,
  do: (proxy, direction, bytes) => proxy.inject(direction, made(bytes)),
})

const troubles: readonly Trouble[] = [
  { name: 'reset', do: (proxy) => proxy.reset() },
  faults('reset_after', (after) => ({ end: { how: 'reset', after } })),
  faults('close_after', (after) => ({ end: { how: 'close', after } })),
  faults('half_close', (after) => ({ end: { how: 'half-close', after } })),
  faults('black_hole', () => ({ blackHole: true })),
  faults('stall', () => ({ bytesPerSecond: 0 })),
  faults('slice', () => ({ slice: { bytes: 32, pause: '2ms' }, latency: '5ms', jitter: '20ms' })),
  {
    name: 'refuse',
    do: (proxy) => {
      proxy.refuse()
      proxy.reset()
    },
  },
]

/**
 * Between two engines and their database stands a proxy that does to the connections whatever can happen to them, in one
 * direction or both. An answer that is lost on its way leaves a commit of which nobody knows whether it happened.
 */
async function run(env: Env, server: Postgres): Promise<Result> {
  await using proxy = await faultProxy({ target: { port: server.port }, seed: env.seed })
  await using arena = new Arena({ ...env, fresh: () => postgresPlace(server, proxy.port) })
  await arena.open()
  const { client, random, outside } = arena
  const members = [arena.spawn(), arena.spawn()]
  await Promise.all(members.map((m) => m.ready))
  let turn = 0
  client.pick = () => members[turn++ % 2]
  client.start(16, 15)
  const did: Record<string, number> = {}
  for (let i = 0; i < env.kills; i++) {
    await pause(100 + random.float() * 400)
    // Each kind in turn, so that a short run has all of them; the direction is drawn.
    const trouble = troubles[i % troubles.length]!
    const direction = (['up', 'down', 'both'] as const)[Math.floor(random.float() * 3)]!
    did[trouble.name] = (did[trouble.name] ?? 0) + 1
    arena.fault()
    trouble.do(proxy, direction, Math.floor(random.float() * 2_000))
    await pause(100 + random.float() * 900)
    await proxy.heal()
    env.say(
      `pg-wires: ${i + 1} of ${env.kills} (${trouble.name} ${direction}), ${arena.ledger.acknowledged} acknowledged`,
    )
  }
  client.pick = undefined
  arena.current = members[0]
  await members[1]!.stop()
  const verdict = await arena.finish()
  return arena.result(verdict, `npm run chaos -- pg-wires --kills ${env.kills} --seed ${env.seed}`, {
    injected: env.kills,
    more: { ...did, repeated_calls: outside.repeats, bytes_swallowed: proxy.counts.swallowed },
  })
}

export const pgWires = withServer(
  {
    name: 'pg-wires',
    about:
      'connections to PostgreSQL are reset, closed, half-closed, black-holed, stalled, sliced, refused; --kills times',
    kills: 8,
    every: 1,
  },
  run,
)
