import { isFault } from '#kernel/fault.ts'
import type { Verdict } from './policy.ts'

/** Longest wait that the other side can impose, in milliseconds: 1 hour. Beyond it a wrong header would stop us for days. */
export const longestTold = 3_600_000

/** Faults that say about ourselves, not about the other side: the work was not started. */
const refusals: ReadonlySet<string> = new Set([
  'resilience.breaker_open',
  'resilience.bulkhead_full',
  'resilience.limited',
  'resilience.deadline',
  'connection.breaker_open',
  'connection.overloaded',
  'connection.limited',
  'connection.deadline',
])

/** Whether a policy (of this or of an inner pipeline) refused to start the work. */
export function isRefusal(error: unknown): boolean {
  return isFault(error) && refusals.has(error.code)
}

/** Whether the caller gave up: a fault of kind `cancelled`, or the platform's AbortError. */
export function isCancelled(error: unknown): boolean {
  if (isFault(error)) return error.kind === 'cancelled'
  return typeof error === 'object' && error !== null && (error as { readonly name?: unknown }).name === 'AbortError'
}

/**
 * What an error means when the caller does not say: by the kind of the fault (DESIGN §6). `transient` and `throttled`
 * are retried; `ambiguous`, and whatever is not a fault, only if the work is idempotent: it may have happened.
 * Both and `transient` count as failures of the other side; being throttled does not, it cools the pipeline down:
 * as long as they told us, 1 s when they did not.
 */
export function classify(error: unknown, idempotent: boolean): Verdict {
  if (isCancelled(error)) return { retry: false, failure: false }
  if (!isFault(error)) return { retry: idempotent, failure: true }
  const told = error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }
  if (refusals.has(error.code)) return { retry: true, failure: false, ...told }
  switch (error.kind) {
    case 'transient':
      return { retry: true, failure: true, ...told }
    case 'throttled':
      return { retry: true, failure: false, ...told, coolDown: error.retryAfter ?? 1000 }
    case 'ambiguous':
      return { retry: idempotent, failure: true, ...told }
    default:
      return { retry: false, failure: false }
  }
}
