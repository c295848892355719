import type { Store } from '#adapters/stores/port.ts'
import { isFault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import { Calls } from './calls.ts'
import { GroupCommit } from './commit.ts'
import { Delays } from './delays.ts'
import { Keys } from './keys.ts'
import { Log } from './log.ts'
import { Retention, type Keep, type KeepRecords } from './retention.ts'
import { Subscription, type SubscriptionOptions } from './subscription.ts'
import { Workers } from './workers.ts'

export type JournalOptions = {
  readonly topics: readonly (Keep & { readonly partitions: number })[]
  readonly subscriptions: readonly SubscriptionOptions[]
  readonly records: KeepRecords
}

/** Name of the key that says a subscription is paused. */
export function pauseKey(subscription: string): string {
  return `pause/subscription/${subscription}`
}

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
  readonly workers: Workers
  readonly retention: Retention
  readonly subscriptions = new Map<string, Subscription>()
  readonly #runtime: Runtime<Store>
  readonly #options: JournalOptions
  #unwatch: () => void = () => {}
  #refreshing = false
  #again = false
  #working = false

  constructor(runtime: Runtime<Store>, options: JournalOptions) {
    this.#runtime = runtime
    this.#options = options
    this.commit = new GroupCommit(runtime.store, runtime.clock)
    this.log = new Log(runtime.store, this.commit, runtime.clock)
    this.delays = new Delays(runtime, this.commit, this.log)
    this.keys = new Keys(runtime, this.commit)
    this.calls = new Calls(this.commit, runtime.clock)
    this.workers = new Workers(runtime, this.commit)
    this.retention = new Retention(runtime, this.commit, this.log, options.topics, options.records)
  }

  async open(): Promise<void> {
    await this.log.open(this.#options.topics.map((t) => ({ name: t.topic, partitions: t.partitions })))
    for (const options of this.#options.subscriptions) {
      const [id] = await this.commit.add(
        { writes: [{ write: 'subscription', name: options.name, topic: options.topic, from: options.from }] },
        'durable',
      )
      const topic = this.log.topic(options.topic)
      this.subscriptions.set(
        options.name,
        new Subscription(options, Number(id), topic, {
          runtime: this.#runtime,
          log: this.log,
          commit: this.commit,
          workers: this.workers,
        }),
      )
    }
  }

  async start(): Promise<void> {
    this.#working = true
    await this.workers.start()
    await this.refresh()
    for (const s of this.subscriptions.values()) await s.claim()
    this.workers.onChange = () => {
      for (const s of this.subscriptions.values()) s.claim().catch((e: unknown) => this.#trouble(e))
    }
    this.#unwatch = this.#runtime.store.watch(() => void this.refresh().catch((e: unknown) => this.#trouble(e)))
    await this.delays.look()
    this.retention.start()
  }

  /** Brings memory in line with the store: after another process has written, and after an operator's action here. */
  async refresh(): Promise<void> {
    if (this.#refreshing) {
      this.#again = true
      return
    }
    this.#refreshing = true
    try {
      await this.log.refresh()
      const paused = new Set((await this.keys.list('pause/subscription/')).map((k) => k.name))
      const counts = await this.#runtime.store.read({ read: 'parkedCounts' })
      for (const s of this.subscriptions.values()) {
        const parked = counts.filter((c) => c.subscription === s.id).reduce((sum, c) => sum + c.count, 0)
        await s.refresh(paused.has(pauseKey(s.options.name)), parked)
      }
      if (this.#working) await this.delays.look()
    } finally {
      this.#refreshing = false
    }
    if (this.#again) {
      this.#again = false
      await this.refresh()
    }
  }

  #trouble(e: unknown): void {
    if (!isFault(e, 'store.closed')) this.#runtime.log.write('warn', 'journal.trouble', { fault: e })
  }

  /** Takes no new work, waits at most `grace` ms for what runs, saves cursors, gives the leases back. */
  async stop(grace: number): Promise<void> {
    this.#unwatch()
    this.delays.stop()
    await this.retention.stop()
    await Promise.all([...this.subscriptions.values()].map((s) => s.stop(grace)))
    await this.calls.flush()
    if (this.#working) await this.workers.stop()
    await this.commit.settled()
  }
}
