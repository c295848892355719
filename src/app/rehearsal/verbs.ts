import type { Write } from '#adapters/stores/port.ts'
import type { CallOptions, EachOptions, ItemOf, PublishOptions } from '#kernel/context.ts'
import { fault } from '#kernel/fault.ts'
import type { OperationHandle, TopicHandle } from '#kernel/handle.ts'
import { streamOf, type HttpRequest, type HttpResponse, type HttpStreamRequest } from '#kernel/http.ts'
import type { Position } from '#kernel/message.ts'
import type { Draft } from '#journal/log.ts'
import { operationsOf, type ConnectionDefinition } from '#patterns/connections/define.ts'
import { isSafe, prepare } from '#patterns/connections/operation.ts'
import { operationMasking } from '#patterns/connections/records/options.ts'
import type { CallRecord } from '#patterns/connections/records/record.ts'
import { openConnection, type OpenConnection } from '#patterns/connections/run.ts'
import { draft, type Origin } from '#patterns/topics/publish.ts'
import type { OperationDeps } from '../operations/deps.ts'
import { laterMessage, receipt, type Deferred, type LaterOptions } from '../later-call.ts'
import { callOptions, walkOptions, type Caller, type RunVerbs } from '../verbs.ts'
import { answerOf, isLike } from './first-calls.ts'

/** What a call sends, whole answer or stream. */
type Sent = HttpRequest | HttpStreamRequest

export type NotedPublish = { readonly topic: string; readonly draft: Draft; readonly delayed: boolean }
export type NotedCall = {
  readonly record: CallRecord
  /** What the first run sent under the same key, or of the same kind. */
  readonly first: CallRecord | undefined
}

/**
 * The verbs of a rehearsed run: what it would publish and call is noted, and not done. A call goes through its connection as ever, as far
 * as the socket; there it gets the answer that the first run got, or `rehearsal.unanswered`.
 */
export class NotingVerbs implements RunVerbs {
  readonly publishes: NotedPublish[] = []
  /** Those that may have an effect: reads are not among them. */
  readonly calls: NotedCall[] = []
  /** `connection.operation` of the calls that nobody could answer. */
  readonly unanswered: string[] = []
  readonly #deps: OperationDeps
  readonly #first: readonly CallRecord[]
  readonly #used = new Set<CallRecord>()

  /** `first`: the calls that were made when this message was handled before, oldest first. */
  constructor(deps: OperationDeps, first: readonly CallRecord[]) {
    this.#deps = deps
    this.#first = first
  }

  /** What the first run sent and this one did not. */
  get unmatched(): readonly CallRecord[] {
    return this.#first.filter((r) => !this.#used.has(r) && !isSafe(r.method))
  }

  /** It has no place in the log: partition and offset are -1. */
  async publish(handle: TopicHandle, data: unknown, options: PublishOptions, origin: Origin): Promise<Position> {
    await this.#note(handle, data, options, origin)
    return { topic: handle.name, partition: -1, offset: -1 }
  }

  async appending(handle: TopicHandle, data: unknown, options: PublishOptions, origin: Origin): Promise<Write> {
    const noted = await this.#note(handle, data, options, origin)
    const { log } = this.#deps.journal
    return { write: 'append', entries: [log.entry(log.topic(handle.name), noted)] }
  }

  async #note(handle: TopicHandle, data: unknown, options: PublishOptions, origin: Origin): Promise<Draft> {
    const definition = this.#deps.definitions.topics.get(handle.name)
    if (!definition) throw fault('topic.unknown', { message: `the topic "${handle.name}" was not passed in \`use\`` })
    const made = await draft(definition, data, options, origin, this.#deps.runtime.ids)
    this.publishes.push({ topic: handle.name, draft: made, delayed: options.delay !== undefined })
    return made
  }

  async deferred(operation: OperationHandle, input: unknown, options: LaterOptions, id: string): Promise<Deferred> {
    const connection = this.#connection(operation)
    try {
      return laterMessage(operation, await connection.deferred(operation, input), options, id)
    } finally {
      connection.close()
    }
  }

  async call<Output>(
    operation: OperationHandle<never, Output>,
    input: unknown,
    options: CallOptions,
    caller: Caller,
  ): Promise<Output> {
    const connection = this.#connection(operation)
    try {
      return await connection.call(
        operation as OperationHandle<unknown, Output>,
        input,
        callOptions(this.#deps.runtime, options, caller),
      )
    } finally {
      connection.close()
    }
  }

  async *each<Output>(
    operation: OperationHandle<never, Output>,
    input: unknown,
    options: EachOptions<ItemOf<Output>>,
    caller: Caller,
  ): AsyncGenerator<ItemOf<Output>, void> {
    const connection = this.#connection(operation)
    try {
      yield* connection.each(
        operation as OperationHandle<unknown, Output>,
        input,
        walkOptions(this.#deps.runtime, options, caller),
      )
    } finally {
      connection.close()
    }
  }

  /** The connection without what concerns its owner only: credential, limits, retries, and a breaker that has seen others fail. */
  #connection(operation: OperationHandle): OpenConnection {
    const definition = this.#deps.definitions.connections.get(operation.connection)
    if (!definition) {
      throw fault('app.unknown', {
        message: `the connection "${operation.connection}" was not passed in \`use\``,
        detail: { connection: operation.connection },
      })
    }
    const { auth: _auth, limit: _limit, ...options } = definition.options
    let first: CallRecord | undefined
    const send = (request: Sent): Promise<HttpResponse> => {
      first = this.#match(definition, operation, request)
      const answer = first && answerOf(first)
      if (answer) return Promise.resolve(answer)
      const name = `${operation.connection}.${operation.name}`
      this.unanswered.push(name)
      return Promise.reject(fault('rehearsal.unanswered', { message: `no whole answer of ${name} is on record` }))
    }
    return openConnection(
      { ...definition, options: { ...options, retry: false } },
      {
        runtime: { ...this.#deps.runtime, http: { send, stream: async (request) => streamOf(await send(request)) } },
        others: {
          call: (other, input, given) => this.call(other, input, {}, given),
          later: async (other, input, key, deliver) => {
            const given = { later: true, key, ...(deliver === undefined ? {} : { deliver }) } as const
            const made = await this.deferred(other, input, given, key)
            return receipt(made, await this.publish(made.topic, made.data, made.options, { attributes: {} }))
          },
        },
        record: (ended) => {
          const record = ended.record()
          if (!isSafe(record.method)) this.calls.push({ record, first })
        },
      },
    )
  }

  /** Under a key: what was sent under that key. Without one: the same request, the next that was not taken yet. */
  #match(definition: ConnectionDefinition, operation: OperationHandle, request: Sent): CallRecord | undefined {
    const known = operationsOf(definition).find((o) => o.name === operation.name)
    if (known === undefined) return undefined
    const { spec } = known
    const masking = operationMasking(definition.options, spec, this.#deps.runtime.redact)
    const of = this.#first.filter((r) => r.connection === operation.connection && r.operation === operation.name)
    if (spec.idempotent === 'key') {
      const key = masking.text(request.headers[(spec.keyHeader ?? 'idempotency-key').toLowerCase()] ?? '')
      const under = of.filter((r) => r.key === key)
      for (const r of under) this.#used.add(r)
      return under.findLast((r) => r.outcome === 'ok') ?? under.at(-1)
    }
    const like = of.filter((r) => isLike(r, request, prepare(known, definition.options).shape, masking))
    const next =
      like.find((r) => r.outcome === 'ok' && !this.#used.has(r)) ??
      like.findLast((r) => r.outcome === 'ok') ??
      like.at(-1)
    if (next) this.#used.add(next)
    return next
  }
}
