import { z } from 'zod'
import { topic } from 'fairlead'

const Order = z.object({ id: z.string(), customer: z.string(), total: z.number() })

export const orderPlaced = topic('orders.placed', { schema: Order, key: (o) => o.customer, keep: '30d' })
