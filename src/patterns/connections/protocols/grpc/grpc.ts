import { fault } from '#kernel/fault.ts'
import type { HttpOut, HttpRequest, HttpResponse } from '#kernel/http.ts'
import type { Bounds, Exchanged, Protocol, Reading } from '../protocol.ts'
import { whole } from '../whole.ts'
import type { Items } from '../streams/items.ts'
import type { StreamPlan } from '../streams/options.ts'
import { broken, Frames } from './frames.ts'
import { framed, methodOf, unpacked, type Method, type ProtoRoot } from './proto.ts'
import { meaningOf, statusOf } from './status.ts'

/**
 * gRPC over the HTTP port (gRPC over HTTP/2): one framed message there, and back one, or a stream of them. The status behind the answer
 * decides; the deadline of an attempt goes along as `grpc-timeout`.
 */
export function grpcProtocol(root: ProtoRoot, http: string, stream: StreamPlan | undefined): Protocol {
  const method = methodOf(root, http)
  // Without a method nothing would have started.
  if ('problem' in method) return {}
  const plan = stream && { ...stream, items: () => new MessageItems(method, stream.maxItem) }
  return {
    headers: { accept: 'application/grpc', 'content-type': 'application/grpc+proto', te: 'trailers' },
    natural: method.natural,
    encode: (fields) => ({ body: framed(method.request, fields) }),
    fields: ({ body }) => {
      if (!(body instanceof Uint8Array)) return undefined
      const [message] = new Frames(body.byteLength).feed(body)
      return message && Object.entries(unpacked(method.request, message))
    },
    send: plan
      ? (port, wire, bounds, now) => opened(port, wire, bounds, now, plan)
      : async (port, wire) => {
          const response = await port.send({ ...wire, version: 2, headers: timed(wire, wire.timeouts.total) })
          return read(response, method, wire.maxBytes)
        },
    ...(plan ? { stream: plan } : {}),
  }
}

/** At most eight digits; milliseconds. */
function timed({ headers }: HttpRequest, ms: number): Readonly<Record<string, string>> {
  return Number.isFinite(ms)
    ? { ...headers, 'grpc-timeout': `${Math.min(99_999_999, Math.max(1, Math.floor(ms)))}m` }
    : headers
}

/** Trailers among the headers, so that rules and the call record see them. */
function read(response: HttpResponse, method: Method, maxBytes: number): Exchanged {
  const headers = { ...response.headers, ...response.trailers }
  return { ...response, headers, reading: reading({ ...response, headers }, method, maxBytes) }
}

function reading(response: HttpResponse, method: Method, maxBytes: number): Reading {
  const { status: http, headers, body } = response
  const refused = (reason: string): Reading => ({
    body: undefined,
    meant: { code: 'connection.response', detail: { reason } },
  })
  const status = statusOf(headers)
  if (status !== undefined && status !== 0) return { body: undefined, meant: meaningOf(status, headers) }
  // Something in front of the service: its HTTP status speaks.
  if (http !== 200) return { body: undefined }
  if (!isGrpc(headers['content-type'])) return refused('media-type')
  if (status === undefined) return refused('shape')
  const frames = new Frames(maxBytes)
  try {
    const messages = [...frames.feed(body)]
    if (messages.length !== 1 || frames.partial) return refused('shape')
    const value = decoded(method, messages[0]!)
    return { body: value, value }
  } catch (e) {
    const reason = (e as { detail?: { reason?: unknown } }).detail?.reason
    return refused(typeof reason === 'string' ? reason : 'protobuf')
  }
}

function decoded(method: Method, message: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    return unpacked(method.response, message)
  } catch (cause) {
    throw broken('protobuf', cause)
  }
}

/** A stream that is refused at once is an answer of headers only, and as such one that policies may repeat. */
async function opened(
  port: HttpOut,
  wire: HttpRequest,
  { deadline, signal }: Bounds,
  now: number,
  { idle }: StreamPlan,
): Promise<Exchanged> {
  const { maxBytes, signal: _attempt, ...rest } = wire
  const left = deadline === undefined ? undefined : Math.max(1, deadline - now)
  const stream = await port.stream({
    ...rest,
    version: 2,
    headers: timed(wire, left ?? Number.POSITIVE_INFINITY),
    idle,
    ...(left === undefined ? {} : { whole: left }),
    ...(signal === undefined ? {} : { signal }),
  })
  const { status, headers, phases } = stream
  const told = statusOf(headers)
  if (status !== 200 || told !== undefined) {
    const response = await whole(stream, maxBytes)
    const meant = told === undefined || told === 0 ? undefined : meaningOf(told, headers)
    return { ...response, reading: { body: undefined, ...(meant ? { meant } : {}) } }
  }
  if (isGrpc(headers['content-type'])) return { status, headers, body: new Uint8Array(0), phases, stream }
  await stream.chunks.return?.()
  throw broken('media-type')
}

function isGrpc(type: string | undefined): boolean {
  return type !== undefined && /^application\/grpc(?:\+proto)?\s*(?:;|$)/i.test(type.trim())
}

class MessageItems implements Items {
  readonly #method: Method
  readonly #frames: Frames
  readonly over = false
  readonly lastId = ''
  readonly retry = undefined

  constructor(method: Method, most: number) {
    this.#method = method
    this.#frames = new Frames(most)
  }

  *feed(chunk: Uint8Array): Generator<unknown, void> {
    for (const message of this.#frames.feed(chunk)) yield decoded(this.#method, message)
  }

  /** Only the status behind the last message says that it was the last. */
  rest(trailers: Readonly<Record<string, string>>): Iterable<unknown> {
    const status = statusOf(trailers)
    if (status === undefined || (status === 0 && this.#frames.partial)) throw broken('truncated')
    if (status === 0) return []
    const { code, detail, retryAfter } = meaningOf(status, trailers)
    throw fault(code, { ...(detail ? { detail } : {}), ...(retryAfter === undefined ? {} : { retryAfter }) })
  }
}
