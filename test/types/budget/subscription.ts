import { z } from 'zod'
import { subscription, topic } from 'fairlead'

const Order = z.object({ id: z.string(), customer: z.string(), total: z.number() })
const orderPlaced = topic('orders.placed', { schema: Order })

export const billing = subscription('billing', {
  to: orderPlaced,
  concurrency: 8,
  retry: { attempts: 10, first: '1s', max: '10m' },
  async handle(order, ctx) {
    await ctx.publish(orderPlaced, { id: order.id, customer: order.customer, total: order.total })
  },
})
