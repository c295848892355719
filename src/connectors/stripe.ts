/**
 * Stripe, the payments API: customers, payment intents, charges, refunds, invoices, products, prices, events, balance, payouts.
 *
 * Contract-tested: the requests are those of Stripe's own SDK (npm `stripe`), the answers those of its published description.
 * Sources: docs.stripe.com/api, /api/idempotent_requests, /error-handling, /rate-limits.
 */
import * as z from 'zod'
import type { Secret } from '#kernel/secret.ts'
import { bearer } from '#patterns/connections/auth/bearer.ts'
import { connection, type ConnectionOptions } from '#patterns/connections/define.ts'
import type { Rule } from '#patterns/connections/answers/classify.ts'

export type StripeOptions = {
  /** A secret or, better, a restricted key. */
  readonly key: Secret
  /** Name of the connection, for several accounts side by side. Default `stripe`. */
  readonly name?: string
  /** Pinned in every request: what they answer then changes only when you change this. */
  readonly version?: string
  /** Acts for a connected account (`acct_…`). */
  readonly account?: string
  /** Default 25 a second, Stripe's limit of a new account and of test mode; a live one usually has 100. */
  readonly limit?: ConnectionOptions['limit']
  /** For a stand-in of a test. */
  readonly baseUrl?: string
}

/** The version that this connector was tested with. */
export const stripeVersion = '2026-10-28.endive'

const id = z.string().min(1)
const money = z.number().int()
const currency = z.string().length(3)
const metadata = z.record(z.string(), z.string()).optional()
const expand = z.array(z.string()).optional()
const range = z.union([
  z.number(),
  z.object({ gt: z.number(), gte: z.number(), lt: z.number(), lte: z.number() }).partial(),
])
const page = { limit: z.number().int().min(1).max(100).optional(), expand }
const one = z.object({ id, expand })

const thing = <T extends z.ZodRawShape>(object: string, shape: T) =>
  z.looseObject({ id, object: z.literal(object), ...shape })
const listOf = <T extends z.ZodType>(item: T) =>
  z.looseObject({ object: z.literal('list'), data: z.array(item), has_more: z.boolean() })
/** An id, or with `expand` the object itself. */
const ref = z.union([z.string(), z.looseObject({ id })])

const Customer = thing('customer', {
  email: z.string().nullish(),
  name: z.string().nullish(),
  deleted: z.boolean().optional(),
  metadata: z.record(z.string(), z.string()).optional(),
})
const PaymentIntent = thing('payment_intent', {
  amount: money,
  currency,
  status: z.string(),
  customer: ref.nullish(),
  latest_charge: ref.nullish(),
  client_secret: z.string().nullish(),
})
const Charge = thing('charge', {
  amount: money,
  amount_refunded: money,
  currency,
  status: z.string(),
  paid: z.boolean(),
  customer: ref.nullish(),
  payment_intent: ref.nullish(),
})
const Refund = thing('refund', { amount: money, currency, status: z.string().nullish(), charge: ref.nullish() })
const Invoice = thing('invoice', { status: z.string().nullish(), customer: ref.nullish(), total: money, currency })
const Product = thing('product', { name: z.string(), active: z.boolean() })
const Price = thing('price', { active: z.boolean(), currency, unit_amount: money.nullish(), product: ref })
const Event = thing('event', { type: z.string(), created: z.number(), data: z.looseObject({ object: z.unknown() }) })
const Balance = z.looseObject({
  object: z.literal('balance'),
  available: z.array(z.looseObject({ amount: money, currency })),
})
const BalanceTransaction = thing('balance_transaction', {
  amount: money,
  fee: money,
  net: money,
  currency,
  type: z.string(),
})
const Payout = thing('payout', { amount: money, currency, status: z.string(), arrival_date: z.number() })

const person = {
  email: z.string().optional(),
  name: z.string().optional(),
  phone: z.string().optional(),
  description: z.string().optional(),
  metadata,
  expand,
}

/** By the id of the last item: Stripe has no cursor of its own. */
const paged = { style: 'cursor', param: 'starting_after', after: 'id', more: 'has_more', items: 'data' } as const

/**
 * `Stripe-Should-Retry` is their word on whether to try again, whatever the status. Under the same key 409 means that the first
 * request is still running (`lock_timeout` says the same of an object), and a key that was used for something else is ours to correct.
 */
const rules: readonly Rule[] = [
  { status: [400, 409], body: (b) => errorOf(b) === 'idempotency_error', means: 'rejected' },
  { status: 429, body: (b) => codeOf(b) === 'lock_timeout', means: 'transient' },
  { status: [409, 500, 502, 503, 504], header: { name: 'stripe-should-retry', value: 'false' }, means: 'ambiguous' },
  { status: [409, 500, 502, 503, 504], header: { name: 'stripe-should-retry', value: 'true' }, means: 'transient' },
  { status: 402, means: 'rejected' },
]

/**
 * Stripe as a connection. Everything that creates or changes carries an idempotency key, which Stripe keeps for at least 24 hours and
 * answers with the first result, failures included; so it is repeated after a cut without a second charge.
 *
 * @example
 * export const payments = stripe({ key: secret('STRIPE_KEY') })
 * await ctx.call(payments.createPaymentIntent, { amount: 990, currency: 'eur', customer: 'cus_1' })
 */
export function stripe(options: StripeOptions) {
  const {
    key,
    name = 'stripe',
    version = stripeVersion,
    account,
    limit = '25/s',
    baseUrl = 'https://api.stripe.com/v1',
  } = options
  const create = { body: 'form', idempotent: 'key' } as const
  return connection(name, {
    baseUrl,
    auth: bearer(key),
    headers: { 'stripe-version': version, ...(account === undefined ? {} : { 'stripe-account': account }) },
    queryStyle: 'brackets',
    limit,
    rules,
    timeout: { firstByte: '60s', total: '80s' },
    operations: {
      createCustomer: { http: 'POST /customers', ...create, input: z.object(person), output: Customer },
      getCustomer: { http: 'GET /customers/:id', input: one, output: Customer },
      updateCustomer: { http: 'POST /customers/:id', ...create, input: z.object({ id, ...person }), output: Customer },
      deleteCustomer: {
        http: 'DELETE /customers/:id',
        input: z.object({ id }),
        output: z.looseObject({ id, deleted: z.boolean() }),
      },
      listCustomers: {
        http: 'GET /customers',
        pages: paged,
        input: z.object({ email: z.string().optional(), created: range.optional(), ...page }),
        output: listOf(Customer),
      },

      createPaymentIntent: {
        http: 'POST /payment_intents',
        ...create,
        input: z.object({
          amount: money,
          currency,
          customer: z.string().optional(),
          payment_method: z.string().optional(),
          confirm: z.boolean().optional(),
          off_session: z.boolean().optional(),
          capture_method: z.enum(['automatic', 'automatic_async', 'manual']).optional(),
          automatic_payment_methods: z
            .object({ enabled: z.boolean(), allow_redirects: z.enum(['always', 'never']).optional() })
            .optional(),
          payment_method_types: z.array(z.string()).optional(),
          description: z.string().optional(),
          receipt_email: z.string().optional(),
          statement_descriptor: z.string().max(22).optional(),
          return_url: z.string().optional(),
          metadata,
          expand,
        }),
        output: PaymentIntent,
      },
      getPaymentIntent: { http: 'GET /payment_intents/:id', input: one, output: PaymentIntent },
      confirmPaymentIntent: {
        http: 'POST /payment_intents/:id/confirm',
        ...create,
        input: z.object({ id, payment_method: z.string().optional(), return_url: z.string().optional(), expand }),
        output: PaymentIntent,
      },
      capturePaymentIntent: {
        http: 'POST /payment_intents/:id/capture',
        ...create,
        input: z.object({ id, amount_to_capture: money.optional(), expand }),
        output: PaymentIntent,
      },
      cancelPaymentIntent: {
        http: 'POST /payment_intents/:id/cancel',
        ...create,
        input: z.object({
          id,
          cancellation_reason: z.enum(['duplicate', 'fraudulent', 'requested_by_customer', 'abandoned']).optional(),
          expand,
        }),
        output: PaymentIntent,
      },
      listPaymentIntents: {
        http: 'GET /payment_intents',
        pages: paged,
        input: z.object({ customer: z.string().optional(), created: range.optional(), ...page }),
        output: listOf(PaymentIntent),
      },

      getCharge: { http: 'GET /charges/:id', input: one, output: Charge },
      listCharges: {
        http: 'GET /charges',
        pages: paged,
        input: z.object({
          customer: z.string().optional(),
          payment_intent: z.string().optional(),
          created: range.optional(),
          ...page,
        }),
        output: listOf(Charge),
      },

      createRefund: {
        http: 'POST /refunds',
        ...create,
        input: z.object({
          payment_intent: z.string().optional(),
          charge: z.string().optional(),
          amount: money.optional(),
          reason: z.enum(['duplicate', 'fraudulent', 'requested_by_customer']).optional(),
          metadata,
          expand,
        }),
        output: Refund,
      },
      getRefund: { http: 'GET /refunds/:id', input: one, output: Refund },
      listRefunds: {
        http: 'GET /refunds',
        pages: paged,
        input: z.object({
          charge: z.string().optional(),
          payment_intent: z.string().optional(),
          created: range.optional(),
          ...page,
        }),
        output: listOf(Refund),
      },

      createInvoice: {
        http: 'POST /invoices',
        ...create,
        input: z.object({
          customer: z.string(),
          auto_advance: z.boolean().optional(),
          collection_method: z.enum(['charge_automatically', 'send_invoice']).optional(),
          days_until_due: z.number().int().optional(),
          description: z.string().optional(),
          metadata,
          expand,
        }),
        output: Invoice,
      },
      getInvoice: { http: 'GET /invoices/:id', input: one, output: Invoice },
      finalizeInvoice: {
        http: 'POST /invoices/:id/finalize',
        ...create,
        input: z.object({ id, auto_advance: z.boolean().optional(), expand }),
        output: Invoice,
      },
      payInvoice: {
        http: 'POST /invoices/:id/pay',
        ...create,
        input: z.object({ id, payment_method: z.string().optional(), expand }),
        output: Invoice,
      },
      listInvoices: {
        http: 'GET /invoices',
        pages: paged,
        input: z.object({
          customer: z.string().optional(),
          status: z.enum(['draft', 'open', 'paid', 'uncollectible', 'void']).optional(),
          created: range.optional(),
          ...page,
        }),
        output: listOf(Invoice),
      },

      createProduct: {
        http: 'POST /products',
        ...create,
        input: z.object({
          name: z.string(),
          active: z.boolean().optional(),
          description: z.string().optional(),
          metadata,
          expand,
        }),
        output: Product,
      },
      listProducts: {
        http: 'GET /products',
        pages: paged,
        input: z.object({ active: z.boolean().optional(), ids: z.array(z.string()).optional(), ...page }),
        output: listOf(Product),
      },
      createPrice: {
        http: 'POST /prices',
        ...create,
        input: z.object({
          currency,
          product: z.string(),
          unit_amount: money.optional(),
          recurring: z
            .object({ interval: z.enum(['day', 'week', 'month', 'year']), interval_count: z.number().int().optional() })
            .optional(),
          metadata,
          expand,
        }),
        output: Price,
      },
      listPrices: {
        http: 'GET /prices',
        pages: paged,
        input: z.object({ product: z.string().optional(), active: z.boolean().optional(), ...page }),
        output: listOf(Price),
      },

      getEvent: { http: 'GET /events/:id', input: z.object({ id }), output: Event },
      /** At most the last 30 days. What a webhook missed is found here. */
      listEvents: {
        http: 'GET /events',
        pages: paged,
        input: z.object({
          type: z.string().optional(),
          types: z.array(z.string()).max(20).optional(),
          created: range.optional(),
          delivery_success: z.boolean().optional(),
          ...page,
        }),
        output: listOf(Event),
      },

      getBalance: { http: 'GET /balance', output: Balance },
      listBalanceTransactions: {
        http: 'GET /balance_transactions',
        pages: paged,
        input: z.object({
          payout: z.string().optional(),
          type: z.string().optional(),
          created: range.optional(),
          ...page,
        }),
        output: listOf(BalanceTransaction),
      },
      listPayouts: {
        http: 'GET /payouts',
        pages: paged,
        input: z.object({ status: z.string().optional(), created: range.optional(), ...page }),
        output: listOf(Payout),
      },
    },
  })
}

function errorOf(body: unknown): unknown {
  return (body as { error?: { type?: unknown } } | undefined)?.error?.type
}

function codeOf(body: unknown): unknown {
  return (body as { error?: { code?: unknown } } | undefined)?.error?.code
}
