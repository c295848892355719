import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault, subscription, topic, type Context } from 'fairlead'
import { fleet, type Fleet } from './fleet.fixture.ts'
import type { Driven } from './drive.ts'

type Order = { readonly id: string; readonly customer?: string }
const orders = topic<Order>('orders', { partitions: 4, key: (o) => o.customer })

/** A subscription that rejects as long as it is told to, and what it has done. */
function stubborn(fails: (o: Order) => string | undefined) {
  const runs: { readonly id: string; readonly at: number }[] = []
  const handled: string[] = []
  const use = subscription('billing', {
    to: orders,
    handle: (o: Order, ctx: Context) => {
      runs.push({ id: o.id, at: ctx.now().getTime() })
      const code = fails(o)
      if (code !== undefined) throw new Fault(code, 'rejected')
      handled.push(o.id)
    },
  })
  return { runs, handled, use: [orders, use] }
}

const many = (n: number): Order[] => Array.from({ length: n }, (_, i) => ({ id: `o${i}` }))

async function dead(f: Fleet): Promise<number> {
  const rows = await f.store.read({ read: 'parked', state: 'dead', limit: 100_000 })
  return rows.length
}

test('dead messages are handled again at a rate, beside the running process, and none twice', async () => {
  let broken = true
  const s = stubborn(() => (broken ? 'order.total' : undefined))
  await using f = await fleet()
  const worker = await f.worker(s.use)
  const { operations } = await f.operator(s.use)
  await worker.publishMany(orders, many(100))
  await f.clock.advance(1_000)
  assert.equal(await dead(f), 100)
  broken = false
  const before = s.runs.length
  const seen: Driven[] = []
  const result = await f.finish(
    operations.redrive({ subscription: 'billing', rate: '20/s', progress: (so) => seen.push(so) }),
  )
  assert.deepEqual(result, {
    found: { messages: 100, codes: { 'order.total': 100 }, states: { dead: 100 } },
    started: 100,
    skipped: 0,
    handled: 100,
    failed: 0,
    waiting: 0,
  })
  const again = s.runs.slice(before)
  assert.equal(new Set(again.map((r) => r.id)).size, 100)
  for (const { at } of again) {
    const second = again.filter((r) => r.at >= at && r.at < at + 1_000).length
    assert.ok(second <= 21, `${second} within a second`)
  }
  assert.ok(again.at(-1)!.at - again[0]!.at >= 4_500)
  assert.ok(seen.some((so) => so.started > 0 && so.started < 100))
})

test('a dry run counts by code and touches nothing', async () => {
  const s = stubborn((o) => (o.id === 'o1' ? 'order.total' : 'order.customer'))
  await using f = await fleet()
  const app = await f.worker(s.use)
  const { operations } = app
  await app.publishMany(orders, many(5))
  await f.clock.advance(1_000)
  const before = await f.store.read({ read: 'parked', limit: 10 })
  const trail = await operations.trail()
  const { found, started } = await f.finish(operations.redrive({ subscription: 'billing', dryRun: true }))
  assert.deepEqual(found.codes, { 'order.customer': 4, 'order.total': 1 })
  assert.equal(started, 0)
  assert.deepEqual(await f.store.read({ read: 'parked', limit: 10 }), before)
  assert.deepEqual(await operations.trail(), trail)
})

test('while the cause persists it stops after few, and the history of each is kept', async () => {
  const s = stubborn(() => 'order.total')
  await using f = await fleet()
  const app = await f.worker(s.use)
  const { operations } = app
  await app.publishMany(orders, many(500))
  await f.clock.advance(1_000)
  const before = s.runs.length
  const result = await f.finish(operations.redrive({ subscription: 'billing', rate: '10/s' }))
  assert.equal(result.stopped, 'failing')
  assert.ok(result.started < 40, `${result.started} were redriven in vain`)
  assert.equal(s.runs.length - before, result.started)
  assert.equal(await dead(f), 500)
  const histories = (await operations.parked({ subscription: 'billing', limit: 1_000 })).map((p) => p.history.length)
  assert.deepEqual(
    [histories.filter((n) => n === 2).length, histories.filter((n) => n === 1).length],
    [result.started, 500 - result.started],
  )
})

test('it goes on while fewer fail than the share at which it stops', async () => {
  let fixed = false
  const s = stubborn((o) => (fixed && Number(o.id.slice(1)) % 3 > 0 ? undefined : 'order.total'))
  await using f = await fleet()
  const app = await f.worker(s.use)
  const { operations } = app
  await app.publishMany(orders, many(60))
  await f.clock.advance(1_000)
  fixed = true
  const result = await f.finish(operations.redrive({ subscription: 'billing', rate: '50/s' }))
  assert.deepEqual([result.stopped, result.handled, result.failed], [undefined, 40, 20])
})

test('only what the filter is about is redriven: by code, key and time, at most so many', async () => {
  let fixed = false
  const s = stubborn((o) => (fixed ? undefined : o.customer === 'c3' ? 'other.code' : 'order.total'))
  await using f = await fleet()
  const { publish, operations } = await f.worker(s.use)
  for (let i = 0; i < 6; i++) {
    await publish(orders, { id: `o${i}`, customer: `c${i}` })
    await f.clock.advance(60_000)
  }
  fixed = true
  const found = async (filter: object): Promise<number> =>
    (await f.finish(operations.redrive({ subscription: 'billing', dryRun: true, ...filter }))).found.messages
  assert.deepEqual(
    [
      await found({ code: 'order.*' }),
      await found({ code: 'other.code' }),
      await found({ key: 'c2' }),
      await found({ since: '150s' }),
      await found({ until: '150s' }),
      await found({ limit: 2 }),
    ],
    [5, 1, 1, 2, 4, 2],
  )
  await f.finish(operations.redrive({ subscription: 'billing', code: 'order.*', since: '150s' }))
  assert.deepEqual(s.handled.toSorted(), ['o4', 'o5'])
})

test('of a key, later messages follow the redriven one in their order', async () => {
  let broken = true
  const s = stubborn((o) => (broken && o.id === 'o0' ? 'order.total' : undefined))
  await using f = await fleet()
  const { publish, operations } = await f.worker(s.use)
  for (let i = 0; i < 5; i++) await publish(orders, { id: `o${i}`, customer: 'c' })
  await f.clock.advance(1_000)
  assert.deepEqual(s.handled, [])
  broken = false
  await f.finish(operations.redrive({ subscription: 'billing' }))
  await f.clock.advance(1_000)
  assert.deepEqual(s.handled, ['o0', 'o1', 'o2', 'o3', 'o4'])
})

test('an operator whose process ends in the middle leaves the rest dead, and the same call goes on', async () => {
  let broken = true
  const s = stubborn(() => (broken ? 'order.total' : undefined))
  await using f = await fleet()
  const worker = await f.worker(s.use)
  const first = await f.operator(s.use)
  await worker.publishMany(orders, many(50))
  await f.clock.advance(1_000)
  broken = false
  const ended = new AbortController()
  const result = await f.finish(
    first.operations.redrive({
      subscription: 'billing',
      signal: ended.signal,
      progress: (so) => void (so.started >= 20 && ended.abort()),
    }),
  )
  assert.equal(result.stopped, 'aborted')
  await f.clock.advance(2_000)
  assert.deepEqual([s.handled.length, await dead(f)], [result.started, 50 - result.started])
  const second = await f.operator(s.use)
  const rest = await f.finish(second.operations.redrive({ subscription: 'billing' }))
  assert.deepEqual([rest.started, rest.handled], [50 - result.started, 50 - result.started])
  assert.equal(new Set(s.handled).size, 50)
})

test('of two operators at once each message has one', async () => {
  let broken = true
  const s = stubborn(() => (broken ? 'order.total' : undefined))
  await using f = await fleet()
  const worker = await f.worker(s.use)
  const [a, b] = [await f.operator(s.use), await f.operator(s.use)]
  await worker.publishMany(orders, many(40))
  await f.clock.advance(1_000)
  broken = false
  const both = await f.finish(
    Promise.all([a, b].map((app) => app.operations.redrive({ subscription: 'billing', rate: '20/s' }))),
  )
  assert.equal(both[0]!.started + both[1]!.started, 40)
  assert.equal(s.handled.length, 40)
  const entries = (await a.operations.trail(1_000)).filter((e) => e.subject.startsWith('parked/'))
  assert.equal(new Set(entries.map((e) => e.subject)).size, 40)
  assert.equal(entries.length, 40)
})

test('of two operators at once none redrives what died again under the other', async () => {
  const s = stubborn(() => 'order.total')
  await using f = await fleet()
  const worker = await f.worker(s.use)
  const [a, b] = [await f.operator(s.use), await f.operator(s.use)]
  await worker.publishMany(orders, many(8))
  await f.clock.advance(1_000)
  const [fast, slow] = await f.finish(
    Promise.all([
      a.operations.redrive({ subscription: 'billing', rate: '10/s' }),
      b.operations.redrive({ subscription: 'billing', rate: '1/s' }),
    ]),
  )
  assert.deepEqual([fast.started + slow.started, fast.skipped + slow.skipped, s.runs.length], [8, 8, 16])
})

test('without a running process it waits for nothing, and never puts more than 1,000 on their way', async () => {
  const s = stubborn(() => 'order.total')
  await using f = await fleet()
  const worker = await f.worker(s.use)
  await worker.publishMany(orders, many(1_100))
  await f.clock.advance(1_000)
  await f.stop(worker)
  const { operations } = await f.operator(s.use)
  const began = f.clock.mono()
  const small = await f.finish(operations.redrive({ subscription: 'billing', limit: 5, rate: '1000/s' }))
  assert.deepEqual([small.started, small.waiting, small.stopped], [5, 5, undefined])
  assert.ok(f.clock.mono() - began < 1_000)
  const large = await f.finish(operations.redrive({ subscription: 'billing', limit: 2_000, rate: '1000/s' }))
  assert.deepEqual([large.started, large.stopped], [1_000, 'idle'])
})

test('options out of range are refused before anything is touched', async () => {
  const s = stubborn(() => 'order.total')
  await using f = await fleet()
  const app = await f.worker(s.use)
  const { operations } = app
  await app.publishMany(orders, many(1))
  await f.clock.advance(1_000)
  const before = await f.store.read({ read: 'audit', limit: 10 })
  for (const wrong of [
    { rate: '5000/s' },
    { rate: '100/day' },
    { rate: 'fast' },
    { stopAt: 0 },
    { stopAt: 2 },
    { limit: 0 },
    { limit: 1.5 },
    { since: 'yesterday' },
    { wait: '2h' },
  ]) {
    const refused = operations.redrive({ subscription: 'billing', ...(wrong as object) })
    await assert.rejects(refused, { code: 'config.option' }, JSON.stringify(wrong))
  }
  await assert.rejects(operations.redrive({ subscription: 'biling' }), { code: 'subscription.unknown' })
  assert.deepEqual(await f.store.read({ read: 'audit', limit: 10 }), before)
})
