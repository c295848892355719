import { fault } from '#kernel/fault.ts'
import { streamOf, type HttpOut, type HttpRequest, type HttpResponse } from '#kernel/http.ts'
import type { HttpStream, HttpStreamRequest } from '#kernel/http.ts'
import type { Clock } from '#kernel/clock.ts'
import type { OperationHandle } from '#kernel/handle.ts'
import type { Operation } from '#patterns/connections/define.ts'
import { whole } from '#patterns/connections/protocols/whole.ts'
import { parseTemplate, type Template } from '#patterns/connections/template.ts'
import { protocolOf, type Protocol } from '#patterns/connections/protocols/protocol.ts'
import { inputOf } from '#patterns/connections/unrender.ts'
import { wrapped } from './protocol-replies.ts'
import type { Reply } from './reply.ts'
import { Hung, playStream, type StreamReply } from './stream-replies.ts'

export type Called = {
  readonly input: Record<string, unknown>
  readonly key: string | undefined
  readonly at: number
  readonly request: Sent
}

type Sent = HttpRequest | HttpStreamRequest

type Script = {
  readonly template: Template
  readonly operation: Operation
  readonly protocol: Protocol | undefined
  readonly replies: unknown[]
  readonly called: Called[]
}

/** Scripted upstreams behind the HTTP port: retries, breakers, limits and keys in front of them are the real ones. */
export class ScriptedHttp implements HttpOut {
  readonly #clock: Clock
  readonly #scripts: Script[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The replies in order; the last one is repeated. A function is asked for each call. */
  answer(handle: OperationHandle, replies: readonly unknown[]): void {
    const script = this.#scripts.find((s) => s.operation === handle)
    if (script) {
      script.replies.splice(0, script.replies.length, ...replies)
      return
    }
    const operation = handle as Operation
    const template = parseTemplate(operation.spec.http)
    if ('problem' in template)
      throw fault('config.option', { message: `the line of ${operation.name} ${template.problem}` })
    const protocol = protocolOf(operation.spec, template.method)
    this.#scripts.push({ template, operation, protocol, replies: [...replies], called: [] })
  }

  called(handle: OperationHandle): readonly Called[] {
    return this.#scripts.find((s) => s.operation === handle)?.called ?? []
  }

  async send(request: HttpRequest): Promise<HttpResponse> {
    const { reply: r, operation } = await this.#next(request)
    if (r['~reply'] !== 'stream') return this.#play(r, request)
    const idle = request.timeouts.total
    return whole(playStream(r, operation, { ...request, idle }, this.#clock), request.maxBytes)
  }

  async stream(request: HttpStreamRequest): Promise<HttpStream> {
    const { reply: r, operation } = await this.#next(request)
    if (r['~reply'] !== 'stream') return streamOf(await this.#play(r, request))
    return playStream(r, operation, request, this.#clock)
  }

  async #next(request: Sent): Promise<{ readonly reply: Reply; readonly operation: Operation }> {
    const found = this.#find(request)
    if (found) {
      const { script: s, input } = found
      s.called.push({
        input,
        key: request.headers[s.operation.spec.keyHeader ?? 'idempotency-key'],
        at: this.#clock.now(),
        request,
      })
      const next = s.replies.length > 1 ? s.replies.shift() : s.replies[0]
      const value: unknown = typeof next === 'function' ? await (next as (input: unknown) => unknown)(input) : next
      return { reply: isReply(value) ? value : wrapped(s.operation, value), operation: s.operation }
    }
    throw fault('connection.unreachable', {
      message: `no reply is scripted for ${request.method} ${request.path}: use t.answer(operation, reply)`,
      detail: { phase: 'connect' },
    })
  }

  /** Base paths are not known here: of several lines that a path ends with, it is the one of which most fits. */
  #find(request: Sent): { readonly script: Script; readonly input: Record<string, unknown> } | undefined {
    let best: { readonly script: Script; readonly input: Record<string, unknown>; readonly fits: number } | undefined
    for (const script of this.#scripts) {
      if (script.operation.connection !== request.pool) continue
      const input = inputOf(script.template, request, script.protocol)
      const fits = script.template.texts.join('').length
      if (input && (best === undefined || fits > best.fits)) best = { script, input, fits }
    }
    return best
  }

  #play(r: Exclude<Reply, StreamReply>, request: Sent): Promise<HttpResponse> {
    if (r['~reply'] === 'refused')
      return Promise.reject(fault('connection.unreachable', { detail: { phase: 'connect' } }))
    if (r['~reply'] === 'cut') return Promise.reject(fault('connection.cut', { detail: { phase: 'first-byte' } }))
    if (r['~reply'] === 'hang') return this.#hang(request)
    const headers = { 'content-type': 'application/json', ...r.headers }
    if (r.body instanceof Uint8Array)
      return Promise.resolve({ status: r.status, headers, body: r.body, phases: { total: 0 } })
    const body = typeof r.body === 'string' ? r.body : JSON.stringify(r.body)
    return Promise.resolve({ status: r.status, headers, body: new TextEncoder().encode(body), phases: { total: 0 } })
  }

  async #hang(request: Sent): Promise<never> {
    const hung = new Hung(this.#clock, request.signal)
    return hung.until(Math.min(request.timeouts.firstByte, request.timeouts.total), 'first-byte')
  }
}

function isReply(value: unknown): value is Reply {
  return typeof value === 'object' && value !== null && '~reply' in value
}
