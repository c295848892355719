import assert from 'node:assert/strict'
import { test } from 'node:test'
import { schemaLevel } from '#adapters/stores/migrations/index.ts'
import { virtualClock } from '#testing/clock.ts'
import { GroupCommit } from './commit.ts'
import { Workers, type Lease } from './workers.ts'
import { HookedStore, runtimeOf } from './world.fixture.ts'
import { openStore } from '#adapters/stores/sqlite/open.fixture.ts'

/** Several workers on one store, each a process of its own. */
async function fleet() {
  const clock = virtualClock()
  const store = new HookedStore(await openStore(':memory:', clock))
  store.can = { ...store.can, shared: 'machine' }
  const started: Workers[] = []
  const alive = new Set([1, 2, 3])
  return {
    clock,
    store,
    alive,
    async worker(pid: number, host = 'here') {
      const runtime = {
        ...(await runtimeOf({ pid, store, clock })),
        host: { name: host, pid, alive: (p: number) => alive.has(p) },
      }
      const commit = new GroupCommit(store, clock)
      const workers = new Workers(runtime, commit)
      started.push(workers)
      return { workers, commit }
    },
    epoch: async (name: string) => (await store.read({ read: 'leases' })).find((l) => l.name === name)?.epoch,
    async [Symbol.asyncDispose]() {
      for (const w of started) await w.stop()
      await store[Symbol.asyncDispose]()
    },
  }
}

const lease = async (of: Workers, name: string): Promise<Lease | undefined> => (await of.lease([name])).get(name)

test('a lease has one holder; who holds it takes it again under a higher epoch', async () => {
  await using f = await fleet()
  const a = (await f.worker(1)).workers
  const b = (await f.worker(2)).workers
  await a.start()
  await b.start()
  assert.deepEqual(await lease(a, 'p'), { name: 'p', epoch: 1 })
  assert.equal(await lease(b, 'p'), undefined)
  assert.deepEqual(await lease(a, 'p'), { name: 'p', epoch: 2 })
  await a.release({ name: 'p', epoch: 2 })
  assert.deepEqual(await lease(b, 'p'), { name: 'p', epoch: 3 })
})

test('nothing lands under an epoch that is over, nor after the lease was given back', async () => {
  await using f = await fleet()
  const { workers: a, commit } = await f.worker(1)
  const b = (await f.worker(2)).workers
  await a.start()
  await b.start()
  const write = (epoch: number): Promise<unknown> =>
    commit.add(
      {
        guards: [{ guard: 'lease', name: 'p', epoch }],
        writes: [{ write: 'put', name: 'k', value: '1', expires: null }],
      },
      'durable',
    )
  await lease(a, 'p')
  await write(1)
  await lease(a, 'p')
  await assert.rejects(write(1), { code: 'journal.fenced' })
  await write(2)
  await a.release({ name: 'p', epoch: 2 })
  await assert.rejects(write(2), { code: 'journal.fenced' })
  await lease(b, 'p')
  await assert.rejects(write(2), { code: 'journal.fenced' })
})

test('a worker of another machine is gone when its beat has not changed for 15 s, and not before', async () => {
  await using f = await fleet()
  const a = (await f.worker(1, 'there')).workers
  const b = (await f.worker(2)).workers
  await a.start()
  await lease(a, 'p')
  await b.start()
  let looks = 0
  b.onChange = () => looks++
  f.alive.delete(1) // says nothing about a machine that is not ours
  await f.clock.advance(60_000)
  assert.ok(looks >= 11)
  assert.equal(await lease(b, 'p'), undefined)
  await a.stop()
  assert.equal((await f.store.read({ read: 'workers' })).length, 1)
})

test('a frozen worker is gone after 15 s; when it wakes it is known again and owns nothing', async () => {
  await using f = await fleet()
  const stalled = await f.worker(1, 'there')
  const b = (await f.worker(2)).workers
  await stalled.workers.start()
  await lease(stalled.workers, 'p')
  await b.start()
  // Frozen: its beats do not reach the store.
  const late: (() => void)[] = []
  f.store.onCommit = (units, _sync, go) =>
    units.some((u) => u.writes.some((w) => w.write === 'worker' && w.worker.pid === 1))
      ? new Promise((resolve, reject) => late.push(() => void go().then(resolve, reject)))
      : go()
  await f.clock.advance(10_000)
  assert.equal(await lease(b, 'p'), undefined)
  await f.clock.advance(15_000)
  assert.deepEqual(await lease(b, 'p'), { name: 'p', epoch: 2 })
  f.store.onCommit = undefined
  for (const go of late) go()
  await f.clock.advance(10_000)
  assert.equal((await f.store.read({ read: 'workers' })).length, 2)
  await assert.rejects(
    stalled.commit.add({ guards: [{ guard: 'lease', name: 'p', epoch: 1 }], writes: [] }, 'durable'),
    { code: 'journal.fenced' },
  )
})

test('a lease is never held by a worker that nobody knows: it could not be found dead', async () => {
  await using f = await fleet()
  const a = (await f.worker(1, 'there')).workers
  const b = (await f.worker(2)).workers
  await a.start()
  await b.start()
  // Taken for gone; before its next beat it leases again, and then is not heard of any more.
  await f.store.commit([{ writes: [{ write: 'gone', worker: a.id }] }], 'durable')
  await lease(a, 'p')
  f.store.onCommit = (units, _sync, go) =>
    units.some((u) => u.writes.some((w) => w.write === 'worker' && w.worker.pid === 1))
      ? Promise.reject(new Error('cut off'))
      : go()
  await f.clock.advance(30_000)
  assert.deepEqual(await lease(b, 'p'), { name: 'p', epoch: 2 })
  f.store.onCommit = undefined
})

test('a worker of this machine whose process has ended is gone at once', async () => {
  await using f = await fleet()
  const a = (await f.worker(1)).workers
  await a.start()
  await lease(a, 'p')
  f.alive.delete(1)
  const b = (await f.worker(2)).workers
  await b.start()
  assert.deepEqual(await lease(b, 'p'), { name: 'p', epoch: 2 })
})

test('a wall clock that jumps expires nobody', async () => {
  await using f = await fleet()
  const a = (await f.worker(1, 'there')).workers
  const b = (await f.worker(2)).workers
  await a.start()
  await lease(a, 'p')
  await b.start()
  for (const jump of [86_400_000, -2 * 86_400_000, 3_600_000]) {
    f.clock.jump(jump)
    await f.clock.advance(10_000)
    assert.equal(await lease(b, 'p'), undefined)
    assert.equal((await f.store.read({ read: 'workers' })).length, 2)
  }
})

test('a worker that meets a newer one leases nothing more, and says so once', async () => {
  await using f = await fleet()
  const a = (await f.worker(1)).workers
  const b = await f.worker(2)
  await a.start()
  await b.commit.add(
    {
      writes: [
        {
          write: 'worker',
          worker: { id: 'newer', beat: 1, level: schemaLevel + 1, host: 'there', pid: 9, started: 0 },
        },
      ],
    },
    'durable',
  )
  await f.clock.advance(5_500)
  assert.equal(a.outdated, true)
  assert.equal(await lease(a, 'p'), undefined)
})

test('a beat that the store refuses is tried again at the next', async () => {
  await using f = await fleet()
  const a = (await f.worker(1)).workers
  await a.start()
  const beat = async (): Promise<number | undefined> => (await f.store.read({ read: 'workers' }))[0]?.beat
  const before = await beat()
  f.store.onCommit = () => Promise.reject(new Error('no'))
  await f.clock.advance(10_000)
  f.store.onCommit = undefined
  await f.clock.advance(5_000)
  assert.ok((await beat())! > before!)
})
