import { Client } from 'undici'
import type { Network } from '#kernel/address.ts'
import type { Clock } from '#kernel/clock.ts'
import { fault, type Fault } from '#kernel/fault.ts'
import type { HttpOut, HttpRequest, HttpResponse, HttpStream, HttpStreamRequest } from '#kernel/http.ts'
import { Deadlines } from './client-deadlines.ts'
import { Exchange, type Slot } from './client-exchange.ts'
import { publicOnly, type Guard, type Resolve } from './client-guard.ts'
import { socketOpener, type Trusting } from './client-socket.ts'

/** Most origins out of data that are kept; an idle one makes room. Data may name any number. */
const mostGuarded = 1_000

export type HttpClientOptions = {
  readonly clock: Clock
  /** What a pool trusts beyond the system's certificates, and shows; asked once for each pool, looked at with each socket. */
  readonly trust?: (pool: string) => Trusting | undefined
  /** Most sockets of one pool to one origin; further requests wait within their total time. Default 256. */
  readonly sockets?: number
  /** Networks that targets which come from data may reach besides the public internet. Default none. */
  readonly privateTargets?: readonly Network[]
  /** How their names are resolved. Default the system's way. */
  readonly resolve?: Resolve
}

export type HttpClient = HttpOut & {
  /** Ends all requests under way as `cancelled` and closes every socket. Idempotent. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * The outbound HTTP port over undici's raw `dispatch`, HTTP/1.1, one request a socket at a time; HTTP/2 where a request says so, in the
 * same way: a stream that they refuse to begin is offered once more by undici, then `connection.unreachable`, phase stream.
 *
 * We keep the sockets ourselves, one undici `Client` each, because only then is it known which of them carried a request:
 * whether it had served before (a stale keep-alive connection is not an outage) and what opening it took. The most recently
 * used free socket is taken first, so surplus ones fall idle and close after 4 s; each is replaced after 10,000 requests so
 * that a change of DNS is followed.
 *
 * Faults are those of `HttpOut`. Nothing was sent: `connection.unreachable` (`detail.phase` dns, connect or tls, reason
 * the system's code), `connection.tls`, `connection.deadline`. Sent: `connection.cut` (`detail.reused` when an idle socket
 * turned out to be closed), `connection.timeout` (`detail.phase` first-byte or body), `connection.response` (reason
 * truncated, too-large, protocol or encoding). A stream that ends before its end is `connection.cut`, phase body. Redirects are
 * answers like others. What comes as gzip or br is decoded within `maxBytes` and 1,000 times its size, but not in a stream; whether
 * that is asked for is up to the request, default identity.
 */
export function httpClient(options: HttpClientOptions): HttpClient {
  const { clock } = options
  const most = options.sockets ?? 256
  const deadlines = new Deadlines<Exchange>(clock)
  const pools = new Map<string, Map<string, Pool>>()
  const guard = publicOnly(options.privateTargets ?? [], options.resolve)
  // By pool and origin. Others than those of declared origins, whose sockets may lead anywhere.
  const guarded = new Map<string, Pool>()
  let closing: Promise<void> | undefined

  const poolOf = ({ pool: name, origin, version }: Target): Pool => {
    let origins = pools.get(name)
    if (!origins) pools.set(name, (origins = new Map()))
    const key = version === 2 ? `2 ${origin}` : origin
    let pool = origins.get(key)
    if (!pool) origins.set(key, (pool = new Pool(origin, most, clock, { trusting: options.trust?.(name), version })))
    return pool
  }
  const guardedPoolOf = ({ pool: name, origin, version }: Target): Pool => {
    const key = `${name} ${version ?? 1} ${origin}`
    const pool = guarded.get(key) ?? new Pool(origin, most, clock, { trusting: options.trust?.(name), version, guard })
    // Last in the order of use.
    guarded.delete(key)
    guarded.set(key, pool)
    if (guarded.size > mostGuarded) {
      for (const [old, idle] of guarded) {
        if (!idle.idle || idle === pool) continue
        guarded.delete(old)
        void idle.close()
        break
      }
    }
    return pool
  }

  const poolFor = (request: Target): Pool => (request.target === 'data' ? guardedPoolOf : poolOf)(request)
  const refusal = ({ signal, target, origin }: Target & Pick<HttpRequest, 'signal'>): Fault | undefined => {
    if (closing) return fault('cancelled', { message: 'the HTTP client is closed' })
    if (signal?.aborted) return fault('cancelled', { cause: signal.reason, detail: { sent: false } })
    return target === 'data' && !isOrigin(origin) ? fault('connection.target') : undefined
  }

  return {
    send(request: HttpRequest): Promise<HttpResponse> {
      const refused = refusal(request)
      if (refused) return Promise.reject(refused)
      return new Promise((resolve, reject) => {
        const pool = poolFor(request)
        const exchange = new Exchange(request, clock, deadlines, pool, resolve, reject)
        pool.take(exchange)
      })
    },
    stream(request: HttpStreamRequest): Promise<HttpStream> {
      const refused = refusal(request)
      if (refused) return Promise.reject(refused)
      const { idle, whole } = request
      const unbounded = { ...request, maxBytes: Number.POSITIVE_INFINITY }
      return new Promise((opened, reject) => {
        const pool = poolFor(request)
        const streaming = { idle, whole, opened }
        pool.take(new Exchange(unbounded, clock, deadlines, pool, unanswered, reject, streaming))
      })
    },
    close() {
      closing ??= (async () => {
        // Whatever is under way has a deadline.
        for (const exchange of deadlines.all()) exchange.cancel(new Error('the HTTP client closed'))
        const all = [...pools.values()].flatMap((origins) => [...origins.values()]).concat(...guarded.values())
        pools.clear()
        guarded.clear()
        await Promise.all(all.map((pool) => pool.close()))
      })()
      return closing
    },
    [Symbol.asyncDispose]() {
      return this.close()
    },
  }
}

/** As a URL prints its origin: no user, no path, no other spelling of an address, nothing but http and https. */
function isOrigin(origin: string): boolean {
  const url = URL.parse(origin)
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === origin
}
type Target = Pick<HttpRequest, 'target' | 'pool' | 'origin' | 'version'>

/** A stream is handed over at its head; nobody waits for the whole. */
function unanswered(): void {}

/** The sockets of one connection to one origin. */
class Pool {
  readonly #origin: string
  readonly #version: 2 | undefined
  readonly #most: number
  readonly #open: ReturnType<typeof socketOpener>
  readonly #trusting: Trusting | undefined
  readonly #slots: Slot[] = []
  readonly #free: Slot[] = []
  readonly #waiting = new Set<Exchange>()
  #closed = false

  constructor(
    origin: string,
    most: number,
    clock: Clock,
    of: {
      readonly trusting: Trusting | undefined
      readonly version: 2 | undefined
      readonly guard?: Guard
    },
  ) {
    this.#version = of.version
    this.#origin = origin
    this.#most = most
    this.#trusting = of.trusting
    this.#open = socketOpener(clock, of.trusting, of)
  }

  /** Nobody uses or waits for a socket of it. */
  get idle(): boolean {
    return this.#waiting.size === 0 && this.#free.length === this.#slots.length
  }

  take(exchange: Exchange): void {
    const slot = this.#free.pop() ?? (this.#slots.length < this.#most ? this.#grow() : undefined)
    if (slot) return this.#start(exchange, slot)
    this.#waiting.add(exchange)
    exchange.wait()
  }

  /** On a socket that was opened under what is trusted now: an older one has no answer to wait for any more, and is replaced. */
  #start(exchange: Exchange, slot: Slot): void {
    if (slot.trust !== this.#trusting?.current) slot.socket?.destroy()
    exchange.start(slot)
  }

  /** A request that gave up before it got a socket. */
  leave(exchange: Exchange): void {
    this.#waiting.delete(exchange)
  }

  release(slot: Slot): void {
    if (this.#closed) return
    const next = this.#waiting.values().next().value
    if (!next) return void this.#free.push(slot)
    this.#waiting.delete(next)
    // Not inside undici's parser, which is where most releases come from.
    queueMicrotask(() => this.#start(next, slot))
  }

  /** One idle socket was found closed: its neighbours, idle as long, are not trusted either. The next request opens a new one. */
  distrust(): void {
    for (const slot of this.#free) slot.socket?.destroy()
  }

  async close(): Promise<void> {
    this.#closed = true
    const gone = new Error('the HTTP client closed')
    for (const slot of this.#slots) slot.opening?.abandon(gone)
    await Promise.all(this.#slots.map((slot) => slot.client.destroy(gone)))
  }

  #grow(): Slot {
    const slot: Slot = {
      served: 0,
      opening: undefined,
      stage: undefined,
      opened: undefined,
      socket: undefined,
      trust: undefined,
      client: new Client(this.#origin, {
        pipelining: 1,
        allowH2: this.#version === 2,
        // A ping needs a timer of undici's own; our deadlines notice a dead peer.
        ...(this.#version === 2 ? { h2Options: { pingInterval: 0 } } : {}),
        keepAliveTimeout: 4_000,
        maxRequestsPerClient: 10_000,
        // Our own deadlines cover these; 0 keeps undici from arming its timers.
        headersTimeout: 0,
        bodyTimeout: 0,
        connect: (target, callback) => {
          slot.served = 0
          slot.opened = undefined
          slot.stage = undefined
          slot.trust = this.#trusting?.current
          slot.opening = this.#open(target, (error, socket, opened) => {
            slot.stage = slot.opening?.stage()
            slot.opening = undefined
            slot.socket = socket ?? undefined
            slot.opened = opened
            if (socket) callback(null, socket)
            else callback(error ?? new Error('no socket'), null)
          })
        },
      }),
    }
    this.#slots.push(slot)
    return slot
  }
}
