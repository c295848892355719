import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fault, isFault } from '#kernel/fault.ts'
import { settle, virtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { compose } from './compose.ts'
import { fallback } from './fallback.ts'
import { retry } from './retry.ts'
import { timeout } from './timeout.ts'

const random = seededRandom(6)
const unreachable = (): Promise<never> => Promise.reject(fault('connection.unreachable'))

test('answers when all else has failed, knowing the error', async () => {
  const clock = virtualClock()
  const seen: unknown[] = []
  const cached = fallback((e) => {
    seen.push(e)
    return Promise.resolve('from the cache')
  })
  const p = compose({ clock, random }, cached, retry({ attempts: 1 }))
  const run = p.run<string>(unreachable)
  await clock.advance(5_000)
  assert.equal(await run, 'from the cache')
  assert.ok(isFault(seen[0], 'connection.unreachable'))
  assert.equal(await p.run(() => Promise.resolve('fresh')), 'fresh')
  assert.equal(seen.length, 1)
})

test('inside retry, its error is what is tried again', async () => {
  const clock = virtualClock()
  let n = 0
  const second = fallback(() => {
    if (++n === 1) throw fault('connection.unavailable')
    return 'second source'
  })
  const p = compose({ clock, random }, retry(), second)
  const run = p.run<string>(() => Promise.reject(fault('connection.rejected')))
  await clock.advance(5_000)
  assert.equal(await run, 'second source')
})

test('is not asked when the caller gave up or the fault is a bug', async () => {
  const clock = virtualClock()
  const p = compose(
    { clock, random },
    fallback(() => assert.fail('asked')),
  )
  await assert.rejects(p.run(unreachable, { signal: AbortSignal.abort() }), (e) => isFault(e, 'cancelled'))
  await assert.rejects(
    p.run(() => Promise.reject(fault('bug'))),
    (e) => isFault(e, 'bug'),
  )
})

test('a limit outside holds for it, too; what it says afterwards is dropped', async () => {
  const clock = virtualClock()
  const slow = fallback(() => new Promise((resolve) => clock.after(2_000, () => resolve('late'))))
  const p = compose({ clock, random }, timeout('1s'), slow)
  const run = assert.rejects(p.run(unreachable), (e) => isFault(e, 'resilience.deadline'))
  await clock.advance(1_000)
  await run
  await clock.advance(2_000)
  await settle()
  p.close()
})

test('an answer that comes after its limit does not end the next try', async () => {
  const clock = virtualClock()
  const slow = fallback(() => new Promise((resolve) => clock.after(1_500, () => resolve('late'))))
  const p = compose({ clock, random }, retry({ first: '1s', jitter: 'none' }), timeout('1s'), slow)
  const run = p.run<string>((a) => (a.number === 1 ? unreachable() : Promise.resolve('second try')))
  await clock.advance(5_000)
  assert.equal(await run, 'second try')
})

test('must be a function', () => {
  assert.throws(
    () => fallback('value' as never),
    (e) => isFault(e, 'config.option'),
  )
})
