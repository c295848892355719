import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Stripe } from 'stripe'
import { isFault } from '#kernel/fault.ts'
import { secret } from '#kernel/secret.ts'
import { harness, reply } from '#testing/index.ts'
import { appWith, essence, standIn } from './stand-in.fixture.ts'
import { stripe, stripeVersion } from './stripe.ts'

const objects = JSON.parse(readFileSync(new URL('fixtures/stripe.json', import.meta.url), 'utf8')) as Record<
  string,
  object
>
const list = (name: string) => ({ object: 'list', data: [objects[name]], has_more: false, url: '/v1' })
const key = 'sk_test_canary_5f3759df'

test('sends what Stripe’s own SDK sends, and takes what Stripe’s description shows as the answer', async (t) => {
  const api = await standIn(t)
  const s = stripe({ key: secret('STRIPE_KEY'), account: 'acct_1', baseUrl: `${api.origin}/v1` })
  const app = await appWith(t, [s], { STRIPE_KEY: key })
  const sdk = new Stripe(key, {
    host: '127.0.0.1',
    port: api.port,
    protocol: 'http',
    stripeAccount: 'acct_1',
    apiVersion: stripeVersion,
    maxNetworkRetries: 0,
    telemetry: false,
  })
  const metadata = { order: 'o 1&2' }
  const cases: readonly (readonly [string, () => Promise<unknown>, () => Promise<unknown>])[] = [
    [
      'customer',
      () => sdk.customers.create({ email: 'a@b.test', metadata }),
      () => app.call(s.createCustomer, { email: 'a@b.test', metadata }),
    ],
    [
      'customer',
      () => sdk.customers.retrieve('cus_1', { expand: ['subscriptions'] }),
      () => app.call(s.getCustomer, { id: 'cus_1', expand: ['subscriptions'] }),
    ],
    [
      'customer',
      () => sdk.customers.update('cus_1', { name: 'Ada' }),
      () => app.call(s.updateCustomer, { id: 'cus_1', name: 'Ada' }),
    ],
    [
      'customers',
      () => sdk.customers.list({ limit: 3, created: { gte: 5, lt: 9 } }),
      () => app.call(s.listCustomers, { limit: 3, created: { gte: 5, lt: 9 } }),
    ],
    [
      'payment_intent',
      () =>
        sdk.paymentIntents.create({
          amount: 990,
          currency: 'eur',
          automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
          expand: ['customer', 'latest_charge'],
        }),
      () =>
        app.call(s.createPaymentIntent, {
          amount: 990,
          currency: 'eur',
          automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
          expand: ['customer', 'latest_charge'],
        }),
    ],
    ['payment_intent', () => sdk.paymentIntents.retrieve('pi_1'), () => app.call(s.getPaymentIntent, { id: 'pi_1' })],
    [
      'payment_intent',
      () => sdk.paymentIntents.confirm('pi_1', { payment_method: 'pm_1' }),
      () => app.call(s.confirmPaymentIntent, { id: 'pi_1', payment_method: 'pm_1' }),
    ],
    [
      'payment_intent',
      () => sdk.paymentIntents.capture('pi_1', { amount_to_capture: 5 }),
      () => app.call(s.capturePaymentIntent, { id: 'pi_1', amount_to_capture: 5 }),
    ],
    [
      'payment_intent',
      () => sdk.paymentIntents.cancel('pi_1', { cancellation_reason: 'duplicate' }),
      () => app.call(s.cancelPaymentIntent, { id: 'pi_1', cancellation_reason: 'duplicate' }),
    ],
    ['charge', () => sdk.charges.retrieve('ch_1'), () => app.call(s.getCharge, { id: 'ch_1' })],
    ['charges', () => sdk.charges.list({ customer: 'cus_1' }), () => app.call(s.listCharges, { customer: 'cus_1' })],
    [
      'refund',
      () => sdk.refunds.create({ payment_intent: 'pi_1', amount: 5, reason: 'duplicate' }),
      () => app.call(s.createRefund, { payment_intent: 'pi_1', amount: 5, reason: 'duplicate' }),
    ],
    ['refunds', () => sdk.refunds.list({ charge: 'ch_1' }), () => app.call(s.listRefunds, { charge: 'ch_1' })],
    [
      'invoice',
      () => sdk.invoices.create({ customer: 'cus_1', auto_advance: false }),
      () => app.call(s.createInvoice, { customer: 'cus_1', auto_advance: false }),
    ],
    ['invoice', () => sdk.invoices.finalizeInvoice('in_1'), () => app.call(s.finalizeInvoice, { id: 'in_1' })],
    ['invoice', () => sdk.invoices.pay('in_1'), () => app.call(s.payInvoice, { id: 'in_1' })],
    [
      'product',
      () => sdk.products.create({ name: 'Tea', active: true }),
      () => app.call(s.createProduct, { name: 'Tea', active: true }),
    ],
    [
      'price',
      () =>
        sdk.prices.create({
          currency: 'eur',
          product: 'prod_1',
          unit_amount: 500,
          recurring: { interval: 'month', interval_count: 3 },
        }),
      () =>
        app.call(s.createPrice, {
          currency: 'eur',
          product: 'prod_1',
          unit_amount: 500,
          recurring: { interval: 'month', interval_count: 3 },
        }),
    ],
    [
      'events',
      () => sdk.events.list({ types: ['charge.succeeded', 'charge.failed'] }),
      () => app.call(s.listEvents, { types: ['charge.succeeded', 'charge.failed'] }),
    ],
    ['balance', () => sdk.balance.retrieve(), () => app.call(s.getBalance, undefined)],
    [
      'balance_transactions',
      () => sdk.balanceTransactions.list({ payout: 'po_1' }),
      () => app.call(s.listBalanceTransactions, { payout: 'po_1' }),
    ],
    ['payouts', () => sdk.payouts.list({ status: 'paid' }), () => app.call(s.listPayouts, { status: 'paid' })],
  ]
  const told = ['authorization', 'stripe-version', 'stripe-account', 'content-type']
  for (const [object, theirs, ours] of cases) {
    api.answer = () => ({ body: object.endsWith('s') ? list(object.slice(0, -1)) : objects[object] })
    await theirs()
    await ours()
    const [first, second] = api.seen.splice(0)
    // Their SDK names a content type without a body as well.
    const fields = second?.body === undefined ? told.slice(0, 3) : told
    assert.deepEqual(essence(second, fields), essence(first, fields))
    assert.equal(second?.headers['idempotency-key'] !== undefined, second?.method === 'POST')
  }
})

test('walks a list by the id of its last item', async (t) => {
  const api = await standIn(t)
  const s = stripe({ key: secret('STRIPE_KEY'), baseUrl: `${api.origin}/v1` })
  const app = await appWith(t, [s], { STRIPE_KEY: key })
  api.answer = ({ query }) => {
    const after =
      query
        .find((q) => q.startsWith('starting_after='))
        ?.split('_')
        .at(-1) ?? '0'
    const n = Number(after)
    return {
      body: {
        object: 'list',
        has_more: n < 4,
        data: [n + 1, n + 2].map((i) => ({ ...objects['charge'], id: `ch_${i}` })),
      },
    }
  }
  const ids: string[] = []
  for await (const charge of app.each(s.listCharges, { limit: 2 })) ids.push(charge.id)
  assert.deepEqual(ids, ['ch_1', 'ch_2', 'ch_3', 'ch_4', 'ch_5', 'ch_6'])
  assert.deepEqual(
    api.seen.map((r) => r.query),
    [['limit=2'], ['limit=2', 'starting_after=ch_2'], ['limit=2', 'starting_after=ch_4']],
  )
})

test('does what Stripe says about trying again, under one key', async () => {
  const s = stripe({ key: secret('STRIPE_KEY') })
  await using t = await harness({ use: [s] })
  const error = (type: string, code?: string) => ({ error: { type, code, message: 'no' } })
  const input = { amount: 1, currency: 'eur' }
  const paid = objects['payment_intent']
  const again = { 'stripe-should-retry': 'true' }
  t.answer(
    s.createPaymentIntent,
    reply(409, error('api_error'), again),
    reply(429, error('invalid_request_error', 'lock_timeout')),
    reply(500, error('api_error'), again),
    paid,
  )
  const done = t.call(s.createPaymentIntent, input)
  await t.advance('1m')
  assert.equal((await done).id, (paid as { id: string }).id)
  assert.equal(t.keys(s.createPaymentIntent).length, 4)
  assert.equal(new Set(t.keys(s.createPaymentIntent)).size, 1)
  for (const [status, body, code] of [
    [402, error('card_error', 'card_declined'), 'connection.rejected'],
    [400, error('idempotency_error'), 'connection.rejected'],
    [400, error('invalid_request_error'), 'connection.rejected'],
    [404, error('invalid_request_error', 'resource_missing'), 'connection.not_found'],
    [401, error('invalid_request_error'), 'connection.credential'],
  ] as const) {
    t.answer(s.createPaymentIntent, reply(status, body))
    await assert.rejects(t.call(s.createPaymentIntent, input), (e) => isFault(e, code), `${status}`)
  }
})

test('refuses what cannot be right before anything is sent', async () => {
  const s = stripe({ key: secret('STRIPE_KEY') })
  await using t = await harness({ use: [s] })
  t.answer(s.createPaymentIntent, objects['payment_intent'])
  for (const input of [
    { amount: 1.5, currency: 'eur' },
    { amount: 1, currency: 'euro' },
  ])
    await assert.rejects(t.call(s.createPaymentIntent, input), (e) => isFault(e, 'schema.invalid'))
  assert.equal(t.called(s.createPaymentIntent).length, 0)
})
