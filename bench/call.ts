import { spawn, type ChildProcess } from 'node:child_process'
import { Pool } from 'undici'
import * as z from 'zod'
import { httpClient } from '#app/http/client.ts'
import type { Clock } from '#kernel/clock.ts'
import { uuid7 } from '#kernel/id.ts'
import { redactor } from '#kernel/redact.ts'
import type { Random } from '#kernel/random.ts'
import { secret, SecretValue } from '#kernel/secret.ts'
import { bearer } from '#patterns/connections/auth/bearer.ts'
import { connection } from '#patterns/connections/define.ts'
import type { EndedCall } from '#patterns/connections/records/record.ts'
import { openConnection } from '#patterns/connections/run.ts'
import { median } from './measure.ts'

export const about = [
  'call_cpu_us: a whole outbound call with every policy, credential, schema and record; CPU of this process',
  'dispatch_cpu_us, fetch_cpu_us: the same request by undici dispatch and by fetch; record_cpu_us: masking one record',
]

/** Calls of one turn; fetch costs several times as much, so it gets fewer. */
const calls = 6_000
const fetches = 1_500
const rounds = 9
const concurrency = 50

/**
 * What a whole outbound call costs: credential, policies (retry with budget, bulkhead, limit, breaker, deadlines), JSON,
 * output schema and a call record handed over, against undici's raw `dispatch` with JSON.parse and against fetch. A 1 KB JSON
 * GET from loopback, 50 at a time, keep-alive. CPU microseconds of this process a call; the upstream is a child process
 * that writes a prepared answer. The three take turns, medians of nine rounds after one that is thrown away.
 *
 * Records are handed over and dropped in batches of 64. `record_cpu_us` is what masking and serialising one costs afterwards,
 * off the path of the call, wherever it is written.
 */
export async function run(): Promise<Record<string, number>> {
  const upstream = await start()
  const origin = `http://127.0.0.1:${upstream.port}`
  const clock = realClock()
  const http = httpClient({ clock })
  const pool = new Pool(origin, { connections: concurrency })
  let batch: EndedCall[] = []
  let last = batch
  const open = openConnection(api(origin), {
    runtime: {
      clock,
      random: realRandom,
      ids: uuid7(clock, realRandom),
      http,
      secrets: { read: (name) => Promise.resolve([new SecretValue(name, 'sk_bench_0123456789')]) },
      redact: redactor(),
      log: { write: () => undefined },
    },
    drift: { get: () => Promise.resolve(null), swap: () => Promise.resolve(true), announce: () => Promise.resolve() },
    endings: { get: () => Promise.resolve(null), swap: () => Promise.resolve(true) },
    record: (call) => {
      if (batch.push(call) < 64) return
      last = batch
      batch = []
    },
  })
  const list = api(origin).list
  const ways = {
    call: () => open.call(list, { since: '2026-01-01' }),
    dispatch: () => dispatch(pool),
    fetch: async () => (await fetch(`${origin}/charges?since=2026-01-01`, { headers: sentHeaders })).json(),
  }
  try {
    const seen: Record<keyof typeof ways | 'record', number[]> = { call: [], dispatch: [], fetch: [], record: [] }
    for (let round = 0; round <= rounds; round++) {
      for (const way of ['call', 'dispatch', 'fetch'] as const) {
        const cost = await cpu(ways[way], way === 'fetch' ? fetches : calls)
        if (round > 0) seen[way].push(cost)
      }
    }
    for (let round = 0; round <= rounds; round++) {
      const cost = await cpu(() => Promise.resolve(JSON.stringify(last[round % last.length])), calls)
      if (round > 0) seen.record.push(cost)
    }
    return {
      call_cpu_us: round1(median(seen.call)),
      dispatch_cpu_us: round1(median(seen.dispatch)),
      fetch_cpu_us: round1(median(seen.fetch)),
      record_cpu_us: round1(median(seen.record)),
    }
  } finally {
    open.close()
    await Promise.all([http.close(), pool.close()])
    upstream.child.kill()
  }
}

const Charge = z.object({ id: z.string(), amount: z.number(), status: z.enum(['paid', 'failed']) })

const api = (origin: string) =>
  connection('bench', {
    baseUrl: origin,
    auth: bearer(secret('BENCH_KEY')),
    bulkhead: { concurrent: concurrency, waiting: 100 },
    limit: '1000000/s',
    operations: {
      list: {
        http: 'GET /charges',
        input: z.object({ since: z.string() }),
        output: z.object({ items: z.array(Charge), next: z.string().optional() }),
        pages: 'cursor',
      },
    },
  })

const sentHeaders = { accept: 'application/json', authorization: 'Bearer sk_bench_0123456789' }

function dispatch(pool: Pool): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    pool.dispatch(
      { method: 'GET', path: '/charges?since=2026-01-01', headers: sentHeaders },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData: (_, chunk) => void chunks.push(chunk),
        onResponseEnd: () => resolve(JSON.parse((chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString())),
        onResponseError: (_, error) => reject(error),
      },
    )
  })
}

async function cpu(work: () => Promise<unknown>, count: number): Promise<number> {
  let left = count
  const before = process.cpuUsage()
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (left-- > 0) await work()
    }),
  )
  const { user, system } = process.cpuUsage(before)
  return (user + system) / count
}

function round1(value: number): number {
  return Math.round(value * 10) / 10
}

function realClock(): Clock {
  return {
    now: () => Date.now(),
    mono: () => performance.now(),
    after(ms, fn) {
      const timer = setTimeout(fn, ms)
      return () => clearTimeout(timer)
    },
    soon: (fn) => void setImmediate(fn),
  }
}

const realRandom: Random = {
  float: () => Math.random(),
  bytes: (n) => crypto.getRandomValues(new Uint8Array(n)),
}

const server = `
const items = Array.from({ length: 8 }, (_, i) => ({ id: 'ch_' + i, amount: i * 100, status: 'paid', note: 'x'.repeat(60) }))
const body = Buffer.from(JSON.stringify({ items, next: 'cursor' }))
const head = 'HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ndate: Sat, 21 Nov 2026 02:00:00 GMT\\r\\ncontent-length: '
const answer = Buffer.concat([Buffer.from(head + body.length + '\\r\\n\\r\\n'), body])
const server = require('node:net').createServer((socket) => {
  socket.setNoDelay(true).on('error', () => {}).on('data', () => socket.write(answer))
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.on('disconnect', () => process.exit())
`

async function start(): Promise<{ child: ChildProcess; port: number }> {
  const child = spawn(process.execPath, ['-e', server], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  const port = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.stdout?.once('data', (data) => resolve(Number(String(data))))
  })
  return { child, port }
}

if (import.meta.main) console.log(await run())
