import { fairlead, subscription, topic } from 'fairlead'
import { postgres } from 'fairlead/postgres'
import { startPostgres } from '/work/main/tools/servers/postgres.ts'
import { readFileSync, readdirSync } from 'node:fs'
const server = await startPostgres()
let n = 0; const text = 'x'.repeat(180)
const event = () => { const i = n++; return { id: `evt_${Math.imul(i, 2654435761).toString(36)}${i}`, key: `k${i % 1000}`, text, n: i } }
type E = ReturnType<typeof event>
const events = topic<E>('events', { key: (e) => e.key, id: (e) => e.id })
const plain = topic<E>('plain', { key: (e) => e.key })
let done = 0, target = 0, reached = () => {}
const reader = subscription('reader', { to: events, concurrency: 100, handle() { if (++done === target) reached(); return Promise.resolve() } })
const handled = (k: number) => { done = 0; target = k; return new Promise<void>(r => reached = r) }
const open = (work: boolean) => fairlead({ store: postgres(server.url), use: [events, plain, reader], work, log: { write() {} } as never })
const cpuOf = () => { let t = 0; for (const p of readdirSync('/proc')) { if (!/^\d+$/.test(p)) continue; try { const s = readFileSync(`/proc/${p}/stat`, 'utf8'); if (s.includes('(postgres)')) { const f = s.slice(s.lastIndexOf(')') + 2).split(' '); t += Number(f[11]) + Number(f[12]) } } catch {} } return t * 10000 }
async function time(name: string, k: number, work: () => Promise<unknown>) { const c0 = process.cpuUsage(), s0 = cpuOf(), t0 = performance.now(); await work(); const ms = performance.now() - t0, c = process.cpuUsage(c0); console.log(name.padEnd(22), Math.round(k / ms * 1000).toString().padStart(8), '/s  client', ((c.user + c.system) / k).toFixed(1), 'us server', ((cpuOf() - s0) / k).toFixed(1), 'us') }
{
  const app = await open(false)
  for (const t of [plain, events] as const) {
    await time(`${t.name} enqueue_1000 x1`, 100_000, async () => { for (let i = 0; i < 100; i++) await app.publishMany(t, Array.from({ length: 1000 }, event)) })
    await time(`${t.name} enqueue_1000 x2`, 200_000, async () => { let left = 200; await Promise.all([1, 2].map(async () => { while (left-- > 0) await app.publishMany(t, Array.from({ length: 1000 }, event)) })) })
    await time(`${t.name} enqueue_64`, 64_000, async () => { let left = 64_000; await Promise.all(Array.from({ length: 64 }, async () => { while (left-- > 0) await app.publish(t, event()) })) })
    await time(`${t.name} enqueue_1`, 1000, async () => { for (let i = 0; i < 1000; i++) await app.publish(t, event()) })
  }
  await app[Symbol.asyncDispose]()
}
{
  const total = n - 365_000 > 0 ? 365_000 : n
  const p = handled(365_000)
  const t0 = performance.now()
  let app!: Awaited<ReturnType<typeof open>>
  await time('process', 365_000, async () => { app = await open(true); await p })
  await time('through', 200_000, async () => { const all = handled(200_000); for (let i = 0; i < 200; i++) await app.publishMany(events, Array.from({ length: 1000 }, event)); await all })
  const lat: number[] = []
  for (let i = 0; i < 1000; i++) { const t = performance.now(); const h = handled(1); await app.publish(events, event()); await h; lat.push(performance.now() - t) }
  lat.sort((a, b) => a - b); console.log('one at a time p50', lat[500]!.toFixed(2), 'p99', lat[990]!.toFixed(2))
  await app[Symbol.asyncDispose]()
}
await server[Symbol.asyncDispose]()
