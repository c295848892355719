import type { PublishOptions } from '#kernel/context.ts'
import { milliseconds } from '#kernel/duration.ts'
import { fault } from '#kernel/fault.ts'
import type { Ids } from '#kernel/id.ts'
import { parse } from '#kernel/schema.ts'
import type { Draft } from '#journal/log.ts'
import type { AnyTopic } from './define.ts'
import { packAttributes, type Attributes } from './envelope.ts'

/** CloudEvents ask for a non-empty id; longer ones than this are somebody's payload. */
const longestId = 512
const longestKey = 512

/**
 * A checked message, ready for the log: schema, key, id, JSON. Synchronous when the schema is, so that a thousand
 * publishes of one turn share one commit. Throws `schema.invalid`.
 */
export function draft(
  topic: AnyTopic,
  data: unknown,
  options: PublishOptions,
  attributes: Attributes,
  ids: Ids,
): Draft | Promise<Draft> {
  if (topic.schema === undefined) return finish(topic, data, options, attributes, ids)
  const parsed = parse(topic.schema, data)
  if (parsed instanceof Promise) return parsed.then((value) => finish(topic, value, options, attributes, ids))
  return finish(topic, parsed, options, attributes, ids)
}

function finish(topic: AnyTopic, data: unknown, options: PublishOptions, attributes: Attributes, ids: Ids): Draft {
  const key = options.key ?? topic.key?.(data as never) ?? null
  const body = JSON.stringify(data) as string | undefined
  if (body === undefined)
    throw fault('schema.invalid', { message: 'the data is not JSON: undefined, a function or a symbol' })
  if (key !== null && (typeof key !== 'string' || key.length === 0 || key.length > longestKey)) {
    throw fault('schema.invalid', {
      message: `the key must be text of 1 to ${longestKey} characters`,
      detail: { topic: topic.name },
    })
  }
  const { id } = options
  if (id !== undefined && (typeof id !== 'string' || id.length === 0 || id.length > longestId)) {
    throw fault('schema.invalid', {
      message: `the id must be text of 1 to ${longestId} characters`,
      detail: { topic: topic.name },
    })
  }
  const meta = options.correlation === undefined ? attributes : { ...attributes, correlationid: options.correlation }
  return {
    id: id ?? ids.next(),
    key,
    meta: packAttributes(meta),
    body,
    dedupe: id === undefined ? 0 : milliseconds(topic.dedupe),
  }
}
