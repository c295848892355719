import type { Clock } from '#kernel/clock.ts'
import type { Random } from '#kernel/random.ts'
import { BreakerLayer, type BreakerHandle } from './breaking.ts'
import { BulkheadLayer, type BulkheadState } from './bulkhead.ts'
import { Call, closed, type Engine, type Layer } from './call.ts'
import { Cooling } from './cooling.ts'
import { FallbackLayer } from './fallback.ts'
import { HedgeLayer } from './hedge.ts'
import { LimiterLayer, type LimiterHandle, type LimitPolicy } from './limiter.ts'
import { accept } from './options.ts'
import type { Quotas } from './quotas.ts'
import type { Attempt, PipelineEvent, Policy, RunOptions } from './policy.ts'
import { RetryLayer } from './retry.ts'
import { TimeoutLayer } from './timeout.ts'
import { Wheel } from './wheel.ts'

export type PipelineEnvironment = {
  readonly clock: Clock
  readonly random: Random
  /** Appears in the detail of faults. Default empty. */
  readonly name?: string
  /** Told what happened, after the turn in which it did. */
  readonly observe?: (event: PipelineEvent) => void
  /** Quotas of a limit that is shared with other processes. Default: its own. */
  readonly quotas?: (policy: LimitPolicy) => Quotas | undefined
}

export interface Pipeline {
  /**
   * Runs the work through the policies. Rejects with what the work threw, with a fault of a policy (`resilience.*`), or
   * with `cancelled` as soon as the signal is aborted. The caller is answered then, whether or not the work heeds
   * its own signal.
   */
  run<T>(work: (attempt: Attempt) => Promise<T>, options?: RunOptions): Promise<T>
  /** The outermost of its kind, if the pipeline has one. */
  readonly breaker: BreakerHandle | undefined
  readonly limiter: LimiterHandle | undefined
  readonly bulkhead: BulkheadState | undefined
  /** Monotonic milliseconds before which no work is started; 0 when nothing is cooling down. */
  readonly coolUntil: number
  /** All calls wait at least `ms` (at most 1 hour), or fail with `resilience.limited` when that does not fit. */
  coolDown(ms: number): void
  /**
   * The same pipeline with more policies inside: breaker, limits, budget, cool-down and timers are shared. For what one
   * operation of a connection adds to the connection. Closing one closes both.
   */
  inside(...policies: readonly Policy[]): Pipeline
  /** How many processes share the other side, this one included: the least part of the retry budget is divided among them. */
  shareWith(processes: number): void
  /** Ends what waits or has a time limit with `cancelled`, gives the timer back, refuses what comes after. Idempotent. */
  close(): void
}

/**
 * Puts policies around work, outermost first: written order is execution order. `compose(env, timeout('30s'), retry(),
 * breaker(), bulkhead(), limit('50/s'), timeout('10s'))` bounds the whole by 30 s and each attempt by 10 s.
 *
 * A run that succeeds at once arms no timer and makes no AbortController; see `bench/resilience.ts` for what it costs.
 * State is that of this process and does not survive it.
 */
export function compose(env: PipelineEnvironment, ...policies: readonly Policy[]): Pipeline {
  const { clock, random, name = '', observe, quotas } = env
  const live: Layer[] = []
  const tell = observe ? (event: PipelineEvent) => clock.soon(() => observe(event)) : silent
  const cooling = new Cooling((until) => {
    tell({ type: 'cool-down', until })
    // So that those who wait for a permit come out at their rate when it is over, not all at once.
    for (const layer of live) if (layer instanceof LimiterLayer) layer.pause(until - clock.mono())
  })
  const wheel = new Wheel(clock)
  const root: Engine = { name, clock, random, wheel, cooling, layers: [], holding: [-1], tell, quotas }
  return new RunningPipeline(extend(root, policies, live), live)
}

class RunningPipeline implements Pipeline {
  readonly breaker: BreakerHandle | undefined
  readonly limiter: LimiterHandle | undefined
  readonly bulkhead: BulkheadState | undefined
  readonly #engine: Engine
  /** All layers of this pipeline and of those that share with it, outer ones first. */
  readonly #live: Layer[]

  constructor(engine: Engine, live: Layer[]) {
    const { layers } = engine
    this.#engine = engine
    this.#live = live
    this.breaker = layers.find((l) => l instanceof BreakerLayer)
    this.limiter = layers.find((l) => l instanceof LimiterLayer)
    this.bulkhead = layers.find((l) => l instanceof BulkheadLayer)
  }

  run<T>(work: (attempt: Attempt) => Promise<T>, options: RunOptions = none): Promise<T> {
    const engine = this.#engine
    return new Promise<T>((resolve, reject) => {
      if (engine.wheel.closed) return reject(closed(engine.name))
      const call = new Call(engine, work, options, engine.clock.mono(), undefined)
      // The value that comes out is the one that this very work gave.
      call.resolve = resolve as (value: unknown) => void
      call.reject = reject
      call.begin()
    })
  }

  get coolUntil(): number {
    return this.#engine.cooling.until
  }

  coolDown(ms: number): void {
    this.#engine.cooling.extend(this.#engine.clock.mono(), ms)
  }

  inside(...policies: readonly Policy[]): Pipeline {
    return new RunningPipeline(extend(this.#engine, policies, this.#live), this.#live)
  }

  shareWith(processes: number): void {
    for (const layer of this.#live) if (layer instanceof RetryLayer) layer.sharedBy(processes)
  }

  close(): void {
    // Queues first, outermost first: a place that becomes free while closing must let nobody in.
    for (const layer of this.#live) layer.stop()
    this.#engine.wheel.close()
  }
}

function extend(engine: Engine, policies: readonly Policy[], live: Layer[]): Engine {
  const layers = [...engine.layers]
  for (const policy of policies) for (const make of layersOf(policy)) layers.push(make(layers.length, engine))
  live.push(...layers.slice(engine.layers.length))
  const holding = [-1]
  for (const [i, layer] of layers.entries()) holding.push(layer.holds ? i : holding[i]!)
  return { ...engine, layers, holding }
}

type Make = (index: number, engine: Engine) => Layer

function layersOf(policy: Policy): readonly Make[] {
  switch (policy.policy) {
    case 'retry':
      return [(index) => new RetryLayer(policy, index)]
    case 'timeout':
      return [(index) => new TimeoutLayer(policy, index)]
    case 'breaker':
      return [(index, engine) => new BreakerLayer(policy, index, engine)]
    case 'bulkhead':
      return [(index) => new BulkheadLayer(policy, index)]
    case 'hedge':
      return [() => new HedgeLayer(policy)]
    case 'fallback':
      return [() => new FallbackLayer(policy)]
    case 'limit': {
      const { concurrent, rates, waiting } = policy
      const makes: Make[] = []
      // Concurrency outside: a permit that waits for a place would be used later than it was given.
      if (concurrent !== undefined) {
        makes.push((index) => new BulkheadLayer({ policy: 'bulkhead', concurrent, waiting }, index))
      }
      if (rates.length > 0)
        makes.push((index, engine) => new LimiterLayer(policy, index, engine, engine.quotas?.(policy)))
      return makes
    }
    default:
      return accept([{ path: 'compose', message: 'not a policy', fix: 'pass retry(), timeout(), …' }]) ?? []
  }
}

const none: RunOptions = Object.freeze({})

function silent(): void {}
