import type { Code } from '#kernel/codes.ts'
import { fault, toFault, type Fault } from '#kernel/fault.ts'
import type { HttpRequest, HttpResponse, Phases } from '#kernel/http.ts'
import type { Credential } from './auth/credential.ts'
import { classify, type Asked } from './answers/classify.ts'
import { decodeLoosely } from './answers/decode.ts'
import type { Ready, Rendered } from './operation.ts'
import type { Exchanged } from './protocols/protocol.ts'
import { rateLimitOf } from './answers/rate-limit.ts'
import type { Tried } from './records/record.ts'
import type { Shared } from './run.ts'

/** What is to be sent, and why: the call itself, or the read that verifies it. */
export type Request = {
  readonly ready: Ready
  readonly rendered: Rendered
  readonly verifying: boolean
  /** Asks only whether what the cache keeps is still right: 304 says that it is. */
  readonly validating?: boolean
}

/** What a call leaves behind for its record, filled as it goes. */
export type Trail = {
  /** Monotonic milliseconds. */
  readonly started: number
  readonly key: string | undefined
  /** A handling that did not finish may have sent the same before. */
  before: boolean
  readonly attempts: Tried[]
  sent:
    | {
        readonly ready: Ready
        readonly path: string
        readonly headers: Readonly<Record<string, string>>
        readonly body: string | Uint8Array | undefined
        readonly signature: string | undefined
      }
    | undefined
  response: HttpResponse | undefined
}

/** The request as it goes on the wire, noted in the trail. `total` is in milliseconds. */
export function wired(
  shared: Shared,
  trail: Trail,
  request: Request,
  credential: Credential | undefined,
  total: number,
  signal: AbortSignal | undefined,
): HttpRequest {
  const { ready, rendered, verifying } = request
  const { body } = rendered
  const headers: Record<string, string> = { ...ready.headers }
  if (rendered.headers !== undefined) Object.assign(headers, rendered.headers)
  let path = rendered.path
  if (credential?.header !== undefined) headers[credential.header] = credential.value
  if (credential?.query !== undefined) path = withCredential(path, credential)
  if (trail.key !== undefined && !verifying) headers[ready.keyHeader] = trail.key
  if (body === undefined && !ready.bodiless) delete headers['content-type']
  shared.counters.attempts++
  const { connect, firstByte, idle } = ready.timeouts
  const { origin, name: pool, maxBytes } = shared
  const wire: Writable<HttpRequest> & { readonly headers: Record<string, string> } = {
    method: ready.method,
    origin,
    path,
    headers,
    pool,
    timeouts: { connect, firstByte, idle, total },
    maxBytes,
  }
  if (body !== undefined)
    wire.body = credential?.field === undefined ? body : withField(body, credential.field, credential.value)
  if (signal !== undefined) wire.signal = signal
  const signature = credential?.sign === undefined ? undefined : credential.sign(wire)
  // The record is about the call; a verifying read shows only among its attempts, unless it was all there was.
  if (!verifying || trail.sent === undefined) {
    trail.sent = { ready, path: wire.path, headers, body, signature }
    trail.response = undefined
  }
  return wire
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** Takes note of an answer: the fault that it means, or undefined. */
export function answered(
  shared: Shared,
  trail: Trail,
  request: Request,
  from: number,
  response: Exchanged,
): Fault | undefined {
  if (!request.verifying || trail.sent?.ready === request.ready) trail.response = response
  const { limiter } = shared.pipeline
  if (limiter) {
    const left = response.reading?.left ?? rateLimitOf(response.headers, shared.deps.runtime.clock)
    if (left) limiter.correct(left)
  }
  if (response.status !== 304) shared.drift?.look(request.ready.name, response, from)
  shared.endings?.look(request.ready.name, response.headers, from)
  const { status, phases } = response
  const failure = judged(shared, response, request, trail)
  tried(trail, request, from, phases.total, status, failure?.code, phases)
  return failure
}

/** Takes note that there was no answer: the fault of the transport, with the names of what was called. */
export function unanswered(shared: Shared, trail: Trail, request: Request, from: number, error: unknown): Fault {
  const failure = transport(toFault(error, 'bug'), request, trail)
  const phases = failure.detail['phases'] as Phases | undefined
  const ms = phases?.total ?? shared.deps.runtime.clock.mono() - from
  tried(trail, request, from, ms, undefined, failure.code, phases)
  return failure
}

function judged(shared: Shared, response: Exchanged, request: Request, trail: Trail): Fault | undefined {
  if (response.status === 304 && (request.validating === true || request.rendered.conditional)) return undefined
  const { reading } = response
  const meant = reading?.meant
  if (response.status >= 200 && response.status < 300 && shared.rules.length === 0 && !meant) return undefined
  let decoded: { readonly value: unknown } | undefined
  const answer = {
    status: response.status,
    headers: response.headers,
    body: () => (reading ? reading.body : (decoded ??= { value: decodeLoosely(response) }).value),
  }
  return classify(answer, asked(request, trail), shared.rules, shared.deps.runtime.clock.now(), meant)
}

function asked({ ready, verifying }: Request, trail: Trail): Asked {
  return {
    connection: ready.connection,
    operation: ready.name,
    method: ready.method,
    natural: ready.natural,
    keyed: ready.keyed,
    repeated: !verifying && (trail.before || trail.attempts.some((a) => !a.verifying)),
  }
}

/** A refusal whose body was cut is a refusal all the same: its status is known. */
function transport(f: Fault, request: Request, trail: Trail): Fault {
  const { status } = f.detail
  if (f.code === 'connection.response' && typeof status === 'number' && status >= 300) {
    const known = classify({ status, headers: {}, body: () => undefined }, asked(request, trail), [], 0)
    if (known) return known
  }
  return named(f.code as Code, request.ready, f)
}

/** The fault under this code, with the names of what was called. */
export function named(code: Code, ready: Ready, f: Fault): Fault {
  return fault(code, {
    message: `${ready.connection}.${ready.name}: ${f.code === code ? f.message : fault(code).message}`,
    detail: { connection: ready.connection, operation: ready.name, ...f.detail },
    cause: f.cause ?? f,
    ...(f.retryAfter === undefined ? {} : { retryAfter: f.retryAfter }),
  })
}

function tried(
  trail: Trail,
  request: Request,
  from: number,
  ms: number,
  status: number | undefined,
  code: string | undefined,
  phases: Phases | undefined,
): void {
  trail.attempts.push({ at: from - trail.started, ms, status, code, verifying: request.verifying, phases })
}

/** The body with one more field, in front where its first brace is. A body that has no fields goes as it is. */
function withField(body: string | Uint8Array, name: string, value: string): string | Uint8Array {
  if (typeof body !== 'string') return body
  if (!body.startsWith('{')) {
    return body.startsWith('[') || body.startsWith('"')
      ? body
      : `${encodeURIComponent(name)}=${encodeURIComponent(value)}${body === '' ? '' : '&'}${body}`
  }
  return `{${JSON.stringify(name)}:${JSON.stringify(value)}${body === '{}' ? '' : ','}${body.slice(1)}`
}

function withCredential(path: string, credential: Credential): string {
  // An address that came from them (paging) may carry it already.
  const has = path.includes(`?${credential.query}=`) || path.includes(`&${credential.query}=`)
  return has ? path : `${path}${path.includes('?') ? '&' : '?'}${credential.query}=${credential.value}`
}
