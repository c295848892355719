import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FaultKind } from '#kernel/codes.ts'
import { Fault, fault } from '#kernel/fault.ts'
import { seededRandom } from '#testing/random.ts'
import { park, type RetryPlan } from './parking.ts'

const now = 1_000_000
const plan: RetryPlan = { attempts: 5, delay: (retry) => retry * 100 }
const random = seededRandom(1)
const of = (kind: FaultKind, detail?: Record<string, unknown>, retryAfter?: number): Fault =>
  new Fault('test.code', kind, { ...(detail ? { detail } : {}), ...(retryAfter === undefined ? {} : { retryAfter }) })

/** DESIGN §6: what the kind of a fault does to the message. */
const table: Readonly<Record<FaultKind, 'retry' | 'held' | 'dead'>> = {
  transient: 'retry',
  throttled: 'held',
  ambiguous: 'retry',
  credential: 'held',
  conflict: 'retry',
  rejected: 'dead',
  invalid: 'dead',
  config: 'dead',
  cancelled: 'retry',
  bug: 'dead',
}

for (const [kind, state] of Object.entries(table) as [FaultKind, string][]) {
  test(`a fault of kind ${kind} makes a message ${state}`, () => {
    const verdict = park(of(kind, { connection: 'api' }), 1, plan, now, random)
    assert.equal(verdict.state, state)
    assert.equal(verdict.attempts, state === 'held' ? 1 : 2)
    assert.equal(verdict.heldBy, state === 'held' ? 'api' : null)
  })
}

for (const code of ['connection.breaker_open', 'connection.overloaded', 'resilience.breaker_open'] as const) {
  test(`${code} holds the message, and burns no attempt`, () => {
    const verdict = park(fault(code, { detail: { connection: 'api' } }), 4, plan, now, random)
    assert.deepEqual([verdict.state, verdict.attempts, verdict.heldBy], ['held', 4, 'api'])
    assert.equal(park(fault(code), 4, plan, now, random).heldBy, code)
  })
}

test('a call that may have happened and cannot be repeated is for a person', () => {
  assert.equal(park(fault('connection.unverified'), 0, plan, now, random).state, 'dead')
})

test('the last attempt is the last: dead when the runs are spent, never before', () => {
  const states = [0, 1, 2, 3, 4, 5].map((attempts) => park(of('transient'), attempts, plan, now, random).state)
  assert.deepEqual(states, ['retry', 'retry', 'retry', 'retry', 'dead', 'dead'])
  assert.equal(park(of('transient'), 0, { ...plan, attempts: 1 }, now, random).state, 'dead')
})

test('waits as long as the plan says, longer when asked to, and never more than an hour because somebody asked', () => {
  const due = (f: Fault, attempts = 1): number => park(f, attempts, plan, now, random).due - now
  assert.equal(due(of('transient')), 200)
  assert.equal(due(of('transient', {}, 5_000)), 5_000)
  assert.equal(due(of('transient', {}, 50)), 200)
  assert.equal(due(of('transient', {}, 1e12)), 3_600_000)
  assert.equal(due(of('transient', {}, -1)), 200)
  assert.equal(due(of('throttled')), 5_000)
  assert.equal(due(of('credential')), 60_000)
  assert.equal(due(of('throttled', {}, 12.5)), 13)
  assert.equal(due(of('rejected')), 0)
})

test('whatever fails: nothing is due before now, no attempt is lost, none is burned twice', () => {
  const kinds = Object.keys(table) as FaultKind[]
  fc.assert(
    fc.property(
      fc.constantFrom(...kinds),
      fc.nat(20),
      fc.option(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { nil: undefined }),
      fc.integer({ min: 1, max: 20 }),
      (kind, attempts, retryAfter, most) => {
        const verdict = park(of(kind, {}, retryAfter), attempts, { ...plan, attempts: most }, now, random)
        assert.ok(verdict.due >= now && Number.isInteger(verdict.due))
        assert.equal(verdict.attempts, verdict.state === 'held' ? attempts : attempts + 1)
        assert.equal(verdict.heldBy !== null, verdict.state === 'held')
        if (verdict.state === 'retry') assert.ok(verdict.attempts < most)
      },
    ),
  )
})
