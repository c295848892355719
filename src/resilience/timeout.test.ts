import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { fault, isFault } from '#kernel/fault.ts'
import { settle, virtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { bulkhead } from './bulkhead.ts'
import { compose } from './compose.ts'
import type { Attempt } from './policy.ts'
import { retry } from './retry.ts'
import { timeout } from './timeout.ts'

const random = seededRandom(2)
const never = (): Promise<never> => new Promise(() => {})

test('answers the caller at the limit, also when the work ignores its signal', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random, name: 'payments' }, timeout('2s'))
  const run = assert.rejects(p.run(never), (e) => {
    assert.ok(isFault(e, 'resilience.timeout'))
    assert.equal(e.kind, 'ambiguous')
    assert.deepEqual(e.detail, { pipeline: 'payments', after: 2_000 })
    return true
  })
  await clock.advance(1_999)
  assert.equal(await Promise.race([run, Promise.resolve('pending')]), 'pending')
  await clock.advance(1)
  await run
  assert.equal(clock.armed, 0)
})

test('aborts the signal of the attempt, with the fault as its reason', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, timeout('2s'))
  let seen: Attempt | undefined
  const run = p.run((attempt) => {
    seen = attempt
    return new Promise((_, reject) => {
      attempt.signal.addEventListener('abort', () => reject(attempt.signal.reason as Error))
    })
  })
  await Promise.all([assert.rejects(run, (e) => e === seen!.signal.reason), clock.advance(2_000)])
  assert.ok(isFault(seen!.signal.reason, 'resilience.timeout'))
})

test('a signal that is first asked for after the attempt was given up is already aborted', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, timeout('2s'))
  let seen: Attempt | undefined
  const run = p.run((attempt) => {
    seen = attempt
    return never()
  })
  await Promise.all([assert.rejects(run), clock.advance(2_000)])
  assert.equal(seen!.signal.aborted, true)
})

test('outside retry it bounds the whole, inside each attempt; the deadline travels inwards', async () => {
  const clock = virtualClock()
  const budget = 'none'
  const steady = retry({ attempts: 9, first: '1s', factor: 1, jitter: 'none', budget })
  const p = compose({ clock, random }, timeout('7s'), steady, timeout('2s'))
  const deadlines: number[] = []
  const run = p.run(
    (attempt) => {
      deadlines.push(attempt.deadline)
      return never()
    },
    { idempotent: true },
  )
  await Promise.all([assert.rejects(run, (e) => isFault(e, 'resilience.timeout')), clock.advance(7_000)])
  // From 0 to 2 s, 3 to 5 s, and 6 s until the outer limit, which is nearer than the inner one.
  assert.deepEqual(deadlines, [2_000, 5_000, 7_000])
})

test('the deadline of the caller bounds everything', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, timeout('30s'))
  let seen = 0
  const run = p.run(
    (attempt) => {
      seen = attempt.deadline
      return never()
    },
    { deadline: 400 },
  )
  await Promise.all([assert.rejects(run, (e) => isFault(e, 'resilience.timeout')), clock.advance(400)])
  assert.equal(seen, 400)
})

test('a run that ended before its deadline is not timed out later', async () => {
  const clock = virtualClock()
  const events: unknown[] = []
  const p = compose({ clock, random, observe: (e) => events.push(e) })
  assert.equal(await p.run(() => Promise.resolve('in time'), { deadline: 400 }), 'in time')
  await clock.advance(60_000)
  assert.deepEqual(events, [])
})

test('a deadline that has passed, or is not a number, starts nothing', async () => {
  const clock = virtualClock()
  await clock.advance(50)
  const p = compose({ clock, random })
  let started = false
  const work = (): Promise<void> => {
    started = true
    return Promise.resolve()
  }
  for (const deadline of [50, 0, Number.NaN]) {
    await assert.rejects(p.run(work, { deadline }), (e) => isFault(e, 'resilience.deadline') && e.kind === 'transient')
  }
  assert.equal(started, false)
})

test('time that ran out before the work was started is not ambiguous', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, timeout('2s'), bulkhead({ concurrent: 1 }))
  const first = assert.rejects(p.run(never), (e) => isFault(e, 'resilience.timeout'))
  const second = assert.rejects(p.run(never), (e) => isFault(e, 'resilience.deadline'))
  await clock.advance(2_000)
  await Promise.all([first, second])
})

test('but it is ambiguous when an earlier attempt may have happened', async () => {
  const clock = virtualClock()
  const p = compose(
    { clock, random },
    timeout('5s'),
    retry({ first: '1s', jitter: 'none' }),
    bulkhead({ concurrent: 1 }),
  )
  const run = p.run((attempt) => (attempt.number === 1 ? Promise.reject(new Error('cut')) : never()), {
    idempotent: true,
  })
  await settle()
  // Takes the only place while the first waits for its second try.
  const other = assert.rejects(p.run(never, { deadline: 60_000 }))
  await Promise.all([assert.rejects(run, (e) => isFault(e, 'resilience.timeout')), clock.advance(6_000)])
  await other
})

test('a result that comes after the limit is dropped without a sound', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, timeout('1s'))
  for (const late of [() => Promise.resolve(1), () => Promise.reject(new Error('late'))]) {
    const run = p.run(() => new Promise((resolve) => clock.after(2_000, () => resolve(late()))))
    await Promise.all([assert.rejects(run, (e) => isFault(e, 'resilience.timeout')), clock.advance(3_000)])
  }
})

test('the signal of the caller ends the run at once and passes its fault on', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, timeout('30s'))
  const caller = new AbortController()
  let attempt: Attempt | undefined
  const run = p.run(
    (a) => {
      attempt = a
      return never()
    },
    { signal: caller.signal },
  )
  caller.abort(new Error('user left'))
  await assert.rejects(run, (e) => isFault(e, 'cancelled') && (e.cause as Error).message === 'user left')
  assert.ok(isFault(attempt!.signal.reason, 'cancelled'))
  const told = fault('app.draining')
  await assert.rejects(p.run(never, { signal: AbortSignal.abort(told) }), (e) => e === told)
  p.close()
})

test('no listener stays on the signal of the caller', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, timeout('30s'), retry())
  const { signal } = new AbortController()
  for (let i = 0; i < 20; i++) await p.run(() => Promise.resolve(), { signal })
  await Promise.allSettled([p.run(() => Promise.reject(fault('rejected')), { signal })])
  assert.equal(getEventListeners(signal, 'abort').length, 0)
  p.close()
})

test('refuses what is not a duration', () => {
  for (const bad of ['0ms', '5', 'soon', '-1s']) {
    assert.throws(
      () => timeout(bad as never),
      (e) => isFault(e, 'config.option'),
    )
  }
  assert.deepEqual(timeout(), { policy: 'timeout', within: '30s' })
})
