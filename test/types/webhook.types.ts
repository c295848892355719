import { z } from 'zod'
import { secret, stripeSignature, topic, webhook } from 'fairlead'

const Paid = z.object({ order: z.string(), cents: z.number() })
const orderPaid = topic('orders.paid', { schema: Paid, key: (p) => p.order })
const refunds = topic('refunds')
const verify = stripeSignature(secret('PAYMENTS_HOOK_KEY'))

export function accepted(): void {
  webhook('payments', {
    path: '/hooks/payments',
    verify,
    deliver: {
      'charge.paid': { to: orderPaid, map: (_event, info) => ({ order: info.id, cents: 990 }) },
      'charge.refunded': refunds,
    },
    otherwise: 'store',
  })
  webhook('async', {
    path: '/b',
    verify,
    deliver: { paid: { to: orderPaid, map: async () => ({ order: 'o', cents: 1 }) } },
  })
}

export function refused(): void {
  // @ts-expect-error TS2741 an unsigned webhook has no place here
  webhook('a', { path: '/a', deliver: { paid: orderPaid } })
  // @ts-expect-error TS2322 a key in the clear is not a secret
  webhook('a', { path: '/a', verify: 'whsec_1', deliver: { paid: orderPaid } })
  // @ts-expect-error TS2322 a topic is referred to by value, not by name
  webhook('a', { path: '/a', verify, deliver: { paid: 'orders.paid' } })
  // @ts-expect-error TS2322 what map returns must fit the topic
  webhook('a', { path: '/a', verify, deliver: { paid: { to: orderPaid, map: () => ({ order: 'o', cents: '990' }) } } })
  // @ts-expect-error TS2322 three ways, no fourth
  webhook('a', { path: '/a', verify, deliver: { paid: orderPaid }, otherwise: 'drop' })
  // @ts-expect-error TS2353 no handler: work before the answer is how retries become a storm
  webhook('a', { path: '/a', verify, deliver: { paid: orderPaid }, handle: () => undefined })
}
