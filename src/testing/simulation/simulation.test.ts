import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate, type Result } from './simulation.ts'

/**
 * The laws of the journal over simulated worlds: one seed is one run of engines, clients, handlers and operators with
 * everything that may happen to them. Longer: `FAIRLEAD_SEEDS=5000 node --test test/laws/laws.test.ts`. One again, with
 * its whole timeline: `FAIRLEAD_SEED=<seed> node --test test/laws/laws.test.ts`.
 */
const only = process.env['FAIRLEAD_SEED']
const first = Number(only ?? process.env['FAIRLEAD_FROM'] ?? 1)
const seeds = only === undefined ? Number(process.env['FAIRLEAD_SEEDS'] ?? 80) : 1
/** Worlds in one test. */
const together = 20

for (let from = first; from < first + seeds; from += together) {
  const to = Math.min(from + together, first + seeds) - 1
  test(`what was accepted is kept, handled in order and once, in the worlds ${from} to ${to}`, async (t) => {
    const began = performance.now()
    const sum = { accepted: 0, runs: 0, parked: 0, hours: 0 }
    for (let seed = from; seed <= to; seed++) {
      const result = await simulate(seed)
      assert.equal(result.broken.length, 0, told(seed, result))
      sum.accepted += result.seen.accepted
      sum.runs += result.seen.runs
      sum.parked += result.seen.parked
      sum.hours += result.seen.time / 3_600_000
    }
    assert.ok(only !== undefined || (sum.accepted > 0 && sum.runs > sum.accepted), 'nothing was played')
    if (process.env['FAIRLEAD_SEEDS'] !== undefined) {
      const ms = Math.round((performance.now() - began) / (to - from + 1))
      t.diagnostic(
        `${sum.accepted} accepted, ${sum.runs} runs, ${sum.parked} parked, ${Math.round(sum.hours)} hours; ${ms} ms a world`,
      )
    }
  })
}

test('a seed is one run: played twice it is the same to the last line', async () => {
  for (const seed of [first, first + 7, first + 21]) {
    const [a, b] = [await simulate(seed), await simulate(seed)]
    assert.deepEqual(a.timeline, b.timeline)
    assert.deepEqual(a.broken, b.broken)
  }
})

function told(seed: number, { broken, timeline, swarm }: Result): string {
  const shown = only === undefined ? timeline.slice(-40) : timeline
  return [
    `world ${seed} breaks a law:`,
    ...broken.slice(0, 20),
    'Again: FAIRLEAD_SEED=' + seed + ' node --test test/laws/laws.test.ts',
    JSON.stringify(swarm),
    ...shown,
  ].join('\n')
}
