import type { Problem } from '#kernel/definition.ts'
import { milliseconds, type Duration } from '#kernel/duration.ts'
import type { Call, Layer } from './call.ts'
import { accept, problemsOf, span } from './options.ts'

export type TimeoutPolicy = { readonly policy: 'timeout'; readonly within: Duration }

/**
 * Gives up on what is inside it after `within` (default 30 s) and answers the caller at once, whether or not the work
 * heeds its signal. Outside `retry` it bounds everything, delays included; inside, each attempt. Never beyond a limit
 * further out: the deadline travels inwards as `attempt.deadline`.
 *
 * Faults: `resilience.timeout` (ambiguous) once the work was started, `resilience.deadline` (transient) when it was not.
 */
export function timeout(within: Duration = '30s'): TimeoutPolicy {
  accept(timeoutProblems('timeout', { within }))
  return Object.freeze({ policy: 'timeout', within })
}

export function timeoutProblems(path: string, options: unknown): Problem[] {
  return problemsOf(path, options, { within: span })
}

export class TimeoutLayer implements Layer {
  readonly holds = true
  readonly #index: number
  readonly #within: number

  constructor(policy: TimeoutPolicy, index: number) {
    this.#index = index
    this.#within = milliseconds(policy.within)
  }

  enter(call: Call): undefined {
    const due = call.now + this.#within
    // A tighter limit further out fires first: nothing to arm.
    if (due < call.deadline) call.limit(due, this.#index, this.#within)
  }

  succeeded(call: Call): void {
    // No limit of ours when a tighter one was there already. (That of the run itself also has floor 0: it may go with
    // the outermost layer, because after that the run is settled.)
    const limit = call.inside
    if (limit !== undefined && limit.floor === this.#index) call.unlimit(limit)
  }

  failed(call: Call): boolean {
    this.succeeded(call)
    return false
  }

  abandoned(call: Call): void {
    this.succeeded(call)
  }

  stop(): void {}
}
