import { Buffer } from 'node:buffer'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Cancel, Clock } from '#kernel/clock.ts'
import { fault, type Fault } from '#kernel/fault.ts'
import type { Door, Inbound, Reply } from '#kernel/http.ts'
import { tooLarge, type Answer, type Gate } from './gate.ts'
import { problem } from './problem.ts'

const nothing: Uint8Array = new Uint8Array(0)

/** What an exchange needs of its server. */
export type Host = {
  readonly gate: Gate
  readonly clock: Clock
  /** While true, every reply says `Connection: close` and no new request is served. */
  readonly draining: boolean
}

/**
 * One request on a socket, from its head to its reply. States: reading (the body), answering (the door), done. Exactly one
 * reply is sent and exactly one outcome counted, whatever comes first: the body's end, the limit of bytes or time, a
 * truncated body, a reset connection.
 */
export class Exchange {
  readonly #host: Host
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  #state: 'reading' | 'answering' | 'done' = 'reading'
  #door: Door | undefined
  #request: { -readonly [K in keyof Inbound]: Inbound[K] } | undefined
  #first: Uint8Array | undefined
  #rest: Uint8Array[] | undefined
  #size = 0
  #cancel: Cancel | undefined
  /** The socket cannot be used again: a body was left unread, or what follows on it is not HTTP. */
  #last = false
  #unread = false

  constructor(host: Host, req: IncomingMessage, res: ServerResponse) {
    this.#host = host
    this.#req = req
    this.#res = res
  }

  /** Decides by the head alone; only then asks for the body (`100 Continue` where the caller waits for it). */
  start(expectsContinue: boolean): void {
    const { gate, clock, draining } = this.#host
    const target = this.#req.url ?? ''
    const mark = target.indexOf('?')
    const path = mark < 0 ? target : target.slice(0, mark)
    const method = this.#req.method ?? ''
    const raw = this.#req.rawHeaders
    if (raw.length > gate.limits.headers * 2) {
      this.#unread = true
      return this.#refuse(fault('input.headers'))
    }
    const headers = headerRecord(raw)
    this.#unread = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
    if (!oneHost(headers['host'], this.#req.httpVersion)) {
      this.#last = true
      return this.#refuse(fault('input.malformed'))
    }
    if (draining) return this.#refuse(fault('app.draining'))
    const door = gate.find(method, path)
    if (!('handle' in door)) return this.#refuse(door)
    this.#door = door
    const wrong = gate.check(door, headers)
    if (wrong) return this.#refuse(wrong)
    this.#request = { method, path, query: mark < 0 ? '' : target.slice(mark + 1), headers, body: nothing }
    this.#cancel = clock.after(gate.limits.request, () => this.#late())
    this.#res.on('close', () => this.#gone())
    if (!this.#unread) return this.#answer()
    if (expectsContinue) this.#res.writeContinue()
    this.#req.on('data', (chunk: Uint8Array) => this.#take(chunk))
    this.#req.on('end', () => this.#answer())
    this.#req.on('error', () => undefined) // a reset connection also closes the response, which is where it is counted
  }

  /** The parser gave up on this socket: while the body comes in that is this request's failure, later it is not. */
  broken(f: Fault): void {
    this.#last = true
    if (this.#state === 'reading') this.#refuse(f)
  }

  get done(): boolean {
    return this.#state === 'done'
  }

  #take(chunk: Uint8Array): void {
    if (this.#state !== 'reading') return
    const size = this.#size + chunk.length
    if (size > this.#door!.maxBytes) return this.#refuse(tooLarge(this.#door!))
    if (!this.#host.gate.take(chunk.length)) return this.#refuse(fault('app.overloaded'))
    this.#size = size
    if (this.#first === undefined) this.#first = chunk
    else (this.#rest ??= []).push(chunk)
  }

  #answer(): void {
    if (this.#state !== 'reading') return
    this.#state = 'answering'
    const { gate } = this.#host
    const request = this.#request!
    request.body = this.#body()
    void gate.answer(this.#door!, request).then((answer) => this.#finish(answer))
  }

  #body(): Uint8Array {
    if (this.#rest === undefined) return this.#first ?? nothing
    return Buffer.concat([this.#first!, ...this.#rest], this.#size)
  }

  #refuse(f: Fault): void {
    // The rest of a body must not be taken for the next request, and is not worth waiting for.
    if (this.#unread) this.#last = true
    this.#finish({ reply: problem(f), code: f.code })
  }

  #finish(answer: Answer): void {
    if (this.#state === 'done') return
    this.#end()
    const { gate, draining } = this.#host
    const name = this.#door?.name ?? ''
    let { reply, code } = answer
    try {
      send(this.#res, reply, this.#last || draining)
    } catch (cause) {
      // A header that HTTP cannot carry: nothing has been written yet.
      reply = problem(fault('bug', { cause }))
      code = 'bug'
      send(this.#res, reply, true)
    }
    gate.count(name, reply.status, code)
  }

  #late(): void {
    const reading = this.#state === 'reading'
    this.#last = true
    const f = fault(reading ? 'input.timeout' : 'app.slow')
    this.#finish({ reply: problem(f), code: f.code })
  }

  /** The connection ended before our reply: nobody to answer. */
  #gone(): void {
    if (this.#state === 'done') return
    const reading = this.#state === 'reading'
    this.#end()
    this.#host.gate.count(this.#door?.name ?? '', reading ? 400 : 499, reading ? 'input.truncated' : 'cancelled')
  }

  #end(): void {
    this.#state = 'done'
    this.#cancel?.()
    this.#host.gate.give(this.#size)
    this.#size = 0
    this.#first = undefined
    this.#rest = undefined
  }
}

/** Names in lower case, repeated fields joined by `, `; without a prototype, so that no name reaches one. */
function headerRecord(raw: readonly string[]): Inbound['headers'] {
  const headers = Object.create(null) as Record<string, string>
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    const before = headers[name]
    headers[name] = before === undefined ? raw[i + 1]! : `${before}, ${raw[i + 1]!}`
  }
  return headers
}

/** RFC 9112 §3.2: exactly one Host in HTTP/1.1. Checked here rather than by the parser, so that it is counted. */
function oneHost(host: string | undefined, version: string): boolean {
  return host === undefined ? version === '1.0' : !host.includes(',')
}

function send(res: ServerResponse, reply: Reply, close: boolean): void {
  if (res.destroyed) return
  const head: string[] = []
  for (const name in reply.headers) head.push(name, reply.headers[name]!)
  if (close) head.push('connection', 'close')
  const { body, status } = reply
  if (status !== 204 && status !== 304) {
    const length = body === undefined ? 0 : typeof body === 'string' ? Buffer.byteLength(body) : body.length
    head.push('content-length', String(length))
  }
  res.writeHead(status, head)
  res.end(body)
}
