import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { fault, type Fault } from '#kernel/fault.ts'
import type { Door } from '#kernel/http.ts'
import { Exchange, type Host } from './exchange.ts'
import { gate, type HttpOptions } from './gate.ts'
import { problem, statusOf } from './problem.ts'

export type ListenOptions = HttpOptions & {
  /** 0 takes a free one; see `url`. */
  readonly port: number
  /** Default 127.0.0.1: nothing is reachable from another machine unless you say so (`'0.0.0.0'`). */
  readonly host?: string
}

export interface Listening {
  /** `http://127.0.0.1:8080` */
  readonly url: string
  readonly port: number
  /**
   * Stops accepting, lets requests that are under way finish within `graceMs` (default 10,000), then destroys what is
   * left. Idle connections end at once; a request that still comes in on an open one is answered 503 `app.draining`.
   * Idempotent: a second call waits for the first.
   */
  close(graceMs?: number): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Serves doors over node:http. Limits beside those of `HttpLimits`: a head of 16 KiB (431) within 10 s (408), 10,000
 * connections, an idle connection for 65 s, which is longer than the 60 s of common load balancers. The parser is strict:
 * what is not HTTP/1.1 to the letter is 400 and the connection closed, so nothing can be smuggled behind a request.
 *
 * Rejects with `config.port` when the port is taken or not allowed.
 */
export async function listen(doors: readonly Door[], options: ListenOptions): Promise<Listening> {
  const hostname = options.host ?? '127.0.0.1'
  checkPort(options.port)
  const shared = gate(doors, options)
  const host: Host & { draining: boolean } = { gate: shared, clock: options.clock, draining: false }
  const current = new WeakMap<Duplex, Exchange>()
  const server = createServer({
    httpValidation: 'strict',
    requireHostHeader: false, // an exchange requires it, and counts
    maxHeaderSize: 16_384,
    headersTimeout: 10_000,
    // A backstop of the parser; the limit in force is `limits.request`, on the injected clock.
    requestTimeout: shared.limits.request + 10_000,
    connectionsCheckingInterval: 2_000,
    keepAliveTimeout: 65_000,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    noDelay: true,
  })
  // Node drops surplus fields silently; we count and refuse them instead.
  server.maxHeadersCount = 0
  server.maxConnections = 10_000
  const begin = (expectsContinue: boolean) => (req: IncomingMessage, res: ServerResponse) => {
    const exchange = new Exchange(host, req, res)
    current.set(req.socket, exchange)
    exchange.start(expectsContinue)
  }
  server.on('request', begin(false))
  server.on('checkContinue', begin(true))
  server.on('checkExpectation', begin(false))
  server.on('drop', () => shared.count('', 503, 'app.overloaded'))
  const abandon = (socket: Duplex, f: Fault): void => {
    shared.count('', statusOf(f), f.code)
    socket.end(rawReply(f), () => socket.destroy())
  }
  server.on('connect', (_req, socket) => abandon(socket, fault('input.method')))
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const exchange = current.get(socket)
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
    const f = refusal(error)
    if (exchange && !exchange.done) return exchange.broken(f)
    abandon(socket, f)
  })
  await started(server, options.port, hostname)
  const { port } = server.address() as AddressInfo
  let closing: Promise<void> | undefined
  const close = (graceMs = 10_000): Promise<void> => {
    closing ??= new Promise((resolve) => {
      host.draining = true
      const cancel = options.clock.after(graceMs, () => server.closeAllConnections())
      server.close(() => {
        cancel()
        resolve()
      })
    })
    return closing
  }
  return {
    url: `http://${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`,
    port,
    close,
    [Symbol.asyncDispose]: () => close(),
  }
}

/** What an error of the parser means to the caller. */
export function refusal(error: NodeJS.ErrnoException): Fault {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return fault('input.headers')
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return fault('input.timeout')
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return fault('input.too_large')
    case 'HPE_INVALID_EOF_STATE':
      return fault('input.truncated')
    default:
      return fault('input.malformed')
  }
}

const reasons: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
  431: 'Request Header Fields Too Large',
}

/** Without a request there is no response object: the reply is written by hand. */
function rawReply(f: Fault): string {
  const { status, headers, body } = problem(f)
  const lines = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`)
  const length = Buffer.byteLength(body as string)
  return `HTTP/1.1 ${status} ${reasons[status] ?? 'Error'}\r\n${lines.join('')}content-length: ${length}\r\nconnection: close\r\n\r\n${body as string}`
}

function checkPort(port: number): void {
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return
  throw fault('config.port', { message: `not a port: ${port}. Use 1 to 65535, or 0 for a free one` })
}

function started(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(portFault(cause, port, host)))
    server.listen({ port, host, backlog: 511 }, resolve)
  })
}

function portFault(cause: NodeJS.ErrnoException, port: number, host: string): Fault {
  const detail = { port, host, system: cause.code }
  const message =
    cause.code === 'EADDRINUSE'
      ? `port ${port} on ${host} is taken. Stop the other program, or pass another --port`
      : cause.code === 'EACCES'
        ? `port ${port} is not allowed for this user. Pass a --port above 1023`
        : cause.code === 'EADDRNOTAVAIL' || cause.code === 'ENOTFOUND'
          ? `${host} is no address of this machine. Pass another --host`
          : `cannot listen on port ${port} of ${host}: ${cause.code ?? 'unknown error'}`
  return fault('config.port', { message, detail, cause })
}
