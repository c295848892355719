import type { Env, Result, Scenario } from '../scenario.ts'
import { Arena } from '../world/arena.ts'
import { concurrency, type Fact } from '../world/definitions.ts'
import { look } from '../world/look.ts'
import { until } from '../world/pause.ts'

/** Handlers that are caught in the middle of a call. One fewer than may run at once: a message comes in meanwhile. */
const caught = concurrency - 1

/**
 * A process stands still in the middle of its handlers, longer than its lease. Another one takes over and ends their
 * messages. Then the first wakes up: its calls are answered at last, nothing
 * can abort them, and its handlers write their rows and come to commit.
 */
async function run(env: Env): Promise<Result> {
  let stale = 0
  let woken = 0
  await using arena = new Arena(env)
  await arena.open()
  const { client, outside, place, ledger } = arena
  for (let round = 0; round < env.kills; round++) {
    const frozen = (arena.current = arena.spawn())
    await frozen.ready
    outside.hold()
    const facts = Array.from({ length: caught }, (_, i): Fact => ({
      u: `z${round}-${i}`,
      key: `k${i}`,
      manner: 'stubborn',
    }))
    const repeatsBefore = outside.repeats
    await Promise.all(facts.map((f) => client.hand(f)))
    await until('all calls wait', () => outside.waiting === caught)
    // Stopped inside a transaction it would hold the file's one write lock, and nobody could take over.
    const names = new Set(facts.map((f) => f.u))
    const mine = async (): Promise<readonly { readonly sub: string; readonly u: string; readonly pid: number }[]> =>
      (await look(place)).rows.filter((r) => names.has(r.u))
    await until('the other subscriptions are done', async () => (await mine()).length === 2 * caught)
    frozen.kill('SIGSTOP')
    arena.fault()
    const other = (arena.current = arena.spawn())
    await other.ready
    const during = client.hand({ u: `y${round}`, key: null, manner: 'ok' })
    await until('another process has taken the calls over', () => outside.repeats - repeatsBefore >= caught)
    outside.release()
    await during
    await until('and has ended them', async () => (await mine()).filter((r) => r.sub === 'calls').length >= caught)
    frozen.kill('SIGCONT')
    await until('the woken handlers have come to their ends', () => frozen.ran.length >= caught)
    // It is fenced, and takes part again: it accepts, and its later commits are its own.
    arena.current = frozen
    await client.hand({ u: `x${round}`, key: null, manner: 'ok' })
    await frozen.ask({ do: 'quiet' })
    woken += frozen.ran.filter((r) => names.has(r.slice('calls '.length))).length
    stale += (await mine()).filter((r) => r.sub === 'calls' && r.pid === frozen.pid).length
    await other.stop()
    await frozen.stop()
    env.say(`freeze: ${round + 1} of ${env.kills}, ${ledger.acknowledged} acknowledged`)
  }
  const verdict = await arena.finish()
  const again = `npm run chaos -- freeze --kills ${env.kills} --seed ${env.seed}`
  return arena.result(verdict, again, {
    injected: env.kills,
    more: { stale_runs: woken, stale_commits: stale },
    broken: stale > 0 ? [`${stale} commits of a process that had lost its lease were accepted`] : [],
  })
}

export const freeze: Scenario = {
  name: 'freeze',
  about: `SIGSTOP with ${caught} handlers in a call, past the lease, another process takes over, SIGCONT; --kills times`,
  kills: 1,
  every: 1,
  run,
}
