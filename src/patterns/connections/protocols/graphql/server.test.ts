import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { buildSchema, GraphQLError } from 'graphql'
import { createHandler } from 'graphql-http/lib/use/http'
import * as z from 'zod'
import { fairlead } from '#app/fairlead.ts'
import { isFault } from '#kernel/fault.ts'
import { connection } from '../../define.ts'
import { relayPages } from './options.ts'

const schema = buildSchema(`
  type Order { id: ID! note: String secretNote: String }
  type PageInfo { hasNextPage: Boolean! endCursor: String }
  type Orders { nodes: [Order!]! pageInfo: PageInfo! }
  type Query { orders(first: Int!, after: String): Orders! order(id: ID!): Order }
  type Mutation { create(id: ID!): Order }
`)
const stored = ['1', '2', '3', '4', '5']
const rootValue = {
  orders: ({ first, after }: { first: number; after?: string }) => {
    const from = after === undefined ? 0 : stored.indexOf(after) + 1
    const nodes = stored.slice(from, from + first).map((id) => ({ id }))
    return { nodes, pageInfo: { hasNextPage: from + first < stored.length, endCursor: nodes.at(-1)?.id } }
  },
  order: ({ id }: { id: string }) => ({
    id,
    note: 'n',
    secretNote: () => {
      throw new GraphQLError('not for you', { extensions: { code: 'FORBIDDEN' } })
    },
  }),
  create: ({ id }: { id: string }) => (stored.push(id), { id }),
}

test('a server that keeps to GraphQL over HTTP understands us, and we it', async () => {
  const handler = createHandler({ schema, rootValue })
  const server = createServer((request, response) => void handler(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const Order = z.object({ id: z.string() })
  const shop = connection('shop', {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    retry: false,
    operations: {
      orders: {
        http: 'POST /graphql',
        graphql:
          'query Orders($first: Int!, $after: String) { orders(first: $first, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }',
        input: z.object({ first: z.number(), after: z.string().optional() }),
        output: z.object({ orders: z.object({ nodes: z.array(Order) }) }).transform((d) => d.orders.nodes),
        pages: relayPages('orders'),
      },
      order: {
        http: 'GET /graphql',
        graphql: 'query ($id: ID!) { order(id: $id) { id note } }',
        input: z.object({ id: z.string() }),
      },
      whole: {
        http: 'POST /graphql',
        graphql: 'query ($id: ID!) { order(id: $id) { id secretNote } }',
        input: z.object({ id: z.string() }),
      },
      partly: {
        http: 'POST /graphql',
        graphql: { document: '{ order(id: 7) { id secretNote } }', partial: 'accept' },
      },
      create: {
        http: 'POST /graphql',
        graphql: 'mutation ($id: ID!) { create(id: $id) { id } }',
        input: z.object({ id: z.string() }),
      },
      misspelled: { http: 'POST /graphql', graphql: '{ oders { id } }' },
    },
  })
  const app = await fairlead({ use: [shop] })
  try {
    const ids: string[] = []
    for await (const order of app.each(shop.orders, { first: 2 })) ids.push(order.id)
    assert.deepEqual(ids, ['1', '2', '3', '4', '5'])
    assert.deepEqual(await app.call(shop.order, { id: '"é&' }), { order: { id: '"é&', note: 'n' } })
    await assert.rejects(app.call(shop.whole, { id: '7' }), (e) => isFault(e, 'connection.forbidden'))
    const partly = (await app.call(shop.partly, undefined)) as { data: unknown; errors: { path: unknown }[] }
    assert.deepEqual(partly.data, { order: { id: '7', secretNote: null } })
    assert.deepEqual(
      partly.errors.map((e) => e.path),
      [['order', 'secretNote']],
    )
    assert.deepEqual(await app.call(shop.create, { id: '6' }), { create: { id: '6' } })
    await assert.rejects(app.call(shop.misspelled, undefined), (e) => isFault(e, 'connection.rejected'))
    assert.equal(stored.length, 6)
  } finally {
    await app[Symbol.asyncDispose]()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})
