import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connection, Fault, subscription, topic, type Context } from 'fairlead'
import { fleet } from './fleet.fixture.ts'

type Order = { readonly id: string; readonly customer?: string }
const orders = topic<Order>('orders', { partitions: 4, key: (o) => o.customer })
const paid = topic<Order>('paid', { partitions: 1 })
const payments = connection('payments', {
  baseUrl: 'https://api.test',
  operations: { charge: { http: 'POST /charges', idempotent: 'key' } },
})

/** A subscription that notes what it handles, after `work`. */
function noting(work: (o: Order, ctx: Context) => unknown = () => {}, more: object = {}) {
  const handled: string[] = []
  const billing = subscription('billing', {
    to: orders,
    ...more,
    handle: async (o: Order, ctx: Context) => {
      await work(o, ctx)
      handled.push(o.id)
    },
  })
  return { handled, use: [orders, paid, payments, billing] }
}

const many = (n: number, customers = 5): Order[] =>
  Array.from({ length: n }, (_, i) => ({ id: `o${i}`, customer: `c${i % customers}` }))

/** Asserts that of each key the numbers of `ids` rise. */
function inOrder(ids: readonly string[], customers = 5): void {
  for (let c = 0; c < customers; c++) {
    const of = ids.map((id) => Number(id.slice(1))).filter((n) => n % customers === c)
    assert.deepEqual(
      of,
      of.toSorted((a, b) => a - b),
    )
  }
}

test('what was accepted since a moment is handled again, in the order of its keys', async () => {
  const s = noting()
  await using f = await fleet()
  const worker = await f.worker(s.use)
  const { operations } = await f.operator(s.use)
  await worker.publishMany(orders, many(50))
  await f.clock.advance(3_600_000)
  await worker.publishMany(orders, many(100).slice(50))
  await f.clock.advance(1_000)
  assert.equal(s.handled.length, 100)
  const dry = await operations.replayTopic({ subscription: 'billing', from: '30m', dryRun: true })
  assert.deepEqual([dry.messages, dry.started], [50, 0])
  const result = await f.finish(operations.replayTopic({ subscription: 'billing', from: '30m' }))
  assert.deepEqual([result.messages, result.started, result.handled, result.waiting], [50, 50, 50, 0])
  const again = s.handled.slice(100)
  assert.deepEqual(
    new Set(again),
    new Set(
      many(100)
        .slice(50)
        .map((o) => o.id),
    ),
  )
  assert.equal(again.length, 50)
  inOrder(again)
  assert.deepEqual((await operations.status()).replays, [])
})

test('set back, a subscription handles what is new after what is old, as the log has it', async () => {
  const s = noting()
  await using f = await fleet()
  const worker = await f.worker(s.use)
  const { operations } = await f.operator(s.use)
  await worker.publishMany(orders, many(20, 1))
  await f.clock.advance(1_000)
  const replay = operations.replayTopic({ subscription: 'billing', from: '1h', rate: '10/s' })
  await f.clock.advance(150)
  await worker.publish(orders, { id: 'o20', customer: 'c0' })
  await f.clock.advance(50)
  assert.equal((await worker.operations.status()).subscriptions[0]?.waiting, 'a replay goes first')
  await f.finish(replay)
  await f.clock.advance(10_000)
  assert.deepEqual(
    s.handled.slice(20),
    many(21, 1).map((o) => o.id),
  )
})

test('what is new goes on beside the repetition of a range that ends', async () => {
  const s = noting()
  await using f = await fleet()
  const worker = await f.worker(s.use)
  await worker.publishMany(orders, many(20, 1))
  await f.clock.advance(1_000)
  const replay = worker.operations.replayTopic({ subscription: 'billing', from: '1h', until: '0s', rate: '2/s' })
  await f.clock.advance(150)
  await worker.publish(orders, { id: 'other', customer: 'c1' })
  await f.clock.advance(50)
  assert.ok(s.handled.includes('other') && s.handled.length < 30)
  await f.finish(replay)
  await f.clock.advance(10_000)
  assert.deepEqual(
    s.handled.slice(20).filter((id) => id !== 'other'),
    many(20, 1).map((o) => o.id),
  )
})

test('what was read before the worker heard that it was set back comes after the old ones once more', async () => {
  const s = noting()
  await using f = await fleet()
  const worker = await f.worker(s.use)
  const { operations } = await f.operator(s.use)
  await worker.publishMany(orders, many(20, 1))
  await f.clock.advance(1_000)
  f.deaf(worker, true)
  const replay = operations.replayTopic({ subscription: 'billing', from: '1h', rate: '2/s' })
  await f.clock.advance(100)
  await worker.publish(orders, { id: 'o20', customer: 'c0' })
  await f.clock.advance(100)
  assert.equal(s.handled.filter((id) => id === 'o20').length, 1)
  f.deaf(worker, false)
  await f.finish(replay)
  await f.clock.advance(10_000)
  assert.deepEqual(
    s.handled.slice(-21),
    many(21, 1).map((o) => o.id),
  )
})

test('effects have the same ids and keys: nothing is published twice, and what was answered is not called again', async () => {
  const s = noting(async (o, ctx) => {
    await ctx.call(payments.charge, { order: o.id })
    await ctx.publish(paid, o)
  })
  await using f = await fleet()
  f.http.answer(payments.charge, [{}])
  const app = await f.worker(s.use)
  await app.publishMany(orders, many(10))
  await f.clock.advance(1_000)
  await f.finish(app.operations.replayTopic({ subscription: 'billing', from: '1h' }))
  assert.equal(s.handled.length, 20)
  const keys = f.http.called(payments.charge).map((c) => c.key)
  assert.deepEqual([keys.length, new Set(keys).size], [10, 10])
  assert.equal((await app.operations.messages({ topic: 'paid', limit: 100 })).length, 10)
})

test('from a position: that message and those after it in its partition, and no other', async () => {
  const s = noting()
  await using f = await fleet()
  const app = await f.worker(s.use)
  const positions = await app.publishMany(orders, many(60, 6))
  await f.clock.advance(1_000)
  const { partition } = positions[0]!
  const of = positions.flatMap((p, i) => (p.partition === partition ? [{ offset: p.offset, id: `o${i}` }] : []))
  const from = `orders/${partition}/${of[3]!.offset}`
  await f.finish(app.operations.replayTopic({ subscription: 'billing', from }))
  assert.deepEqual(new Set(s.handled.slice(60)), new Set(of.slice(3).map((m) => m.id)))
  const until = `orders/${partition}/${of[4]!.offset}`
  await f.finish(app.operations.replayTopic({ subscription: 'billing', from, until }))
  assert.deepEqual(
    s.handled.slice(60 + of.length - 3).toSorted(),
    of
      .slice(3, 5)
      .map((m) => m.id)
      .toSorted(),
  )
  for (const wrong of ['paid/0/1', 'orders/9/0'])
    await assert.rejects(app.operations.replayTopic({ subscription: 'billing', from: wrong }), {
      code: 'journal.missing',
    })
})

test('after the end of its process a replay goes on in another, and handles each message once', async () => {
  const s = noting()
  await using f = await fleet()
  const worker = await f.worker(s.use)
  await worker.publishMany(orders, many(200))
  await f.clock.advance(1_000)
  const first = (await f.operator(s.use)).operations.as('anna')
  const crash = new AbortController()
  const stopped = await f.finish(
    first.replayTopic({
      subscription: 'billing',
      from: '1h',
      rate: '50/s',
      reason: 'wrong prices',
      signal: crash.signal,
      progress: (so) => void (so.started >= 60 && crash.abort()),
    }),
  )
  assert.equal(stopped.stopped, 'aborted')
  const { operations } = await f.operator(s.use)
  const [replay] = (await operations.status()).replays
  assert.deepEqual(replay, {
    subscription: 'billing',
    topic: 'orders',
    by: 'anna',
    since: '2026-01-01T00:00:01.000Z',
    reason: 'wrong prices',
    live: 'waits',
    messages: 200,
    started: stopped.started,
  })
  await assert.rejects(operations.replayTopic({ subscription: 'billing', from: '1h' }), { code: 'replay.state' })
  const rest = await f.finish(operations.resumeReplay('billing'))
  assert.deepEqual([rest.messages, rest.started], [200 - stopped.started, 200 - stopped.started])
  await f.clock.advance(1_000)
  const again = s.handled.slice(200)
  assert.deepEqual([again.length, new Set(again).size], [200, 200])
  inOrder(again)
  await assert.rejects(operations.resumeReplay('billing'), { code: 'replay.state' })
})

test('who resumes a replay takes it over: the other one stops, and nothing is replayed twice', async () => {
  const s = noting()
  await using f = await fleet()
  const worker = await f.worker(s.use)
  await worker.publishMany(orders, many(100))
  await f.clock.advance(1_000)
  const [a, b] = [await f.operator(s.use), await f.operator(s.use)]
  const first = a.operations.replayTopic({ subscription: 'billing', from: '1h', rate: '20/s' })
  await f.clock.advance(1_000)
  const second = b.operations.resumeReplay('billing', { rate: '20/s' })
  const [one, two] = await f.finish(Promise.all([first, second]))
  assert.equal(one.stopped, 'taken')
  assert.equal(one.started + two.started, 100)
  assert.equal(s.handled.length, 200)
})

test('an operator who slept through the end of its replay does not write into the next one', async () => {
  const s = noting()
  await using f = await fleet()
  const worker = await f.worker(s.use)
  await worker.publishMany(orders, many(100))
  await f.clock.advance(1_000)
  const [a, b] = [await f.operator(s.use), await f.operator(s.use)]
  const sleeper = a.operations.replayTopic({ subscription: 'billing', from: '1h', rate: '1/s' })
  await f.clock.advance(100)
  await b.operations.cancelReplay('billing')
  const other = b.operations.replayTopic({ subscription: 'billing', from: '1h', rate: '2/s' })
  const [one, two] = await f.finish(Promise.all([sleeper, other]))
  assert.equal(one.stopped, 'taken')
  assert.equal(two.started + two.skipped, 100)
})

test('a message that is parked is left alone, and one it has not come to is handled once', async () => {
  let broken = true
  const s = noting((o) => {
    if (broken && o.id === 'o3') throw new Fault('order.total', 'rejected')
  })
  await using f = await fleet()
  const app = await f.worker(s.use)
  await app.publishMany(orders, many(10, 100))
  await f.clock.advance(1_000)
  await app.operations.pause('billing')
  await app.publish(orders, { id: 'later', customer: 'c99' })
  const dry = await app.operations.replayTopic({ subscription: 'billing', from: '1h', dryRun: true })
  assert.equal(dry.messages, 10)
  await app.operations.resume('billing')
  await f.clock.advance(100)
  broken = false
  const result = await f.finish(app.operations.replayTopic({ subscription: 'billing', from: '1h' }))
  assert.deepEqual([result.messages, result.started, result.skipped], [11, 10, 1])
  const [dead] = await app.operations.parked()
  assert.deepEqual([dead?.state, dead?.data], ['dead', { id: 'o3', customer: 'c3' }])
})

test('a replay whose messages fail stops, and what it put on the way is where a person sees it', async () => {
  let broken = false
  const s = noting(() => {
    if (broken) throw new Fault('order.total', 'rejected')
  })
  await using f = await fleet()
  const app = await f.worker(s.use)
  await app.publishMany(orders, many(500, 500))
  await f.clock.advance(1_000)
  broken = true
  const result = await f.finish(app.operations.replayTopic({ subscription: 'billing', from: '1h', rate: '20/s' }))
  assert.equal(result.stopped, 'failing')
  assert.ok(result.started < 80, `${result.started}`)
  await f.clock.advance(2_000)
  const parked = await app.operations.parked({ limit: 1_000 })
  assert.deepEqual([parked.length, parked.every((p) => p.state === 'dead')], [result.started, true])
  await app.operations.cancelReplay('billing')
  assert.deepEqual((await app.operations.status()).replays, [])
})

test('a poisoned key does not take the room of the others', async () => {
  let broken = false
  const s = noting((o) => {
    if (broken && o.id === 'o0') throw new Fault('order.total', 'rejected')
  })
  await using f = await fleet()
  const app = await f.worker(s.use)
  await app.publishMany(
    orders,
    Array.from({ length: 1_500 }, (_, i) => ({ id: `o${i}`, customer: i < 1_200 ? 'poison' : `c${i}` })),
  )
  await f.clock.advance(1_000)
  broken = true
  const replay = app.operations.replayTopic({ subscription: 'billing', from: '1h', rate: '1000/s' })
  const result = await f.finish(replay)
  assert.deepEqual(result, {
    messages: 1_500,
    started: 1_500,
    skipped: 0,
    handled: 300,
    failed: 1,
    waiting: 1_199,
  })
})

test('it never parks so many that the subscription would stop reading', async () => {
  let most = 0
  const s = noting(() => new Promise((resolve) => setImmediate(resolve)), { parkedLimit: 20, concurrency: 1 })
  await using f = await fleet()
  const app = await f.worker(s.use)
  await app.publishMany(orders, many(200, 200))
  for (let i = 0; i < 1_000 && s.handled.length < 200; i++) await f.clock.advance(1)
  await f.clock.advance(1_000)
  const progress = async (): Promise<void> => {
    most = Math.max(most, (await f.store.read({ read: 'parked', limit: 1_000 })).length)
  }
  const watching: Promise<void>[] = []
  const replay = app.operations.replayTopic({
    subscription: 'billing',
    from: '1h',
    rate: '1000/s',
    progress: () => void watching.push(progress()),
  })
  const result = await f.finish(replay)
  await Promise.all(watching)
  assert.equal(result.started, 200)
  assert.ok(most > 0 && most <= 10, `${most}`)
})

test('batches are replayed too, and what retention has removed is not part of it', async () => {
  const orders = topic<Order>('orders', { partitions: 4, key: (o) => o.customer, keep: '1h' })
  const handled: string[] = []
  const billing = subscription('billing', {
    to: orders,
    handleBatch: (batch: readonly { readonly data: Order }[]) => void handled.push(...batch.map((m) => m.data.id)),
  })
  const use = [orders, billing]
  await using f = await fleet()
  const app = await f.worker(use)
  await app.publishMany(orders, many(40, 4))
  await f.clock.advance(2 * 3_600_000)
  await app.publishMany(orders, many(44, 4).slice(40))
  await f.clock.advance(1_000)
  assert.equal(handled.length, 44)
  const kept = (await app.operations.topics()).find((t) => t.name === 'orders')!.messages
  assert.ok(kept < 44)
  const result = await f.finish(app.operations.replayTopic({ subscription: 'billing', from: '30d' }))
  assert.deepEqual([result.messages, result.handled], [kept, kept])
  inOrder(handled.slice(44), 4)
})
