/**
 * One place in a process, for the messages that may have ended it: they run one at a time, across all subscriptions, so
 * that when it ends again it is known which of them did it. Not in line: who finds it taken is called when it is free.
 */
export class Alone {
  #taken = false
  readonly #waiting = new Set<() => void>()

  /** True: the place is ours until `leave`. Otherwise `free` is called once, when it may be tried again. */
  enter(free: () => void): boolean {
    if (this.#taken) {
      this.#waiting.add(free)
      return false
    }
    this.#taken = true
    return true
  }

  leave(): void {
    this.#taken = false
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const free of waiting) free()
  }
}
