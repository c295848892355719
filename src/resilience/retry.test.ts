import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { fault, isFault } from '#kernel/fault.ts'
import { virtualClock, settle } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { RetryBudget } from './budget.ts'
import { compose } from './compose.ts'
import type { PipelineEvent } from './policy.ts'
import { backoff, retry, type Jitter } from './retry.ts'
import { timeout } from './timeout.ts'

const random = seededRandom(1)
const unreachable = (): Promise<never> => Promise.reject(fault('connection.unreachable'))

test('defaults are those of the design, filled in, frozen and printable', () => {
  const policy = retry()
  assert.deepEqual(JSON.parse(JSON.stringify(policy)), {
    policy: 'retry',
    attempts: 4,
    first: '1s',
    factor: 2,
    max: '60s',
    jitter: 'add',
    budget: { share: 0.1, over: '10s', least: 3 },
  })
  assert.ok(Object.isFrozen(policy) && Object.isFrozen(policy.budget))
})

test('doubles to the cap: 1, 2, 4, 8, 16, 30, 30 s', () => {
  const policy = retry({ max: '30s', jitter: 'none' })
  const delays = [1, 2, 3, 4, 5, 6, 7].map((n) => backoff(policy, n, random) / 1000)
  assert.deepEqual(delays, [1, 2, 4, 8, 16, 30, 30])
  assert.equal(backoff(policy, 5_000, random), 30_000, 'also where the power overflows')
})

test('a schedule is its entries, then the last one', () => {
  const policy = retry({ schedule: ['5s', '5m', '30m'], jitter: 'none' })
  assert.equal(policy.attempts, 3)
  assert.deepEqual(
    [1, 2, 3, 4].map((n) => backoff(policy, n, random)),
    [5_000, 300_000, 1_800_000, 1_800_000],
  )
})

test('jitter stays within its bounds and uses them', () => {
  const bounds = { add: [1, 1.25], shorten: [0.5, 1], full: [0, 1], none: [1, 1] } as const
  const policies = fc.record({
    first: fc.integer({ min: 1, max: 10_000 }),
    factor: fc.double({ min: 1, max: 5, noNaN: true }),
    max: fc.integer({ min: 1, max: 100_000 }),
    jitter: fc.constantFrom<Jitter[]>('add', 'shorten', 'full', 'none'),
  })
  fc.assert(
    fc.property(policies, fc.integer({ min: 1, max: 40 }), fc.integer(), (p, failed, seed) => {
      const policy = retry({ ...p, first: `${p.first}ms`, max: `${p.max}ms` })
      const base = Math.min(p.max, p.first * p.factor ** (failed - 1))
      const [low, high] = bounds[p.jitter]
      const delay = backoff(policy, failed, seededRandom(seed))
      assert.ok(delay >= base * low && delay <= base * high, `${delay} outside ${base} × ${low}..${high}`)
    }),
  )
  for (const jitter of ['add', 'shorten', 'full'] as const) {
    const delays = Array.from({ length: 500 }, () => backoff(retry({ jitter }), 1, random) / 1000)
    const [low, high] = bounds[jitter]
    assert.ok(Math.min(...delays) < low + (high - low) * 0.1, jitter)
    assert.ok(Math.max(...delays) > high - (high - low) * 0.1, jitter)
  }
})

test('tries four more times, each after its delay, then throws the last fault', async () => {
  const clock = virtualClock()
  const events: PipelineEvent[] = []
  const p = compose({ clock, random, observe: (e) => events.push(e) }, retry({ jitter: 'none' }))
  const at: number[] = []
  const numbers: number[] = []
  const run = p.run((attempt) => {
    at.push(clock.mono() / 1000)
    numbers.push(attempt.number)
    return Promise.reject(fault('connection.unreachable', { message: `no ${attempt.number}` }))
  })
  const failed = assert.rejects(run, { message: 'no 5' })
  await clock.advance(60_000)
  await failed
  assert.deepEqual(at, [0, 1, 3, 7, 15])
  assert.deepEqual(numbers, [1, 2, 3, 4, 5])
  assert.deepEqual(
    events.map((e) => (e.type === 'gave-up' ? `${e.type}: ${e.why}` : e.type)),
    ['retry', 'retry', 'retry', 'retry', 'gave-up: attempts'],
  )
  assert.equal(clock.armed, 0)
})

test('succeeds on a later try', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, retry())
  const run = p.run((attempt) => (attempt.number < 3 ? unreachable() : Promise.resolve(attempt.number)))
  await clock.advance(10_000)
  assert.equal(await run, 3)
})

test('what was rejected is not tried again, and what may have happened only if the work is idempotent', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, retry())
  const tries = async (failure: unknown, idempotent: boolean): Promise<number> => {
    let n = 0
    const run = p.run(
      () => {
        n++
        return Promise.reject(failure)
      },
      { idempotent },
    )
    await Promise.all([assert.rejects(run), clock.advance(200_000)])
    return n
  }
  assert.equal(await tries(fault('connection.rejected'), true), 1)
  assert.equal(await tries(fault('connection.timeout'), false), 1)
  assert.equal(await tries(fault('connection.timeout'), true), 5)
  assert.equal(await tries(new Error('who knows'), false), 1)
  assert.equal(await tries(new Error('who knows'), true), 5)
  assert.equal(await tries(fault('cancelled'), true), 1)
})

test('waits as told when that is longer, never shorter, with up to 10 % added', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, retry({ jitter: 'none' }))
  const waited = async (retryAfter: number): Promise<number> => {
    const start = clock.mono()
    let second = 0
    const run = p.run((attempt) => {
      second = clock.mono()
      return attempt.number > 1 ? Promise.resolve() : Promise.reject(fault('connection.unavailable', { retryAfter }))
    })
    await clock.advance(4_000_000)
    await run
    return second - start
  }
  assert.equal(await waited(10), 1_000)
  const told = await waited(20_000)
  assert.ok(told >= 20_000 && told <= 22_000, `${told}`)
  const huge = await waited(1e12)
  assert.ok(huge >= 3_600_000 && huge <= 3_960_000, 'at most 1 hour')
})

test('a delay that does not fit the deadline is not waited for: the last fault is thrown at once', async () => {
  const clock = virtualClock()
  const events: PipelineEvent[] = []
  const p = compose({ clock, random, observe: (e) => events.push(e) }, timeout('5s'), retry({ jitter: 'none' }))
  const run = p.run(unreachable)
  const failed = assert.rejects(run, (e) => isFault(e, 'connection.unreachable'))
  await clock.advance(3_000)
  await failed
  assert.equal(clock.mono(), 3_000, 'tries at 0, 1 and 3 s; 4 s more would end after 5 s')
  assert.ok(events.some((e) => e.type === 'gave-up' && e.why === 'deadline'))
  const throttled = fault('connection.unavailable', { retryAfter: 60_000 })
  await assert.rejects(
    p.run(() => Promise.reject(throttled)),
    (e) => e === throttled,
  )
  p.close()
})

test('a wait ends at once when the caller gives up, and leaves no timer', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, retry())
  const caller = new AbortController()
  const run = p.run(unreachable, { signal: caller.signal })
  await settle()
  caller.abort()
  await assert.rejects(run, (e) => isFault(e, 'cancelled'))
  p.close()
  assert.equal(clock.armed, 0)
})

test('a total outage is answered with at most 10 % more calls', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, retry())
  let sent = 0
  const calls: Promise<unknown>[] = []
  // 200 calls a second for 20 s, all failing.
  for (let i = 0; i < 4_000; i++) {
    const call = p.run(() => {
      sent++
      return unreachable()
    })
    calls.push(assert.rejects(call))
    if (i % 200 === 199) await clock.advance(1_000)
  }
  await clock.advance(60_000)
  await Promise.all(calls)
  assert.ok(sent <= 4_000 * 1.1 + 60, `${sent} sent for 4,000 calls`)
  assert.ok(sent >= 4_000 * 1.05, 'the budget is used')
})

test('the budget never allows more than its share of the window, or its least', () => {
  const step = fc.record({ wait: fc.nat(800), retry: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), fc.constantFrom(0, 1, 3), (steps, least) => {
      const budget = new RetryBudget({ share: 0.25, over: '10s', least })
      const calls: number[] = []
      const retries: number[] = []
      let now = 0
      for (const s of steps) {
        now += s.wait
        const recent = (all: readonly number[]): number =>
          all.filter((t) => Math.floor(t / 1000) > Math.floor(now / 1000) - 10).length
        if (!s.retry) {
          budget.called(now)
          calls.push(now)
          continue
        }
        const allowed = recent(retries) + 1 <= Math.max(least * 10, recent(calls) * 0.25)
        assert.equal(budget.spend(now), allowed)
        if (allowed) retries.push(now)
      }
    }),
  )
})

test('a retry inside a retry counts from the start each time', async () => {
  const clock = virtualClock()
  const [outer, inner] = [retry({ attempts: 2, budget: 'none' }), retry({ attempts: 1, first: '10ms', budget: 'none' })]
  const p = compose({ clock, random }, outer, inner)
  let n = 0
  const run = p.run(() => {
    n++
    return unreachable()
  })
  await Promise.all([assert.rejects(run), clock.advance(60_000)])
  assert.equal(n, 6)
})

test('work that throws before it returns a promise is work that failed', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, retry())
  const run = p.run((attempt) => {
    if (attempt.number === 1) throw fault('connection.unreachable')
    return Promise.resolve('ok')
  })
  await clock.advance(5_000)
  assert.equal(await run, 'ok')
})

test('refuses wrong options, all at once', () => {
  assert.throws(
    () => retry({ atempts: 3, first: 'soon', budget: { share: 7 } } as never),
    (e) =>
      isFault(e, 'config.option') && /attempts/.test(e.message) && /first/.test(e.message) && /share/.test(e.message),
  )
  assert.throws(() => retry({ schedule: [] }), /at least 1/)
  assert.throws(() => retry({ schedule: undefined } as never), /is missing/)
  assert.throws(() => retry({ budget: 'all' } as never), /'none', or an object/)
})
