import type { Problem } from '#kernel/definition.ts'
import { milliseconds, type Duration } from '#kernel/duration.ts'
import { fault } from '#kernel/fault.ts'
import { Call, later, type Later, type Layer } from './call.ts'
import { accept, count, problemsOf, span } from './options.ts'
import { Entry } from './wheel.ts'

export type HedgeOptions = {
  /** A copy is started when there is no answer after this time. Choose about the 95th percentile of the latency. */
  readonly after: Duration
  /** Copies beside the first call. Default 1. */
  readonly copies?: number
}

export type HedgePolicy = { readonly policy: 'hedge'; readonly after: Duration; readonly copies: number }

/**
 * Cuts the slow tail: when no answer has come after `after`, the same work is started once more, and the first answer
 * wins; the others are aborted. A call that fails while another is under way is waited for; when all have failed the
 * last error is thrown. Only for runs that say `idempotent`: all others pass through.
 *
 * Costs the other side about 5 % more calls at the 95th percentile. Not outside `retry`, and not for writes without a key.
 */
export function hedge(options: HedgeOptions): HedgePolicy {
  accept(hedgeProblems('hedge', options))
  const { after, copies = 1 } = options
  return Object.freeze({ policy: 'hedge', after, copies })
}

export function hedgeProblems(path: string, options: unknown): Problem[] {
  const problems = problemsOf(path, options, { after: span, copies: count(1, 5) })
  if (typeof options === 'object' && options !== null && (options as { after?: unknown }).after === undefined) {
    problems.push({ path: `${path}.after`, message: 'is missing', fix: "say when to start a copy, such as '200ms'" })
  }
  return problems
}

export class HedgeLayer implements Layer {
  readonly holds = false
  readonly #after: number
  readonly #copies: number

  constructor(policy: HedgePolicy) {
    this.#after = milliseconds(policy.after)
    this.#copies = policy.copies
  }

  enter(call: Call): Later | undefined {
    if (call.options.idempotent !== true) return undefined
    new Race(call, this.#after, this.#copies).start()
    return later
  }

  succeeded(): void {}

  failed(): boolean {
    return false
  }

  abandoned(): void {}

  stop(): void {}
}

/** One hedged call: the copies that run, and the timer that starts the next. */
class Race extends Entry {
  readonly #call: Call
  readonly #after: number
  readonly #running = new Set<Call>()
  #left: number

  constructor(call: Call, after: number, copies: number) {
    super()
    this.#call = call
    this.#after = after
    this.#left = copies
  }

  start(): void {
    this.#call.leave = () => this.#leave()
    this.#run()
  }

  fire(): void {
    const call = this.#call
    call.now = call.engine.clock.mono()
    call.engine.tell({ type: 'hedge', copy: call.root.started })
    this.#run()
  }

  close(): void {}

  #run(): void {
    const call = this.#call
    // Signal and deadline are the root's: it gives up for all its copies.
    const { signal: _signal, deadline: _deadline, ...options } = call.options
    const copy = new Call(call.engine, call.work, options, call.now, call)
    copy.resolve = (value) => this.#ended(copy, () => call.succeeded(value), true)
    copy.reject = (error) => this.#ended(copy, () => call.failed(error), false)
    this.#running.add(copy)
    // Armed before it starts: a copy that is refused at once ends the race.
    if (this.#left-- > 0) call.engine.wheel.add(this, call.now + this.#after, call.now)
    copy.begin()
  }

  #ended(copy: Call, out: () => void, won: boolean): void {
    const call = this.#call
    if (!this.#running.delete(copy)) return
    call.uncertain ||= copy.uncertain
    if (!won && this.#running.size > 0) return
    this.#leave()
    call.leave = undefined
    call.now = call.engine.clock.mono()
    out()
  }

  /** Gives up what still runs. Answers whether work was under way. */
  #leave(): boolean {
    this.#call.engine.wheel.remove(this)
    let working = false
    const running = [...this.#running]
    this.#running.clear()
    for (const copy of running) {
      copy.cancel(fault('cancelled', { message: 'another copy answered, or the call was given up' }))
      working ||= copy.uncertain
    }
    return working
  }
}
