import type { HttpOut, HttpRequest, HttpResponse, HttpStream } from '#kernel/http.ts'
import type { OperationSpec } from '../define.ts'
import type { Ready } from '../operation.ts'
import { streamProtocol } from './streams/open.ts'
import { streamPlan, type StreamPlan } from './streams/options.ts'

/** An answer; of a stream that has begun, its head, and what is still to come. */
export type Exchanged = HttpResponse & { readonly stream?: HttpStream }

/** What bounds a call from outside: an answer that goes on after the attempt that began it must keep to it. */
export type Bounds = { readonly deadline?: number; readonly signal?: AbortSignal }

/** Where a protocol on top of HTTP differs from REST. What is absent is as for REST. */
export type Protocol = {
  /** In place of the operation's defaults; what the definition says wins. */
  readonly headers?: Readonly<Record<string, string>>
  readonly render?: Ready['render']
  /** `now` is monotonic milliseconds. */
  readonly send?: (http: HttpOut, wire: HttpRequest, bounds: Bounds, now: number) => Promise<Exchanged>
  /** Its items come one by one after the head: an attempt ends there, with nothing to decode or to check yet. */
  readonly stream?: StreamPlan
}

/** The protocol of an operation, or undefined for plain REST. */
export function protocolOf(spec: OperationSpec, method: string): Protocol | undefined {
  if (spec.stream !== undefined) return streamProtocol(streamPlan(spec.stream, method, spec.answer ?? 'json'))
  return undefined
}
