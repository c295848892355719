import type { Guard, Parked, ParkedAt, Store, Unit } from '#adapters/stores/port.ts'
import type { Cancel } from '#kernel/clock.ts'
import { isFault, type Fault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Partition } from './partition.ts'
import type { Run } from './run.ts'
import type { Subscription } from './subscription.ts'

/** Parked messages read from the store at once. */
const page = 64

/**
 * Runs the parked messages of a subscription when they are due, beside the fast path and within the same concurrency. One
 * timer waits for the earliest; after each end the next of its key becomes due at once, so order holds across retries.
 */
export class Retries {
  readonly #of: Subscription
  readonly #runtime: Runtime<Store>
  readonly #running = new Map<string, Parked>()
  /** Keys of the running ones. */
  readonly #keys = new Set<string>()
  /** Due messages, each with the holder of its partition when it was read: another one reads anew. */
  #ready: { readonly parked: Parked; readonly owner: Partition }[] = []
  /** Ended since the last look began: what that look found of them is out of date. */
  readonly #ended = new Set<string>()
  #cancel: Cancel | undefined
  #polling = false
  #again = false
  #stopped = false

  constructor(of: Subscription, runtime: Runtime<Store>) {
    this.#of = of
    this.#runtime = runtime
  }

  /** Looks for due messages, now, and arms the timer for the next. */
  poll(): void {
    if (this.#stopped) return
    if (this.#polling) {
      this.#again = true
      return
    }
    this.#polling = true
    this.#poll()
      .catch((e: unknown) => {
        if (!isFault(e, 'store.closed'))
          this.#runtime.log.write('warn', 'subscription.retries_failed', {
            subscription: this.#of.options.name,
            fault: e,
          })
        this.#arm(1_000)
      })
      .finally(() => {
        this.#polling = false
        if (this.#again) {
          this.#again = false
          this.poll()
        }
      })
  }

  async #poll(): Promise<void> {
    const { store, clock } = this.#runtime
    const of = this.#of
    const now = clock.now()
    const owners = new Map([...of.partitions].filter(([, p]) => !p.paused))
    this.#ended.clear()
    const rows = await store.read({
      read: 'due',
      subscription: of.id,
      partitions: [...owners.keys()],
      now,
      limit: page + this.#running.size,
    })
    this.#ready = rows
      .filter((r) => !this.#running.has(name(r)) && !this.#ended.has(name(r)))
      .map((parked) => ({ parked, owner: owners.get(parked.partition)! }))
    this.fill()
    // What is due already runs, waits for room, or belongs to another worker: none of them needs a timer.
    const next = await store.read({ read: 'nextDue', subscription: of.id, after: now })
    if (next !== null) this.#arm(next - now)
  }

  #arm(ms: number): void {
    this.#cancel?.()
    if (this.#stopped) return
    // Also woken now and then without reason: the wall clock may have been moved.
    this.#cancel = this.#runtime.clock.after(Math.min(ms, 60_000), () => {
      this.#cancel = undefined
      this.poll()
    })
  }

  /** Starts due messages while the subscription has room. */
  fill(): void {
    while (this.#ready.length > 0 && this.#of.room()) {
      const { parked, owner } = this.#ready.shift()!
      if (this.#of.partitions.get(parked.partition) !== owner || owner.paused) continue
      if (this.#running.has(name(parked))) continue
      if (parked.key !== null) {
        // Only what a person has put back can meet another one of its key here. It is polled again when that one ends.
        if (this.#keys.has(keyName(parked)) || owner.mustWait(parked.key)) continue
        this.#keys.add(keyName(parked))
      }
      this.#running.set(name(parked), parked)
      this.#of.start(owner, [parked], parked.attempts + 1, true)
    }
  }

  /** What ends a run of a parked message that has a transaction. */
  unit(run: Run): Unit {
    const { lease } = run.owner
    return {
      guards: [{ guard: 'lease', name: lease.name, epoch: lease.epoch }, this.#guard(run)],
      writes: [{ write: 'unpark', at: this.#at(run), now: this.#runtime.clock.now() }],
    }
  }

  /** Writes down how a run has ended. Rejects with `parked.state` when a person has decided about the message meanwhile. */
  async ended(run: Run, failed: Fault | undefined): Promise<void> {
    const at = this.#at(run)
    const parked = this.#running.get(name(at))!
    const now = this.#runtime.clock.now()
    if (failed) {
      const verdict = this.#of.verdict(failed, parked.attempts, parked.faults, now)
      await run.owner.commit([{ write: 'repark', at, ...verdict }], [this.#guard(run)])
      // The others that wait for the same connection need not each find out for themselves.
      if (verdict.heldBy !== null) {
        await run.owner.commit([
          { write: 'postpone', subscription: at.subscription, heldBy: verdict.heldBy, due: verdict.due },
        ])
      }
      return
    }
    if (!run.inTransaction) await run.owner.commit([{ write: 'unpark', at, now }], [this.#guard(run)])
    this.#of.parked(parked.state, -1)
    if (parked.key === null) return
    const since = run.owner.parkings
    const next = await this.#runtime.store.read({
      read: 'parkedFirst',
      subscription: at.subscription,
      partition: at.partition,
      key: parked.key,
    })
    if (next === null) run.owner.unparked(parked.key, since)
  }

  /** The run is over, however it ended: its message may be run again if it is due, and the next of its key. */
  left(run: Run): void {
    const at = name(this.#at(run))
    this.#running.delete(at)
    const { key } = run.messages[0]!
    if (key !== null) this.#keys.delete(keyName({ partition: run.partition, key }))
    this.#ended.add(at)
    this.poll()
  }

  #at(run: Run): ParkedAt {
    return { subscription: this.#of.id, partition: run.partition, offset: run.messages[0]!.offset }
  }

  #guard(run: Run): Guard {
    return { guard: 'parked', at: this.#at(run), states: ['retry', 'held'], body: run.messages[0]!.body }
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
    this.#ready = []
  }
}

function name(p: { partition: number; offset: number }): string {
  return `${p.partition}/${p.offset}`
}

function keyName(p: { partition: number; key: string | null }): string {
  return `${p.partition}/${p.key}`
}
