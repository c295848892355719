import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import type { Api, ApiRequest } from './api.ts'
import { troubleOf, type TroubleKind } from './faults.ts'

export type Weather = 'up' | 'refusing' | 'resetting'

export type ApiStats = {
  readonly requests: number
  readonly writes: number
  /** Writes that asked for what had been asked for before. */
  readonly repeated: number
  readonly absorbed: number
  readonly troubles: Readonly<Record<Exclude<TroubleKind, 'none'>, number>>
  /** Of the troubles above, those in which the effect took place although the caller could not know. */
  readonly hidden: number
  /** Requests answered 4xx by the API itself. */
  readonly refused: number
}

/**
 * Serves one API on a loopback port of the system's choice, with troubles laid over it. An effect takes place as soon as
 * the request is complete, before any delay: what the caller's death or timeout hides has happened, and a look into the
 * list shows it at once.
 */
export class ApiServer {
  readonly #api: Api
  readonly #seed: number
  readonly #credential: string
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #seen = new Map<string, number>()
  readonly #troubles = { '429': 0, '500': 0, cut: 0, truncated: 0, hang: 0 }
  #weather: Weather = 'up'
  #port = 0
  #requests = 0
  #writes = 0
  #repeated = 0
  #hidden = 0
  #refused = 0

  constructor(api: Api, options: { readonly seed: number; readonly credential: string }) {
    this.#api = api
    this.#seed = options.seed
    this.#credential = `Bearer ${options.credential}`
    this.#server = createServer((request, response) => {
      // A socket that dies under us is the caller's affair; nothing here may end this process.
      this.#serve(request, response).catch(() => request.socket.destroy())
    })
    this.#server.keepAliveTimeout = 30_000
    this.#server.on('connection', (socket) => {
      socket.on('error', () => socket.destroy())
      socket.on('close', () => this.#sockets.delete(socket))
      this.#sockets.add(socket)
      if (this.#weather === 'resetting') socket.resetAndDestroy()
    })
  }

  async listen(): Promise<string> {
    await this.#bind()
    this.#port = (this.#server.address() as AddressInfo).port
    return `http://127.0.0.1:${this.#port}`
  }

  /** `refusing`: nothing listens. `resetting`: connections are taken and reset. Open ones are reset in both. */
  async weather(next: Weather): Promise<void> {
    if (next === this.#weather) return
    this.#weather = next
    if (next !== 'up') for (const socket of this.#sockets) socket.resetAndDestroy()
    if (next === 'refusing') await new Promise<void>((resolve) => this.#server.close(() => resolve()))
    else if (!this.#server.listening) await this.#bind()
  }

  stats(): ApiStats {
    return {
      requests: this.#requests,
      writes: this.#writes,
      repeated: this.#repeated,
      absorbed: this.#api.absorbed(),
      troubles: { ...this.#troubles },
      hidden: this.#hidden,
      refused: this.#refused,
    }
  }

  async close(): Promise<void> {
    await this.weather('refusing')
  }

  /** The port was ours before the outage; for a moment somebody's outgoing connection may sit on it. */
  async #bind(): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        await new Promise<void>((resolve, reject) => {
          this.#server.once('error', reject)
          this.#server.listen(this.#port, '127.0.0.1', () => {
            this.#server.off('error', reject)
            resolve()
          })
        })
        return
      } catch (error) {
        if (tries >= 40) throw error
        await wait(50)
      }
    }
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await read(message)
    this.#requests++
    if (request === undefined) return reply(response, 400, { error: { code: 'not_json' } })
    if (message.headers.authorization !== this.#credential) {
      this.#refused++
      return reply(response, 401, { error: { code: 'unauthorized' } })
    }
    const what = `${request.method} ${this.#api.name}${message.url ?? ''} ${JSON.stringify(request.body)}`
    const n = (this.#seen.get(what) ?? 0) + 1
    this.#seen.set(what, n)
    if (request.method !== 'GET') {
      this.#writes++
      if (n > 1) this.#repeated++
    }
    const trouble = troubleOf(this.#seed, what, n)
    if (trouble.kind !== 'none') this.#troubles[trouble.kind]++

    const answer = trouble.kind === 'none' || trouble.effect ? this.#api.answer(request) : undefined
    if (answer && answer.status >= 400) this.#refused++
    if (answer && trouble.kind !== 'none' && answer.status < 400 && request.method !== 'GET') this.#hidden++
    switch (trouble.kind) {
      case 'none':
        await wait(trouble.delay)
        return reply(response, answer?.status ?? 500, answer?.body)
      case '429':
        return reply(response, 429, { error: { code: 'rate_limited' } }, { 'retry-after': '1' })
      case '500':
        await wait(trouble.delay)
        return reply(response, 500, { error: { code: 'internal' } })
      case 'cut':
        await wait(trouble.delay)
        message.socket.resetAndDestroy()
        return
      case 'truncated':
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': 400 })
        response.write('{"id":"')
        await wait(20)
        message.socket.destroy()
        return
      case 'hang':
        // The caller's patience ends first; the socket is let go when it leaves, or at the latest when we stop.
        return
    }
  }
}

function reply(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  if (response.destroyed) return
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(body))
}

/** The request with its body, or undefined when that is not a JSON object of at most 64 KiB. */
async function read(message: IncomingMessage): Promise<ApiRequest | undefined> {
  const url = new URL(message.url ?? '/', 'http://stand-in')
  let text = ''
  message.setEncoding('utf8')
  for await (const chunk of message) {
    text += String(chunk)
    if (text.length > 65_536) return undefined
  }
  const key = message.headers['idempotency-key']
  try {
    const body: unknown = text === '' ? {} : JSON.parse(text)
    if (typeof body !== 'object' || body === null || Array.isArray(body)) return undefined
    return {
      method: message.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      idempotencyKey: typeof key === 'string' ? key : undefined,
      body: body as Record<string, unknown>,
    }
  } catch {
    return undefined
  }
}
