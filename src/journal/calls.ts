import type { Cancel, Clock } from '#kernel/clock.ts'
import type { GroupCommit } from './commit.ts'

/** A call as it is stored: `record` gives the masked JSON text, and is asked only when it is written. */
export type CallEntry = {
  readonly time: number
  readonly connection: string
  readonly operation: string
  readonly outcome: string
  readonly record: () => string
}

const flushEvery = 1_000
const perFlush = 200
const waitingLimit = 10_000

/**
 * Call records, written off the hot path: in batches, once a second or every 200. They tell people what happened, nothing
 * is decided by them, so a crash may lose the last second of them and a flood drops the oldest (counted).
 */
export class Calls {
  readonly #commit: GroupCommit
  readonly #clock: Clock
  #waiting: CallEntry[] = []
  #cancel: Cancel | undefined
  dropped = 0

  constructor(commit: GroupCommit, clock: Clock) {
    this.#commit = commit
    this.#clock = clock
  }

  add(entry: CallEntry): void {
    if (this.#waiting.length >= waitingLimit) {
      this.#waiting.shift()
      this.dropped++
    }
    this.#waiting.push(entry)
    if (this.#waiting.length === perFlush) void this.flush()
    else this.#cancel ??= this.#clock.after(flushEvery, () => void this.flush())
  }

  async flush(): Promise<void> {
    this.#cancel?.()
    this.#cancel = undefined
    const batch = this.#waiting
    this.#waiting = []
    if (batch.length === 0) return
    const writes = batch.map(
      (c) =>
        ({
          write: 'call',
          time: c.time,
          connection: c.connection,
          operation: c.operation,
          outcome: c.outcome,
          record: c.record(),
        }) as const,
    )
    await this.#commit.add({ writes }, 'relaxed').catch(() => {
      this.dropped += batch.length
    })
  }
}
