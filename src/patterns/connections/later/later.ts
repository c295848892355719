import type { Problem } from '#kernel/definition.ts'
import { checkOptions } from '#kernel/definition.ts'
import type { Duration } from '#kernel/duration.ts'
import { fault } from '#kernel/fault.ts'
import { parse, type Schema } from '#kernel/schema.ts'
import { retryProblems, type RetryOptions, type RetrySchedule } from '#resilience/retry.ts'
import { isSpan } from '../check/parts.ts'
import type { ConnectionDefinition } from '../define.ts'
import type { Ready } from '../operation.ts'

/** How calls that are made later are worked, beside the connection's own limits. */
export type LaterSettings = {
  /** Such calls at once in this process. Default 10, 1 to 1,000. */
  readonly concurrency?: number
  /** Default: 10 times, the second after 1 s, ×2, at most 10 min apart; then dead, for a person. While the breaker is open or the credential refused none is spent. */
  readonly retry?: RetryOptions | RetrySchedule
  /** How long a call stays in the log after it was accepted; unfinished ones stay longer. Default 7 days, at least 1 h. */
  readonly keep?: Duration
}

/** A call as a message of its connection's topic. */
export type LaterBody = {
  readonly operation: string
  readonly input?: unknown
  /** Idempotency key, the same on every try. */
  readonly key: string
  /** The topic that gets the answer. */
  readonly deliver?: string
}

const defaults = { concurrency: 10, retry: { attempts: 10, first: '1s', max: '10m' }, keep: '7d' } as const

/** The settings of a connection with all defaults; undefined when it makes no calls later. */
export function laterOf({ options }: ConnectionDefinition): Required<LaterSettings> | undefined {
  const { later } = options
  if (later === undefined) return undefined
  const given = later === true ? {} : later
  const retry = given.retry && !('schedule' in given.retry) ? { ...defaults.retry, ...given.retry } : given.retry
  return { ...defaults, ...given, retry: retry ?? defaults.retry }
}

/** What is to be called later is kept in a topic of its own: `call.<connection>`. */
export function laterTopic(connection: string): string {
  return `call.${connection}`
}

/**
 * The input as it will be read again: JSON. Throws `schema.invalid` where the operation would refuse it then, and
 * `connection.later` when the connection makes no calls later.
 */
export async function deferred(definition: ConnectionDefinition, ready: Ready, input: unknown): Promise<unknown> {
  if (laterOf(definition) === undefined) {
    const { name: connection } = definition
    throw fault('connection.later', { detail: { connection, operation: ready.name } })
  }
  let kept: unknown
  try {
    kept = input === undefined ? undefined : JSON.parse(JSON.stringify(input))
  } catch (cause) {
    throw fault('schema.invalid', { message: 'the input cannot be written as JSON', cause, detail: { issues: [] } })
  }
  // What can be known now is told now: a schema that wants a Date would refuse the text that JSON makes of it.
  ready.render(ready.spec.input === undefined ? kept : await parse(ready.spec.input, kept))
  return kept
}

/** The body of a message that a person may have edited. */
export const laterBody: Schema<LaterBody> = {
  '~standard': {
    version: 1,
    vendor: 'fairlead',
    validate(value) {
      const body = (typeof value === 'object' && value !== null ? value : {}) as Readonly<Record<string, unknown>>
      const issues = [
        ...(['operation', 'key'] as const).filter((name) => typeof body[name] !== 'string'),
        ...(body['deliver'] === undefined || typeof body['deliver'] === 'string' ? [] : ['deliver']),
      ].map((name) => ({ message: 'must be text', path: [name] }))
      // All its fields are what the type says, or there is an issue.
      return issues.length > 0 ? { issues } : { value: body as unknown as LaterBody }
    },
  },
}

export function laterProblems(path: string, later: unknown): Problem[] {
  if (later === undefined || later === true) return []
  const problems = checkOptions(path, later, ['concurrency', 'retry', 'keep'])
  if (typeof later !== 'object' || later === null) return problems
  const { concurrency, retry, keep } = later as Readonly<Record<string, unknown>>
  if (
    concurrency !== undefined &&
    !(Number.isInteger(concurrency) && (concurrency as number) >= 1 && (concurrency as number) <= 1_000)
  )
    problems.push({ path: `${path}.concurrency`, message: 'is not a count', fix: 'use a whole number from 1 to 1000' })
  if (retry !== undefined) problems.push(...retryProblems(`${path}.retry`, retry))
  if (keep !== undefined && !isSpan(keep))
    problems.push({ path: `${path}.keep`, message: 'is not a time', fix: "use a duration: '7d'" })
  return problems
}
