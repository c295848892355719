import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connection, Fault, reject, sql, subscription, topic, type Context } from 'fairlead'
import { cut, harness, reply } from 'fairlead/testing'
import { z } from 'zod'

const Order = z.object({ id: z.string(), customer: z.string() })
const orders = topic('orders', { schema: Order, key: (o) => o.customer })
const done = topic('done', { schema: Order })

function order(id: string, customer = 'c1'): z.infer<typeof Order> {
  return { id, customer }
}

/** A subscription that notes what it handled, and fails as told. */
function noting(fail: (id: string, attempt: number) => void = () => {}, more: object = {}) {
  const handled: string[] = []
  const use = subscription('noting', {
    to: orders,
    ...more,
    async handle(o, ctx) {
      fail(o.id, ctx.attempt)
      handled.push(o.id)
    },
  })
  return { handled, use }
}

test('a published message reaches its subscription once', async () => {
  const s = noting()
  await using t = await harness({ use: [orders, s.use] })
  await t.publish(orders, order('o1'))
  await t.settle()
  assert.deepEqual(s.handled, ['o1'])
  await t.advance('1h')
  assert.deepEqual(s.handled, ['o1'])
})

test('data that does not fit the schema is refused before anything is stored', async () => {
  await using t = await harness({ use: [orders] })
  await assert.rejects(t.publish(orders, { id: 1 } as never), { code: 'schema.invalid' })
  assert.deepEqual(await t.messages(orders), [])
})

test('an id that is repeated within the window is answered with the first position', async () => {
  const s = noting()
  await using t = await harness({ use: [orders, s.use] })
  const first = await t.publish(orders, order('o1'), { id: 'x' })
  assert.deepEqual(await t.publish(orders, order('o2'), { id: 'x' }), first)
  await t.advance('8d')
  assert.notDeepEqual(await t.publish(orders, order('o3'), { id: 'x' }), first)
  await t.settle()
  assert.deepEqual(s.handled, ['o1', 'o3'])
})

test('a failed message is retried with backoff and its attempt number, and done when it succeeds', async () => {
  const attempts: number[] = []
  const s = noting((_, attempt) => {
    attempts.push(attempt)
    if (attempt < 3) throw new Error('not yet')
  })
  await using t = await harness({ use: [orders, s.use] })
  await t.publish(orders, order('o1'))
  await t.settle()
  assert.deepEqual(attempts, [1])
  assert.equal((await t.parked())[0]?.state, 'retry')
  await t.advance('10s')
  assert.deepEqual(attempts, [1, 2, 3])
  assert.deepEqual(s.handled, ['o1'])
  assert.deepEqual(await t.parked(), [])
})

test('a message whose attempts are spent is dead, with its reasons', async () => {
  const s = noting(
    () => {
      throw new Error('never')
    },
    { retry: { attempts: 3, first: '1s', max: '2s' } },
  )
  await using t = await harness({ use: [orders, s.use] })
  await t.publish(orders, order('o1'))
  await t.advance('1h')
  const [dead] = await t.parked()
  assert.equal(dead?.state, 'dead')
  assert.equal(dead.attempts, 3)
  assert.equal(dead.history.length, 3)
  assert.match(dead.fault?.message ?? '', /never/)
})

test('a rejected message is dead at once', async () => {
  const s = noting(() => reject('order.strange', { why: 'test' }))
  await using t = await harness({ use: [orders, s.use] })
  await t.publish(orders, order('o1'))
  await t.settle()
  assert.deepEqual(
    (await t.parked()).map((p) => [p.state, p.attempts, p.fault?.code]),
    [['dead', 1, 'order.strange']],
  )
})

for (const thrown of [undefined, null, 'text', 42, Symbol('s'), Object.create(null)]) {
  test(`a handler that throws ${typeof thrown} ${String(typeof thrown === 'object' ? 'object' : thrown?.toString())} is retried like any other`, async () => {
    let runs = 0
    const s = noting(() => {
      if (runs++ === 0) throw thrown
    })
    await using t = await harness({ use: [orders, s.use] })
    await t.publish(orders, order('o1'))
    await t.advance('5s')
    assert.deepEqual(s.handled, ['o1'])
  })
}

test('messages of one key keep their order across retries; other keys do not wait', async () => {
  let failures = 2
  const s = noting((id) => {
    if (id === 'a1' && failures-- > 0) throw new Error('not yet')
  })
  await using t = await harness({ use: [orders, s.use] })
  for (const id of ['a1', 'a2', 'a3']) await t.publish(orders, order(id, 'a'))
  await t.publish(orders, order('b1', 'b'))
  await t.settle()
  assert.deepEqual(s.handled, ['b1'])
  assert.deepEqual(
    (await t.parked()).map((p) => p.state),
    ['retry', 'behind', 'behind'],
  )
  await t.publish(orders, order('a4', 'a'))
  await t.advance('30s')
  assert.deepEqual(s.handled, ['b1', 'a1', 'a2', 'a3', 'a4'])
  assert.deepEqual(await t.parked(), [])
  await t.publish(orders, order('a5', 'a'))
  await t.settle()
  assert.equal(s.handled.at(-1), 'a5')
})

test('a dead message stops only its own key, until a person discards it', async () => {
  const s = noting((id) => {
    if (id === 'a1') reject('bad')
  })
  await using t = await harness({ use: [orders, s.use] })
  for (const id of ['a1', 'a2']) await t.publish(orders, order(id, 'a'))
  await t.publish(orders, order('b1', 'b'))
  await t.advance('1d')
  assert.deepEqual(s.handled, ['b1'])
  const [dead] = await t.parked()
  await t.app.operations.discard(dead!.parked, 'a test order')
  await t.settle()
  assert.deepEqual(s.handled, ['b1', 'a2'])
  assert.deepEqual(await t.parked(), [])
})

test('replay runs a dead message again, edited data replaces its own', async () => {
  let bad = true
  const seen: string[] = []
  const s = subscription('editing', {
    to: orders,
    async handle(o) {
      seen.push(o.id)
      if (bad || o.id === 'o1') reject('bad')
    },
  })
  await using t = await harness({ use: [orders, s] })
  await t.publish(orders, order('o1'))
  await t.settle()
  const [dead] = await t.parked()
  await t.app.operations.replay(dead!.parked)
  await t.settle()
  assert.deepEqual(seen, ['o1', 'o1'])
  bad = false
  await assert.rejects(t.app.operations.editAndReplay(dead!.parked, { id: 5 }), { code: 'schema.invalid' })
  await t.app.operations.editAndReplay(dead!.parked, { id: 'o1-fixed', customer: 'c1' })
  await t.settle()
  assert.deepEqual(seen, ['o1', 'o1', 'o1-fixed'])
  assert.deepEqual(await t.parked(), [])
  assert.deepEqual(await t.messages(orders), [order('o1')])
})

test('a run that takes longer than its limit is parked, its signal aborted and its late result ignored', async () => {
  let release: () => void = () => {}
  let aborted = false
  let runs = 0
  const s = subscription('slow', {
    to: orders,
    timeout: '5s',
    async handle(_o, ctx) {
      if (++runs > 1) return
      ctx.signal.addEventListener('abort', () => (aborted = true))
      await new Promise<void>((resolve) => (release = resolve))
    },
  })
  await using t = await harness({ use: [orders, s] })
  await t.publish(orders, order('o1'))
  await t.advance('6s')
  assert.equal(aborted, true)
  assert.equal((await t.parked())[0]?.fault?.code, 'subscription.timeout')
  release()
  await t.advance('30s')
  assert.equal(runs, 2)
  assert.deepEqual(await t.parked(), [])
})

test('concurrency bounds the handlers at once', async () => {
  let running = 0
  let most = 0
  const s = subscription('bounded', {
    to: orders,
    concurrency: 3,
    async handle(_o, ctx) {
      most = Math.max(most, ++running)
      await new Promise((resolve) => t.clock.after(100, () => resolve(ctx)))
      running--
    },
  })
  await using t = await harness({ use: [orders, s] })
  await t.app.publishMany(
    orders,
    Array.from({ length: 40 }, (_, i) => order(`o${i}`, `c${i}`)),
  )
  await t.advance('1m')
  assert.equal(most, 3)
  const [status] = (await t.app.operations.status()).subscriptions
  assert.equal(status?.done, 40)
  assert.equal(status.lag, 0)
})

test('a batch is in order, its failed entries are retried one by one', async () => {
  const batches: string[][] = []
  const s = subscription('batching', {
    to: orders,
    batch: 10,
    async handleBatch(batch) {
      batches.push(batch.map((b) => b.data.id))
      return batch.map((b) => (b.data.id === 'o3' && batches.length === 1 ? new Fault('no', 'transient') : undefined))
    },
  })
  await using t = await harness({ use: [orders, s] })
  await t.app.publishMany(
    orders,
    ['o1', 'o2', 'o3', 'o4'].map((id) => order(id, id)).map((o) => ({ ...o, customer: 'same' })),
  )
  await t.advance('10s')
  assert.deepEqual(batches[0], ['o1', 'o2', 'o3', 'o4'])
  assert.deepEqual(batches.slice(1), [['o3']])
})

test('what a handler publishes is published once, however often it runs', async () => {
  const s = subscription('publishing', {
    to: orders,
    async handle(o, ctx) {
      await ctx.publish(done, o)
      if (ctx.attempt < 3) throw new Error('after the publish')
    },
  })
  await using t = await harness({ use: [orders, done, s] })
  await t.publish(orders, order('o1'), { correlation: 'flow-7' })
  await t.advance('1m')
  assert.deepEqual(await t.messages(done), [order('o1')])
  const [m] = await t.app.operations.messages({ topic: 'done' })
  assert.deepEqual(m?.attributes && Object.entries(m.attributes).find(([name]) => name === 'correlationid'), [
    'correlationid',
    'flow-7',
  ])
})

test('writes through ctx.tx happen exactly once: with the cursor, or not at all', async () => {
  let context: Context | undefined
  const s = subscription('writing', {
    to: orders,
    async handle(o, ctx) {
      context = ctx
      await ctx.tx.query(sql`create table if not exists mine (id text)`)
      await ctx.tx.query(sql`insert into mine values (${o.id})`)
      await ctx.tx.publish(done, o)
      if (ctx.attempt < 3) throw new Error('after the write')
    },
  })
  await using t = await harness({ use: [orders, done, s] })
  await t.publish(orders, order('o1'))
  await t.advance('1m')
  assert.deepEqual(
    await t.app.transact((tx) => tx.query(sql`select id from mine`)).then((r) => r.map((x) => x['id'])),
    ['o1'],
  )
  assert.deepEqual(await t.messages(done), [order('o1')])
  assert.deepEqual(await t.parked(), [])
  await assert.rejects(async () => context?.tx.query(sql`select 1`), { code: 'store.transaction' })
})

test('a call inside an open transaction is refused: it would hold the writer while they think', async () => {
  const api = connection('api', { baseUrl: 'https://api.test', operations: { get: { http: 'GET /x' } } })
  const s = subscription('mixing', {
    to: orders,
    retry: { attempts: 1 },
    async handle(_o, ctx) {
      await ctx.tx.query(sql`select 1`)
      await ctx.call(api.get, {})
    },
  })
  await using t = await harness({ use: [orders, api, s] })
  t.answer(api.get, {})
  await t.publish(orders, order('o1'))
  await t.settle()
  assert.equal((await t.parked())[0]?.fault?.code, 'store.transaction')
  assert.deepEqual(t.called(api.get), [])
})

test('a transaction of the app commits rows and message together, or neither', async () => {
  await using t = await harness({ use: [orders] })
  await t.app.transact(async (tx) => {
    await tx.query(sql`create table rows (id text)`)
    await tx.query(sql`insert into rows values ('r1')`)
    await tx.publish(orders, order('o1'))
  })
  await assert.rejects(
    t.app.transact(async (tx) => {
      await tx.query(sql`insert into rows values ('r2')`)
      await tx.publish(orders, order('o2'))
      throw new Error('changed my mind')
    }),
    /changed my mind/,
  )
  const rows = await t.app.transact((tx) => tx.query(sql`select id from rows`))
  assert.deepEqual(
    rows.map((r) => r['id']),
    ['r1'],
  )
  assert.deepEqual(await t.messages(orders), [order('o1')])
})

const payments = connection('payments', {
  baseUrl: 'https://payments.test',
  retry: { attempts: 2, first: '100ms' },
  breaker: { consecutive: 3, openFor: '30s' },
  operations: {
    charge: {
      http: 'POST /charges',
      input: z.object({ order: z.string() }),
      output: z.object({ id: z.string() }),
      idempotent: 'key',
    },
  },
})
const charging = subscription('charging', {
  to: orders,
  concurrency: 4,
  async handle(o, ctx) {
    await ctx.call(payments.charge, { order: o.id })
  },
})

test('a call repeats its idempotency key on every retry of the call and of the message', async () => {
  await using t = await harness({ use: [orders, payments, charging] })
  t.answer(payments.charge, cut, reply(500), reply(503), reply(503), { id: 'ch_1' })
  await t.publish(orders, order('o1'), { id: 'm1' })
  await t.advance('5m')
  const keys = t.keys(payments.charge)
  assert.ok(keys.length >= 4)
  assert.deepEqual([...new Set(keys)], ['orders/m1:charging:payments.charge:1'])
  assert.deepEqual(await t.parked(), [])
})

test('while a breaker is open messages are held without burning attempts, and drain when it closes', async () => {
  await using t = await harness({ use: [orders, payments, charging] })
  t.answer(payments.charge, reply(503))
  await t.app.publishMany(
    orders,
    Array.from({ length: 60 }, (_, i) => order(`o${i}`, `c${i}`)),
  )
  await t.advance('5m')
  const parked = await t.parked()
  assert.ok(parked.some((p) => p.state === 'held' && p.heldBy === 'payments'))
  assert.ok(parked.every((p) => p.state !== 'dead'))
  const before = t.called(payments.charge).length
  // Five minutes of outage: probes, not a storm.
  assert.ok(before < 60, `${before} requests`)
  t.answer(payments.charge, { id: 'ch' })
  await t.advance('20m')
  assert.deepEqual(await t.parked(), [])
  assert.equal(
    new Set(
      t
        .called(payments.charge)
        .slice(before)
        .map((c) => c['order']),
    ).size,
    60,
  )
})

test('a delayed message appears when it is due, and survives until then', async () => {
  const s = noting()
  await using t = await harness({ use: [orders, s.use] })
  await t.publish(orders, order('later'), { delay: '2h' })
  await t.publish(orders, order('soon'), { delay: '1m' })
  await t.advance('30m')
  assert.deepEqual(s.handled, ['soon'])
  await t.advance('2h')
  assert.deepEqual(s.handled, ['soon', 'later'])
})

test('a paused subscription starts nothing, its messages wait, and it goes on where it stood', async () => {
  const s = noting()
  await using t = await harness({ use: [orders, s.use] })
  await t.app.operations.pause('noting')
  await t.publish(orders, order('o1'))
  await t.advance('1h')
  assert.deepEqual(s.handled, [])
  const [status] = (await t.app.operations.status()).subscriptions
  assert.deepEqual([status?.paused, status?.lag, status?.waiting], [true, 1, 'paused'])
  await t.app.operations.resume('noting')
  await t.settle()
  assert.deepEqual(s.handled, ['o1'])
})

test('reading stops when too many messages are parked, and goes on when a person has made room', async () => {
  const s = noting(
    (id) => {
      if (id.startsWith('bad')) reject('bad')
    },
    { parkedLimit: 3, concurrency: 1 },
  )
  await using t = await harness({ use: [orders, s.use] })
  await t.app.publishMany(
    orders,
    Array.from({ length: 10 }, (_, i) => order(`bad${i}`, `c${i}`)),
  )
  await t.settle()
  const parked = await t.parked()
  assert.ok(parked.length >= 3 && parked.length < 10, `${parked.length} parked`)
  for (const p of parked) await t.app.operations.discard(p.parked, 'test')
  await t.settle()
  assert.ok((await t.parked()).length > 0)
})

test('retention removes what is old and finished, never what a subscription has not finished', async () => {
  const s = noting()
  await using t = await harness({ use: [orders, s.use] })
  await t.app.operations.pause('noting')
  await t.app.publishMany(
    orders,
    Array.from({ length: 50 }, (_, i) => order(`o${i}`, 'same')),
  )
  await t.advance('9d')
  assert.equal((await t.messages(orders)).length, 50)
  await t.app.operations.resume('noting')
  await t.advance('1d')
  assert.equal(s.handled.length, 50)
  // The newest of a partition stays: the next offset is read from it.
  assert.deepEqual(await t.messages(orders), [order('o49', 'same')])
  const p = await t.publish(orders, order('next', 'same'))
  assert.equal(p.offset, 50)
})

test('a compacted topic keeps the newest message of each key', async () => {
  const prices = topic('prices', {
    schema: z.object({ sku: z.string(), price: z.number() }),
    key: (p) => p.sku,
    compact: true,
    keep: '365d',
  })
  await using t = await harness({ use: [prices] })
  for (let price = 1; price <= 20; price++) await t.publish(prices, { sku: price % 2 ? 'tea' : 'cup', price })
  await t.advance('3h')
  assert.deepEqual(
    (await t.messages(prices)).map((m) => (m as { price: number }).price).sort((a, b) => a - b),
    [19, 20],
  )
})

test('a message of more than 1 MiB is refused', async () => {
  const any = topic('any')
  await using t = await harness({ use: [any] })
  await assert.rejects(t.publish(any, 'x'.repeat(1024 * 1024)), { code: 'journal.too_large' })
})
