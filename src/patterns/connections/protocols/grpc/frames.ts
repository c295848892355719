import { fault, type Fault } from '#kernel/fault.ts'
import { Held } from '../streams/held.ts'
import { tooLarge } from '../streams/lines.ts'

/**
 * Cuts a body into the messages of gRPC: a flag, a length of four bytes, the message. A compressed one was not asked for:
 * `connection.response`, reason encoding. Longer than `most` is reason too-large, said as soon as the length is there.
 */
export class Frames {
  readonly #most: number
  readonly #held = new Held()
  /** Bytes without which there is nothing to look at. */
  #needed = 5

  constructor(most: number) {
    this.#most = most
  }

  *feed(chunk: Uint8Array): Generator<Uint8Array, void> {
    this.#held.add(chunk)
    if (this.#held.size < this.#needed) return
    let all = this.#held.take()
    let length = this.#length(all)
    for (; length !== undefined && all.byteLength >= 5 + length; length = this.#length(all)) {
      const message = all.subarray(5, 5 + length)
      all = all.subarray(5 + length)
      yield message
    }
    this.#needed = 5 + (length ?? 0)
    if (all.byteLength > 0) this.#held.add(all)
  }

  /** Whether a message has begun that did not end. */
  get partial(): boolean {
    return this.#held.size > 0
  }

  #length(bytes: Uint8Array): number | undefined {
    if (bytes.byteLength < 5) return undefined
    if (bytes[0] !== 0) throw broken('encoding')
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1)
    if (length > this.#most) throw tooLarge(this.#most)
    return length
  }
}

export function broken(reason: string, cause?: unknown): Fault {
  return fault('connection.response', { detail: { reason }, ...(cause === undefined ? {} : { cause }) })
}
