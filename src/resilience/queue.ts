/** A place in a queue; it is its own link, so whoever gives up leaves without a search. */
export type Place<T> = { readonly item: T; prev: Place<T> | undefined; next: Place<T> | undefined; queued: boolean }

/** First in, first out; leaving from the middle is O(1). */
export class Queue<T> {
  #first: Place<T> | undefined = undefined
  #last: Place<T> | undefined = undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  push(item: T): Place<T> {
    const place: Place<T> = { item, prev: this.#last, next: undefined, queued: true }
    if (this.#last) this.#last.next = place
    else this.#first = place
    this.#last = place
    this.#size++
    return place
  }

  shift(): T | undefined {
    const first = this.#first
    if (first === undefined) return undefined
    this.remove(first)
    return first.item
  }

  /** Nothing happens if it has left already. */
  remove(place: Place<T>): void {
    if (!place.queued) return
    place.queued = false
    const { prev, next } = place
    if (prev) prev.next = next
    else this.#first = next
    if (next) next.prev = prev
    else this.#last = prev
    this.#size--
  }
}
