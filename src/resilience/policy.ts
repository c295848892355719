import type { BreakerPolicy } from './breaker.ts'
import type { BulkheadPolicy } from './bulkhead.ts'
import type { FallbackPolicy } from './fallback.ts'
import type { HedgePolicy } from './hedge.ts'
import type { LimitPolicy } from './limiter.ts'
import type { RetryPolicy } from './retry.ts'
import type { TimeoutPolicy } from './timeout.ts'

/** A policy is a frozen plain value with every default filled in: printing it shows the numbers that hold. */
export type Policy =
  | RetryPolicy
  | TimeoutPolicy
  | BreakerPolicy
  | LimitPolicy
  | BulkheadPolicy
  | HedgePolicy
  | FallbackPolicy

/** What the work is told each time it is started. */
export type Attempt = {
  /** 1 for the first start of the work in this run, 2 for the next …; hedged copies count too. */
  readonly number: number
  /** Monotonic milliseconds at which this attempt is given up; Infinity if nothing limits it. */
  readonly deadline: number
  /** Aborted when this attempt is given up. Made when first asked for: work that does not ask costs no AbortController. */
  readonly signal: AbortSignal
}

/** What an error of the work means. */
export type Verdict = {
  /** Whether trying again can help and is safe. */
  readonly retry: boolean
  /** Whether it counts against the health of the other side (breaker). A 404 does not: they answered. */
  readonly failure: boolean
  /** Milliseconds they told us to wait. Larger than the computed delay, it wins; at most 1 hour. */
  readonly retryAfter?: number
  /** Milliseconds during which the whole pipeline starts no work; at most 1 hour. */
  readonly coolDown?: number
}

export type Classify = (error: unknown) => Verdict

export type RunOptions = {
  readonly signal?: AbortSignal
  /** Monotonic milliseconds. Bounds everything: waits, attempts, delays. */
  readonly deadline?: number
  /** Whether the work may run twice without a second effect. Default false: then an ambiguous fault is not retried and nothing is hedged. */
  readonly idempotent?: boolean
  /** Default: `classify`, by the kind of the fault. Not asked about our own refusals and about cancellation. */
  readonly classify?: Classify
}

/** What happened inside, for logs and metrics; told after the turn in which it happened. Successes are silent. */
export type PipelineEvent =
  | { readonly type: 'retry'; readonly retry: number; readonly delay: number; readonly error: unknown }
  | { readonly type: 'gave-up'; readonly retry: number; readonly why: GaveUp; readonly error: unknown }
  | { readonly type: 'timeout'; readonly after: number; readonly started: boolean }
  | { readonly type: 'breaker'; readonly from: string; readonly to: string; readonly openFor: number }
  | { readonly type: 'refused'; readonly code: string; readonly retryAfter: number | undefined }
  | { readonly type: 'hedge'; readonly copy: number }
  | { readonly type: 'fallback'; readonly error: unknown }
  | { readonly type: 'cool-down'; readonly until: number }

/** Why a retry was not made although the error allowed one. */
export type GaveUp = 'attempts' | 'deadline' | 'budget'
