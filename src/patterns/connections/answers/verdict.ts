import { isFault, type Fault } from '#kernel/fault.ts'
import type { Verdict } from '#resilience/policy.ts'

/** Cool-down of a connection whose 429 did not say how long: 1 s. */
const untold = 1_000

const stop: Verdict = Object.freeze({ retry: false, failure: false })

/** Answers that another try would only repeat: they were complete, and not what was declared. */
const lasting: ReadonlySet<unknown> = new Set([
  'json',
  'encoding',
  'shape',
  'too-large',
  'no-list',
  'media-type',
  'xml',
  'protobuf',
])

/** Whether the answer was complete but not usable: what was asked has happened, and asking again would not help. */
export function isLasting(f: Fault): boolean {
  return f.code === 'connection.response' && lasting.has(f.detail['reason'])
}

/**
 * What a fault of one attempt means (DESIGN §6). `again` says that repeating is safe: the call has the effect of one however
 * often it arrives, or `verify` is asked before it goes out once more. Pure.
 */
export function verdict(error: unknown, again: boolean): Verdict {
  if (!isFault(error)) return stop
  const told = error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }
  switch (error.kind) {
    case 'transient':
      return { retry: true, failure: error.code !== 'connection.deadline', ...told }
    case 'throttled':
      return { retry: true, failure: false, ...told, coolDown: error.retryAfter ?? untold }
    case 'ambiguous': {
      // They answered, so their side is up: a new shape of the answer must not open the breaker.
      if (isLasting(error)) return stop
      return { retry: again, failure: true, ...told }
    }
    default:
      return stop
  }
}
