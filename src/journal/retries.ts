import type { Guard, Parked, ParkedAt, Store, Unit } from '#adapters/stores/port.ts'
import type { Cancel } from '#kernel/clock.ts'
import { isFault, type Fault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Alone } from './alone.ts'
import { unclear } from './commit.ts'
import { leftOf } from './damage.ts'
import { crash, lastCrash, withFailure } from './history.ts'
import { recover } from './parking.ts'
import type { Partition } from './partition.ts'
import type { Run } from './run.ts'
import type { Subscription } from './subscription.ts'

/** Parked messages read from the store at once. */
const page = 64

type Due = { readonly parked: Parked; readonly owner: Partition }

/**
 * Runs the parked messages of a subscription when they are due, beside the fast path and within the same concurrency. One
 * timer waits for the earliest; after each end the next of its key becomes due at once, so order holds across retries.
 *
 * Each attempt is counted before it begins: the message is written down as crashed and due again later, and its end corrects
 * that. So a message that ends its process spends its attempts like any other. One that crashed runs alone in its process
 * (of all such messages), and is dead when its attempts are spent and it was alone the last time: what only stood
 * beside another one gets at least one run that says so.
 */
export class Retries {
  readonly #of: Subscription
  readonly #runtime: Runtime<Store>
  readonly #alone: Alone
  /** Running, or about to, as they were before. */
  readonly #running = new Map<string, Parked>()
  /** Of these, the one that has the place of those that run alone. */
  #suspect: string | undefined
  /** Keys of the running ones. */
  readonly #keys = new Set<string>()
  /** Due messages, each with the holder of its partition when it was read: another one reads anew. */
  #ready: Due[] = []
  /** Ended since the last look began: what that look found of them is out of date. */
  readonly #ended = new Set<string>()
  #cancel: Cancel | undefined
  /** Due messages that wait to run alone. */
  #waiting = 0
  #polling = false
  #again = false
  #stopped = false

  constructor(of: Subscription, runtime: Runtime<Store>, alone: Alone) {
    this.#of = of
    this.#runtime = runtime
    this.#alone = alone
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
    const limit = page + this.#running.size + this.#waiting
    const rows = await store.read({
      read: 'due',
      subscription: of.id,
      partitions: [...owners.keys()],
      now,
      limit,
    })
    for (const r of rows) if (r.damage !== undefined) await this.#quarantine(r, owners.get(r.partition))
    this.#ready = rows
      .filter((r) => r.damage === undefined)
      .filter((r) => !this.#running.has(name(r)) && !this.#ended.has(name(r)))
      .map((parked) => ({ parked, owner: owners.get(parked.partition)! }))
    this.fill()
    // Those that wait to run alone do not keep those behind them waiting.
    if (rows.length === limit && this.#waiting > limit - page - this.#running.size) this.#again = true
    // What is due already runs, waits for room, or belongs to another worker: none of them needs a timer.
    const next = await store.read({ read: 'nextDue', subscription: of.id, after: now })
    if (next !== null) this.#arm(next - now)
  }

  /** Its row is not as it was written: from now on it is dead, and what is left of it waits for a person. */
  async #quarantine(parked: Parked, owner: Partition | undefined): Promise<void> {
    if (owner === undefined || owner.abandoned) return
    const now = this.#runtime.clock.now()
    const left = { ...parked, ...leftOf(parked, now), ...this.#of.damaged(0, now), attempts: parked.attempts }
    try {
      await owner.fenced.commit([{ write: 'quarantine', parked: left }])
    } catch (e) {
      this.#of.trouble(owner, e)
    }
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
    const waiting: Due[] = []
    while (this.#ready.length > 0 && this.#of.room()) {
      const due = this.#ready.shift()!
      const { parked, owner } = due
      if (this.#of.partitions.get(parked.partition) !== owner || owner.paused || owner.leaving) continue
      if (this.#running.has(name(parked))) continue
      // Only what a person has put back can meet another one of its key here. It is polled again when that one ends.
      if (parked.key !== null && (this.#keys.has(keyName(parked)) || owner.mustWait(parked.key))) continue
      const crashed = lastCrash(parked.faults)
      if (crashed && !this.#enterAlone(parked)) {
        waiting.push(due)
        continue
      }
      if (parked.key !== null) this.#keys.add(keyName(parked))
      this.#running.set(name(parked), parked)
      this.#of.hold(owner)
      void this.#begin(due, crashed)
    }
    this.#ready.unshift(...waiting)
    this.#waiting = waiting.length
  }

  #enterAlone(parked: Parked): boolean {
    if (this.#suspect !== undefined || !this.#alone.enter(() => this.fill())) return false
    this.#suspect = name(parked)
    return true
  }

  /** Counts the attempt, then runs it; or finds that there is none left. */
  async #begin({ parked, owner }: Due, crashed: ReturnType<typeof lastCrash>): Promise<void> {
    const now = this.#runtime.clock.now()
    const attempt = parked.attempts + 1
    const plan = this.#of.options.retry
    const spent = crashed?.alone === true && parked.attempts >= plan.attempts
    const alone = crashed !== undefined
    const at = { subscription: parked.subscription, partition: parked.partition, offset: parked.offset }
    try {
      await owner.fenced.commit(
        [
          {
            write: 'repark',
            at,
            attempts: spent ? parked.attempts : attempt,
            heldBy: spent ? null : parked.heldBy,
            ...(spent
              ? { state: 'dead', due: now, faults: parked.faults }
              : {
                  state: parked.state,
                  due: recover(attempt, plan, now, this.#runtime.random).due,
                  faults: withFailure(parked.faults, crash(now, attempt, alone)),
                }),
          },
        ],
        [this.#guard(parked)],
      )
    } catch (e) {
      // It may have been counted all the same, and has not run.
      if (unclear(e) && !isFault(e, 'parked.state')) await this.#uncount(parked, owner)
      this.#left(parked)
      this.#of.unhold(owner)
      // Otherwise a person has decided about it meanwhile.
      if (!isFault(e, 'parked.state')) this.#of.trouble(owner, e)
      return
    }
    if (spent) {
      this.#of.died(parked)
    } else if (!this.#stopped && !owner.abandoned) {
      return this.#of.start(owner, [parked], attempt, true)
    } else if (this.#stopped) {
      await this.#uncount(parked, owner)
    }
    this.#left(parked)
    this.#of.unhold(owner)
  }

  /** The run was given up because the process drains: the message is as it was before, and due at once. */
  async undone(run: Run): Promise<void> {
    const parked = this.#running.get(name(this.#at(run)))
    if (parked) await this.#uncount(parked, run.owner)
  }

  async #uncount(parked: Parked, owner: Partition): Promise<void> {
    const { state, attempts, faults, heldBy } = parked
    const at = { subscription: parked.subscription, partition: parked.partition, offset: parked.offset }
    const due = this.#runtime.clock.now()
    await owner.fenced
      .commit([{ write: 'repark', at, state, attempts, due, faults, heldBy }], [this.#guard(parked)])
      // Then it is one that crashed: it runs alone, and an attempt is lost.
      .catch(() => {})
  }

  /** What ends a run of a parked message that has a transaction. */
  unit(run: Run): Unit {
    const { lease } = run.owner
    return {
      guards: [{ guard: 'lease', name: lease.name, epoch: lease.epoch }, this.#guardOf(run)],
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
      await run.owner.fenced.commit([{ write: 'repark', at, ...verdict }], [this.#guardOf(run)])
      // The others that wait for the same connection need not each find out for themselves.
      if (verdict.heldBy !== null) {
        await run.owner.fenced.commit([
          { write: 'postpone', subscription: at.subscription, heldBy: verdict.heldBy, due: verdict.due },
        ])
      }
      return
    }
    if (!run.inTransaction) await run.owner.fenced.commit([{ write: 'unpark', at, now }], [this.#guardOf(run)])
    this.#of.parked(-1)
    if (parked.key === null) return
    const since = run.owner.parkedKeys.parkings
    const next = await this.#runtime.store.read({
      read: 'parkedFirst',
      subscription: at.subscription,
      partition: at.partition,
      key: parked.key,
    })
    if (next === null) run.owner.parkedKeys.unparked(parked.key, since)
  }

  /** The run is over, however it ended: its message may be run again if it is due, and the next of its key. */
  left(run: Run): void {
    this.#left(this.#at(run))
  }

  #left(parked: ParkedAt): void {
    const at = name(parked)
    const known = this.#running.get(at)
    if (known && known.key !== null) this.#keys.delete(keyName(known))
    this.#running.delete(at)
    this.#ended.add(at)
    if (this.#suspect === at) {
      this.#suspect = undefined
      this.#alone.leave()
    }
    this.poll()
  }

  #at(run: Run): ParkedAt {
    return { subscription: this.#of.id, partition: run.partition, offset: run.messages[0]!.offset }
  }

  #guardOf(run: Run): Guard {
    return this.#guard({ ...this.#at(run), body: run.messages[0]!.body })
  }

  #guard({ subscription, partition, offset, body }: ParkedAt & Pick<Parked, 'body'>): Guard {
    return { guard: 'parked', at: { subscription, partition, offset }, states: ['retry', 'held'], body }
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
    this.#ready = []
  }
}

function name(p: Pick<ParkedAt, 'partition' | 'offset'>): string {
  return `${p.partition}/${p.offset}`
}

function keyName(p: { partition: number; key: string | null }): string {
  return `${p.partition}/${p.key}`
}
