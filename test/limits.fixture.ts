import { writeSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { connection, fairlead, type StoreAdapter } from 'fairlead'
import type { Store } from '#adapters/stores/port.ts'
import { httpClient } from '#app/http/client.ts'
import { systemClock } from '#app/runtime.ts'
import type { Rate } from '#resilience/rate.ts'
import { storeAt } from './fleet.fixture.ts'

/** What a process has printed: its sends, in milliseconds of this machine's monotonic clock; when it has ended, commits to the store a second. */
export type Did = { readonly sends: readonly number[]; readonly commits: number | undefined }

export function didOf(out: string): Did {
  const lines = out.split('\n')
  const ended = lines.find((line) => line.startsWith('commits '))
  return {
    sends: lines.flatMap((line) => (line.startsWith('sent ') ? [Number(line.slice(5))] : [])),
    commits: ended === undefined ? undefined : Number(ended.slice(8)),
  }
}

/** Written at once, past every buffer of ours: what was sent is known after a kill. */
const say = (line: string): unknown => writeSync(1, `${line}\n`)

/** The API that all of them call. */
export async function upstream(
  called: () => void = () => {},
): Promise<{ readonly origin: string; close(): Promise<void> }> {
  const server = createServer((_request, response) => {
    called()
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

/** Calls one connection, as many as it lets through, until it is told to end. */
async function work(origin: string, rate: Rate, address: string, schema?: string): Promise<void> {
  let commits = 0
  const client = httpClient({ clock: systemClock })
  const api = connection('api', {
    baseUrl: origin,
    limit: rate,
    retry: false,
    bulkhead: { concurrent: 64, waiting: 100 },
    operations: { ping: { http: 'GET /' } },
  })
  const app = await fairlead(
    { store: counting(storeAt(address, schema), () => commits++), use: [api], log: { write: () => {} } },
    {
      http: {
        send(request) {
          say(`sent ${Number(process.hrtime.bigint()) / 1e6}`)
          return client.send(request)
        },
        stream: (request) => client.stream(request),
      },
    },
  )
  const began = performance.now()
  let ending = false
  const callers = Array.from({ length: 48 }, async () => {
    while (!ending) await app.call(api.ping, {}).catch(() => new Promise((resolve) => setTimeout(resolve, 10)))
  })
  say('ready')
  await new Promise((resolve) => process.once('SIGTERM', resolve))
  ending = true
  const perSecond = commits / ((performance.now() - began) / 1_000)
  await app[Symbol.asyncDispose]()
  await Promise.all(callers)
  await client.close()
  say(`commits ${perSecond}`)
}

/** The store, and how often something is committed to it. */
function counting(adapter: StoreAdapter, committed: () => void): StoreAdapter {
  return {
    kind: adapter.kind,
    open: async (runtime) => {
      const store = await adapter.open(runtime)
      return new Proxy<Store>(store, {
        get(target, name) {
          if (name === 'commit') committed()
          const value: unknown = Reflect.get(target, name, target)
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
    },
  }
}

/** The most sends in any window of `span` milliseconds. */
export function mostIn(sends: readonly number[], span: number): number {
  let most = 0
  let from = 0
  for (let to = 0; to < sends.length; to++) {
    while (sends[to]! - sends[from]! >= span) from++
    most = Math.max(most, to - from + 1)
  }
  return most
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await work(process.argv[2]!, process.argv[3] as Rate, process.argv[4]!, process.argv[5])
}
