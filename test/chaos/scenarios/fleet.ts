import type { Env, Result, Scenario } from '../scenario.ts'
import { Arena } from '../world/arena.ts'
import type { Member } from '../world/member.ts'
import { pause } from '../world/pause.ts'

const size = 3

/** Several engines on one store; each round one of them, drawn by the seed, is killed, stands still for a while, or leaves in order. */
async function run(env: Env): Promise<Result> {
  await using arena = new Arena(env)
  await arena.open()
  const { client, random, outside } = arena
  const members: Member[] = []
  const frozen = new Set<Member>()
  const join = (): Member => {
    const member = arena.spawn()
    members.push(member)
    return member
  }
  const leave = (member: Member): void => void members.splice(members.indexOf(member), 1)
  // Clients talk to whoever is awake, another one each time.
  let turn = 0
  client.pick = () => {
    const awake = members.filter((m) => m.alive && !frozen.has(m))
    return awake[turn++ % Math.max(1, awake.length)]
  }
  await Promise.all(Array.from({ length: size }, () => join().ready))
  client.start(12, 25)
  const did = { killed: 0, frozen: 0, left: 0 }
  for (let i = 0; i < env.kills; i++) {
    await pause(50 + random.float() * 400)
    const victim = members[Math.floor(random.float() * members.length)]!
    const draw = random.float()
    if (draw < 0.45) {
      did.killed++
      leave(victim)
      arena.fault()
      victim.kill()
      await victim.ended
      await join().ready
    } else if (draw < 0.75) {
      did.frozen++
      frozen.add(victim)
      victim.kill('SIGSTOP')
      await pause(50 + random.float() * 1_500)
      victim.kill('SIGCONT')
      frozen.delete(victim)
    } else {
      did.left++
      leave(victim)
      await Promise.all([victim.stop(), join().ready])
    }
  }
  for (const m of members.slice(1)) await m.stop()
  arena.current = members[0]
  client.pick = undefined
  const verdict = await arena.finish()
  return arena.result(verdict, `npm run chaos -- fleet --kills ${env.kills} --seed ${env.seed}`, {
    injected: env.kills,
    more: { ...did, repeated_calls: outside.repeats },
  })
}

export const fleet: Scenario = {
  name: 'fleet',
  about: `${size} engines on one store: each round one is killed, stands still, or leaves and another joins; --kills rounds`,
  kills: 12,
  every: 1,
  run,
}
