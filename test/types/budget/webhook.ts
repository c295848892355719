import { z } from 'zod'
import { secret, stripeSignature, topic, webhook } from 'fairlead'

const Paid = z.object({ order: z.string(), cents: z.number() })
const orderPaid = topic('orders.paid', { schema: Paid })

export const paymentsHook = webhook('payments', {
  path: '/hooks/payments',
  verify: stripeSignature(secret('PAYMENTS_HOOK_KEY')),
  deliver: {
    'charge.paid': { to: orderPaid, map: (_event, info) => ({ order: info.id, cents: 990 }) },
    'charge.settled': orderPaid,
  },
  otherwise: 'store',
})
