// An idle engine with everything on, as an installed package runs it: compiled. Parent: bench/footprint.ts.
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { connection, fairlead, secret, standardWebhooks, subscription, topic, webhook } from 'fairlead'
import { sqlite } from 'fairlead/sqlite'

process.env['HOOK_KEY'] = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
const orders = topic('orders', { id: (o) => o.id })
let handled = 0
const reader = subscription('reader', {
  to: orders,
  handle() {
    handled++
  },
})
const api = connection('api', { baseUrl: 'https://api.example', operations: { get: { http: 'GET /x' } } })
const hook = webhook('hook', { path: '/hook', verify: standardWebhooks(secret('HOOK_KEY')), deliver: { paid: orders } })
const app = await fairlead({ store: sqlite(process.argv[2]), use: [orders, reader, api, hook] })
await app.listen({ port: 0 })
// From the end of Node's own start to the first request that would be answered.
const ready = performance.now() - performance.nodeTiming.bootstrapComplete
process.send({ ready })

function pss() {
  const kib = /^Pss:\s+(\d+)/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'))?.[1]
  return Number(kib) / 1024
}

process.on('message', (m) => void answer(m))

async function answer(m) {
  if (m === 'pss') process.send({ pss: pss() })
  if (typeof m === 'number') {
    const target = handled + m
    for (let n = 0; n < m; n += 1000) {
      await app.publishMany(
        orders,
        Array.from({ length: 1000 }, (_, i) => ({ id: `o${handled}-${n + i}`, text: 'x'.repeat(200) })),
      )
    }
    while (handled < target) await new Promise((resolve) => setTimeout(resolve, 20))
    process.send({ pss: pss() })
  }
  if (m === 'exit') process.exit()
}
