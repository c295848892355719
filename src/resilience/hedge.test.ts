import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fault, isFault } from '#kernel/fault.ts'
import { settle, virtualClock, type VirtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { breaker } from './breaker.ts'
import { bulkhead } from './bulkhead.ts'
import { compose } from './compose.ts'
import { hedge } from './hedge.ts'
import type { Attempt } from './policy.ts'
import { retry } from './retry.ts'
import { timeout } from './timeout.ts'

const random = seededRandom(5)
const never = (): Promise<never> => new Promise(() => {})
const after = <T>(clock: VirtualClock, ms: number, value: () => T): Promise<T> =>
  new Promise((resolve, reject) => {
    clock.after(ms, () => {
      try {
        resolve(value())
      } catch (e) {
        reject(e)
      }
    })
  })
const idempotent = { idempotent: true }

test('starts a copy when no answer has come, and aborts the slower one', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, hedge({ after: '200ms' }))
  const attempts: Attempt[] = []
  const run = p.run((a) => {
    attempts.push(a)
    return after(clock, a.number === 1 ? 1_000 : 100, () => a.number)
  }, idempotent)
  await clock.advance(199)
  assert.equal(attempts.length, 1)
  await clock.advance(101)
  assert.equal(await run, 2)
  assert.equal(clock.mono(), 300)
  assert.ok(isFault(attempts[0]!.signal.reason, 'cancelled'))
  assert.equal(attempts[1]!.signal.aborted, false)
  p.close()
})

test('starts no copy when the answer is quick, and leaves no timer', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, hedge({ after: '200ms' }))
  let n = 0
  const run = p.run(() => {
    n++
    return after(clock, 50, () => 'quick')
  }, idempotent)
  await clock.advance(1_000)
  assert.equal(await run, 'quick')
  assert.equal(n, 1)
  assert.equal(clock.armed, 0)
})

test('work that may not run twice passes through', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, hedge({ after: '200ms' }))
  let n = 0
  const run = p.run(() => {
    n++
    return after(clock, 1_000, () => 'slow')
  })
  await clock.advance(1_000)
  assert.equal(await run, 'slow')
  assert.equal(n, 1)
})

test('one failure waits for the other; when all have failed the last error is thrown', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, hedge({ after: '100ms', copies: 2 }))
  const fails = (n: number): never => {
    throw fault('connection.unreachable', { message: `no ${n}` })
  }
  const mixed = p.run((a) => after(clock, 150, () => (a.number === 1 ? fails(1) : 'second')), idempotent)
  await clock.advance(300)
  assert.equal(await mixed, 'second')
  const all = p.run((a) => after(clock, 250, () => fails(a.number)), idempotent)
  await Promise.all([assert.rejects(all, { message: 'no 3' }), clock.advance(1_000)])
  const alone = p.run(() => Promise.reject(fault('rejected')), idempotent)
  await assert.rejects(alone, (e) => isFault(e, 'rejected'))
  p.close()
  assert.equal(clock.armed, 0)
})

test('copies go through what is inside: each takes its own place', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, hedge({ after: '100ms' }), bulkhead({ concurrent: 2, waiting: 0 }))
  const run = p.run(() => after(clock, 500, () => 'ok'), idempotent)
  await clock.advance(100)
  assert.equal(p.bulkhead!.active, 2)
  await clock.advance(500)
  assert.equal(await run, 'ok')
  await settle()
  assert.equal(p.bulkhead!.active, 0)
  p.close()
})

test('a limit outside ends all copies, is ambiguous, and counts as a failure outside', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, timeout('1s'), breaker({ consecutive: 1 }), hedge({ after: '100ms' }))
  const attempts: Attempt[] = []
  const run = p.run((a) => {
    attempts.push(a)
    return never()
  }, idempotent)
  await Promise.all([assert.rejects(run, (e) => isFault(e, 'resilience.timeout')), clock.advance(1_000)])
  assert.equal(attempts.length, 2)
  for (const a of attempts) {
    assert.equal(a.deadline, 1_000)
    assert.equal(a.signal.aborted, true)
  }
  assert.equal(p.breaker!.state, 'open')
  p.close()
})

test('the caller ends all copies, and a retry outside starts a new race', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, retry({ first: '1s', jitter: 'none' }), hedge({ after: '100ms' }))
  const caller = new AbortController()
  const given = p.run(never, { ...idempotent, signal: caller.signal })
  await clock.advance(150)
  caller.abort()
  await assert.rejects(given, (e) => isFault(e, 'cancelled'))
  const numbers: number[] = []
  const run = p.run((a) => {
    numbers.push(a.number)
    return a.number < 3
      ? after<string>(clock, 120, () => {
          throw fault('connection.cut')
        })
      : Promise.resolve('third')
  }, idempotent)
  await clock.advance(2_000)
  assert.equal(await run, 'third')
  assert.deepEqual(numbers, [1, 2, 3])
  p.close()
})

test('refuses wrong options', () => {
  assert.throws(() => hedge({} as never), /after: is missing/)
  assert.throws(() => hedge({ after: '1s', copies: 9 }), /copies/)
})
