import type { Cancel, Clock } from '#kernel/clock.ts'
import { toFault } from '#kernel/fault.ts'
import type { Journal } from '#journal/journal.ts'

/** How often the loops are looked at. */
const beat = 5_000
/** An event loop that is this late is stalled: nothing that we say about the rest is fresh. */
const stalled = 5_000
/** A subscription with work and room that ended nothing for this long is stalled. */
const idle = 120_000

export type Health = {
  /** The process works: its event loop turns. Not alive: restart it. */
  readonly live: boolean
  /** It can take work: started, not draining, store writable, no loop stalled. */
  readonly ready: boolean
  /** What is wrong, for people; empty when all is well. */
  readonly reasons: readonly string[]
  /** Milliseconds by which the event loop was late at the last look. */
  readonly lateness: number
}

/** Watches what a process cannot feel itself: a loop that no longer turns, a subscription that no longer moves. */
export class HealthMonitor {
  readonly #clock: Clock
  readonly #journal: Journal
  readonly #progress = new Map<string, { done: number; at: number }>()
  #due = 0
  #lateness = 0
  #cancel: Cancel | undefined
  draining = false

  constructor(clock: Clock, journal: Journal) {
    this.#clock = clock
    this.#journal = journal
  }

  start(): void {
    this.#due = this.#clock.mono() + beat
    this.#cancel = this.#clock.after(beat, () => {
      this.#lateness = Math.max(0, this.#clock.mono() - this.#due)
      this.#watch()
      this.start()
    })
  }

  read(): Health {
    // Asked in the same turn in which a block ends, the timer has not fired yet: count what is overdue too.
    const overdue = this.#cancel === undefined ? 0 : Math.max(0, this.#clock.mono() - this.#due)
    const lateness = Math.round(Math.max(this.#lateness, overdue))
    const reasons: string[] = []
    if (lateness > stalled) reasons.push(`the event loop was blocked for ${lateness} ms`)
    const live = reasons.length === 0
    if (this.draining) reasons.push('draining')
    const { trouble } = this.#journal.commit
    if (trouble !== undefined) reasons.push(`the store refuses writes: ${toFault(trouble, 'store.broken').code}`)
    for (const [name, p] of this.#progress) {
      if (this.#clock.mono() - p.at > idle)
        reasons.push(
          `subscription ${name} has work and has ended nothing for ${Math.round((this.#clock.mono() - p.at) / 1000)} s`,
        )
    }
    return { live, ready: reasons.length === 0, reasons, lateness }
  }

  #watch(): void {
    const now = this.#clock.mono()
    for (const [name, s] of this.#journal.subscriptions) {
      const ended = s.counts.done + s.counts.failed
      const before = this.#progress.get(name)
      const free = s.waiting !== undefined || !s.lagging
      if (!before || free || before.done !== ended) this.#progress.set(name, { done: ended, at: now })
    }
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
