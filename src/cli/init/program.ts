/** The code of a new project. A test runs it and type-checks it. */

export const orders = `/**
 * A shop tells us of orders by webhook; each is reserved once in the warehouse, whose API may fail.
 */
import { connection, secret, standardWebhooks, subscription, topic, webhook } from 'fairlead'
import { z } from 'zod'

const Order = z.object({ id: z.string(), customer: z.string(), sku: z.string(), quantity: z.number().int().positive() })
const Placed = z.object({ type: z.literal('order.placed'), data: Order })

/** What happened, kept for 30 days. Orders of one customer are handled one after the other. */
export const orderPlaced = topic('orders.placed', { schema: Order, key: (order) => order.customer, keep: '30d' })

/** Where the shop delivers: verified, deduplicated and on disk before it is answered. */
export const shop = webhook('shop', {
  path: '/hooks/shop',
  verify: standardWebhooks(secret('SHOP_HOOK_SECRET')),
  deliver: { 'order.placed': { to: orderPlaced, map: (event) => Placed.parse(event).data } },
})

/** Somebody else's API: timeouts, retries, a breaker and masked call records come with it. */
export const warehouse = connection('warehouse', {
  baseUrl: process.env['WAREHOUSE_URL'] ?? 'http://127.0.0.1:4010',
  operations: {
    reserve: {
      http: 'POST /reservations',
      input: z.object({ order: z.string(), sku: z.string(), quantity: z.number() }),
      output: z.object({ id: z.string() }),
      idempotent: 'key',
    },
  },
})

/** What follows. A crash or an outage repeats it with the same idempotency key: one reservation, not two. */
export const reserveStock = subscription('reserve-stock', {
  to: orderPlaced,
  async handle(order, ctx) {
    const { id } = await ctx.call(warehouse.reserve, { order: order.id, sku: order.sku, quantity: order.quantity })
    ctx.log('info', 'reserved', { order: order.id, reservation: id })
  },
})
`

export const api = `// A stand-in for the warehouse: answers on port 4010, and remembers idempotency keys as such APIs do.
import { createServer } from 'node:http'

const answers = new Map()

createServer((request, response) => {
  const chunks = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => {
    const key = request.headers['idempotency-key']
    const known = answers.get(key)
    const answer = known ?? { id: \`res_\${answers.size + 1}\` }
    answers.set(key, answer)
    console.log(known ? 'repeated' : 'reserved', answer.id, Buffer.concat(chunks).toString())
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  })
}).listen(4010, '127.0.0.1', () => console.log('the warehouse answers on http://127.0.0.1:4010'))
`

export const send = `// Sends orders as the shop would, signed (Standard Webhooks): node send.mjs [how many] [url]
import { createHmac, randomUUID } from 'node:crypto'

process.loadEnvFile(new URL('.env', import.meta.url))
const [, , count = '1', url = 'http://127.0.0.1:8080/hooks/shop'] = process.argv
const key = Buffer.from(process.env.SHOP_HOOK_SECRET.replace(/^whsec_/, ''), 'base64')

for (let n = 1; n <= Number(count); n++) {
  const order = { id: randomUUID(), customer: \`c\${n % 3}\`, sku: 'tea-green', quantity: n }
  const body = JSON.stringify({ type: 'order.placed', data: order })
  const id = \`evt_\${randomUUID()}\`
  const time = String(Math.floor(Date.now() / 1000))
  const signature = createHmac('sha256', key).update(\`\${id}.\${time}.\${body}\`).digest('base64')
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': time,
    'webhook-signature': \`v1,\${signature}\`,
  }
  try {
    const answer = await fetch(url, { method: 'POST', headers, body })
    console.log(answer.status, order.id, answer.ok ? 'accepted' : await answer.text())
    if (!answer.ok) process.exitCode = 1
  } catch (error) {
    console.error(\`nobody answers at \${url}: \${error.cause?.message ?? error.message}\`)
    process.exitCode = 1
    break
  }
}
`
