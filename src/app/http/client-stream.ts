import { fault, type Fault } from '#kernel/fault.ts'

/** What the reader of a stream does to the exchange that feeds it. */
export type Feed = {
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly pause: () => void
  readonly resume: () => void
  /** Gives up what has not ended. */
  readonly stop: () => void
}

/** Bytes that wait for the reader before the socket is left unread. */
const high = 65_536

type Result = IteratorResult<Uint8Array, void>
type Waiting = { readonly resolve: (result: Result) => void; readonly reject: (fault: Fault) => void }

/**
 * The body of a streamed answer between the socket, which pushes, and its one reader, who pulls. Bounded by pausing the socket;
 * what was on its way when it paused (at most one read of the socket, 64 KiB) still comes in.
 */
export class StreamBody implements AsyncIterableIterator<Uint8Array, void, void> {
  readonly #feed: Feed
  #chunks: Uint8Array[] = []
  #size = 0
  #paused = false
  #ended: 'end' | Fault | undefined
  #waiting: Waiting | undefined
  #since = 0

  constructor(feed: Feed) {
    this.#feed = feed
  }

  /** Since when the reader waits for bytes; undefined while it does something else. */
  get waitingSince(): number | undefined {
    return this.#waiting ? this.#since : undefined
  }

  push(chunk: Uint8Array): void {
    const waiting = this.#waiting
    if (waiting) {
      this.#waiting = undefined
      return waiting.resolve({ done: false, value: chunk })
    }
    this.#chunks.push(chunk)
    this.#size += chunk.byteLength
    if (this.#size < high || this.#paused) return
    this.#paused = true
    this.#feed.pause()
  }

  end(): void {
    this.#settle('end')
  }

  /** What had come is still read first, unless nobody wants it any more. */
  fail(failure: Fault): void {
    if (failure.code === 'cancelled') this.#drop()
    this.#settle(failure)
  }

  next(): Promise<Result> {
    if (this.#waiting) return Promise.reject(fault('bug', { message: 'a stream has one reader' }))
    const chunk = this.#chunks.shift()
    if (chunk) {
      this.#size -= chunk.byteLength
      if (this.#paused && this.#size < high) {
        this.#paused = false
        this.#feed.resume()
      }
      return Promise.resolve({ done: false, value: chunk })
    }
    if (this.#ended === 'end') return Promise.resolve(done)
    if (this.#ended) return this.#told(this.#ended)
    this.#since = this.#feed.now()
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }))
  }

  return(): Promise<Result> {
    this.#drop()
    if (this.#ended === undefined) {
      this.#settle('end')
      this.#feed.stop()
    }
    this.#ended = 'end'
    return Promise.resolve(done)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #settle(as: 'end' | Fault): void {
    this.#ended ??= as
    const waiting = this.#waiting
    this.#waiting = undefined
    if (!waiting) return
    if (as === 'end') waiting.resolve(done)
    else void this.#told(as).catch(waiting.reject)
  }

  /** A fault is told once; after it the stream is at its end, as of any iterator. */
  #told(failure: Fault): Promise<never> {
    this.#ended = 'end'
    return Promise.reject(failure)
  }

  #drop(): void {
    this.#chunks = []
    this.#size = 0
  }
}

const done: Result = Object.freeze({ done: true, value: undefined })
