import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explore } from './explore.ts'
import { simulate } from './simulation.ts'
import { stored } from './stored.ts'

/** Worlds played by `npm test`; `npm run simulate` plays as many as you like. */
const worlds = 80
/** In one test. */
const together = 20

for (let from = 1; from <= worlds; from += together) {
  test(`what was accepted is kept, handled in order and once, in the worlds ${from} to ${from + together - 1}`, async () => {
    const { failure, accepted, runs } = await explore({ from, seeds: together, seedsOnly: true, more: () => true })
    assert.equal(failure, undefined, `npm run simulate -- --seed ${failure?.world}\n${failure?.broken.join('\n')}`)
    assert.ok(accepted > together && runs > accepted, 'nothing was played')
  })
}

for (const { name, why, decisions } of stored) {
  test(`a world that once failed holds: ${name}, ${why}`, async () => {
    const { broken, seen } = await simulate(decisions)
    assert.deepEqual(broken, [])
    assert.ok(seen.runs > 0, 'nothing was played')
  })
}

test('a seed is one run: played twice it is the same to the last line, and so is its list of decisions', async () => {
  for (const seed of [2, 7, 21]) {
    const first = await simulate(seed)
    const again = await simulate(seed)
    const replayed = await simulate(first.decisions)
    assert.deepEqual(again.timeline, first.timeline)
    assert.deepEqual(replayed.timeline, first.timeline)
    assert.deepEqual([again.hash, replayed.hash], [first.hash, first.hash])
  }
})

test('without any decision nothing happens: one process, no fault', async () => {
  const { broken, seen, coverage } = await simulate({})
  assert.deepEqual(broken, [])
  assert.equal(seen.accepted, 0)
  assert.deepEqual([...coverage.faults], [])
})

test('a power cut in the middle of a sync loses the tail of the log, and nothing that was answered', async () => {
  const decisions = {
    'swarm storm': [1],
    'swarm sync': [1],
    'swarm syncing': [2],
    'swarm power': [1],
    'step/0 what': [1],
    'step/1 wait': [5],
    'step/1 what': [1],
    'step/2 what': [13],
    'p100 sync': Array.from({ length: 40 }, () => 150),
  }
  const { broken, coverage, timeline } = await simulate(decisions)
  assert.deepEqual(broken, [])
  assert.equal(coverage.faults.get('power cut'), 1, timeline.join('\n'))
  assert.equal(coverage.faults.get('lost tail'), 1)
})
