import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isFault, type Fault } from '#kernel/fault.ts'
import { settle, virtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { compose, type Pipeline } from './compose.ts'
import { limit } from './limiter.ts'
import { timeout } from './timeout.ts'

const random = seededRandom(4)
const done = (): Promise<void> => Promise.resolve()

test('lets calls through at the rate, in order, and waits for the rest', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, limit('2/s'))
  const at: string[] = []
  const runs = [1, 2, 3, 4, 5].map((n) =>
    p.run(() => {
      at.push(`${n}@${clock.mono()}`)
      return Promise.resolve()
    }),
  )
  assert.equal(p.limiter!.waiting, 3)
  await clock.advance(5_000)
  await Promise.all(runs)
  assert.deepEqual(at, ['1@0', '2@0', '3@1000', '4@1000', '5@2000'])
  assert.equal(clock.armed, 0)
})

test('never more than the rates allow in any window, over random arrivals, deadlines and aborts', async () => {
  const arrival = fc.record({
    wait: fc.constantFrom(0, 0, 0, 10, 120, 700),
    within: fc.constantFrom(50, 500, 5_000),
    abort: fc.constantFrom(false, false, true),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(arrival, { maxLength: 40, size: 'max' }), async (arrivals) => {
      const clock = virtualClock()
      const p = compose({ clock, random }, limit('3/s', '5/2s', '9/10s'))
      const starts: { id: number; at: number }[] = []
      const runs: Promise<unknown>[] = []
      for (const [id, { wait, within, abort }] of arrivals.entries()) {
        await clock.advance(wait)
        const caller = new AbortController()
        const deadline = clock.mono() + within
        const run = p.run(
          () => {
            starts.push({ id, at: clock.mono() })
            assert.ok(clock.mono() < deadline)
            return Promise.resolve()
          },
          { deadline, signal: caller.signal },
        )
        runs.push(run.catch((e: unknown) => assert.ok(isFault(e), String(e))))
        if (abort) caller.abort()
      }
      await clock.advance(60_000)
      await Promise.all(runs)
      for (const [count, span] of [
        [3, 1_000],
        [5, 2_000],
        [9, 10_000],
      ] as const) {
        for (let i = count; i < starts.length; i++) assert.ok(starts[i]!.at - starts[i - count]!.at >= span)
      }
      assert.deepEqual(
        starts.map((s) => s.id),
        starts.map((s) => s.id).toSorted((a, b) => a - b),
        'first come, first served',
      )
      assert.equal(p.limiter!.waiting, 0)
      p.close()
      assert.equal(clock.armed, 0)
    }),
    { numRuns: 60 },
  )
})

test('fails at once, with the time to wait, when the wait does not fit the deadline', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random, name: 'erp' }, timeout('500ms'), limit('1/s', '100/h'))
  await p.run(done)
  await clock.advance(200)
  await assert.rejects(p.run(done), (e) => {
    assert.ok(isFault(e, 'resilience.limited'))
    assert.equal(e.kind, 'throttled')
    assert.equal(e.retryAfter, 800)
    assert.deepEqual(e.detail, { pipeline: 'erp', limit: '1/s', waiting: 0 })
    return true
  })
  await clock.advance(400)
  const fits = p.run(done)
  await clock.advance(400)
  await fits
  p.close()
})

test('waits at most 30 s without a deadline, and at most 1,000 wait', async () => {
  const clock = virtualClock()
  const day = compose({ clock, random }, limit('1/day'))
  await day.run(done)
  await assert.rejects(day.run(done), (e) => isFault(e, 'resilience.limited') && e.retryAfter === 86_400_000)
  const busy = compose({ clock, random }, limit('100/s'))
  const runs = Array.from({ length: 1_100 }, () => busy.run(done))
  await assert.rejects(busy.run(done), (e) => isFault(e, 'resilience.limited') && e.retryAfter === 11_000)
  await clock.advance(20_000)
  await Promise.all(runs)
})

test('a call that gives up its place costs nobody a permit', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, limit('1/s'))
  await p.run(done)
  const caller = new AbortController()
  const given = p.run(done, { signal: caller.signal })
  let at = 0
  const next = p.run(() => {
    at = clock.mono()
    return Promise.resolve()
  })
  caller.abort()
  await assert.rejects(given, (e) => isFault(e, 'cancelled'))
  await clock.advance(1_000)
  await next
  assert.equal(at, 1_000)
})

test('nobody overtakes those who wait, also when the timer that should let them in is late', async () => {
  const clock = virtualClock()
  let late = 0
  const p = compose({ clock: { ...clock, mono: () => clock.mono() + late }, random }, limit('1/s'))
  const order: number[] = []
  const work = (n: number) => (): Promise<number> => Promise.resolve(order.push(n))
  const runs = [p.run(work(1)), p.run(work(2))]
  late = 1_500
  runs.push(p.run(work(3)))
  await clock.advance(5_000)
  await Promise.all(runs)
  assert.deepEqual(order, [1, 2, 3])
})

test('is corrected by what they say is left, tightening only', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, limit('100/s'))
  p.limiter!.correct({ remaining: 2, reset: 5_000 })
  const at: number[] = []
  const work = (): Promise<void> => {
    at.push(clock.mono())
    return Promise.resolve()
  }
  const runs = [1, 2, 3].map(() => p.run(work))
  p.limiter!.correct({ remaining: Number.NaN, reset: 5_000 })
  p.limiter!.correct({ remaining: 1_000, reset: 5_000 })
  await clock.advance(10_000)
  await Promise.all(runs)
  assert.deepEqual(at, [0, 0, 5_000])
})

test('a correction reaches those who already wait', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, limit('1/s'))
  await p.run(done)
  let at = 0
  const run = p.run(() => {
    at = clock.mono()
    return Promise.resolve()
  })
  p.limiter!.pause(3_000)
  await clock.advance(10_000)
  await run
  assert.equal(at, 3_000)
})

test('a bucket spreads what is more than its burst', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, limit({ rate: '10/s', kind: 'bucket', burst: 2 }))
  const at: number[] = []
  const runs = Array.from({ length: 5 }, () =>
    p.run(() => {
      at.push(clock.mono())
      return Promise.resolve()
    }),
  )
  await clock.advance(1_000)
  await Promise.all(runs)
  assert.deepEqual(at, [0, 0, 100, 200, 300])
})

test('limits how many run at the same time', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, limit({ concurrent: 2, rate: '100/s', waiting: 1 }))
  const ends: (() => void)[] = []
  const work = (): Promise<void> => new Promise((resolve) => ends.push(resolve))
  const runs = [p.run(work), p.run(work), p.run(work)]
  await assert.rejects(p.run(work), (e) => isFault(e, 'resilience.bulkhead_full'))
  assert.equal(ends.length, 2)
  ends[0]!()
  await settle()
  assert.equal(ends.length, 3)
  for (const end of ends) end()
  await Promise.all(runs)
})

test('those who wait end when the pipeline is closed', async () => {
  const clock = virtualClock()
  const p: Pipeline = compose({ clock, random }, limit('1/s'))
  await p.run(done)
  const waiting = p.run(done)
  p.close()
  await assert.rejects(waiting, (e) => isFault(e, 'cancelled'))
  await assert.rejects(p.run(done), (e) => isFault(e, 'cancelled'))
  assert.equal(clock.armed, 0)
})

test('is printable, with every default', () => {
  assert.deepEqual(JSON.parse(JSON.stringify(limit('50/s', '100000/day'))), {
    policy: 'limit',
    rates: ['50/s', '100000/day'],
    kind: 'window',
    wait: '30s',
    waiting: 1_000,
  })
})

test('refuses wrong options, all at once', () => {
  assert.throws(
    () => limit({ rate: '5/fortnight', kind: 'pail' } as never),
    (e: Fault) => isFault(e, 'config.option') && /rate/.test(e.message) && /kind/.test(e.message),
  )
  assert.throws(() => limit({}), /nothing is limited/)
  assert.throws(() => limit({ rate: '5/s', burst: 9 }), /only a bucket/)
  assert.throws(() => limit({ rate: [] }), /at least 1/)
})
