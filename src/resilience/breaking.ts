import { fault, type Fault } from '#kernel/fault.ts'
import { Breaker, refused, type BreakerChange, type BreakerPhase, type BreakerPolicy } from './breaker.ts'
import type { BreakerRecord } from './breaker.ts'
import type { Call, Engine, Layer } from './call.ts'
import { isCancelled, isRefusal } from './classify.ts'

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
  /** Told after the turn in which the state changed, in order. The returned function ends it. */
  onChange(fn: (change: BreakerChange) => void): () => void
}

export class BreakerLayer implements Layer, BreakerHandle {
  readonly holds = true
  readonly #index: number
  readonly #engine: Pick<Engine, 'name' | 'clock' | 'tell'>
  readonly #machine: Breaker
  readonly #listeners = new Set<(change: BreakerChange) => void>()

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

  onChange(fn: (change: BreakerChange) => void): () => void {
    this.#listeners.add(fn)
    return () => this.#listeners.delete(fn)
  }

  enter(call: Call): Fault | undefined {
    const token = this.#machine.admit(call.now)
    if (token === refused) {
      const detail = { pipeline: this.#engine.name, state: this.#machine.state }
      return fault('resilience.breaker_open', { retryAfter: this.#machine.retryAfter(call.now), detail })
    }
    // 0 until it opens for the first time: then there is nothing to remember.
    if (token !== 0) call.remember(this.#index, token)
    return undefined
  }

  succeeded(call: Call): void {
    this.#machine.succeed(call.recall(this.#index))
  }

  failed(call: Call, error: unknown): boolean {
    const token = call.recall(this.#index)
    // A refusal further in and a caller who gave up say nothing about the other side.
    if (isRefusal(error) || isCancelled(error)) this.#machine.forget(call.now, token)
    else if (call.judge(error).failure) this.#machine.fail(call.now, token)
    else this.#machine.succeed(token)
    return false
  }

  abandoned(call: Call, error: Fault, working: boolean): void {
    const token = call.recall(this.#index)
    // A limit further out has passed while the work was under way: they were too slow, whatever comes of it later.
    if (working && !isCancelled(error)) this.#machine.fail(call.now, token)
    else this.#machine.forget(call.now, token)
  }

  stop(): void {}
}
