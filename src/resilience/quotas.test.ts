import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Clock } from '#kernel/clock.ts'
import { Quotas, SlidingWindow, Told, TokenBucket, UtcDay, type Quota } from './quotas.ts'

const day = 86_400_000
const gaps = fc.array(fc.oneof(fc.constant(0), fc.nat(5), fc.nat(50), fc.nat(500), fc.nat(5_000)), {
  maxLength: 200,
  size: 'max',
})

/** Takes at each arrival if free; gives the times taken. */
function arrivals(quota: Quota, waits: readonly number[], check: (now: number, free: boolean) => void): number[] {
  const taken: number[] = []
  let now = 0
  for (const wait of waits) {
    now += wait
    const free = quota.free(now)
    check(now, free)
    assert.equal(quota.earliest(now, 0) <= now, free, 'earliest and free agree')
    if (!free) continue
    quota.take(now)
    taken.push(now)
  }
  return taken
}

test('a window gives a permit exactly when fewer than its count were given in the span before', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 2_000 }), gaps, (count, span, waits) => {
      const model: number[] = []
      const window = new SlidingWindow('', count, span)
      arrivals(window, waits, (now, free) => {
        assert.equal(free, model.filter((t) => t > now - span).length < count)
        if (free) model.push(now)
      })
    }),
  )
})

test('never more than the count in any window, wherever it begins, also where permits share a time', () => {
  fc.assert(
    fc.property(fc.integer({ min: 4_097, max: 20_000 }), fc.array(fc.nat(40), { maxLength: 30 }), (count, waits) => {
      const span = 1_000
      const window = new SlidingWindow('', count, span)
      const taken: number[] = []
      let now = 0
      for (const wait of waits) {
        now += wait * 20
        for (let i = 0; i < 3_000 && window.free(now); i++) {
          window.take(now)
          taken.push(now)
        }
      }
      for (let i = count; i < taken.length; i++) assert.ok(taken[i]! - taken[i - count]! >= span)
      // Stricter by less than 1 part in 4,096, and by a group.
      const fresh = new SlidingWindow('', count, span)
      let given = 0
      while (fresh.free(0)) {
        fresh.take(0)
        given++
      }
      assert.ok(given <= count && given >= count - Math.ceil(count / 4_096), `${given} of ${count}`)
    }),
    { numRuns: 30 },
  )
})

test('the time told to those who wait is never later than the time when it is their turn', () => {
  const make = fc.constantFrom<((count: number) => Quota)[]>(
    (count) => new SlidingWindow('', count, 1_000),
    (count) => new TokenBucket('', count, 1_000, Math.ceil(count / 2)),
    (count) => new Quotas([new SlidingWindow('', count, 1_000), new TokenBucket('', count * 2, 3_000, 2)]),
  )
  fc.assert(
    fc.property(make, fc.integer({ min: 1, max: 12 }), fc.array(fc.nat(300), { maxLength: 40 }), (of, count, waits) => {
      const quota = of(count)
      arrivals(quota, waits, () => {})
      let now = waits.reduce((a, b) => a + b, 0)
      const told = Array.from({ length: 30 }, (_, ahead) => quota.earliest(now, ahead))
      for (const [i, at] of told.entries()) {
        now = Math.max(now, quota.earliest(now, 0))
        assert.ok(at <= now + 1e-6, `turn ${i} told ${at}, came ${now}`)
        assert.ok(quota.free(now))
        quota.take(now)
      }
    }),
  )
})

test('a window alone tells everybody in the queue the very time of their turn', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.array(fc.nat(300), { maxLength: 40 }), (count, waits) => {
      const quota = new SlidingWindow('', count, 1_000)
      arrivals(quota, waits, () => {})
      let now = waits.reduce((a, b) => a + b, 0)
      const told = Array.from({ length: 40 }, (_, ahead) => quota.earliest(now, ahead))
      for (const at of told) {
        now = Math.max(now, quota.earliest(now, 0))
        assert.equal(at, now)
        quota.take(now)
      }
    }),
  )
})

test('a bucket never holds more than its capacity and fills at its rate', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.integer({ min: 1, max: 20 }),
      fc.constantFrom(100, 1_000, 60_000),
      gaps,
      (count, burst, span, waits) => {
        // The bucket as one says it: tokens, refilled by elapsed time, capped.
        let tokens = burst
        let last = 0
        const bucket = new TokenBucket('', count, span, burst)
        arrivals(bucket, waits, (now, free) => {
          tokens = Math.min(burst, tokens + ((now - last) * count) / span)
          last = now
          assert.ok(tokens <= burst)
          // Both are sums of fractions: within a billionth of a token either answer is right.
          if (Math.abs(tokens - 1) > 1e-9) assert.equal(free, tokens >= 1, `${tokens} tokens`)
          if (free) tokens -= 1
        })
      },
    ),
  )
})

test('several windows at once: every one of them holds over random arrivals', () => {
  const windows = fc.array(
    fc.record({ count: fc.integer({ min: 1, max: 30 }), span: fc.integer({ min: 10, max: 3_000 }) }),
    { minLength: 2, maxLength: 4 },
  )
  fc.assert(
    fc.property(windows, gaps, (all, waits) => {
      const quotas = new Quotas(all.map((w) => new SlidingWindow('', w.count, w.span)))
      const taken = arrivals(quotas, waits, () => {})
      for (const { count, span } of all) {
        for (let i = count; i < taken.length; i++) assert.ok(taken[i]! - taken[i - count]! >= span)
      }
    }),
  )
})

function wallClock(start: number): Clock & { at: number; skew: number } {
  return {
    at: 0,
    skew: 0,
    now() {
      return start + this.at + this.skew
    },
    mono() {
      return this.at
    },
    after: () => () => {},
    soon: () => {},
  }
}

test('a UTC day ends at midnight UTC, not 24 hours after the first call', () => {
  const clock = wallClock(Date.UTC(2026, 2, 1, 23, 59, 58))
  const quota = new UtcDay('', 2, clock)
  quota.take(0)
  quota.take(0)
  assert.equal(quota.free(0), false)
  assert.equal(quota.earliest(0, 0), 2_000)
  assert.equal(quota.earliest(0, 1), 2_000)
  assert.equal(quota.earliest(0, 2), 2_000 + day)
  clock.at = 1_999
  assert.equal(quota.free(1_999), false)
  clock.at = 2_000
  assert.equal(quota.free(2_000), true)
})

test('a wall clock set back over midnight does not hand out the day again; set forward, it counts within a second', () => {
  const clock = wallClock(Date.UTC(2026, 0, 1, 23, 59, 59))
  const quota = new UtcDay('', 1, clock)
  quota.take(0)
  clock.at = 2_000
  assert.equal(quota.free(2_000), true)
  quota.take(2_000)
  clock.skew = -60_000
  clock.at = 4_000
  assert.equal(quota.free(4_000), false)
  clock.skew = day
  clock.at = 5_000
  assert.equal(quota.free(5_000), true)
})

test('never more than the count in a UTC day, whatever an operator does to the wall clock within the day', () => {
  const steps = fc.array(fc.record({ wait: fc.nat(day / 6), jump: fc.integer({ min: -3_600_000, max: 0 }) }))
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), steps, (count, all) => {
      const clock = wallClock(Date.UTC(2026, 0, 1, 12))
      const quota = new UtcDay('', count, clock)
      const perDay = new Map<number, number>()
      let latest = 0
      for (const { wait, jump } of all) {
        clock.at += wait
        clock.skew += jump
        if (!quota.free(clock.at)) continue
        quota.take(clock.at)
        // Set back over midnight, the day that has begun is not left again.
        latest = Math.max(latest, Math.floor(clock.now() / day))
        perDay.set(latest, (perDay.get(latest) ?? 0) + 1)
      }
      for (const taken of perDay.values()) assert.ok(taken <= count)
    }),
  )
})

test('what they tell only tightens, and is forgotten when their window ends', () => {
  const told = new Told()
  assert.equal(told.free(0), true)
  told.tell(0, 2, 10_000)
  told.take(0)
  told.tell(1, 5, 10_000)
  assert.equal(told.earliest(1, 0), 1)
  assert.equal(told.earliest(1, 1), 10_000, 'an older answer that arrives late does not give back what is spent')
  told.take(1)
  assert.equal(told.free(2), false)
  assert.equal(told.free(10_000), true)
  told.take(10_000)
  told.tell(10_001, 0, 20_000)
  assert.equal(told.free(10_002), false)
  told.tell(10_003, 7, 30_000)
  assert.equal(told.free(10_003), true, 'an end that is later is a new window')
})

test('a pause holds everything back and names itself; else the tightest limit is named', () => {
  const quotas = new Quotas([new SlidingWindow('2/s', 2, 1_000), new SlidingWindow('3/h', 3, 3_600_000)])
  quotas.take(0)
  quotas.take(0)
  assert.equal(quotas.tightest(0), '2/s')
  quotas.take(1_000)
  assert.equal(quotas.tightest(1_000), '3/h')
  quotas.pause(10_000_000)
  assert.equal(quotas.tightest(1_000), 'paused')
  assert.equal(quotas.earliest(1_000, 0), 10_000_000)
  quotas.pause(5)
  assert.equal(quotas.free(9_999_999), false, 'a shorter pause does not end a longer one')
})
