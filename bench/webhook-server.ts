// One server under test, in a process of its own so that its CPU is its own. Parent: bench/webhook.ts.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import process from 'node:process'
import { DatabaseSync } from 'node:sqlite'
import { fairlead, secret, stripeSignature, topic, webhook } from 'fairlead'
import { sqlite } from 'fairlead/sqlite'
import { listen } from '#app/http/server.ts'
import { jsonLog } from '#app/log.ts'
import { systemClock } from '#app/runtime.ts'
import { SecretValue } from '#kernel/secret.ts'
import { webhookDoor } from '#patterns/webhooks/run.ts'

const [kind, folder] = process.argv.slice(2) as [string, string]
const key = 'a secret that is long enough'
process.env['HOOK_KEY'] = key
const charges = topic('charges')
const hook = webhook('payments', {
  path: '/hooks/payments',
  verify: stripeSignature(secret('HOOK_KEY')),
  deliver: { 'charge.paid': charges },
})

const servers: Readonly<Record<string, () => Promise<number>>> = {
  /** Verify, deduplicate, store with fsync, answer. Routing is another subscription's work: see `routed`. */
  stored: () => engine(false),
  /** The same, and every arrival routed to its topic meanwhile. */
  routed: () => engine(true),
  async nothing_stored() {
    const secrets = { read: (name: string) => Promise.resolve([new SecretValue(name, key)]) }
    const door = webhookDoor(hook, { clock: systemClock, secrets, count() {}, store: () => Promise.resolve('stored') })
    await door.refresh()
    return (await listen([door], { port: 0, clock: systemClock, log: jsonLog() })).port
  },
  /** What one writes first: node:http, one insert for each request, synchronous = full. */
  async naive_sqlite() {
    const db = new DatabaseSync(`${folder}/naive.db`)
    db.exec(
      'pragma journal_mode = wal; pragma synchronous = full; create table events (id text primary key, body blob)',
    )
    const insert = db.prepare('insert or ignore into events values (?, ?)')
    const server = createServer((req, res) => {
      const chunks: Buffer[] = []
      req.on('data', (c: Buffer) => chunks.push(c))
      req.on('end', () => {
        const body = Buffer.concat(chunks)
        const [, t = '', v1 = ''] = /t=(\d+),v1=([0-9a-f]+)/.exec(String(req.headers['stripe-signature'])) ?? []
        const mac = createHmac('sha256', key).update(`${t}.`).update(body).digest()
        const good = timingSafeEqual(mac, Buffer.from(v1, 'hex'))
        if (good) insert.run((JSON.parse(body.toString('utf8')) as { id: string }).id, body)
        res.writeHead(good ? 200 : 400).end()
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  },
}

async function engine(work: boolean): Promise<number> {
  const app = await fairlead({ store: sqlite(`${folder}/fairlead.db`), use: [charges, hook], work })
  return (await app.listen({ port: 0 })).port
}

const port = await servers[kind]!()
let cpu = process.cpuUsage()
process.on('message', (m) => {
  if (m === 'begin') cpu = process.cpuUsage()
  if (m === 'end') {
    const used = process.cpuUsage(cpu)
    process.send!({ cpu: used.user + used.system })
  }
  if (m === 'exit') process.exit()
})
process.send!({ port })
