import assert from 'node:assert/strict'
import { isFault, type Fault } from '#kernel/fault.ts'
import type { HttpRequest, HttpResponse } from '#kernel/http.ts'
import { uuid7 } from '#kernel/id.ts'
import { redactor } from '#kernel/redact.ts'
import { secret, SecretValue } from '#kernel/secret.ts'
import { virtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { bearer } from '../auth/bearer.ts'
import { checkConnection } from '../check/connection.ts'
import { connection, type ConnectionOptions } from '../define.ts'
import type { CallRecord } from '../records/record.ts'
import { openConnection, type ConnectionDeps } from '../run.ts'

const define = (options: Partial<ConnectionOptions>) =>
  connection('shop', {
    baseUrl: 'https://api.shop.test/v1',
    auth: bearer(secret('SHOP_KEY')),
    retry: { attempts: 1, first: '1s', jitter: 'none' },
    cache: true,
    ...options,
    operations: {
      product: { http: 'GET /products/:id' },
      again: { http: 'GET /products/:id' },
      raw: { http: 'GET /products/:id', answer: 'bytes' },
      search: { http: 'GET /products', pages: 'link' },
      asked: {
        http: 'GET /products/:id',
        headerFields: { tenant: 'x-tenant', cacheControl: 'cache-control', match: 'if-none-match' },
      },
      query: { http: 'QUERY /products' },
      live: { http: 'GET /stock/:id', cache: false },
      rename: { http: 'PUT /products/:id' },
      create: { http: 'POST /products' },
      sure: {
        http: 'POST /products',
        verify: { call: 'found', input: () => ({}), found: (answer: unknown) => answer },
      },
      found: { http: 'GET /products/found', cache: false },
      remove: { http: 'DELETE /products/:id' },
    },
  })

type Answer = HttpResponse | Fault

/** A connection that keeps answers, over a server that is a function, in virtual time. */
export function shop(options: Partial<ConnectionOptions> = {}, deps: Partial<ConnectionDeps> = {}) {
  const api = define(options)
  assert.deepEqual(checkConnection(api), [])
  const clock = virtualClock({ start: Date.UTC(2026, 0, 1) })
  const random = seededRandom(7)
  const sent: HttpRequest[] = []
  const records: CallRecord[] = []
  const secrets = ['key-1']
  const held: (() => void)[] = []
  const t = {
    api,
    clock,
    sent,
    records,
    secrets,
    held,
    /** Answers are held until `held` is called. */
    hold: false,
    server: (() => answer({})) as (request: HttpRequest) => Answer,
    /** How many have been sent since it was asked last. */
    sends: () => sent.splice(0).length,
    async fails(work: Promise<unknown>, code: string): Promise<void> {
      await assert.rejects(work, (e) => isFault(e, code))
    },
  }
  const open = openConnection(api, {
    runtime: {
      clock,
      random,
      ids: uuid7(clock, random),
      http: {
        async send(request) {
          sent.push(request)
          if (t.hold) await new Promise<void>((go) => held.push(go))
          const reply = t.server(request)
          if (isFault(reply)) throw reply
          return reply
        },
        stream: () => Promise.reject(new Error('nothing here is a stream')),
      },
      redact: redactor(),
      log: { write: () => undefined },
      secrets: { read: async (name) => secrets.map((s) => new SecretValue(name, s)) },
    },
    record: (call) => void records.push(call.record()),
    ...deps,
  })
  return { ...t, t, open }
}

let count = 0

/** Each answer is another. */
export function answer(headers: Record<string, string>, status = 200, body: unknown = { n: ++count }): HttpResponse {
  return { status, headers, body: new TextEncoder().encode(JSON.stringify(body)), phases: { total: 1 } }
}
