import * as z from 'zod'
import type { HttpOut } from '#kernel/http.ts'
import { systemRuntime } from '#app/runtime.ts'
import { secret, SecretValue } from '#kernel/secret.ts'
import { bearer } from '#patterns/connections/auth/bearer.ts'
import { connection, type ConnectionOptions } from '#patterns/connections/define.ts'
import type { EndedCall } from '#patterns/connections/records/record.ts'
import { openConnection, type OpenConnection } from '#patterns/connections/run.ts'

export const token = 'sk_bench_0123456789'

const Charge = z.object({ id: z.string(), amount: z.number(), status: z.enum(['paid', 'failed']) })

/** A connection with a credential, every policy, schemas of input and output, pages. */
export const definition = (name: string, origin: string, concurrent: number, more: Partial<ConnectionOptions> = {}) =>
  connection(name, {
    baseUrl: origin,
    auth: bearer(secret('BENCH_KEY')),
    bulkhead: { concurrent, waiting: 100 },
    limit: '1000000/s',
    ...more,
    operations: {
      list: {
        http: 'GET /charges',
        input: z.object({ since: z.string() }),
        output: z.object({ items: z.array(Charge), next: z.string().optional() }),
        pages: 'cursor',
      },
    },
  })

export type Ours = {
  readonly call: () => Promise<unknown>
  readonly open: OpenConnection
  readonly last: () => EndedCall[]
}

/**
 * The connection at work, with drift, endings and call records. Records are handed over and dropped in batches of 64, as the
 * journal takes them: masking and writing them comes later, and is measured as `record_cpu_us`.
 */
export function ours(http: HttpOut, api: ReturnType<typeof definition>): Ours {
  const runtime = systemRuntime({ http, log: { write: () => undefined } })
  const values = [new SecretValue('BENCH_KEY', token)]
  let batch: EndedCall[] = []
  let last = batch
  const open = openConnection(api, {
    runtime: { ...runtime, secrets: { read: () => Promise.resolve(values) } },
    drift: { get: () => Promise.resolve(null), swap: () => Promise.resolve(true), announce: () => Promise.resolve() },
    endings: { get: () => Promise.resolve(null), swap: () => Promise.resolve(true) },
    record: (call) => {
      if (batch.push(call) < 64) return
      last = batch
      batch = []
    },
  })
  const input = { since: '2026-01-01' }
  return { call: () => open.call(api.list, input), open, last: () => last }
}
