import { createHash } from 'node:crypto'
import type { Store } from '#adapters/stores/port.ts'
import type { Call, Context, Each, Publish, Receipt, Transaction } from '#kernel/context.ts'
import { fault } from '#kernel/fault.ts'
import type { OperationHandle } from '#kernel/handle.ts'
import type { Level } from '#kernel/log.ts'
import { printPosition, type Message } from '#kernel/message.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Origin } from '#patterns/topics/publish.ts'
import type { Subscription } from '#patterns/topics/subscription.ts'
import type { HandledRun } from '#patterns/topics/run.ts'
import { eitherCall, isLater, receipt, type LaterOptions } from './later-call.ts'
import { transactionOf, type Caller, type RunVerbs } from './verbs.ts'

/** Providers accept idempotency keys up to 255 characters. */
const longestKey = 200

/**
 * The context of one run. Keys and ids are derived from the message and the order of the calls in it, so a repeated run
 * repeats them: a call is recognised by its receiver, a publish by the dedupe index. In a batch the order says nothing
 * (the next run may leave out what failed in this one), so there they are derived from all its messages and what is sent:
 * a repeat of the whole batch is recognised, and nothing is ever mistaken for something else. Everything is made when
 * first asked for.
 */
export class RunContext implements Context {
  readonly #run: HandledRun
  readonly #subscription: string
  readonly #batches: boolean
  readonly #makeMessage: () => Message
  readonly #verbs: RunVerbs
  readonly #runtime: Runtime<Store>
  readonly #counts = new Map<string, number>()
  #message: Message | undefined
  #tx: Transaction | undefined

  constructor(
    run: HandledRun,
    of: Pick<Subscription, 'name' | 'batch'>,
    message: () => Message,
    verbs: RunVerbs,
    runtime: Runtime<Store>,
  ) {
    this.#run = run
    this.#subscription = of.name
    this.#batches = of.batch > 0
    this.#makeMessage = message
    this.#verbs = verbs
    this.#runtime = runtime
  }

  get message(): Message {
    this.#message ??= this.#makeMessage()
    return this.#message
  }

  get correlation(): string {
    return this.message.correlationid
  }

  get attempt(): number {
    return this.#run.attempt
  }

  get signal(): AbortSignal {
    return this.#run.signal
  }

  get deadline(): number {
    const { clock } = this.#runtime
    return clock.now() + this.#run.deadline - clock.mono()
  }

  get tx(): Transaction {
    this.#tx ??= transactionOf(
      () => this.#run.transaction(),
      (write) => this.#run.write(write),
      this.#verbs,
      (data) => this.#origin('tx', data),
    )
    return this.#tx
  }

  readonly call: Call = eitherCall(async (operation, input, options) => {
    if (isLater(options)) return this.#later(operation, input, options)
    this.#assertOutside()
    return this.#verbs.call(operation, input, options, this.#caller(operation, input))
  })

  readonly each: Each = (operation, input, options = {}) => {
    this.#assertOutside()
    return this.#verbs.each(operation, input, options, this.#caller(operation, input))
  }

  /** Inside an open transaction it belongs to it; otherwise it is durable when it resolves. */
  readonly publish: Publish = async (topic, data, options = {}) => {
    if (this.#run.inTransaction) {
      await this.tx.publish(topic, data, options)
      return { topic: topic.name, partition: -1, offset: -1 }
    }
    return this.#verbs.publish(topic, data, options, this.#origin(topic.name, data))
  }

  /** A message like any that the handler publishes: inside an open transaction it belongs to it. */
  async #later(operation: OperationHandle, input: unknown, options: LaterOptions): Promise<Receipt> {
    const id = this.#derived(`later:${operation.connection}.${operation.name}`, input)
    const made = await this.#verbs.deferred(operation, input, options, id)
    return receipt(made, await this.publish(made.topic, made.data, made.options))
  }

  now(): Date {
    return new Date(this.#runtime.clock.now())
  }

  log(level: Level, text: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#runtime.log.write(level, 'handler', {
      text,
      subscription: this.#subscription,
      correlation: this.correlation,
      ...fields,
    })
  }

  #assertOutside(): void {
    if (this.#run.inTransaction) {
      throw fault('store.transaction', {
        message: 'a call inside an open transaction: make the call first, then write with ctx.tx',
      })
    }
  }

  #origin(what: string, data: unknown): Origin {
    const { id, traceparent } = this.message
    return {
      attributes: {
        correlationid: this.correlation,
        causationid: id,
        ...(traceparent === undefined ? {} : { traceparent }),
      },
      id: this.#derived(what, data),
    }
  }

  #caller(operation: OperationHandle, input: unknown): Caller {
    const { topic, partition, messages } = this.#run
    const run = this.#run
    return {
      key: this.#derived(`${operation.connection}.${operation.name}`, input),
      deadline: run.deadline,
      get signal() {
        return run.signal
      },
      correlation: this.correlation,
      message: printPosition({ topic: topic.name, partition, offset: messages[0]!.offset }),
      // A held message burns no attempt, and one in flight at a crash has no record of it: both may have been sent before.
      attempt: run.repeated ? Math.max(2, run.attempt) : run.attempt,
      keyMayDiffer: this.#batches,
    }
  }

  /** `topic/id:subscription:what:n`, the same on every run of this message; long ones by their SHA-256. */
  #derived(what: string, content: unknown): string {
    const { topic, messages } = this.#run
    const batch = messages.length > 1
    const counted = batch ? JSON.stringify([what, content]) : what
    const n = (this.#counts.get(counted) ?? 0) + 1
    this.#counts.set(counted, n)
    if (batch) return sha256(JSON.stringify([topic.name, messages.map((m) => m.id), this.#subscription, counted, n]))
    return derivedId(topic.name, this.message.id, this.#subscription, what, n)
  }
}

/** The nth id or key of this kind that the handling of one message makes. Visible ASCII only: it travels in a header. */
export function derivedId(topic: string, message: string, subscription: string, what: string, n: number): string {
  const text = `${topic}/${message}:${subscription}:${what}:${n}`
  return text.length <= longestKey && /^[\x21-\x7e]+$/.test(text) ? text : sha256(text)
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
