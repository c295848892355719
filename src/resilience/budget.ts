import { milliseconds, type Duration } from '#kernel/duration.ts'
import { Ring } from './ring.ts'

export type BudgetOptions = {
  /** Retries as a share of the calls in the window. Default 0.1. */
  readonly share?: number
  /** The window. Default 10 s, counted in ten parts. */
  readonly over?: Duration
  /** Retries a second that are allowed however few calls there are. Default 3. */
  readonly least?: number
}

/**
 * Keeps retries from becoming the load that prevents recovery: of the last 10 s at most 10 % of the calls may be
 * retried, or 3 a second where that is more. Three tries at five layers are 243 times the load; this makes it 1.1.
 */
export class RetryBudget {
  readonly #window: Ring
  readonly #share: number
  readonly #least: number
  /** How many processes share `least`: together they must not retry more than one would. */
  sharedBy = 1

  constructor(options: Required<BudgetOptions>) {
    const over = milliseconds(options.over)
    this.#window = new Ring(over, 10)
    this.#share = options.share
    this.#least = (options.least * over) / 1000
  }

  called(now: number): void {
    this.#window.add(now, 0)
  }

  /** Takes one retry out of the budget; false when it is empty. */
  spend(now: number): boolean {
    const window = this.#window
    window.turn(now)
    if (window.marked + 1 > Math.max(this.#least / this.sharedBy, window.total * this.#share)) return false
    window.mark(now)
    return true
  }
}
