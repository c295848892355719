import assert from 'node:assert/strict'
import { test } from 'node:test'
import { schemaLevel } from '#adapters/stores/migrations/index.ts'
import { counted, fleet, watched, writes, type Fleet, type Member } from './fleet.fixture.ts'
import { dataOf, gate, reader } from './world.fixture.ts'

/** A subscription that notes which member handled what. */
function noting(seen: unknown[], more: Parameters<typeof reader>[1] = {}) {
  return reader((run) => void seen.push(dataOf(run)), more)
}

const all = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

/** Publishes one message to each partition, handled or not; they are their partitions' numbers. */
async function toEach(by: Member, partitions: number, round = 0): Promise<void> {
  const { log } = by.journal
  const topic = log.topic('things')
  await log.append(
    all(partitions).map((p) => ({
      ...log.entry(topic, {
        id: `${round}-${p}`,
        key: `k${p}`,
        meta: null,
        body: JSON.stringify(p + 100 * round),
        dedupe: 0,
      }),
      slot: topic.slot + p,
    })),
  )
}

async function ownersOf(f: Fleet): Promise<readonly (number | undefined)[]> {
  return f.owners()
}

test('one that joins is handed its share within a second, one partition at a time kept by nobody else', async () => {
  await using f = await fleet(16)
  const seen: unknown[] = []
  await f.start([noting(seen)])
  assert.deepEqual(counted(await ownersOf(f)), [16])
  await f.start([noting(seen)])
  await f.clock.advance(1_000)
  const two = await ownersOf(f)
  assert.deepEqual(counted(two), [8, 8])
  const third = await f.start([noting(seen)])
  await f.clock.advance(1_000)
  const three = await ownersOf(f)
  assert.deepEqual(counted(three), [5, 5, 6])
  for (const [p, o] of three.entries()) assert.ok(o === two[p] || o === 2, 'only the third was given something')
  await toEach(third, 16)
  await f.clock.advance(1_000)
  assert.deepEqual(
    seen.sort((a, b) => Number(a) - Number(b)),
    all(16),
  )
  const logged = f.members.flatMap((m) => m.runtime.logged.map((l) => l.event))
  assert.deepEqual(logged, [])
})

test('what one that ends had is taken over at once, and only that moves', async () => {
  await using f = await fleet(16)
  for (let i = 0; i < 3; i++) await f.start([noting([])])
  await f.clock.advance(1_000)
  const before = await ownersOf(f)
  const stopped = f.members[1]!.journal.stop(1_000)
  await f.clock.advance(1_000)
  await stopped
  const after = await ownersOf(f)
  assert.deepEqual(counted(after), [8, 8])
  for (const [p, o] of before.entries()) if (o !== 1) assert.equal(after[p], o)
  f.members[1]!.die()
})

test('what becomes free together is claimed in one commit by each', async () => {
  await using f = await fleet(16)
  for (let i = 0; i < 3; i++) await f.start([noting([])])
  await f.clock.advance(1_000)
  const commits = watched(f.store)
  f.members[2]!.die()
  await f.clock.advance(6_000)
  assert.deepEqual(counted(await ownersOf(f)), [8, 8])
  const claims = commits.filter((c) => writes(c.units, 'lease'))
  assert.equal(claims.length, 2)
  assert.equal(claims.flatMap((c) => c.units.flatMap((u) => u.writes.filter((w) => w.write === 'lease'))).length, 5)
})

test('a partition is handed over gently: what runs ends where it began, what follows begins where it went', async () => {
  await using f = await fleet(2)
  const order: string[] = []
  const hold = gate()
  const handle = (member: number) =>
    reader(async (run) => {
      order.push(`${member} begins ${String(dataOf(run))}`)
      if (order.length <= 2) await hold.opened
      order.push(`${member} ends ${String(dataOf(run))}`)
    })
  const first = await f.start([handle(0)])
  await toEach(first, 2)
  await f.clock.advance(0)
  await f.start([handle(1)])
  await f.clock.advance(1_000)
  await toEach(first, 2, 1)
  await f.clock.advance(5_000)
  const moves = order.filter((l) => l.startsWith('1'))
  assert.deepEqual(moves, [], 'the second waits for what runs')
  assert.deepEqual(await ownersOf(f), [0, 0])
  hold.open()
  await f.clock.advance(1_000)
  assert.deepEqual(counted(await ownersOf(f)), [1, 1])
  const moved = (await ownersOf(f)).indexOf(1)
  const ends = order.indexOf(`0 ends ${moved}`)
  assert.ok(ends >= 0 && order.indexOf(`1 begins ${100 + moved}`) > ends)
  assert.equal(order.filter((l) => l.includes('begins')).length, 4, 'nothing ran twice')
})

test('one that is needed again before it has handed over goes on as if nothing had been', async () => {
  await using f = await fleet(1)
  const seen: unknown[] = []
  const hold = gate()
  const slow = reader(async (run) => {
    if (dataOf(run) === 0) await hold.opened
    seen.push(dataOf(run))
  })
  // Started one after the other until the only partition is meant for the last one.
  const first = await f.start([slow])
  await toEach(first, 1)
  await f.clock.advance(0)
  const wants = (): boolean => first.journal.subscriptions.get('reader')!.owned[0]!.leaving
  let guests = 0
  while (!wants() && guests++ < 20) {
    await f.start([noting(seen)], { host: 'there' })
    await f.clock.advance(1_000)
  }
  assert.ok(wants())
  const newer = f.members.at(-1)!
  await toEach(first, 1, 1)
  const stopped = newer.journal.stop(0)
  await f.clock.advance(2_000)
  await stopped
  newer.die()
  assert.ok(!wants())
  hold.open()
  await f.clock.advance(1_000)
  assert.deepEqual(seen, [0, 100])
})

test('nobody is counted on for a subscription that it does not have', async () => {
  await using f = await fleet(8)
  const a = await f.start([noting([]), noting([], { name: 'only-here' })])
  await f.start([noting([])])
  await f.clock.advance(2_000)
  assert.deepEqual(counted(await f.owners('reader')), [4, 4])
  assert.deepEqual(counted(await f.owners('only-here')), [8])
  assert.equal(a.partitionsOf('only-here').length, 8)
})

test('what its preferred owner does not take is taken by another after 5 s, and stays there', async () => {
  await using f = await fleet(8)
  const seen: unknown[] = []
  const a = await f.start([noting(seen)])
  const b = await f.start([noting(seen)])
  // It lives and says that it takes its share, and never does.
  b.store.onCommit = (units, _sync, go) => (writes(units, 'lease') ? Promise.reject(new Error('wedged')) : go())
  await f.clock.advance(4_000)
  const between = await ownersOf(f)
  assert.equal(between.filter((o) => o === undefined).length, 4)
  await toEach(a, 8)
  await f.clock.advance(3_000)
  assert.deepEqual(counted(await ownersOf(f)), [8])
  assert.equal(seen.length, 8)
  const commits = watched(f.store)
  await f.clock.advance(60_000)
  assert.equal(commits.filter((c) => writes(c.units, 'release')).length, 0, 'it is not given away again and again')
  assert.ok(a.runtime.logged.some((l) => l.event === 'journal.partition_left_free'))
})

test('a frozen holder is fenced when it has said nothing for 15 s; awake, it handles nothing of what others have', async () => {
  await using f = await fleet(4)
  const seen: [number, unknown][] = []
  const noted = (member: number) => reader((run) => void seen.push([member, dataOf(run)]))
  const a = await f.start([noted(0)], { host: 'there' })
  const b = await f.start([noted(1)])
  await f.clock.advance(2_000)
  a.process.state = 'frozen'
  await toEach(b, 4)
  await f.clock.advance(14_000)
  assert.equal(seen.length, 2)
  await f.clock.advance(8_000)
  assert.deepEqual(counted(await ownersOf(f)), [4])
  assert.deepEqual(
    seen.map(([m]) => m),
    [1, 1, 1, 1],
  )
  a.process.state = 'live'
  await f.clock.advance(2_000)
  await toEach(b, 4, 1)
  await f.clock.advance(1_000)
  assert.equal(seen.length, 8)
  assert.deepEqual(counted(await ownersOf(f)), [2, 2])
})

test('one that meets a newer worker hands over everything, says so, and handles nothing more', async () => {
  await using f = await fleet(4)
  const seen: [number, unknown][] = []
  const hold = gate()
  const a = await f.start([
    reader(async (run) => {
      seen.push([0, dataOf(run)])
      if (seen.length === 1) await hold.opened
    }),
  ])
  await toEach(a, 1)
  await f.clock.advance(0)
  const newer = {
    id: 'newer',
    beat: 1,
    level: schemaLevel + 1,
    host: 'there',
    pid: 9,
    started: 0,
  }
  const card = { beat: 1, works: ['reader'], wall: f.clock.now(), outdated: false, skew: {} }
  await f.store.commit(
    [
      {
        writes: [
          { write: 'worker', worker: newer },
          { write: 'put', name: 'worker/newer', value: JSON.stringify(card), expires: null },
        ],
      },
    ],
    'durable',
  )
  await f.clock.advance(1_000)
  const subscription = a.journal.subscriptions.get('reader')!
  assert.equal(subscription.partitions.size, 1, 'what runs may end')
  assert.match(subscription.waiting!, /newer worker/)
  hold.open()
  await f.clock.advance(1_000)
  assert.equal(subscription.partitions.size, 0)
  assert.deepEqual(await f.store.read({ read: 'leases' }), [])
  await toEach(a, 4, 1)
  await f.clock.advance(10_000)
  assert.equal(seen.length, 1)
  const said = a.runtime.logged.filter((l) => l.event === 'journal.outdated')
  assert.equal(said.length, 1)
  const [told] = await f.store.read({ read: 'keys', prefix: `worker/${a.journal.workers.id}`, now: f.clock.now() })
  assert.match(told!.value, /"works":\[\].*"outdated":true/)
})

test('one that drains gives back what is idle at once, though a handler elsewhere takes its time', async () => {
  await using f = await fleet(4)
  const hold = gate()
  const a = await f.start([reader(() => hold.opened)])
  await toEach(a, 1)
  await f.clock.advance(0)
  const stopped = a.journal.stop(10_000)
  const b = await f.start([noting([])])
  await f.clock.advance(1_000)
  assert.deepEqual(await ownersOf(f), [0, 1, 1, 1])
  hold.open()
  await f.clock.advance(1_000)
  await stopped
  a.die()
  assert.deepEqual(b.partitionsOf('reader'), [0, 1, 2, 3])
})

test('an old worker that says nothing of itself keeps what it has, and is counted on for nothing', async () => {
  await using f = await fleet(4)
  const old = { id: 'old', beat: 1, level: schemaLevel, host: 'there', pid: 9, started: 0 }
  await f.store.commit(
    [
      {
        writes: [
          { write: 'worker', worker: old },
          { write: 'lease', name: 'subscription/reader/0', worker: 'old', from: null },
        ],
      },
    ],
    'durable',
  )
  const a = await f.start([noting([])])
  await f.clock.advance(2_000)
  assert.deepEqual(a.partitionsOf('reader'), [1, 2, 3])
  await f.clock.advance(15_000)
  assert.deepEqual(a.partitionsOf('reader'), [0, 1, 2, 3])
})

test('clocks that differ by more than 5 s are said and shown, a frozen worker is not taken for a skewed one, and no lease moves', async () => {
  await using f = await fleet(4)
  const a = await f.start([noting([])])
  const b = await f.start([noting([])], { host: 'there' })
  b.process.skew = 9_000
  await f.clock.advance(1_000)
  const before = await ownersOf(f)
  await f.clock.advance(20_000)
  const skewed = (m: Member): unknown[] => m.runtime.logged.filter((l) => l.event === 'journal.clock_skew')
  assert.equal(skewed(a).length, 1)
  assert.equal(skewed(b).length, 1)
  assert.deepEqual(await ownersOf(f), before)
  const [card] = await f.store.read({ read: 'keys', prefix: `worker/${a.journal.workers.id}`, now: f.clock.now() })
  const told = (JSON.parse(card!.value) as { skew: Record<string, number> }).skew[b.journal.workers.id]!
  assert.ok(told > 5_000 && told <= 9_000, `${told}`)

  const c = await f.start([noting([])], { host: 'elsewhere' })
  await f.clock.advance(20_000)
  for (let i = 0; i < 5; i++) {
    c.process.state = 'frozen'
    await f.clock.advance(12_000)
    c.process.state = 'live'
    await f.clock.advance(12_000)
  }
  assert.equal(skewed(a).length, 1)
})

test('a notice costs a bounded number of reads, however many subscriptions and partitions there are', async () => {
  await using f = await fleet(16)
  const some = Array.from({ length: 20 }, (_, i) => noting([], { name: `s${i}` }))
  const a = await f.start(some)
  await f.clock.advance(1_000)
  let reads = 0
  const before = a.store.onRead!
  a.store.onRead = (query, go) => {
    reads++
    return before(query, go)
  }
  for (const changed of f.store.watchers) changed()
  await f.clock.advance(0)
  assert.ok(reads > 0 && reads <= 8, `${reads}`)
})

test('a run that ends after its lease was lost changes nothing, well or badly: the new owner has the word', async () => {
  await using f = await fleet(2)
  const hold = gate()
  const runs: [number, unknown][] = []
  const handle = (member: number) =>
    reader(async (run) => {
      runs.push([member, dataOf(run)])
      if (member > 0) return
      await hold.opened
      if (dataOf(run) === 1) throw new Error('late')
    })
  const a = await f.start([handle(0)], { host: 'there' })
  await toEach(a, 2)
  await f.clock.advance(0)
  a.process.state = 'frozen'
  const b = await f.start([handle(1)])
  await f.clock.advance(25_000)
  assert.deepEqual(
    runs.map(([m]) => m),
    [0, 0, 1, 1],
  )
  hold.open()
  a.process.state = 'live'
  await f.clock.advance(30_000)
  assert.equal(runs.length, 4)
  assert.deepEqual(await f.store.inner.read({ read: 'parked', limit: 10 }), [])
  const cursors = await f.store.inner.read({ read: 'cursors', subscription: 1 })
  assert.deepEqual(
    cursors.map((c) => c.low),
    [1, 1],
  )
  assert.deepEqual(counted(await ownersOf(f)), [1, 1], 'it is one of the fleet again')
  assert.equal(b.journal.subscriptions.get('reader')!.counts.done, 2)
})

test('a worker that cannot be heard for a while keeps what it has when nobody else is there', async () => {
  await using f = await fleet(4)
  const seen: unknown[] = []
  const a = await f.start([noting(seen)])
  a.process.state = 'frozen'
  await f.clock.advance(60_000)
  a.process.state = 'live'
  await toEach(a, 4)
  await f.clock.advance(1_000)
  assert.equal(seen.length, 4)
  assert.ok((await f.store.read({ read: 'leases' })).every((l) => l.epoch === 1))
})

test('a slow handler delays the handing over, not the keys beside it: they wait 10 s at first', async () => {
  await using f = await fleet(2)
  const began: [number, unknown, number][] = []
  let ends = 0
  const handle = (member: number) =>
    reader(
      (run) => {
        began.push([member, dataOf(run), f.clock.mono()])
        if (typeof dataOf(run) === 'number') return undefined
        return new Promise<void>((resolve) => f.clock.after(100_000, () => (ends++, resolve())))
      },
      { timeout: 600_000 },
    )
  const a = await f.start([handle(0)])
  const { log } = a.journal
  const topic = log.topic('things')
  const send = (partition: number, data: unknown): Promise<unknown> =>
    log.append([
      {
        ...log.entry(topic, {
          id: `${partition}-${String(data)}`,
          key: String(data),
          meta: null,
          body: JSON.stringify(data),
          dedupe: 0,
        }),
        slot: topic.slot + partition,
      },
    ])
  for (const p of [0, 1]) await send(p, 'slow')
  await f.clock.advance(0)
  await f.start([handle(1)])
  const sentAt = new Map<number, number>()
  for (let n = 0; n < 150; n++) {
    sentAt.set(n, f.clock.mono())
    for (const p of [0, 1]) await send(p, n)
    await f.clock.advance(1_000)
  }
  await f.clock.advance(60_000)
  assert.equal(ends, 2)
  assert.deepEqual(counted(await ownersOf(f)), [1, 1])
  const waits = began.filter(([, d]) => typeof d === 'number').map(([, d, at]) => at - sentAt.get(Number(d))!)
  assert.equal(waits.length, 300)
  assert.ok(waits.filter((w) => w > 1_000).length > 0, 'it was tried')
  // 10, 20 and 40 s within the time that the handler takes.
  assert.ok(Math.max(...waits) <= 40_000, `${Math.max(...waits)}`)
  const first = waits.filter((_, i) => i < 60)
  assert.ok(Math.max(...first) <= 10_000, `${Math.max(...first)}`)
})
