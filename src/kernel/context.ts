import type { Duration } from './duration.ts'
import type { OperationHandle, TopicHandle } from './handle.ts'
import type { Message, Position } from './message.ts'
import type { Level } from './log.ts'
import type { Sql, SqlRow, SqlValue } from './sql.ts'

/**
 * The verbs of a user's code. Declared here, implemented once, in `app/verbs.ts`. `NoInfer`: the type comes from the
 * definition alone, so a misspelled field in the data is an error and not a wider type.
 */
export type Publish = <Input>(
  topic: TopicHandle<Input>,
  data: NoInfer<Input>,
  options?: PublishOptions,
) => Promise<Position>
/**
 * Resolves with the answer; with `later: true` with a receipt as soon as the call is on disk, and it is made when it can be. One
 * signature with a conditional result, not two: a misspelled field of the input is then still reported where it stands.
 */
export type Call = <Input, Output, Later extends true | undefined = undefined>(
  operation: OperationHandle<Input, Output>,
  input: NoInfer<Input>,
  options?: CallOptions<Later, NoInfer<Output>>,
) => Promise<Later extends true ? Receipt : Output>
export type Each = <Input, Output>(
  operation: OperationHandle<Input, Output>,
  input: NoInfer<Input>,
  options?: EachOptions<ItemOf<Output>>,
) => AsyncIterable<ItemOf<Output>>

export type EachOptions<Item = unknown> = Omit<CallOptions, 'key'> & {
  /**
   * Told of each page when its items are used up, and waited for before the next page is asked for. Keep `resume` there, with what came of
   * the items where that is possible. `false` ends the walk here; what it throws ends it as a fault.
   */
  readonly onPage?: (page: WalkedPage<Item>) => void | boolean | Promise<void | boolean>
  /**
   * The `resume` of the last page of a walk that broke: goes on with the page after it. Items of the page in which it broke come
   * again. Absent or null: from the first page. Refused with `connection.pages` when it is of another operation or input.
   */
  readonly resume?: unknown
}

export type WalkedPage<Item = unknown> = {
  /** Plain JSON, at most 8,192 characters, no secret in it. Undefined after the last page: the next walk begins again. */
  readonly resume: object | undefined
  /** 1 is the first, also where the walk went on in between. */
  readonly page: number
  readonly items: readonly Item[]
}

/**
 * Asks an operation that only reads again and again, and yields the answers that differ from the one before; the first one too, unless
 * `since` says that it is known. Where they send ETag or Last-Modified, only what has changed is asked for, and a 304 carries
 * nothing. Otherwise answers are compared as the output schema gives them: a field that it does not name is no change.
 *
 * Each poll is one call with the connection's policies. A fault that may pass (down, throttled, credential refused) is logged once and
 * waited out; one that would only come again (a refusal, a wrong input) is thrown. Ends quietly at the signal and when the app
 * stops. The next poll is not begun while a change is being handled. Each process that polls polls for itself.
 */
export type Poll = <Input, Output>(
  operation: OperationHandle<Input, Output>,
  input: NoInfer<Input>,
  options: PollOptions,
) => AsyncIterable<Change<Output>>

export type PollOptions = {
  /** From one poll to the next, to begin with: at least 1 s. Quiet polls lengthen it by a half each, a change halves it, a fault doubles it. */
  readonly every: Duration
  /** Never more often than this, however much changes. Default `every`. */
  readonly least?: Duration
  /** Never more seldom, unless they ask for it (`Retry-After`, `X-Poll-Interval`, at most 1 h). Default 10 × `every`; 30 d at most. */
  readonly most?: Duration
  /** The `since` of the last change that was handled. Refused with `connection.poll` when it is of another operation or input. */
  readonly since?: unknown
  /** Time for each poll, retries included. Default: the operation's. */
  readonly timeout?: Duration
  readonly signal?: AbortSignal
}

export type Change<Output = unknown> = {
  readonly answer: Output
  /** Plain JSON, at most 2 KB, no secret in it: kept when the change is handled, a next start yields only what has changed since. */
  readonly since: object
}

/** The item type of a paged output: the element of its first array-valued property. */
export type ItemOf<Output> = Output extends readonly (infer Item)[]
  ? Item
  : Output extends object
    ? ListsOf<Output>[keyof ListsOf<Output>]
    : unknown

/** Of an object that lets unknown fields pass, only those that are named. */
type ListsOf<Output> = {
  [K in keyof Output as string extends K ? never : K]-?: NonNullable<Output[K]> extends readonly (infer Item)[]
    ? Item
    : never
}

export type PublishOptions = {
  /** Repeated within the topic's dedupe window (7 days), it is answered with the first position. Default: a fresh id, or inside a handler one derived from its message. */
  readonly id?: string
  /** Overrides the topic's `key`. */
  readonly key?: string
  /** Appears in the log only after this time; durable from now. */
  readonly delay?: Duration
  readonly correlation?: string
}

export type CallOptions<Later extends true | undefined = undefined, Output = unknown> = {
  /** Idempotency key. Default inside a handler: derived from message, operation and order of calls, so the same on every retry. */
  readonly key?: string
  /** Time for the whole call, retries included. Default: the connection's. Never beyond the caller's deadline. Not of a later call. */
  readonly timeout?: Later extends true ? never : Duration
  readonly signal?: Later extends true ? never : AbortSignal
  /** Told, before the call resolves, when its answer comes from a fallback of the operation. */
  readonly onFallback?: Later extends true ? never : (by: FellBack) => void
  /**
   * The call is a durable message of its connection, which must be defined with `later`: accepted when it is on disk, made by whichever
   * process has room, under the same key on every try. By default 10 tries, then it is dead: visible, and a person can replay or
   * edit it. While the breaker is open or the credential refused it is held, and no try is spent.
   */
  readonly later?: Later
  /** Calls of one `order` are made one after the other, also across tries. Default: all at once. */
  readonly order?: Later extends true ? string : never
  /** Not before this time has passed; durable from now. */
  readonly delay?: Later extends true ? Duration : never
  /** Gets the answer as a message, once, under an id derived from the receipt's, which is its `causationid`. */
  readonly deliver?: Later extends true ? TopicHandle<Output> : never
}

/** How an answer came about that its operation did not give. */
export type FellBack = {
  readonly by: 'instead' | 'cached' | 'value' | 'later'
  /** Of the fault that led to it. */
  readonly code: string
  /** Of `instead`: `other.rate`. */
  readonly operation?: string
  /** Of `cached`: milliseconds since it was given. */
  readonly age?: number
  /** Of `later`: the id of the accepted call. */
  readonly receipt?: string
}

/** An accepted call: the id of its message, and where it stands in the topic `call.<connection>`. A repeated key has the first one's. */
export type Receipt = Position & { readonly id: string }

/** One transaction of the store: what is written here and the cursor (or the published messages) commit together, or not at all. */
export interface Transaction {
  /** Runs a statement of yours; rows for a query, an empty list otherwise. */
  query(statement: Sql): Promise<readonly SqlRow[]>
  /** The message becomes visible when the transaction commits. */
  publish<Input>(topic: TopicHandle<Input>, data: NoInfer<Input>, options?: PublishOptions): Promise<void>
}

/** A statement for a client of yours: `text` has `$1` or `?` as its database wants; `parts` is the same as of a template. */
export type JoinStatement = {
  readonly text: string
  readonly values: readonly SqlValue[]
  readonly parts: TemplateStringsArray
}

/** A transaction that your own code has opened and will commit. */
export interface Joined {
  /** The message appears when your transaction has committed, usually within some milliseconds, at most a second later; or never. */
  publish<Input>(
    topic: TopicHandle<Input>,
    data: NoInfer<Input>,
    options?: Omit<PublishOptions, 'delay'>,
  ): Promise<void>
}

/** What a handler gets beside its input. */
export interface Context {
  readonly message: Message
  /** The same on everything that one arrival causes, in every log line and call record. */
  readonly correlation: string
  /** 1 on the first run of this message, 2 on its first retry … */
  readonly attempt: number
  /** Aborted when the time limit passes or the lease is lost; created only when asked for. */
  readonly signal: AbortSignal
  /** Wall-clock milliseconds at which the engine gives up on this run. */
  readonly deadline: number
  readonly call: Call
  readonly each: Each
  readonly publish: Publish
  /**
   * A transaction of the store, opened at first use and committed with the cursor after the handler returns: exactly
   * once into your own tables. Finish calls to others first: a call while it is open is refused (`store.transaction`).
   */
  readonly tx: Transaction
  now(): Date
  log(level: Level, text: string, fields?: Readonly<Record<string, unknown>>): void
}
