import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connection, Fault, sql, subscription, topic, type Context } from 'fairlead'
import { reply } from 'fairlead/testing'
import { z } from 'zod'
import type { RehearsedEffect } from '../rehearsal/note.ts'
import { fleet, type Fleet } from './fleet.fixture.ts'

type Order = { readonly id: string; readonly total: number; readonly customer?: string }
const orders = topic<Order>('orders', { partitions: 2, key: (o) => o.customer })
const paid = topic<{ readonly order: string; readonly cents: number; readonly password?: string }>('paid')
const Charge = z.object({ id: z.string() })
const payments = connection('payments', {
  baseUrl: 'https://api.test/v1',
  limit: '1/h',
  operations: {
    charge: { http: 'POST /charges', idempotent: 'key', output: Charge },
    notify: { http: 'POST /notices' },
    rate: { http: 'GET /rates/:currency', output: z.object({ rate: z.number() }) },
    items: { http: 'GET /items', pages: 'cursor' },
  },
})

type Handle = (o: Order, ctx: Context) => unknown
const others = [orders, paid, payments]
const billing = (handle: Handle, more: object = {}) => subscription('billing', { to: orders, ...more, handle })

/** Handles `messages` with the first handler, and gives the operator's process with the second one. */
async function afterFirst(
  f: Fleet,
  first: Handle,
  second: Handle,
  messages: readonly Order[],
  more: object = {},
  notice: unknown = {},
) {
  const unlimited = connection('payments', {
    baseUrl: 'https://api.test/v1',
    operations: {
      charge: { http: 'POST /charges', idempotent: 'key', output: Charge },
      notify: { http: 'POST /notices' },
      rate: { http: 'GET /rates/:currency', output: z.object({ rate: z.number() }) },
      items: { http: 'GET /items', pages: 'cursor' },
    },
  })
  f.http.answer(unlimited.charge, [(input: { order: string }) => ({ id: `ch-${input.order}` })])
  f.http.answer(unlimited.notify, [notice])
  f.http.answer(unlimited.rate, [{ rate: 2 }])
  f.http.answer(unlimited.items, [{ items: [1, 2] }])
  const worker = await f.worker([orders, paid, unlimited, billing(first, more)])
  await worker.publishMany(orders, messages)
  await f.clock.advance(5_000)
  await f.stop(worker)
  const sent = (): number =>
    [unlimited.charge, unlimited.notify, unlimited.rate, unlimited.items]
      .map((o) => f.http.called(o).length)
      .reduce((a, b) => a + b)
  const { operations } = await f.operator([...others, billing(second, more)])
  return { operations, sent }
}

const verdicts = (effects: readonly RehearsedEffect[]): string[] =>
  effects.map((e) => `${e.verdict} ${'publish' in e ? e.publish : e.call}`)

const charging: Handle = async (o, ctx) => {
  const { rate } = await ctx.call(payments.rate, { currency: 'eur' })
  const charge = await ctx.call(payments.charge, { order: o.id, amount: o.total * rate })
  await ctx.publish(paid, { order: charge.id, cents: o.total * rate })
}

test('a handler that does the same shows the same, and nothing is called, published or changed', async () => {
  await using f = await fleet()
  const { operations, sent } = await afterFirst(f, charging, charging, [
    { id: 'a', total: 1 },
    { id: 'b', total: 2 },
  ])
  const [calls, before] = [sent(), await operations.status()]
  const result = await f.finish(operations.rehearse({ subscription: 'billing', from: '1h' }))
  assert.deepEqual(result, {
    messages: 2,
    rehearsed: 2,
    outcomes: { same: 2, different: 0, failed: 0, unanswered: 0 },
    differing: [],
  })
  const after = await operations.status()
  assert.deepEqual([sent(), after.topics, after.subscriptions], [calls, before.topics, before.subscriptions])
  assert.equal((await operations.calls({ limit: 1_000 })).length, calls)
})

test('other content under the same id and key is shown as it was and as it would be', async () => {
  await using f = await fleet()
  const corrected: Handle = (o, ctx) => charging({ ...o, total: o.total * 100 }, ctx)
  const { operations } = await afterFirst(f, charging, corrected, [{ id: 'a', total: 1 }])
  const { outcomes, differing } = await f.finish(operations.rehearse({ subscription: 'billing', from: '1h' }))
  assert.equal(outcomes.different, 1)
  const [call, publish] = differing[0]!.effects as [RehearsedEffect, RehearsedEffect]
  assert.deepEqual(verdicts([call, publish]), ['different payments.charge', 'different paid'])
  assert.deepEqual([call.before, call.now], ['{"order":"a","amount":2}', '{"order":"a","amount":200}'])
  assert.deepEqual(
    [publish.before, publish.now],
    [
      { order: 'ch-a', cents: 2 },
      { order: 'ch-a', cents: 200 },
    ],
  )
})

test('what is done newly and what is done no more is told', async () => {
  await using f = await fleet()
  const first: Handle = async (o, ctx) => {
    await ctx.call(payments.notify, { old: o.id })
    await ctx.publish(paid, { order: o.id, cents: 1 })
  }
  const second: Handle = async (o, ctx) => {
    await ctx.publish(paid, { order: o.id, cents: 1 })
    await ctx.publish(paid, { order: o.id, cents: 2, password: 'hush' })
  }
  const { operations } = await afterFirst(f, first, second, [{ id: 'a', total: 1 }])
  const one = await f.finish(operations.rehearse({ subscription: 'billing', from: '1h' }))
  assert.deepEqual(verdicts(one.differing[0]!.effects), ['missing payments.notify', 'same paid', 'new paid'])
  assert.ok(!JSON.stringify(one).includes('hush'))
  const { operations: back } = await f.operator([...others, billing(() => {})])
  const two = await f.finish(back.rehearse({ subscription: 'billing', from: '1h' }))
  assert.deepEqual(verdicts(two.differing[0]!.effects), ['missing payments.notify', 'missing paid'])
})

test('a call of which no answer is on record ends the rehearsal of its message, and only of that', async () => {
  await using f = await fleet()
  const second: Handle = async (o, ctx) => {
    if (o.id === 'a') await ctx.call(payments.charge, { order: o.id })
    await ctx.publish(paid, { order: o.id, cents: 1 })
  }
  const first: Handle = async (o, ctx) => void (await ctx.publish(paid, { order: o.id, cents: 1 }))
  const { operations, sent } = await afterFirst(f, first, second, [
    { id: 'a', total: 1 },
    { id: 'b', total: 1 },
  ])
  const result = await f.finish(operations.rehearse({ subscription: 'billing', from: '1h' }))
  assert.deepEqual(result.outcomes, { same: 1, different: 0, failed: 0, unanswered: 1 })
  const [message] = result.differing
  assert.equal(message?.fault?.code, 'rehearsal.unanswered')
  assert.deepEqual(verdicts(message.effects), ['new payments.charge'])
  assert.equal(sent(), 0)
})

test('a refusal that the first run got is given again, and lists are read as they were', async () => {
  await using f = await fleet()
  const seen: unknown[] = []
  const handle: Handle = async (o, ctx) => {
    const items: unknown[] = []
    for await (const item of ctx.each(payments.items, {})) items.push(item)
    seen.push([o.id, items])
    await ctx.call(payments.notify, { order: o.id }).catch((e: Fault) => seen.push(e.code))
  }
  const refusal = reply(422, { error: 'closed' })
  const { operations, sent } = await afterFirst(f, handle, handle, [{ id: 'a', total: 1 }], {}, refusal)
  assert.deepEqual(seen, [['a', [1, 2]], 'connection.rejected'])
  const calls = sent()
  const same = await f.finish(operations.rehearse({ subscription: 'billing', from: '1h' }))
  assert.deepEqual([same.outcomes.same, sent()], [1, calls])
  assert.deepEqual(seen.slice(2), seen.slice(0, 2))
})

test('what is written through ctx.tx is rolled back, its messages are compared', async () => {
  await using f = await fleet()
  const handle: Handle = async (o, ctx) => {
    await ctx.tx.query(sql`create table if not exists bills (id text)`)
    await ctx.tx.query(sql`insert into bills (id) values (${o.id})`)
    await ctx.tx.publish(paid, { order: o.id, cents: 1 })
  }
  const changed: Handle = async (o, ctx) => {
    await ctx.tx.query(sql`insert into bills (id) values (${`${o.id}-again`})`)
    await ctx.tx.publish(paid, { order: o.id, cents: 1 })
    await ctx.tx.publish(paid, { order: o.id, cents: 2 })
  }
  const { operations } = await afterFirst(f, handle, changed, [{ id: 'a', total: 1 }])
  const result = await f.finish(operations.rehearse({ subscription: 'billing', from: '1h' }))
  const [message] = result.differing
  assert.deepEqual([message?.transaction, verdicts(message!.effects)], [true, ['same paid', 'new paid']])
  const tx = await f.store.begin(1_000)
  const rows = await tx.query(sql`select id from bills`)
  await tx.rollback()
  assert.deepEqual(
    rows.map((r) => r['id']),
    ['a'],
  )
  assert.equal((await operations.messages({ topic: 'paid', limit: 10 })).length, 1)
})

test('a handler that fails or never ends is told, and the others are rehearsed', async () => {
  await using f = await fleet()
  const second: Handle = (o) => {
    if (o.id === 'a') throw new Fault('order.total', 'rejected')
    return o.id === 'b' ? new Promise(() => {}) : undefined
  }
  const { operations } = await afterFirst(
    f,
    () => {},
    second,
    ['a', 'b', 'c'].map((id) => ({ id, total: 1 })),
    { timeout: '2s' },
  )
  const result = await f.finish(operations.rehearse({ subscription: 'billing', from: '1h' }))
  assert.deepEqual(result.outcomes, { same: 1, different: 0, failed: 2, unanswered: 0 })
  assert.deepEqual(
    new Set(result.differing.map((m) => m.fault?.code)),
    new Set(['order.total', 'subscription.timeout']),
  )
})

test('effects of another subscription of the same topic are not taken for missing', async () => {
  await using f = await fleet()
  const first: Handle = async (o, ctx) => void (await ctx.publish(paid, { order: o.id, cents: 1 }))
  const shipping = subscription('shipping', {
    to: orders,
    handle: async (o: Order, ctx: Context) => void (await ctx.publish(paid, { order: o.id, cents: 9 })),
  })
  const worker = await f.worker([...others, billing(first), shipping])
  await worker.publish(orders, { id: 'a', total: 1 })
  await f.clock.advance(1_000)
  const { operations } = await f.operator([...others, billing(() => {}), shipping])
  const result = await f.finish(operations.rehearse({ subscription: 'billing', from: '1h' }))
  const effects = result.differing[0]!.effects
  assert.deepEqual(
    effects.map((e) => [e.verdict, e.before]),
    [['missing', { order: 'a', cents: 1 }]],
  )
})

test('it rehearses as many as it may, and only subscriptions that handle one message at a time', async () => {
  await using f = await fleet()
  const worker = await f.worker([...others, billing(() => {})])
  await worker.publishMany(
    orders,
    Array.from({ length: 20 }, (_, i) => ({ id: `o${i}`, total: 1, customer: `c${i}` })),
  )
  await f.clock.advance(1_000)
  const some = await f.finish(worker.operations.rehearse({ subscription: 'billing', from: '1h', limit: 5 }))
  assert.deepEqual([some.messages, some.rehearsed], [20, 5])
  const batches = subscription('batches', { to: orders, handleBatch: () => {} })
  const { operations } = await f.operator([...others, batches])
  await assert.rejects(operations.rehearse({ subscription: 'batches', from: '1h' }), { code: 'config.option' })
  await assert.rejects(operations.rehearse({ subscription: 'none', from: '1h' }), { code: 'subscription.unknown' })
})

test('answers that were masked on record are not taken for the truth', async () => {
  await using f = await fleet()
  const secretive = connection('secretive', {
    baseUrl: 'https://api.test',
    operations: { get: { http: 'GET /token' } },
  })
  f.http.answer(secretive.get, [reply(200, { token: 'abc' })])
  const handle: Handle = async (_, ctx) => void (await ctx.call(secretive.get, {}))
  const use = [...others, secretive, billing(handle)]
  const worker = await f.worker(use)
  await worker.publish(orders, { id: 'a', total: 1 })
  await f.clock.advance(5_000)
  const result = await f.finish(worker.operations.rehearse({ subscription: 'billing', from: '1h' }))
  assert.equal(result.outcomes.unanswered, 1)
})
