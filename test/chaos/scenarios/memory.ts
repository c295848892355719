import { readFileSync } from 'node:fs'
import type { Env, Result, Scenario } from '../scenario.ts'
import { Arena } from '../world/arena.ts'
import type { Fact } from '../world/definitions.ts'
import type { Member } from '../world/member.ts'

/** What an engine may have of a heap, in MiB, and what it is flooded with at once: about ten times as much. */
const heap = 128
const bytes = 65_536
const flood = (10 * heap * 1024 * 1024) / (bytes + 256)

/**
 * An engine with little memory is handed ten times of it at once, by callers who do not wait. It may refuse (`journal.full`), and it may
 * die of it and start again; what it has accepted it must have kept.
 */
async function run(env: Env): Promise<Result> {
  await using arena = new Arena(env)
  await arena.open()
  const { ledger } = arena
  const broken: string[] = []
  let died = 0
  let refused = 0
  let peak = 0
  const start = async (i: number): Promise<Member> => {
    const member = (arena.current = arena.spawn({ flags: [`--max-old-space-size=${heap}`] }))
    member.onFlood = ({ flood, refused: codes }) => {
      for (const [n, ...at] of flood) ledger.accepted(ledger.entry(factOf(i, n)), at)
      for (const [code, times] of Object.entries(codes)) {
        refused += times
        for (let n = 0; n < times; n++) ledger.refused(code)
      }
    }
    await member.ready
    return member
  }
  for (let i = 0; i < env.kills; i++) {
    const member = await start(i)
    const watching = setInterval(() => (peak = Math.max(peak, rss(member.pid))), 50)
    const answer = await member.ask({ do: 'flood', prefix: `m${i}`, count: Math.round(flood), bytes })
    clearInterval(watching)
    if (answer === undefined) {
      died++
      await member.ended
      if (!member.trouble.includes('heap out of memory')) broken.push(`it died of something else: ${member.trouble}`)
    } else await member.stop()
    // What was on its way when the process died may be there, too: nobody was told.
    for (let n = 0; n < flood; n++) ledger.entry(factOf(i, n))
    env.say(
      `memory: flood ${i + 1} of ${env.kills}, ${ledger.acknowledged} acknowledged, ${refused} refused, died ${died}`,
    )
  }
  arena.current = undefined
  const verdict = await arena.finish()
  return arena.result(verdict, `npm run chaos -- memory --kills ${env.kills}`, {
    injected: env.kills,
    more: { flooded: Math.round(flood) * env.kills, died_of_it: died, rss_peak_mib: Math.round(peak) },
    broken,
  })
}

const factOf = (round: number, n: number): Fact => ({ u: `m${round}-${n}`, key: `k${n % 64}`, manner: 'ok' })

/** Resident memory of a process in MiB; 0 where it cannot be read. */
function rss(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}

export const memory: Scenario = {
  name: 'memory',
  about: `a heap of ${heap} MiB, handed about ten times as much at once by callers who do not wait; --kills floods`,
  kills: 1,
  every: 1,
  run,
}
