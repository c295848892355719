import type { ParkedState } from '#adapters/stores/port.ts'
import type { FaultKind } from '#kernel/codes.ts'
import type { Fault } from '#kernel/fault.ts'
import type { Random } from '#kernel/random.ts'

/** How a subscription's failed messages are tried again: at most `attempts` runs; `delay(n)` is the wait in ms before the nth retry. */
export type RetryPlan = { readonly attempts: number; delay(retry: number, random: Random): number }

export type Verdict = {
  readonly state: Exclude<ParkedState, 'behind'>
  readonly attempts: number
  readonly due: number
  readonly heldBy: string | null
}

/** While a breaker is open or a credential is missing: how often we look again when nobody said when. */
const holdFor: Partial<Record<FaultKind, number>> = { credential: 60_000, throttled: 5_000, transient: 5_000 }
/** A longer wait than this is asked for by a broken clock, not by a service. */
const longestWait = 3_600_000

/**
 * What happens to a message whose run ended with `fault` (pure). `attempts` counts the runs that were burned before this one.
 *
 * rejected, invalid, config, bug → dead at once: repeating cannot help; so does a call that may have happened and can
 * neither be verified nor repeated under a key. credential, throttled, an open breaker → held:
 * the message is not at fault, no attempt is burned. All else → retry with backoff, dead when the attempts are spent.
 */
export function park(fault: Fault, attempts: number, plan: RetryPlan, now: number, random: Random): Verdict {
  const wait = asked(fault.retryAfter)
  const heldBy = holder(fault)
  if (heldBy !== null)
    return { state: 'held', attempts, due: now + Math.ceil(wait ?? holdFor[fault.kind] ?? 5_000), heldBy }
  const burned = attempts + 1
  if (hopeless.has(fault.kind) || fault.code === 'connection.unverified' || burned >= plan.attempts)
    return { state: 'dead', attempts: burned, due: now, heldBy: null }
  return {
    state: 'retry',
    attempts: burned,
    due: now + Math.ceil(Math.max(wait ?? 0, plan.delay(burned, random))),
    heldBy: null,
  }
}

/** What a fault says about waiting; undefined when that is no time. */
function asked(retryAfter: unknown): number | undefined {
  return typeof retryAfter === 'number' && !Number.isNaN(retryAfter)
    ? Math.min(longestWait, Math.max(0, retryAfter))
    : undefined
}

const hopeless: ReadonlySet<FaultKind> = new Set(['rejected', 'invalid', 'config', 'bug'])
const holding: ReadonlySet<string> = new Set([
  'connection.breaker_open',
  'connection.overloaded',
  'resilience.breaker_open',
])

/** Whose fault it is that the message has to wait: a connection's name, or null when the run itself failed. */
function holder(fault: Fault): string | null {
  if (fault.kind !== 'credential' && fault.kind !== 'throttled' && !holding.has(fault.code)) return null
  const connection = fault.detail['connection']
  return typeof connection === 'string' ? connection : fault.code
}

/**
 * When a message whose run never ended is tried again (pure): as after any failure. It is not dead yet, though its attempts
 * may be spent: whether it was at fault is known only when it ran alone.
 */
export function recover(attempts: number, plan: RetryPlan, now: number, random: Random): Verdict {
  return { state: 'retry', attempts, due: now + Math.ceil(plan.delay(attempts, random)), heldBy: null }
}
