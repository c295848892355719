import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { subscription } from '#patterns/topics/subscription.ts'
import { topic } from '#patterns/topics/define.ts'
import { cut, harness, reply } from '#testing/index.ts'
import { connection } from './define.ts'

const bank = connection('bank', {
  baseUrl: 'https://bank.test',
  retry: { attempts: 2, first: '1s' },
  operations: {
    pay: {
      http: 'POST /payments',
      input: z.object({ order: z.string() }),
      // What comes is not what the caller gets: it cannot be parsed twice.
      output: z.object({ payment: z.object({ id: z.string() }) }).transform((d) => d.payment),
      verify: { call: 'find', input: (p) => ({ order: p.order }), found: (list) => list[0] },
    },
    find: {
      http: 'GET /payments',
      input: z.object({ order: z.string() }),
      output: z.array(z.object({ id: z.string() })),
    },
  },
})

test('what a verify finds is the answer as the caller gets it, also where the output schema makes another of what comes', async () => {
  await using t = await harness({ use: [bank] })
  t.answer(bank.pay, cut)
  t.answer(bank.find, [{ id: 'p1' }])
  const paid = t.call(bank.pay, { order: 'o1' })
  await t.advance('10s')
  assert.deepEqual(await paid, { id: 'p1' })
  assert.equal(t.called(bank.pay).length, 1)
})

test('a handler that runs again asks for a payment that was verified, and pays once', async () => {
  const orders = topic('orders', { schema: z.object({ order: z.string() }) })
  const seen: unknown[] = []
  const payer = subscription('payer', {
    to: orders,
    retry: { attempts: 3, first: '1s' },
    async handle(order, ctx) {
      seen.push(await ctx.call(bank.pay, order))
      if (seen.length === 1) throw new Error('after the payment')
    },
  })
  await using t = await harness({ use: [bank, orders, payer] })
  t.answer(bank.pay, cut)
  t.answer(bank.find, reply(200, [{ id: 'p1' }]))
  await t.publish(orders, { order: 'o1' })
  await t.advance('1m')
  assert.deepEqual(seen, [{ id: 'p1' }, { id: 'p1' }])
  assert.equal(t.called(bank.pay).length, 1)
  assert.deepEqual(await t.parked(), [])
})
