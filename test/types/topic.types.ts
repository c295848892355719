import { expectTypeOf } from 'expect-type'
import { z } from 'zod'
import type { Publish } from '#kernel/context.ts'
import type { Json } from '#kernel/json.ts'
import { subscription, topic } from 'fairlead'

const Order = z.object({ id: z.string(), customer: z.string(), total: z.number(), note: z.string().default('') })
const orderPlaced = topic('orders.placed', { schema: Order, key: (o) => o.customer, keep: '30d' })
const anything = topic('anything')

declare const publish: Publish

export async function accepted(): Promise<void> {
  // The publisher gives the schema's input, the handler gets its output.
  await publish(orderPlaced, { id: 'o1', customer: 'c1', total: 1 })
  subscription('billing', {
    to: orderPlaced,
    concurrency: 8,
    retry: { attempts: 10, first: '1s', max: '10m' },
    async handle(order, ctx) {
      expectTypeOf(order).toEqualTypeOf<z.output<typeof Order>>()
      expectTypeOf(ctx.attempt).toEqualTypeOf<number>()
      await ctx.publish(orderPlaced, order)
    },
  })
  subscription('in batches', {
    to: orderPlaced,
    batch: 500,
    handleBatch: (batch) => void expectTypeOf(batch[0]!.data).toEqualTypeOf<z.output<typeof Order>>(),
  })
  subscription('untyped', { to: anything, handle: (data) => void expectTypeOf(data).toEqualTypeOf<Json>() })
}

export async function refused(): Promise<void> {
  // @ts-expect-error TS2741 total is missing
  await publish(orderPlaced, { id: 'o1', customer: 'c1' })
  // @ts-expect-error TS2353 a misspelled field is not ignored
  await publish(orderPlaced, { id: 'o1', customer: 'c1', total: 1, nott: '' })
  // @ts-expect-error TS2345 a topic is referred to by value, not by name
  await publish('orders.placed', { id: 'o1', customer: 'c1', total: 1 })
  // @ts-expect-error TS2322 a key is text
  topic('a', { schema: Order, key: (o) => o.total })
  // @ts-expect-error TS2551 the key is taken from the parsed message
  topic('a', { schema: Order, key: (o) => o.customerr })
  // @ts-expect-error TS2322 a bare number has no unit
  topic('a', { keep: 30 })
  // @ts-expect-error TS2322 a misspelled unit
  topic('a', { keep: '30days' })
  // @ts-expect-error TS2561 an unknown option
  topic('a', { kep: '30d' })
  // @ts-expect-error TS2322 a subscription reads a topic
  subscription('a', { to: 'orders.placed', handle: () => undefined })
  // @ts-expect-error TS2345 it needs a handler
  subscription('a', { to: orderPlaced })
  subscription('a', {
    to: orderPlaced,
    // @ts-expect-error TS2339 no such field
    handle: (order) => order.missing,
  })
}
