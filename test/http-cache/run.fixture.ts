import { readFileSync } from 'node:fs'
import { fault } from '#kernel/fault.ts'
import type { HttpRequest, HttpResponse } from '#kernel/http.ts'
import { uuid7 } from '#kernel/id.ts'
import { redactor } from '#kernel/redact.ts'
import { connection } from '#patterns/connections/define.ts'
import type { CallRecord } from '#patterns/connections/records/record.ts'
import { openConnection } from '#patterns/connections/run.ts'
import { virtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'

type Field = readonly [name: string, value: string | number, checked?: boolean | string]

/** One request of a case, and what answers it, in the words of the suite. */
type Step = {
  readonly pause_after?: boolean
  readonly expected_type?: 'cached' | 'not_cached' | 'etag_validated' | 'lm_validated'
  readonly request_method?: string
  readonly request_body?: string
  readonly request_headers?: readonly Field[]
  readonly response_headers?: readonly Field[]
  readonly response_status?: readonly [number, string]
  readonly response_body?: string | null
  readonly expected_status?: number
  readonly expected_response_headers?: readonly (string | Field)[]
  readonly expected_response_headers_missing?: readonly (string | Field)[]
  readonly magic_locations?: boolean
  readonly rfc850date?: readonly string[]
  readonly disconnect?: boolean
  readonly filename?: string
  readonly query_arg?: string
}

export type Case = {
  readonly id: string
  readonly name: string
  readonly kind: 'required' | 'optimal' | 'check'
  readonly requests: readonly Step[]
}

export const cases = JSON.parse(readFileSync(new URL('data/cases.json', import.meta.url), 'utf8')) as readonly Case[]

const dates = new Set(['date', 'expires', 'last-modified', 'if-modified-since', 'if-unmodified-since'])
const places = new Set(['location', 'content-location'])
const pause = 3_000

/** Plays one case over a connection with a cache, in virtual time. Returns what was not as expected; undefined: all was. */
export async function play({ id, requests }: Case): Promise<string | undefined> {
  const clock = virtualClock({ start: Date.UTC(2026, 0, 1) })
  const seeded = seededRandom(7)
  // Each draw is the lowest: every hit is recorded.
  const random = { float: () => 0, bytes: (n: number) => seeded.bytes(n) }
  const records: CallRecord[] = []
  const methods = [...new Set(requests.map((r) => r.request_method ?? 'GET'))]
  const api = connection('cached', {
    baseUrl: 'https://cached.test',
    retry: false,
    breaker: { consecutive: 1_000 },
    cache: { heuristic: '10%' },
    operations: Object.fromEntries(
      methods.map((method) => [method.toLowerCase(), { http: `${method} /`, answer: 'text' as const }]),
    ),
  })
  let at = 0
  const sent: HttpRequest[] = []
  const send = async (request: HttpRequest): Promise<HttpResponse> => {
    sent.push(request)
    const step = requests[at]!
    if (step.disconnect) throw fault('connection.cut')
    const validated = step.expected_type?.endsWith('validated')
    const status =
      validated && isValidated(requests[at - 1]!, request, clock.now()) ? 304 : (step.response_status?.[0] ?? 200)
    const body = new TextEncoder().encode(status === 304 ? '' : (step.response_body ?? id))
    return { status, headers: fields(step, request.path, clock.now()), body, phases: { total: 0 } }
  }
  const open = openConnection(api, {
    runtime: {
      clock,
      random,
      ids: uuid7(clock, seededRandom(1)),
      http: { send, stream: () => Promise.reject(new Error('nothing here is a stream')) },
      redact: redactor(),
      log: { write: () => undefined },
      secrets: { read: async () => [] },
    },
    record: (call) => void records.push(call.record()),
  })
  try {
    for (; at < requests.length; at++) {
      const step = requests[at]!
      const name = (step.request_method ?? 'GET').toLowerCase()
      const headers = asked(step, clock.now())
      const path = `/test/${id}${step.filename ? `/${step.filename}` : ''}${step.query_arg ? `?${step.query_arg}` : ''}`
      sent.length = records.length = 0
      const operation = { kind: 'operation', connection: 'cached', name } as const
      const failed = await open
        .call(operation as never, undefined as never, { as: { path, body: step.request_body, headers } })
        .then(
          () => undefined,
          (e: unknown) => e,
        )
      const wrong = judge(step, sent, records.at(-1), failed)
      if (wrong !== undefined) return `request ${at + 1} ${wrong}`
      if (step.pause_after) await clock.advance(pause)
    }
    return undefined
  } finally {
    open.close()
  }
}

function judge(
  step: Step,
  sent: readonly HttpRequest[],
  record: CallRecord | undefined,
  failed: unknown,
): string | undefined {
  const { expected_type: type, expected_status: status } = step
  const last = sent.at(-1)
  if (type === 'cached' && last) return 'is sent'
  if (type === 'not_cached' && !last) return 'is answered out of the cache'
  if (type === 'etag_validated' && last?.headers['if-none-match'] === undefined) return 'has no if-none-match'
  if (type === 'lm_validated' && last?.headers['if-modified-since'] === undefined) return 'has no if-modified-since'
  // Of an answer that was validated the record has the 304.
  if (record?.cache === 'revalidated') return undefined
  if (status !== undefined && record?.status !== status)
    return `has status ${record?.status}, not ${status}: ${String(failed)}`
  const got = record?.response?.headers ?? {}
  for (const field of step.expected_response_headers ?? []) {
    const [name, value, checked] = typeof field === 'string' ? [field] : field
    const has = got[name.toLowerCase()]
    if (has === undefined) return `has no ${name}`
    if (typeof value === 'string' && checked === undefined && value !== '=' && value !== '>' && has !== value)
      return `has ${name}: ${has}, not ${value}`
  }
  for (const field of step.expected_response_headers_missing ?? []) {
    const name = typeof field === 'string' ? field : field[0]
    if (typeof field === 'string' && got[name.toLowerCase()] !== undefined) return `has ${name}`
  }
  return undefined
}

/** What their server calls a request that asks whether its answer to the last one is still right. */
function isValidated(before: Step, { headers }: HttpRequest, now: number): boolean {
  const last = fields(before, '/', now - (before.pause_after ? pause : 0))
  const tag = last['etag']
  const modified = last['last-modified']
  return (
    (modified !== undefined && headers['if-modified-since'] === modified) ||
    (tag !== undefined && headers['if-none-match'] === tag)
  )
}

function asked(step: Step, now: number): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of step.request_headers ?? []) add(headers, name, dated(name, value, step, now))
  return headers
}

function fields(step: Step, base: string, now: number): Record<string, string> {
  const headers: Record<string, string> = {}
  if (!step.response_headers?.some(([name]) => name.toLowerCase() === 'date'))
    headers['date'] = new Date(now).toUTCString()
  for (const [name, value] of step.response_headers ?? []) {
    const here = step.magic_locations && places.has(name.toLowerCase())
    add(headers, name, here ? (value === '' ? base : `${base}/${value}`) : dated(name, value, step, now))
  }
  return headers
}

/** A number stands for a date so many seconds from now. */
function dated(name: string, value: string | number, step: Step, now: number): string {
  if (typeof value === 'string' || !dates.has(name.toLowerCase())) return String(value)
  const text = new Date(now + value * 1000).toUTCString()
  if (!step.rfc850date?.includes(name.toLowerCase())) return text
  const [, day, month, year, time] = /, (\d\d) (\w{3}) \d\d(\d\d) (\S+) GMT/.exec(text)!
  const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
  return `${days[new Date(text).getUTCDay()]}, ${day}-${month}-${year} ${time} GMT`
}

/** As the HTTP port joins what is repeated. */
function add(headers: Record<string, string>, field: string, value: string): void {
  const name = field.toLowerCase()
  headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
}
