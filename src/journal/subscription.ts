import type { LeaseRow, ParkedState, ReadResult, Store } from '#adapters/stores/port.ts'
import type { Cancel } from '#kernel/clock.ts'
import { fault, faultRecord, isFault, toFault, type Fault, type FaultRecord } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import { guardFault, unclear, type GroupCommit } from './commit.ts'
import type { Delays } from './delays.ts'
import type { Log, Topic } from './log.ts'
import { park, type RetryPlan } from './parking.ts'
import { Partition } from './partition.ts'
import type { Pauses } from './pauses.ts'
import type { Replays } from './replays.ts'
import { Retries } from './retries.ts'
import { Run, Runs } from './run.ts'
import type { Workers } from './workers.ts'
import type { Stored } from '#adapters/stores/port.ts'

export type SubscriptionOptions = {
  readonly name: string
  readonly topic: string
  /** Where a new subscription begins. */
  readonly from: 'beginning' | 'now'
  /** Handlers at once. */
  readonly concurrency: number
  /** Messages a run; 0: one at a time, in parallel across keys. */
  readonly batch: number
  /** Milliseconds a run may take. */
  readonly timeout: number
  readonly retry: RetryPlan
  /** Parked messages at which reading stops until a person or time has made room. */
  readonly parkedLimit: number
  /**
   * The handler. Resolves when done; rejects (or, for a batch, resolves to one fault or nothing per message) to park.
   * May return synchronously.
   */
  readonly handle: (run: Run) => Promise<readonly (Fault | undefined)[] | void> | void
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
  start(partition: Partition, messages: readonly Stored[], attempt: number, parked: boolean): void
  verdict(
    failed: Fault,
    attempts: number,
    faults: string | null,
    now: number,
  ): { state: Exclude<ParkedState, 'behind'>; attempts: number; due: number; faults: string; heldBy: string | null }
  parked(state: ParkedState, change: number): void
  refused(partition: Partition, e: unknown): void
  trouble(partition: Partition, e: unknown): void
  lost(partition: Partition): void
}

/** After this many runs in a row that were held by one connection, reading pauses until the connection may be asked again. */
const heldInARow = 16
const faultsKept = 10
/** How long we wait before we take a lost partition up again, and before a refusal to read is looked into. */
const lookAgain = 1_000

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
  readonly #delays: Delays
  readonly #runs = new Runs()
  #parkedCount = 0
  #scheduled: Partition[] = []
  #refilling = false
  #paused = false
  #pausedPartitions: ReadonlySet<number> = new Set()
  #heldPartitions: ReadonlySet<number> = new Set()
  #stopped = false
  #held = 0
  #cooling = false
  #cancelCool: Cancel | undefined
  #cancelDeadline: Cancel | undefined
  #cancelReclaim: Cancel | undefined
  #cancelCount: Cancel | undefined
  #claimed: Promise<void> = Promise.resolve()
  #idle: (() => void)[] = []

  constructor(
    options: SubscriptionOptions,
    id: number,
    topic: Topic,
    deps: { runtime: Runtime<Store>; log: Log; commit: GroupCommit; workers: Workers; delays: Delays },
  ) {
    this.options = options
    this.id = id
    this.topic = topic
    this.log = deps.log
    this.commit = deps.commit
    this.batch = options.batch
    this.#runtime = deps.runtime
    this.#workers = deps.workers
    this.#delays = deps.delays
    this.retries = new Retries(this, deps.runtime)
  }

  /**
   * Leases every partition that is free, and lets go of those that are not ours any more. Called again whenever one may
   * have become free. One call at a time: two would lease the same partition twice, and the second would fence the first.
   */
  claim(): Promise<void> {
    const next = this.#claimed.then(() => this.#claim())
    this.#claimed = next.catch(() => {})
    return next
  }

  async #claim(): Promise<void> {
    if (this.#stopped) return
    const { store } = this.#runtime
    const owned = this.owned
    const held = await store.read({ read: 'leases' })
    this.fence(owned, held)
    const worker = new Map(held.map((l) => [l.name, l.worker]))
    // Of a partition that was lost, handlers may still be running: to start its messages again beside them would break
    // the order of their keys.
    const busy = new Set([...this.#runs].map((r) => r.partition))
    const free = Array.from({ length: this.topic.partitions }, (_, p) => p).filter(
      (p) =>
        !this.partitions.has(p) &&
        !busy.has(p) &&
        (worker.get(this.#lease(p)) ?? this.#workers.id) === this.#workers.id,
    )
    const leases = await Promise.all(free.map((p) => this.#workers.lease(this.#lease(p))))
    if (!leases.some(Boolean)) return
    const cursors = await store.read({ read: 'cursors', subscription: this.id })
    for (const [i, p] of free.entries()) {
      const lease = leases[i]
      if (!lease || this.#stopped || this.partitions.has(p)) continue
      const cursor = cursors.find((c) => c.partition === p) ?? { partition: p, low: 0, done: null }
      const keys = await store.read({ read: 'parkedKeys', subscription: this.id, partition: p })
      const partition = new Partition(this, p, lease, cursor, keys)
      this.#stop(partition)
      this.partitions.set(p, partition)
      partition.wake()
    }
    this.retries.poll()
  }

  get owned(): readonly Partition[] {
    return [...this.partitions.values()]
  }

  /** Lets go of what was ours before `leases` were read and is no more: a process that stood still learns it before it goes on. */
  fence(owned: readonly Partition[], leases: readonly LeaseRow[]): void {
    for (const partition of owned)
      if (!leases.some((l) => l.name === partition.lease.name && l.epoch === partition.lease.epoch))
        this.lost(partition)
  }

  #lease(partition: number): string {
    return `subscription/${this.options.name}/${partition}`
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
    return !this.#paused && !this.#stopped && this.#parkedCount < this.options.parkedLimit && !this.#cooling
  }

  room(): boolean {
    return this.counts.running < this.options.concurrency && !this.#stopped && !this.#paused
  }

  schedule(partition: Partition): void {
    if (partition.start() && !this.#scheduled.includes(partition)) this.#scheduled.push(partition)
  }

  start(partition: Partition, messages: readonly Stored[], attempt: number, parked: boolean): void {
    this.counts.running++
    const deadline = this.#runtime.clock.mono() + this.options.timeout
    const run = new Run(this.#runtime.store, {
      topic: this.topic,
      owner: partition,
      partition: partition.index,
      messages,
      attempt,
      deadline,
      parked,
    })
    this.#runs.add(run)
    this.#cancelDeadline ??= this.#runtime.clock.after(this.options.timeout, () => this.#expire())
    let result: ReturnType<SubscriptionOptions['handle']>
    try {
      result = this.options.handle(run)
    } catch (e) {
      return this.#settle(
        run,
        run.messages.map(() => this.#fault(e)),
      )
    }
    if (result === undefined) return this.#settle(run, undefined)
    result.then(
      (results) => this.#settle(run, results?.some(Boolean) ? results : undefined),
      (e: unknown) =>
        this.#settle(
          run,
          run.messages.map(() => this.#fault(e)),
        ),
    )
  }

  #fault(e: unknown): Fault {
    return toFault(e, 'subscription.thrown')
  }

  /** A run ended: undefined, or a fault for each message that failed. Synchronous where nothing has to be waited for. */
  #settle(run: Run, results: readonly (Fault | undefined)[] | undefined): void {
    if (run.over) return
    run.end()
    this.#runs.remove(run)
    if (run.parked || run.inTransaction || results !== undefined) {
      void this.#decide(run, results)
      return
    }
    run.owner.ended(run, undefined)
    this.#ended(run, undefined)
  }

  async #decide(run: Run, given: readonly (Fault | undefined)[] | undefined): Promise<void> {
    let failed = firstOf(given)
    try {
      const results = run.inTransaction ? await this.#endTransaction(run, given) : given
      failed = firstOf(results)
      // Drained: the message stays where it is, for whoever leases the partition next.
      if (failed?.kind === 'cancelled' && this.#stopped) return
      if (run.parked) await this.retries.ended(run, failed)
      else run.owner.ended(run, results)
    } catch (e) {
      failed = this.#fault(e)
      // A person has decided about the message meanwhile: their decision stands.
      if (!isFault(e, 'parked.state')) this.trouble(run.owner, e)
    } finally {
      if (run.parked) this.retries.left(run)
      this.#ended(run, failed)
    }
  }

  /**
   * Commits what the handler wrote through `ctx.tx` together with the end of the run, or rolls it back; the faults, if it
   * did not come to be. Throws when that is not known, or the message is not ours to end: then the store's word counts.
   */
  async #endTransaction(
    run: Run,
    results: readonly (Fault | undefined)[] | undefined,
  ): Promise<readonly Fault[] | undefined> {
    if (results !== undefined) {
      await run.rollback()
      return results.map((r) => r ?? fault('subscription.undone'))
    }
    try {
      const outcome = await run.commit(run.parked ? this.retries.unit(run) : run.owner.unit(run))
      if (!outcome.ok) throw guardFault(outcome.failed)
      this.log.advanceBy(outcome.results)
      return undefined
    } catch (e) {
      if (isFault(e, 'journal.fenced') || isFault(e, 'parked.state')) throw e
      this.commit.doubt(e)
      if (unclear(e) || isFault(e, 'store.closed')) throw e
      return run.messages.map(() => this.#fault(e))
    } finally {
      if (run.delayed !== undefined) this.#delays.expect(run.delayed)
    }
  }

  #ended(run: Run, failed: Fault | undefined): void {
    this.counts.running--
    if (failed === undefined) this.counts.done += run.messages.length
    else this.counts.failed++
    this.#weigh(failed)
    this.#refill(run.owner)
    if (run.owner.abandoned) this.#reclaim()
  }

  /** Many runs in a row that one connection has held: stop handing out messages that would only be held too. */
  #weigh(failed: Fault | undefined): void {
    if (failed === undefined) {
      this.#held = 0
      return
    }
    const now = this.now()
    const held = park(failed, 0, this.options.retry, now, this.#runtime.random)
    if (held.state !== 'held') return
    if (++this.#held < heldInARow) return
    this.#held = 0
    const wait = Math.max(100, held.due - now)
    this.#cooling = true
    this.#cancelCool?.()
    this.#cancelCool = this.#runtime.clock.after(wait, () => {
      this.#cooling = false
      this.wake()
    })
  }

  /** Hands room that became free to who waits for it, the partition of the ended run last. */
  #refill(partition: Partition): void {
    if (this.counts.running === 0 && this.#idle.length > 0) for (const resolve of this.#idle.splice(0)) resolve()
    if (this.#stopped) return
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

  #expire(): void {
    const now = this.#runtime.clock.mono()
    for (let run = this.#runs.first; run && run.deadline <= now; run = this.#runs.first) {
      const reason = fault('subscription.timeout', {
        detail: { subscription: this.options.name, ms: this.options.timeout },
      })
      this.#settle(
        run,
        run.messages.map(() => reason),
      )
      run.end(reason)
    }
    const first = this.#runs.first
    this.#cancelDeadline = first && this.#runtime.clock.after(first.deadline - now, () => this.#expire())
  }

  verdict(failed: Fault, attempts: number, faults: string | null, now: number): ReturnType<Worked['verdict']> {
    const { redact, random, log } = this.#runtime
    const before = faults === null ? [] : (JSON.parse(faults) as (FaultRecord & { at: number })[])
    const record = redact.value({ at: now, ...faultRecord(failed) }) as FaultRecord & { at: number }
    const verdict = park(failed, attempts, this.options.retry, now, random)
    if (verdict.state === 'dead')
      log.write('warn', 'subscription.dead', { subscription: this.options.name, fault: record })
    return { ...verdict, faults: JSON.stringify([...before, record].slice(-faultsKept)) }
  }

  parked(_state: ParkedState, change: number): void {
    this.#countParked(this.#parkedCount + change)
  }

  /** Our count is made of what we have seen: before it stops the reading for good, the store is asked, again and again. */
  #countParked(count: number): void {
    const full = this.#parkedCount >= this.options.parkedLimit
    this.#parkedCount = count
    if (count < this.options.parkedLimit) {
      if (full) this.wake()
      return
    }
    if (this.#stopped) return
    this.#cancelCount ??= this.#runtime.clock.after(5 * lookAgain, () => {
      this.#cancelCount = undefined
      this.#runtime.store
        .read({ read: 'parkedCounts' })
        .then((counts) => this.#countParked(this.#parkedOf(counts)))
        .catch(() => this.#countParked(this.#parkedCount))
    })
  }

  /** What the store says, and what is on its way there. */
  #parkedOf(counts: ReadResult<{ read: 'parkedCounts' }>): number {
    const stored = counts.filter((c) => c.subscription === this.id).reduce((sum, c) => sum + c.count, 0)
    return [...this.partitions.values()].reduce((sum, p) => sum + p.parking, stored)
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
    if (isFault(e, 'store.closed') || this.#stopped) return
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
    if (this.#stopped) return
    for (const run of this.#runs) if (run.owner === partition) run.abort(fault('journal.fenced'))
    this.#reclaim()
  }

  #reclaim(): void {
    if (this.#stopped) return
    this.#cancelReclaim ??= this.#runtime.clock.after(lookAgain, () => {
      this.#cancelReclaim = undefined
      this.claim().catch((e: unknown) => {
        if (isFault(e, 'store.closed')) return
        this.#reclaim()
        this.#runtime.log.write('warn', 'subscription.claim_failed', {
          subscription: this.options.name,
          fault: toFault(e, 'bug').toJSON(),
        })
      })
    })
  }

  /** Another process, or an operator, has changed something: look at parked messages and the pauses again. */
  async refresh(pauses: Pauses, replays: Replays, counts: ReadResult<{ read: 'parkedCounts' }>): Promise<void> {
    this.#countParked(this.#parkedOf(counts))
    for (const [p, partition] of this.partitions) {
      const since = partition.parkings
      const keys = await this.#runtime.store.read({ read: 'parkedKeys', subscription: this.id, partition: p })
      partition.reload(keys, since)
    }
    this.#paused = pauses.whole(this.options.name, this.options.topic)
    this.#pausedPartitions = pauses.partitions(this.options.name)
    this.#heldPartitions = replays.holds(this.options.name)
    for (const partition of this.partitions.values()) this.#stop(partition)
    this.retries.poll()
    this.wake()
  }

  #stop(partition: Partition): void {
    partition.paused = this.#pausedPartitions.has(partition.index)
    partition.held = this.#heldPartitions.has(partition.index)
  }

  get paused(): boolean {
    return this.#paused
  }

  /** Why nothing is read at the moment, for people; undefined when messages flow. */
  get waiting(): string | undefined {
    if (this.#paused) return 'paused'
    if (this.#parkedCount >= this.options.parkedLimit)
      return `${this.#parkedCount} messages are parked, the limit is ${this.options.parkedLimit}`
    if (this.#cooling) return 'a connection is down'
    if (this.#heldPartitions.size > 0) return 'a replay goes first'
    return undefined
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

  /** Takes no more, waits for what is running until `grace` ms have passed, gives up on the rest, saves the cursors. */
  async stop(grace: number): Promise<void> {
    this.#stopped = true
    this.retries.stop()
    this.#cancelCool?.()
    this.#cancelCount?.()
    this.#cancelReclaim?.()
    for (const p of this.partitions.values()) p.stop()
    if (this.counts.running > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.#runtime.clock.after(grace, resolve)
        this.#idle.push(() => {
          cancel()
          resolve()
        })
      })
    }
    this.#cancelDeadline?.()
    for (let run = this.#runs.first; run; run = this.#runs.first) {
      this.#runs.remove(run)
      run.end(fault('app.draining'))
      await run.rollback()
    }
    await Promise.all([...this.partitions.values()].map((p) => p.close()))
  }
}

function firstOf(results: readonly (Fault | undefined)[] | undefined): Fault | undefined {
  return results?.find((r) => r !== undefined)
}
