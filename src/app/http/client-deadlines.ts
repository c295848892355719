import type { Cancel, Clock } from '#kernel/clock.ts'

/** Something that must end by a time. */
export type Timed = {
  /** Monotonic milliseconds. May only become later while it is watched: the timer stands at the earliest one seen. */
  due: number
  /** Kept by `Deadlines`: its place, -1 when it is not watched. */
  place: number
  expire(): void
}

/** A clock's timer may come a hair early in floating point; half a millisecond is on time. */
const early = 0.5

/**
 * Watches any number of deadlines with one timer: a call that ends in time costs two array writes, no timer of its own.
 * (One timer and one AbortController a call is what makes timeouts dear: 4,600 ns against about 100.) The timer stands at
 * the earliest `due` known when it was set, and the list is read only when it fires; an empty list leaves no timer behind.
 */
export class Deadlines<T extends Timed = Timed> {
  readonly #clock: Clock
  readonly #watched: T[] = []
  #cancel: Cancel | undefined
  #armed = Number.POSITIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  watch(timed: T): void {
    timed.place = this.#watched.length
    this.#watched.push(timed)
    if (timed.due < this.#armed) this.#arm(timed.due, this.#clock.mono())
  }

  forget(timed: T): void {
    const at = timed.place
    if (at < 0) return
    timed.place = -1
    const last = this.#watched.pop()!
    if (last !== timed) {
      this.#watched[at] = last
      last.place = at
    }
    if (this.#watched.length === 0) {
      this.#cancel?.()
      this.#cancel = undefined
      this.#armed = Number.POSITIVE_INFINITY
    }
  }

  /** All that have not been forgotten. */
  all(): readonly T[] {
    return [...this.#watched]
  }

  #arm(due: number, now: number): void {
    this.#cancel?.()
    this.#armed = due
    this.#cancel = this.#clock.after(Math.max(0, due - now), () => this.#fire())
  }

  #fire(): void {
    this.#cancel = undefined
    this.#armed = Number.POSITIVE_INFINITY
    const now = this.#clock.mono()
    for (const timed of this.#watched.filter((t) => t.due <= now + early)) {
      this.forget(timed)
      timed.expire()
    }
    let next = Number.POSITIVE_INFINITY
    for (const timed of this.#watched) next = Math.min(next, timed.due)
    if (next < this.#armed) this.#arm(next, now)
  }
}
