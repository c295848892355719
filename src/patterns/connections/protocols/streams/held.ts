const none = new Uint8Array(0)

/**
 * Bytes that are gathered until they are whole. One part is kept as it is; more are copied into one buffer that doubles, so that
 * a thousand parts of a byte cost a kilobyte and not a thousand objects.
 */
export class Held {
  #bytes: Uint8Array = none
  #size = 0
  #shared = false

  get size(): number {
    return this.#size
  }

  add(part: Uint8Array): void {
    const size = this.#size + part.byteLength
    if (this.#size === 0) {
      this.#bytes = part
      this.#shared = true
    } else {
      if (this.#shared || size > this.#bytes.byteLength) {
        const larger = new Uint8Array(Math.max(256, size * 2))
        larger.set(this.#bytes.subarray(0, this.#size))
        this.#bytes = larger
        this.#shared = false
      }
      this.#bytes.set(part, this.#size)
    }
    this.#size = size
  }

  /** All of it, and begins anew. */
  take(): Uint8Array {
    const all = this.#bytes.subarray(0, this.#size)
    this.#bytes = none
    this.#size = 0
    this.#shared = false
    return all
  }
}
