import type { Appended, Joinable, Store, StoreTransaction, Write } from '#adapters/stores/port.ts'
import type {
  Call,
  CallOptions,
  Change,
  Each,
  EachOptions,
  FellBack,
  ItemOf,
  Joined,
  JoinStatement,
  Poll,
  PollOptions,
  Publish,
  PublishOptions,
  Transaction,
} from '#kernel/context.ts'
import type { Sql } from '#kernel/sql.ts'
import { milliseconds } from '#kernel/duration.ts'
import { fault } from '#kernel/fault.ts'
import type { OperationHandle, TopicHandle } from '#kernel/handle.ts'
import type { Position } from '#kernel/message.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Topic } from '#journal/log.ts'
import { eitherCall, isLater, laterMessage, receipt, type Deferred, type LaterOptions } from './later-call.ts'
import { guardFault } from '#journal/commit.ts'
import type { Journal } from '#journal/journal.ts'
import type { Others } from '#patterns/connections/fallback/chain.ts'
import type { WalkOptions } from '#patterns/connections/paging/walk.ts'
import type { OpenConnection } from '#patterns/connections/run.ts'
import type { AnyTopic } from '#patterns/topics/define.ts'
import { none } from '#patterns/topics/envelope.ts'
import { draft, type Origin } from '#patterns/topics/publish.ts'

/** What a call inherits from the run that makes it. */
export type Caller = {
  readonly key?: string
  /** Monotonic. */
  readonly deadline?: number
  readonly signal?: AbortSignal
  readonly correlation?: string
  readonly message?: string
  readonly attempt?: number
  readonly keyMayDiffer?: boolean
  readonly onFallback?: (by: FellBack) => void
  readonly direct?: true
}

/** The verbs as the context of a run uses them. */
export type RunVerbs = Pick<Verbs, 'publish' | 'appending' | 'call' | 'each' | 'deferred'>

/** A user's transaction holds the one writer of an embedded store for at most this long. */
const transactionLimit = 5_000

export const plain: Origin = { attributes: none }

/** The verbs, implemented once: for the app, for handlers, for transactions. */
export class Verbs {
  readonly #runtime: Runtime<Store>
  readonly #journal: Journal
  readonly #topics: ReadonlyMap<string, AnyTopic>
  readonly #connections: ReadonlyMap<string, OpenConnection>
  readonly #stopping = new AbortController()
  #draining = false

  constructor(
    runtime: Runtime<Store>,
    journal: Journal,
    topics: ReadonlyMap<string, AnyTopic>,
    connections: ReadonlyMap<string, OpenConnection>,
  ) {
    this.#runtime = runtime
    this.#journal = journal
    this.#topics = topics
    this.#connections = connections
  }

  /** From now on new work from outside is refused, and polls end; handlers that are running may still use the verbs. */
  drain(): void {
    this.#draining = true
    this.#stopping.abort()
  }

  assertOpen(): void {
    if (this.#draining) throw fault('app.draining', { retryAfter: 5_000 })
  }

  /** One message, durable when it resolves. A delayed one has no position yet: its offset is -1. */
  async publish(handle: TopicHandle, data: unknown, options: PublishOptions, origin: Origin): Promise<Position> {
    this.#journal.commit.assertRoom()
    const made = draft(this.definition(handle), data, options, origin, this.#runtime.ids)
    const ready = made instanceof Promise ? await made : made
    const topic = this.#journal.log.topic(handle.name)
    if (options.delay !== undefined) {
      const entry = this.#journal.log.entry(topic, ready)
      await this.#journal.delays.add(entry, this.#runtime.clock.now() + milliseconds(options.delay))
      return { topic: topic.name, partition: entry.slot - topic.slot, offset: -1 }
    }
    const [appended] = await this.#journal.log.append([this.#journal.log.entry(topic, ready)])
    return positionOf(topic, appended!)
  }

  /** Many messages in one commit: all, or none when one is not valid. */
  async publishMany(handle: TopicHandle, items: readonly unknown[]): Promise<readonly Position[]> {
    this.#journal.commit.assertRoom()
    const definition = this.definition(handle)
    const topic = this.#journal.log.topic(handle.name)
    const { log } = this.#journal
    const entries = []
    for (const item of items) {
      const made = draft(definition, item, {}, plain, this.#runtime.ids)
      entries.push(log.entry(topic, made instanceof Promise ? await made : made))
    }
    return (await log.append(entries)).map((a) => positionOf(topic, a))
  }

  /** A message as a write of somebody else's commit. */
  async appending(handle: TopicHandle, data: unknown, options: PublishOptions, origin: Origin): Promise<Write> {
    const made = draft(this.definition(handle), data, options, origin, this.#runtime.ids)
    const { log } = this.#journal
    const entry = log.entry(log.topic(handle.name), made instanceof Promise ? await made : made)
    if (options.delay === undefined) return { write: 'append', entries: [entry] }
    return { write: 'delay', due: this.#runtime.clock.now() + milliseconds(options.delay), entry }
  }

  call<Output>(
    operation: OperationHandle<never, Output>,
    input: unknown,
    options: CallOptions,
    caller: Caller,
  ): Promise<Output> {
    return this.#connection(operation).call(
      operation as OperationHandle<unknown, Output>,
      input,
      callOptions(this.#runtime, options, caller),
    )
  }

  /** The call as a message of its connection's topic, for `publish`. `id`: a fresh one, or what a repeated run repeats. */
  async deferred(operation: OperationHandle, input: unknown, options: LaterOptions, id: string): Promise<Deferred> {
    if (options.deliver !== undefined) this.definition(options.deliver)
    const kept = await this.#connection(operation).deferred(operation, input)
    return laterMessage(operation, kept, options, id)
  }

  each<Output>(
    operation: OperationHandle<never, Output>,
    input: unknown,
    options: EachOptions<ItemOf<Output>>,
    caller: Caller,
  ): AsyncIterable<ItemOf<Output>> {
    return this.#connection(operation).each(
      operation as OperationHandle<unknown, Output>,
      input,
      walkOptions(this.#runtime, options, caller),
    )
  }

  /** Ends when the app begins to stop. */
  poll<Output>(
    operation: OperationHandle<never, Output>,
    input: unknown,
    options: PollOptions,
  ): AsyncIterable<Change<Output>> {
    const { signal: stopping } = this.#stopping
    const signal = options?.signal ? AbortSignal.any([options.signal, stopping]) : stopping
    return this.#connection(operation).poll(operation as OperationHandle<unknown, Output>, input, {
      ...options,
      signal,
    })
  }

  /** Your rows and your messages in one transaction, or neither. At most 5 s: an embedded store has one writer. */
  async transact<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const transaction = await this.#runtime.store.begin(transactionLimit)
    const writes: Write[] = []
    let result: T
    try {
      result = await work(
        transactionOf(
          () => Promise.resolve(transaction),
          (w) => writes.push(w),
          this,
          () => plain,
        ),
      )
    } catch (e) {
      await transaction.rollback()
      throw e
    }
    try {
      const [outcome] = await transaction.commit([{ writes }])
      if (!outcome?.ok) throw outcome ? guardFault(outcome.failed) : fault('bug')
      this.#journal.log.advanceBy(outcome.results)
    } catch (e) {
      this.#journal.commit.doubt(e)
      throw e
    } finally {
      for (const w of writes) if (w.write === 'delay') this.#journal.delays.expect(w.due)
    }
    return result
  }

  /** Messages in a transaction of somebody else: they find their way into the log when it has committed. */
  join(run: (statement: JoinStatement) => unknown): Joined {
    const { store } = this.#runtime
    if (!joinable(store)) {
      throw fault('store.transaction', {
        message: 'nobody else can have a transaction in this store: use app.transact, or a store in a file or a server',
      })
    }
    return {
      publish: async (handle, data, options = {}) => {
        this.assertOpen()
        const made = draft(this.definition(handle), data, options, plain, this.#runtime.ids)
        const { log, delays } = this.#journal
        await run(
          joinStatement(
            store.handOver(log.entry(log.topic(handle.name), made instanceof Promise ? await made : made)),
            store,
          ),
        )
        delays.handedOver()
      },
    }
  }

  freshId(): string {
    return this.#runtime.ids.next()
  }

  definition(handle: TopicHandle): AnyTopic {
    const definition = this.#topics.get(handle.name)
    if (!definition)
      throw fault('topic.unknown', {
        message: `the topic "${handle.name}" was not passed in \`use\``,
        detail: { topic: handle.name },
      })
    return definition
  }

  #connection(operation: OperationHandle): OpenConnection {
    const connection = this.#connections.get(operation.connection)
    if (!connection) {
      throw fault('app.unknown', {
        message: `the connection "${operation.connection}" was not passed in \`use\``,
        detail: { connection: operation.connection },
      })
    }
    return connection
  }
}

/** The verbs as free functions, for the app itself. */
export function appVerbs(verbs: Verbs): {
  readonly publish: Publish
  readonly call: Call
  readonly each: Each
  readonly poll: Poll
} {
  return {
    publish: async (topic, data, options = {}) => {
      verbs.assertOpen()
      return verbs.publish(topic, data, options, plain)
    },
    call: eitherCall(async (operation, input, options) => {
      verbs.assertOpen()
      if (!isLater(options)) return verbs.call(operation, input, options, {})
      const made = await verbs.deferred(operation, input, options, verbs.freshId())
      return receipt(made, await verbs.publish(made.topic, made.data, made.options, plain))
    }),
    each: (operation, input, options = {}) => verbs.each(operation, input, options, {}),
    poll: (operation, input, options) => {
      verbs.assertOpen()
      return verbs.poll(operation, input, options)
    },
  }
}

/** What fallbacks of a connection use of the app. */
export function verbsAsOthers(verbs: () => Verbs): Others {
  return {
    call: (operation, input, options) => verbs().call(operation, input, {}, options),
    later: async (operation, input, key, deliver) => {
      const options = { later: true, key, ...(deliver === undefined ? {} : { deliver }) } as const
      const made = await verbs().deferred(operation, input, options, key)
      return receipt(made, await verbs().publish(made.topic, made.data, made.options, plain))
    },
  }
}

export function transactionOf(
  transaction: () => Promise<StoreTransaction>,
  add: (write: Write) => void,
  verbs: Pick<Verbs, 'appending'>,
  origin: (data: unknown) => Origin,
): Transaction {
  return {
    query: async (statement) => (await transaction()).query(statement),
    publish: async (topic, data, given = {}) => {
      await transaction()
      add(await verbs.appending(topic, data, given, origin(data)))
    },
  }
}

function joinable(store: Store): store is Store & Joinable {
  return store.can.joins
}

function joinStatement({ text, values }: Sql, store: Store): JoinStatement {
  const parts = Object.assign([...text], { raw: [...text] })
  // One machine's store is a file, and its clients number nothing.
  const mark = (n: number): string => (store.can.shared === 'fleet' ? `$${n}` : '?')
  return { text: text.reduce((all, part, i) => all + mark(i) + part), values, parts }
}

/** What a caller says and what it inherits, as one. */
export function callOptions(runtime: Pick<Runtime, 'clock'>, options: CallOptions, caller: Caller): Caller {
  const limit =
    options.timeout === undefined ? Number.POSITIVE_INFINITY : runtime.clock.mono() + milliseconds(options.timeout)
  const deadline = Math.min(limit, caller.deadline ?? Number.POSITIVE_INFINITY)
  const signal = options.signal ?? caller.signal
  const key = options.key ?? caller.key
  return {
    ...(key === undefined ? {} : { key }),
    ...(deadline === Number.POSITIVE_INFINITY ? {} : { deadline }),
    ...(signal === undefined ? {} : { signal }),
    ...(caller.direct === undefined ? {} : { direct: caller.direct }),
    ...(options.onFallback === undefined ? {} : { onFallback: options.onFallback }),
    ...(caller.correlation === undefined ? {} : { correlation: caller.correlation }),
    ...(caller.message === undefined ? {} : { message: caller.message }),
    ...(caller.attempt === undefined ? {} : { attempt: caller.attempt }),
    ...(caller.keyMayDiffer === undefined ? {} : { keyMayDiffer: caller.keyMayDiffer }),
  }
}

export function walkOptions<Item>(
  runtime: Pick<Runtime, 'clock'>,
  options: EachOptions<Item>,
  caller: Caller,
): WalkOptions {
  const { resume, onPage, ...rest } = options
  return {
    ...callOptions(runtime, rest, caller),
    ...(resume === undefined ? {} : { resume }),
    // Items are of the type that the output schema gives.
    ...(onPage === undefined ? {} : { onPage: onPage as NonNullable<WalkOptions['onPage']> }),
  }
}

function positionOf(topic: Topic, a: Appended): Position {
  return { topic: topic.name, partition: a.slot - topic.slot, offset: a.offset }
}
