import type { HttpOut, HttpRequest, HttpResponse, HttpStream } from '#kernel/http.ts'
import type { Meant } from '../answers/classify.ts'
import type { Left } from '../answers/rate-limit.ts'
import type { OperationSpec } from '../define.ts'
import type { Sent } from '../unrender.ts'
import { grpcProtocol } from './grpc/grpc.ts'
import { graphqlProtocol } from './graphql/graphql.ts'
import { soapProtocol } from './soap/soap.ts'
import { streamProtocol } from './streams/open.ts'
import { streamPlan, type StreamPlan } from './streams/options.ts'

/** An answer; of a stream that has begun, its head, and what is still to come. */
export type Exchanged = HttpResponse & { readonly stream?: HttpStream; readonly reading?: Reading }

/** What a protocol has read in an answer, once for all who ask. */
export type Reading = {
  /** For the rules of the connection. */
  readonly body: unknown
  /** What goes to the output schema. */
  readonly value?: unknown
  /** What it means where no rule of the connection says otherwise. Absent: what its status says. */
  readonly meant?: Meant
  /** What is left of their limit. */
  readonly left?: Left
}

/** What bounds a call from outside: an answer that goes on after the attempt that began it must keep to it. */
export type Bounds = { readonly deadline?: number; readonly signal?: AbortSignal }

/** Where a protocol on top of HTTP differs from REST. What is absent is as for REST. */
export type Protocol = {
  /** In place of the operation's defaults; what the definition says wins. */
  readonly headers?: Readonly<Record<string, string>>
  /** By its nature the same when it is repeated, whatever the method. */
  readonly natural?: boolean
  /** How the input goes, path parameters aside: as fields of the query, or as the body. */
  readonly encode?: (
    fields: Readonly<Record<string, unknown>>,
  ) => { readonly query: Readonly<Record<string, unknown>> } | { readonly body: string | Uint8Array }
  /** `encode` backwards: the fields that a request was made from, or undefined when it is another operation's of the same line. */
  readonly fields?: (sent: Sent) => Iterable<readonly [string, unknown]> | undefined
  /** `now` is monotonic milliseconds. */
  readonly send?: (http: HttpOut, wire: HttpRequest, bounds: Bounds, now: number) => Promise<Exchanged>
  /** Its items come one by one after the head: an attempt ends there, with nothing to decode or to check yet. */
  readonly stream?: StreamPlan
}

/** The protocol of an operation, or undefined for plain REST. */
export function protocolOf(spec: OperationSpec, method: string): Protocol | undefined {
  const stream = spec.stream === undefined ? undefined : streamPlan(spec.stream, method, spec.answer ?? 'json')
  if (spec.grpc !== undefined) return grpcProtocol(spec.grpc, spec.http, stream)
  if (stream) return streamProtocol(stream)
  if (spec.soap !== undefined) return soapProtocol(spec.soap)
  if (spec.graphql !== undefined) return graphqlProtocol(spec.graphql, method)
  return undefined
}
