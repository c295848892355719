import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { isFault } from '#kernel/fault.ts'
import type { OperationHandle } from '#kernel/handle.ts'
import { bearer } from '#patterns/connections/auth/bearer.ts'
import { connection } from '#patterns/connections/define.ts'
import { subscription } from '#patterns/topics/subscription.ts'
import { topic } from '#patterns/topics/define.ts'
import { secret } from '#kernel/secret.ts'
import { harness } from '#testing/harness.ts'
import { cut, reply } from '#testing/reply.ts'
import { collect } from './collect.ts'
import { fleet } from './operations/fleet.fixture.ts'

const Pay = z.object({ order: z.string(), cents: z.number() })
const Paid = z.object({ id: z.string() })
const bank = connection('bank', {
  baseUrl: 'https://bank.test',
  auth: bearer(secret('BANK_KEY')),
  retry: false,
  later: true,
  operations: {
    pay: { http: 'POST /payments', input: Pay, output: Paid, idempotent: 'key' },
    dated: { http: 'POST /dated', input: z.object({ at: z.date() }), idempotent: 'key' },
    plain: { http: 'POST /plain', input: Pay, output: Paid },
  },
})
const now = connection('now', {
  baseUrl: 'https://now.test',
  operations: { go: { http: 'POST /go', idempotent: 'key' } },
})
const paid = topic('paid', { schema: Paid })
const orders = topic<{ id: string }>('orders')
const use = [bank, now, paid, orders]
const one = { order: 'o1', cents: 990 }

test('is on disk when the receipt is there, is made once, and its answer is delivered', async () => {
  await using t = await harness({ use })
  t.answer(bank.pay, { id: 'p1' })
  const receipt = await t.call(bank.pay, one, { later: true, deliver: paid })
  assert.deepEqual([receipt.topic, typeof receipt.offset], ['call.bank', 'number'])
  await t.advance('1m')
  assert.deepEqual([t.called(bank.pay), t.keys(bank.pay)], [[one], [receipt.id]])
  const [message] = await t.app.operations.messages({ topic: 'paid' })
  assert.deepEqual(
    [message!.data, (message!.attributes as { causationid?: string }).causationid],
    [{ id: 'p1' }, receipt.id],
  )
  assert.deepEqual(await t.parked(), [])
})

test('is tried again under the same key, ten times, and is then dead: a person edits it and it is made', async () => {
  await using t = await harness({ use })
  t.answer(bank.pay, reply(500))
  await t.call(bank.pay, one, { later: true, deliver: paid })
  await t.advance('12h')
  const keys = t.keys(bank.pay)
  assert.ok(keys.length >= 10 && new Set(keys).size === 1)
  const [dead] = await t.parked()
  assert.deepEqual([dead!.subscription, dead!.state, dead!.attempts], ['call.bank', 'dead', 10])
  const data = dead!.data as { key: string }
  assert.deepEqual(dead!.data, { operation: 'pay', input: one, key: keys[0], deliver: 'paid' })
  t.answer(bank.pay, { id: 'p2' })
  const { operations } = t.app
  await assert.rejects(operations.editAndReplay(dead!.parked, { operation: 'pay' }), { code: 'schema.invalid' })
  const corrected = { operation: 'pay', input: { ...one, cents: 99 }, key: `${data.key}:2`, deliver: 'paid' }
  await operations.editAndReplay(dead!.parked, corrected)
  await t.advance('1m')
  assert.deepEqual(t.called(bank.pay).at(-1), { order: 'o1', cents: 99 })
  assert.deepEqual([await t.messages(paid), await t.parked()], [[{ id: 'p2' }], []])
})

test('is held while the breaker is open or the credential is refused: no try is spent', async () => {
  await using t = await harness({ use })
  t.answer(bank.pay, reply(401))
  await t.call(bank.pay, one, { later: true })
  await t.advance('1h')
  const [held] = await t.parked()
  assert.deepEqual([held!.state, held!.attempts, held!.heldBy], ['held', 0, 'bank'])
  t.answer(bank.pay, { id: 'p1' })
  await t.advance('1h')
  assert.deepEqual(await t.parked(), [])
  t.answer(bank.pay, reply(503))
  for (let i = 0; i < 8; i++) await t.call(bank.pay, { ...one, order: `o${i}` }, { later: true })
  await t.advance('10s')
  assert.ok((await t.parked()).some((p) => p.state === 'held' && p.fault?.code === 'connection.breaker_open'))
})

test('calls of one order are made in it, also across tries; others do not wait', async () => {
  await using t = await harness({ use })
  t.answer(bank.pay, reply(500), { id: 'p' })
  const at = async (order: string, cents: number) => t.call(bank.pay, { order, cents }, { later: true, order })
  await at('a', 1)
  await t.settle()
  for (const [order, cents] of [
    ['a', 2],
    ['b', 1],
    ['a', 3],
  ] as const)
    await at(order, cents)
  await t.advance('1m')
  assert.deepEqual(
    t.called(bank.pay).map((c) => `${String(c['order'])}${String(c['cents'])}`),
    ['a1', 'b1', 'a1', 'a2', 'a3'],
  )
})

test('a key is accepted once: the second receipt is the first', async () => {
  await using t = await harness({ use })
  t.answer(bank.pay, { id: 'p1' })
  const first = await t.call(bank.pay, one, { later: true, key: 'o1' })
  assert.deepEqual(await t.call(bank.pay, one, { later: true, key: 'o1' }), first)
  await t.advance('1m')
  assert.deepEqual(t.keys(bank.pay), ['o1'])
})

test('a handler that is run again accepts it again under the same id; in a transaction it belongs to it', async () => {
  let runs = 0
  const billing = subscription('billing', {
    to: orders,
    retry: { attempts: 3, first: '1s', max: '1s' },
    async handle(order, ctx) {
      await ctx.call(bank.pay, { order: order.id, cents: 1 }, { later: true })
      await ctx.tx.query({ text: ['select 1'], values: [] })
      const receipt = await ctx.call(bank.pay, { order: order.id, cents: 2 }, { later: true })
      assert.equal(receipt.offset, -1)
      if (++runs === 1) throw new Error('after both')
    },
  })
  await using t = await harness({ use: [...use, billing] })
  t.answer(bank.pay, { id: 'p' })
  await t.publish(orders, { id: 'o1' })
  await t.settle()
  assert.deepEqual(
    t.called(bank.pay).map((c) => c['cents']),
    [1],
  )
  await t.advance('1m')
  assert.deepEqual([runs, t.called(bank.pay).map((c) => c['cents'])], [2, [1, 2]])
})

test('a delay is waited for', async () => {
  await using t = await harness({ use })
  t.answer(bank.pay, { id: 'p' })
  await t.call(bank.pay, one, { later: true, delay: '1h' })
  await t.advance('59m')
  assert.equal(t.called(bank.pay).length, 0)
  await t.advance('2m')
  assert.equal(t.called(bank.pay).length, 1)
})

test('what could not be called then is refused now', async () => {
  await using t = await harness({ use })
  await assert.rejects(t.call(now.go, undefined, { later: true }), { code: 'connection.later' })
  await assert.rejects(t.call(bank.pay, { order: 'o1' } as never, { later: true }), { code: 'schema.invalid' })
  // JSON makes a text of it, and the schema would refuse that.
  await assert.rejects(t.call(bank.dated, { at: new Date(0) }, { later: true }), { code: 'schema.invalid' })
  const unknown = topic('unknown', { schema: Paid })
  await assert.rejects(t.call(bank.pay, one, { later: true, deliver: unknown }), { code: 'topic.unknown' })
  const gone = { kind: 'operation', connection: 'bank', name: 'gone' } as OperationHandle<object>
  await assert.rejects(t.call(gone, {}, { later: true }), (e) => isFault(e, 'connection.operation'))
  assert.deepEqual(await t.app.operations.messages({ topic: 'call.bank' }), [])
})

test('without key and verify a lost answer waits for a person', async () => {
  await using t = await harness({ use })
  t.answer(bank.plain, cut)
  await t.call(bank.plain, one, { later: true, deliver: paid })
  await t.advance('1h')
  const [dead] = await t.parked()
  assert.deepEqual([dead!.state, t.called(bank.plain).length], ['dead', 1])
  const [call] = await t.app.operations.unresolved()
  await t.app.operations.resolve(call!.intent, { happened: true, answer: { id: 'p9' }, reason: 'asked' })
  await t.app.operations.replay(dead!.parked)
  await t.advance('1m')
  assert.deepEqual([t.called(bank.plain).length, await t.messages(paid)], [1, [{ id: 'p9' }]])
})

test('another process makes what one has accepted; connections that take none have no topic', async () => {
  await using f = await fleet()
  const accepts = connection('x', {
    baseUrl: 'https://x.test',
    later: { concurrency: 1 },
    operations: { go: { http: 'POST /go', idempotent: 'key' } },
  })
  const none = connection('y', { baseUrl: 'https://y.test', operations: { go: { http: 'POST /go' } } })
  f.http.answer(accepts.go, [{}])
  const operator = await f.operator([accepts, none])
  await operator.call(accepts.go, undefined, { later: true })
  await f.clock.advance(60_000)
  assert.equal(f.http.called(accepts.go).length, 0)
  await f.worker([accepts, none])
  await f.clock.advance(60_000)
  assert.equal(f.http.called(accepts.go).length, 1)
  assert.deepEqual(
    (await operator.operations.topics()).map((t) => t.name),
    ['call.x'],
  )
})

test('names and settings are checked before anything starts', () => {
  const wrong = connection('bank', {
    baseUrl: 'https://bank.test',
    later: { concurrency: 0, keep: 'soon' as never, retry: { attempts: -1 }, latter: 1 } as never,
    operations: { go: { http: 'POST /go' } },
  })
  const { problems } = collect([
    wrong,
    topic('call.bank'),
    subscription('call.bank', { to: orders, handle: () => {} }),
    orders,
  ])
  assert.deepEqual(
    problems.map((p) => p.path),
    [
      'connection(bank).later.latter',
      'connection(bank).later.concurrency',
      'connection(bank).later.retry.attempts',
      'connection(bank).later.keep',
      'topic(call.bank)',
      'subscription(call.bank)',
    ],
  )
})
