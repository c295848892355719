import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fault } from '#kernel/fault.ts'
import { dataOf, gate, journalWorld, reader } from './world.fixture.ts'

const day = 86_400_000
const keep = (compact: boolean) => ({ topics: [{ topic: 'things', partitions: 2, age: day, compact }] })

async function stored(w: Awaited<ReturnType<typeof journalWorld>>): Promise<number> {
  let n = 0
  for (const partition of [0, 1]) {
    const slot = w.journal.log.topic('things').slot + partition
    n += (await w.store.read({ read: 'log', slot, from: 0, below: 1e9, limit: 1e6, bytes: 1e9 })).length
  }
  return n
}

test('old messages go, except those that some subscription has not finished, and the newest of a partition', async () => {
  const hold = gate()
  const slow = reader((run) => (dataOf(run) === 3 ? hold.opened : undefined), { name: 'slow', timeout: 30 * day })
  await using w = await journalWorld([reader(() => {}), slow], { journal: keep(false) })
  for (let i = 0; i < 10; i++) await w.publish(i, { key: 'k' })
  await w.clock.advance(2 * day)
  assert.equal(await stored(w), 7)
  hold.open()
  await w.clock.advance(day / 10)
  assert.equal(await stored(w), 1)
  assert.equal((await w.publish('next', { key: 'k' })).offset, 10)
})

test('a parked message keeps its own copy, and is replayed though the log has forgotten it', async () => {
  const seen: unknown[] = []
  await using w = await journalWorld(
    [
      reader((run) => {
        seen.push(dataOf(run))
        if (seen.length === 1) throw fault('subscription.result')
      }),
    ],
    { journal: keep(false) },
  )
  await w.publish('bad')
  await w.publish('good')
  await w.clock.advance(2 * day)
  const [parked] = await w.store.read({ read: 'parked', limit: 10 })
  const at = { subscription: parked!.subscription, partition: parked!.partition, offset: parked!.offset }
  const change = { state: 'retry', attempts: 0, due: 0, faults: null, heldBy: null } as const
  await w.journal.commit.add({ writes: [{ write: 'repark', at, ...change }] }, 'durable')
  await w.journal.refresh()
  await w.settle()
  assert.deepEqual(seen, ['bad', 'good', 'bad'])
})

test('a pass that the store refuses is not the last', async () => {
  await using w = await journalWorld([reader(() => {})], { journal: keep(false) })
  for (let i = 0; i < 5; i++) await w.publish(i, { key: 'k' })
  w.store.onCommit = (units, _sync, go) =>
    units.some((u) => u.writes.some((x) => x.write === 'trim')) ? Promise.reject(fault('store.full')) : go()
  await w.clock.advance(2 * day)
  assert.equal(await stored(w), 5)
  w.store.onCommit = undefined
  await w.clock.advance(day / 10)
  assert.equal(await stored(w), 1)
})

test('a pass that had to stop early goes on after a second: a busy partition gains on 100,000 rows a minute', async () => {
  await using w = await journalWorld([reader(() => {})], { journal: keep(false) })
  let steps = 0
  w.store.onCommit = async (units, _sync, go) => {
    const outcomes = await go()
    if (!units.some((u) => u.writes.some((x) => x.write === 'trim' && x.what === 'log'))) return outcomes
    steps++
    return [{ ok: true, results: [2_000] }]
  }
  await w.clock.advance(day / 100)
  assert.equal(steps, 2 * 50)
  await w.clock.advance(1_000)
  assert.equal(steps, 4 * 50)
})

test('a stop in the middle of a pass waits for its step and begins no other', async () => {
  const w = await journalWorld([reader(() => {})], { journal: keep(false) })
  for (let i = 0; i < 5; i++) await w.publish(i, { key: 'k' })
  await w.clock.advance(day - 1)
  const hold = gate()
  let steps = 0
  w.store.onCommit = async (units, _sync, go) => {
    if (units.some((u) => u.writes.some((x) => x.write === 'trim')) && ++steps === 1) await hold.opened
    return go()
  }
  const pass = w.journal.retention.pass()
  const stopped = w.journal.retention.stop()
  hold.open()
  await Promise.all([pass, stopped])
  // The step for the log that was under way, and the last words of the pass.
  assert.ok(steps <= 2, `${steps}`)
  await w[Symbol.asyncDispose]()
})

test('whenever it passes, everything is handled once, and of each key the newest message stays', async () => {
  const step = fc.oneof(
    fc.record({ what: fc.constant('publish' as const), key: fc.constantFrom('a', 'b', 'c') }),
    fc.record({ what: fc.constantFrom('pass', 'later', 'pause', 'resume', 'crash') }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.boolean(), async (steps, compact) => {
      const seen: unknown[] = []
      const newest = new Map<string, number>()
      const subscriptions = [reader((run) => void seen.push(dataOf(run)))]
      let w = await journalWorld(subscriptions, { journal: keep(compact) })
      let n = 0
      for (const s of steps) {
        if (s.what === 'publish') {
          newest.set(s.key, n)
          await w.publish(n++, { key: s.key })
        } else if (s.what === 'pass') await w.journal.retention.pass()
        else if (s.what === 'later') await w.clock.advance(day / 2)
        else if (s.what === 'crash') {
          await w.journal.stop(0)
          w = await journalWorld(subscriptions, { journal: keep(compact), runtime: w.runtime })
        } else if (s.what === 'pause') await w.journal.keys.put('pause/subscription/reader', '1')
        else await w.journal.keys.drop('pause/subscription/reader')
        await w.journal.refresh()
        await w.settle()
      }
      await w.journal.keys.drop('pause/subscription/reader')
      await w.journal.refresh()
      await w.clock.advance(10)
      assert.deepEqual(
        [...seen].sort((a, b) => Number(a) - Number(b)),
        Array.from({ length: n }, (_, i) => i),
      )
      if (compact) {
        await w.journal.retention.pass()
        assert.ok((await stored(w)) <= newest.size)
      }
      await w[Symbol.asyncDispose]()
    }),
    { numRuns: 25 },
  )
})
