/**
 * A small marketplace, Lighthouse Tea: what a user of Fairlead writes. Orders come from Shopify, payments and refunds from
 * Stripe, parcels from a carrier, remarks from Slack and GitHub; what follows is asked of three APIs that do not always answer.
 *
 * The three make "effectively once" possible in three ways: payments takes an idempotency key, the CRM is written with
 * PUT, and the warehouse has neither, so the engine looks into its list before it repeats (`verify`).
 */
import {
  bearer,
  connection,
  githubSignature,
  mapping,
  secret,
  shopifySignature,
  slackSignature,
  standardWebhooks,
  stripeSignature,
  subscription,
  topic,
  webhook,
} from 'fairlead'
import { z } from 'zod'

const where = (name: string): string => process.env[name] ?? `https://${name.toLowerCase().replace('_url', '')}.example`

// --- what leaves ---------------------------------------------------------------------------------------------------

/**
 * Numbers for a demonstration of a minute. In earnest the defaults are right: 10 s to the first byte, 30 s in all, 4
 * retries from 1 s, a breaker that opens after 5 failures a minute and stays open for 30 s.
 */
const impatient = {
  auth: bearer(secret('API_KEY')),
  timeout: { connect: '500ms', firstByte: '1200ms', total: '4s' },
  retry: { attempts: 2, first: '200ms', max: '1s' },
  breaker: { consecutive: 8, failures: 30, calls: 20, within: '10s', openFor: '3s', maxOpen: '5s' },
} as const

const Transfer = z.object({ id: z.string(), order: z.string(), amount: z.number(), reversed: z.boolean() })

export const payments = connection('payments', {
  ...impatient,
  baseUrl: where('PAYMENTS_URL'),
  operations: {
    transfer: {
      http: 'POST /v1/transfers',
      input: z.object({ order: z.string(), amount: z.number(), currency: z.string() }),
      output: Transfer,
      idempotent: 'key',
    },
    reverse: {
      http: 'POST /v1/transfers/:id/reversals',
      input: z.object({ id: z.string() }),
      output: Transfer,
      idempotent: 'key',
    },
    transfers: {
      http: 'GET /v1/transfers',
      input: z.object({ order: z.string() }),
      output: z.object({ data: z.array(Transfer) }),
    },
  },
})

const Stored = z.object({ id: z.string() })

export const crm = connection('crm', {
  ...impatient,
  baseUrl: where('CRM_URL'),
  operations: {
    contact: {
      http: 'PUT /contacts/:id',
      input: z.object({ id: z.string(), email: z.string(), name: z.string() }),
      output: Stored,
    },
    stage: {
      http: 'PUT /deals/:order/stages/:stage',
      input: z.object({ order: z.string(), stage: z.enum(['paid', 'packed', 'refunded', 'shipped']) }),
      output: Stored,
    },
    note: {
      http: 'PUT /notes/:id',
      input: z.object({ id: z.string(), channel: z.string(), author: z.string(), text: z.string() }),
      output: Stored,
    },
  },
})

const Line = z.object({ sku: z.string(), quantity: z.number().int().positive() })
const Entry = z.object({ id: z.string(), order: z.string() })
const Entries = z.object({ items: z.array(Entry) })
const ByOrder = z.object({ order: z.string() })

export const warehouse = connection('warehouse', {
  ...impatient,
  baseUrl: where('WAREHOUSE_URL'),
  operations: {
    reserve: {
      http: 'POST /reservations',
      input: z.object({ order: z.string(), lines: z.array(Line) }),
      output: Entry,
      verify: {
        call: 'reservations',
        input: (sent) => ({ order: sent.order }),
        found: (page, sent) => page.items.find((entry) => entry.order === sent.order),
      },
    },
    reservations: { http: 'GET /reservations', input: ByOrder, output: Entries },
    ship: {
      http: 'POST /shipments',
      input: ByOrder,
      output: Entry,
      verify: {
        call: 'shipments',
        input: (sent) => ({ order: sent.order }),
        found: (page, sent) => page.items.find((entry) => entry.order === sent.order),
      },
    },
    shipments: { http: 'GET /shipments', input: ByOrder, output: Entries },
  },
})

// --- what is known -------------------------------------------------------------------------------------------------

const Customer = z.object({ id: z.string(), email: z.string(), first: z.string(), last: z.string() })
const Placed = z.object({ order: z.string(), customer: Customer, lines: z.array(Line).min(1) })
const Money = z.object({ order: z.string(), amount: z.number().int().positive(), currency: z.string() })
const Note = z.object({ id: z.string(), channel: z.string(), author: z.string(), text: z.string() })

export const orderPlaced = topic('orders.placed', { schema: Placed, key: (o) => o.order })
export const orderPaid = topic('orders.paid', { schema: Money, key: (m) => m.order })
export const orderRefunded = topic('orders.refunded', { schema: Money, key: (m) => m.order })
export const orderSettled = topic('orders.settled', {
  schema: z.object({ order: z.string(), transfer: z.string() }),
  key: (s) => s.order,
})
export const orderShipped = topic('orders.shipped', { schema: ByOrder, key: (s) => s.order })
/** The key is the channel: its notes reach the CRM in the order in which they were written. */
export const notes = topic('notes', { schema: Note, key: (n) => n.channel })

// --- what arrives --------------------------------------------------------------------------------------------------

const ShopifyOrder = z.object({
  id: z.number(),
  line_items: z.array(z.object({ sku: z.string(), quantity: z.number() })),
  customer: z.object({ id: z.number(), email: z.string(), first_name: z.string(), last_name: z.string() }),
})

export const placedFromShopify = mapping('shopify-order', {
  from: ShopifyOrder,
  to: Placed,
  fields: {
    order: (o) => String(o.id),
    customer: (o) => ({
      id: String(o.customer.id),
      email: o.customer.email,
      first: o.customer.first_name,
      last: o.customer.last_name,
    }),
    lines: (o) => o.line_items.map((line) => ({ sku: line.sku, quantity: line.quantity })),
  },
})

const stripeEvent = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.object({
    data: z.object({
      object: z.object({ ...shape, currency: z.string(), metadata: z.object({ order_id: z.string() }) }),
    }),
  })

export const paidFromStripe = mapping('stripe-payment', {
  from: stripeEvent({ amount_received: z.number() }),
  to: Money,
  fields: {
    order: (e) => e.data.object.metadata.order_id,
    amount: (e) => e.data.object.amount_received,
    currency: (e) => e.data.object.currency,
  },
})

export const refundedFromStripe = mapping('stripe-refund', {
  from: stripeEvent({ amount_refunded: z.number() }),
  to: Money,
  fields: {
    order: (e) => e.data.object.metadata.order_id,
    amount: (e) => e.data.object.amount_refunded,
    currency: (e) => e.data.object.currency,
  },
})

export const shippedFromCarrier = mapping('carrier-parcel', {
  from: z.object({ data: z.object({ orderId: z.number() }) }),
  to: ByOrder,
  fields: { order: (e) => String(e.data.orderId) },
})

export const noteFromSlack = mapping('slack-note', {
  from: z.object({
    event_id: z.string(),
    event: z.object({ channel: z.string(), user: z.string(), text: z.string() }),
  }),
  to: Note,
  fields: {
    id: (e) => e.event_id,
    channel: (e) => e.event.channel,
    author: (e) => e.event.user,
    text: (e) => e.event.text,
  },
})

export const noteFromGithub = mapping('github-note', {
  from: z.object({
    issue: z.object({ id: z.number(), title: z.string() }),
    sender: z.object({ login: z.string() }),
  }),
  to: Note,
  fields: {
    id: (e) => `issue-${e.issue.id}`,
    channel: () => 'github',
    author: (e) => e.sender.login,
    text: (e) => e.issue.title,
  },
})

export const stripe = webhook('stripe', {
  path: '/hooks/stripe',
  verify: stripeSignature(secret('STRIPE_HOOK_KEY')),
  deliver: {
    'payment_intent.succeeded': { to: orderPaid, map: paidFromStripe },
    'charge.refunded': { to: orderRefunded, map: refundedFromStripe },
  },
  // Payouts and whatever Stripe invents next: kept, for nobody yet.
  otherwise: 'store',
})

export const shopify = webhook('shopify', {
  path: '/hooks/shopify',
  verify: shopifySignature(secret('SHOPIFY_HOOK_KEY')),
  deliver: { 'orders/create': { to: orderPlaced, map: placedFromShopify } },
})

export const slack = webhook('slack', {
  path: '/hooks/slack',
  verify: slackSignature(secret('SLACK_HOOK_KEY')),
  deliver: { message: { to: notes, map: noteFromSlack } },
})

export const github = webhook('github', {
  path: '/hooks/github',
  verify: githubSignature(secret('GITHUB_HOOK_KEY')),
  deliver: { 'issues.opened': { to: notes, map: noteFromGithub } },
})

export const carrier = webhook('carrier', {
  path: '/hooks/carrier',
  verify: standardWebhooks(secret('CARRIER_HOOK_KEY')),
  deliver: { 'com.example.order.shipped': { to: orderShipped, map: shippedFromCarrier } },
})

// --- what happens next ---------------------------------------------------------------------------------------------

/** Outlasts an outage of 20 s: while a breaker is open no attempt is burned, and after it each message is due within 3 s. */
const persistent = { concurrency: 8, retry: { attempts: 20, first: '500ms', max: '3s' } } as const

export const reserveStock = subscription('reserve-stock', {
  ...persistent,
  to: orderPlaced,
  async handle(order, ctx) {
    await ctx.call(warehouse.reserve, { order: order.order, lines: order.lines })
  },
})

/** The CRM wants addresses that can be written to. An order without one is parked for a person; the others go on. */
export const toContact = mapping('order-contact', {
  from: Placed,
  to: z.object({ id: z.string(), email: z.email(), name: z.string() }),
  fields: {
    id: (o) => o.customer.id,
    email: (o) => o.customer.email,
    name: (o) => `${o.customer.first} ${o.customer.last}`,
  },
})

export const knowCustomer = subscription('know-customer', {
  ...persistent,
  to: orderPlaced,
  async handle(order, ctx) {
    await ctx.call(crm.contact, toContact(order))
  },
})

export const paySeller = subscription('pay-seller', {
  ...persistent,
  to: orderPaid,
  async handle(paid, ctx) {
    const share = { order: paid.order, amount: Math.round(paid.amount * 0.88), currency: paid.currency }
    const transfer = await ctx.call(payments.transfer, share)
    await ctx.publish(orderSettled, { order: paid.order, transfer: transfer.id })
  },
})

export const noteSettlement = subscription('note-settlement', {
  ...persistent,
  to: orderSettled,
  async handle(settled, ctx) {
    await ctx.call(crm.stage, { order: settled.order, stage: 'paid' })
  },
})

export const shipOrder = subscription('ship-order', {
  ...persistent,
  to: orderPaid,
  async handle(paid, ctx) {
    // When the CRM is down after this, the message is handled again, and the warehouse asked whether it knows the parcel.
    await ctx.call(warehouse.ship, { order: paid.order })
    await ctx.call(crm.stage, { order: paid.order, stage: 'packed' })
  },
})

export const takeBack = subscription('take-back', {
  ...persistent,
  to: orderRefunded,
  async handle(refund, ctx) {
    const { data } = await ctx.call(payments.transfers, { order: refund.order })
    const [transfer] = data
    // Stripe does not promise an order: a refund that is faster than its payment waits for it.
    if (!transfer) throw new Error(`order ${refund.order} has not been settled yet`)
    await ctx.call(payments.reverse, { id: transfer.id })
    await ctx.call(crm.stage, { order: refund.order, stage: 'refunded' })
  },
})

export const noteParcel = subscription('note-parcel', {
  ...persistent,
  to: orderShipped,
  async handle(parcel, ctx) {
    await ctx.call(crm.stage, { order: parcel.order, stage: 'shipped' })
  },
})

export const takeNote = subscription('take-note', {
  ...persistent,
  to: notes,
  async handle(note, ctx) {
    await ctx.call(crm.note, note)
  },
})
