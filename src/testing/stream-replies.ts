import type { Clock } from '#kernel/clock.ts'
import { fault, type Fault } from '#kernel/fault.ts'
import type { HttpStream, HttpStreamRequest } from '#kernel/http.ts'
import type { Operation } from '#patterns/connections/define.ts'
import { message } from './protocol-replies.ts'

/** A body that comes in parts: see `stream`. */
export type StreamReply = {
  readonly '~reply': 'stream'
  readonly parts: readonly unknown[]
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly trailers?: Readonly<Record<string, string>>
}

/**
 * A streamed answer. Text and bytes are one chunk each, as they are; `cut` ends the connection there, `hang` falls silent there; any
 * other value is written as the operation's stream writes one: an event with it as `data`, or a line of JSON.
 *
 * @example
 * t.answer(feed.changes, stream({ id: 1 }, 'data: {"id":', '2}\n\n', cut), stream({ id: 3 }))
 */
export function stream(...parts: readonly unknown[]): StreamReply {
  return { '~reply': 'stream', parts, status: 200, headers: {} }
}

/** The stream as a client sees it: in virtual time, with the faults of the real one. */
export function playStream(
  reply: StreamReply,
  operation: Operation,
  request: HttpStreamRequest,
  clock: Clock,
): HttpStream {
  const hung = new Hung(clock, request.signal)
  async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
    for (const part of reply.parts) {
      const kind = (part as { '~reply'?: unknown } | null)?.['~reply']
      if (request.signal?.aborted) throw fault('cancelled')
      if (kind === 'cut') throw fault('connection.cut', { detail: { phase: 'body', status: reply.status } })
      else if (kind === 'hang')
        await hung.until(Math.min(request.idle, request.whole ?? Number.POSITIVE_INFINITY), 'body')
      else yield bytesOf(part, operation)
    }
  }
  const trailers: Readonly<Record<string, string>> = kindOf(operation) === 'grpc' ? { 'grpc-status': '0' } : {}
  return {
    status: reply.status,
    headers: headersOf(reply, operation),
    phases: { total: 0 },
    chunks: chunks(),
    trailers: () => ({ ...trailers, ...reply.trailers }),
  }
}

/** Waits for what never comes: ends with the caller's limit or its signal, whichever is first. */
export class Hung {
  readonly #clock: Clock
  readonly #signal: AbortSignal | undefined

  constructor(clock: Clock, signal: AbortSignal | undefined) {
    this.#clock = clock
    this.#signal = signal
  }

  until(ms: number, phase: string): Promise<never> {
    const signal = this.#signal
    return new Promise((_, reject) => {
      const end = (reason: Fault): void => {
        cancel()
        signal?.removeEventListener('abort', aborted)
        reject(reason)
      }
      const aborted = (): void => end(fault('cancelled'))
      const cancel = this.#clock.after(ms, () => end(fault('connection.timeout', { detail: { phase } })))
      signal?.addEventListener('abort', aborted, { once: true })
    })
  }
}

const types = { sse: 'text/event-stream', ndjson: 'application/x-ndjson', grpc: 'application/grpc+proto' } as const

function headersOf(reply: StreamReply, operation: Operation): Readonly<Record<string, string>> {
  return { 'content-type': types[kindOf(operation)], ...reply.headers }
}

function kindOf({ spec: { stream } }: Operation): keyof typeof types {
  return (typeof stream === 'object' ? stream.as : stream) ?? 'ndjson'
}

function bytesOf(part: unknown, operation: Operation): Uint8Array {
  if (part instanceof Uint8Array) return part
  const kind = kindOf(operation)
  if (typeof part !== 'string' && kind === 'grpc') return message(operation.spec, part)
  const events = kind === 'sse'
  const text =
    typeof part === 'string' ? part : `${events ? 'data: ' : ''}${JSON.stringify(part)}\n${events ? '\n' : ''}`
  return new TextEncoder().encode(text)
}
