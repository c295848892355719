import type { Outcome, Store, Stored, StoreTransaction, Unit, Write } from '#adapters/stores/port.ts'
import { fault, type Fault } from '#kernel/fault.ts'
import type { Topic } from './log.ts'
import type { Partition } from './partition.ts'

/** A transaction of the user may hold the store's one writer for this long. */
const transactionLimit = 5_000

/**
 * One run of a handler over one message (or a batch): what it was given, until when, and the transaction it may have
 * opened. Runs of a subscription stand in a list in the order of their start, which is the order of their deadlines.
 */
export class Run {
  readonly topic: Topic
  /** The partition that started it. */
  readonly owner: Partition
  readonly partition: number
  readonly messages: readonly Stored[]
  /** 1 for the first run. */
  readonly attempt: number
  /** Monotonic. */
  readonly deadline: number
  /** Whether it was taken from the parked ones. */
  readonly parked: boolean
  /** Whether an earlier run of it may have had effects: it was parked, or in flight when a worker ended without a word. */
  readonly repeated: boolean
  previous: Run | undefined
  next: Run | undefined
  /** It ended, or the engine gave up on it. */
  over = false
  readonly #store: Store
  #abort: AbortController | undefined
  #reason: Fault | undefined
  #transaction: Promise<StoreTransaction> | undefined
  readonly #writes: Write[] = []

  constructor(
    store: Store,
    of: {
      topic: Topic
      owner: Partition
      partition: number
      messages: readonly Stored[]
      attempt: number
      deadline: number
      parked: boolean
    },
  ) {
    this.#store = store
    this.topic = of.topic
    this.owner = of.owner
    this.partition = of.partition
    this.messages = of.messages
    this.attempt = of.attempt
    this.deadline = of.deadline
    this.parked = of.parked
    this.repeated = of.parked || of.owner.mayHaveRun(of.messages[0]!.offset)
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.over || this.#reason) this.#abort.abort(this.#reason ?? fault('cancelled'))
    return this.#abort.signal
  }

  /** Tells the handler that its work is in vain; the run goes on until the handler ends or its time has passed. */
  abort(reason: Fault): void {
    this.#reason ??= reason
    this.#abort?.abort(this.#reason)
  }

  /** The transaction of this run, opened at first use. */
  transaction(): Promise<StoreTransaction> {
    if (this.over)
      return Promise.reject(fault('store.transaction', { message: 'the run is over: its transaction was rolled back' }))
    this.#transaction ??= this.#store.begin(transactionLimit)
    return this.#transaction
  }

  get inTransaction(): boolean {
    return this.#transaction !== undefined
  }

  /** Adds a write that commits with the run's transaction. */
  write(write: Write): void {
    this.#writes.push(write)
  }

  /** When the earliest delayed message that the run has published is due. */
  get delayed(): number | undefined {
    const due = this.#writes.filter((w) => w.write === 'delay').map((w) => w.due)
    return due.length === 0 ? undefined : Math.min(...due)
  }

  /** Commits the transaction together with `unit`. When a guard refused, everything was rolled back. */
  async commit(unit: Unit): Promise<Outcome> {
    const transaction = await this.#transaction!
    const [outcome] = await transaction.commit([{ ...unit, writes: [...unit.writes, ...this.#writes] }])
    return outcome!
  }

  async rollback(): Promise<void> {
    const transaction = await this.#transaction?.catch(() => undefined)
    await transaction?.rollback()
  }

  /** It ended, or (with a reason) the engine gives up on it: a late result is ignored. */
  end(reason?: Fault): void {
    this.over = true
    if (reason !== undefined) this.abort(reason)
  }
}

/** Runs in the order of their deadlines, so that one timer watches all of them. */
export class Runs {
  first: Run | undefined
  #last: Run | undefined

  add(run: Run): void {
    run.previous = this.#last
    if (this.#last) this.#last.next = run
    else this.first = run
    this.#last = run
  }

  *[Symbol.iterator](): Iterator<Run> {
    for (let run = this.first; run; run = run.next) yield run
  }

  remove(run: Run): void {
    if (run.previous) run.previous.next = run.next
    else this.first = run.next
    if (run.next) run.next.previous = run.previous
    else this.#last = run.previous
    run.previous = run.next = undefined
  }
}
