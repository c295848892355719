import type { ReadResult, Store } from '#adapters/stores/port.ts'
import type { Cancel } from '#kernel/clock.ts'
import type { Fault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import { park, type RetryPlan } from './parking.ts'
import type { Pauses } from './pauses.ts'
import type { Replays } from './replays.ts'

/** After this many runs in a row that were held by one connection, reading pauses until the connection may be asked again. */
const heldInARow = 16
/** How long we wait before a refusal to read is looked into. */
const lookAgain = 5_000

type Counts = ReadResult<{ read: 'parkedCounts' }>

/** Whether new messages of a subscription are read: what an operator, parked messages and a connection that is down say to it. */
export class Gate {
  readonly #of: {
    readonly name: string
    readonly topic: string
    readonly parkedLimit: number
    readonly retry: RetryPlan
  }
  readonly #id: number
  readonly #runtime: Runtime<Store>
  /** Parkings that are on their way into the store. */
  readonly #parking: () => number
  readonly #wake: () => void
  #paused = false
  #pausedPartitions: ReadonlySet<number> = new Set()
  #heldPartitions: ReadonlySet<number> = new Set()
  #parked = 0
  #held = 0
  #cooling = false
  /** Who held the last of the runs that made us wait. */
  #heldBy: string | null = null
  #stopped = false
  #cancelCool: Cancel | undefined
  #cancelCount: Cancel | undefined

  constructor(
    of: { name: string; topic: string; parkedLimit: number; retry: RetryPlan },
    id: number,
    runtime: Runtime<Store>,
    tell: { readonly parking: () => number; readonly wake: () => void },
  ) {
    this.#of = of
    this.#id = id
    this.#runtime = runtime
    this.#parking = tell.parking
    this.#wake = tell.wake
  }

  /** By an operator: nothing starts, new or parked. */
  get paused(): boolean {
    return this.#paused
  }

  /** Nothing starts any more. */
  get stopped(): boolean {
    return this.#stopped
  }

  get open(): boolean {
    return !this.#paused && !this.#stopped && this.#parked < this.#of.parkedLimit && !this.#cooling
  }

  /** Why nothing is read at the moment, for people; undefined when messages flow. */
  get waiting(): string | undefined {
    if (this.#paused) return 'paused'
    if (this.#parked >= this.#of.parkedLimit)
      return `${this.#parked} messages are parked, the limit is ${this.#of.parkedLimit}`
    if (this.#cooling) return 'a connection is down'
    if (this.#heldPartitions.size > 0) return 'a replay goes first'
    return undefined
  }

  /** An operator, or a replay, may stop one partition alone. */
  mark(partition: { readonly index: number; paused: boolean; held: boolean }): void {
    partition.paused = this.#pausedPartitions.has(partition.index)
    partition.held = this.#heldPartitions.has(partition.index)
  }

  /** What operators have said was read again. */
  told(pauses: Pauses, replays: Replays): void {
    this.#paused = pauses.whole(this.#of.name, this.#of.topic)
    this.#pausedPartitions = pauses.partitions(this.#of.name)
    this.#heldPartitions = replays.holds(this.#of.name)
  }

  /** So many more messages are parked. */
  parked(change: number): void {
    this.#count(this.#parked + change)
  }

  /** What is parked was read again. */
  counted(counts: Counts): void {
    const stored = counts.filter((c) => c.subscription === this.#id).reduce((sum, c) => sum + c.count, 0)
    this.#count(stored + this.#parking())
  }

  /** A run ended. Many in a row that one connection has held: stop handing out messages that would only be held too. */
  weigh(failed: Fault | undefined): void {
    if (failed === undefined) {
      this.#held = 0
      return
    }
    const { clock, random } = this.#runtime
    const now = clock.now()
    const verdict = park(failed, 0, this.#of.retry, now, random)
    if (verdict.state !== 'held' || ++this.#held < heldInARow) return
    this.#held = 0
    this.#cooling = true
    this.#heldBy = verdict.heldBy
    this.#cancelCool?.()
    this.#cancelCool = clock.after(Math.max(100, verdict.due - now), () => {
      this.#cooling = false
      this.#wake()
    })
  }

  /** What was down is back: if we wait for it, messages are read at once, not when the wait would have ended. */
  warm(connection: string): void {
    if (!this.#cooling || this.#heldBy !== connection) return
    this.#cancelCool?.()
    this.#cooling = false
    this.#wake()
  }

  stop(): void {
    this.#stopped = true
    this.#cancelCool?.()
    this.#cancelCount?.()
  }

  /** Our count is made of what we have seen: before it stops the reading for good, the store is asked, again and again. */
  #count(count: number): void {
    const full = this.#parked >= this.#of.parkedLimit
    this.#parked = count
    if (count < this.#of.parkedLimit) {
      if (full) this.#wake()
      return
    }
    if (this.#stopped) return
    this.#cancelCount ??= this.#runtime.clock.after(lookAgain, () => {
      this.#cancelCount = undefined
      this.#runtime.store
        .read({ read: 'parkedCounts' })
        .then((counts) => this.counted(counts))
        .catch(() => this.#count(this.#parked))
    })
  }
}
