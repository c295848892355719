/**
 * Counts of what happened lately, of all and of those marked, in a ring of buckets: adding and reading cost the same
 * however much happened. The window is the current bucket and the `buckets - 1` before it, so what is counted is
 * between `span * (1 - 1 / buckets)` and `span` old. Times are monotonic milliseconds and must not go back.
 */
export class Ring {
  /** What happened within the window, as of the last `add` or `turn`. */
  total = 0
  marked = 0
  readonly #width: number
  readonly #totals: Int32Array
  readonly #marks: Int32Array
  #slot = 0
  #ends = -Infinity

  constructor(span: number, buckets: number) {
    this.#width = span / buckets
    this.#totals = new Int32Array(buckets)
    this.#marks = new Int32Array(buckets)
  }

  add(now: number, marked: 0 | 1): void {
    if (now >= this.#ends) this.turn(now)
    this.total++
    this.#totals[this.#slot]!++
    if (marked === 1) {
      this.marked++
      this.#marks[this.#slot]!++
    }
  }

  /** Marks again something that is already counted as one of all: a retry of a call. */
  mark(now: number): void {
    if (now >= this.#ends) this.turn(now)
    this.marked++
    this.#marks[this.#slot]!++
  }

  /** Forgets what has left the window by `now`. */
  turn(now: number): void {
    if (now < this.#ends) return
    const bucket = Math.floor(now / this.#width)
    const passed = this.#ends === -Infinity ? Infinity : bucket - Math.round(this.#ends / this.#width) + 1
    if (passed >= this.#totals.length) this.clear()
    else
      for (let i = 0; i < passed; i++) {
        this.#slot = this.#slot + 1 === this.#totals.length ? 0 : this.#slot + 1
        this.total -= this.#totals[this.#slot]!
        this.marked -= this.#marks[this.#slot]!
        this.#totals[this.#slot] = 0
        this.#marks[this.#slot] = 0
      }
    this.#ends = (bucket + 1) * this.#width
  }

  clear(): void {
    this.total = 0
    this.marked = 0
    this.#totals.fill(0)
    this.#marks.fill(0)
  }
}
