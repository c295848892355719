/**
 * The keys of one partition of which a message is parked, as far as we know: what comes later of such a key waits behind
 * it (P4). Several look at the store and several write to it, so each parking has a number: what was read before it
 * landed does not unmark its key.
 */
export class ParkedKeys {
  /** With the number of our last parking of the key; 0: it was read. */
  readonly #keys: Map<string, number>
  /** Parkings of a key that are on their way into the store. */
  readonly #parking = new Map<string, number>()
  #parkings = 0
  #onTheWay = 0

  constructor(keys: readonly string[]) {
    this.#keys = new Map(keys.map((k) => [k, 0]))
  }

  get size(): number {
    return this.#keys.size
  }

  /** Rises with every parking, when it sets out and when it has landed: what was read from the store before may lack it. */
  get parkings(): number {
    return this.#parkings
  }

  /** Parkings that are on their way into the store. */
  get onTheWay(): number {
    return this.#onTheWay
  }

  has(key: string | null): boolean {
    return key !== null && this.#keys.size > 0 && this.#keys.has(key)
  }

  /** A message of the key is parked in the store: somebody has seen it. */
  add(key: string): void {
    if (!this.#keys.has(key)) this.#keys.set(key, 0)
  }

  /** A parking of ours sets out. */
  parking(key: string | null): void {
    this.#onTheWay++
    if (key === null) return
    this.#keys.set(key, ++this.#parkings)
    this.#parking.set(key, (this.#parking.get(key) ?? 0) + 1)
  }

  /** It has landed. */
  landed(key: string | null): void {
    this.#onTheWay--
    if (key === null) return
    this.#keys.set(key, ++this.#parkings)
    const left = this.#parking.get(key)! - 1
    if (left > 0) this.#parking.set(key, left)
    else this.#parking.delete(key)
  }

  /** No message of the key was parked in the store when it was read, after `since` parkings. */
  unparked(key: string, since: number): void {
    if (!this.#parking.has(key) && (this.#keys.get(key) ?? 0) <= since) this.#keys.delete(key)
  }

  /** Another process, or a person, has changed parked messages: these keys had some when they were read, after `since` parkings. */
  reload(keys: readonly string[], since: number): void {
    for (const key of Array.from(this.#keys.keys())) this.unparked(key, since)
    for (const key of keys) this.add(key)
  }
}
