import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Disk, traced, type Kept } from '#adapters/stores/sqlite/power-cut.fixture.ts'
import { seededRandom } from '#testing/random.ts'
import type { Env, Result, Scenario } from '../scenario.ts'
import { audit, type Verdict } from '../world/audit.ts'
import { Arena } from '../world/arena.ts'
import { factory } from '../world/client.ts'
import type { Answer } from '../world/engine.ts'
import { look } from '../world/look.ts'
import { until } from '../world/pause.ts'
import { lackingTool, orderly } from '../world/strace.ts'

/**
 * One run of a whole engine is recorded call by call; then the power is cut at moments drawn by the seed: what had been synced by
 * then, with any part of what had not, is a store that an engine opens, and in which everything acknowledged by then ends well.
 */
async function run(env: Env): Promise<Result> {
  await using arena = new Arena(env)
  await arena.open()
  const { client, place, ledger, outside } = arena
  const record = join(place.folder, 'record')
  const member = (arena.current = arena.spawn({ before: ['strace', ...traced, '-o', record], env: orderly }))
  await member.ready
  const make = factory(seededRandom(env.seed), 'w')
  await Promise.all(Array.from({ length: 40 }, () => client.hand(make())))
  await until('everything is done', async () => (await arena.books()).lost.length === 0)
  await member.stop()
  arena.current = undefined
  const trace = readFileSync(record, 'utf8')
  const random = seededRandom(env.seed)
  const { length } = new Disk(place.folder, trace)
  const moments = Array.from({ length: env.kills }, () => Math.floor(random.float() * (length + 1))).sort(
    (a, b) => a - b,
  )
  const disk = new Disk(place.folder, trace)
  const modes: readonly Kept[] = ['none', 'sectors', 'some', 'all']
  const sum: { -readonly [K in keyof Verdict]: string[] } = { lost: [], doubled: [], disordered: [], strange: [] }
  let acknowledged = 0
  for (const [i, at] of moments.entries()) {
    disk.run(at)
    const kept = modes[i % modes.length]!
    const folder = join(place.folder, `cut-${i}`)
    disk.cut(folder, kept, random)
    const said = disk.said.map((line) => JSON.parse(line) as Answer)
    const accepted = new Map(said.flatMap((a) => ('u' in a ? [[a.u, a.at] as const] : [])))
    acknowledged += accepted.size
    const entries = [...ledger.entries.values()].map((e) => ({
      ...e,
      accepted: accepted.has(e.fact.u),
      at: e.at && accepted.get(e.fact.u),
    }))
    const cut = { kind: place.kind, address: join(folder, 'x.db') } as const
    const engine = arena.spawn({ at: cut })
    await engine.ready
    let verdict: Verdict | undefined
    await until(
      'everything that was accepted has ended',
      async () => {
        const answer = await engine.ask({ do: 'quiet' })
        if (answer === undefined || !('quiet' in answer) || !answer.quiet) return false
        verdict = audit({ entries, charges: outside.effects, ...(await look(cut)) })
        return verdict.lost.length === 0
      },
      15_000,
    ).catch(() => {})
    await engine.stop()
    const name = (s: string): string => `${s} (power cut at call ${at} of ${length}, kept: ${kept})`
    for (const key of ['lost', 'doubled', 'disordered', 'strange'] as const)
      sum[key].push(...(verdict?.[key] ?? ['work did not end']).map(name))
  }
  return {
    ...arena.result(sum, `npm run chaos -- power-cut --kills ${env.kills} --seed ${env.seed}`, {
      injected: env.kills,
      more: { recorded_calls: length },
    }),
    acknowledged,
  }
}

export const powerCut: Scenario = {
  name: 'power-cut',
  about: 'what was not synced is lost, in any part: a recorded run is cut at --kills moments and gone on with',
  kills: 10,
  every: 1,
  lacking: () => lackingTool('strace', '-f', '-e', 'trace=none', 'true'),
  run,
}
