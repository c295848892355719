import type { Clock } from '#kernel/clock.ts'

/**
 * One limit: when the next permit is free, and taking it. Times are monotonic milliseconds that do not go back. Permits
 * are taken when the work starts, never ahead of it, so whoever stops waiting costs nothing.
 */
export interface Quota {
  readonly text: string
  /** Whether a permit is free. */
  free(now: number): boolean
  /** When a permit is free for the one who has `ahead` others before it: `now`, or the earliest time possible. `now` is the present. */
  earliest(now: number, ahead: number): number
  /** Takes a permit that is free. */
  take(now: number): void
  /** All work whose permit was taken since `since` has been started by `now`: it may have been held up after its permit. */
  started?(since: number, now: number): void
}

/** A window remembers at most this many times (32 KiB); beyond it, permits share one. */
const remembered = 4096

/**
 * At most `count` permits in any window [t, t + span), wherever it begins: permit k waits until `span` after permit
 * k − count. Above 4,096 permits a window, neighbours share the time of the last of them, which can only make it
 * stricter, by at most 1 part in 4,096.
 */
export class SlidingWindow implements Quota {
  readonly text: string
  readonly #span: number
  readonly #group: number
  readonly #times: Float64Array
  #slot = 0
  #left = 0

  constructor(text: string, count: number, span: number) {
    this.text = text
    this.#span = span
    this.#group = Math.ceil(count / remembered)
    this.#times = new Float64Array(Math.floor(count / this.#group)).fill(-Infinity)
  }

  free(now: number): boolean {
    return this.#left > 0 || this.#times[this.#slot]! + this.#span <= now
  }

  earliest(now: number, ahead: number): number {
    if (ahead < this.#left) return now
    const groups = Math.floor((ahead - this.#left) / this.#group)
    const size = this.#times.length
    const at = this.#times[(this.#slot + groups) % size]! + this.#span
    // Whole turns of the ring beyond those on record take at least a span each.
    return Math.max(now, at) + Math.floor(groups / size) * this.#span
  }

  take(now: number): void {
    if (this.#left === 0) {
      this.#left = this.#group
      this.#slot = this.#slot + 1 === this.#times.length ? 0 : this.#slot + 1
    }
    this.#left--
    this.#times[this.#slot === 0 ? this.#times.length - 1 : this.#slot - 1] = now
  }
}

/**
 * A bucket of `burst` tokens that fills at `count` a `span`: smooth in the long run, up to `burst` at once. Kept as one
 * number, the time at which the bucket would be full again (GCRA, ITU-T I.371). In one span up to count + burst pass.
 */
export class TokenBucket implements Quota {
  readonly text: string
  readonly #interval: number
  readonly #tolerance: number
  #full = -Infinity

  constructor(text: string, count: number, span: number, burst: number) {
    this.text = text
    this.#interval = span / count
    this.#tolerance = (burst - 1) * this.#interval
  }

  free(now: number): boolean {
    return this.#full - this.#tolerance <= now
  }

  earliest(now: number, ahead: number): number {
    return Math.max(now, Math.max(now, this.#full) - this.#tolerance + ahead * this.#interval)
  }

  take(now: number): void {
    this.#full = Math.max(now, this.#full) + this.#interval
  }
}

const day = 86_400_000

/**
 * At most `count` permits in each UTC calendar day. The wall clock is read at most once a second; set back over
 * midnight, it does not hand out the day again.
 */
export class UtcDay implements Quota {
  readonly text: string
  readonly #clock: Clock
  readonly #count: number
  #day = -Infinity
  #taken = 0
  #read = -Infinity
  #ends = -Infinity

  constructor(text: string, count: number, clock: Clock) {
    this.text = text
    this.#count = count
    this.#clock = clock
  }

  free(now: number): boolean {
    this.#turn(now)
    return this.#taken < this.#count
  }

  earliest(now: number, ahead: number): number {
    this.#turn(now)
    const over = this.#taken + ahead - this.#count
    return over < 0 ? now : this.#ends + Math.floor(over / this.#count) * day
  }

  take(now: number): void {
    this.#turn(now)
    this.#taken++
  }

  #turn(now: number): void {
    if (now < this.#ends && now - this.#read < 1000) return
    const wall = this.#clock.now()
    const today = Math.floor(wall / day)
    if (today > this.#day) {
      this.#day = today
      this.#taken = 0
    }
    this.#read = now
    this.#ends = now + (this.#day + 1) * day - wall
  }
}

/** What the other side says is left: it can only tighten our own limits, and is forgotten when their window ends. */
export class Told implements Quota {
  readonly text = 'as told'
  #left = Infinity
  #until = -Infinity

  /**
   * `left` permits until `until`. Answers overtake each other: within the same window the smaller number holds; an end
   * more than 1 s later is a new window.
   */
  tell(now: number, left: number, until: number): void {
    const same = now < this.#until && until <= this.#until + 1000
    this.#left = same ? Math.min(this.#left, left) : left
    if (!same) this.#until = until
  }

  free(now: number): boolean {
    return now >= this.#until || this.#left > 0
  }

  earliest(now: number, ahead: number): number {
    return ahead < this.#left || now >= this.#until ? now : this.#until
  }

  take(now: number): void {
    if (now < this.#until) this.#left--
  }
}

/** Several limits at once, and a pause on top: a permit is free when it is free everywhere, and taken everywhere. */
export class Quotas implements Quota {
  readonly text: string
  readonly #all: readonly Quota[]
  #paused = -Infinity

  readonly #told = new Told()
  /** Whether it is to be told when work was started. */
  readonly exact: boolean
  /** How many processes share what they say is left. */
  sharedBy = 1

  constructor(all: readonly Quota[]) {
    this.#all = all
    this.text = all.map((q) => q.text).join(', ')
    this.exact = all.some((q) => q.started !== undefined)
  }

  /** Takes a permit if one is free. */
  tryTake(now: number): boolean {
    if (!this.free(now)) return false
    this.take(now)
    return true
  }

  /** They say that `left` permits remain until `until`, for all who share them: of these an equal part is ours. */
  tell(now: number, left: number, until: number): void {
    this.#told.tell(now, this.sharedBy === 1 ? left : Math.floor(left / this.sharedBy), until)
  }

  /** No permit before `until`. */
  pause(until: number): void {
    if (until > this.#paused) this.#paused = until
  }

  free(now: number): boolean {
    if (now < this.#paused || !this.#told.free(now)) return false
    const all = this.#all
    for (let i = 0; i < all.length; i++) if (!all[i]!.free(now)) return false
    return true
  }

  earliest(now: number, ahead: number): number {
    let at = Math.max(now, this.#paused, this.#told.earliest(now, ahead))
    for (const quota of this.#all) at = Math.max(at, quota.earliest(now, ahead))
    return at
  }

  take(now: number): void {
    this.#told.take(now)
    const all = this.#all
    for (let i = 0; i < all.length; i++) all[i]!.take(now)
  }

  started(since: number, now: number): void {
    for (const quota of this.#all) quota.started?.(since, now)
  }

  /** The limit that makes the next permit wait. */
  tightest(now: number): string {
    let text = 'paused'
    let latest = this.#paused
    for (const quota of [this.#told, ...this.#all]) {
      const at = quota.earliest(now, 0)
      if (at > latest && at > now) {
        latest = at
        text = quota.text
      }
    }
    return text
  }
}
