import { expectTypeOf } from 'expect-type'
import { z } from 'zod'
import type { Call, Each } from '#kernel/context.ts'
import { apiKey, bearer, connection, instead, secret, topic, type Receipt } from 'fairlead'

const NewCharge = z.object({ order: z.string(), amount: z.number() })
const Charge = z.object({ id: z.string(), amount: z.number(), status: z.enum(['paid', 'failed']) })
const Page = z.object({ items: z.array(Charge), next: z.string().optional() })

const payments = connection('payments', {
  baseUrl: 'https://api.payments.test',
  auth: bearer(secret('PAYMENTS_KEY')),
  timeout: '10s',
  retry: { attempts: 4, first: '200ms', max: '5s' },
  breaker: { failures: 5, within: '60s', openFor: '30s' },
  limit: ['50/s', '100000/day'],
  operations: {
    charge: {
      http: 'POST /charges',
      input: NewCharge,
      output: Charge,
      idempotent: 'key',
      verify: {
        call: 'list',
        input: (c) => {
          expectTypeOf(c).toEqualTypeOf<{ order: string; amount: number }>()
          return { order: c.order }
        },
        found: (page, c) => {
          expectTypeOf(page.items[0]!.status).toEqualTypeOf<'paid' | 'failed'>()
          return page.items.find((x) => x.amount === c.amount)
        },
      },
    },
    refund: {
      http: 'POST /charges/:id/refunds',
      input: z.object({ id: z.string() }),
      output: Charge,
      idempotent: 'key',
    },
    list: { http: 'GET /charges', input: z.object({ order: z.string().optional() }), pages: 'cursor', output: Page },
    changes: { http: 'GET /changes', stream: 'sse', output: z.object({ data: Charge, tags: z.array(z.string()) }) },
    export: { http: 'GET /export', stream: { as: 'ndjson', maxItem: 4_096 }, output: Charge },
    remove: { http: 'DELETE /charges/:id', input: z.object({ id: z.string(), force: z.boolean().default(false) }) },
  },
})

const charged = topic('charged', { schema: z.object({ id: z.string() }) })
const other = topic('other', { schema: z.object({ iban: z.string() }) })

const Rate = z.object({ rate: z.number() })
const bank = connection('bank', {
  baseUrl: 'https://bank.test',
  operations: {
    price: { http: 'GET /price', input: z.object({ of: z.string() }), output: z.object({ value: z.number() }) },
  },
})
const rated = topic('rated', { schema: Rate })
export const rates = connection('rates', {
  baseUrl: 'https://rates.test',
  later: true,
  operations: {
    get: {
      http: 'GET /rates/:pair',
      input: z.object({ pair: z.string() }),
      output: Rate,
      fallback: [
        instead(bank.price, {
          input: (i: { pair: string }) => ({ of: i.pair }),
          output: (answer) => {
            expectTypeOf(answer).toEqualTypeOf<{ value: number }>()
            return { rate: answer.value }
          },
        }),
        { cached: '1h', on: ['transient', 'ambiguous'] },
        { later: { deliver: rated }, value: (i) => ({ rate: i.pair.length }) },
        { value: { rate: 1 } },
      ],
    },
  },
})
connection('bad', {
  baseUrl: 'https://rates.test',
  operations: {
    get: {
      http: 'GET /rates',
      output: Rate,
      input: z.object({}),
      // @ts-expect-error TS2353 the value does not fit the output
      fallback: [{ value: { rte: 1 } }],
    },
    off: {
      http: 'GET /rates',
      output: Rate,
      input: z.object({}),
      // @ts-expect-error TS2322 a wrong request is not answered by a fallback
      fallback: [{ value: { rate: 1 }, on: ['invalid'] }],
    },
    own: {
      http: 'GET /rates',
      output: Rate,
      input: z.object({}),
      // @ts-expect-error TS2375 the topic does not take the answer
      fallback: [{ later: { deliver: other }, value: { rate: 1 } }],
    },
  },
})

declare const call: Call
declare const each: Each

export async function accepted(): Promise<void> {
  expectTypeOf(await call(payments.charge, { order: 'o1', amount: 990 })).toEqualTypeOf<z.infer<typeof Charge>>()
  expectTypeOf(await call(payments.list, {})).toEqualTypeOf<z.infer<typeof Page>>()
  for await (const charge of each(payments.list, {})) expectTypeOf(charge).toEqualTypeOf<z.infer<typeof Charge>>()
  expectTypeOf(await call(payments.charge, { order: 'o1', amount: 990 }, { timeout: '5s' })).toEqualTypeOf<
    z.infer<typeof Charge>
  >()
  const later = await call(
    payments.charge,
    { order: 'o1', amount: 990 },
    { later: true, order: 'o1', deliver: charged },
  )
  expectTypeOf(later).toEqualTypeOf<Receipt>()
  // A stream gives its items, whatever lists are in them; called, it gives them all.
  for await (const change of each(payments.changes, undefined)) {
    expectTypeOf(change).toEqualTypeOf<{ data: z.infer<typeof Charge>; tags: string[] }>()
  }
  expectTypeOf(await call(payments.export, undefined)).toEqualTypeOf<readonly z.infer<typeof Charge>[]>()
  // What a schema fills in may be left out by the caller.
  await call(payments.remove, { id: 'c1' })
  connection('least', { baseUrl: 'https://x.test', operations: { get: { http: 'GET /' } } })
}

export async function refused(): Promise<void> {
  // @ts-expect-error TS2322 amount is a number
  await call(payments.charge, { order: 'o1', amount: '990' })
  // @ts-expect-error TS2741 order is missing
  await call(payments.charge, { amount: 990 })
  // @ts-expect-error TS2353 a misspelled field is not ignored
  await call(payments.charge, { order: 'o1', amount: 990, currencyy: 'EUR' })
  // @ts-expect-error TS2551 there is no such operation
  await call(payments.chargee, { order: 'o1', amount: 990 })
  // @ts-expect-error TS2345 an operation is referred to by value, not by name
  await call('payments.charge', { order: 'o1', amount: 990 })
  // @ts-expect-error TS2561 a misspelled option is not ignored
  await call(payments.charge, { order: 'o1', amount: 990 }, { latter: true })
  // @ts-expect-error TS2322 an order is for calls that are made later
  await call(payments.charge, { order: 'o1', amount: 990 }, { order: 'o1' })
  // @ts-expect-error TS2322 nobody waits for a call that is made later
  await call(payments.charge, { order: 'o1', amount: 990 }, { later: true, timeout: '5s' })
  // @ts-expect-error TS2322 the answer does not fit the topic
  await call(payments.charge, { order: 'o1', amount: 990 }, { later: true, deliver: other })
  // @ts-expect-error TS2345 baseUrl is missing
  connection('a', { operations: { get: { http: 'GET /' } } })
  connection('a', {
    baseUrl: 'https://x.test',
    // @ts-expect-error TS2322 a bare number has no unit
    timeout: 10,
    operations: { get: { http: 'GET /' } },
  })
  connection('a', {
    baseUrl: 'https://x.test',
    // @ts-expect-error TS2345 a credential in the clear is not accepted
    auth: apiKey('sk_live_1', { header: 'x-api-key' }),
    operations: { get: { http: 'GET /' } },
  })
  connection('a', {
    baseUrl: 'https://x.test',
    operations: {
      list: { http: 'GET /', output: Page },
      charge: {
        http: 'POST /',
        input: NewCharge,
        output: Charge,
        // @ts-expect-error TS2322 verify names an operation that is not there
        verify: { call: 'lost', input: () => ({}), found: () => undefined },
      },
    },
  })
}
