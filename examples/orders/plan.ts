import { payload, type Customer, type Line } from './payloads.ts'
import { dice, type Dice } from './random.ts'
import type { Delivery, Provider } from './sign.ts'

/** How a request is sent. Everything but `first` and `again` is wrong on purpose. */
export type Manner =
  | 'first'
  | 'again' // the same event once more: later, or at the same moment on another connection
  | 'wrong-secret'
  | 'flipped-byte'
  | 'unsigned'
  | 'stale' // correctly signed, an hour ago
  | 'truncated' // the rest, malformed, is correctly signed: only the content is wrong
  | 'not-utf8'
  | 'prototype'
  | 'oversized'
  | 'unknown-path'

export type Planned = Delivery & {
  /** Milliseconds after the start. */
  readonly at: number
  readonly manner: Manner
  /** Requests of one lane are sent one after the other, each when the one before it has been answered. */
  readonly lane?: string
}

export type PlanOptions = {
  readonly seed: number
  /** Different events that are correctly sent; what is wrong or repeated comes on top, about a quarter of it. */
  readonly messages: number
  /** Milliseconds over which they are spread. */
  readonly spread: number
}

const customers: readonly [Customer, ...Customer[]] = [
  { id: 7001, email: 'ada@example.com', first: 'Ada', last: 'Ferreira' },
  { id: 7002, email: 'bao@example.com', first: 'Bao', last: 'Nguyen' },
  { id: 7003, email: 'chidi@example.com', first: 'Chidi', last: 'Okafor' },
  { id: 7004, email: 'dana@example.com', first: 'Dana', last: 'Levi' },
  { id: 7005, email: 'emre@example.com', first: 'Emre', last: 'Yılmaz' },
]
const skus = ['TEA-GREEN', 'TEA-BLACK', 'TEA-MINT', 'POT-600', 'CUP-2'] as const
const channels = ['C0ORDERS', 'C0PACKING', 'C0RETURNS'] as const
const firstOrder = 5_000_001
const epoch = 1_760_000_000

/**
 * Everything that will be sent, in order of time. The same options give the same plan, byte for byte; only signatures
 * differ from run to run, because they contain the time.
 *
 * On purpose among the correct ones: every 25th order has an unknown article, every 30th an address that is none; some
 * refunds and parcels arrive before the payment or the order; channel C0LEGAL has one note that is too long for the CRM.
 */
export function plan(options: PlanOptions): Planned[] {
  const d = dice(options.seed)
  const good = correct(d, options)
  return [...good, ...repeated(d, good), ...wrong(d, good)].sort((a, b) => a.at - b.at)
}

function correct(d: Dice, { messages, spread }: PlanOptions): Planned[] {
  const out: Planned[] = []
  const add = (at: number, provider: Provider, type: string, id: string, body: object, lane?: string): void => {
    const planned: Planned = {
      at: Math.round(Math.min(at, spread)),
      provider,
      type,
      id,
      manner: 'first' as const,
      body: Buffer.from(JSON.stringify(body)),
    }
    out.push(lane === undefined ? planned : { ...planned, lane })
  }
  const stripe = (at: number, type: string, body: (id: string) => object): void => {
    const id = `evt_${d.hex(24)}`
    add(at, 'stripe', type, id, body(id))
  }
  const note = (i: number, at: number, channel: string, words: string): void => {
    const id = `Ev${String(i).padStart(10, '0')}`
    const user = d.pick(['U0USER0001', 'U0USER0002'])
    add(at, 'slack', 'message', id, payload.message(id, channel, user, words, epoch + i), channel)
  }
  // About 3.6 events an order: enough orders for the number asked, cut off at the end.
  const step = (spread * 0.85) / Math.ceil(messages / 3.6)
  for (let i = 0; out.length < messages; i++) {
    const order = firstOrder + i
    const t = Math.min(i * step, spread * 0.85)
    const cents = d.whole(500, 30_000)
    add(t, 'shopify', 'orders/create', uuid(d), placed(d, i, order, cents))
    stripe(t + d.whole(200, 2_500), 'payment_intent.succeeded', (id) => payload.paid(id, order, cents))
    // Two of three refunds come in their natural place, one before the payment it belongs to.
    const refund = t + (i % 15 === 2 ? 100 : 3_500)
    if (i % 5 === 2) stripe(refund, 'charge.refunded', (id) => payload.refunded(id, order, cents))
    if (i % 2 === 0) {
      // Now and then the carrier is faster than the shop.
      const time = new Date((epoch + i) * 1000).toISOString()
      const id = `evt-${order}`
      add(t + (i % 8 === 0 ? 0 : 4_500), 'carrier', 'com.example.order.shipped', id, payload.shipped(id, order, time))
    }
    if (i % 3 !== 0) note(i, t + 300, d.pick(channels), `order ${order}: please pack with care (${i})`)
    if (i % 8 === 3) add(t + 700, 'github', 'issues', uuid(d), payload.issue(i, `Shop: order ${order} shows twice`))
    if (i % 12 === 5) stripe(t + 900, 'payout.paid', (id) => payload.payout(id, cents))
    if (i >= 20 && i < 25) note(100_000 + i, t + 400, 'C0LEGAL', i === 21 ? 'clause '.repeat(100) : `clause ${i}`)
  }
  return out.slice(0, messages)
}

function placed(d: Dice, i: number, order: number, cents: number): object {
  const line = (): Line => ({ sku: d.pick(skus), quantity: d.whole(1, 4) })
  const items: Line[] = d.once(3) ? [line(), line()] : [line()]
  if (i % 25 === 7) items.push({ sku: 'XX-404', quantity: 1 })
  const customer = d.pick(customers)
  const nowhere = { ...customer, id: 8000 + i, email: `${customer.first} at example` }
  return payload.placed(order, i % 30 === 11 ? nowhere : customer, items, cents)
}

/** One in eight is delivered again: half of them seconds later, half twice more at the same moment. */
function repeated(d: Dice, good: readonly Planned[]): Planned[] {
  return good.flatMap((first) => {
    if (!d.once(8)) return []
    const again = { ...first, manner: 'again' } as const
    return d.once(2) ? [{ ...again, at: first.at + d.whole(1_500, 9_000) }] : [again, again]
  })
}

/** One in ten has a wrong sibling. It comes first and bears the same id: refusing it must not cost the right one. */
function wrong(d: Dice, good: readonly Planned[]): Planned[] {
  const signatures = ['wrong-secret', 'flipped-byte', 'unsigned', 'stale', 'unknown-path'] as const
  const bodies = ['truncated', 'not-utf8', 'prototype'] as const
  let oversized = 2
  return good.flatMap((first): Planned[] => {
    if (!d.once(10)) return []
    const { lane: _, ...rest } = first
    const at = Math.max(0, first.at - d.whole(0, 1_000))
    const manner = d.once(3) ? d.pick(bodies) : d.pick(signatures)
    // A scheme that does not sign the time cannot know an old request: these are refused for another reason.
    const timeless = first.provider === 'shopify' || first.provider === 'github'
    if (manner === 'stale' && timeless && oversized-- > 0) return [spoiled({ ...rest, at, manner: 'oversized' })]
    return [spoiled({ ...rest, at, manner: manner === 'stale' && timeless ? 'wrong-secret' : manner })]
  })
}

/** The body of a malformed request; it is signed as it stands, so that only its content is wrong. */
function spoiled(planned: Planned): Planned {
  const body = Buffer.from(planned.body)
  switch (planned.manner) {
    case 'truncated':
      return { ...planned, body: body.subarray(0, Math.floor(body.length * 0.6)) }
    case 'not-utf8':
      // 0xC3 begins a two-byte character and the quote does not continue it.
      return {
        ...planned,
        body: Buffer.concat([body.subarray(0, -1), Buffer.from([0x2c, 0x22, 0xc3, 0x22, 0x3a, 0x31, 0x7d])]),
      }
    case 'prototype':
      return { ...planned, body: Buffer.concat([Buffer.from('{"__proto__":{"admin":true},'), body.subarray(1)]) }
    case 'oversized':
      return { ...planned, body: Buffer.concat([body, Buffer.alloc(1_048_577 - body.length + 1, ' ')]) }
    default:
      return planned
  }
}

function uuid(d: Dice): string {
  return `${d.hex(8)}-${d.hex(4)}-4${d.hex(3)}-8${d.hex(3)}-${d.hex(12)}`
}
