import type { Change, ItemOf, PollOptions } from '#kernel/context.ts'
import { fault } from '#kernel/fault.ts'
import type { OperationHandle } from '#kernel/handle.ts'
import type { Runtime } from '#kernel/runtime.ts'
import { breaker } from '#resilience/breaker.ts'
import { bulkhead } from '#resilience/bulkhead.ts'
import { compose, type Pipeline } from '#resilience/compose.ts'
import { limit } from '#resilience/limiter.ts'
import { retry } from '#resilience/retry.ts'
import { HttpCache, type CacheState, type Changes } from './cache/cache.ts'
import { invalidationsOf } from './cache/define.ts'
import { credentials, tokensOf } from './auth/auth.ts'
import { Authorization } from './auth/oauth/authorization.ts'
import type { Credentials } from './auth/credential.ts'
import type { TokenKeys } from './auth/oauth/store.ts'
import type { TokenState } from './auth/oauth/tokens.ts'
import { OneCall, type CallOptions } from './call.ts'
import type { Rule } from './answers/classify.ts'
import type { Fleet } from './fleet/fleet.ts'
import { SharedConnection } from './fleet/share.ts'
import type { IntentDeps } from './intents/intended.ts'
import { coercionNotes } from './answers/notes.ts'
import type { Coercion } from './answers/coerce.ts'
import { DriftWatch, type DriftKeep } from './drift/watch.ts'
import { EndingWatch, type EndingKeep } from './endings/watch.ts'
import { operationsOf, type ConnectionDefinition, type ConnectionOptions } from './define.ts'
import { callOrElse, type Others } from './fallback/chain.ts'
import { fallsBack } from './fallback/fallback.ts'
import { LastGood } from './fallback/last-good.ts'
import { deferred } from './later/later.ts'
import { prepare, type Ready } from './operation.ts'
import { poll } from './paging/poll.ts'
import { Polls, type PollState } from './paging/polls.ts'
import { walkPages, type WalkOptions } from './paging/walk.ts'
import { listed, walk } from './protocols/streams/walk.ts'
import type { EndedCall } from './records/record.ts'
import { Recorder } from './records/recorder.ts'

export type { CallOptions } from './call.ts'

export type ConnectionDeps = {
  readonly runtime: Pick<Runtime, 'clock' | 'random' | 'ids' | 'http' | 'secrets' | 'redact' | 'log'>
  /** Where calls that may change something are written down before they are sent. Default: nowhere. */
  readonly intents?: IntentDeps
  /** Other connections, and calls that are made later: what fallbacks use. Default: those steps fail. */
  readonly others?: Others
  /** Gets every call of which at least one attempt was sent, when it has ended. Must not throw or wait. */
  readonly record: (call: EndedCall) => void
  /** Where tokens are kept; absent: in memory alone. */
  readonly keys?: TokenKeys
  /** They let us in again: what is held for this connection may go on. */
  readonly recovered?: () => void
  /** A person has authorised it, by a link that `by` had made. */
  readonly authorized?: (by: string) => Promise<void>
  /** The other processes on the store. Absent: limits, breaker and cool-down are of this process alone. */
  readonly fleet?: Fleet
  /** Tells of messages in topics. Absent: what is to be forgotten by a topic is not kept at all. */
  readonly changes?: Changes
  /** Where learned shapes are kept. Absent: nothing is learned. */
  readonly drift?: DriftKeep
  /** Where is kept what answers say about their own end. Absent: it is not looked at. */
  readonly endings?: EndingKeep
}

/** What a status screen shows: plain JSON, of this process and since it was opened. */
export type ConnectionState = {
  readonly name: string
  /** The version of their API that is asked for. */
  readonly apiVersion?: string
  readonly breaker: 'closed' | 'open' | 'half-open' | 'isolated'
  /** RFC 3339; absent when closed or isolated. */
  readonly openUntil?: string
  /** RFC 3339: until then nothing is sent because they asked for it. */
  readonly coolUntil?: string
  /** `refused` from a 401 that no other current secret could answer, until a call succeeds again. */
  readonly credential: 'unused' | 'accepted' | 'refused'
  /** Of a connection with OAuth. */
  readonly token?: TokenState
  readonly running: number
  readonly waiting: number
  readonly counters: Readonly<Counters>
  /** Of a connection that keeps answers. */
  readonly cache?: CacheState
  /** Of each operation that was ever polled. */
  readonly polls?: readonly PollState[]
  readonly lastFault?: { readonly code: string; readonly time: string }
}

export type Counters = {
  calls: number
  succeeded: number
  failed: number
  /** Ended by ourselves before anything was sent: breaker, limit, bulkhead, deadline, input. */
  refused: number
  attempts: number
  retries: number
  verified: number
  /** Failed, and answered by a fallback. */
  fellBack: number
  /** Answers in which a number, boolean or text came spelled as another type than their schema says. */
  coerced: number
}

/** What the calls of one connection share. */
export type Shared = {
  readonly name: string
  readonly definition: ConnectionOptions
  readonly origin: string
  readonly rules: readonly Rule[]
  readonly maxBytes: number
  readonly auth: Credentials | undefined
  readonly recorder: Recorder
  readonly pipeline: Pipeline
  readonly deps: ConnectionDeps
  readonly counters: Counters
  readonly operations: ReadonlyMap<string, Ready>
  readonly lastGood: LastGood
  readonly cache: HttpCache | undefined
  readonly drift: DriftWatch | undefined
  readonly endings: EndingWatch | undefined
  readonly polls: Polls
  /** Takes note of an answer in which values had to be spelled the other way. */
  readonly coerced: (ready: Ready, coercions: readonly Coercion[]) => void
  credential: ConnectionState['credential']
  lastFault: { readonly code: string; readonly at: number } | undefined
  /** Streams that wait to be opened again: each ends its wait as `cancelled`. */
  readonly pauses: Set<() => void>
}

export interface OpenConnection {
  /** The validated answer. Rejects with a fault, see `connection`. */
  call<Input, Output>(operation: OperationHandle<Input, Output>, input: Input, options?: CallOptions): Promise<Output>
  /**
   * The items of a list, page after page; each page is a call of its own with its own total time, none beyond
   * `options.deadline`. The items of a stream as they come, see `walk`. Throws what a call throws, and `connection.pages` rather than end early in silence.
   */
  each<Input, Output>(
    operation: OperationHandle<Input, Output>,
    input: Input,
    options?: WalkOptions,
  ): AsyncGenerator<ItemOf<Output>, void>
  /** The answers that differ from the one before, until the signal is aborted. See `poll` in `paging/`. */
  poll<Input, Output>(
    operation: OperationHandle<Input, Output>,
    input: Input,
    options: PollOptions,
  ): AsyncGenerator<Change<Output>, void>
  /** The input of a call that is to be made later, as it is kept: checked now. See `deferred` in `later/`. */
  deferred(operation: OperationHandle, input: unknown): Promise<unknown>
  /**
   * Asks the `verify` of the operation whether a call with this input has happened.
   * Rejects when it could not be asked, or has no `verify`.
   */
  verify(operation: string, input: unknown): Promise<boolean>
  state(): ConnectionState
  /** How a person allows it: of a connection with `authorizationCode`. */
  readonly authorization: Authorization | undefined
  /** By hand, in this process: the operation writes down what holds in all. */
  breaker(to: 'isolated' | 'closed'): void
  /** Saves what was learned of its answers. Does not reject. */
  save(): Promise<void>
  /** Ends what waits as `cancelled` and refuses what comes. Sockets belong to the HTTP port. Idempotent. */
  close(): void
}

/**
 * Brings a checked definition to life. Order of the policies, outermost first: total time, retry (with its budget, and
 * `verify` before each repetition), bulkhead, limit, breaker, attempt. The limit stands inside retry because every attempt counts
 * on their side; the breaker innermost because what waited while it opened must not be sent.
 */
export function openConnection(definition: ConnectionDefinition, deps: ConnectionDeps): OpenConnection {
  const { name, options } = definition
  const { clock, random, log } = deps.runtime
  const rates = [options.limit ?? []].flat()
  const { fleet } = deps
  const common = fleet && new SharedConnection(fleet, name, rates, clock)
  const pipeline = compose(
    {
      clock,
      random,
      name,
      ...(common ? { quotas: () => common.quotas } : {}),
      observe: (event) => {
        common?.observe(event)
        if (event.type === 'retry') shared.counters.retries++
        if (event.type !== 'breaker') return
        const level = event.to === 'open' ? 'warn' : 'info'
        log.write(level, 'connection.breaker', {
          connection: name,
          from: event.from,
          to: event.to,
          openFor: event.openFor,
        })
      },
    },
    ...(options.retry === false ? [] : [retry(options.retry)]),
    bulkhead(options.bulkhead),
    ...(rates.length > 0 ? [limit({ rate: rates })] : []),
    breaker(options.breaker),
  )
  common?.attach(pipeline)
  const { auth } = options
  const { keys, recovered = () => undefined } = deps
  const tokens = tokensOf(auth, name, { runtime: deps.runtime, keys, recovered })
  const all = new Map(operationsOf(definition).map((o) => [o.name, prepare(o, options)]))
  const shared: Shared = {
    name,
    definition: options,
    origin: new URL(options.baseUrl).origin,
    rules: options.rules ?? [],
    maxBytes: options.maxBytes ?? 8_388_608,
    auth: auth && (auth.kind === 'oauth' ? tokens!.credential.bind(tokens) : credentials(auth, deps.runtime)),
    recorder: new Recorder(options, deps.runtime),
    pipeline,
    deps,
    counters: {
      calls: 0,
      succeeded: 0,
      failed: 0,
      refused: 0,
      attempts: 0,
      retries: 0,
      verified: 0,
      fellBack: 0,
      coerced: 0,
    },
    operations: all,
    lastGood: new LastGood(),
    cache: cacheOf(definition, all, deps),
    drift:
      deps.drift && options.drift !== false
        ? new DriftWatch(name, options.drift ?? {}, deps.runtime, deps.drift)
        : undefined,
    endings: deps.endings && new EndingWatch(name, options.apiVersion, deps.runtime, deps.endings),
    polls: new Polls(name, deps.runtime),
    coerced: coercionNotes(log, () => shared.counters.coerced++),
    credential: 'unused',
    lastFault: undefined,
    pauses: new Set(),
  }

  const readyOf = (operation: Pick<OperationHandle, 'connection' | 'name'>): Ready => {
    const ready = operation.connection === name ? shared.operations.get(operation.name) : undefined
    if (!ready)
      throw fault('connection.operation', { detail: { connection: operation.connection, operation: operation.name } })
    return ready
  }

  return {
    call<Input, Output>(operation: OperationHandle<Input, Output>, input: Input, options: CallOptions = {}) {
      let ready: Ready
      try {
        ready = readyOf(operation)
      } catch (error) {
        return Promise.reject(error)
      }
      if (ready.protocol?.stream) return listed(shared, ready, input, options) as Promise<Output>
      // Checked by the output schema; without one, Output is unknown.
      if (fallsBack(ready.spec, options)) return callOrElse(shared, ready, input, options) as Promise<Output>
      return new OneCall(shared, ready, input, options, undefined).run() as Promise<Output>
    },
    async *each<Input, Output>(operation: OperationHandle<Input, Output>, input: Input, options: WalkOptions = {}) {
      const ready = readyOf(operation)
      if (ready.protocol?.stream && (options.onPage ?? options.resume ?? undefined) !== undefined) {
        throw fault('connection.pages', {
          message: 'a stream has no pages',
          detail: { reason: 'a stream has no pages' },
        })
      }
      // Checked by the output schema; without one, Output is unknown.
      const items = ready.protocol?.stream
        ? walk(shared, ready, input, options)
        : walkPages(shared, ready, input, options)
      yield* items as AsyncGenerator<ItemOf<Output>, void>
    },
    async *poll<Input, Output>(operation: OperationHandle<Input, Output>, input: Input, options: PollOptions) {
      // As above.
      yield* poll(shared, readyOf(operation), input, options) as AsyncGenerator<Change<Output>, void>
    },
    async deferred(operation, input) {
      return deferred(definition, readyOf(operation), input)
    },
    async verify(operation, input) {
      const ready = readyOf({ connection: name, name: operation })
      if (!ready.spec.verify) throw fault('intent.state', { message: `${name}.${operation} has no verify` })
      return new OneCall(shared, ready, input, {}, undefined).verify()
    },
    state() {
      const now = clock.mono()
      const wall = (mono: number): string => new Date(clock.now() + mono - now).toISOString()
      const { state = 'closed', openUntil = 0 } = pipeline.breaker ?? {}
      const polls = shared.polls.state()
      return {
        name,
        ...(options.apiVersion === undefined ? {} : { apiVersion: options.apiVersion.value }),
        breaker: state,
        ...(openUntil > now && Number.isFinite(openUntil) ? { openUntil: wall(openUntil) } : {}),
        ...(pipeline.coolUntil > now ? { coolUntil: wall(pipeline.coolUntil) } : {}),
        credential: shared.credential,
        ...(tokens ? { token: tokens.state() } : {}),
        running: pipeline.bulkhead?.active ?? 0,
        waiting: (pipeline.bulkhead?.waiting ?? 0) + (pipeline.limiter?.waiting ?? 0),
        counters: { ...shared.counters },
        ...(shared.cache ? { cache: shared.cache.state() } : {}),
        ...(polls ? { polls } : {}),
        ...(shared.lastFault
          ? { lastFault: { code: shared.lastFault.code, time: new Date(shared.lastFault.at).toISOString() } }
          : {}),
      }
    },
    authorization:
      tokens && keys && auth?.kind === 'oauth' && auth.grant === 'authorization_code'
        ? new Authorization(auth, name, {
            runtime: deps.runtime,
            keys,
            tokens,
            allowed: deps.authorized ?? (async () => undefined),
          })
        : undefined,
    breaker(to) {
      if (to === 'isolated') pipeline.breaker?.isolate()
      else pipeline.breaker?.close()
    },
    save: async () => void (await Promise.all([shared.drift?.save(), shared.endings?.saved()])),
    close() {
      tokens?.close()
      shared.cache?.close()
      pipeline.close()
      for (const end of shared.pauses) end()
    },
  }
}

/** Undefined where nothing is kept: no operation has one, or nobody would tell us what has changed. */
function cacheOf(
  { name, options }: ConnectionDefinition,
  operations: ReadonlyMap<string, Ready>,
  deps: ConnectionDeps,
): HttpCache | undefined {
  if (![...operations.values()].some((o) => o.cache !== undefined)) return undefined
  const followed = [
    ...invalidationsOf(options.cache).map((i) => ({ ...i, operation: undefined })),
    ...[...operations.values()].flatMap((o) => invalidationsOf(o.spec.cache).map((i) => ({ ...i, operation: o.name }))),
  ]
  if (followed.length > 0 && deps.changes === undefined) return undefined
  const { origin, pathname } = new URL(options.baseUrl)
  const { runtime, changes } = deps
  return new HttpCache(name, pathname.replace(/\/+$/, ''), followed, { origin, operations, runtime, changes })
}
