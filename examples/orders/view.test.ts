import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Snapshot } from './progress.ts'
import { bar, clock, table } from './table.ts'
import { block, line } from './view.ts'

const parked = { retry: 1, held: 2, behind: 3, dead: 4 }
const snapshot: Snapshot = {
  elapsed: 65_000,
  phase: 'sending',
  planned: 500,
  answered: 250,
  accepted: 200,
  duplicate: 30,
  refused: 20,
  answersPerSecond: 12.34,
  effectsPerSecond: 9,
  p50: 2,
  p99: 9,
  kills: 1,
  engineUp: true,
  engine: {
    topics: [],
    subscriptions: Array.from({ length: 30 }, (_, i) => ({ name: `s${i}`, topic: 't', lag: 1, parked })),
    connections: [{ name: 'payments', breaker: 'open', running: 2 }],
  },
  apis: undefined,
}

test('the block has at most 20 lines, however many subscriptions there are', () => {
  assert.equal(block(snapshot).length, 20)
  assert.match(block(snapshot).join('\n'), /1:05.*sending.*killed 1 times/)
  assert.match(block(snapshot).join('\n'), /payments\s+open\s+2/)
})

test('the plain line adds up what is parked and names what is down', () => {
  assert.match(line(snapshot), /waiting 30 retry 30 held 60 behind 90 dead 120 · payments open$/)
  assert.match(line({ ...snapshot, engineUp: false }), /engine DOWN$/)
})

test('both can be drawn before anything is known', () => {
  const nothing = { ...snapshot, engine: undefined, apis: undefined }
  assert.ok(block(nothing).length <= 20)
  assert.match(line(nothing), /^1:05/)
})

test('columns of numbers stand to the right, text to the left', () => {
  assert.deepEqual(
    table(
      ['name', 'n'],
      [
        ['a', 1],
        ['bcdef', 100],
      ],
    ),
    ['name     n', 'a        1', 'bcdef  100'],
  )
  assert.equal(bar(1, 2, 4), '██░░')
  assert.equal(bar(0, 0, 4), '░░░░')
  assert.equal(clock(61_500), '1:01')
})
