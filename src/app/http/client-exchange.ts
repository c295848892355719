import type { Socket } from 'node:net'
import type { Client, Dispatcher } from 'undici'
import type { Clock } from '#kernel/clock.ts'
import type { Code } from '#kernel/codes.ts'
import { fault, type Fault } from '#kernel/fault.ts'
import type { HttpRequest, HttpResponse, HttpStream, Phases } from '#kernel/http.ts'
import type { Deadlines, Timed } from './client-deadlines.ts'
import { codingOf, decodable, decodeBody } from './client-decode.ts'
import { refusedCode } from './client-guard.ts'
import type { Opened, Opening, Stage, Trust } from './client-socket.ts'
import { StreamBody } from './client-stream.ts'

/** One socket and what is known about it. The socket under it may change: undici opens a new one when it has ended. */
export type Slot = {
  readonly client: Client
  /** Answers that the present socket has given. */
  served: number
  opening: Opening | undefined
  /** Where the last opening ended. */
  stage: Stage | undefined
  /** What opening the present socket took, until a request has claimed it. */
  opened: Opened | undefined
  socket: Socket | undefined
  /** What was trusted, and shown, when the present socket was opened. */
  trust: Trust | undefined
}

/** How an answer is read that is handed over at its head. Milliseconds. */
export type Streaming = {
  readonly idle: number
  readonly whole: number | undefined
  readonly opened: (stream: HttpStream) => void
}

type Home = { leave(exchange: Exchange): void; release(slot: Slot): void; distrust(): void }
type Step = 'waiting' | 'connecting' | 'sent' | 'answering' | 'done'

/**
 * One request and its answer: the handler that undici calls back. It settles exactly once, whatever happens in whatever
 * order, and gives its slot back exactly once, when undici has let go of it.
 */
export class Exchange implements Dispatcher.DispatchHandler, Timed {
  due: number
  place = -1
  readonly #request: HttpRequest
  readonly #clock: Clock
  readonly #deadlines: Deadlines<Exchange>
  readonly #home: Home
  readonly #resolve: (response: HttpResponse) => void
  readonly #reject: (fault: Fault) => void
  readonly #started: number
  readonly #streaming: Streaming | undefined
  #totalDue: number
  readonly #abort: (() => void) | undefined
  #step: Step = 'waiting'
  #slot: Slot | undefined
  #controller: Dispatcher.DispatchController | undefined
  #opened: Opened | undefined
  #reused = false
  #bytes = false
  #sentAt = 0
  #firstByte: number | undefined
  #status = 0
  #headers: Readonly<Record<string, string>> = {}
  #trailers: Readonly<Record<string, string>> | undefined
  #first: Uint8Array | undefined
  #more: Uint8Array[] | undefined
  #size = 0
  #body: StreamBody | undefined

  constructor(
    request: HttpRequest,
    clock: Clock,
    deadlines: Deadlines<Exchange>,
    home: Home,
    resolve: (response: HttpResponse) => void,
    reject: (fault: Fault) => void,
    streaming?: Streaming,
  ) {
    this.#request = request
    this.#clock = clock
    this.#deadlines = deadlines
    this.#home = home
    this.#resolve = resolve
    this.#reject = reject
    this.#streaming = streaming
    this.#started = clock.mono()
    this.#totalDue = this.#started + request.timeouts.total
    this.due = this.#totalDue
    if (request.signal) {
      this.#abort = () => this.cancel(request.signal?.reason)
      request.signal.addEventListener('abort', this.#abort, { once: true })
    }
  }

  /** Begins on this socket. */
  start(slot: Slot): void {
    // It gave up while it waited for a socket.
    if (this.#step === 'done') return this.#home.release(slot)
    const { method, path, headers, body, timeouts } = this.#request
    // It waited for a socket, or has only just begun.
    const waited = this.place >= 0
    if (waited) this.#deadlines.forget(this)
    this.#slot = slot
    this.#step = 'connecting'
    this.due = Math.min(this.#totalDue, (waited ? this.#clock.mono() : this.#started) + timeouts.connect)
    this.#deadlines.watch(this)
    // Some servers compress unless told not to.
    const identity = headers['accept-encoding'] === undefined ? { ...headers, 'accept-encoding': 'identity' } : headers
    slot.client.dispatch({ method, path, headers: identity, body: body ?? null }, this)
  }

  /** Every socket is taken: waits for one within its total time. */
  wait(): void {
    this.#deadlines.watch(this)
  }

  expire(): void {
    const step = this.#step
    if (step === 'waiting') return this.#fail('connection.deadline', { phase: 'socket' })
    if (step === 'connecting') {
      const total = this.#totalDue <= this.due
      const phase = this.#slot?.opening?.stage() ?? 'connect'
      return this.#fail(total ? 'connection.deadline' : 'connection.unreachable', { phase, reason: 'timeout' })
    }
    if (this.#body && this.#later(this.#body)) return
    const phase = step === 'sent' ? 'first-byte' : 'body'
    this.#fail('connection.timeout', { phase, ...(this.#body ? { status: this.#status } : {}) })
  }

  cancel(reason: unknown): void {
    this.#fail('cancelled', { sent: this.#step === 'sent' || this.#step === 'answering' }, reason)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#step === 'done') return controller.abort(new Error('it ended before it was sent'))
    const slot = this.#slot!
    const now = this.#clock.mono()
    this.#controller = controller
    this.#reused = slot.served > 0
    this.#opened = slot.opened
    slot.opened = undefined
    if (now >= this.#totalDue) return this.#fail('connection.deadline', { phase: 'connect', reason: 'timeout' })
    this.#step = 'sent'
    this.#sentAt = now
    this.due = Math.min(this.#totalDue, now + this.#request.timeouts.firstByte)
  }

  onResponseStarted(): void {
    this.#bytes = true
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: object): void {
    // 103 Early Hints and its like: the answer is still to come.
    if (status < 200 || this.#step !== 'sent') return
    this.#step = 'answering'
    const now = this.#clock.mono()
    this.#firstByte = now - this.#sentAt
    this.#status = status
    this.#headers = joined(headers as Record<string, string | string[] | undefined>)
    if (this.#streaming) return this.#handOver(this.#streaming)
    this.#wait(now, this.#request.timeouts.idle)
    if (this.#request.method !== 'HEAD' && Number(this.#headers['content-length']) > this.#request.maxBytes)
      this.#tooLarge()
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Uint8Array): void {
    if (this.#step !== 'answering') return
    if (this.#body) return this.#body.push(chunk)
    this.#size += chunk.byteLength
    if (this.#size > this.#request.maxBytes) return this.#tooLarge()
    const { idle } = this.#request.timeouts
    if (idle !== undefined) this.due = Math.min(this.#totalDue, this.#clock.mono() + idle)
    if (this.#first === undefined) this.#first = chunk
    else (this.#more ??= [this.#first]).push(chunk)
  }

  onResponseEnd(_: Dispatcher.DispatchController, trailers: object): void {
    if (Object.keys(trailers).length > 0)
      this.#trailers = joined(trailers as Record<string, string | string[] | undefined>)
    const slot = this.#slot!
    slot.served++
    if (this.#step === 'answering') {
      if (this.#body) {
        this.#end()
        this.#body.end()
      } else {
        const body = this.#more ? Buffer.concat(this.#more, this.#size) : (this.#first ?? empty)
        const coding = body.byteLength === 0 ? undefined : codingOf(this.#headers)
        if (coding !== undefined && decodable(coding)) this.#decode(coding, body)
        else this.#answer(body)
      }
    }
    this.#home.release(slot)
  }

  #answer(body: Uint8Array): void {
    this.#end()
    const whole = { status: this.#status, headers: this.#headers, body, phases: this.#phases() }
    this.#resolve(this.#trailers ? { ...whole, trailers: this.#trailers } : whole)
  }

  /** The deadline holds meanwhile: an answer that is decoded too late is none. */
  #decode(coding: string, body: Uint8Array): void {
    const { maxBytes } = this.#request
    this.due = this.#totalDue
    decodeBody(coding, body, maxBytes, (decoded) => {
      if (this.#step === 'done') return
      if ('body' in decoded) {
        const { 'content-encoding': _coding, 'content-length': _length, ...headers } = this.#headers
        this.#headers = headers
        return this.#answer(decoded.body)
      }
      const { reason, cause } = decoded
      this.#fail('connection.response', { reason, status: this.#status, coding, maxBytes }, cause)
    })
  }

  /** The next byte is due within so many milliseconds, or the end of it all within the total. */
  #wait(now: number, ms: number | undefined): void {
    const due = ms === undefined ? this.#totalDue : Math.min(this.#totalDue, now + ms)
    const sooner = due < this.due
    if (sooner) this.#deadlines.forget(this)
    this.due = due
    if (sooner) this.#deadlines.watch(this)
  }

  onResponseError(_: Dispatcher.DispatchController | null, error: Error): void {
    const slot = this.#slot!
    if (this.#step !== 'done') this.#failed(error, slot)
    this.#home.release(slot)
  }

  #failed(error: Error, slot: Slot): void {
    const reason = reasonOf(error)
    if (this.#step === 'connecting') {
      if (reason === refusedCode) return this.#fail('connection.target', {}, error)
      if (reason === 'UND_ERR_INVALID_ARG') return this.#fail('bug', { reason }, error)
      const phase = slot.stage ?? 'connect'
      // A peer that goes away during the handshake is a network failure; anything else there is about trust.
      const network = phase !== 'tls' || /^(?:ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)$/.test(reason)
      return this.#fail(network ? 'connection.unreachable' : 'connection.tls', { phase, reason }, error)
    }
    if (this.#step === 'answering') {
      if (this.#body && !isBroken(reason))
        return this.#fail('connection.cut', { reason, phase: 'body', status: this.#status }, error)
      return this.#fail(
        'connection.response',
        { reason: isBroken(reason) ? 'protocol' : 'truncated', status: this.#status },
        error,
      )
    }
    // Lengths that contradict are seen with the headers; a body of another length than announced comes after them.
    if (isBroken(reason) || reason === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH')
      return this.#fail('connection.response', { reason: 'protocol' }, error)
    // HTTP/2: they say that they have not begun on it (RFC 9113 §8.7).
    if (error.message.includes('REFUSED_STREAM'))
      return this.#fail('connection.unreachable', { phase: 'stream', reason: 'REFUSED_STREAM' }, error)
    const reused = this.#reused && !this.#bytes
    if (reused) this.#home.distrust()
    this.#fail('connection.cut', { reason, reused }, error)
  }

  /** The head is there: from now on the reader's pace decides, and the times of a stream hold. */
  #handOver({ idle, whole, opened }: Streaming): void {
    const controller = this.#controller!
    this.#totalDue = this.#started + (whole ?? Number.POSITIVE_INFINITY)
    const body = new StreamBody({
      now: () => this.#clock.mono(),
      pause: () => controller.pause(),
      resume: () => controller.resume(),
      stop: () => this.#fail('cancelled', { sent: true }),
    })
    this.#body = body
    this.#deadlines.forget(this)
    this.due = Math.min(this.#totalDue, this.#clock.mono() + idle)
    this.#deadlines.watch(this)
    opened({
      status: this.#status,
      headers: this.#headers,
      phases: this.#phases(),
      chunks: body,
      trailers: () => this.#trailers ?? {},
    })
  }

  /** The time that was set has come, but the reader has not waited so long: it is set anew, once an `idle` and not with every chunk. */
  #later(body: StreamBody): boolean {
    const now = this.#clock.mono()
    const due = Math.min(this.#totalDue, (body.waitingSince ?? now) + this.#streaming!.idle)
    if (due <= now + 0.5) return false
    this.due = due
    this.#deadlines.watch(this)
    return true
  }

  #tooLarge(): void {
    const { maxBytes } = this.#request
    this.#fail('connection.response', { reason: 'too-large', status: this.#status, maxBytes })
  }

  #fail(code: Code, detail: Readonly<Record<string, unknown>>, cause?: unknown): void {
    if (this.#step === 'done') return
    const waiting = this.#step === 'waiting'
    const sent = this.#controller
    this.#end()
    const failure = fault(code, {
      detail: { ...detail, phases: this.#phases() },
      ...(cause === undefined ? {} : { cause }),
    })
    if (this.#body) this.#body.fail(failure)
    else this.#reject(failure)
    if (waiting) return this.#home.leave(this)
    if (sent) sent.abort(failure)
    else this.#slot?.opening?.abandon(failure)
  }

  #end(): void {
    this.#step = 'done'
    this.#deadlines.forget(this)
    if (this.#abort) this.#request.signal?.removeEventListener('abort', this.#abort)
  }

  #phases(): Phases {
    const total = this.#clock.mono() - this.#started
    if (this.#opened)
      return { ...this.#opened, ...(this.#firstByte === undefined ? {} : { firstByte: this.#firstByte }), total }
    return this.#firstByte === undefined ? { total } : { firstByte: this.#firstByte, total }
  }
}

const empty = new Uint8Array(0)

/** Repeated fields as one string; the object itself when there are none, which is nearly always. */
function joined(headers: Record<string, string | string[] | undefined>): Readonly<Record<string, string>> {
  let out: Record<string, string> | undefined
  for (const name in headers) {
    const value = headers[name]
    if (typeof value === 'string') continue
    out ??= { ...(headers as Record<string, string>) }
    if (value === undefined) delete out[name]
    else out[name] = value.join(name === 'set-cookie' ? '\n' : ', ')
  }
  return out ?? (headers as Record<string, string>)
}

/** What came is not HTTP. Not all errors of undici's parser have a code. */
function isBroken(reason: string): boolean {
  return reason === 'UND_ERR_HEADERS_OVERFLOW' || reason === 'HTTPParserError' || reason.startsWith('HPE_')
}

function reasonOf(error: Error): string {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' ? code : error.name
}
