/**
 * Shopify, the GraphQL Admin API: orders, products, customers, stock, fulfilments, refunds, metafields, webhook subscriptions.
 *
 * Contract-tested: documents and variables arrive as Shopify's own SDK sends them (npm `@shopify/shopify-api`). Their fields were not
 * checked against a schema, which is not published as a file: try each that you use once on a development shop.
 * Sources: shopify.dev/docs/api/admin-graphql, /docs/api/usage/limits, /docs/api/usage/idempotent-requests, /docs/api/usage/versioning.
 */
import * as z from 'zod'
import type { Secret } from '#kernel/secret.ts'
import type { Rule } from '#patterns/connections/answers/classify.ts'
import { apiKey } from '#patterns/connections/auth/api-key.ts'
import { connection, type ConnectionOptions } from '#patterns/connections/define.ts'
import { relayPages } from '#patterns/connections/protocols/graphql/options.ts'

export type ShopifyOptions = {
  /** `acme.myshopify.com` */
  readonly shop: string
  /** An Admin API access token (`shpat_…`). What it may do is said by its scopes (`read_orders`, `write_products` …). */
  readonly token: Secret
  /** Name of the connection, for several shops side by side. Default `shopify`. */
  readonly name?: string
  /** Pinned in every path; Shopify keeps a version for a year. */
  readonly version?: string
  /** Default 50 a second. What counts with Shopify are points, which each answer tells: calls wait until there are enough. */
  readonly limit?: ConnectionOptions['limit']
  /** For a stand-in of a test: what stands before `/admin`. */
  readonly baseUrl?: string
}

/** The version that this connector was tested with. */
export const shopifyVersion = '2026-10'

/** `gid://shopify/Order/450789469` */
const id = z.string().regex(/^gid:\/\/shopify\/\w+\/[\w-]+(?:\?[\w=&-]+)?$/)
/** Names a change of stock or of money once and for all: a UUID of yours, kept with what you do. */
const key = z.string().min(1).max(255)
const page = {
  first: z.number().int().min(1).max(250).default(50),
  after: z.string().optional(),
  /** `updated_at:>2026-01-01 status:open`, https://shopify.dev/docs/api/usage/search-syntax */
  query: z.string().optional(),
}
const loose = z.looseObject({})

/** Amounts are decimal text: never make them floating. */
const Money = z.looseObject({ amount: z.string(), currencyCode: z.string() })
const Bag = z.looseObject({ shopMoney: Money })
const LineItem = z.looseObject({ id: z.string(), title: z.string(), quantity: z.number(), sku: z.string().nullish() })
const Order = z.looseObject({
  id: z.string(),
  name: z.string(),
  createdAt: z.string(),
  updatedAt: z.string(),
  email: z.string().nullish(),
  cancelledAt: z.string().nullish(),
  displayFinancialStatus: z.string().nullish(),
  displayFulfillmentStatus: z.string().nullish(),
  totalPriceSet: Bag,
  customer: z.looseObject({ id: z.string() }).nullish(),
  tags: z.array(z.string()).optional(),
})
const Variant = z.looseObject({
  id: z.string(),
  sku: z.string().nullish(),
  price: z.string(),
  inventoryItem: z.looseObject({ id: z.string() }).nullish(),
})
const Product = z.looseObject({ id: z.string(), title: z.string(), handle: z.string(), status: z.string() })
const Customer = z.looseObject({
  id: z.string(),
  firstName: z.string().nullish(),
  lastName: z.string().nullish(),
  defaultEmailAddress: z.looseObject({ emailAddress: z.string() }).nullish(),
})
const Subscription = z.looseObject({ id: z.string(), topic: z.string(), uri: z.string().nullish() })

const orderFields = `id name createdAt updatedAt email cancelledAt displayFinancialStatus displayFulfillmentStatus tags
  totalPriceSet { shopMoney { amount currencyCode } } customer { id }`
const lineItems = 'lineItems(first: 250) { nodes { id title quantity sku } }'
const fulfillable = `fulfillmentOrders(first: 20) { nodes { id status
  lineItems(first: 250) { nodes { id remainingQuantity lineItem { id } } } } }`
const productFields = 'id title handle status createdAt updatedAt vendor productType tags'
const variants = 'variants(first: 100) { nodes { id sku price inventoryItem { id } } }'
const customerFields = 'id firstName lastName createdAt updatedAt tags defaultEmailAddress { emailAddress }'
const subscriptionFields = 'id topic uri'
const problems = 'userErrors { field message }'
const coded = 'userErrors { field message code }'
const pageInfo = 'pageInfo { hasNextPage endCursor }'

const listDocument = (name: string, field: string, fields: string): string =>
  `query ${name}($first: Int!, $after: String, $query: String) {
  ${field}(first: $first, after: $after, query: $query) { nodes { ${fields} } ${pageInfo} }
}`

/**
 * What is wrong with a mutation stands in its `userErrors`, under 200. A change that another request with the same key is making is not
 * wrong, only not done yet.
 */
const rules: readonly Rule[] = [
  { body: (b) => userErrors(b).some((e) => e.code === 'IDEMPOTENCY_CONCURRENT_REQUEST'), means: 'transient' },
  { body: (b) => userErrors(b).some((e) => e.code === 'TAKEN'), means: 'conflict' },
  { body: (b) => userErrors(b).length > 0, means: 'rejected' },
  // The shop is frozen, or locked.
  { status: [402, 423], means: 'connection.forbidden' },
]

function userErrors(body: unknown): readonly { readonly code?: string }[] {
  const { data } = body as { data?: Readonly<Record<string, { userErrors?: readonly { code?: string }[] } | null>> }
  return Object.values(data ?? {}).flatMap((payload) => payload?.userErrors ?? [])
}

/**
 * Shopify as a connection. What sets something may be repeated; a change of stock and a refund carry a `key` of yours, by which
 * Shopify knows the second one; a fulfilment has none, and is parked when nobody knows whether it was made.
 *
 * A query that the shop has too few points for waits until they are there. `get…` gives null for what does not exist.
 *
 * @example
 * export const shop = shopify({ shop: 'acme.myshopify.com', token: secret('SHOPIFY_TOKEN') })
 * for await (const order of ctx.each(shop.listOrders, { query: 'updated_at:>2026-01-01' })) …
 */
export function shopify(options: ShopifyOptions) {
  const { shop, token, name = 'shopify', version = shopifyVersion, limit = '50/s' } = options
  const { baseUrl = `https://${shop}` } = options
  const http = 'POST /graphql.json'
  const set = { http, idempotent: 'natural' } as const
  return connection(name, {
    baseUrl: `${baseUrl}/admin/api/${version}`,
    auth: apiKey(token, { header: 'x-shopify-access-token' }),
    limit,
    rules,
    operations: {
      getShop: {
        http,
        graphql: 'query Shop { shop { id name myshopifyDomain currencyCode ianaTimezone } }',
        output: z
          .object({ shop: z.looseObject({ id: z.string(), name: z.string(), currencyCode: z.string() }) })
          .transform((d) => d.shop),
      },

      listOrders: {
        http,
        graphql: listDocument('Orders', 'orders', orderFields),
        pages: relayPages('orders'),
        /** The last 60 days, unless the token has `read_all_orders`. */
        input: z.object(page),
        output: z.object({ orders: z.object({ nodes: z.array(Order) }) }).transform((d) => d.orders.nodes),
      },
      getOrder: {
        http,
        graphql: `query Order($id: ID!) { order(id: $id) { ${orderFields} ${lineItems} ${fulfillable} } }`,
        input: z.object({ id }),
        output: z
          .object({ order: Order.extend({ lineItems: z.object({ nodes: z.array(LineItem) }) }).nullable() })
          .transform((d) => d.order),
      },
      /** Notes, tags, addresses, metafields. Lines are changed by order edits, which are not here. */
      updateOrder: {
        ...set,
        graphql: `mutation UpdateOrder($input: OrderInput!) { orderUpdate(input: $input) { order { ${orderFields} } ${problems} } }`,
        input: z.object({ input: z.looseObject({ id }) }),
        output: z.object({ orderUpdate: z.object({ order: Order }) }).transform((d) => d.orderUpdate.order),
      },
      createFulfillment: {
        http,
        graphql: `mutation Fulfil($fulfillment: FulfillmentInput!) {
  fulfillmentCreate(fulfillment: $fulfillment) { fulfillment { id status } ${problems} }
}`,
        input: z.object({
          fulfillment: z.looseObject({
            lineItemsByFulfillmentOrder: z.array(z.looseObject({ fulfillmentOrderId: id })).min(1),
            notifyCustomer: z.boolean().optional(),
            trackingInfo: z
              .object({ company: z.string().optional(), number: z.string().optional(), url: z.url().optional() })
              .optional(),
          }),
        }),
        output: z
          .object({
            fulfillmentCreate: z.object({ fulfillment: z.looseObject({ id: z.string(), status: z.string() }) }),
          })
          .transform((d) => d.fulfillmentCreate.fulfillment),
      },
      /** Carries your key, but is not repeated by itself: what their `@idempotent` does could not be tried here, and it is money. */
      createRefund: {
        http,
        graphql: `mutation Refund($input: RefundInput!, $key: String!) {
  refundCreate(input: $input) @idempotent(key: $key) {
    refund { id totalRefundedSet { shopMoney { amount currencyCode } } } ${problems}
  }
}`,
        input: z.object({ input: z.looseObject({ orderId: id }), key }),
        output: z
          .object({
            refundCreate: z.object({ refund: z.looseObject({ id: z.string(), totalRefundedSet: Bag }) }),
          })
          .transform((d) => d.refundCreate.refund),
      },

      listProducts: {
        http,
        graphql: listDocument('Products', 'products', `${productFields} ${variants}`),
        pages: relayPages('products'),
        input: z.object(page),
        output: z
          .object({
            products: z.object({
              nodes: z.array(Product.extend({ variants: z.object({ nodes: z.array(Variant) }) })),
            }),
          })
          .transform((d) => d.products.nodes),
      },
      getProduct: {
        http,
        graphql: `query Product($id: ID!) { product(id: $id) { ${productFields} ${variants} } }`,
        input: z.object({ id }),
        output: z
          .object({ product: Product.extend({ variants: z.object({ nodes: z.array(Variant) }) }).nullable() })
          .transform((d) => d.product),
      },
      /** Creates it or, where the identifier is known, makes it what is said: a list that is given (variants, tags …) is the whole list. */
      setProduct: {
        ...set,
        graphql: `mutation SetProduct($identifier: ProductSetIdentifiers!, $input: ProductSetInput!) {
  productSet(identifier: $identifier, input: $input, synchronous: true) { product { ${productFields} ${variants} } ${coded} }
}`,
        input: z.object({
          identifier: z.union([
            z.object({ id }),
            z.object({ handle: z.string().min(1) }),
            z.object({ customId: z.object({ namespace: z.string().optional(), key: z.string(), value: z.string() }) }),
          ]),
          input: loose,
        }),
        output: z
          .object({
            productSet: z.object({ product: Product.extend({ variants: z.object({ nodes: z.array(Variant) }) }) }),
          })
          .transform((d) => d.productSet.product),
      },

      listCustomers: {
        http,
        graphql: listDocument('Customers', 'customers', customerFields),
        pages: relayPages('customers'),
        input: z.object(page),
        output: z.object({ customers: z.object({ nodes: z.array(Customer) }) }).transform((d) => d.customers.nodes),
      },
      setCustomer: {
        ...set,
        graphql: `mutation SetCustomer($identifier: CustomerSetIdentifiers!, $input: CustomerSetInput!) {
  customerSet(identifier: $identifier, input: $input) { customer { ${customerFields} } ${coded} }
}`,
        input: z.object({
          identifier: z.union([z.object({ id }), z.object({ email: z.email() }), z.object({ phone: z.string() })]),
          input: loose,
        }),
        output: z.object({ customerSet: z.object({ customer: Customer }) }).transform((d) => d.customerSet.customer),
      },

      listLocations: {
        http,
        graphql: listDocument('Locations', 'locations', 'id name isActive'),
        pages: relayPages('locations'),
        input: z.object(page),
        output: z
          .object({
            locations: z.object({
              nodes: z.array(z.looseObject({ id: z.string(), name: z.string(), isActive: z.boolean() })),
            }),
          })
          .transform((d) => d.locations.nodes),
      },
      /** Stock becomes this. `changeFromQuantity` says what it must be before; null: whatever it is. */
      setInventory: {
        ...set,
        graphql: `mutation SetInventory($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) { inventoryAdjustmentGroup { id } ${coded} }
}`,
        input: z.object({
          input: z.looseObject({
            name: z.enum(['available', 'on_hand']),
            reason: z.string(),
            referenceDocumentUri: z.string().optional(),
            quantities: z
              .array(
                z.looseObject({
                  inventoryItemId: id,
                  locationId: id,
                  quantity: z.number().int(),
                  changeFromQuantity: z.number().int().nullable(),
                }),
              )
              .min(1)
              .max(250),
          }),
          key,
        }),
        output: z
          .object({ inventorySetQuantities: z.looseObject({ inventoryAdjustmentGroup: loose.nullable() }) })
          .transform((d) => d.inventorySetQuantities.inventoryAdjustmentGroup),
      },
      /** Stock becomes more or less by this. As with a refund, not repeated by itself: `setInventory` may be. */
      adjustInventory: {
        http,
        graphql: `mutation AdjustInventory($input: InventoryAdjustQuantitiesInput!, $key: String!) {
  inventoryAdjustQuantities(input: $input) @idempotent(key: $key) { inventoryAdjustmentGroup { id } ${coded} }
}`,
        input: z.object({
          input: z.looseObject({
            name: z.string(),
            reason: z.string(),
            referenceDocumentUri: z.string().optional(),
            changes: z
              .array(
                z.looseObject({
                  inventoryItemId: id,
                  locationId: id,
                  delta: z.number().int(),
                  changeFromQuantity: z.number().int().nullable(),
                }),
              )
              .min(1)
              .max(250),
          }),
          key,
        }),
        output: z
          .object({ inventoryAdjustQuantities: z.looseObject({ inventoryAdjustmentGroup: loose.nullable() }) })
          .transform((d) => d.inventoryAdjustQuantities.inventoryAdjustmentGroup),
      },

      addTags: {
        ...set,
        graphql: `mutation AddTags($id: ID!, $tags: [String!]!) { tagsAdd(id: $id, tags: $tags) { node { id } ${problems} } }`,
        input: z.object({ id, tags: z.array(z.string()).min(1) }),
        output: z
          .object({ tagsAdd: z.object({ node: z.object({ id: z.string() }) }) })
          .transform((d) => d.tagsAdd.node),
      },
      removeTags: {
        ...set,
        graphql: `mutation RemoveTags($id: ID!, $tags: [String!]!) { tagsRemove(id: $id, tags: $tags) { node { id } ${problems} } }`,
        input: z.object({ id, tags: z.array(z.string()).min(1) }),
        output: z
          .object({ tagsRemove: z.object({ node: z.object({ id: z.string() }) }) })
          .transform((d) => d.tagsRemove.node),
      },
      setMetafields: {
        ...set,
        graphql: `mutation SetMetafields($metafields: [MetafieldsSetInput!]!) {
  metafieldsSet(metafields: $metafields) { metafields { id namespace key value } ${coded} }
}`,
        input: z.object({
          metafields: z
            .array(
              z.looseObject({
                ownerId: id,
                namespace: z.string().optional(),
                key: z.string(),
                value: z.string(),
                type: z.string().optional(),
              }),
            )
            .min(1)
            .max(25),
        }),
        output: z
          .object({
            metafieldsSet: z.object({
              metafields: z.array(z.looseObject({ id: z.string(), key: z.string(), value: z.string() })),
            }),
          })
          .transform((d) => d.metafieldsSet.metafields),
      },

      listWebhooks: {
        http,
        graphql: listDocument('Webhooks', 'webhookSubscriptions', subscriptionFields),
        pages: relayPages('webhookSubscriptions'),
        input: z.object(page),
        output: z
          .object({ webhookSubscriptions: z.object({ nodes: z.array(Subscription) }) })
          .transform((d) => d.webhookSubscriptions.nodes),
      },
      /** `topic: 'ORDERS_CREATE'`. Verified by `shopifySignature` of the app's secret; Shopify takes it away when it fails for long. */
      createWebhook: {
        http,
        graphql: `mutation Subscribe($topic: WebhookSubscriptionTopic!, $webhookSubscription: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $webhookSubscription) {
    webhookSubscription { ${subscriptionFields} } ${problems}
  }
}`,
        input: z.object({
          topic: z.string().regex(/^[A-Z_]+$/),
          webhookSubscription: z.looseObject({ uri: z.url(), filter: z.string().optional() }),
        }),
        output: z.object({ webhookSubscriptionCreate: z.looseObject({ webhookSubscription: Subscription }) }),
        verify: {
          call: 'listWebhooks',
          input: () => ({ first: 250 }),
          found: (all, { topic, webhookSubscription: { uri } }) => {
            const webhookSubscription = all.find((w) => w.topic === topic && w.uri === uri)
            return webhookSubscription && { webhookSubscriptionCreate: { webhookSubscription } }
          },
        },
      },
      deleteWebhook: {
        ...set,
        graphql: `mutation Unsubscribe($id: ID!) { webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId ${problems} } }`,
        input: z.object({ id }),
        output: z.object({ webhookSubscriptionDelete: z.looseObject({}) }).transform(() => ({ deleted: true })),
      },
    },
  })
}
