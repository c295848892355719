import type { Clock } from '#kernel/clock.ts'
import type { Pipeline } from '#resilience/compose.ts'
import type { PipelineEvent } from '#resilience/policy.ts'
import type { Quotas } from '#resilience/quotas.ts'
import type { Rate } from '#resilience/rate.ts'
import { BreakerPart } from './breaker.ts'
import type { Fleet, Part, View } from './fleet.ts'
import { LimitPart } from './limits.ts'
import { WaitPart } from './waiting.ts'

/** What the pipeline of a connection shares with the same connection in other processes. */
export class SharedConnection {
  readonly quotas: Quotas | undefined
  readonly #name: string
  readonly #clock: Clock
  readonly #fleet: Fleet
  readonly #limit: LimitPart | undefined
  readonly #waiting: WaitPart

  constructor(fleet: Fleet, name: string, rates: readonly Rate[], clock: Clock) {
    this.#fleet = fleet
    this.#name = name
    this.#clock = clock
    this.#limit = rates.length === 0 ? undefined : new LimitPart(name, rates, clock, (ms) => fleet.soon(ms))
    this.#waiting = new WaitPart(name, clock, () => fleet.poke())
    this.quotas = this.#limit?.quotas
  }

  attach(pipeline: Pipeline): void {
    const { limiter, breaker } = pipeline
    this.#waiting.attach(pipeline)
    this.#fleet.add(new Count(pipeline))
    this.#fleet.add(this.#waiting)
    if (limiter && this.#limit) {
      this.#limit.attach(limiter)
      limiter.watch({
        waits: () => this.#fleet.poke(),
        told: (told) => this.#waiting.told(told, this.#fleet.peers.count),
      })
      this.#fleet.add(this.#limit)
    }
    if (breaker) this.#fleet.add(new BreakerPart(this.#name, this.#clock, this.#fleet, breaker))
  }

  observe(event: PipelineEvent): void {
    if (event.type === 'cool-down') this.#waiting.cooled(event.until)
  }
}

/** How many share the other side. */
class Count implements Part {
  readonly active = false
  readonly #pipeline: Pipeline

  constructor(pipeline: Pipeline) {
    this.#pipeline = pipeline
  }

  see(view: View): void {
    this.#pipeline.shareWith(view.peers.count)
  }

  wish(): undefined {}

  leave(): undefined {}
}
