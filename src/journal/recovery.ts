import type { Stored } from '#adapters/stores/port.ts'

type Of = {
  /** Below this offset an earlier holder may have begun messages that it did not finish. */
  readonly below: number
  /** Those of them that were written down as begun: they were running when their process ended, or about to. */
  readonly begun: ReadonlySet<number>
  soon(fn: () => void): void
  /** Writes down which messages have been begun; rejects when that could not be done. */
  write(begun: readonly number[]): Promise<void>
  /** They stand in the store: now they may run; or not, with what went wrong. */
  begin(messages: readonly Stored[], failed: unknown): void
}

/**
 * What an earlier holder of a partition may have begun and not finished is *recovered*: its offset is written down before its
 * handler begins, all that start in one turn in one commit, at most 1,024 messages a partition. Where a holder ends without
 * a word again, the next one knows by that who was running (decision 0010).
 */
export class Recovery {
  readonly #of: Of
  readonly #begun = new Set<number>()
  #waiting: (readonly Stored[])[] = []
  #writing = false

  constructor(of: Of) {
    this.#of = of
  }

  /** Whether an earlier run of the message may have had effects. */
  covers(offset: number): boolean {
    return offset < this.#of.below
  }

  /** Whether it was running when its process ended. */
  suspects(offset: number): boolean {
    return this.#of.begun.has(offset)
  }

  /** Below which offset somebody may have begun something, when everything below `low` is done; 0: nowhere. */
  left(low: number): number {
    return low < this.#of.below ? this.#of.below : 0
  }

  /** Begins the messages as soon as it stands in the store that they were begun. */
  begin(messages: readonly Stored[]): void {
    this.#waiting.push(messages)
    if (this.#writing) return
    this.#writing = true
    this.#of.soon(() => void this.#write())
  }

  /** It has ended: there is nothing to recover of it. */
  ended(offset: number): void {
    this.#begun.delete(offset)
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const next = this.#waiting
      this.#waiting = []
      for (const { offset } of next.flat()) this.#begun.add(offset)
      const failed = await this.#of.write([...this.#begun]).then(
        () => undefined,
        (e: unknown) => e ?? 'unknown',
      )
      for (const messages of next) this.#of.begin(messages, failed)
    }
    this.#writing = false
  }
}
