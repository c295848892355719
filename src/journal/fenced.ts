import type { Unit, Write, Sync } from '#adapters/stores/port.ts'
import type { Cancel } from '#kernel/clock.ts'
import { isFault } from '#kernel/fault.ts'
import { unclear, type GroupCommit } from './commit.ts'
import type { Lease } from './workers.ts'

/** Milliseconds until a commit is tried again that the store has refused. */
const tryAgain = 1_000

/**
 * Commits under a lease: nothing of it can land after somebody else has taken over. That the store takes nothing at the
 * moment (it is full, or busy) is no reason to do again what was done: until it does, a commit waits.
 */
export class Fenced {
  readonly #lease: Lease
  readonly #commit: GroupCommit
  readonly #after: (ms: number, fn: () => void) => Cancel
  readonly #refused: (e: unknown) => void
  /** Ends the pauses of refused commits. */
  readonly #pauses = new Set<() => void>()
  #last = false

  constructor(
    lease: Lease,
    of: { commit: GroupCommit; after: (ms: number, fn: () => void) => Cancel; refused: (e: unknown) => void },
  ) {
    this.#lease = lease
    this.#commit = of.commit
    this.#after = of.after
    this.#refused = of.refused
  }

  guard(): { guard: 'lease'; name: string; epoch: number } {
    return { guard: 'lease', name: this.#lease.name, epoch: this.#lease.epoch }
  }

  async commit(writes: readonly Write[], guards: Unit['guards'] = [], sync: Sync = 'relaxed'): Promise<void> {
    for (;;) {
      try {
        await this.#commit.add({ guards: [this.guard(), ...guards], writes }, sync)
        return
      } catch (e) {
        if (unclear(e) || isFault(e, 'store.closed') || this.#last) throw e
        this.#refused(e)
        await this.#pause()
      }
    }
  }

  /** What waits is tried once more, at once; what is refused from now on fails. */
  end(): void {
    this.#last = true
    for (const end of this.#pauses) end()
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        this.#pauses.delete(end)
        cancel()
        resolve()
      }
      const cancel = this.#after(tryAgain, end)
      this.#pauses.add(end)
    })
  }
}
