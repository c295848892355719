import type { Env, Result, Scenario } from '../scenario.ts'
import { Arena } from '../world/arena.ts'
import { concurrency } from '../world/definitions.ts'
import { pause } from '../world/pause.ts'

async function run(env: Env): Promise<Result> {
  await using arena = new Arena(env)
  await arena.open()
  const { client, outside, random } = arena
  client.start(16, 15)
  let duplicates = 0
  let repeats = 0
  for (let i = 0; i < env.kills; i++) {
    const member = arena.spawn()
    // One in five dies while it starts: recovery itself is killed, too.
    const early = random.float() < 0.2
    const after = early ? random.float() * 250 : 10 + random.float() * 790
    arena.current = member
    if (!early) await member.ready
    await pause(after)
    duplicates = Math.max(duplicates, outside.repeats - repeats)
    repeats = outside.repeats
    arena.fault()
    member.kill()
    await member.ended
    if ((i + 1) % 100 === 0) env.say(`kills: ${i + 1} of ${env.kills}, ${arena.ledger.acknowledged} acknowledged`)
  }
  const verdict = await arena.finish()
  duplicates = Math.max(duplicates, outside.repeats - repeats)
  const again = `npm run chaos -- kills --kills ${env.kills} --seed ${env.seed}`
  return arena.result(verdict, again, {
    injected: env.kills,
    duplicates,
    more: { repeated_calls: outside.repeats },
    // What one kill left may be repeated after the next one only, so a bound for each would be wrong: it holds for all of them.
    broken:
      outside.repeats > concurrency * env.kills
        ? [`${env.kills} kills repeated ${outside.repeats} calls, at most ${concurrency} handlers run at once`]
        : [],
  })
}

export const kills: Scenario = {
  name: 'kills',
  about: 'SIGKILL at random moments (10 to 800 ms of load, one in five while starting), --kills times',
  kills: 10,
  every: 1,
  run,
}
