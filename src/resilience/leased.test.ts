import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { virtualClock } from '#testing/clock.ts'
import { guardOf, LeasedDay, LeasedWindow } from './leased.ts'

const all = (share: number) => ({ share, fair: share, hope: share, until: Infinity, alone: Infinity })

test('in no window are more permits than slots, and when it says that one is free it is', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.array(fc.tuple(fc.nat(400), fc.integer({ min: 1, max: 30 })), { maxLength: 80 }),
      (slots, steps) => {
        const quota = new LeasedWindow('slots/s', 1_000, 1_000)
        quota.grant(all(slots))
        const taken: number[] = []
        let now = 0
        for (const [passed, wanted] of steps) {
          now += passed
          for (let i = 0; i < wanted; i++) {
            if (!quota.free(now)) {
              const at = quota.earliest(now, 0)
              assert.ok(at > now && at <= now + 1_000 + guardOf(1_000))
              now = at + 1e-6
              assert.ok(quota.free(now))
              break
            }
            quota.take(now)
            taken.push(now)
          }
        }
        for (let i = slots; i < taken.length; i++) assert.ok(taken[i]! - taken[i - slots]! >= 1_000)
      },
    ),
  )
})

test('uses what it holds for a while, then its equal part at most, then that; back with the others, no more than both', () => {
  const quota = new LeasedWindow('10/s', 10, 1_000)
  const least = (share: number, fair: number, now: number): number => {
    quota.grant({ share, fair, hope: 10, until: 15_000, alone: 62_000 })
    let n = 0
    while (quota.free(now)) {
      quota.take(now)
      n++
    }
    return n
  }
  assert.deepEqual([least(8, 3, 10_000), least(8, 3, 20_000), least(1, 3, 40_000), least(1, 3, 70_000)], [8, 3, 1, 3])
  quota.apart = false
  assert.equal(least(1, 3, 80_000), 1)
})

test('a permit counts from the end of its turn', () => {
  const quota = new LeasedWindow('1/s', 1, 1_000)
  quota.grant(all(1))
  quota.take(0)
  quota.started(0, 300)
  assert.equal(quota.free(1_200), false)
  assert.equal(quota.free(300 + 1_000 + guardOf(1_000)), true)
})

test('around midnight UTC a permit counts for both days, and a day is never handed out twice', async () => {
  const clock = virtualClock({ start: Date.UTC(2026, 0, 1, 23, 59, 50) })
  const quota = new LeasedDay('5/day', clock)
  const [today, tomorrow] = [20454, 20455]
  quota.grantOf(today, all(3))
  quota.grantOf(tomorrow, all(2))
  const taken = (): number => {
    let n = 0
    while (quota.free(clock.mono())) {
      quota.take(clock.mono())
      n++
    }
    return n
  }
  assert.deepEqual([...quota.days(clock.mono())], [today])
  quota.take(clock.mono())
  await clock.advance(6_000)
  assert.deepEqual([...quota.days(clock.mono())], [today, tomorrow])
  assert.equal(taken(), 2)
  await clock.advance(15_000)
  assert.deepEqual([...quota.days(clock.mono())], [tomorrow])
  assert.equal(taken(), 0)
  clock.jump(-60_000)
  await clock.advance(2_000)
  assert.equal(taken(), 0)
  assert.ok(quota.earliest(clock.mono(), 0) > clock.mono())
})
