import type { Guard, Outcome, Store, Sync, Unit, WriteResult } from '#adapters/stores/port.ts'
import type { Clock } from '#kernel/clock.ts'
import { fault, isFault, type Fault } from '#kernel/fault.ts'

/** Units in one commit. A commit of 2,000 small messages takes about 6 ms of CPU: longer ones would delay everything else. */
const unitsPerCommit = 2_000
const bytesPerCommit = 4 * 1024 * 1024
/**
 * While one commit is being synced the next is collecting; only when this much waits already is it written meanwhile. (A
 * second commit in flight at once makes batches half as large, and each pays for the pages of all partitions: 15 % more CPU
 * with 64 senders.)
 */
const worthASecond = 512
const worthBytes = 1024 * 1024
/** What may wait; beyond it `journal.full` slows the producers down. A cursor or a beat is always taken: they are few. */
const largestMessage = 1024 * 1024
const waitingUnits = 50_000
const waitingBytes = 16 * 1024 * 1024

type Waiting = {
  readonly unit: Unit
  readonly sync: Sync
  readonly bytes: number
  readonly resolve: (results: readonly WriteResult[]) => void
  readonly reject: (e: unknown) => void
}

/**
 * Group commit: everything that is handed in while a commit is under way forms the next one. The cost of an fsync is
 * shared by all who wait for it, nobody waits longer than about two of them, and there is no delay to tune.
 */
export class GroupCommit {
  readonly #store: Store
  readonly #clock: Clock
  #queue: Waiting[] = []
  #bytes = 0
  #flying = 0
  #scheduled = false
  #idle: (() => void)[] = []
  /** For measuring: commits so far, and units in them. */
  readonly counts = { commits: 0, units: 0 }
  /** Why the store refused the last commit; undefined when it took it. */
  trouble: unknown
  /** Called when a commit failed and may have been applied all the same: what is known in memory must be looked up again. */
  onUnclear: () => void = () => {}

  constructor(store: Store, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  /**
   * Resolves with the results of the unit's writes when they are durable (or, `relaxed`, visible). Rejects with
   * `journal.fenced`, `journal.conflict` or `parked.state` when a guard failed, with `journal.full` when too much waits,
   * with `store.*` when the store refused: nothing was written, except that after `store.broken` it may have been.
   */
  add(unit: Unit, sync: Sync, bytes = 0): Promise<readonly WriteResult[]> {
    return new Promise((resolve, reject) => {
      // What is larger than the limit by itself is in the memory of whoever made it anyway: it is taken when there is room at all.
      if (bytes > 0 && this.full) return reject(this.#fullFault())
      this.#queue.push({ unit, sync, bytes, resolve, reject })
      this.#bytes += bytes
      this.#schedule()
    })
  }

  /** Whether there is no room for one more message, however large. */
  get full(): boolean {
    return this.#queue.length >= waitingUnits || this.#bytes > waitingBytes - largestMessage
  }

  /** Throws `journal.full`: asked before a message is made, so that what will be refused takes no room. */
  assertRoom(): void {
    if (this.full) throw this.#fullFault()
  }

  #fullFault(): Fault {
    return fault('journal.full', { retryAfter: 1_000, detail: { waiting: this.#queue.length, bytes: this.#bytes } })
  }

  /** A commit failed with `e`, here or in a transaction: has everything looked up again that it may have changed. */
  doubt(e: unknown): void {
    if (unclear(e)) this.onUnclear()
  }

  /** Resolves when everything handed in so far is settled. */
  settled(): Promise<void> {
    if (this.#queue.length === 0 && this.#flying === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  #schedule(): void {
    if (this.#scheduled || this.#queue.length === 0) return
    const crowded = this.#queue.length >= worthASecond || this.#bytes >= worthBytes
    if (this.#flying > (crowded ? 1 : 0)) return
    this.#scheduled = true
    this.#clock.soon(() => {
      this.#scheduled = false
      void this.#fly(this.#take())
    })
  }

  #take(): Waiting[] {
    let bytes = 0
    let n = 0
    while (
      n < this.#queue.length &&
      n < unitsPerCommit &&
      (n === 0 || bytes + this.#queue[n]!.bytes <= bytesPerCommit)
    ) {
      bytes += this.#queue[n++]!.bytes
    }
    const batch = n === this.#queue.length ? this.#queue : this.#queue.slice(0, n)
    this.#queue = n === this.#queue.length ? [] : this.#queue.slice(n)
    this.#bytes -= bytes
    return batch
  }

  async #fly(batch: Waiting[]): Promise<void> {
    this.#flying++
    this.counts.commits++
    this.counts.units += batch.length
    const committed = this.#store.commit(
      batch.map((w) => w.unit),
      batch.some((w) => w.sync === 'durable') ? 'durable' : 'relaxed',
    )
    this.#schedule()
    try {
      const outcomes = await committed
      this.trouble = undefined
      batch.forEach((w, i) => settle(w, outcomes[i]!))
    } catch (e) {
      this.trouble = e
      for (const w of batch) w.reject(e)
      this.doubt(e)
    }
    this.#flying--
    this.#schedule()
    if (this.#queue.length === 0 && this.#flying === 0) for (const resolve of this.#idle.splice(0)) resolve()
  }
}

/** Refusals after which it is certain that nothing was applied. */
const certain: ReadonlySet<string> = new Set([
  'store.busy',
  'store.full',
  'store.readonly',
  'store.unreachable',
  'store.sql',
  'store.transaction',
  'store.closed',
  'journal.full',
])

/** Whether a commit that was refused with `e` may have been applied: the answer was lost, or the sync of what was written failed. */
export function unclear(e: unknown): boolean {
  return !(isFault(e) && certain.has(e.code))
}

function settle(w: Waiting, outcome: Outcome): void {
  if (outcome.ok) w.resolve(outcome.results)
  else w.reject(guardFault(outcome.failed))
}

export function guardFault(g: Guard): Fault {
  if (g.guard === 'lease') return fault('journal.fenced', { detail: { lease: g.name, epoch: g.epoch } })
  if (g.guard === 'key') return fault('journal.conflict', { detail: { key: g.name, version: g.version } })
  return fault('parked.state', { detail: { ...g.at, states: g.states } })
}
