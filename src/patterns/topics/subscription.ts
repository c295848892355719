import type { Context } from '#kernel/context.ts'
import { checkName, checkOptions, define, isDefinition, type Definition, type Problem } from '#kernel/definition.ts'
import { isDuration, milliseconds, type Duration } from '#kernel/duration.ts'
import type { TopicHandle } from '#kernel/handle.ts'
import { retryProblems, type RetryOptions, type RetrySchedule } from '#resilience/retry.ts'

/**
 * # Subscription
 *
 * **Is** a durable reader of one topic. Each message is handled at least once; messages of one key one after the other,
 * also across retries; different keys in parallel. Success writes nothing per message: a cursor moves.
 *
 * **Is not** a transaction over other people's systems. Make effects repeatable: `ctx.call` gives calls an idempotency key
 * that is the same on every run of the message, `ctx.publish` an id, and `ctx.tx` commits with the cursor.
 *
 * **Words**: *parked*, off the fast path with a reason: *retry* (due later), *held* (a connection has no valid credential
 * or an open breaker; no attempt is burned), *behind* (an earlier message of its key is parked), *dead* (attempts spent,
 * or rejected; a person decides: replay, edit-and-replay, discard).
 *
 * **Promise**: a crash repeats only what was in flight. A message whose handler throws is parked in the same transaction
 * that moves the cursor past it: it is never lost, and stops only its own key.
 */
export type Subscription = Definition<'subscription'> & {
  readonly to: TopicHandle
  handle?(data: never, context: Context): unknown
  handleBatch?(batch: readonly BatchItem<never>[], context: BatchContext): unknown
  readonly batch: number
  readonly concurrency: number
  readonly timeout: Duration
  readonly retry: RetryOptions | RetrySchedule
  readonly from: 'beginning' | 'now'
  readonly parkedLimit: number
}

export type BatchItem<T> = { readonly data: T; readonly message: Context['message'] }

/**
 * As `Context`, for a batch: keys and ids are derived from all its messages, and from what is sent. They repeat when the
 * same batch runs again, not when its failed messages are retried one by one: give a `key` or `id` of your own where an
 * effect must not be doubled.
 */
export type BatchContext = Omit<Context, 'message'>

type Common<T> = {
  readonly to: TopicHandle<never, T>
  /** Handlers at once in this process. Default 10, 1 to 1,000. */
  readonly concurrency?: number
  /** A run that takes longer is given up as `subscription.timeout` and parked for retry; its late result is ignored. Default 30 s, at most 1 h. */
  readonly timeout?: Duration
  /** Default: 10 runs, the second after 1 s, ×2, at most 10 min apart. `attempts` counts all runs, also those that ended their process. */
  readonly retry?: RetryOptions | RetrySchedule
  /** Where it begins when it is first started. Default `beginning`: everything that the topic still has. */
  readonly from?: 'beginning' | 'now'
  /** Parked messages at which reading stops, so that a broken handler does not park the whole topic. Default 10,000. */
  readonly parkedLimit?: number
}

export type SubscriptionOptions<T> =
  | (Common<T> & {
      /** Resolves: done. Throws a Fault: what its kind says. Throws anything else: retried, then dead. */
      handle(data: T, context: Context): unknown
    })
  | (Common<T> & {
      /**
       * Several messages of one partition at once, in order. Returns nothing, or one entry for each: undefined for done, a
       * Fault for failed. A throw fails all; failed ones are retried one by one.
       */
      handleBatch(batch: readonly BatchItem<T>[], context: BatchContext): unknown
      /** Messages at most in a batch. Default 100, 1 to 1,000. There is no waiting for a batch to fill. */
      readonly batch?: number
    })

/**
 * Defines a subscription. Its name is durable: the cursor belongs to it, a renamed one begins anew.
 *
 * @example
 * export const billing = subscription('billing', {
 *   to: orderPlaced,
 *   async handle(order, ctx) {
 *     const charge = await ctx.call(payments.charge, { order: order.id, amount: order.total })
 *     await ctx.publish(orderPaid, { order: order.id, charge: charge.id })
 *   },
 * })
 */
export function subscription<T>(name: string, options: SubscriptionOptions<T>): Subscription {
  return define({
    kind: 'subscription',
    name,
    concurrency: 10,
    timeout: '30s',
    from: 'beginning',
    parkedLimit: 10_000,
    batch: 'handleBatch' in options ? 100 : 0,
    ...options,
    retry: { ...('schedule' in (options?.retry ?? {}) ? {} : defaultRetry), ...options?.retry },
  }) as Subscription
}

const defaultRetry = { attempts: 10, first: '1s', max: '10m' } as const
const options = [
  'kind',
  'name',
  'to',
  'handle',
  'handleBatch',
  'batch',
  'concurrency',
  'timeout',
  'retry',
  'from',
  'parkedLimit',
]

export function checkSubscription(s: Subscription): Problem[] {
  const path = `subscription(${s.name})`
  const problems = [
    ...checkName('subscription', s.name),
    ...checkOptions(path, s, options),
    ...retryProblems(`${path}.retry`, s.retry),
  ]
  const wrong = (option: string, message: string, fix: string): void =>
    void problems.push({ path: `${path}.${option}`, message, fix })
  if (!isDefinition(s.to) || s.to.kind !== 'topic')
    wrong('to', 'is not a topic', 'pass the value that topic(…) returned')
  if (typeof s.handle === 'function' && typeof s.handleBatch === 'function')
    wrong('handleBatch', 'stands beside handle', 'keep one of the two')
  if (typeof s.handle !== 'function' && typeof s.handleBatch !== 'function')
    wrong('handle', 'is missing', 'pass handle(data, ctx) or handleBatch(batch, ctx)')
  if (s.batch !== 0 && s.handleBatch === undefined)
    wrong('batch', 'is given without handleBatch', 'remove it, or handle batches')
  whole('concurrency', s.concurrency, 1, 1_000)
  if (s.handleBatch !== undefined) whole('batch', s.batch, 1, 1_000)
  whole('parkedLimit', s.parkedLimit, 1, 1_000_000)
  if (!isDuration(s.timeout) || milliseconds(s.timeout) > 3_600_000 || milliseconds(s.timeout) < 1)
    wrong('timeout', `is ${s.timeout as string}`, "pass a duration up to '1h'")
  if (s.from !== 'beginning' && s.from !== 'now') wrong('from', `is ${String(s.from)}`, "pass 'beginning' or 'now'")
  return problems

  function whole(option: string, value: number, least: number, most: number): void {
    if (!Number.isInteger(value) || value < least || value > most)
      wrong(option, `is ${String(value)}`, `pass a whole number from ${least} to ${most}`)
  }
}
