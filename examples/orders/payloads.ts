import { readFileSync } from 'node:fs'

type Data = Record<string, unknown>

const text = (name: string): string => readFileSync(new URL(`./data/${name}`, import.meta.url), 'utf8')
const json = (name: string): Data => JSON.parse(text(name)) as Data
const lines = (name: string): Data[] =>
  text(name)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Data)
const at = (data: Data, name: string): Data => data[name] as Data
const found = (list: readonly Data[], type: string): Data => {
  const event = list.find((e) => e['type'] === type)
  if (!event) throw new Error(`data/ has no ${type}`)
  return event
}

const stripe = lines('stripe.events.ndjson')
const paidEvent = found(stripe, 'payment_intent.succeeded')
const refundedEvent = found(stripe, 'charge.refunded')
const payoutEvent = found(stripe, 'payout.paid')
const shopifyOrder = at(json('shopify.order.json'), 'order')
const slackEvent = lines('slack.events.ndjson').find((e) => at(e, 'event')?.['type'] === 'message') ?? {}
const githubIssue = json('github.issues.opened.json')
const shippedEvent = lines('cloudevents.order-shipped.ndjson')[0] ?? {}

export type Line = { readonly sku: string; readonly quantity: number }
export type Customer = { readonly id: number; readonly email: string; readonly first: string; readonly last: string }

/** The real payloads with our ids, amounts and texts in the places where the providers have theirs. */
export const payload = {
  placed: (order: number, customer: Customer, items: readonly Line[], cents: number): Data => {
    const [first] = shopifyOrder['line_items'] as Data[]
    return {
      ...shopifyOrder,
      id: order,
      name: `#${order}`,
      email: customer.email,
      total_price: (cents / 100).toFixed(2),
      line_items: items.map((line, i) => ({ ...first, id: order * 10 + i, sku: line.sku, quantity: line.quantity })),
      customer: {
        ...at(shopifyOrder, 'customer'),
        id: customer.id,
        email: customer.email,
        first_name: customer.first,
        last_name: customer.last,
      },
    }
  },

  paid: (id: string, order: number, cents: number): Data => {
    const object = { ...at(at(paidEvent, 'data'), 'object'), id: `pi_${order}`, amount: cents, amount_received: cents }
    return { ...paidEvent, id, data: { object: { ...object, metadata: { order_id: String(order) } } } }
  },

  refunded: (id: string, order: number, cents: number): Data => {
    const object = { ...at(at(refundedEvent, 'data'), 'object'), id: `ch_${order}`, amount: cents }
    return {
      ...refundedEvent,
      id,
      data: { object: { ...object, amount_refunded: cents, metadata: { order_id: String(order) } } },
    }
  },

  payout: (id: string, cents: number): Data => ({
    ...payoutEvent,
    id,
    data: { object: { ...at(at(payoutEvent, 'data'), 'object'), amount: cents } },
  }),

  message: (id: string, channel: string, user: string, words: string, seconds: number): Data => ({
    ...slackEvent,
    event_id: id,
    event_time: seconds,
    event: { ...at(slackEvent, 'event'), channel, user, text: words, ts: `${seconds}.000100` },
  }),

  issue: (number: number, title: string): Data => ({
    ...githubIssue,
    issue: { ...at(githubIssue, 'issue'), id: 444_500_041 + number, number, title },
  }),

  shipped: (id: string, order: number, time: string): Data => ({
    ...shippedEvent,
    id,
    subject: `order/${order}`,
    partitionkey: `order-${order}`,
    correlationid: `txn-${order}`,
    time,
    data: { orderId: order },
  }),
} as const
