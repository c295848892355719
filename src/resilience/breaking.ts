import { fault, type Fault } from '#kernel/fault.ts'
import { Breaker, refused, type BreakerChange, type BreakerPhase, type BreakerPolicy } from './breaker.ts'
import type { BreakerRecord } from './breaker.ts'
import { closed, later, type Call, type Engine, type Later, type Layer } from './call.ts'
import { isCancelled, isRefusal } from './classify.ts'
import { Queue } from './queue.ts'

/** What a pipeline shows of its breaker, and how it is corrected from outside. */
export interface BreakerHandle {
  readonly state: BreakerPhase
  /** Monotonic milliseconds; 0 when closed, Infinity when isolated. */
  readonly openUntil: number
  /** Opens it by hand, until `close`. */
  isolate(): void
  /** Closes it, and forgets what it has counted. */
  close(): void
  export(): BreakerRecord
  restore(record: BreakerRecord): void
  /** Whether calls were answered lately, and most of them well. */
  well(): boolean
  /** From now on it is one of several breakers of the same thing. */
  join(peers: BreakerPeers): void
  /** Told after the turn in which the state changed, in order. The returned function ends it. */
  onChange(fn: (change: BreakerChange) => void): () => void
}

/** The other processes that call the same thing. Each method is called at once, in the turn of what it tells. */
export interface BreakerPeers {
  /** The open time is over and a call waits to be the probe: `decided` is to be called, once and soon, with whether it may. */
  claim(decided: (granted: boolean) => void): void
  /** The breaker has opened or closed by its own judgement. */
  judged(to: 'open' | 'closed'): void
  /** A call that was under way when it opened has been answered well. */
  answered(): void
}

export class BreakerLayer implements Layer, BreakerHandle {
  readonly holds = true
  readonly #index: number
  readonly #engine: Pick<Engine, 'name' | 'clock' | 'tell'>
  readonly #machine: Breaker
  readonly #listeners = new Set<(change: BreakerChange) => void>()
  /** Calls that wait until it is decided who probes. */
  readonly #asking = new Queue<Call>()
  #peers: BreakerPeers | undefined
  #granted = false
  #stopped = false

  constructor(policy: BreakerPolicy, index: number, engine: Pick<Engine, 'name' | 'clock' | 'tell'>) {
    this.#index = index
    this.#engine = engine
    this.#machine = new Breaker(policy, (change) => {
      engine.tell({ type: 'breaker', ...change })
      for (const fn of this.#listeners) engine.clock.soon(() => fn(change))
    })
  }

  get state(): BreakerPhase {
    return this.#machine.state
  }

  get openUntil(): number {
    return this.#machine.openUntil
  }

  isolate(): void {
    this.#machine.isolate()
  }

  close(): void {
    this.#machine.close()
  }

  export(): BreakerRecord {
    return this.#machine.export(this.#engine.clock.mono())
  }

  restore(record: BreakerRecord): void {
    this.#machine.restore(record, this.#engine.clock.mono())
  }

  well(): boolean {
    return this.#machine.well(this.#engine.clock.mono())
  }

  join(peers: BreakerPeers): void {
    this.#peers = peers
  }

  onChange(fn: (change: BreakerChange) => void): () => void {
    this.#listeners.add(fn)
    return () => this.#listeners.delete(fn)
  }

  enter(call: Call): Fault | Later | undefined {
    if (this.#peers !== undefined && this.#machine.state !== 'closed' && this.#mustAsk(call.now)) {
      return this.#ask(call, this.#peers)
    }
    const token = this.#machine.admit(call.now)
    if (token === refused) return this.#refusal(call)
    // 0 until it opens for the first time: then there is nothing to remember.
    if (token !== 0) call.remember(this.#index, token)
    return undefined
  }

  succeeded(call: Call): void {
    this.#succeed(call.recall(this.#index))
  }

  failed(call: Call, error: unknown): boolean {
    const token = call.recall(this.#index)
    // A refusal further in and a caller who gave up say nothing about the other side.
    if (isRefusal(error) || isCancelled(error)) this.#machine.forget(call.now, token)
    else if (call.judge(error).failure) this.#fail(call.now, token)
    else this.#succeed(token)
    return false
  }

  abandoned(call: Call, error: Fault, working: boolean): void {
    const token = call.recall(this.#index)
    // A limit further out has passed while the work was under way: they were too slow, whatever comes of it later.
    if (working && !isCancelled(error)) this.#fail(call.now, token)
    else this.#machine.forget(call.now, token)
  }

  stop(): void {
    this.#stopped = true
    this.#settle((call) => call.cancel(closed(this.#engine.name)))
  }

  #refusal(call: Call): Fault {
    const detail = { pipeline: this.#engine.name, state: this.#machine.state }
    return fault('resilience.breaker_open', { retryAfter: this.#machine.retryAfter(call.now), detail })
  }

  #succeed(token: number): void {
    const before = this.#machine.state
    this.#machine.succeed(token)
    if (this.#peers === undefined || before === 'closed') return
    if (this.#machine.state === 'closed') this.#peers.judged('closed')
    else this.#peers.answered()
  }

  #fail(now: number, token: number): void {
    const before = this.#machine.state
    this.#machine.fail(now, token)
    if (this.#peers !== undefined && before !== 'open' && this.#machine.state === 'open') this.#peers.judged('open')
  }

  /** Whether the next call would be a probe, which only one of all processes may make. */
  #mustAsk(now: number): boolean {
    if (now < this.#machine.openUntil) return false
    const granted = this.#granted
    this.#granted = false
    return !granted
  }

  #ask(call: Call, peers: BreakerPeers): Fault | Later {
    if (this.#stopped) return closed(this.#engine.name)
    const first = this.#asking.size === 0
    const place = this.#asking.push(call)
    call.leave = () => {
      this.#asking.remove(place)
      return false
    }
    if (first) {
      peers.claim((granted) => {
        this.#granted = granted
        this.#settle((waiting) => {
          if (this.#granted) return waiting.resume(this.#index)
          // Closed meanwhile: all may go. Else one is the probe, or somebody else's is.
          if (this.#machine.state === 'closed') return waiting.resume(this.#index)
          waiting.leave = undefined
          waiting.now = this.#engine.clock.mono()
          waiting.failed(this.#refusal(waiting))
        })
        this.#granted = false
      })
    }
    return later
  }

  #settle(each: (call: Call) => void): void {
    for (let call = this.#asking.shift(); call !== undefined; call = this.#asking.shift()) each(call)
  }
}
