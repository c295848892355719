import { expectTypeOf } from 'expect-type'
import { z } from 'zod'
import { mapping } from 'fairlead'

const Order = z.object({ id: z.string(), total: z.number(), email: z.email() })
const Invoice = z.object({ number: z.string(), cents: z.int(), contact: z.string().optional() })

export const toInvoice = mapping('order-to-invoice', {
  from: Order,
  to: Invoice,
  fields: { number: (o) => `ORD-${o.id}`, cents: (o) => Math.round(o.total * 100), contact: (o) => o.email },
})

export function accepted(order: z.infer<typeof Order>): void {
  expectTypeOf(toInvoice(order)).toEqualTypeOf<z.infer<typeof Invoice>>()
  expectTypeOf(toInvoice.many([order]).mapped).toEqualTypeOf<z.infer<typeof Invoice>[]>()
  const document = mapping('beneficiary', { document: './beneficiary.yaml', tables: { codes: { a: 'A' } } })
  expectTypeOf(document({ anything: 1 })).toEqualTypeOf<Record<string, unknown>>()
  const free = mapping('free', { from: Order, fields: { number: (o) => o.id } })
  expectTypeOf(free(order)).toEqualTypeOf<{ number: string }>()
}

export function refused(order: z.infer<typeof Order>): void {
  // @ts-expect-error TS2739 not an order
  toInvoice({ id: 'o1' })
  // @ts-expect-error TS2339 no such field on what it gives
  toInvoice(order).total.toFixed()
  // @ts-expect-error TS2769 cents is a number
  mapping('a', { from: Order, to: Invoice, fields: { number: (o) => o.id, cents: (o) => o.id } })
  // @ts-expect-error TS2769 cents is missing
  mapping('a', { from: Order, to: Invoice, fields: { number: (o) => o.id } })
  // @ts-expect-error TS2769 arrows or a document
  mapping('a', {})
}
