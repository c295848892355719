/**
 * A connection: an outside API, and the operations it offers. Definition only: nothing is opened or read here.
 *
 * It is: a base address, one credential, the limits and patience that hold for all its operations, and each operation as
 * a line (`'POST /charges/:id'`) with its schemas. `ctx.call(payments.charge, input)` calls one, `ctx.each` walks a paged one.
 * It is not: a client object (nothing to construct or pass around), a place for code that runs before or after a call (that
 * is a mapping), or a proxy for paths that were not declared.
 * Words it adds: *connection*, *operation*, *verify*, *rule*, *call record*, *intent*.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { define, type Definition } from '#kernel/definition.ts'
import type { Duration } from '#kernel/duration.ts'
import type { OperationHandle } from '#kernel/handle.ts'
import type { Schema } from '#kernel/schema.ts'
import type { Secret } from '#kernel/secret.ts'
import type { BreakerOptions } from '#resilience/breaker.ts'
import type { BulkheadOptions } from '#resilience/bulkhead.ts'
import type { Rate } from '#resilience/rate.ts'
import type { RetryOptions, RetrySchedule } from '#resilience/retry.ts'
import type { Auth } from './auth/auth.ts'
import type { Rule } from './answers/classify.ts'
import type { CacheOptions } from './cache/define.ts'
import type { FallbackStep } from './fallback/fallback.ts'
import type { LaterSettings } from './later/later.ts'
import type { ApiVersion } from './endings/version.ts'
import type { DriftOptions } from './drift/watch.ts'
import type { Pages } from './paging/paging.ts'
import type { RecordOptions } from './records/options.ts'
import type { QueryStyle } from './template.ts'
import type { GraphqlOptions } from './protocols/graphql/options.ts'
import type { SoapOptions } from './protocols/soap/options.ts'
import type { ProtoRoot } from './protocols/grpc/proto.ts'
import type { StreamKind, StreamOptions } from './protocols/streams/options.ts'

export type ConnectionOptions = {
  /** `https://host[:port][/path]`: no user, query or fragment. Plain http only to this machine. */
  readonly baseUrl: string
  /** `bearer`, `apiKey`, `basic`, `hmac`, `awsSigV4`, `clientCredentials`, `jwtBearer` or `authorizationCode`. Default none. */
  readonly auth?: Auth
  /** How lists and objects of an input are spelled in a query. Default `repeat`: `a=x&a=y`, and no objects. */
  readonly queryStyle?: QueryStyle
  /** Sent with every operation. Names and values in the clear: a secret belongs into `auth`. */
  readonly headers?: Readonly<Record<string, string>>
  /**
   * Whole call, retries and waits included: 30 s. For each attempt `connect` 3 s and `firstByte` 10 s, or the total where that is
   * longer than 30 s; `idle`, a pause in the middle of an answer, as `firstByte`.
   */
  readonly timeout?: Duration | Timeouts
  /** Default 4 retries from 1 s, doubling to 60 s, jitter +0–25 %, at most 10 % of the calls of 10 s. `false`: never. */
  readonly retry?: RetryOptions | RetrySchedule | false
  /** Default opens after 5 failures in a row, 5 in 60 s, or more than half of 10 calls; for 30 s, growing to 60 s. */
  readonly breaker?: BreakerOptions
  /** `'50/s'`, or several windows at once: `['50/s', '100000/day']`. Default none. Counts every attempt that is sent. */
  readonly limit?: Rate | readonly Rate[]
  /** Default 20 calls under way and 100 waiting. */
  readonly bulkhead?: BulkheadOptions
  /**
   * Allows `call(…, { later: true })`: such calls are kept in the topic `call.<connection>` of the store, 16 partitions, and made
   * by an internal subscription of that name. `true`: with all defaults. Default: none are taken.
   */
  readonly later?: true | LaterSettings
  /**
   * Answers are kept and given again by the rules of HTTP: by what they say of their own freshness. `true`: with all defaults. For all
   * operations that are GET, HEAD or QUERY; an operation may say otherwise. Not for what must be true this instant. Default: nothing is kept.
   */
  readonly cache?: true | CacheOptions
  /** What answers mean, before the common table is asked. First that fits. */
  readonly rules?: readonly Rule[]
  /** What is kept of its calls, beside that keys, tokens, card numbers and personal data are masked. */
  readonly record?: RecordOptions
  /** Longest answer in bytes; a longer one is cut off and refused. Default 8 MiB. */
  readonly maxBytes?: number
  /**
   * Asks for answers in gzip or br: for long lists, and slow or metered networks. Decoding costs about 14 µs of CPU for 1 KB, 0.1 ms
   * for 100 KB and 0.5 ms for 550 KB; it may grow to `maxBytes`, and to 1,000 times what came. Default false: short answers cost less
   * as they are. What comes compressed unasked is read all the same.
   */
  readonly compressed?: boolean
  /** The version of their API, pinned; and when it ends. Default: whatever they send. */
  readonly apiVersion?: ApiVersion
  /**
   * What the answers look like is learned, operation by operation and status by status, and a change is told: in the log, by
   * `fairlead drift`, on a topic. Default one answer a minute, told from 7 days on. `false`: never looked at.
   */
  readonly drift?: DriftOptions | false
  /** At least TLS 1.2 and verified, always; here what is trusted in addition, and what we show of ourselves. */
  readonly tls?: TlsOptions
  /** Allows an `http://` baseUrl to another machine: everything, credentials included, is then readable on the way. */
  readonly insecure?: 'allow-http'
}

export type TlsOptions = {
  /** Certificates (PEM) of private authorities, trusted in addition to the system's. As a secret they rotate without a restart. */
  readonly ca?: readonly (string | Secret)[]
  /** Keys (base64 SHA-256 of SPKI), one of which must be in the chain, which must be valid besides. Name the next one before it is used. */
  readonly pins?: readonly string[]
  /**
   * Our certificate (mutual TLS, PEM, with what stands between it and their authority) and its key, without a passphrase. When the
   * secret rotates new sockets show the new one and no request fails. `connection.certificate` is logged 14 days before its end.
   */
  readonly cert?: string | Secret
  readonly key?: Secret
}

export type Timeouts = {
  readonly connect?: Duration
  readonly firstByte?: Duration
  readonly idle?: Duration
  readonly total?: Duration
}

export type OperationOptions = {
  /** Method and path; `:name` is filled from the input. `'GET /shops/:shop/orders.json?status=any'`. */
  readonly http: string
  /**
   * How it may be repeated when nobody knows whether it worked. `'key'`: an idempotency key is sent, the same with every
   * repetition. `'natural'`: twice has the effect of once (put, set, delete). Default: by method (RFC 9110 §9.2.2), so
   * POST and PATCH are not repeated unless `verify` is declared.
   */
  readonly idempotent?: 'key' | 'natural' | false
  /** Field that carries the key. Default `idempotency-key`. */
  readonly keyHeader?: string
  /** Input fields that go into the query although the method has a body. */
  readonly query?: readonly string[]
  /** How the rest of the input is sent by a method with a body. Default `json`. Named with DELETE, it is sent there too. */
  readonly body?: 'json' | 'form'
  /** The one input field that is the whole JSON body, for a body that is a list or a text beside parameters. */
  readonly bodyField?: string
  /**
   * Input fields that are sent as header fields: `{ ifMatch: 'if-match' }`. Texts, numbers and booleans; absent ones are
   * not sent. They stand in call records: a secret belongs into `auth`.
   */
  readonly headerFields?: Readonly<Record<string, string>>
  /** What the answer is. Default `json`: anything else is `connection.response`. */
  readonly answer?: 'json' | 'text' | 'bytes'
  /** How a list goes on, for `each`. */
  readonly pages?: Pages
  /** A GraphQL document: the input are its variables, the output is `data`. With `http: 'POST /graphql'`. */
  readonly graphql?: string | GraphqlOptions
  /** A SOAP envelope with slots for the input. With `http: 'POST /service'`. */
  readonly soap?: SoapOptions
  /** A method of gRPC: a `.proto` as protobufjs loads it. With `http: 'POST /shop.Stock/Get'`; `stream: 'grpc'` where it streams. */
  readonly grpc?: ProtoRoot
  /** The answer is a stream of items, for `each`; `output` is the schema of one. Default: one answer. */
  readonly stream?: StreamKind | StreamOptions
  /** Of GET, HEAD and QUERY that are no protocol: what differs from the `cache` of the connection. `false`: asked every time. */
  readonly cache?: boolean | CacheOptions
  /** Instead of the connection's total. Of a stream: until it begins. */
  readonly timeout?: Duration
  /** OAuth scopes that it needs, for the report of `fairlead scopes`. Not sent: what is asked for stands in `auth`. */
  readonly scopes?: readonly string[]
  /** In addition to the connection's. */
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * How to find out whether a call worked: a declared read, asked before a call is repeated whose outcome is unknown, and once
 * more when no repetition is left. `found` gives the answer of the call out of what was read, or undefined when it did not
 * happen. Between the read and a repetition the first call may still arrive at their side: a window that only a key closes.
 */
export type VerifyOptions<I, O, Ins, Outs> = {
  [V in keyof Ins & keyof Outs]: {
    readonly call: V
    readonly input: (input: I) => Ins[V]
    readonly found: (answer: Outs[V], input: I) => O | undefined
  }
}[keyof Ins & keyof Outs]

/** As the runtime sees it, types set aside. */
export type OperationSpec = OperationOptions & {
  readonly fallback?: readonly FallbackStep[]
  readonly input?: Schema
  readonly output?: Schema
  readonly verify?: {
    readonly call: string
    readonly input: (input: unknown) => unknown
    readonly found: (answer: unknown, input: unknown) => unknown
  }
}

/** What `call` and `each` take: the handle, with the declaration on it. */
export type Operation<Input = never, Output = unknown> = OperationHandle<Input, Output> & {
  readonly spec: OperationSpec
}

/** A connection whose operations are its properties: `payments.charge`. */
export type Connection<Ins, Outs, Streams = unknown> = ConnectionDefinition & {
  readonly [K in keyof Ins & keyof Outs]: Operation<
    Ins[K],
    Given<Outs[K], K extends keyof Streams ? Streams[K] : unknown>
  >
}

/** A streamed operation gives a list of what its `output` describes. */
type Given<Output, Stream> = Stream extends StreamKind | StreamOptions ? readonly Output[] : Output

export type ConnectionDefinition = Definition<'connection'> & { readonly options: ConnectionOptions }

/**
 * Defines a connection. `baseUrl` and `operations` alone are safe for production: bounded time, retries of what may be
 * repeated, breaker, bulkhead, own sockets, masked call records. All problems are reported together when the app starts.
 *
 * Faults of a call: `schema.invalid` (the input; nothing was sent), every `connection.*`, `cancelled`. A call that may have
 * happened is repeated only if that is safe; otherwise it ends as `connection.unverified`. What may change something is written down
 * before it is sent, so that after a crash in mid-call the message that is handled again finds what was sent under its key, and whether
 * it was answered (`docs/calls.md`).
 *
 * @example
 * export const payments = connection('payments', {
 *   baseUrl: 'https://api.payments.test',
 *   auth: bearer(secret('PAYMENTS_KEY')),
 *   operations: { charge: { http: 'POST /charges', input: NewCharge, output: Charge, idempotent: 'key' } },
 * })
 */
export function connection<Ins, Outs, Streams>(
  name: string,
  options: ConnectionOptions & {
    // Two mapped types, not one over a spec: each property is then inferred from its schemas alone, and the functions of
    // `verify` see the input and output types of all operations without an annotation.
    readonly operations: {
      readonly [K in keyof Ins]: OperationOptions & {
        /** Checked before anything is sent; what it returns is sent. */
        readonly input?: StandardSchemaV1<Ins[K], unknown>
      }
    } & {
      readonly [K in keyof Outs]: {
        /** Checked before the caller gets it; a misfit is `connection.response`. */
        readonly output?: StandardSchemaV1<unknown, Outs[K]>
        readonly verify?: K extends keyof Ins ? VerifyOptions<Ins[K], Outs[K], Ins, Outs> : never
        /**
         * What is answered when it cannot be called: the first step that works (`instead(…)`, `{ cached }`, `{ value }`,
         * `{ later, value }`), at most 10. Which faults lead there says each step. Default: none, the caller gets the fault.
         */
        readonly fallback?: K extends keyof Ins ? readonly FallbackStep<NoInfer<Ins[K]>, NoInfer<Outs[K]>>[] : never
      }
    } & { readonly [K in keyof Streams]: { readonly stream?: Streams[K] } }
  },
): Connection<Ins, Outs, Streams> {
  const { operations, ...rest } = options
  const definition: Record<string, unknown> = {}
  if (typeof operations === 'object' && operations !== null) {
    for (const [operation, spec] of Object.entries(operations)) {
      definition[operation] = Object.freeze({
        kind: 'operation',
        connection: name,
        name: operation,
        spec: { ...(spec as object) },
      })
    }
  }
  // Last, so that an operation of one of these names cannot replace them; `checkConnection` reports it.
  const taken = reserved.filter((r) => r in definition)
  Object.assign(definition, {
    kind: 'connection',
    name,
    options: { ...rest, ...(taken.length > 0 ? { [collided]: taken } : {}) },
  })
  return define(definition) as Connection<Ins, Outs, Streams>
}

/** Names that an operation cannot have. */
export const reserved = ['kind', 'name', 'options'] as const

/** Where a definition keeps names of operations that it could not take, for the check. */
export const collided = Symbol('collided')

/** The operations of a connection, by name. */
export function operationsOf(definition: ConnectionDefinition): readonly Operation<unknown, unknown>[] {
  return Object.entries(definition as unknown as Record<string, unknown>)
    .filter(([name]) => !(reserved as readonly string[]).includes(name))
    .map(([, operation]) => operation as Operation<unknown, unknown>)
}
