import type { Problem } from '#kernel/definition.ts'
import { milliseconds, type Duration } from '#kernel/duration.ts'
import type { Random } from '#kernel/random.ts'
import { RetryBudget, type BudgetOptions } from './budget.ts'
import type { Call, Layer } from './call.ts'
import { longestTold } from './classify.ts'
import { accept, between, count, listOf, oneOf, or, problemsOf, span } from './options.ts'
import type { GaveUp } from './policy.ts'

/**
 * How chance changes a delay `d`, so that those who failed together do not come back together:
 * `add` d × [1, 1.25), `shorten` d × [0.5, 1), `full` [0, d), `none` d.
 */
export type Jitter = 'add' | 'shorten' | 'full' | 'none'

export type RetryOptions = {
  /** Retries after the first try. Default 4. */
  readonly attempts?: number
  /** Delay before the first retry. Default 1 s. */
  readonly first?: Duration
  /** Each delay is this many times the one before. Default 2. */
  readonly factor?: number
  /** Delays grow no further; jitter comes on top. Default 60 s. */
  readonly max?: Duration
  /** Default `add`. */
  readonly jitter?: Jitter
  /** Default: at most 10 % of the calls of the last 10 s, but 3 a second in any case. `none` when each retry is durable and due-timed on its own. */
  readonly budget?: BudgetOptions | 'none'
}

/** Delays written out: as many retries as there are entries. */
export type RetrySchedule = {
  readonly schedule: readonly Duration[]
  readonly jitter?: Jitter
  readonly budget?: BudgetOptions | 'none'
}

export type RetryPolicy = {
  readonly policy: 'retry'
  readonly attempts: number
  readonly first: Duration
  readonly factor: number
  readonly max: Duration
  readonly schedule?: readonly Duration[]
  readonly jitter: Jitter
  readonly budget: Required<BudgetOptions> | 'none'
}

/**
 * Tries again what may be tried again (see `Verdict`), after a growing delay, within bounds: attempts, the deadline, and
 * a budget shared by all calls of the pipeline, so that an outage is not answered with a storm. A delay that does not
 * fit the deadline is not waited for: the last fault is thrown at once, its `retryAfter` intact.
 *
 * What they told us to wait wins when it is longer, with up to 10 % added, never shortened, at most 1 hour.
 * Limit: 100 retries. Nothing survives a crash; for that, park the message and use `backoff` for its due time.
 * Throws `config.option` naming every problem.
 */
export function retry(options: RetryOptions | RetrySchedule = {}): RetryPolicy {
  accept(retryProblems('retry', options))
  const { jitter = 'add', budget } = options
  const common = { jitter, budget: budget === 'none' ? budget : Object.freeze({ ...defaultBudget, ...budget }) }
  if ('schedule' in options) {
    const schedule = Object.freeze([...options.schedule])
    const max = schedule.reduce((a, b) => (milliseconds(a) < milliseconds(b) ? b : a))
    const attempts = schedule.length
    return Object.freeze({ policy: 'retry', attempts, first: schedule[0]!, factor: 1, max, schedule, ...common })
  }
  const { attempts = 4, first = '1s', factor = 2, max = '60s' } = options
  return Object.freeze({ policy: 'retry', attempts, first, factor, max, ...common })
}

const defaultBudget: Required<BudgetOptions> = { share: 0.1, over: '10s', least: 3 }

export function retryProblems(path: string, options: unknown): Problem[] {
  const scheduled = typeof options === 'object' && options !== null && 'schedule' in options
  const shape = scheduled
    ? { schedule: listOf(span) }
    : { attempts: count(0, 100), first: span, factor: between(1, 100), max: span }
  const problems = problemsOf(path, options, {
    ...shape,
    jitter: oneOf('add', 'shorten', 'full', 'none'),
    budget: or(oneOf('none'), (v) => (typeof v === 'object' && v !== null ? undefined : 'use an object')),
  })
  const { schedule, budget } = (options ?? {}) as { readonly schedule?: unknown; readonly budget?: unknown }
  if (scheduled && schedule === undefined) {
    problems.push({ path: `${path}.schedule`, message: 'is missing', fix: 'use a list of at least 1' })
  }
  if (typeof budget !== 'object' || budget === null) return problems
  return [
    ...problems,
    ...problemsOf(`${path}.budget`, budget, { share: between(0, 1), over: span, least: between(0, 1_000_000) }),
  ]
}

/**
 * Milliseconds to wait after `failed` tries have failed (1 after the first). Pure but for `random`.
 * d = min(max, first × factor^(failed − 1)), or the entry of the schedule (the last one beyond its end), then jitter:
 * so with `add` the wait may reach 1.25 × max. Base 1 s, factor 2, max 30 s: 1, 2, 4, 8, 16, 30, 30 s.
 */
export function backoff(policy: RetryPolicy, failed: number, random: Random): number {
  const { schedule, jitter } = policy
  const delay = schedule
    ? milliseconds(schedule[Math.min(failed, schedule.length) - 1]!)
    : Math.min(milliseconds(policy.max), milliseconds(policy.first) * policy.factor ** (failed - 1))
  switch (jitter) {
    case 'add':
      return delay * (1 + random.float() * 0.25)
    case 'shorten':
      return delay * (0.5 + random.float() * 0.5)
    case 'full':
      return delay * random.float()
    default:
      return delay
  }
}

export class RetryLayer implements Layer {
  readonly holds = false
  readonly #policy: RetryPolicy
  readonly #index: number
  readonly #budget: RetryBudget | undefined

  constructor(policy: RetryPolicy, index: number) {
    this.#policy = policy
    this.#index = index
    this.#budget = policy.budget === 'none' ? undefined : new RetryBudget(policy.budget)
  }

  /** How many processes share the budget. */
  sharedBy(processes: number): void {
    if (this.#budget !== undefined) this.#budget.sharedBy = processes
  }

  enter(call: Call): undefined {
    // Once a run: a retry goes on at the layer inside this one.
    this.#budget?.called(call.now)
  }

  succeeded(): void {}

  failed(call: Call, error: unknown): boolean {
    const verdict = call.judge(error)
    if (!verdict.retry) return this.#forget(call)
    const { engine } = call
    const retry = call.recall(this.#index) + 1
    if (retry > this.#policy.attempts) return this.#gaveUp(call, retry, 'attempts', error)
    let delay = backoff(this.#policy, retry, engine.random)
    const told = Math.min(verdict.retryAfter ?? 0, longestTold)
    if (told > delay) delay = told * (1 + engine.random.float() * 0.1)
    if (call.now + delay >= call.deadline) return this.#gaveUp(call, retry, 'deadline', error)
    if (this.#budget?.spend(call.now) === false) return this.#gaveUp(call, retry, 'budget', error)
    call.remember(this.#index, retry)
    engine.tell({ type: 'retry', retry, delay, error })
    call.pause(delay, this.#index + 1)
    return true
  }

  abandoned(call: Call): void {
    this.#forget(call)
  }

  stop(): void {}

  #gaveUp(call: Call, retry: number, why: GaveUp, error: unknown): false {
    call.engine.tell({ type: 'gave-up', retry, why, error })
    return this.#forget(call)
  }

  /** A retry further out may bring the call back here, to count from the start. */
  #forget(call: Call): false {
    if (call.recall(this.#index) !== 0) call.remember(this.#index, 0)
    return false
  }
}
