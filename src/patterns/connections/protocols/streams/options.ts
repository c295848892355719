import { checkOptions, type Problem } from '#kernel/definition.ts'
import { milliseconds, type Duration } from '#kernel/duration.ts'
import { isSpan } from '../../check/parts.ts'
import type { Items } from './items.ts'

/**
 * How an answer streams its items. `sse`: server-sent events (WHATWG HTML §9.2), each `{ event, id, data }` with `data` as JSON, or as
 * it is with `answer: 'text'`. `ndjson`: one JSON value a line; blank lines are skipped, the last line needs no end. `grpc`: the
 * messages of a method that streams its answers.
 */
export type StreamKind = 'sse' | 'ndjson' | 'grpc'

export type StreamOptions = {
  readonly as: StreamKind
  /** Longest line, and longest data of an event, in bytes. Default 1 MiB. */
  readonly maxItem?: number
  /** Longest silence while the next item is waited for; comments of the server count as a sign of life. Default 60 s. */
  readonly idle?: Duration
  /** An event with exactly this data ends the stream: `'[DONE]'`. Default: it ends when they end it. */
  readonly end?: string
  /**
   * How long it is tried to open a broken stream again before the walk fails, counted from the break. Default 10 min for a GET of
   * events; for all others `false`, since they could not go on where they were.
   */
  readonly reconnect?: Duration | false
}

/** With every default filled in; milliseconds. */
export type StreamPlan = {
  readonly as: StreamKind
  readonly maxItem: number
  readonly idle: number
  readonly end: string | undefined
  readonly patience: number | undefined
  readonly text: boolean
  /** Where neither of the two is spoken: what makes items of the bytes. */
  readonly items?: () => Items
}

export function streamPlan(
  stream: StreamKind | StreamOptions,
  method: string,
  answer: 'json' | 'text' | 'bytes',
): StreamPlan {
  const { as, maxItem = 1_048_576, idle = '60s', end, reconnect } = typeof stream === 'string' ? { as: stream } : stream
  const events = as === 'sse' && method === 'GET'
  const patience = reconnect ?? (events ? '10m' : false)
  return {
    as,
    maxItem,
    idle: milliseconds(idle),
    end,
    patience: patience === false ? undefined : milliseconds(patience),
    text: answer === 'text',
  }
}

/** `repeatable`: the operation may be sent again without a second effect. */
export function streamProblems(path: string, spec: Readonly<Record<string, unknown>>, repeatable: boolean): Problem[] {
  const { stream } = spec
  if (stream === undefined) return []
  const options = typeof stream === 'string' ? { as: stream } : stream
  const problems = checkOptions(path, options, ['as', 'maxItem', 'idle', 'end', 'reconnect'])
  if (typeof options !== 'object' || options === null) return problems
  const { as, maxItem, idle, end, reconnect } = options as Readonly<Record<string, unknown>>
  const add = (name: string, message: string, fix: string): void => {
    problems.push({ path: name === '' ? path : `${path}.${name}`, message, fix })
  }
  if (as !== 'sse' && as !== 'ndjson' && as !== 'grpc') add('', 'is not a stream', "use 'sse', 'ndjson' or 'grpc'")
  if (
    maxItem !== undefined &&
    !(Number.isInteger(maxItem) && (maxItem as number) > 0 && (maxItem as number) <= 2 ** 30)
  )
    add('maxItem', 'is not a size', 'use whole bytes from 1 to 1073741824')
  if (idle !== undefined && !isSpan(idle)) add('idle', 'is not a time', "use a duration: '60s'")
  if (end !== undefined && (typeof end !== 'string' || end === '')) add('end', 'is not text', "use '[DONE]'")
  if (as !== 'sse' && end !== undefined) add('end', 'is for events', "remove it, or use as: 'sse'")
  if (reconnect !== undefined && reconnect !== false) {
    if (!isSpan(reconnect)) add('reconnect', 'is not a time', "use a duration: '10m', or false")
    else if (as !== 'sse') add('reconnect', 'items that are no events have no place to go on from', 'remove it')
    else if (!repeatable) add('reconnect', 'would send the request again', "mark the operation idempotent: 'natural'")
  }
  if (spec['answer'] === 'bytes') add('', 'has items, not bytes', "use answer: 'json' or 'text'")
  if (spec['pages'] !== undefined) add('', 'is not walked by pages', 'remove `pages` or `stream`')
  if (spec['verify'] !== undefined) add('', 'cannot be verified: it has no one answer', 'remove `verify` or `stream`')
  return problems
}
