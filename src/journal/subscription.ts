import type { Parked, ReadResult, Store, Stored } from '#adapters/stores/port.ts'
import type { Cancel } from '#kernel/clock.ts'
import { fault, isFault, toFault, type Fault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Alone } from './alone.ts'
import type { GroupCommit } from './commit.ts'
import type { Delays } from './delays.ts'
import { Gate } from './gate.ts'
import { crash, failure, lastFailure, withFailure } from './history.ts'
import type { Log, Topic } from './log.ts'
import { park, recover, type RetryPlan, type Verdict } from './parking.ts'
import { Partition } from './partition.ts'
import type { Pauses } from './pauses.ts'
import type { Replays } from './replays.ts'
import { Retries } from './retries.ts'
import type { Run } from './run.ts'
import { Running, type Handling } from './running.ts'
import { readTrace, traceName } from './trace.ts'
import type { Lease, Workers } from './workers.ts'

export type SubscriptionOptions = Handling & {
  readonly topic: string
  /** Where a new subscription begins. */
  readonly from: 'beginning' | 'now'
  /** Handlers at once. */
  readonly concurrency: number
  /** Messages a run; 0: one at a time, in parallel across keys. */
  readonly batch: number
  readonly retry: RetryPlan
  /** Parked messages at which reading stops until a person or time has made room. */
  readonly parkedLimit: number
}

/** What the parts of a subscription need of it. */
export interface Worked {
  readonly id: number
  readonly batch: number
  readonly topic: Topic
  readonly log: Log
  readonly commit: GroupCommit
  readonly retries: Retries
  now(): number
  soon(fn: () => void): void
  after(ms: number, fn: () => void): Cancel
  turn(): Promise<void>
  flowing(): boolean
  room(): boolean
  schedule(partition: Partition): void
  /** Takes a place for a run that is about to start; given back by its end, or by `unhold`. */
  hold(partition: Partition): void
  unhold(partition: Partition): void
  start(partition: Partition, messages: readonly Stored[], attempt: number, parked: boolean): void
  verdict(failed: Fault, attempts: number, faults: string | null, now: number): Verdict & { readonly faults: string }
  /** What becomes of a message that was running when its process ended. */
  suspected(now: number): Verdict & { readonly faults: string }
  /** What becomes of a message that is damaged; of so many that are missing, if any. */
  damaged(missing: number, now: number): Verdict & { readonly faults: string }
  /** So many more messages of it are parked. */
  parked(change: number): void
  refused(partition: Partition, e: unknown): void
  trouble(partition: Partition, e: unknown): void
  lost(partition: Partition): void
}

/** A durable reader of one topic: its leased partitions, the room they share, its parked messages. */
export class Subscription implements Worked {
  readonly options: SubscriptionOptions
  readonly id: number
  readonly topic: Topic
  readonly log: Log
  readonly commit: GroupCommit
  readonly retries: Retries
  readonly batch: number
  readonly partitions = new Map<number, Partition>()
  readonly counts = { done: 0, failed: 0, running: 0 }
  readonly #runtime: Runtime<Store>
  readonly #workers: Workers
  readonly #gate: Gate
  readonly #running: Running
  readonly #leaves = new Map<Partition, Promise<void>>()
  #scheduled: Partition[] = []
  #refilling = false
  /** A partition of ours may be taken up again, or be another's: called when that should be looked into. */
  onFree: () => void = () => {}

  constructor(
    options: SubscriptionOptions,
    id: number,
    topic: Topic,
    deps: { runtime: Runtime<Store>; log: Log; commit: GroupCommit; workers: Workers; delays: Delays; alone: Alone },
  ) {
    this.options = options
    this.id = id
    this.topic = topic
    this.log = deps.log
    this.commit = deps.commit
    this.batch = options.batch
    this.#runtime = deps.runtime
    this.#workers = deps.workers
    this.retries = new Retries(this, deps.runtime, deps.alone)
    this.#gate = new Gate(options, id, deps.runtime, {
      parking: () => [...this.partitions.values()].reduce((sum, p) => sum + p.parkedKeys.onTheWay, 0),
      wake: () => this.wake(),
    })
    this.#running = new Running(options, deps.runtime, deps.delays, {
      topic,
      log: deps.log,
      commit: deps.commit,
      retries: this.retries,
      stopped: () => this.#gate.stopped,
      ended: (run, failed) => this.#ended(run, failed),
      trouble: (partition, e) => this.trouble(partition, e),
    })
  }

  get name(): string {
    return this.options.name
  }

  leaseName(partition: number | ''): string {
    return `subscription/${this.options.name}/${partition}`
  }

  /**
   * Whether handlers of a partition that we have lost still run here: to start its messages again beside them would break
   * the order of their keys.
   */
  busy(partition: number): boolean {
    return this.#running.in(partition)
  }

  /** Works the partitions that we have been given the leases of. */
  async take(leases: ReadonlyMap<number, Lease>): Promise<void> {
    const { store, clock } = this.#runtime
    // What an earlier holder may have begun reaches as far as the log does, not as far as we knew.
    await this.log.refresh()
    const cursors = await store.read({ read: 'cursors', subscription: this.id })
    const traces = await store.read({ read: 'keys', prefix: traceName(this.leaseName('')), now: clock.now() })
    const keysOf = (p: number): Promise<readonly string[]> =>
      store.read({ read: 'parkedKeys', subscription: this.id, partition: p })
    const taken = [...leases].map(async ([p, lease]) => ({ p, lease, parkedKeys: await keysOf(p) }))
    for (const { p, lease, parkedKeys } of await Promise.all(taken)) {
      if (this.#gate.stopped || this.partitions.has(p)) continue
      const cursor = cursors.find((c) => c.partition === p) ?? { partition: p, low: 0, done: null }
      const trace = readTrace(lease.name, traces)
      const partition = new Partition(this, p, { lease, cursor, parkedKeys, trace })
      this.#gate.mark(partition)
      this.partitions.set(p, partition)
      partition.wake()
    }
    this.retries.poll()
  }

  /** Hands a partition over: starts nothing more there, lets end what runs (each run is bounded), saves, gives the lease back. */
  leave(partition: Partition): Promise<void> {
    const known = this.#leaves.get(partition)
    if (known) return known
    const leave = this.#leave(partition).finally(() => {
      if (this.#leaves.get(partition) === leave) this.#leaves.delete(partition)
    })
    this.#leaves.set(partition, leave)
    return leave
  }

  async #leave(partition: Partition): Promise<void> {
    if (!(await partition.leave())) return
    await partition.close()
    try {
      await this.#workers.release(partition.lease, partition.word)
    } catch (e) {
      this.trouble(partition, e)
    }
    if (this.partitions.get(partition.index) === partition) this.partitions.delete(partition.index)
    this.onFree()
  }

  /** It is ours after all, if it is not too late. Returns whether it had begun to leave and goes on. */
  stay(partition: Partition): boolean {
    if (!partition.stay()) return false
    this.#leaves.delete(partition)
    this.schedule(partition)
    partition.wake()
    this.retries.poll()
    return true
  }

  get owned(): readonly Partition[] {
    return [...this.partitions.values()]
  }

  /** Lets go of what was ours before `epochs` were read and is no more: a process that stood still learns it before it goes on. */
  fence(owned: readonly Partition[], epochs: ReadonlyMap<string, number>): void {
    for (const partition of owned) if (epochs.get(partition.lease.name) !== partition.lease.epoch) this.lost(partition)
  }

  now(): number {
    return this.#runtime.clock.now()
  }

  soon(fn: () => void): void {
    this.#runtime.clock.soon(fn)
  }

  after(ms: number, fn: () => void): Cancel {
    return this.#runtime.clock.after(ms, fn)
  }

  turn(): Promise<void> {
    return new Promise((resolve) => this.#runtime.clock.soon(resolve))
  }

  /** Whether new messages are read: not paused, not full of parked ones, not waiting for a connection that is down. */
  flowing(): boolean {
    return this.#gate.open
  }

  room(): boolean {
    return this.counts.running < this.options.concurrency && !this.#gate.stopped && !this.#gate.paused
  }

  schedule(partition: Partition): void {
    if (partition.start() && !this.#scheduled.includes(partition)) this.#scheduled.push(partition)
  }

  hold(partition: Partition): void {
    this.counts.running++
    partition.enter()
  }

  unhold(partition: Partition): void {
    this.counts.running--
    partition.exit()
    this.#refill(partition)
    if (partition.abandoned) this.onFree()
  }

  /** Runs the handler, in a place that was held for it. */
  start(partition: Partition, messages: readonly Stored[], attempt: number, parked: boolean): void {
    this.#running.start(partition, messages, attempt, parked)
  }

  #ended(run: Run, failed: Fault | undefined): void {
    if (failed === undefined) this.counts.done += run.messages.length
    else this.counts.failed++
    this.#gate.weigh(failed)
    this.unhold(run.owner)
  }

  /** Hands room that became free to who waits for it, the partition of the ended run last. */
  #refill(partition: Partition): void {
    if (this.#gate.stopped) return
    this.retries.fill()
    if (partition.start()) {
      if (!this.#scheduled.includes(partition)) this.#scheduled.push(partition)
    } else partition.wake()
    // A handler that returns in the same turn ends up here again: then the loop that started it goes on.
    if (this.#refilling) return
    this.#refilling = true
    try {
      for (let n = this.#scheduled.length; n > 0 && this.room(); n--) {
        const next = this.#scheduled.shift()
        if (next?.start()) this.#scheduled.push(next)
        else next?.wake()
      }
    } finally {
      this.#refilling = false
    }
  }

  verdict(failed: Fault, attempts: number, faults: string | null, now: number): Verdict & { readonly faults: string } {
    const { redact, random } = this.#runtime
    const record = failure(failed, now, redact)
    const verdict = park(failed, attempts, this.options.retry, now, random)
    if (verdict.state === 'dead') this.#sayDead(record)
    return { ...verdict, faults: withFailure(faults, record) }
  }

  suspected(now: number): Verdict & { readonly faults: string } {
    const verdict = recover(1, this.options.retry, now, this.#runtime.random)
    return { ...verdict, faults: withFailure(null, crash(now, 1, false)) }
  }

  damaged(missing: number, now: number): Verdict & { readonly faults: string } {
    const { name: subscription, topic } = this.options
    const detail = { subscription, topic, ...(missing > 0 ? { missing } : {}) }
    const record = failure(fault('message.damaged', { detail }), now, this.#runtime.redact)
    this.#sayDead(record)
    return { state: 'dead', attempts: 0, due: now, heldBy: null, faults: withFailure(null, record) }
  }

  /** A parked message has ended its process as often as it may. */
  died(parked: Parked): void {
    this.#sayDead(lastFailure(parked.faults))
  }

  #sayDead(record: unknown): void {
    this.#runtime.log.write('warn', 'subscription.dead', { subscription: this.options.name, fault: record })
  }

  parked(change: number): void {
    this.#gate.parked(change)
  }

  /** The store takes nothing at the moment: what has ended waits to be written down. */
  refused(partition: Partition, e: unknown): void {
    this.#runtime.log.write('warn', 'subscription.refused', {
      subscription: this.options.name,
      partition: partition.index,
      fault: toFault(e, 'bug').toJSON(),
    })
  }

  /** A commit of ours failed. Fenced: the partition belongs to another. Otherwise the store is in trouble: we look again in a second. */
  trouble(partition: Partition, e: unknown): void {
    if (isFault(e, 'journal.fenced')) return this.lost(partition)
    if (isFault(e, 'store.closed') || this.#gate.stopped) return
    this.#runtime.log.write('error', 'subscription.trouble', {
      subscription: this.options.name,
      partition: partition.index,
      fault: toFault(e, 'bug').toJSON(),
    })
    this.lost(partition)
  }

  /** Lets go of the partition; it is claimed again when its lease is ours to take. */
  lost(partition: Partition): void {
    partition.abandon()
    if (this.partitions.get(partition.index) === partition) this.partitions.delete(partition.index)
    if (this.#gate.stopped) return
    this.#running.abort(partition)
    this.onFree()
  }

  /** Another process, or an operator, has changed something: look at parked messages and the pauses again. */
  async refresh(pauses: Pauses, replays: Replays, counts: ReadResult<{ read: 'parkedCounts' }>): Promise<void> {
    this.#gate.counted(counts)
    const mine = counts.filter((c) => c.subscription === this.id)
    for (const [p, partition] of this.partitions) {
      // Nothing is parked, and nothing is known to be: most subscriptions, most of the time.
      if (mine.length === 0 && partition.parkedKeys.size === 0) continue
      const since = partition.parkedKeys.parkings
      const keys = await this.#runtime.store.read({ read: 'parkedKeys', subscription: this.id, partition: p })
      partition.parkedKeys.reload(keys, since)
    }
    this.#gate.told(pauses, replays)
    for (const partition of this.partitions.values()) this.#gate.mark(partition)
    if (mine.some((c) => c.state === 'retry' || c.state === 'held')) this.retries.poll()
    this.wake()
  }

  /** A connection that kept messages is back. */
  warm(connection: string): void {
    this.#gate.warm(connection)
  }

  get paused(): boolean {
    return this.#gate.paused
  }

  /** Why nothing is read at the moment, for people; undefined when messages flow. */
  get waiting(): string | undefined {
    if (this.#workers.outdated) return 'a newer worker has changed the store: this one waits to be replaced'
    return this.#gate.waiting
  }

  /** Whether some leased partition that may go on has messages that are not finished. */
  get lagging(): boolean {
    for (const p of this.partitions.values())
      if (!p.paused && !p.held && p.low < this.log.head(this.topic.slot + p.index)) return true
    return false
  }

  wake(): void {
    for (const partition of this.partitions.values()) {
      this.schedule(partition)
      partition.wake()
    }
    this.retries.fill()
  }

  /** Takes no more, waits for what is running until `grace` ms have passed, gives up on the rest; saves, and gives the leases back. */
  async stop(grace: number): Promise<void> {
    this.#gate.stop()
    this.retries.stop()
    const given: Promise<void>[] = []
    const cancel = this.#runtime.clock.after(grace, () => given.push(this.#giveUp()))
    await Promise.all([...this.partitions.values()].map((p) => this.leave(p)))
    cancel()
    // What still runs belongs to partitions that others have: its end says nothing any more.
    given.push(this.#giveUp())
    await Promise.all(given)
    this.#running.close()
  }

  async #giveUp(): Promise<void> {
    await this.#running.giveUp()
    for (const p of this.partitions.values()) p.giveUp()
  }
}
