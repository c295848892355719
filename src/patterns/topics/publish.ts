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

/** What the engine adds to a publish: attributes, and the id that a repeated run of a handler must repeat. */
export type Origin = { readonly attributes: Attributes; readonly id?: string }

/**
 * A checked message, ready for the log: schema, key, id, JSON. Synchronous when the schema is, so that a thousand
 * publishes of one turn share one commit. The id: as given, else the topic's own, else the origin's, else a fresh one.
 * Throws `schema.invalid`.
 */
export function draft(
  topic: AnyTopic,
  data: unknown,
  options: PublishOptions,
  origin: Origin,
  ids: Ids,
): Draft | Promise<Draft> {
  if (topic.schema === undefined) return finish(topic, data, options, origin, ids)
  const parsed = parse(topic.schema, data)
  if (parsed instanceof Promise) return parsed.then((value) => finish(topic, value, options, origin, ids))
  return finish(topic, parsed, options, origin, ids)
}

function finish(topic: AnyTopic, data: unknown, options: PublishOptions, origin: Origin, ids: Ids): Draft {
  const key = options.key ?? topic.key?.(data as never) ?? null
  const body = JSON.stringify(data) as string | undefined
  if (body === undefined) {
    throw fault('schema.invalid', { message: 'the data is not JSON: undefined, a function or a symbol' })
  }
  if (key !== null) check(topic, 'key', key, longestKey)
  const id = options.id ?? topic.id?.(data as never) ?? origin.id
  if (id !== undefined) check(topic, 'id', id, longestId)
  const { attributes } = origin
  const meta = options.correlation === undefined ? attributes : { ...attributes, correlationid: options.correlation }
  return {
    id: id ?? ids.next(),
    key,
    meta: packAttributes(meta),
    body,
    dedupe: id === undefined ? 0 : milliseconds(topic.dedupe),
  }
}

function check(topic: AnyTopic, what: string, value: unknown, longest: number): void {
  if (typeof value === 'string' && value.length > 0 && value.length <= longest) return
  throw fault('schema.invalid', {
    message: `the ${what} must be text of 1 to ${longest} characters`,
    detail: { topic: topic.name },
  })
}
