import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Duration } from '#kernel/duration.ts'
import { isFault } from '#kernel/fault.ts'
import { boundsOf, delayOf, isTooOften, pace, paced, type Outcome } from './polling.ts'

const minute = boundsOf({ every: '1m' })
const intervals = (was: Outcome['was'][], of = minute): number[] => {
  let at = pace(of)
  return was.map((w) => (at = paced(at, { was: w })).interval / 1_000)
}

test('quiet polls come more seldom, up to ten times, and changes bring them back', () => {
  assert.deepEqual(
    intervals(['first', 'same', 'same', 'same', 'same', 'same', 'same', 'same']),
    [60, 90, 135, 202.5, 303.75, 455.625, 600, 600],
  )
  const busy = boundsOf({ every: '1m', least: '10s', most: '2m' })
  assert.deepEqual(
    intervals(['changed', 'changed', 'changed', 'same', 'failed', 'failed', 'failed', 'failed'], busy),
    [30, 15, 10, 15, 30, 60, 120, 120],
  )
  assert.deepEqual(intervals(['same', 'failed', 'changed'], boundsOf({ every: '5s', most: '5s' })), [5, 5, 5])
})

test('not faster than they ask for, until they ask for something else, and at most an hour', () => {
  let at = paced(pace(minute), { was: 'first', pollInterval: '120' })
  assert.equal(delayOf(at, 0), 120_000)
  at = paced(at, { was: 'changed' })
  assert.equal(delayOf(at, 0), 120_000)
  for (const odd of ['', 'soon', '-5', '1e9', '1.5'])
    assert.equal(delayOf(paced(at, { was: 'changed', pollInterval: odd }), 0), 120_000)
  assert.equal(delayOf(paced(at, { was: 'changed', pollInterval: '999999999' }), 0), 3_600_000)
  assert.equal(delayOf(paced(at, { was: 'changed', pollInterval: '0' }), 0), 60_000)
})

test('the interval stays within its bounds, whatever comes', () => {
  const was = fc.constantFrom<Outcome['was']>('first', 'changed', 'same', 'failed')
  const seconds = fc.integer({ min: 1, max: 100_000 })
  fc.assert(
    fc.property(
      seconds,
      seconds,
      seconds,
      fc.array(was),
      fc.float({ min: 0, max: 1, noNaN: true }),
      (a, b, c, all, random) => {
        const [least, every, most] = [a, b, c].toSorted((x, y) => x - y).map((s): Duration => `${s}s`)
        const bounds = boundsOf({ every: every!, least: least!, most: most! })
        let at = pace(bounds)
        for (const w of all) {
          const before = at.interval
          at = paced(at, { was: w })
          assert.ok(at.interval >= bounds.least && at.interval <= bounds.most)
          if (w === 'changed') assert.ok(at.interval <= before)
          if (w === 'same' || w === 'failed') assert.ok(at.interval >= before)
          const delay = delayOf(at, random)
          assert.ok(delay >= at.interval && delay <= at.interval * 1.1)
        }
      },
    ),
  )
})

test('intervals that are no durations, out of order or out of bounds are refused', () => {
  for (const options of [
    { every: '500ms' },
    { every: '0s' },
    { every: '1m', least: '2m' },
    { every: '1m', most: '30s' },
    { every: '1m', least: '10ms' },
    { every: '31d' },
    { every: '1d', most: '31d' },
    { every: 'often' },
    { every: 60 },
    {},
    { every: '1m', least: null },
    { every: '1m', most: 5 },
  ])
    assert.throws(
      () => boundsOf(options as never),
      (e) => isFault(e, 'connection.poll'),
      JSON.stringify(options),
    )
  assert.deepEqual(boundsOf({ every: '30d' }), { every: 2_592_000_000, least: 2_592_000_000, most: 2_592_000_000 })
})

test('fifty polls for one change are too many, as soon as there were a hundred', () => {
  assert.deepEqual(
    [isTooOften(99, 0), isTooOften(100, 0), isTooOften(100, 2), isTooOften(101, 2), isTooOften(5_000, 100)],
    [false, true, false, true, false],
  )
})
