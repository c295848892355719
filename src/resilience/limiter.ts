import type { Clock } from '#kernel/clock.ts'
import type { Problem } from '#kernel/definition.ts'
import { milliseconds, type Duration } from '#kernel/duration.ts'
import { fault, type Fault } from '#kernel/fault.ts'
import { closed, later, type Call, type Engine, type Later, type Layer } from './call.ts'
import { longestTold } from './classify.ts'
import { accept, count, listOf, oneOf, or, problemsOf, span } from './options.ts'
import { Queue } from './queue.ts'
import { Quotas, SlidingWindow, TokenBucket, UtcDay, type Quota } from './quotas.ts'
import { parseRate, rateCheck, type Rate } from './rate.ts'
import { Entry, type Wheel } from './wheel.ts'

export type { Rate } from './rate.ts'

export type LimitOptions = {
  /** One rate or several at once; all hold. */
  readonly rate?: Rate | readonly Rate[]
  /** `window`: never more than the count in any window. `bucket`: smooth, with bursts; up to count + burst in a window. Default `window`. */
  readonly kind?: 'window' | 'bucket'
  /** Tokens that a full bucket holds. Default: the count. Only for `bucket`. */
  readonly burst?: number
  /** Calls inside at the same time, where the other side limits that. Default: no limit. */
  readonly concurrent?: number
  /** A call waits for a permit at most this long, and never beyond its deadline. Default 30 s. */
  readonly wait?: Duration
  /** Calls that wait for a permit, first come first served. Default 1,000; one more is refused. */
  readonly waiting?: number
}

export type LimitPolicy = {
  readonly policy: 'limit'
  readonly rates: readonly Rate[]
  readonly kind: 'window' | 'bucket'
  readonly burst?: number
  readonly concurrent?: number
  readonly wait: Duration
  readonly waiting: number
}

/**
 * Keeps to the limits of the other side: `limit('50/s', '100000/day')`. A call queues when its permit is expected
 * before its deadline and within `wait`; else it fails at once with `resilience.limited` and `retryAfter`. Corrected
 * while it runs by what their headers say (`LimiterHandle.correct`).
 *
 * Put it innermost but for a timeout: what waits between the permit and the start of the work makes bursts.
 * The limit is that of this process, and a restart begins with a full allowance, unless the pipeline was given quotas that
 * it shares with others (`PipelineEnvironment.quotas`).
 */
export function limit(options: LimitOptions): LimitPolicy
export function limit(...rates: readonly [Rate, ...Rate[]]): LimitPolicy
export function limit(first: Rate | LimitOptions, ...more: readonly Rate[]): LimitPolicy {
  const options: LimitOptions = typeof first === 'string' ? { rate: [first, ...more] } : first
  accept(limitProblems('limit', options))
  const { rate = [], kind = 'window', burst, concurrent, wait = '30s', waiting = 1000 } = options
  return Object.freeze({
    policy: 'limit',
    rates: Object.freeze(typeof rate === 'string' ? [rate] : [...rate]),
    kind,
    ...(burst === undefined ? {} : { burst }),
    ...(concurrent === undefined ? {} : { concurrent }),
    wait,
    waiting,
  })
}

export function limitProblems(path: string, options: unknown): Problem[] {
  const problems = problemsOf(path, options, {
    rate: or(rateCheck, listOf(rateCheck)),
    kind: oneOf('window', 'bucket'),
    burst: count(1, 1_000_000_000),
    concurrent: count(1, 1_000_000),
    wait: span,
    waiting: count(0, 1_000_000),
  })
  if (problems.length > 0) return problems
  const { rate, kind, burst, concurrent } = options as LimitOptions
  if (rate === undefined && concurrent === undefined) {
    problems.push({ path, message: 'nothing is limited', fix: 'give a rate, or concurrent' })
  }
  if (burst !== undefined && kind !== 'bucket') {
    problems.push({ path: `${path}.burst`, message: 'only a bucket has a burst', fix: "add kind: 'bucket'" })
  }
  return problems
}

/** The quotas of a policy, by themselves: for a limit that refuses instead of waiting. */
export function quotasOf(policy: LimitPolicy, clock: Clock): Quotas {
  const all = policy.rates.map((text): Quota => {
    const rate = parseRate(text)!
    if (policy.kind === 'bucket') return new TokenBucket(text, rate.count, rate.span, policy.burst ?? rate.count)
    if (rate.utcDay) return new UtcDay(text, rate.count, clock)
    return new SlidingWindow(text, rate.count, rate.span)
  })
  return new Quotas(all)
}

/** What a pipeline shows of its limiter, and how it is corrected from live headers. */
export interface LimiterHandle {
  readonly waiting: number
  /** They say that `remaining` calls are left in a window that ends in `reset` milliseconds. Only tightens our own limits. */
  correct(told: { readonly remaining: number; readonly reset: number }): void
  /** No permit for `ms` milliseconds, at most 1 hour. */
  pause(ms: number): void
  /** Quotas that are told their size from outside have been told: whoever waits for a permit looks again. */
  refresh(): void
  /** Calls `fn` when a call has to wait for a permit, and after `correct` with what was told. */
  watch(fn: LimiterWatch): void
}

export type LimiterWatch = {
  waits(): void
  told(told: { readonly remaining: number; readonly reset: number }): void
}

export class LimiterLayer implements Layer, LimiterHandle {
  readonly holds = false
  readonly #index: number
  readonly #clock: Clock
  readonly #wheel: Wheel
  readonly #quotas: Quotas
  readonly #wait: number
  readonly #most: number
  readonly #queue = new Queue<Call>()
  readonly #wake: Wake
  #letting = false
  /** When the first permit of this turn was taken. */
  #since: number | undefined
  #watch: LimiterWatch | undefined

  constructor(
    policy: LimitPolicy,
    index: number,
    engine: Pick<Engine, 'clock' | 'wheel'>,
    quotas = quotasOf(policy, engine.clock),
  ) {
    this.#index = index
    this.#clock = engine.clock
    this.#wheel = engine.wheel
    this.#quotas = quotas
    this.#wait = milliseconds(policy.wait)
    this.#most = policy.waiting
    this.#wake = new Wake(() => this.#let())
  }

  get waiting(): number {
    return this.#queue.size
  }

  correct(told: { readonly remaining: number; readonly reset: number }): void {
    // A header that is not a number, or of a window that has ended, says nothing.
    if (!(told.remaining >= 0) || !(told.reset > 0)) return
    const now = this.#clock.mono()
    this.#quotas.tell(now, told.remaining, now + Math.min(told.reset, longestTold))
    this.#let()
    this.#watch?.told(told)
  }

  refresh(): void {
    this.#let()
  }

  watch(fn: LimiterWatch): void {
    this.#watch = fn
  }

  pause(ms: number): void {
    if (!(ms > 0)) return
    this.#quotas.pause(this.#clock.mono() + Math.min(ms, longestTold))
    this.#let()
  }

  enter(call: Call): Fault | Later | undefined {
    if (this.#queue.size === 0 && this.#quotas.tryTake(call.now)) {
      if (this.#quotas.exact) this.#note(call.now)
      return undefined
    }
    if (this.#wheel.closed) return closed(call.engine.name)
    const at = this.#quotas.earliest(call.now, this.#queue.size)
    const wait = at - call.now
    if (at >= call.deadline || wait > this.#wait || this.#queue.size >= this.#most) {
      this.#watch?.waits()
      const detail = { pipeline: call.engine.name, limit: this.#quotas.tightest(call.now), waiting: this.#queue.size }
      return fault('resilience.limited', { retryAfter: Math.ceil(wait), detail })
    }
    const place = this.#queue.push(call)
    call.leave = () => {
      this.#queue.remove(place)
      return false
    }
    if (this.#queue.size === 1) this.#let()
    this.#watch?.waits()
    return later
  }

  succeeded(): void {}

  failed(): boolean {
    return false
  }

  abandoned(): void {}

  stop(): void {
    this.#wheel.remove(this.#wake)
    for (let call = this.#queue.shift(); call !== undefined; call = this.#queue.shift()) {
      call.cancel(closed(call.engine.name))
    }
  }

  /** At the end of this turn everything that has a permit now has been started. */
  #note(now: number): void {
    if (this.#since !== undefined) return
    this.#since = now
    this.#clock.soon(this.#noted)
  }

  readonly #noted = (): void => {
    const since = this.#since!
    this.#since = undefined
    this.#quotas.started(since, this.#clock.mono())
  }

  /** Lets in whose turn it is, then waits for the next permit. */
  #let(): void {
    if (this.#letting) return
    this.#letting = true
    this.#wheel.remove(this.#wake)
    while (this.#queue.size > 0) {
      // Read again each time: a start that took long must not squeeze the ones after it into less than the window.
      const now = this.#clock.mono()
      if (!this.#quotas.free(now)) {
        this.#wheel.add(this.#wake, Math.max(this.#quotas.earliest(now, 0), now), now)
        break
      }
      const call = this.#queue.shift()!
      this.#quotas.take(now)
      if (this.#quotas.exact) this.#note(now)
      call.resume(this.#index + 1)
    }
    this.#letting = false
  }
}

class Wake extends Entry {
  readonly #fn: () => void
  constructor(fn: () => void) {
    super()
    this.#fn = fn
  }
  fire(): void {
    this.#fn()
  }
  close(): void {}
}
