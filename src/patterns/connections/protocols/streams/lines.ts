import { fault, type Fault } from '#kernel/fault.ts'
import { Held } from './held.ts'

const lf = 10
const cr = 13

/**
 * Cuts a stream of bytes into lines, wherever its chunks end: a character or a CRLF may lie across two of them, so lines are
 * bytes until they are whole. `ends: 'lf'` is what NDJSON says; `'any'` is LF, CR or CRLF as server-sent events have it, and a
 * line is given at its CR, before it is known whether an LF follows.
 *
 * A line longer than `most` bytes is `connection.response`, reason too-large: what is held is bounded.
 */
export class Lines {
  readonly #any: boolean
  readonly #most: number
  readonly #held = new Held()
  #afterCr = false

  constructor(ends: 'lf' | 'any', most: number) {
    this.#any = ends === 'any'
    this.#most = most
  }

  /** The lines that end in this chunk, without their ends. They may share its memory. To be taken to the end before the next chunk. */
  *feed(chunk: Uint8Array): Generator<Uint8Array, void> {
    let from = 0
    if (this.#afterCr && chunk.byteLength > 0) {
      this.#afterCr = false
      if (chunk[0] === lf) from = 1
    }
    // Looked for once, not once a line: most streams have no CR at all.
    let nextCr = this.#any ? chunk.indexOf(cr, from) : -1
    for (;;) {
      const nextLf = chunk.indexOf(lf, from)
      if (nextCr >= 0 && nextCr < from) nextCr = chunk.indexOf(cr, from)
      const at = nextCr >= 0 && (nextLf < 0 || nextCr < nextLf) ? nextCr : nextLf
      if (at < 0) break
      const line = this.#line(chunk.subarray(from, at))
      from = at + 1
      if (at === nextCr) {
        if (from === chunk.byteLength) this.#afterCr = true
        else if (chunk[from] === lf) from++
      }
      yield line
    }
    if (from < chunk.byteLength) this.#hold(from === 0 ? chunk : chunk.subarray(from))
  }

  /** What came after the last end of line; undefined when nothing did. */
  rest(): Uint8Array | undefined {
    return this.#held.size === 0 ? undefined : this.#held.take()
  }

  #line(tail: Uint8Array): Uint8Array {
    if (this.#held.size + tail.byteLength > this.#most) throw tooLarge(this.#most)
    if (this.#held.size === 0) return tail
    this.#held.add(tail)
    return this.#held.take()
  }

  #hold(part: Uint8Array): void {
    if (this.#held.size + part.byteLength > this.#most) throw tooLarge(this.#most)
    this.#held.add(part)
  }
}

export function tooLarge(maxBytes: number): Fault {
  return fault('connection.response', {
    message: `an item of the stream is longer than ${maxBytes} bytes`,
    detail: { reason: 'too-large', maxBytes },
  })
}
