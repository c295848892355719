import assert from 'node:assert/strict'
import { test } from 'node:test'
import '@shopify/shopify-api/adapters/node'
import { ApiVersion, shopifyApi } from '@shopify/shopify-api'
import { setAbstractFetchFunc } from '@shopify/shopify-api/runtime'
import { isFault, type Fault } from '#kernel/fault.ts'
import { secret } from '#kernel/secret.ts'
import { graphqlOptions } from '#patterns/connections/protocols/graphql/options.ts'
import { cut, harness, reply } from '#testing/index.ts'
import { shopify, shopifyVersion } from './shopify.ts'
import { appWith, standIn, type Seen } from './stand-in.fixture.ts'

const token = 'shpat_canary5f3759df'
const name = 'acme.myshopify.com'
const gid = (type: string, n: number): string => `gid://shopify/${type}/${n}`
const order = {
  id: gid('Order', 1),
  name: '#1001',
  createdAt: '2026-01-01T00:00:00Z',
  updatedAt: '2026-01-01T00:00:00Z',
  totalPriceSet: { shopMoney: { amount: '9.90', currencyCode: 'EUR' } },
  lineItems: { nodes: [{ id: gid('LineItem', 1), title: 'Tea', quantity: 1 }] },
}
const product = { id: gid('Product', 1), title: 'Tea', handle: 'tea', status: 'ACTIVE', variants: { nodes: [] } }
const customer = { id: gid('Customer', 1), defaultEmailAddress: { emailAddress: 'a@b.test' } }
const refund = { id: gid('Refund', 1), totalRefundedSet: order.totalPriceSet }
const hook = { id: gid('WebhookSubscription', 1), topic: 'ORDERS_CREATE', uri: 'https://us.test/hooks/shop' }
const none = { userErrors: [] }

/** What the request asks for. The name of the operation is ours to send or not: a document has one. */
const said = ({ method, path, headers, body }: Seen): object => {
  const { query, variables = {} } = body as { query: string; variables?: object }
  const { 'x-shopify-access-token': key, 'content-type': type } = headers
  return { method, path, key, type, query, variables }
}

test('says what Shopify’s own SDK says', async (t) => {
  const api = await standIn(t)
  const s = shopify({ shop: name, token: secret('SHOPIFY_TOKEN'), baseUrl: api.origin })
  const app = await appWith(t, [s], { SHOPIFY_TOKEN: token })
  // The SDK speaks to https alone; it names the address as text.
  setAbstractFetchFunc((url, init) => fetch((url as string).replace(`https://${name}`, api.origin), init))
  t.after(() => setAbstractFetchFunc(fetch))
  const sdk = shopifyApi({
    apiSecretKey: 'unused',
    apiVersion: shopifyVersion as ApiVersion,
    isEmbeddedApp: false,
    isCustomStoreApp: true,
    adminApiAccessToken: token,
    hostName: 'us.test',
    logger: { log: () => undefined },
  })
  const theirs = new sdk.clients.Graphql({ session: sdk.session.customAppSession(name) })
  const input = { id: order.id, note: 'gift' }
  const stock = { inventoryItemId: gid('InventoryItem', 1), locationId: gid('Location', 1), changeFromQuantity: null }
  const change = { name: 'available' as const, reason: 'correction' }
  const fulfillment = { lineItemsByFulfillmentOrder: [{ fulfillmentOrderId: gid('FulfillmentOrder', 1) }] }
  const metafield = { ownerId: order.id, namespace: 'us', key: 'erp', value: '17', type: 'single_line_text_field' }
  const list = { first: 50 }
  const set = { identifier: { handle: 'tea' }, input: { title: 'Tea' } }
  const person = { identifier: { email: 'a@b.test' }, input: { firstName: 'Ada' } }
  const quantities = { input: { ...change, quantities: [{ ...stock, quantity: 5 }] }, key: 'k1' }
  const changes = { input: { ...change, changes: [{ ...stock, delta: -1 }] }, key: 'k2' }
  const money = { input: { orderId: order.id, note: 'broken' }, key: 'k3' }
  const tags = { id: order.id, tags: ['a', 'b'] }
  const subscribe = { topic: hook.topic, webhookSubscription: { uri: hook.uri } }
  const group = { inventoryAdjustmentGroup: null, ...none }
  const cases: readonly (readonly [
    { readonly spec: { readonly graphql?: Parameters<typeof graphqlOptions>[0] } },
    object,
    Record<string, unknown> | undefined,
    () => Promise<unknown>,
  ])[] = [
    [
      s.getShop,
      { shop: { id: gid('Shop', 1), name: 'Acme', currencyCode: 'EUR' } },
      undefined,
      () => app.call(s.getShop, undefined),
    ],
    [
      s.listOrders,
      { orders: { nodes: [order] } },
      { ...list, query: 'status:open' },
      () => app.call(s.listOrders, { query: 'status:open' }),
    ],
    [s.getOrder, { order }, { id: order.id }, () => app.call(s.getOrder, { id: order.id })],
    [s.updateOrder, { orderUpdate: { order, ...none } }, { input }, () => app.call(s.updateOrder, { input })],
    [
      s.createFulfillment,
      { fulfillmentCreate: { fulfillment: { id: gid('Fulfillment', 1), status: 'SUCCESS' }, ...none } },
      { fulfillment },
      () => app.call(s.createFulfillment, { fulfillment }),
    ],
    [s.createRefund, { refundCreate: { refund, ...none } }, money, () => app.call(s.createRefund, money)],
    [s.listProducts, { products: { nodes: [product] } }, list, () => app.call(s.listProducts, {})],
    [s.getProduct, { product: null }, { id: product.id }, () => app.call(s.getProduct, { id: product.id })],
    [s.setProduct, { productSet: { product, ...none } }, set, () => app.call(s.setProduct, set)],
    [s.listCustomers, { customers: { nodes: [customer] } }, list, () => app.call(s.listCustomers, {})],
    [s.setCustomer, { customerSet: { customer, ...none } }, person, () => app.call(s.setCustomer, person)],
    [s.listLocations, { locations: { nodes: [] } }, list, () => app.call(s.listLocations, {})],
    [s.setInventory, { inventorySetQuantities: group }, quantities, () => app.call(s.setInventory, quantities)],
    [s.adjustInventory, { inventoryAdjustQuantities: group }, changes, () => app.call(s.adjustInventory, changes)],
    [s.addTags, { tagsAdd: { node: { id: order.id }, ...none } }, tags, () => app.call(s.addTags, tags)],
    [s.removeTags, { tagsRemove: { node: { id: order.id }, ...none } }, tags, () => app.call(s.removeTags, tags)],
    [
      s.setMetafields,
      { metafieldsSet: { metafields: [{ ...metafield, id: gid('Metafield', 1) }], ...none } },
      { metafields: [metafield] },
      () => app.call(s.setMetafields, { metafields: [metafield] }),
    ],
    [s.listWebhooks, { webhookSubscriptions: { nodes: [hook] } }, list, () => app.call(s.listWebhooks, {})],
    [
      s.createWebhook,
      { webhookSubscriptionCreate: { webhookSubscription: hook, ...none } },
      subscribe,
      () => app.call(s.createWebhook, subscribe),
    ],
    [
      s.deleteWebhook,
      { webhookSubscriptionDelete: { deletedWebhookSubscriptionId: hook.id, ...none } },
      { id: hook.id },
      () => app.call(s.deleteWebhook, { id: hook.id }),
    ],
  ]
  for (const [{ spec }, data, variables, ours] of cases) {
    api.answer = () => ({ body: { data } })
    await theirs.request(graphqlOptions(spec.graphql!).document, variables ? { variables } : {})
    await ours()
    const [first, second] = api.seen.splice(0)
    assert.deepEqual(said(second!), said(first!))
  }
})

test('walks a list by the cursor of its page info', async () => {
  const s = shopify({ shop: name, token: secret('SHOPIFY_TOKEN') })
  await using t = await harness({ use: [s] })
  const page = (n: number, pageInfo: object) => ({ orders: { nodes: [{ ...order, name: `#${n}` }], pageInfo } })
  t.answer(s.listOrders, page(1, { hasNextPage: true, endCursor: 'c1==' }), page(2, { hasNextPage: false }))
  const found: string[] = []
  for await (const one of t.app.each(s.listOrders, { first: 1 })) found.push(one.name)
  assert.deepEqual(found, ['#1', '#2'])
  assert.deepEqual(t.called(s.listOrders), [{ first: 1 }, { first: 1, after: 'c1==' }])
})

test('a query that costs too much waits for its points', async () => {
  const s = shopify({ shop: name, token: secret('SHOPIFY_TOKEN') })
  await using t = await harness({ use: [s] })
  const cost = {
    requestedQueryCost: 200,
    throttleStatus: { maximumAvailable: 2_000, currentlyAvailable: 100, restoreRate: 50 },
  }
  t.answer(
    s.getOrder,
    reply(200, { errors: [{ message: 'Throttled', extensions: { code: 'THROTTLED' } }], extensions: { cost } }),
    { order },
  )
  const got = t.call(s.getOrder, { id: order.id })
  await t.advance('1900ms')
  assert.equal(t.called(s.getOrder).length, 1)
  await t.advance('1s')
  assert.equal((await got)?.name, '#1001')
})

test('what is wrong with a mutation is a fault, though it comes under 200', async () => {
  const s = shopify({ shop: name, token: secret('SHOPIFY_TOKEN') })
  await using t = await harness({ use: [s] })
  const wrong = (code?: string) => ({
    data: { refundCreate: { refund: null, userErrors: [{ field: ['input'], message: 'no', code }] } },
  })
  const ask = { input: { orderId: order.id }, key: 'k1' }
  for (const [body, code] of [
    [wrong(), 'connection.rejected'],
    [wrong('TAKEN'), 'connection.conflict'],
    [{ errors: [{ message: 'no', extensions: { code: 'ACCESS_DENIED' } }] }, 'connection.forbidden'],
  ] as const) {
    t.answer(s.createRefund, reply(200, body))
    await assert.rejects(t.call(s.createRefund, ask), (e) => isFault(e, code), code)
  }
  // It carries their key, but what that does with a second refund could not be tried: a person decides.
  t.answer(s.createRefund, cut, { refundCreate: { refund, ...none } })
  const before = t.called(s.createRefund).length
  await assert.rejects(t.call(s.createRefund, ask), (e) => isFault(e, 'connection.unverified'))
  assert.deepEqual(
    t
      .called(s.createRefund)
      .slice(before)
      .map((c) => c['key']),
    ['k1'],
  )
})

test('a fulfilment whose answer is lost is not made again, a subscription is looked for', async () => {
  const s = shopify({ shop: name, token: secret('SHOPIFY_TOKEN') })
  await using t = await harness({ use: [s] })
  t.answer(s.createFulfillment, cut)
  const fulfillment = { lineItemsByFulfillmentOrder: [{ fulfillmentOrderId: gid('FulfillmentOrder', 1) }] }
  const lost = t.call(s.createFulfillment, { fulfillment }).catch((e: unknown) => (e as Fault).code)
  await t.advance('1m')
  assert.equal(await lost, 'connection.unverified')
  assert.equal(t.called(s.createFulfillment).length, 1)

  t.answer(s.createWebhook, cut)
  t.answer(s.listWebhooks, { webhookSubscriptions: { nodes: [{ ...hook, topic: 'ORDERS_PAID' }, hook] } })
  const made = t.call(s.createWebhook, { topic: hook.topic, webhookSubscription: { uri: hook.uri } })
  await t.advance('1m')
  assert.equal((await made).webhookSubscriptionCreate.webhookSubscription.id, hook.id)
  assert.equal(t.called(s.createWebhook).length, 1)
})
