import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fault, isFault } from '#kernel/fault.ts'
import { settle, virtualClock, type VirtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { breaker } from './breaker.ts'
import { bulkhead } from './bulkhead.ts'
import { compose, type Pipeline } from './compose.ts'
import { fallback } from './fallback.ts'
import { limit } from './limiter.ts'
import type { Attempt, PipelineEvent } from './policy.ts'
import { retry } from './retry.ts'
import { timeout } from './timeout.ts'

const random = seededRandom(7)
const ok = (): Promise<string> => Promise.resolve('ok')
const never = (): Promise<never> => new Promise(() => {})
const fails =
  (code: Parameters<typeof fault>[0], retryAfter?: number): (() => Promise<never>) =>
  () =>
    Promise.reject(fault(code, retryAfter === undefined ? {} : { retryAfter }))

async function failing(p: Pipeline, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await assert.rejects(p.run(fails('connection.unreachable')))
}

test('calls that succeed arm one timer in all, and make no AbortController', async () => {
  const clock = virtualClock()
  let armed = 0
  const counting: VirtualClock = {
    ...clock,
    after(ms, fn) {
      armed++
      return clock.after(ms, fn)
    },
  }
  const all = [timeout('30s'), retry(), breaker(), bulkhead(), limit('1000000/s'), timeout('10s')] as const
  const p = compose({ clock: counting, random }, ...all)
  const Platform = globalThis.AbortController
  let controllers = 0
  globalThis.AbortController = class extends Platform {
    constructor() {
      super()
      controllers++
    }
  }
  try {
    for (let i = 0; i < 2_000; i++) assert.equal(await p.run(ok), 'ok')
    assert.ok(armed <= 2, `${armed} timers`)
    assert.equal(controllers, 0)
    await p.run(async (attempt) => assert.equal(attempt.signal.aborted, false))
    assert.equal(controllers, 1)
  } finally {
    globalThis.AbortController = Platform
  }
  p.close()
  assert.equal(clock.armed, 0)
})

test('the same attempt has one signal, and number and deadline', async () => {
  const p = compose({ clock: virtualClock(), random })
  await p.run((attempt: Attempt) => {
    assert.equal(attempt.signal, attempt.signal)
    assert.equal(attempt.number, 1)
    assert.equal(attempt.deadline, Infinity)
    return ok()
  })
})

test('work that gives a plain value or a thenable is work that succeeded', async () => {
  const p = compose({ clock: virtualClock(), random }, retry(), bulkhead())
  assert.equal(await p.run((() => 5) as never), 5)
  // oxlint-disable-next-line unicorn/no-thenable -- a foreign promise is the case
  assert.equal(await p.run((() => ({ then: (f: (n: number) => void) => f(6) })) as never), 6)
  assert.equal(p.bulkhead!.active, 0)
})

test('an open breaker refuses with the time left; its probe closes it', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random, name: 'crm' }, breaker())
  await failing(p, 5)
  await clock.advance(10_000)
  await assert.rejects(p.run(ok), (e) => {
    assert.ok(isFault(e, 'resilience.breaker_open'))
    assert.equal(e.retryAfter, 20_000)
    assert.deepEqual(e.detail, { pipeline: 'crm', state: 'open' })
    return true
  })
  await clock.advance(20_000)
  const probe = p.run(() => new Promise((resolve) => clock.after(500, () => resolve('back'))))
  await assert.rejects(p.run(ok), (e) => isFault(e, 'resilience.breaker_open') && e.retryAfter === 1_000)
  await clock.advance(500)
  assert.equal(await probe, 'back')
  assert.equal(p.breaker!.state, 'closed')
})

test('an aborted probe frees its turn and decides nothing', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, breaker())
  await failing(p, 5)
  await clock.advance(30_000)
  const caller = new AbortController()
  const probe = p.run(never, { signal: caller.signal })
  caller.abort()
  await assert.rejects(probe, (e) => isFault(e, 'cancelled'))
  assert.equal(p.breaker!.state, 'half-open')
  assert.equal(await p.run(ok), 'ok')
  assert.equal(p.breaker!.state, 'closed')
})

test('a probe that is refused further in frees its turn and decides nothing', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, breaker(), bulkhead({ concurrent: 1, waiting: 0 }))
  const hung = p.run(() => new Promise((resolve) => clock.after(100_000, () => resolve(0))))
  p.breaker!.restore({ state: 'open', left: 0, openings: 1 })
  await assert.rejects(p.run(ok), (e) => isFault(e, 'resilience.bulkhead_full'))
  assert.equal(p.breaker!.state, 'half-open')
  await clock.advance(100_000)
  await hung
  assert.equal(await p.run(ok), 'ok')
  assert.equal(p.breaker!.state, 'closed')
})

test('a limit outside that passes while the work is under way counts as a failure, while it waits it does not', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, timeout('1s'), breaker({ consecutive: 2 }), bulkhead({ concurrent: 1 }))
  const first = assert.rejects(p.run(never))
  const waits = Array.from({ length: 9 }, () => assert.rejects(p.run(never)))
  await clock.advance(1_000)
  await Promise.all([first, ...waits])
  assert.equal(p.breaker!.state, 'closed')
})

test('answers that are no failures keep the breaker closed', async () => {
  const p = compose({ clock: virtualClock(), random }, breaker())
  for (let i = 0; i < 50; i++) await assert.rejects(p.run(fails('connection.not_found')))
  assert.equal(p.breaker!.state, 'closed')
})

test('what the caller says about an error holds, except about our own refusals', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, retry({ jitter: 'none' }), breaker({ consecutive: 3 }))
  let asked = 0
  let started = 0
  const run = p.run(
    () => {
      started++
      return Promise.reject(new Error('503'))
    },
    {
      classify: () => {
        asked++
        return { retry: true, failure: true, retryAfter: 2_000 }
      },
    },
  )
  await Promise.all([assert.rejects(run), clock.advance(200_000)])
  assert.equal(asked, started, 'once an error')
  assert.equal(started, 4, 'three before it opened, refused once, and the probe')
})

test('a classify that throws ends the run with a bug, and nothing is repeated', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, retry(), breaker(), bulkhead())
  let n = 0
  const run = p.run(
    () => {
      n++
      return Promise.reject(new Error('x'))
    },
    {
      classify: () => {
        throw new TypeError('in the table')
      },
    },
  )
  await assert.rejects(run, (e) => isFault(e, 'bug') && (e.cause as Error).message === 'in the table')
  assert.equal(n, 1)
  assert.equal(p.bulkhead!.active, 0)
})

test('told to wait, the whole pipeline starts nothing until then, also what waited in queues', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, timeout('30s'), retry(), bulkhead({ concurrent: 1 }), limit('1000/s'))
  const starts: number[] = []
  const work = (attempt: Attempt): Promise<string> => {
    starts.push(clock.mono())
    return attempt.number === 1 && starts.length === 1 ? fails('connection.throttled', 5_000)() : ok()
  }
  const runs = Array.from({ length: 20 }, () => p.run(work))
  await settle()
  runs.push(p.run(work))
  assert.equal(p.coolUntil, 5_000)
  await clock.advance(30_000)
  await Promise.all(runs)
  assert.equal(starts[0], 0)
  for (const at of starts.slice(1)) assert.ok(at >= 5_000 && at <= 11_000, `${at}`)
  assert.equal(starts.length, 22)
  p.close()
})

test('a call whose deadline ends within the cool-down fails at once with the time to wait', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, timeout('2s'), retry())
  p.coolDown(5_000)
  await assert.rejects(p.run(ok), (e) => isFault(e, 'resilience.limited') && e.retryAfter === 5_000)
  p.coolDown(1_000)
  assert.equal(p.coolUntil, 5_000, 'a shorter one does not end it')
  await clock.advance(4_500)
  const run = p.run(ok)
  await clock.advance(600)
  assert.equal(await run, 'ok')
  p.coolDown(1e12)
  assert.ok(p.coolUntil <= clock.mono() + 3_600_000)
  p.close()
  assert.equal(clock.armed, 0)
})

test('after a cool-down those who waited come out at the rate of the limit, not all at once', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, limit('2/s'))
  p.coolDown(5_000)
  const starts: number[] = []
  const runs = Array.from({ length: 6 }, () =>
    p.run(() => {
      starts.push(clock.mono())
      return ok()
    }),
  )
  await clock.advance(20_000)
  await Promise.all(runs)
  assert.ok(starts[0]! >= 5_000)
  for (let i = 2; i < starts.length; i++) assert.ok(starts[i]! - starts[i - 2]! >= 1_000, starts.join(' '))
})

test('a pipeline inside another shares its breaker, places and cool-down, and adds its own', async () => {
  const clock = virtualClock()
  const connection = compose({ clock, random }, breaker(), bulkhead({ concurrent: 5 }))
  const operation = connection.inside(limit('1/s'), timeout('1s'))
  assert.equal(connection.limiter, undefined)
  assert.equal(operation.breaker, connection.breaker)
  await operation.run(ok)
  const second = operation.run(ok)
  assert.deepEqual([operation.limiter!.waiting, connection.bulkhead!.active], [1, 1])
  await connection.run(ok)
  await clock.advance(1_000)
  await second
  await failing(connection, 5)
  await assert.rejects(operation.run(ok), (e) => isFault(e, 'resilience.breaker_open'))
  operation.coolDown(500)
  assert.equal(connection.coolUntil, 1_500)
  connection.close()
  await assert.rejects(operation.run(ok), (e) => isFault(e, 'cancelled'))
})

test('closing ends what waits or has a limit, gives every timer back and refuses what comes after', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, retry(), breaker(), bulkhead({ concurrent: 2 }), timeout('30s'))
  let signal: AbortSignal | undefined
  const running = p.run((a) => {
    signal = a.signal
    return never()
  })
  const retrying = p.run(fails('connection.unreachable'))
  await settle()
  const other = p.run(never)
  const queued = p.run(ok)
  p.close()
  p.close()
  for (const run of [running, retrying, other, queued, p.run(ok)]) {
    await assert.rejects(run, (e) => isFault(e, 'cancelled'))
  }
  assert.equal(signal!.aborted, true)
  assert.equal(clock.armed, 0)
})

test('closing lets nobody in from a queue, also not in a pipeline that shares', async () => {
  const clock = virtualClock()
  const connection = compose({ clock, random }, bulkhead({ concurrent: 1 }))
  const operation = connection.inside(limit({ rate: '1/s', concurrent: 1 }))
  await operation.run(ok)
  let started = 0
  const work = (): Promise<string> => {
    started++
    return ok()
  }
  // The first has the place and waits for a permit, the others wait for the place.
  const runs = [operation.run(work), operation.run(work), connection.run(work)]
  connection.close()
  for (const run of runs) await assert.rejects(run, (e) => isFault(e, 'cancelled'))
  assert.equal(started, 0)
  assert.deepEqual([connection.bulkhead!.active, connection.bulkhead!.waiting], [0, 0])
  assert.equal(clock.armed, 0)
})

test('work without a limit that fails after closing is not tried again', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, retry())
  let end: () => void = () => {}
  const run = p.run(() => new Promise((_, reject) => (end = () => reject(fault('connection.unreachable')))))
  p.close()
  end()
  await assert.rejects(run, (e) => isFault(e, 'cancelled'))
  assert.equal(clock.armed, 0)
})

test('tells what happened after the turn in which it did; successes are silent', async () => {
  const clock = virtualClock()
  const events: PipelineEvent[] = []
  const changes: string[] = []
  const observe = (e: PipelineEvent): void => {
    events.push(e)
  }
  const p = compose({ clock, random, observe }, fallback(ok), timeout('5s'), breaker({ consecutive: 1 }))
  const stop = p.breaker!.onChange((c) => changes.push(`${c.from}>${c.to}`))
  await p.run(ok)
  await settle()
  assert.equal(events.length, 0)
  const run = p.run(never)
  await clock.advance(5_000)
  await run
  await p.run(ok)
  stop()
  p.breaker!.close()
  await settle()
  assert.deepEqual(
    events.map((e) => e.type),
    ['timeout', 'breaker', 'fallback', 'refused', 'fallback', 'breaker'],
  )
  assert.deepEqual(changes, ['closed>open'])
  p.close()
})

test('an observer that throws does not reach the calls', async () => {
  const clock = virtualClock()
  const thrown: unknown[] = []
  const careful: VirtualClock = {
    ...clock,
    soon(fn) {
      clock.soon(() => {
        try {
          fn()
        } catch (e) {
          thrown.push(e)
        }
      })
    },
  }
  const p = compose({ clock: careful, random, observe: () => assert.fail('observer') }, breaker({ consecutive: 1 }))
  await failing(p, 1)
  await settle()
  assert.equal(thrown.length, 1)
  assert.equal(p.breaker!.state, 'open')
})

test('refuses what is not a policy', () => {
  assert.throws(
    () => compose({ clock: virtualClock(), random }, { policy: 'magic' } as never),
    (e) => isFault(e, 'config.option'),
  )
})
