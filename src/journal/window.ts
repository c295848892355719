import type { Stored } from '#adapters/stores/port.ts'

/**
 * Which messages of a partition are done, while they end out of order: a low-water mark (everything below is done) and a
 * bitmap above it. Saved together with the cursor, so that a restart repeats only what was in flight.
 */
export class Window {
  #low: number
  #high: number
  /** Bit i of the ring: offset i is done. */
  readonly #bits: Uint8Array
  readonly #size: number

  /** `size` is a power of two, at least the read-ahead. */
  constructor(size: number, low: number, done: Uint8Array | null) {
    this.#size = size
    this.#bits = new Uint8Array(size)
    this.#low = low
    this.#high = low
    for (let i = 0; done && i < done.length * 8 && i < size; i++)
      if ((done[i >> 3]! & (1 << (i & 7))) !== 0) this.finish(low + i)
  }

  get low(): number {
    return this.#low
  }

  /** Offsets from here on may not be read ahead yet. */
  get end(): number {
    return this.#low + this.#size
  }

  isDone(offset: number): boolean {
    return offset < this.#low || this.#bits[offset & (this.#size - 1)] === 1
  }

  finish(offset: number): void {
    if (offset < this.#low) return
    const mask = this.#size - 1
    if (offset >= this.#high) this.#high = offset + 1
    this.#bits[offset & mask] = 1
    while (this.#low < this.#high && this.#bits[this.#low & mask] === 1) this.#bits[this.#low++ & mask] = 0
  }

  /**
   * Offsets that retention or compaction took away will never be handed in: everything in [from, to) counts as done.
   * Millions at once where nothing below is unfinished; otherwise not beyond `end`.
   */
  skip(from: number, to: number): void {
    for (let o = Math.max(from, this.#low); o < to; o++) {
      if (o === this.#low && o === this.#high) {
        this.#low = this.#high = to
        return
      }
      this.finish(o)
    }
  }

  /** The mark and the bitmap above it (bit 0 = the mark itself; null: nothing above is done), as if `also` were done. */
  snapshot(also: readonly number[] = []): { readonly low: number; readonly done: Uint8Array | null } {
    if (also.length > 0) {
      const copy = new Window(this.#size, this.#low, this.snapshot().done)
      for (const offset of also) copy.finish(offset)
      return copy.snapshot()
    }
    if (this.#high === this.#low) return { low: this.#low, done: null }
    const done = new Uint8Array(Math.ceil((this.#high - this.#low) / 8))
    const mask = this.#size - 1
    for (let i = 0; i < this.#high - this.#low; i++)
      if (this.#bits[(this.#low + i) & mask] === 1) done[i >> 3]! |= 1 << (i & 7)
    return { low: this.#low, done }
  }
}

/** Messages with one key wait for each other; messages without a key for nobody. */
export class KeyQueues {
  readonly #queues = new Map<string, Stored[] | null>()

  /** True when the message may start now; otherwise it waits behind its key. */
  enter(key: string | null, message: Stored): boolean {
    if (key === null) return true
    const queue = this.#queues.get(key)
    if (queue === undefined) {
      this.#queues.set(key, null)
      return true
    }
    if (queue === null) this.#queues.set(key, [message])
    else queue.push(message)
    return false
  }

  /** Whether a message of the key has entered and not left. */
  has(key: string): boolean {
    return this.#queues.has(key)
  }

  /** The next message of the key, which may start now. */
  leave(key: string | null): Stored | undefined {
    if (key === null) return undefined
    const queue = this.#queues.get(key)
    const next = queue?.shift()
    if (next === undefined) this.#queues.delete(key)
    return next
  }

  /** Everything that waits behind the key; the key is free afterwards. */
  drain(key: string | null): readonly Stored[] {
    if (key === null) return []
    const queue = this.#queues.get(key) ?? []
    this.#queues.delete(key)
    return queue
  }
}
