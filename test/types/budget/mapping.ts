import { z } from 'zod'
import { mapping } from 'fairlead'

const Order = z.object({ id: z.string(), total: z.number(), email: z.string() })
const Invoice = z.object({ number: z.string(), cents: z.number(), contact: z.string() })

export const toInvoice = mapping('order-to-invoice', {
  from: Order,
  to: Invoice,
  fields: { number: (o) => `ORD-${o.id}`, cents: (o) => Math.round(o.total * 100), contact: (o) => o.email },
})
