import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fault } from '#kernel/fault.ts'
import { World, type Member } from './world.fixture.ts'

test('what one process was told to wait all wait, from within a second on, and nothing is sent meanwhile', async () => {
  const world = new World({ seed: 1, rates: ['1000/s'] })
  for (let i = 0; i < 4; i++) await world.join((i - 2) * 600_000)
  const [told] = world.members as [Member]
  await world.clock.advance(8_000)
  const throttled = (): never => {
    throw fault('connection.throttled', { retryAfter: 20_000 })
  }
  told.answer = throttled
  const calls: Promise<unknown>[] = []
  const began = world.clock.mono()
  calls.push(told.call(60_000).catch(() => {}))
  for (let i = 0; i < 400; i++) {
    for (const m of world.members.slice(1)) calls.push(m.call(60_000).catch(() => {}))
    await world.clock.advance(50)
  }
  const answered = began + 5
  // The window in which the news travels: a round of the fleet.
  const during = world.sends.filter((s) => s.at > answered + 1_000 && s.at < answered + 20_000)
  assert.deepEqual(during, [])
  assert.ok(world.sends.some((s) => s.at < answered + 1_000 && s.by !== told.id))
  told.answer = () => 'well'
  await world.clock.advance(30_000)
  await Promise.all(calls)
  assert.ok(world.sends.length > 1_000, 'they were sent afterwards')
  assert.ok(world.most(1_000) <= 1_000)
  await world.close()
})

test('a process that starts during a cool-down waits for the rest of it, not for all of it again', async () => {
  const world = new World({ seed: 2 })
  const first = await world.join()
  first.answer = () => {
    throw fault('connection.throttled', { retryAfter: 60_000 })
  }
  const call = first.call().catch(() => {})
  await world.clock.advance(40_000)
  await call
  const second = await world.join()
  const left = second.pipeline.coolUntil - second.clock.mono()
  assert.ok(left > 15_000 && left < 30_000, `${left} ms are left`)
  await world.close()
})

test('the last calls that are left of their limit are divided; at none, nobody sends', async () => {
  const world = new World({ seed: 3, rates: ['1000/s'] })
  for (let i = 0; i < 4; i++) await world.join()
  const [a, b] = world.members as [Member, Member]
  a.pipeline.limiter!.correct({ remaining: 0, reset: 30_000 })
  await world.clock.advance(1_000)
  const call = b.call(60_000)
  await world.clock.advance(20_000)
  assert.equal(world.sends.length, 0)
  await world.clock.advance(15_000)
  await call
  assert.equal(world.sends.length, 1)
  a.pipeline.limiter!.correct({ remaining: 8, reset: 600_000 })
  for (let i = 0; i < 5; i++) a.call().catch(() => {})
  await world.clock.advance(1_000)
  assert.equal(world.sends.length, 3, 'a quarter of what is left')
  await world.close()
})
