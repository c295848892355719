import { milliseconds } from '#kernel/duration.ts'
import { printPosition } from '#kernel/message.ts'
import type { Run } from '#journal/run.ts'
import type { SubscriptionOptions } from '#journal/subscription.ts'
import type { ConnectionDefinition } from '#patterns/connections/define.ts'
import { laterBody, laterOf, laterTopic } from '#patterns/connections/later/later.ts'
import { operationsOf } from '#patterns/connections/define.ts'
import type { AnyTopic } from '#patterns/topics/define.ts'
import { dataOf, envelope } from '#patterns/topics/envelope.ts'
import { parse } from '#kernel/schema.ts'
import { backoff, retry } from '#resilience/retry.ts'
import type { Verbs } from './verbs.ts'

/** Beyond the time of the call itself: reading, the intent, delivering the answer. */
const margin = 5_000
const longestRun = 3_600_000

/** The topics of the connections that make calls later, by name: like those of the user, and not listed among them. */
export function laterTopics(connections: Iterable<ConnectionDefinition>): ReadonlyMap<string, AnyTopic> {
  const topics = new Map<string, AnyTopic>()
  for (const definition of connections) {
    const settings = laterOf(definition)
    if (settings === undefined) continue
    const name = laterTopic(definition.name)
    const { keep } = settings
    topics.set(name, { kind: 'topic', name, schema: laterBody, keep, partitions: 16, dedupe: keep, compact: false })
  }
  return topics
}

/**
 * The durable subscription that makes the calls of a connection: each under its own key on every try, those of one `order` one after
 * the other. What cannot be done is parked with its reason, as any message.
 */
export function laterRunner(definition: ConnectionDefinition, verbs: () => Verbs): SubscriptionOptions {
  const settings = laterOf(definition)!
  const plan = retry({ ...settings.retry, budget: 'none' })
  const { timeout } = definition.options
  const total = (typeof timeout === 'object' ? timeout.total : timeout) ?? '30s'
  const longest = Math.max(
    ...[total, ...operationsOf(definition).map((o) => o.spec.timeout ?? total)].map(milliseconds),
  )
  const name = laterTopic(definition.name)
  return {
    name,
    topic: name,
    from: 'beginning',
    concurrency: settings.concurrency,
    batch: 0,
    timeout: Math.min(longestRun, longest + margin),
    parkedLimit: 10_000,
    retry: {
      attempts: 'schedule' in settings.retry ? plan.attempts + 1 : plan.attempts,
      delay: (n, random) => backoff(plan, n, random),
    },
    handle: (run) => callNow(definition.name, run, verbs()),
  }
}

async function callNow(connection: string, run: Run, verbs: Verbs): Promise<void> {
  const stored = run.messages[0]!
  const { operation, input, key, deliver } = await parse(laterBody, dataOf(stored))
  const { correlationid, traceparent } = envelope(run.topic.name, stored, undefined)
  const output = await verbs.call(
    { kind: 'operation', connection, name: operation },
    input,
    {},
    {
      key,
      // A fallback would be delivered as if it were the answer.
      direct: true,
      deadline: run.deadline,
      get signal() {
        return run.signal
      },
      correlation: correlationid,
      message: printPosition({ topic: run.topic.name, partition: run.partition, offset: stored.offset }),
      attempt: run.repeated ? Math.max(2, run.attempt) : run.attempt,
    },
  )
  if (deliver === undefined) return
  // The same id on every run: an answer is delivered once, also when the end of this run is not written down.
  await verbs.publish(
    { kind: 'topic', name: deliver },
    output,
    { id: `${run.topic.name}/${stored.id}` },
    {
      attributes: { correlationid, causationid: stored.id, ...(traceparent === undefined ? {} : { traceparent }) },
    },
  )
}
