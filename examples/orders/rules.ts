import type { Effect } from './apis/api.ts'
import type { Provider } from './sign.ts'

/** What one accepted event must lead to, in one subscription. */
export type Duty = {
  readonly topic: string
  readonly subscription: string
  /** What keeps order in the topic. */
  readonly key: string
  readonly effects: readonly Effect[]
  /** It cannot be done, and this is the reason with which it must be parked. */
  readonly dead?: string
}

/**
 * The business in the auditor's own words: read from the bytes that were sent, sharing nothing with `orders.ts` and
 * nothing with the plan. If one of the three is wrong, the books show it.
 */
export function duties(provider: Provider, type: string, body: Uint8Array): Duty[] {
  const event = JSON.parse(new TextDecoder().decode(body)) as Record<string, unknown>
  const at = (path: string): unknown =>
    path.split('.').reduce<unknown>((v, name) => (v as Record<string, unknown> | undefined)?.[name], event)
  const text = (path: string): string => String(at(path))

  switch (`${provider} ${type}`) {
    case 'shopify orders/create': {
      const order = text('id')
      const unknown = (at('line_items') as { sku: string }[]).some((line) => line.sku.startsWith('XX-'))
      const contact = text('customer.id')
      const reachable = /^\S+@\S+$/.test(text('customer.email'))
      const reserve = duty('orders.placed', 'reserve-stock', order, {
        api: 'warehouse',
        effect: 'reservation',
        key: order,
      })
      const know = duty('orders.placed', 'know-customer', order, { api: 'crm', effect: 'contact', key: contact })
      return [
        unknown ? { ...reserve, effects: [], dead: 'connection.rejected' } : reserve,
        reachable ? know : { ...know, effects: [], dead: 'mapping.rejected' },
      ]
    }
    case 'stripe payment_intent.succeeded': {
      const order = text('data.object.metadata.order_id')
      return [
        duty('orders.paid', 'pay-seller', order, { api: 'payments', effect: 'transfer', key: order }),
        duty(
          'orders.paid',
          'ship-order',
          order,
          { api: 'warehouse', effect: 'shipment', key: order },
          { api: 'crm', effect: 'stage', key: `${order}/packed` },
        ),
        duty('orders.settled', 'note-settlement', order, { api: 'crm', effect: 'stage', key: `${order}/paid` }),
      ]
    }
    case 'stripe charge.refunded': {
      const order = text('data.object.metadata.order_id')
      return [
        duty(
          'orders.refunded',
          'take-back',
          order,
          { api: 'payments', effect: 'reversal', key: order },
          { api: 'crm', effect: 'stage', key: `${order}/refunded` },
        ),
      ]
    }
    case 'carrier com.example.order.shipped': {
      const order = text('data.orderId')
      return [duty('orders.shipped', 'note-parcel', order, { api: 'crm', effect: 'stage', key: `${order}/shipped` })]
    }
    case 'slack message':
      return [note(text('event_id'), text('event.channel'), text('event.text'))]
    case 'github issues':
      return [note(`issue-${text('issue.id')}`, 'github', text('issue.title'))]
    default:
      return []
  }
}

function duty(topic: string, subscription: string, key: string, ...effects: Effect[]): Duty {
  return { topic, subscription, key, effects }
}

function note(key: string, lane: string, words: string): Duty {
  const base = { topic: 'notes', subscription: 'take-note', key: lane }
  if (words.length > 500) return { ...base, effects: [], dead: 'connection.rejected' }
  return { ...base, effects: [{ api: 'crm', effect: 'note', key, lane }] }
}
