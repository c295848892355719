import type { Cancel } from '#kernel/clock.ts'
import type { Chance } from './decisions.ts'
import { turn } from './guards.ts'

type Timer = { readonly at: number; readonly tie: number; readonly fn: () => void }

/**
 * Time of a simulated world. Owns what happens next: everything that is ready runs, then time moves to the earliest timer.
 * Timers of the same millisecond fire in an order that is drawn, because nothing may depend on it.
 */
export class Scheduler {
  /** Milliseconds since the world began; never goes back. */
  now = 0
  readonly #chance: Chance
  readonly #timers: Timer[] = []
  #soon: (() => void)[] = []

  constructor(chance: Chance) {
    this.#chance = chance
  }

  after(ms: number, fn: () => void): Cancel {
    const timer: Timer = { at: this.now + Math.max(0, ms), tie: this.#chance.whole('tie', 0, 9), fn }
    let low = 0
    let high = this.#timers.length
    while (low < high) {
      const mid = (low + high) >> 1
      const t = this.#timers[mid]!
      if (t.at < timer.at || (t.at === timer.at && t.tie <= timer.tie)) low = mid + 1
      else high = mid
    }
    this.#timers.splice(low, 0, timer)
    return () => {
      const i = this.#timers.indexOf(timer)
      if (i >= 0) this.#timers.splice(i, 1)
    }
  }

  /** As setImmediate: after everything that is ready now. */
  readonly soon = (fn: () => void): void => {
    this.#soon.push(fn)
  }

  /** Lets everything that is ready happen, without moving time. */
  async settle(): Promise<void> {
    for (;;) {
      await turn()
      if (this.#soon.length === 0) return
      const batch = this.#soon
      this.#soon = []
      for (const fn of batch) fn()
    }
  }

  async advance(ms: number): Promise<void> {
    const until = this.now + ms
    await this.settle()
    while (this.#timers[0] !== undefined && this.#timers[0].at <= until) {
      const timer = this.#timers.shift()!
      this.now = timer.at
      timer.fn()
      await this.settle()
    }
    this.now = until
  }
}
