import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { fault, isFault, type Fault } from '#kernel/fault.ts'
import { streamOf, type HttpRequest, type HttpResponse, type HttpStreamRequest } from '#kernel/http.ts'
import { uuid7 } from '#kernel/id.ts'
import { redactor } from '#kernel/redact.ts'
import { secret, SecretValue } from '#kernel/secret.ts'
import { virtualClock, type VirtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { bearer } from './auth/bearer.ts'
import { checkConnection } from './check/connection.ts'
import { connection, type ConnectionOptions } from './define.ts'
import type { IntentDeps } from './intents/intended.ts'
import type { CallRecord, EndedCall } from './records/record.ts'
import { openConnection, type OpenConnection } from './run.ts'

export const canary = 'sk_canary_5f3759df'
const Charge = z.object({ id: z.string(), amount: z.number() })
const NewCharge = z.object({ order: z.string(), amount: z.number() })
export const paid = { id: 'ch_1', amount: 990 }
export const order = { order: 'o1', amount: 990 }

const define = (options: Partial<ConnectionOptions> = {}) =>
  connection('payments', {
    baseUrl: 'https://api.payments.test/v1',
    auth: bearer(secret('PAYMENTS_KEY')),
    retry: { attempts: 2, first: '1s', jitter: 'none' },
    ...options,
    operations: {
      charge: { http: 'POST /charges', input: NewCharge, output: Charge, idempotent: 'key' },
      plain: { http: 'POST /charges', input: NewCharge, output: Charge },
      verified: {
        http: 'POST /charges',
        input: NewCharge,
        output: Charge,
        verify: {
          call: 'list',
          input: (c) => ({ order: c.order }),
          found: (page, c) => page.items.find((x) => x.amount === c.amount),
        },
      },
      list: {
        http: 'GET /charges',
        input: z.object({ order: z.string().optional() }),
        output: z.object({ items: z.array(Charge), next: z.string().optional() }),
        pages: 'cursor',
      },
      linked: { http: 'GET /linked', output: z.array(z.number()), pages: 'link' },
      remove: { http: 'DELETE /charges/:id', input: z.object({ id: z.string() }) },
      search: { http: 'POST /search', idempotent: 'natural', pages: 'cursor' },
      nested: {
        http: 'POST /search',
        idempotent: 'natural',
        pages: { style: 'cursor', param: 'page.after', next: 'page.next' },
      },
      bad: { http: 'POST /bad', output: Charge, idempotent: 'key', timeout: '2s' },
    },
  })

test('a request that nobody scripted fails the call that made it', async () => {
  const t = setup({ retry: false })
  await t.fails(t.open.call(t.api.plain, order), 'bug')
})

export type Reply = HttpResponse | Fault | 'hang' | 'deaf'

/** A connection over a transport that answers what it was told, in virtual time. */
export function setup(
  options: Partial<ConnectionOptions> = {},
  secrets: string[] = [canary],
  record?: () => never,
  { clock = virtualClock(), seed = 7, intents }: { clock?: VirtualClock; seed?: number; intents?: IntentDeps } = {},
) {
  const api = define(options)
  assert.deepEqual(checkConnection(api), [])
  const replies: Reply[] = []
  const held: { resolve: (r: HttpResponse) => void; reject: (f: Fault) => void }[] = []
  const sent: HttpRequest[] = []
  const times: number[] = []
  const records: CallRecord[] = []
  const logs: string[] = []
  const random = seededRandom(seed)
  const redact = redactor()
  const http = {
    async send(request: HttpRequest): Promise<HttpResponse> {
      sent.push(request)
      times.push(clock.mono())
      const reply = t.server ? t.server(request) : replies.shift()
      assert.ok(reply, `an unexpected request: ${request.method} ${request.path}`)
      if (reply === 'deaf') return new Promise(() => undefined)
      if (reply === 'hang') return hang(request)
      if (isFault(reply)) throw reply
      return reply
    },
    stream: async (request: HttpStreamRequest) => streamOf(await http.send({ ...request, maxBytes: 1_000_000 })),
  }
  // As the real transport: gives up at the first of its times, or when somebody releases it.
  const hang = (request: HttpRequest): Promise<HttpResponse> =>
    new Promise((resolve, reject) => {
      const cancel = clock.after(Math.min(request.timeouts.firstByte, request.timeouts.total), () =>
        reject(fault('connection.timeout', { detail: { phase: 'first-byte' } })),
      )
      request.signal?.addEventListener('abort', () => {
        cancel()
        reject(fault('cancelled'))
      })
      held.push({
        resolve: (r) => {
          cancel()
          resolve(r)
        },
        reject: (f) => {
          cancel()
          reject(f)
        },
      })
    })
  const open: OpenConnection = openConnection(api, {
    runtime: {
      clock,
      random,
      ids: uuid7(clock, random),
      http,
      redact,
      log: { write: (_, event) => void logs.push(event) },
      secrets: { read: (name) => Promise.resolve(secrets.map((s) => new SecretValue(name, s))) },
    },
    ...(intents ? { intents } : {}),
    record: record ?? ((call: EndedCall) => void records.push(call.record())),
  })
  const t = {
    clock,
    api,
    open,
    sent,
    times,
    records,
    logs,
    secrets,
    server: undefined as ((request: HttpRequest) => Reply) | undefined,
    reply: (...more: Reply[]) => void replies.push(...more),
    release(reply: HttpResponse | Fault) {
      const first = held.shift()
      assert.ok(first, 'nothing is held')
      if (isFault(reply)) first.reject(reply)
      else first.resolve(reply)
    },
    lines: () => sent.map((r) => `${r.method} ${r.path}`),
    async fails(work: Promise<unknown>, code: string): Promise<Fault> {
      const error: unknown = await work.then(
        (value) => assert.fail(`expected ${code}, got ${JSON.stringify(value)}`),
        (e: unknown) => e,
      )
      assert.ok(isFault(error, code), `expected ${code}: ${JSON.stringify(error)} ${String(error)}`)
      return error
    },
  }
  return t
}

export function json(status: number, body: unknown): HttpResponse {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: bytes(JSON.stringify(body)),
    phases: { total: 1 },
  }
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
