/**
 * HTTP as the core sees it, both ways. Bodies are bytes: signatures are over bytes, and what is parsed is decided by a
 * definition, never by a transport.
 */
export type HttpRequest = {
  readonly method: string
  /** `https://api.example.com`, without path. */
  readonly origin: string
  /** Path and query, beginning with `/`. */
  readonly path: string
  /** Lower-case names; values free of CR, LF and NUL. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
  /** HTTP/2, known to be spoken there: TLS with ALPN, or prior knowledge in the clear. Default HTTP/1.1. */
  readonly version?: 2
  /** Whose sockets to use: connections do not share them. */
  readonly pool: string
  /** Milliseconds each; `total` covers everything from queueing to the last byte, `idle` a pause in the middle of the body. */
  readonly timeouts: {
    readonly connect: number
    readonly firstByte: number
    readonly idle?: number
    readonly total: number
  }
  /** A longer body is cut off and reported as a fault; also one that becomes longer when its content coding is undone. */
  readonly maxBytes: number
  readonly signal?: AbortSignal
  /**
   * Where the origin comes from. `data`: from somebody who may not send us everywhere (an endpoint that a customer typed in). Then
   * only public addresses are connected to (`isPublicAddress`), decided when the socket is opened, and for every one;
   * refused with `connection.target`. Default `declared`: by whoever wrote the definitions.
   */
  readonly target?: 'declared' | 'data'
}

export type HttpResponse = {
  readonly status: number
  /** Lower-case names; repeated fields joined by `, `, set-cookie by newline. */
  readonly headers: Readonly<Record<string, string>>
  /** Without its content coding, if that was gzip or br: `content-encoding` and `content-length` are then left out of `headers`. */
  readonly body: Uint8Array
  /** Fields behind the body, where there were any. */
  readonly trailers?: Readonly<Record<string, string>>
  readonly phases: Phases
}

/** Milliseconds; a phase that did not happen (a reused socket has no dns, connect, tls) is absent. */
export type Phases = {
  readonly dns?: number
  readonly connect?: number
  readonly tls?: number
  readonly firstByte?: number
  readonly total: number
}

/**
 * A request whose answer is read as it comes. `timeouts.total` ends with the head of the answer; there is no `maxBytes`, because
 * only who reads knows what one item is.
 */
export type HttpStreamRequest = Omit<HttpRequest, 'maxBytes'> & {
  /** Milliseconds that a reader waits for the next bytes. What the reader itself takes does not count. */
  readonly idle: number
  /** Milliseconds after which it is ended wherever it stands. Default: no end but its own. */
  readonly whole?: number
}

/** An answer under way. Whoever has it reads it to its end or stops: until then it holds a socket. */
export type HttpStream = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** As far as the head. */
  readonly phases: Phases
  /**
   * The body, for one reader, once. A slow reader slows the sender: beyond 64 KiB unread the socket is not read. `return()` stops it
   * and destroys the socket of what has not ended; idempotent. Rejects, after what had come, with `connection.cut` (it ended
   * before its end), `connection.timeout` (`idle` or `whole` passed), `connection.response` (not HTTP), `cancelled`.
   */
  readonly chunks: AsyncIterableIterator<Uint8Array, void, void>
  /** Fields behind the body, once it has been read to its end; empty before, and where there were none. */
  readonly trailers?: () => Readonly<Record<string, string>>
}

/**
 * Sends requests. Never follows redirects and never retries. Rejects with a fault whose `detail` has `phases` and:
 * `connection.unreachable` / `connection.tls` / `connection.target` (nothing was sent), `connection.timeout` with `detail.phase`,
 * `connection.cut` (ended after the request went out), `connection.response` (`detail.reason` truncated, too-large, protocol, encoding), `cancelled`.
 */
export interface HttpOut {
  send(request: HttpRequest): Promise<HttpResponse>
  /** Resolves with the head of the answer, whatever its status. */
  stream(request: HttpStreamRequest): Promise<HttpStream>
}

/** A whole answer as a stream of one chunk: for a transport that has the answer already. */
export function streamOf({ status, headers, body, phases, trailers = {} }: HttpResponse): HttpStream {
  return { status, headers, phases, chunks: once(body), trailers: () => trailers }
}

async function* once(body: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  if (body.byteLength > 0) yield body
}

/** One request that came in, body complete and within `Door.maxBytes`. */
export type Inbound = {
  readonly method: string
  /** Path without query, not decoded. */
  readonly path: string
  readonly query: string
  /** Lower-case name → value; a repeated field is joined by `, `. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Uint8Array
}

export type Reply = {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** A path that the app serves. Deny by default: what has no door is 404, a method that is not listed is 405. */
export type Door = {
  readonly name: string
  readonly methods: readonly string[]
  /** An exact path (`/hooks/payments`). */
  readonly path: string
  /** Largest body in bytes: longer ones are refused with 413 before they are buffered. */
  readonly maxBytes: number
  /** The reply. A rejected fault becomes problem+json (RFC 9457) by its code; nothing of its cause is shown. */
  handle(request: Inbound): Promise<Reply>
}
