import { checkName, checkOptions, define, type Problem } from '#kernel/definition.ts'
import { isDuration, milliseconds, type Duration } from '#kernel/duration.ts'
import type { TopicHandle } from '#kernel/handle.ts'
import type { Json } from '#kernel/json.ts'
import { isSchema, type InputOf, type OutputOf, type Schema } from '#kernel/schema.ts'

/**
 * # Topic
 *
 * **Is** a named, durable log of messages. Publishing appends; what happens next is a subscription. Messages of one key
 * stand in one partition, in the order in which they were accepted.
 *
 * **Is not** a queue that empties: a message stays for `keep` after it was accepted, so a new subscription can begin at
 * the beginning and a corrected one can be replayed. And not a table: what is published is a fact and does not change.
 *
 * **Words**: *topic*, *message* (a CloudEvent), *key* (what keeps order), *partition*, *offset*, *position*.
 *
 * **Promise**: `publish` resolves when the message is on disk (fsync). An id that is repeated within `dedupe` is answered
 * with the first position.
 */
export type Topic<Input = never, Output = unknown> = TopicHandle<Input, Output> & {
  readonly schema?: Schema
  key?(data: Output): string | undefined
  id?(data: Output): string | undefined
  readonly keep: Duration
  readonly partitions: number
  readonly dedupe: Duration
  readonly compact: boolean
}

/** A topic with its types forgotten: what the engine works on. */
export type AnyTopic = TopicHandle & {
  readonly schema?: Schema
  readonly key?: (data: never) => string | undefined
  readonly id?: (data: never) => string | undefined
  readonly keep: Duration
  readonly partitions: number
  readonly dedupe: Duration
  readonly compact: boolean
}

export type TopicOptions<S extends Schema> = {
  /** What messages look like: checked when they are published; the parsed value is what is stored. Absent: any JSON. */
  readonly schema?: S
  /** What keeps order, at most 512 characters. Absent or undefined: no order among messages, all can be handled at once. */
  readonly key?: (data: OutputOf<S>) => string | undefined
  /** The fact's own id, at most 512 characters: publishing it again within `dedupe` is answered with the first position. Absent: each publish is a new fact. */
  readonly id?: (data: OutputOf<S>) => string | undefined
  /** How long messages stay. Default 7 days, 1 h to 10 years; at least `dedupe`. Unfinished messages stay longer. */
  readonly keep?: Duration
  /** Default 16, 1 to 256: the most workers that can share a subscription. Fixed when the topic is first started. */
  readonly partitions?: number
  /** How long an id is remembered. Default: 7 days, or `keep` if that is shorter. */
  readonly dedupe?: Duration
  /** Keep only the newest message of each key (a changelog). Default false. */
  readonly compact?: boolean
}

/**
 * Defines a topic. Inert: the log exists from the first start of an app that uses it.
 *
 * Limits: 1 MiB a message inline (`journal.too_large`), 2,000 topics of 16 partitions a store.
 *
 * Without a schema the data is any JSON, or what you say it is: `topic<Order>('orders')`.
 *
 * @example
 * export const orderPlaced = topic('orders.placed', { schema: Order, key: (o) => o.customer, keep: '30d' })
 */
export function topic<T = Json, S extends Schema = Schema<T, T>>(
  name: string,
  options: TopicOptions<S> = {},
): Topic<InputOf<S>, OutputOf<S>> {
  const keep = options.keep ?? '7d'
  const dedupe = isDuration(keep) && milliseconds(keep) < milliseconds('7d') ? keep : '7d'
  return define({ kind: 'topic', name, partitions: 16, dedupe, compact: false, ...options, keep }) as Topic<
    InputOf<S>,
    OutputOf<S>
  >
}

const options = ['kind', 'name', 'schema', 'key', 'id', 'keep', 'partitions', 'dedupe', 'compact']

export function checkTopic(topic: AnyTopic): Problem[] {
  const path = `topic(${topic.name})`
  const problems = [...checkName('topic', topic.name), ...checkOptions(path, topic, options)]
  const wrong = (option: string, message: string, fix: string): void =>
    void problems.push({ path: `${path}.${option}`, message, fix })
  if (topic.schema !== undefined && !isSchema(topic.schema))
    wrong('schema', 'is not a Standard Schema', 'pass a schema of zod, arktype, valibot …')
  if (topic.key !== undefined && typeof topic.key !== 'function')
    wrong('key', 'is not a function', 'pass (data) => string')
  if (topic.id !== undefined && typeof topic.id !== 'function')
    wrong('id', 'is not a function', 'pass (data) => string')
  if (!Number.isInteger(topic.partitions) || topic.partitions < 1 || topic.partitions > 256)
    wrong('partitions', `is ${String(topic.partitions)}`, 'pass a whole number from 1 to 256')
  if (!isDuration(topic.keep) || milliseconds(topic.keep) < 3_600_000)
    wrong('keep', `is ${topic.keep as string}`, "pass a duration of at least '1h'")
  else if (!isDuration(topic.dedupe)) wrong('dedupe', `is ${topic.dedupe as string}`, "pass a duration like '7d'")
  else if (milliseconds(topic.dedupe) > milliseconds(topic.keep))
    wrong('dedupe', 'is longer than keep', 'an id can only be recognised while its message is kept: raise keep')
  if (topic.compact && topic.key === undefined)
    wrong('compact', 'has no key', 'give the topic a key: compaction keeps the newest message of each')
  return problems
}
