import type { CursorRow, Parked, Write } from '#adapters/stores/port.ts'
import { Window } from './window.ts'

type Of = {
  readonly subscription: number
  readonly partition: number
  /** Commits under the partition's lease. */
  commit(writes: readonly Write[]): Promise<unknown>
  soon(fn: () => void): void
  /** These are parked now, on disk or as good as. */
  parked(messages: readonly Parked[]): void
  trouble(e: unknown): void
}

/**
 * What of a partition is done, and its way into the store. One save is under way at a time and carries everything that
 * ended since the last: the messages to be parked and the cursor beyond them, in one unit. So the cursor can never pass a
 * message that was neither finished nor parked, whatever fails: after a failed save nothing more is saved, and the
 * partition is taken up again from what the store knows.
 *
 * Saves are merged by the store (lowest mark forward, bitmaps united), so their order does not matter.
 */
export class Cursor {
  readonly #of: Of
  readonly #window: Window
  #parks: Parked[] = []
  #dirty = false
  #saving = false
  readonly #settled: (() => void)[] = []
  #ended = false

  constructor(of: Of, size: number, row: Pick<CursorRow, 'low' | 'done'>) {
    this.#of = of
    this.#window = new Window(size, row.low, row.done)
  }

  /** Everything below is done. */
  get low(): number {
    return this.#window.low
  }

  /** Whether everything that ended so far is in the store. */
  get saved(): boolean {
    return !this.#dirty && !this.#saving && !this.#ended
  }

  /** Offsets from here on may not be read ahead yet. */
  get end(): number {
    return this.#window.end
  }

  isDone(offset: number): boolean {
    return this.#window.isDone(offset)
  }

  finish(offset: number): void {
    this.#window.finish(offset)
    this.#save()
  }

  /** These offsets do not exist (any more). */
  skip(from: number, to: number): void {
    this.#window.skip(from, to)
    this.#save()
  }

  park(parked: Parked): void {
    this.#parks.push(parked)
    this.#save()
  }

  /** The cursor as it will be when `offsets` are done too: for a transaction that finishes them itself. */
  advance(offsets: readonly number[] = []): Write {
    const { low, done } = this.#window.snapshot(offsets)
    return { write: 'advance', subscription: this.#of.subscription, partition: this.#of.partition, low, done }
  }

  #save(): void {
    this.#dirty = true
    if (this.#saving || this.#ended) return
    this.#saving = true
    this.#of.soon(() => {
      this.#run().catch((e: unknown) => {
        this.#ended = true
        this.#stop()
        this.#of.trouble(e)
      })
    })
  }

  async #run(): Promise<void> {
    while (this.#dirty && !this.#ended) {
      this.#dirty = false
      const parks = this.#parks
      this.#parks = []
      await this.#of.commit([
        ...parks.map((parked) => ({ write: 'park', parked }) as const),
        this.advance(parks.map((p) => p.offset)),
      ])
      for (const p of parks) this.#window.finish(p.offset)
      if (parks.length > 0) this.#of.parked(parks)
    }
    // In the same turn as the last look at `dirty`: a save asked for between the two would be forgotten.
    this.#stop()
  }

  #stop(): void {
    this.#saving = false
    for (const resolve of this.#settled.splice(0)) resolve()
  }

  /** Saves nothing more: the partition belongs to somebody else, or the store is in trouble. */
  abandon(): void {
    this.#ended = true
  }

  /** Resolves when everything that ended so far is saved, or nothing more will be. */
  settled(): Promise<void> {
    return this.#saving ? new Promise((resolve) => this.#settled.push(resolve)) : Promise.resolve()
  }
}
