import { longestTold } from './classify.ts'

/** The one cool-down that all calls of a pipeline share: before `until` no work is started. */
export class Cooling {
  /** Monotonic milliseconds; 0 when nobody told us to wait. */
  until = 0
  readonly #extended: (until: number) => void

  constructor(extended: (until: number) => void) {
    this.#extended = extended
  }

  /** Waits at least `ms` from `now`, at most 1 hour. A later end that is already set stays. */
  extend(now: number, ms: number): void {
    const until = now + Math.min(ms, longestTold)
    if (!(ms > 0) || until <= this.until) return
    this.until = until
    this.#extended(until)
  }
}
