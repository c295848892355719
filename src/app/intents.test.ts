import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import type { Store } from '#adapters/stores/port.ts'
import type { HttpOut } from '#kernel/http.ts'
import { uuid7 } from '#kernel/id.ts'
import { redactor } from '#kernel/redact.ts'
import type { Runtime } from '#kernel/runtime.ts'
import { GroupCommit } from '#journal/commit.ts'
import { Intents } from '#journal/intents.ts'
import { connection } from '#patterns/connections/define.ts'
import { openConnection } from '#patterns/connections/run.ts'
import { subscription } from '#patterns/topics/subscription.ts'
import { topic } from '#patterns/topics/define.ts'
import { settle, virtualClock } from '#testing/clock.ts'
import { harness } from '#testing/harness.ts'
import { seededRandom } from '#testing/random.ts'
import { cut, refused } from '#testing/reply.ts'
import { fleet } from './operations/fleet.fixture.ts'

const Refund = z.object({ id: z.string() })
const bank = connection('bank', {
  baseUrl: 'https://bank.test',
  retry: false,
  operations: {
    pay: {
      http: 'POST /payments',
      input: z.object({ order: z.string(), password: z.string().optional() }),
      output: Refund,
    },
    transfer: {
      http: 'POST /transfers',
      input: z.object({ order: z.string() }),
      output: Refund,
      verify: { call: 'found', input: (t) => ({ order: t.order }), found: (page) => page.items[0] },
    },
    found: {
      http: 'GET /transfers',
      input: z.object({ order: z.string() }),
      output: z.object({ items: z.array(Refund) }),
    },
  },
})
const orders = topic<{ order: string; password?: string }>('orders')
const paid = topic<{ id: string }>('paid')
const paying = subscription('paying', {
  to: orders,
  retry: { attempts: 3, first: '1s', max: '1s' },
  async handle(order, ctx) {
    const { id } = await ctx.call(bank.pay, order)
    await ctx.publish(paid, { id })
  },
})

/** Calls from a process whose time stands still from now on, as that of a dead one does. */
async function died(store: Store, calls: (open: ReturnType<typeof openConnection>) => Promise<unknown>): Promise<void> {
  const clock = virtualClock()
  const random = seededRandom(99)
  const log = { write: () => {} }
  const never = (): Promise<never> => new Promise(() => {})
  const http: HttpOut = { send: never, stream: never }
  const runtime = { clock, random, ids: uuid7(clock, random), log, redact: redactor(), store, http }
  const intents = new Intents(runtime as unknown as Runtime<Store>, new GroupCommit(store, clock), 86_400_000)
  const open = openConnection(bank, {
    runtime: { ...runtime, secrets: { read: () => Promise.resolve([]) } },
    intents: { store: intents, unbound: true },
    record: () => {},
  })
  calls(open).catch(() => undefined)
  await settle()
}

test('a lost answer without key and verify waits for a person, who says that it happened: the handler goes on with the answer', async () => {
  await using t = await harness({ use: [bank, orders, paid, paying] })
  t.answer(bank.pay, cut)
  await t.publish(orders, { order: 'o1', password: 'hunter2' })
  await t.advance('1m')
  const [dead] = await t.parked()
  assert.deepEqual([dead!.state, dead!.attempts, dead!.fault?.code], ['dead', 1, 'connection.unverified'])
  const { operations } = t.app
  const [call, ...more] = await operations.unresolved()
  assert.deepEqual(more, [])
  assert.equal(call!.intent, dead!.fault!.detail!['intent'])
  assert.deepEqual(
    [call!.state, call!.code, call!.sent, call!.verify],
    ['open', 'connection.unverified', 'POST /payments', false],
  )
  assert.equal(call!.message, dead!.position)
  assert.match(call!.input!, /"order":"o1"/)
  assert.doesNotMatch(call!.input!, /hunter2/)
  await operations.replay(dead!.parked)
  await t.advance('1m')
  assert.deepEqual([t.called(bank.pay).length, (await t.parked())[0]!.fault?.code], [1, 'connection.unverified'])
  const wrong = { happened: true, answer: { id: 7 }, reason: 'their dashboard' }
  await assert.rejects(operations.resolve(call!.intent, wrong), { code: 'intent.state' })
  await operations.resolve(call!.intent, { ...wrong, answer: { id: 'p1' } })
  await assert.rejects(operations.resolve(call!.intent, { ...wrong, answer: { id: 'p1' } }), { code: 'intent.state' })
  assert.deepEqual(await operations.unresolved(), [])
  await operations.replay(dead!.parked)
  await t.advance('1m')
  assert.deepEqual([t.called(bank.pay).length, await t.messages(paid), await t.parked()], [1, [{ id: 'p1' }], []])
  const [entry] = (await operations.trail()).filter((e) => e.verb === 'resolve')
  assert.equal(entry!.subject, `call/${call!.intent}`)
  assert.deepEqual([entry!['happened'], entry!['reason']], [true, 'their dashboard'])
})

test('a person who says that it did not happen lets it be sent again', async () => {
  await using t = await harness({ use: [bank, orders, paid, paying] })
  t.answer(bank.pay, cut, { id: 'p2' })
  await t.publish(orders, { order: 'o1' })
  await t.advance('1m')
  const [dead] = await t.parked()
  const [call] = await t.app.operations.unresolved()
  await t.app.operations.resolve(call!.intent, { happened: false, reason: 'asked them' })
  await t.app.operations.replay(dead!.parked)
  await t.advance('1m')
  assert.deepEqual([t.called(bank.pay).length, await t.messages(paid)], [2, [{ id: 'p2' }]])
})

test('a handler that fails after its call is run again without making it again', async () => {
  let runs = 0
  const failing = subscription('failing', {
    to: orders,
    retry: { attempts: 3, first: '1s', max: '1s' },
    async handle(order, ctx) {
      await ctx.call(bank.pay, order)
      if (++runs < 3) throw new Error('after the call')
    },
  })
  await using t = await harness({ use: [bank, orders, failing] })
  t.answer(bank.pay, refused, { id: 'p3' })
  await t.publish(orders, { order: 'o1' })
  await t.advance('1m')
  assert.deepEqual([runs, t.called(bank.pay).length, (await t.parked()).length], [2, 2, 1])
})

test('what a dead process has left is found out by verify at the next start, when it must have ended', async () => {
  for (const happened of [true, false]) {
    await using f = await fleet()
    await died(f.store, (open) => open.call(bank.transfer, { order: 'o1' }))
    f.http.answer(bank.found, [{ items: happened ? [{ id: 't1' }] : [] }])
    const app = await f.worker([bank])
    const [left] = await app.operations.unresolved()
    assert.deepEqual([left!.state, left!.verify, left!.sent], ['running', true, 'POST /transfers'])
    await assert.rejects(app.operations.resolveByVerify(left!.intent), { code: 'intent.state' })
    await f.clock.advance(34_000)
    assert.equal(f.http.called(bank.found).length, 0)
    await f.clock.advance(2_000)
    assert.deepEqual(
      f.http.called(bank.found).map((c) => c.input),
      [{ order: 'o1' }],
    )
    assert.deepEqual(await app.operations.unresolved(), [])
    const [entry] = await app.operations.trail()
    assert.deepEqual([entry!.verb, entry!['happened'], entry!['by_verify']], ['resolve', happened, true])
  }
})

test('a verify that cannot be asked decides nothing, and is asked again later', async () => {
  await using f = await fleet()
  await died(f.store, (open) => open.call(bank.transfer, { order: 'o1' }))
  f.http.answer(bank.found, [refused, { items: [{ id: 't1' }] }])
  const app = await f.worker([bank])
  await f.clock.advance(36_000)
  assert.deepEqual([f.http.called(bank.found).length, (await app.operations.unresolved())[0]!.state], [1, 'open'])
  await f.clock.advance(60_000)
  assert.deepEqual([f.http.called(bank.found).length, await app.operations.unresolved()], [2, []])
})

test('what has no verify is left to a person; a caller with the same key gets what they decided', async () => {
  await using f = await fleet()
  await died(f.store, (open) => open.call(bank.pay, { order: 'o1' }, { key: 'mine' }))
  const app = await f.worker([bank])
  f.http.answer(bank.pay, [{ id: 'p4' }])
  await assert.rejects(app.call(bank.pay, { order: 'o1' }, { key: 'mine' }), { code: 'connection.underway' })
  await assert.rejects(app.operations.resolve('bank/pay/mine', { happened: false, reason: 'too early' }), {
    code: 'intent.state',
  })
  await assert.rejects(app.operations.resolve('bank/pay/other', { happened: false, reason: '' }), {
    code: 'intent.missing',
  })
  await f.clock.advance(100_000)
  await assert.rejects(app.call(bank.pay, { order: 'o1' }, { key: 'mine' }), { code: 'connection.unverified' })
  await app.operations.resolve('bank/pay/mine', { happened: true, answer: { id: 'p0' }, reason: 'asked' })
  assert.deepEqual(await app.call(bank.pay, { order: 'o1' }, { key: 'mine' }), { id: 'p0' })
  assert.equal(f.http.called(bank.pay).length, 0)
})
