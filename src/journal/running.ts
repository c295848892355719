import type { Store, Stored } from '#adapters/stores/port.ts'
import type { Cancel } from '#kernel/clock.ts'
import { fault, isFault, toFault, type Fault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import { guardFault, unclear, type GroupCommit } from './commit.ts'
import type { Delays } from './delays.ts'
import type { Log, Topic } from './log.ts'
import type { Partition } from './partition.ts'
import type { Retries } from './retries.ts'
import { Run, Runs } from './run.ts'

/** A subscription's handler, and how long one run of it may take. */
export type Handling = {
  readonly name: string
  /** Milliseconds. */
  readonly timeout: number
  /**
   * Resolves when done; rejects (or, for a batch, resolves to one fault or nothing per message) to park. May return
   * synchronously.
   */
  readonly handle: (run: Run) => Promise<readonly (Fault | undefined)[] | void> | void
}

type Results = readonly (Fault | undefined)[] | undefined

/** What the runs need of their subscription. */
type Of = {
  readonly topic: Topic
  readonly log: Log
  readonly commit: GroupCommit
  readonly retries: Retries
  /** The subscription is stopping: what ends as cancelled was not tried. */
  readonly stopped: () => boolean
  /** A run ended, and what that means is decided. */
  readonly ended: (run: Run, failed: Fault | undefined) => void
  readonly trouble: (partition: Partition, e: unknown) => void
}

/** The runs of a subscription's handler: started, bounded in time, ended, and what came of each told to who began it. */
export class Running {
  readonly #handling: Handling
  readonly #runtime: Runtime<Store>
  readonly #delays: Delays
  readonly #of: Of
  readonly #runs = new Runs()
  #cancelDeadline: Cancel | undefined

  constructor(handling: Handling, runtime: Runtime<Store>, delays: Delays, of: Of) {
    this.#handling = handling
    this.#runtime = runtime
    this.#delays = delays
    this.#of = of
  }

  /** Whether a handler runs over messages of this partition, whoever began it. */
  in(partition: number): boolean {
    for (const run of this.#runs) if (run.partition === partition) return true
    return false
  }

  start(owner: Partition, messages: readonly Stored[], attempt: number, parked: boolean): void {
    const { clock, store } = this.#runtime
    const { timeout, handle } = this.#handling
    const deadline = clock.mono() + timeout
    const { topic } = this.#of
    const run = new Run(store, { topic, owner, partition: owner.index, messages, attempt, deadline, parked })
    this.#runs.add(run)
    this.#cancelDeadline ??= clock.after(timeout, () => this.#expire())
    let result: ReturnType<Handling['handle']>
    try {
      result = handle(run)
    } catch (e) {
      return this.#settle(run, all(run, thrown(e)))
    }
    if (result === undefined) return this.#settle(run, undefined)
    result.then(
      (results) => this.#settle(run, results?.some(Boolean) ? results : undefined),
      (e: unknown) => this.#settle(run, all(run, thrown(e))),
    )
  }

  /** The partition belongs to another: what its handlers still do is in vain. */
  abort(partition: Partition): void {
    for (const run of this.#runs) if (run.owner === partition) run.abort(fault('journal.fenced'))
  }

  /** Gives up on everything that runs. */
  async giveUp(): Promise<void> {
    const ends: Promise<void>[] = []
    for (let run = this.#runs.first; run; run = this.#runs.first) {
      this.#runs.remove(run)
      run.end(fault('app.draining'))
      ends.push(run.rollback())
      if (run.parked) ends.push(this.#of.retries.undone(run))
    }
    await Promise.all(ends)
  }

  /** No timer is left. */
  close(): void {
    this.#cancelDeadline?.()
  }

  /** A run ended: undefined, or a fault for each message that failed. Synchronous where nothing has to be waited for. */
  #settle(run: Run, results: Results): void {
    if (run.over) return
    run.end()
    this.#runs.remove(run)
    if (run.parked || run.inTransaction || results !== undefined) {
      void this.#decide(run, results)
      return
    }
    run.owner.ended(run, undefined)
    this.#of.ended(run, undefined)
  }

  async #decide(run: Run, given: Results): Promise<void> {
    const { retries } = this.#of
    let failed = firstOf(given)
    try {
      const results = run.inTransaction ? await this.#endTransaction(run, given) : given
      failed = firstOf(results)
      // Drained: the message stays where it is, for whoever leases the partition next.
      if (failed?.kind === 'cancelled' && this.#of.stopped()) {
        if (run.parked) await retries.undone(run)
        else run.owner.unfinished()
        return
      }
      if (run.parked) await retries.ended(run, failed)
      else run.owner.ended(run, results)
    } catch (e) {
      failed = thrown(e)
      // A person has decided about the message meanwhile: their decision stands.
      if (!isFault(e, 'parked.state')) this.#of.trouble(run.owner, e)
    } finally {
      if (run.parked) retries.left(run)
      this.#of.ended(run, failed)
    }
  }

  /**
   * Commits what the handler wrote through `ctx.tx` together with the end of the run, or rolls it back; the faults, if it
   * did not come to be. Throws when that is not known, or the message is not ours to end: then the store's word counts.
   */
  async #endTransaction(run: Run, results: Results): Promise<readonly Fault[] | undefined> {
    if (results !== undefined) {
      await run.rollback()
      return results.map((r) => r ?? fault('subscription.undone'))
    }
    const { retries, log, commit } = this.#of
    try {
      const outcome = await run.commit(run.parked ? retries.unit(run) : run.owner.unit(run))
      if (!outcome.ok) throw guardFault(outcome.failed)
      log.advanceBy(outcome.results)
      return undefined
    } catch (e) {
      if (isFault(e, 'journal.fenced') || isFault(e, 'parked.state')) throw e
      commit.doubt(e)
      if (unclear(e) || isFault(e, 'store.closed')) throw e
      return all(run, thrown(e))
    } finally {
      if (run.delayed !== undefined) this.#delays.expect(run.delayed)
    }
  }

  /** One timer for all: they stand in the order of their deadlines. */
  #expire(): void {
    const { clock } = this.#runtime
    const now = clock.mono()
    const { name: subscription, timeout: ms } = this.#handling
    for (let run = this.#runs.first; run && run.deadline <= now; run = this.#runs.first) {
      const reason = fault('subscription.timeout', { detail: { subscription, ms } })
      this.#settle(run, all(run, reason))
      run.end(reason)
    }
    const first = this.#runs.first
    this.#cancelDeadline = first && clock.after(first.deadline - now, () => this.#expire())
  }
}

function thrown(e: unknown): Fault {
  return toFault(e, 'subscription.thrown')
}

function all(run: Run, failed: Fault): readonly Fault[] {
  return run.messages.map(() => failed)
}

function firstOf(results: Results): Fault | undefined {
  return results?.find((r) => r !== undefined)
}
