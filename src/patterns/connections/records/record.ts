import type { FellBack } from '#kernel/context.ts'
import type { Phases } from '#kernel/http.ts'
import { mask } from '#kernel/redact.ts'
import { inspect } from '#kernel/inspect.ts'
import { looked, maskForm, shownBody } from './mask-body.ts'
import type { CacheUse } from '../cache/visit.ts'
import type { OperationSpec } from '../define.ts'
import type { Masking } from './masking.ts'
import type { Recorder } from './recorder.ts'

/** What was sent and what came back, masked: plain JSON that may be stored, shown and exported. */
export type CallRecord = {
  /** Sorts by time; also the automatic idempotency key. */
  readonly id: string
  /** RFC 3339, UTC: when the call began. */
  readonly time: string
  readonly connection: string
  readonly operation: string
  readonly method: string
  /** With the parameters filled in. Of an address that they gave us (a next page) every value of the query is masked. */
  readonly path: string
  readonly status?: number
  /** `ok` or the code of the fault that the caller got. */
  readonly outcome: string
  /** What answered instead, when it ended with a fault: then the caller got no fault. */
  readonly fellBack?: FellBack
  /** `hit`: out of the cache, nothing was sent. `stale`: past its end, as the answer allows. `revalidated`: they said that it is still right. */
  readonly cache?: CacheUse
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

/** Characters of a path that a record shows. */
export const longestPath = 2_000

export type Body = string | Uint8Array | undefined

/** Everything as it was on the wire, secrets included. Goes nowhere but into an `EndedCall`. */
export type Wire = {
  readonly id: string
  readonly time: number
  readonly connection: string
  readonly operation: string
  readonly method: string
  readonly path: string
  /** `/charges/:id` */
  readonly shape: string
  readonly status: number | undefined
  readonly outcome: string
  readonly fellBack: FellBack | undefined
  readonly cache: CacheUse | undefined
  readonly attempts: readonly Tried[]
  readonly ms: number
  readonly key: string | undefined
  readonly correlation: string | undefined
  readonly message: string | undefined
  readonly requestHeaders: Readonly<Record<string, string>>
  readonly requestBody: Body
  readonly responseHeaders: Readonly<Record<string, string>> | undefined
  readonly responseBody: Body
  /** The path came from an answer of theirs: what its query means is theirs to know. */
  readonly theirs: boolean
  /** What is not shown; asked when the record is written, since a schema may have to be looked through. */
  readonly recorder: Pick<Recorder, 'masking' | 'credentialName'>
  readonly spec: OperationSpec
  /** Of a signed request. */
  readonly signature: string | undefined
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
  const { credentialName } = w.recorder
  const masking = hiding(w.signature, w.recorder.masking(w.spec))
  return {
    id: w.id,
    time: new Date(w.time).toISOString(),
    connection: w.connection,
    operation: w.operation,
    method: w.method,
    path: w.theirs ? theirPath(w.path, masking) : shownPath(w.path, w.shape, masking, credentialName),
    ...(w.status === undefined ? {} : { status: w.status }),
    outcome: w.outcome,
    ...(w.fellBack === undefined ? {} : { fellBack: w.fellBack }),
    ...(w.cache === undefined ? {} : { cache: w.cache }),
    attempts: w.attempts.map(rounded),
    ms: round(w.ms),
    ...(w.key === undefined ? {} : { key: masking.text(w.key) }),
    ...(w.correlation === undefined ? {} : { correlation: masking.text(w.correlation) }),
    ...(w.message === undefined ? {} : { message: masking.text(w.message) }),
    request: side(w.requestHeaders, w.requestBody, masking, credentialName),
    ...(w.responseHeaders === undefined
      ? {}
      : { response: side(w.responseHeaders, w.responseBody, masking, credentialName) }),
  }
}

/** Some repeat a signature that they refuse, and what was signed. It is not learned: there is one for every request. */
function hiding(signature: string | undefined, masking: Masking): Masking {
  if (signature === undefined) return masking
  return { hides: (name) => masking.hides(name), text: (text) => masking.text(text.replaceAll(signature, mask)) }
}

/** `/charges/ch_1?order=o1&email=[masked]`: our own words, so what is in the query is masked like a form. */
export function shownPath(whole: string, shape: string, masking: Masking, credential?: string): string {
  const path = shape.includes(':') ? withoutHidden(whole, shape, masking) : whole
  const at = path.indexOf('?')
  if (at < 0) return masking.text(path).slice(0, longestPath)
  const own: Masking = {
    hides: (name) => name === credential || masking.hides(name),
    text: (text) => masking.text(text),
  }
  // Cut after masking: a secret must not be cut in two and then pass.
  return masking.text(`${path.slice(0, at)}?${maskForm(path.slice(at + 1), own)}`).slice(0, longestPath)
}

/** `/users/[masked]/orders`, where the parameter has the name of something that is not shown. */
function withoutHidden(path: string, shape: string, masking: Masking): string {
  const params = [...shape.matchAll(/(?<![A-Za-z0-9]):([A-Za-z_]\w*)/g)].map((m) => m[1]!)
  if (!params.some((name) => masking.hides(name))) return path
  // The values of parameters have no slash (they are encoded), and the shape ends where the query begins.
  const pattern = shape
    .split(/(?<![A-Za-z0-9]):[A-Za-z_]\w*/)
    .map((text) => `(${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')})`)
    .join('([^/?]+)')
  return path.replace(new RegExp(`${pattern}(?=\\?|$)`), (_all, ...groups: readonly unknown[]) =>
    groups
      .slice(0, 2 * params.length + 1)
      .map((text, i) => (i % 2 === 1 && masking.hides(params[(i - 1) / 2]!) ? mask : String(text)))
      .join(''),
  )
}

/** `/charges?after=[masked]`: nobody can tell a signature from a page number. */
function theirPath(path: string, masking: Masking): string {
  const at = path.indexOf('?')
  const query = at < 0 ? '' : path.slice(at).replace(/=[^&]*/g, `=${mask}`)
  return masking.text(at < 0 ? path : path.slice(0, at) + query).slice(0, longestPath)
}

function side(
  headers: Readonly<Record<string, string>>,
  body: Body,
  masking: Masking,
  credentialName: string | undefined,
): CallSide {
  const shown: Record<string, string> = {}
  for (const name of Object.keys(headers)) {
    const value = headers[name]!
    if (name === credentialName || masking.hides(name)) shown[name] = mask
    else if (name.endsWith('location')) shown[name] = theirPath(value, masking)
    else shown[name] = masking.text(value).slice(0, 1_000)
  }
  if (body === undefined || body.length === 0) return { headers: shown }
  const size = Number(headers['content-length'] ?? (typeof body === 'string' ? body.length : body.byteLength))
  return { headers: shown, body: shownBody(body, headers['content-type'] ?? '', size, masking) }
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
