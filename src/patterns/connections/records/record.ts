import type { Phases } from '#kernel/http.ts'
import { mask, type Redactor } from '#kernel/redact.ts'
import { inspect } from '#kernel/inspect.ts'
import { isSensitive, looked, shownBody } from './mask-body.ts'

/** What was sent and what came back, masked: plain JSON that may be stored, shown and exported. */
export type CallRecord = {
  /** Sorts by time; also the automatic idempotency key. */
  readonly id: string
  /** RFC 3339, UTC: when the call began. */
  readonly time: string
  readonly connection: string
  readonly operation: string
  readonly method: string
  /** With the parameters filled in; every value of the query is masked. Empty when nothing was to be sent. */
  readonly path: string
  readonly status?: number
  /** `ok` or the code of the fault that the caller got. */
  readonly outcome: string
  readonly attempts: readonly CallAttempt[]
  /** Milliseconds, waits and retries included. */
  readonly ms: number
  readonly key?: string
  readonly correlation?: string
  readonly message?: string
  /** Of the last attempt. Bodies show at most 4,096 characters. */
  readonly request: CallSide
  readonly response?: CallSide
}

export type CallAttempt = {
  /** Milliseconds since the call began. */
  readonly at: number
  readonly ms: number
  readonly status?: number
  readonly code?: string
  /** `verify`: the declared read that was asked before repeating. */
  readonly purpose?: 'verify'
  readonly phases?: Phases
}

/** An attempt as it is noted while the call is under way: one shape, whatever came of it. */
export type Tried = {
  readonly at: number
  readonly ms: number
  readonly status: number | undefined
  readonly code: string | undefined
  readonly verifying: boolean
  readonly phases: Phases | undefined
}

export type CallSide = { readonly headers: Readonly<Record<string, string>>; readonly body?: string }

export type Body = string | Uint8Array | undefined

/** Everything as it was on the wire, secrets included. Goes nowhere but into an `EndedCall`. */
export type Wire = {
  readonly id: string
  readonly time: number
  readonly connection: string
  readonly operation: string
  readonly method: string
  readonly path: string
  readonly status: number | undefined
  readonly outcome: string
  readonly attempts: readonly Tried[]
  readonly ms: number
  readonly key: string | undefined
  readonly correlation: string | undefined
  readonly message: string | undefined
  readonly requestHeaders: Readonly<Record<string, string>>
  readonly requestBody: Body
  readonly responseHeaders: Readonly<Record<string, string>> | undefined
  readonly responseBody: Body
  /** A header that carries the credential under a name that no rule knows. */
  readonly credentialHeader: string | undefined
  readonly redact: Redactor
}

/**
 * A call that has ended, before its record is written. Masking costs several times what the call's own bookkeeping does, so it
 * waits until somebody wants the record: `record()` masks and returns plain JSON, and printing, inspecting or serialising this
 * object does the same. There is no way to what it holds unmasked.
 */
export class EndedCall {
  readonly connection: string
  readonly operation: string
  readonly outcome: string
  readonly status: number | undefined
  readonly ms: number
  readonly #wire: Wire

  constructor(wire: Wire) {
    this.connection = wire.connection
    this.operation = wire.operation
    this.outcome = wire.outcome
    this.status = wire.status
    this.ms = wire.ms
    this.#wire = wire
  }

  record(): CallRecord {
    return callRecord(this.#wire)
  }

  toJSON(): CallRecord {
    return this.record()
  }

  [inspect](): CallRecord {
    return this.record()
  }
}

/** The part of a body that a record can show: a large one is not kept alive by its record. */
export function keptBody(body: Uint8Array): Uint8Array {
  return body.byteLength > 2 * looked ? body.slice(0, looked + 1) : body
}

export function callRecord(w: Wire): CallRecord {
  const { redact } = w
  return {
    id: w.id,
    time: new Date(w.time).toISOString(),
    connection: w.connection,
    operation: w.operation,
    method: w.method,
    path: shownPath(w.path, redact),
    ...(w.status === undefined ? {} : { status: w.status }),
    outcome: w.outcome,
    attempts: w.attempts.map(rounded),
    ms: round(w.ms),
    ...(w.key === undefined ? {} : { key: redact.text(w.key) }),
    ...(w.correlation === undefined ? {} : { correlation: redact.text(w.correlation) }),
    ...(w.message === undefined ? {} : { message: redact.text(w.message) }),
    request: side(w.requestHeaders, w.requestBody, w),
    ...(w.responseHeaders === undefined ? {} : { response: side(w.responseHeaders, w.responseBody, w) }),
  }
}

/** `/charges/ch_1?order=[masked]`: parameters of the path are shown, values of the query never. */
export function shownPath(path: string, redact: Redactor): string {
  const at = path.indexOf('?')
  const query = at < 0 ? '' : path.slice(at).replace(/=[^&]*/g, `=${mask}`)
  return redact.text(at < 0 ? path : path.slice(0, at) + query).slice(0, 2_000)
}

function side(headers: Readonly<Record<string, string>>, body: Body, w: Wire): CallSide {
  const shown: Record<string, string> = {}
  for (const name of Object.keys(headers)) {
    const value = headers[name]!
    // Cut after masking: a secret must not be cut in two and then pass.
    if (name === w.credentialHeader || isSensitive(name, w.redact)) shown[name] = mask
    else if (name.endsWith('location')) shown[name] = shownPath(value, w.redact)
    else shown[name] = w.redact.text(value).slice(0, 1_000)
  }
  if (body === undefined || body.length === 0) return { headers: shown }
  const size = Number(headers['content-length'] ?? (typeof body === 'string' ? body.length : body.byteLength))
  return { headers: shown, body: shownBody(body, headers['content-type'] ?? '', size, w.redact) }
}

function rounded(a: Tried): CallAttempt {
  const phases = a.phases && (Object.fromEntries(Object.entries(a.phases).map(([k, v]) => [k, round(v)])) as Phases)
  return {
    at: round(a.at),
    ms: round(a.ms),
    ...(a.status === undefined ? {} : { status: a.status }),
    ...(a.code === undefined ? {} : { code: a.code }),
    ...(a.verifying ? { purpose: 'verify' } : {}),
    ...(phases ? { phases } : {}),
  }
}

/** To the microsecond. */
function round(ms: number): number {
  return Math.round(ms * 1_000) / 1_000
}
