import type { CursorRow, Damage, Parked, Stored, Unit, Write } from '#adapters/stores/port.ts'
import type { Fault } from '#kernel/fault.ts'
import type { Worked } from './subscription.ts'
import { Cursor } from './cursor.ts'
import { leftOf } from './damage.ts'
import { Fenced } from './fenced.ts'
import { partitionOf } from './log.ts'
import { ParkedKeys } from './parked-keys.ts'
import { Recovery } from './recovery.ts'
import { inherited, writeTrace, type Trace } from './trace.ts'
import { KeyQueues } from './window.ts'
import type { Lease } from './workers.ts'
import type { Run } from './run.ts'

/** Messages read ahead of the oldest unfinished one. */
const readAhead = 1_024
/** Messages read at once; between two reads the event loop gets its turn. */
const page = 256

/**
 * One leased partition of a subscription: reads ahead, starts handlers in parallel across keys and in order within a
 * key, and moves the cursor over the prefix that is done. Success writes nothing of its own; a failed message is parked
 * in the same transaction that moves the cursor past it.
 *
 * What was running when an earlier holder ended, for the second time without a word, is parked as `subscription.crashed` and
 * runs alone (`recovery.ts`).
 */
export class Partition {
  readonly index: number
  readonly lease: Lease
  /** The way into the store, for everything that is ours as long as we hold the lease. */
  readonly fenced: Fenced
  readonly #of: Worked
  readonly #slot: number
  readonly #cursor: Cursor
  readonly #keys = new KeyQueues()
  /** Keys of which a message is parked: later ones wait behind it. */
  readonly parkedKeys: ParkedKeys
  /** Read, and free to start as soon as the subscription has room. */
  #ready: Stored[] = []
  #readyAt = 0
  #next: number
  #bytes = 0
  #reading = false
  #starting = false
  #stopped = false
  #abandoned = false
  /** By an operator: nothing of it starts, the other partitions go on. */
  paused = false
  /** By a replay: nothing new of it starts, what is parked does. */
  held = false
  #batchRuns = false
  /** Handlers that run, or are about to. */
  #running = 0
  #leaving: PromiseWithResolvers<boolean> | undefined
  /** A run of ours was given up: its message was begun, and is not done. */
  #gaveUp = false
  /** Of the batch that runs. */
  readonly #batchKeys = new Set<string>()
  /** Below this offset a message was parked that tells of those that are missing. */
  #missing = 0
  readonly #recovery: Recovery
  #unlisten: () => void

  constructor(
    of: Worked,
    index: number,
    from: {
      readonly lease: Lease
      readonly cursor: CursorRow
      readonly parkedKeys: readonly string[]
      readonly trace: Trace | undefined
    },
  ) {
    const { lease, cursor, parkedKeys } = from
    this.index = index
    this.lease = lease
    this.#of = of
    this.#slot = of.topic.slot + index
    this.fenced = new Fenced(lease, {
      commit: of.commit,
      after: (ms, fn) => of.after(ms, fn),
      refused: (e) => of.refused(this, e),
    })
    this.#cursor = new Cursor(
      {
        subscription: of.id,
        partition: index,
        commit: (writes) => this.fenced.commit(writes),
        soon: (fn) => of.soon(fn),
        parked: (messages) => this.#parked(messages),
        trouble: (e) => of.trouble(this, e),
      },
      readAhead,
      cursor,
    )
    this.#next = cursor.low
    this.#recovery = new Recovery({
      ...inherited(lease, from.trace, Math.min(of.log.head(this.#slot), cursor.low + readAhead)),
      soon: (fn) => of.soon(fn),
      // With the cursor: who reads that a message was begun must also read that the one before it of its key was done.
      write: (begun) => this.fenced.commit([writeTrace(lease.name, { begun }), this.#cursor.advance()], [], 'durable'),
      begin: (messages, failed) => this.#recover(messages, failed),
    })
    this.parkedKeys = new ParkedKeys(parkedKeys)
    this.#unlisten = of.log.onAppend(this.#slot, () => this.wake())
  }

  get low(): number {
    return this.#cursor.low
  }

  /** It was lost: what its runs still do is not ours any more. */
  get abandoned(): boolean {
    return this.#abandoned
  }

  mayHaveRun(offset: number): boolean {
    return this.#recovery.covers(offset)
  }

  /** It is being handed over: nothing new starts. */
  get leaving(): boolean {
    return this.#leaving !== undefined
  }

  #flowing(): boolean {
    return !this.paused && !this.held && this.#of.flowing()
  }

  /** Something may have changed: messages arrived, room was made, a pause ended. */
  wake(): void {
    if (this.#reading || this.#stopped || this.#leaving) return
    this.#reading = true
    this.#read().catch((e: unknown) => {
      this.#reading = false
      this.#of.trouble(this, e)
    })
  }

  /** Starts ready messages while the subscription has room. Returns whether some are left. */
  start(): boolean {
    const of = this.#of
    // A handler that returns in the same turn ends up here again: the loop below goes on, and the stack stays flat.
    if (this.#starting) return true
    if (this.#leaving) return false
    this.#starting = true
    try {
      if (of.batch > 0) this.#startBatch()
      else while (this.#readyAt < this.#ready.length && of.room() && this.#flowing()) this.#startOne()
    } finally {
      this.#starting = false
    }
    if (this.#readyAt === this.#ready.length) {
      this.#ready = []
      this.#readyAt = 0
      return false
    }
    return !this.#batchRuns
  }

  /** A person may have put an earlier message of its key back among the parked ones since it was read: then it waits. */
  #startOne(): void {
    const m = this.#ready[this.#readyAt++]!
    if (!this.parkedKeys.has(m.key)) return this.#begin([m])
    const followers = this.#keys.drain(m.key)
    this.#behind(m)
    for (const follower of followers) this.#behind(follower)
  }

  /** One batch at a time: that is what keeps the order of a partition. */
  #startBatch(): void {
    while (!this.#batchRuns && this.#readyAt < this.#ready.length && this.#of.room() && this.#flowing()) {
      const next = this.#ready.slice(this.#readyAt, this.#readyAt + this.#of.batch)
      this.#readyAt += next.length
      const batch = next.filter((m) => !this.parkedKeys.has(m.key))
      for (const m of next) if (!batch.includes(m)) this.#behind(m)
      if (batch.length === 0) continue
      this.#batchRuns = true
      for (const { key } of batch) if (key !== null) this.#batchKeys.add(key)
      this.#begin(batch)
    }
  }

  #begin(messages: readonly Stored[]): void {
    this.#of.hold(this)
    // The first is the lowest.
    if (!this.mayHaveRun(messages[0]!.offset)) return this.#of.start(this, messages, 1, false)
    this.#recovery.begin(messages)
  }

  /** What is recovered is written down, or could not be. */
  #recover(messages: readonly Stored[], failed: unknown): void {
    if (failed === undefined && !this.#stopped) return this.#of.start(this, messages, 1, false)
    this.#of.unhold(this)
    if (failed !== undefined && !this.#abandoned) this.#of.trouble(this, failed)
  }

  async #read(): Promise<void> {
    const of = this.#of
    while (!this.#stopped && !this.#leaving && this.#flowing() && this.#ready.length - this.#readyAt < page) {
      if (this.#next >= of.log.head(this.#slot) || this.#next >= this.#cursor.end) break
      const room = of.log.ahead.room(this.#bytes)
      if (room === 0) break
      const rows = await of.log.read(this.#slot, this.#next, page, room)
      if (this.#stopped) break
      if (rows.length === 0) this.#skip(of.log.head(this.#slot))
      for (const m of rows) {
        if (!this.#skip(m.offset)) break
        if (m.damage !== undefined) {
          if (this.#damaged(m, m.damage)) continue
          break
        }
        this.#next = m.offset + 1
        if (!this.#cursor.isDone(m.offset)) this.#take(m)
      }
      of.schedule(this)
      if (rows.length === page) await of.turn()
    }
    // In the same turn as the last look at the head: a wake between the two would be lost.
    this.#reading = false
  }

  /** Offsets up to `to` that no longer exist count as done, as far as the window reaches. False: it has to move first. */
  #skip(to: number): boolean {
    if (to > this.#next) {
      const end = this.#cursor.low === this.#next ? to : Math.min(to, this.#cursor.end)
      this.#cursor.skip(this.#next, end)
      this.#next = end
    }
    return to < this.#cursor.end
  }

  /**
   * A row that is not as it was written, or messages that are gone: no handler sees them, and they do not count as done. They are parked
   * as dead, those that are gone as one, under the key that can still be read, if any: what has that key waits for a person, the
   * others go on. False: the window has to move first.
   */
  #damaged(m: Stored, { missing }: Damage): boolean {
    const end = m.offset + Math.max(1, missing)
    // The first of them, which tells of all, is parked or about to be: the cursor cannot pass it before.
    if (end <= this.#missing) return this.#skip(end)
    let first = m.offset
    while (first < Math.min(end, this.#cursor.end) && this.#cursor.isDone(first)) first++
    this.#next = first
    if (first === end) return true
    if (first === this.#cursor.end) return false
    const now = this.#of.now()
    const left = leftOf({ ...m, offset: first }, now, (key) => partitionOf(key, this.#of.topic) === this.index)
    this.#bytes += left.body.length
    this.#of.log.ahead.take(left.body.length)
    this.#park(left, this.#of.damaged(missing === 0 ? 0 : end - first, now), now)
    if (missing > 0) this.#missing = end
    this.#next = first + 1
    return true
  }

  #take(m: Stored): void {
    this.#bytes += m.body.length
    this.#of.log.ahead.take(m.body.length)
    if (this.#recovery.suspects(m.offset)) this.#suspect(m)
    // Of a batch it is decided when it starts: until then an earlier message of the key may be waiting in `ready`.
    else if (this.#of.batch > 0) this.#ready.push(m)
    else if (this.parkedKeys.has(m.key)) this.#behind(m)
    else if (this.#keys.enter(m.key, m)) this.#ready.push(m)
  }

  /** A message of a key whose earlier message is parked: P4, it waits. */
  #behind(m: Stored): void {
    const now = this.#of.now()
    this.#park(m, { state: 'behind', attempts: 0, due: now, faults: null, heldBy: null }, now)
  }

  /** It was running when its process ended: from now on it runs alone, and what it does is counted. */
  #suspect(m: Stored): void {
    const now = this.#of.now()
    const verdict = this.#of.suspected(now)
    const behind = this.parkedKeys.has(m.key)
    this.#park(m, behind ? { ...verdict, state: 'behind' } : verdict, now)
  }

  #park(m: Stored, how: Pick<Parked, 'state' | 'attempts' | 'due' | 'faults' | 'heldBy'>, now: number): void {
    const { key, offset, id, time, meta, body } = m
    this.#release(m)
    this.parkedKeys.parking(key)
    this.#of.parked(1)
    this.#cursor.park({
      subscription: this.#of.id,
      partition: this.index,
      offset,
      key,
      id,
      time,
      meta,
      body,
      since: now,
      ...how,
    })
  }

  #parked(messages: readonly Parked[]): void {
    for (const { key } of messages) this.parkedKeys.landed(key)
    this.#of.retries.poll()
    this.wake()
  }

  /** What ends a run of ours that has a transaction: the cursor beyond its messages. */
  unit(run: Run): Unit {
    return { guards: [this.fenced.guard()], writes: [this.#cursor.advance(run.messages.map((m) => m.offset))] }
  }

  /** A run of ours ended: `results` has a fault for each message that failed; undefined when none did. */
  ended(run: Run, results: readonly (Fault | undefined)[] | undefined): void {
    if (this.#abandoned) return
    this.#batchRuns = false
    this.#batchKeys.clear()
    const { messages } = run
    for (let i = 0; i < messages.length; i++) {
      const m = messages[i]!
      const failed = results?.[i]
      this.#recovery.ended(m.offset)
      if (failed === undefined) {
        this.#release(m)
        this.#cursor.finish(m.offset)
        const follower = this.#of.batch > 0 ? undefined : this.#keys.leave(m.key)
        if (follower) this.#ready.push(follower)
        // One that was put back among the parked ones meanwhile has waited for this.
        if (this.parkedKeys.has(m.key)) this.#of.retries.poll()
        continue
      }
      // An earlier one of its key has failed in the same batch, and goes first: this run was not its turn, and does not count.
      if (this.#of.batch > 0 && this.parkedKeys.has(m.key)) {
        this.#behind(m)
        continue
      }
      const now = this.#of.now()
      this.#park(m, this.#of.verdict(failed, 0, null, now), now)
      if (this.#of.batch === 0) for (const follower of this.#keys.drain(m.key)) this.#behind(follower)
    }
  }

  #release(m: Stored): void {
    if (this.#stopped) return
    this.#bytes -= m.body.length
    this.#of.log.ahead.give(m.body.length)
  }

  /**
   * A parked message of the key is due: from now on those that have not started wait behind it. Whether it has to wait
   * itself, for one that runs on the fast path: two of one key never run at once.
   */
  mustWait(key: string): boolean {
    this.parkedKeys.add(key)
    if (this.#of.batch > 0) return this.#batchKeys.has(key)
    if (!this.#keys.has(key)) return false
    for (let i = this.#readyAt; i < this.#ready.length; i++) if (this.#ready[i]!.key === key) return false
    return true
  }

  /** A handler is about to run. */
  enter(): void {
    this.#running++
  }

  /** It has ended, and what that means is decided. */
  exit(): void {
    if (--this.#running === 0 && this.#leaving) this.#quiet()
  }

  /** Starts nothing more. Resolves when nothing runs any more; false: it stays after all, or is lost. */
  leave(): Promise<boolean> {
    this.#leaving ??= Promise.withResolvers()
    const { promise } = this.#leaving
    if (this.#running === 0) this.#quiet()
    return promise
  }

  #quiet(): void {
    this.stop()
    this.#leaving!.resolve(true)
  }

  /** It need not be handed over any more, if it is not too late. Returns whether it goes on. */
  stay(): boolean {
    if (!this.#leaving || this.#stopped) return false
    this.#leaving.resolve(false)
    this.#leaving = undefined
    return true
  }

  /** A run of ours ended without a result: who takes over has to reckon with it. */
  unfinished(): void {
    this.#gaveUp = true
  }

  /** What still runs is given up. */
  giveUp(): void {
    this.#gaveUp = true
    if (this.#leaving) this.#quiet()
  }

  /** What the next holder should know; nothing when it has to reckon with what we began. */
  get word(): readonly Write[] {
    if (this.#gaveUp || this.#abandoned || !this.#cursor.saved) return []
    const below = this.#recovery.left(this.#cursor.low)
    return [writeTrace(this.lease.name, { left: this.lease.epoch, below })]
  }

  /** Takes no more; what is running may end. */
  stop(): void {
    this.#stopped = true
    this.#of.log.ahead.give(this.#bytes)
    this.#bytes = 0
    this.#unlisten()
    this.#ready = []
    this.#readyAt = 0
  }

  /** Nothing of ours may land any more. */
  abandon(): void {
    this.stop()
    this.#abandoned = true
    this.#leaving?.resolve(false)
    this.#cursor.abandon()
    this.fenced.end()
  }

  /** Resolves when everything that ended is saved, or the store has refused it once more. */
  close(): Promise<void> {
    this.stop()
    this.fenced.end()
    return this.#cursor.settled()
  }
}
