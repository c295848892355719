import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Entry } from '#adapters/stores/port.ts'
import { fault } from '#kernel/fault.ts'
import { fleet, type Member, type Process } from './fleet.fixture.ts'
import { dataOf, journalWorld, reader, type JournalWorld } from './world.fixture.ts'

const minute = 60_000

/** A world whose subscription notes what it saw, and when. */
async function noting() {
  const seen: [string, number][] = []
  const w: JournalWorld = await journalWorld([reader((run) => void seen.push([String(dataOf(run)), w.clock.mono()]))])
  return { w, seen, [Symbol.asyncDispose]: () => w[Symbol.asyncDispose]() }
}

function entry(w: JournalWorld, name: string, dedupe = 0): Entry {
  const topic = w.journal.log.topic('things')
  return w.journal.log.entry(topic, { id: name, key: null, meta: null, body: JSON.stringify(name), dedupe })
}

function delay(w: JournalWorld, name: string, ms: number): Promise<void> {
  return w.journal.delays.add(entry(w, name), w.clock.now() + ms)
}

test('each message appears when it is due, in whatever order they were handed in', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 3 * minute }), { maxLength: 12 }), async (times) => {
      await using n = await noting()
      for (const [i, ms] of times.entries()) await delay(n.w, `${i}`, ms)
      await n.w.clock.advance(4 * minute)
      const expected = times.map((ms, i) => [`${i}`, ms] as const).sort((a, b) => a[1] - b[1])
      assert.deepEqual(
        n.seen.map(([, at]) => at),
        expected.map(([, ms]) => ms),
      )
      assert.deepEqual(n.seen.map(([name]) => name).sort(), expected.map(([name]) => name).sort())
    }),
    { numRuns: 30 },
  )
})

test('more than one commit takes are all moved, and none twice', async () => {
  await using n = await noting()
  const due = n.w.clock.now() + 1_000
  const writes = Array.from({ length: 1_234 }, (_, i) => ({ write: 'delay', due, entry: entry(n.w, `${i}`) }) as const)
  await n.w.journal.commit.add({ writes }, 'durable')
  await n.w.journal.delays.look()
  await n.w.clock.advance(2_000)
  assert.equal(new Set(n.seen.map(([name]) => name)).size, 1_234)
  assert.equal(n.seen.length, 1_234)
})

test('an id that is in the log already does not appear again', async () => {
  await using n = await noting()
  await n.w.publish('first', { id: 'x', dedupe: minute })
  await n.w.journal.delays.add({ ...entry(n.w, 'second', minute), id: 'x' }, n.w.clock.now() + 1_000)
  await n.w.clock.advance(minute)
  assert.deepEqual(
    n.seen.map(([name]) => name),
    ['first'],
  )
  assert.equal(await n.w.store.read({ read: 'nextDelayed' }), null)
})

test('a wall clock that is moved is noticed within a minute', async () => {
  await using n = await noting()
  await delay(n.w, 'ahead', 60 * minute)
  n.w.clock.jump(59 * minute)
  await n.w.clock.advance(2 * minute)
  assert.deepEqual(
    n.seen.map(([name]) => name),
    ['ahead'],
  )
  await delay(n.w, 'back', 2 * minute)
  n.w.clock.jump(-10 * minute)
  await n.w.clock.advance(5 * minute)
  assert.equal(n.seen.length, 1)
  await n.w.clock.advance(8 * minute)
  assert.equal(n.seen.length, 2)
})

test('a store that refuses the move is asked again', async () => {
  await using n = await noting()
  await delay(n.w, 'a', 1_000)
  let refused = 0
  n.w.store.onCommit = (units, _sync, go) =>
    units.some((u) => u.writes[0]?.write === 'fire') && refused++ < 3 ? Promise.reject(fault('store.busy')) : go()
  await n.w.clock.advance(10_000)
  assert.deepEqual(n.seen, [['a', 4_000]])
})

test('what another process has delayed is moved here too, once we have looked', async () => {
  await using n = await noting()
  const due = n.w.clock.now() + 5_000
  await n.w.store.inner.commit([{ writes: [{ write: 'delay', due, entry: entry(n.w, 'theirs') }] }], 'durable')
  for (const changed of n.w.store.watchers) changed()
  await n.w.clock.advance(5_000)
  assert.deepEqual(n.seen, [['theirs', 5_000]])
})

test('a delayed message appears once in a fleet, at its time, though the process that took it has died and nobody was told', async () => {
  await using f = await fleet(1)
  const seen: [string, number][] = []
  const noting = (p: Process) => [reader((run) => void (p.live && seen.push([String(dataOf(run)), f.clock.mono()])))]
  const members = [await f.start(noting, { host: 'a' }), await f.start(noting, { host: 'b' })]
  await f.clock.advance(1_000)
  const [a, b] = members as [Member, Member]
  f.store.watchers.clear()
  await delay(a, 'both', 20_000)
  await delay(a, 'orphan', 30_000)
  await f.clock.advance(25_000)
  assert.deepEqual(
    seen.map(([name]) => name),
    ['both'],
  )
  a.die()
  await f.clock.advance(60_000)
  assert.deepEqual(
    seen.map(([name]) => name),
    ['both', 'orphan'],
  )
  const [newest] = await b.store.read({ read: 'newest', slot: 0, below: 1e9, limit: 1 })
  assert.equal(newest?.offset, 1)
  assert.ok(newest.time - f.clock.now() + f.clock.mono() - 31_000 < 1_000, 'moved when it was due')
})
