import type { Context } from '#kernel/context.ts'
import { fault, isFault, toFault, type Fault } from '#kernel/fault.ts'
import type { Message } from '#kernel/message.ts'
import { milliseconds } from '#kernel/duration.ts'
import type { Run } from '#journal/run.ts'
import type { SubscriptionOptions } from '#journal/subscription.ts'
import { backoff, retry } from '#resilience/retry.ts'
import { dataOf, envelope } from './envelope.ts'
import type { BatchItem, Subscription } from './subscription.ts'

/** What a handler and its context need of a run. */
export type HandledRun = Pick<
  Run,
  | 'topic'
  | 'partition'
  | 'messages'
  | 'attempt'
  | 'deadline'
  | 'repeated'
  | 'signal'
  | 'inTransaction'
  | 'transaction'
  | 'write'
>

/** Makes the context of a run; implemented by the app, which has the verbs. `message` is built when first asked for. */
export type MakeContext = (run: HandledRun, subscription: Subscription, message: () => Message) => Context

/** A subscription as the journal works it: decoding, the user's handler, its results as faults. */
export function subscriptionRunner(def: Subscription, context: MakeContext): SubscriptionOptions {
  const plan = retry({ ...def.retry, budget: 'none' })
  return {
    name: def.name,
    topic: def.to.name,
    from: def.from,
    concurrency: def.concurrency,
    batch: def.batch,
    timeout: milliseconds(def.timeout),
    parkedLimit: def.parkedLimit,
    retry: {
      attempts: 'schedule' in def.retry ? plan.attempts + 1 : plan.attempts,
      delay: (n, random) => backoff(plan, n, random),
    },
    handle: def.handleBatch ? (run) => many(def, run, context) : (run) => handleOne(def, run, context),
  }
}

/** Runs `handle` over the one message of a run. */
export function handleOne(def: Subscription, run: HandledRun, context: MakeContext): Promise<void> | void {
  const stored = run.messages[0]!
  const data = dataOf(stored)
  const result = def.handle!(
    data as never,
    context(run, def, () => envelope(run.topic.name, stored, data)),
  )
  // Also what only looks like a promise is waited for.
  if (isThenable(result)) return Promise.resolve(result).then(nothing)
  return undefined
}

async function many(
  def: Subscription,
  run: HandledRun,
  context: MakeContext,
): Promise<readonly (Fault | undefined)[] | void> {
  const batch = run.messages.map((stored): BatchItem<never> => {
    const data = dataOf(stored)
    return { data: data as never, message: envelope(run.topic.name, stored, data) }
  })
  const results = await def.handleBatch!(
    batch,
    context(run, def, () => batch[0]!.message),
  )
  if (results === undefined || results === null) return undefined
  if (!Array.isArray(results) || results.length !== batch.length) {
    throw fault('subscription.result', {
      detail: {
        subscription: def.name,
        messages: batch.length,
        results: Array.isArray(results) ? results.length : typeof results,
      },
    })
  }
  return results.map((r: unknown) =>
    r === undefined || r === null ? undefined : isFault(r) ? r : toFault(r, 'subscription.thrown'),
  )
}

function nothing(): void {}

function isThenable(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
