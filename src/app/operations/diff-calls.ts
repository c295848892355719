import { fault } from '#kernel/fault.ts'
import { parseJsonText, type Json } from '#kernel/json.ts'
import type { CallSide } from '#patterns/connections/records/record.ts'
import { callRecord, numbered, type NumberedCall } from './call-record.ts'
import type { OperationDeps } from './deps.ts'
import { differences, type Difference } from './differences.ts'

export type CallsCompared = {
  /** The call that was asked about. */
  readonly call: NumberedCall
  /** What it was compared with. */
  readonly with: NumberedCall
  /** `before` is the one it was compared with. Nothing that differs with every call: dates, keys, traces, sizes. */
  readonly request: readonly Difference[]
  readonly response: readonly Difference[]
  readonly timing: readonly Difference[]
}

/** Records looked through for a call that went well. */
const looked = 1_000
const page = 200

/**
 * Compares a call with another of its operation: by default the last one before it that went well, or else the first after it.
 * `journal.missing` where there is none. What is masked in both is the same as far as can be told.
 */
export async function diffCalls(deps: OperationDeps, call: number, other?: number): Promise<CallsCompared> {
  const one = await callRecord(deps, call)
  const good = other === undefined ? await lastGood(deps, one) : await callRecord(deps, other)
  if (good.connection !== one.connection || good.operation !== one.operation) {
    throw fault('journal.missing', {
      message: `call ${good.call} is of ${good.connection}.${good.operation}, and not of ${one.connection}.${one.operation}`,
    })
  }
  return {
    call: one,
    with: good,
    request: differences(requestOf(good), requestOf(one)),
    response: differences(responseOf(good), responseOf(one)),
    timing: differences(timingOf(good), timingOf(one)),
  }
}

async function lastGood(deps: OperationDeps, one: NumberedCall): Promise<NumberedCall> {
  const { connection, operation, call } = one
  let after: NumberedCall | undefined
  let before = Number.MAX_SAFE_INTEGER
  for (let n = 0; n < looked; n += page) {
    const rows = await deps.runtime.store.read({ read: 'calls', connection, outcome: 'ok', before, limit: page })
    for (const row of rows) {
      if (row.operation !== operation || row.id === call || row.damage !== undefined) continue
      if (row.id < call) return numbered(row)
      after = numbered(row)
    }
    if (rows.length < page) break
    before = rows.at(-1)!.id
  }
  if (after) return after
  throw fault('journal.missing', {
    message: `no call of ${connection}.${operation} that went well is on record to compare with`,
    detail: { call },
  })
}

function requestOf(c: NumberedCall): Json {
  const [path = '', query] = c.path.split('?')
  return {
    path: `${c.method} ${path}`,
    ...(query === undefined ? {} : { query: fieldsOf(query) }),
    ...sideOf(c.request),
  }
}

function responseOf(c: NumberedCall): Json {
  return {
    outcome: c.outcome,
    ...(c.status === undefined ? {} : { status: c.status }),
    ...(c.response ? sideOf(c.response) : {}),
  }
}

function timingOf(c: NumberedCall): Json {
  const last = c.attempts.at(-1)
  return { ms: c.ms, attempts: c.attempts.length, ...(last?.phases ? { phases: last.phases } : {}) }
}

function sideOf({ headers, body }: CallSide): { [name: string]: Json } {
  const telling = Object.entries(headers).filter(([name]) => !varying.test(name))
  return {
    ...(telling.length > 0 ? { headers: Object.fromEntries(telling) } : {}),
    ...(body === undefined ? {} : { body: parsed(body, headers['content-type'] ?? '') }),
  }
}

/** Different with every call, and rarely the reason for anything. */
const varying =
  /^(?:date|age|expires|etag|last-modified|content-length|idempotency-key|traceparent|tracestate|baggage|set-cookie|.*request-id|.*correlation-id|.*trace-?id|cf-ray|x-amz-.*id.*|via|server-timing|x-runtime|.*rate-?limit.*)$/

function parsed(body: string, type: string): Json {
  if (type.includes('form-urlencoded')) return fieldsOf(body)
  try {
    return parseJsonText(body)
  } catch {
    return body
  }
}

function fieldsOf(query: string): Json {
  const fields = new Map<string, Json>()
  for (const [name, value] of new URLSearchParams(query)) {
    const known = fields.get(name)
    fields.set(name, known === undefined ? value : [...(Array.isArray(known) ? known : [known]), value])
  }
  return Object.fromEntries(fields)
}
