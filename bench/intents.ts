import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as z from 'zod'
import { httpClient } from '#app/http/client.ts'
import { systemRuntime } from '#app/runtime.ts'
import { sqlite } from '#adapters/stores/sqlite/index.ts'
import { GroupCommit } from '#journal/commit.ts'
import { Intents } from '#journal/intents.ts'
import { connection } from '#patterns/connections/define.ts'
import { openConnection } from '#patterns/connections/run.ts'
import { median } from './measure.ts'

export const about = [
  'a POST of 200 bytes that answers 1 KB, on loopback, 50 at a time and one at a time; CPU of this process a call',
  'plain: no store; intent: begun on disk before it is sent, settled after (SQLite in a file); commits: of the store a call',
]

const calls = 4_000
const rounds = 5
const concurrency = 50

const nobody = (): Promise<never> => Promise.reject(new Error())

/** What it costs a call that may change something to be written down before it is sent, and settled when it has ended. */
export async function run(): Promise<Record<string, number>> {
  const child = spawn(process.execPath, ['-e', server], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  const [port] = (await once(child.stdout!, 'data')) as [Buffer]
  const folder = mkdtempSync(join(tmpdir(), 'bench-intents-'))
  const runtime = systemRuntime({ http: { send: nobody, stream: nobody }, log: { write: () => {} } })
  const http = httpClient({ clock: runtime.clock })
  const store = await sqlite(join(folder, 'x.db')).open(runtime)
  const commit = new GroupCommit(store, runtime.clock)
  const intents = { store: new Intents({ ...runtime, store }, commit, 604_800_000), unbound: true }
  const api = definition(Number(String(port)))
  const deps = { runtime: { ...runtime, http }, record: () => {} }
  const ways = { plain: openConnection(api, deps), intent: openConnection(api, { ...deps, intents }) }
  let n = 0
  const call = (way: keyof typeof ways): Promise<unknown> => {
    const key = `orders/0199:billing:bench.charge:${n++}`
    return ways[way].call(api.charge, { order: key, note: 'x'.repeat(120) }, { key, message: 'orders/3/128' })
  }
  const seen: Record<string, number[]> = {}
  const note = (name: string, value: number): void => void (seen[name] ??= []).push(value)
  try {
    for (let round = 0; round <= rounds; round++) {
      for (const way of ['plain', 'intent'] as const) {
        const before = commit.counts.commits
        const many = await measured(() => call(way), calls, concurrency)
        const commits = (commit.counts.commits - before) / calls
        const one = await measured(() => call(way), calls / 10, 1)
        if (round === 0) continue
        note(`${way}_cpu_us`, many.cpu)
        note(`${way}_per_s`, many.rate)
        note(`${way}_alone_ms`, 1_000 / one.rate)
        if (way === 'intent') note('commits', commits)
      }
    }
    return Object.fromEntries(Object.entries(seen).map(([name, all]) => [name, Math.round(median(all) * 100) / 100]))
  } finally {
    for (const open of Object.values(ways)) open.close()
    await http.close()
    await commit.settled()
    await store[Symbol.asyncDispose]()
    child.kill()
    rmSync(folder, { recursive: true })
  }
}

const definition = (port: number) =>
  connection('bench', {
    baseUrl: `http://127.0.0.1:${port}`,
    bulkhead: { concurrent: concurrency, waiting: 100 },
    operations: {
      charge: {
        http: 'POST /charges',
        input: z.object({ order: z.string(), note: z.string() }),
        output: z.object({ items: z.array(z.object({ id: z.string() })) }),
        idempotent: 'key',
      },
    },
  })

async function measured(work: () => Promise<unknown>, count: number, at: number) {
  let left = count
  const started = performance.now()
  const before = process.cpuUsage()
  await Promise.all(
    Array.from({ length: at }, async () => {
      while (left-- > 0) await work()
    }),
  )
  const { user, system } = process.cpuUsage(before)
  return { cpu: (user + system) / count, rate: (count * 1_000) / (performance.now() - started) }
}

const server = `
const items = Array.from({ length: 8 }, (_, i) => ({ id: 'ch_' + i, note: 'x'.repeat(90) }))
const body = JSON.stringify({ items })
const head = { 'content-type': 'application/json', 'content-length': body.length }
const server = require('node:http').createServer((request, response) => {
  request.resume().on('end', () => response.writeHead(200, head).end(body))
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.on('disconnect', () => process.exit())
`
