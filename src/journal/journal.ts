import type { Store } from '#adapters/stores/port.ts'
import type { Cancel } from '#kernel/clock.ts'
import { fault, isFault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import { Alone } from './alone.ts'
import { Balance } from './balance.ts'
import { Calls } from './calls.ts'
import { GroupCommit } from './commit.ts'
import { Delays } from './delays.ts'
import { Intents } from './intents.ts'
import { Keys } from './keys.ts'
import { Log } from './log.ts'
import { pausePrefix, Pauses } from './pauses.ts'
import { release } from './release.ts'
import { replayPrefix, Replays } from './replays.ts'
import { Retention, type Keep, type KeepRecords } from './retention.ts'
import { Subscription, type SubscriptionOptions } from './subscription.ts'
import { Workers } from './workers.ts'

export type JournalOptions = {
  readonly topics: readonly (Keep & { readonly partitions: number })[]
  readonly subscriptions: readonly SubscriptionOptions[]
  readonly records: KeepRecords
}

/** Milliseconds after which the store is looked at again when that failed, or when a commit had no clear answer. */
const lookAgain = 1_000

/**
 * The durable heart: log, subscriptions, delayed messages, leases, keys and call records over one store. `open` makes
 * topics and subscriptions known, `start` begins to work, `stop` drains.
 */
export class Journal {
  readonly commit: GroupCommit
  readonly log: Log
  readonly delays: Delays
  readonly keys: Keys
  readonly calls: Calls
  readonly intents: Intents
  readonly workers: Workers
  readonly balance: Balance
  readonly retention: Retention
  readonly subscriptions = new Map<string, Subscription>()
  readonly #runtime: Runtime<Store>
  readonly #options: JournalOptions
  #unwatch: () => void = () => {}
  #refreshing: Promise<void> | undefined
  #next: Promise<void> | undefined
  #cancelLook: Cancel | undefined
  #working = false

  constructor(runtime: Runtime<Store>, options: JournalOptions) {
    this.#runtime = runtime
    this.#options = options
    this.commit = new GroupCommit(runtime.store, runtime.clock)
    this.log = new Log(runtime.store, this.commit, runtime.clock)
    this.delays = new Delays(runtime, this.commit, this.log)
    this.keys = new Keys(runtime, this.commit)
    this.intents = new Intents(runtime, this.commit, options.records.calls)
    this.calls = new Calls(this.commit, runtime.clock)
    this.workers = new Workers(
      runtime,
      this.commit,
      options.subscriptions.map((s) => s.name),
    )
    this.balance = new Balance(runtime, this.workers, this.subscriptions)
    this.retention = new Retention(runtime, this.commit, this.log, options.topics, options.records)
  }

  async open(): Promise<void> {
    const alone = new Alone()
    await this.log.open(this.#options.topics.map((t) => ({ name: t.topic, partitions: t.partitions })))
    for (const options of this.#options.subscriptions) {
      const known = (await this.#runtime.store.read({ read: 'subscriptions' })).find((s) => s.name === options.name)
      if (known && known.topic !== options.topic) {
        throw fault('subscription.moved', {
          message: `the subscription "${options.name}" reads "${known.topic}" in this store, not "${options.topic}"`,
          detail: { subscription: options.name, topic: options.topic, known: known.topic },
        })
      }
      const [id] = await this.commit.add(
        { writes: [{ write: 'subscription', name: options.name, topic: options.topic, from: options.from }] },
        'durable',
      )
      const { commit, delays, log, workers } = this
      const deps = { runtime: this.#runtime, log, commit, workers, delays, alone }
      const subscription = new Subscription(options, Number(id), log.topic(options.topic), deps)
      subscription.onFree = this.balance.freed
      this.subscriptions.set(options.name, subscription)
    }
  }

  async start(): Promise<void> {
    this.#working = true
    this.commit.onUnclear = () => this.#lookLater()
    await this.workers.start()
    await this.#look()
    await this.balance.claim()
    this.workers.onChange = () => void this.#share().catch((e: unknown) => this.#trouble(e))
    this.#unwatch = this.#runtime.store.watch((heads) => (heads ? this.log.reached(heads) : void this.refresh()))
    await this.delays.look()
    this.retention.start()
  }

  /**
   * Brings memory in line with the store: after another process has written, and after an operator's action here.
   * Resolves when a look that began after this call is done. Never rejects: a look that fails is repeated in a second.
   */
  refresh(): Promise<void> {
    if (this.#refreshing) {
      return (this.#next ??= this.#refreshing.then(() => {
        this.#next = undefined
        return this.refresh()
      }))
    }
    this.#refreshing = this.#look()
      .catch((e: unknown) => {
        this.#trouble(e)
        if (!isFault(e, 'store.closed')) this.#lookLater()
      })
      .finally(() => (this.#refreshing = undefined))
    return this.#refreshing
  }

  /** What is held for this connection is due now, and reading goes on. Returns how many messages that are. */
  async release(connection: string): Promise<number> {
    const released = await release(this.#runtime, this.commit, connection)
    for (const s of this.subscriptions.values()) s.warm(connection)
    await this.refresh()
    return released
  }

  #lookLater(): void {
    if (!this.#working) return
    this.#cancelLook ??= this.#runtime.clock.after(lookAgain, () => {
      this.#cancelLook = undefined
      void this.refresh()
    })
  }

  async #look(): Promise<void> {
    const shared = this.#working && this.#runtime.store.can.shared !== 'process'
    const leases = shared ? await this.balance.fence() : []
    await this.log.refresh()
    const pauses = new Pauses(await this.keys.list(pausePrefix))
    const replays = new Replays(await this.keys.list(replayPrefix))
    const counts = await this.#runtime.store.read({ read: 'parkedCounts' })
    for (const s of this.subscriptions.values()) await s.refresh(pauses, replays, counts)
    if (this.#working) await this.delays.look()
    if (!shared) return
    await this.workers.look()
    this.balance.look(leases)
  }

  /** With every beat, also when nobody has told us that something changed. */
  async #share(): Promise<void> {
    this.balance.look(await this.balance.fence())
    await this.delays.look()
  }

  #trouble(e: unknown): void {
    if (!isFault(e, 'store.closed')) this.#runtime.log.write('warn', 'journal.trouble', { fault: e })
  }

  /** Takes no new work, waits at most `grace` ms for what runs, saves cursors, gives the leases back. */
  async stop(grace: number): Promise<void> {
    const working = this.#working
    this.#working = false
    this.#unwatch()
    this.#cancelLook?.()
    this.delays.stop()
    this.balance.stop()
    // Others get ready while we drain.
    if (working) await this.workers.leave().catch((e: unknown) => this.#trouble(e))
    await this.retention.stop()
    await Promise.all([...this.subscriptions.values()].map((s) => s.stop(grace)))
    await this.calls.flush()
    // Leases that cannot be given back are taken over when our beat has stopped: no reason not to end.
    if (working) await this.workers.stop().catch((e: unknown) => this.#trouble(e))
    await this.commit.settled()
  }
}
