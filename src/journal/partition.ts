import type { CursorRow, Parked, Stored, Unit, Write } from '#adapters/stores/port.ts'
import { isFault, type Fault } from '#kernel/fault.ts'
import type { Worked } from './subscription.ts'
import { KeyQueues, Window } from './window.ts'
import type { Lease } from './workers.ts'
import type { Run } from './run.ts'

/** Messages and bytes read ahead of the oldest unfinished one. */
const readAhead = 1_024
const readAheadBytes = 8 * 1024 * 1024
/** Messages read at once; between two reads the event loop gets its turn. */
const page = 256

/**
 * One leased partition of a subscription: reads ahead, starts handlers in parallel across keys and in order within a
 * key, and moves the cursor over the prefix that is done. Success writes nothing of its own; a failed message is parked
 * in the same transaction that moves the cursor past it.
 */
export class Partition {
  readonly index: number
  readonly lease: Lease
  readonly #of: Worked
  readonly #slot: number
  readonly #window: Window
  readonly #keys = new KeyQueues()
  /** Keys of which a message is parked: later ones wait behind it. */
  readonly #parkedKeys: Set<string>
  /** Parkings of a key that are on their way into the store. */
  readonly #parking = new Map<string, number>()
  /** Read, and free to start as soon as the subscription has room. */
  #ready: Stored[] = []
  #readyAt = 0
  #next: number
  #version: number
  #bytes = 0
  #reading = false
  #dirty = false
  #saving = false
  #stopped = false
  #batchRuns = false
  #unlisten: () => void

  constructor(of: Worked, index: number, lease: Lease, cursor: CursorRow, parkedKeys: readonly string[]) {
    this.index = index
    this.lease = lease
    this.#of = of
    this.#slot = of.topic.slot + index
    this.#window = new Window(readAhead, cursor.low, cursor.done)
    this.#next = cursor.low
    this.#version = cursor.version
    this.#parkedKeys = new Set(parkedKeys)
    this.#unlisten = of.log.onAppend(this.#slot, () => this.wake())
  }

  get low(): number {
    return this.#window.low
  }

  /** Something may have changed: messages arrived, room was made, a pause ended. */
  wake(): void {
    if (this.#reading || this.#stopped) return
    this.#reading = true
    this.#read()
      .catch((e: unknown) => this.#of.trouble(this, e))
      .finally(() => {
        this.#reading = false
      })
  }

  /** Starts ready messages while the subscription has room. Returns whether some are left. */
  start(): boolean {
    const of = this.#of
    if (of.batch > 0) this.#startBatch()
    else while (this.#readyAt < this.#ready.length && of.room()) of.start(this, [this.#ready[this.#readyAt++]!], 1, false)
    if (this.#readyAt === this.#ready.length) {
      this.#ready = []
      this.#readyAt = 0
      return false
    }
    return !this.#batchRuns
  }

  /** One batch at a time: that is what keeps the order of a partition. */
  #startBatch(): void {
    if (this.#batchRuns || this.#readyAt >= this.#ready.length || !this.#of.room()) return
    const next = this.#ready.slice(this.#readyAt, this.#readyAt + this.#of.batch)
    this.#readyAt += next.length
    const batch = next.filter((m) => m.key === null || !this.#parkedKeys.has(m.key))
    for (const m of next) if (!batch.includes(m)) this.#behind(m)
    if (batch.length === 0) return
    this.#batchRuns = true
    this.#of.start(this, batch, 1, false)
  }

  async #read(): Promise<void> {
    const of = this.#of
    while (!this.#stopped && of.flowing() && this.#ready.length - this.#readyAt < page && this.#bytes < readAheadBytes) {
      if (this.#next >= of.log.head(this.#slot) || !this.#window.has(this.#next)) break
      const rows = await of.log.read(this.#slot, this.#next, page, readAheadBytes)
      if (this.#stopped) return
      if (rows.length === 0) this.#skip(of.log.head(this.#slot))
      for (const m of rows) {
        if (!this.#skip(m.offset)) break
        this.#next = m.offset + 1
        if (!this.#window.isDone(m.offset)) this.#take(m)
      }
      of.schedule(this)
      if (rows.length === page) await of.turn()
    }
  }

  /** Offsets up to `to` that no longer exist count as done. False: they do not fit into the window yet. */
  #skip(to: number): boolean {
    if (to === this.#next) return this.#window.has(to)
    if (this.#window.low !== this.#next && !this.#window.has(to)) return false
    this.#window.skip(this.#next, to)
    this.#next = to
    this.save()
    return true
  }

  #take(m: Stored): void {
    this.#bytes += m.body.length
    if (m.key !== null && this.#parkedKeys.has(m.key)) return this.#behind(m)
    if (this.#of.batch > 0 || this.#keys.enter(m.key, m)) this.#ready.push(m)
  }

  /** A message of a key whose earlier message is parked: P4, it waits. */
  #behind(m: Stored): void {
    const now = this.#of.now()
    this.#park(m, { state: 'behind', attempts: 0, due: now, faults: null, heldBy: null }, now)
  }

  #park(m: Stored, how: Pick<Parked, 'state' | 'attempts' | 'due' | 'faults' | 'heldBy'>, now: number): void {
    const { key } = m
    this.#finish(m)
    if (key !== null) {
      this.#parkedKeys.add(key)
      this.#parking.set(key, (this.#parking.get(key) ?? 0) + 1)
    }
    const parked: Parked = {
      subscription: this.#of.id, partition: this.index, offset: m.offset, key, id: m.id, time: m.time, meta: m.meta, body: m.body, since: now, ...how,
    }
    this.#of.parked(how.state, 1)
    this.commit([{ write: 'park', parked }, this.#advance()])
      .then(() => {
        if (how.state !== 'behind') this.#of.retries.poll()
      })
      .catch((e: unknown) => this.#of.trouble(this, e))
      .finally(() => {
        if (key === null) return
        const left = this.#parking.get(key)! - 1
        if (left > 0) this.#parking.set(key, left)
        else this.#parking.delete(key)
      })
  }

  /** A run of ours ended well, or was given up as failed. */
  async ended(run: Run, results: readonly (Fault | undefined)[] | undefined): Promise<void> {
    this.#batchRuns = false
    if (run.inTransaction && results === undefined) {
      for (const m of run.messages) this.#finish(m)
      const written = await run.commit({ guards: [this.#guard()], writes: [this.#advance()] })
      if (written === undefined) return this.#of.lost(this)
      this.#of.log.advanceBy(written)
    }
    const now = this.#of.now()
    for (const [i, m] of run.messages.entries()) {
      const failed = results?.[i]
      if (failed === undefined) {
        if (!run.inTransaction || results !== undefined) this.#finish(m)
        const follower = this.#of.batch > 0 ? undefined : this.#keys.leave(m.key)
        if (follower) this.#ready.push(follower)
        continue
      }
      this.#park(m, this.#of.verdict(failed, 0, null, now), now)
      if (this.#of.batch === 0) for (const follower of this.#keys.drain(m.key)) this.#behind(follower)
    }
    this.save()
  }

  #finish(m: Stored): void {
    if (this.#window.isDone(m.offset)) return
    this.#window.finish(m.offset)
    this.#bytes -= m.body.length
    if (!this.#reading && this.#bytes < readAheadBytes / 2) this.wake()
  }

  /** A parked message of ours is gone from the store; `left` of its key remain. */
  unparked(key: string | null, left: number): void {
    if (key !== null && left === 0 && !this.#parking.has(key)) this.#parkedKeys.delete(key)
  }

  /** Another process has changed parked messages. */
  reload(keys: readonly string[]): void {
    this.#parkedKeys.clear()
    for (const k of keys) this.#parkedKeys.add(k)
    for (const k of this.#parking.keys()) this.#parkedKeys.add(k)
  }

  #guard(): { guard: 'lease'; name: string; epoch: number } {
    return { guard: 'lease', name: this.lease.name, epoch: this.lease.epoch }
  }

  /** Commits under our lease; nothing that we write can land after somebody else has taken over. */
  commit(writes: readonly Write[], guards: Unit['guards'] = []): ReturnType<Worked['commit']['add']> {
    return this.#of.commit.add({ guards: [this.#guard(), ...guards], writes }, 'relaxed')
  }

  #advance(): Write {
    this.#dirty = false
    return {
      write: 'advance', subscription: this.#of.id, partition: this.index, version: ++this.#version, low: this.#window.low, done: this.#window.snapshot(),
    }
  }

  /** Saves the cursor: one write under way at a time, the next carries everything that ended meanwhile. Nobody waits for it. */
  save(): void {
    this.#dirty = true
    if (this.#saving || this.#stopped) return
    this.#saving = true
    this.#of.soon(() => {
      if (!this.#dirty) {
        this.#saving = false
        return
      }
      this.commit([this.#advance()])
        .catch((e: unknown) => this.#of.trouble(this, e))
        .finally(() => {
          this.#saving = false
          if (this.#dirty) this.save()
        })
    })
  }

  /** Takes no more; what is running may end. */
  stop(): void {
    this.#stopped = true
    this.#unlisten()
    this.#ready = []
    this.#readyAt = 0
  }

  /** The last position, after everything has ended. */
  async close(): Promise<void> {
    this.stop()
    await this.commit([this.#advance()]).catch((e: unknown) => {
      if (!isFault(e, 'journal.fenced')) throw e
    })
  }
}
