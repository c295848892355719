import type { Store, Stored, StoreTransaction } from '#adapters/stores/port.ts'
import { fault, toFault, type Fault } from '#kernel/fault.ts'
import type { Message } from '#kernel/message.ts'
import type { Runtime } from '#kernel/runtime.ts'
import { milliseconds } from '#kernel/duration.ts'
import type { Topic } from '#journal/log.ts'
import { handleOne, type HandledRun } from '#patterns/topics/run.ts'
import type { Subscription } from '#patterns/topics/subscription.ts'
import { RunContext } from '../context.ts'
import type { RunVerbs } from '../verbs.ts'

/** As a run of the journal may hold it. */
const transactionLimit = 5_000

/** A run that leaves nothing behind: it was never leased, ends in no cursor, and its transaction is rolled back. */
export class RehearsedRun implements HandledRun {
  readonly topic: Topic
  readonly partition: number
  readonly messages: readonly Stored[]
  readonly attempt = 1
  readonly repeated = false
  readonly deadline: number
  readonly #store: Store
  readonly #abort = new AbortController()
  #transaction: Promise<StoreTransaction> | undefined

  constructor(store: Store, topic: Topic, partition: number, message: Stored, deadline: number) {
    this.#store = store
    this.topic = topic
    this.partition = partition
    this.messages = [message]
    this.deadline = deadline
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  get inTransaction(): boolean {
    return this.#transaction !== undefined
  }

  transaction(): Promise<StoreTransaction> {
    return (this.#transaction ??= this.#store.begin(transactionLimit))
  }

  /** What would be committed with the run is only noted, by the verbs. */
  write(): void {}

  /** Rolls back what it wrote. Whatever the handler still does is told that it is over. */
  async end(reason: Fault | undefined): Promise<void> {
    this.#abort.abort(reason ?? fault('cancelled'))
    const transaction = await this.#transaction?.catch(() => undefined)
    await transaction?.rollback()
  }
}

/** Runs the handler over one message within its time limit. Resolves to the fault that it ended with. */
export async function rehearseOne(
  def: Subscription,
  at: { readonly topic: Topic; readonly partition: number; readonly message: Stored },
  runtime: Runtime<Store>,
  verbs: RunVerbs,
): Promise<{ readonly fault: Fault | undefined; readonly transaction: boolean }> {
  const { clock } = runtime
  const timeout = milliseconds(def.timeout)
  const run = new RehearsedRun(runtime.store, at.topic, at.partition, at.message, clock.mono() + timeout)
  let failed: Fault | undefined
  let cancel = (): void => {}
  try {
    const late = new Promise<never>((_, reject) => {
      cancel = clock.after(timeout, () => reject(fault('subscription.timeout')))
    })
    const made = (r: HandledRun, of: Subscription, message: () => Message) =>
      new RunContext(r, of, message, verbs, runtime)
    await Promise.race([handleOne(def, run, made), late])
  } catch (e) {
    failed = toFault(e, 'subscription.thrown')
  } finally {
    cancel()
    await run.end(failed)
  }
  return { fault: failed, transaction: run.inTransaction }
}
