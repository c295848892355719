import type { Clock } from '#kernel/clock.ts'
import { fault, isFault, type Fault } from '#kernel/fault.ts'
import type { Random } from '#kernel/random.ts'
import { LiveAttempt } from './attempt.ts'
import { classify, isCancelled, isRefusal } from './classify.ts'
import type { Cooling } from './cooling.ts'
import type { LimitPolicy } from './limiter.ts'
import type { Quotas } from './quotas.ts'
import type { Attempt, PipelineEvent, RunOptions, Verdict } from './policy.ts'
import { Entry, type Wheel } from './wheel.ts'

/** What `enter` answers when the call waits in the layer: the layer will `resume`, `failed` or `succeeded` it. */
export const later: unique symbol = Symbol('later')
export type Later = typeof later

/**
 * One policy at work in a pipeline. A call goes in through all layers, outermost first; what came of it travels out,
 * innermost first. No layer wraps the next in a promise of its own: a run costs one promise, not one a layer.
 */
export interface Layer {
  /** Whether `succeeded` does anything; else it is not called. */
  readonly holds: boolean
  /** Lets the call in (undefined), refuses it (a fault), or keeps it waiting (`later`). */
  enter(call: Call): Fault | Later | undefined
  /** The value passes; what the layer holds for the call is given back. */
  succeeded(call: Call): void
  /** True when the layer takes over (retry, fallback); else the error passes on. */
  failed(call: Call, error: unknown): boolean
  /** A layer further out gave up on the call. `working`: the work was started and nobody knows what came of it. */
  abandoned(call: Call, error: Fault, working: boolean, attempt: LiveAttempt | undefined): void
  /** The pipeline is closing: ends what waits here, by `call.cancel`. */
  stop(): void
}

/** What the calls of a pipeline share. */
export type Engine = {
  readonly name: string
  readonly clock: Clock
  readonly random: Random
  readonly wheel: Wheel
  readonly cooling: Cooling
  readonly layers: readonly Layer[]
  /** For each depth, the nearest layer before it that holds something; -1 when there is none. */
  readonly holding: readonly number[]
  readonly tell: (event: PipelineEvent) => void
  readonly quotas?: ((policy: LimitPolicy) => Quotas | undefined) | undefined
}

export type Work = (attempt: Attempt) => Promise<unknown>

export class Call {
  readonly engine: Engine
  readonly work: Work
  readonly options: RunOptions
  /** The call that this one is a hedged copy of, or itself. */
  readonly root: Call
  /** Layers before this one belong to the root. */
  readonly from: number
  /** How many layers the call has entered. While it waits in a layer, that one is not counted. */
  at: number
  /** Monotonic milliseconds, as of the last time that something happened to this call. */
  now: number
  /** The tightest of all time limits around the point where the call is. A reference, because V8 boxes fractions. */
  inside: Limit | undefined
  /** What layers remember about this call, by index. A call that goes well needs none. */
  #slots: number[] | undefined = undefined
  attempt: LiveAttempt | undefined = undefined
  /** How to leave where it waits; answers whether work was under way there. */
  leave: (() => boolean) | undefined = undefined
  /** Whether some attempt may have had its effect without our knowing. */
  uncertain = false
  started = 0
  settled = false
  resolve: (value: unknown) => void = nothing
  reject: (error: unknown) => void = nothing
  #unlisten: (() => void) | undefined = undefined
  #judged: Judgement | undefined = undefined

  constructor(engine: Engine, work: Work, options: RunOptions, now: number, parent: Call | undefined) {
    this.engine = engine
    this.work = work
    this.options = options
    this.now = now
    if (parent === undefined) {
      this.root = this
      this.from = 0
      this.inside = undefined
    } else {
      this.root = parent.root
      this.from = parent.at + 1
      this.inside = parent.inside
    }
    this.at = this.from
  }

  /** Monotonic milliseconds at which the part that the call is in is given up; Infinity if nothing limits it. */
  get deadline(): number {
    return this.inside === undefined ? Infinity : this.inside.due
  }

  /** The number that layer `index` remembers; 0 at first. */
  recall(index: number): number {
    return this.#slots === undefined ? 0 : this.#slots[index]!
  }

  remember(index: number, value: number): void {
    this.#slots ??= this.engine.layers.map(() => 0)
    this.#slots[index] = value
  }

  begin(): void {
    const { signal, deadline } = this.options
    if (signal !== undefined) {
      if (signal.aborted) return this.#settle(false, cancelledBy(signal.reason))
      const abort = (): void => this.cancel(cancelledBy(signal.reason))
      signal.addEventListener('abort', abort, { once: true })
      this.#unlisten = () => signal.removeEventListener('abort', abort)
    }
    if (deadline !== undefined && deadline !== Infinity) {
      // Not a number, or past: nothing may be started.
      if (!(deadline > this.now)) return this.#settle(false, outOfTime(this, 0, false))
      this.limit(deadline, this.from, Math.round(deadline - this.now))
    }
    this.inward()
  }

  inward(): void {
    const { layers } = this.engine
    while (this.at < layers.length) {
      const answer = layers[this.at]!.enter(this)
      if (answer !== undefined) {
        if (answer !== later) this.#refused(answer)
        return
      }
      this.at++
    }
    this.start()
  }

  start(): void {
    const { cooling } = this.engine
    if (cooling.until !== 0 && !this.#cooled(cooling)) return
    const attempt = new LiveAttempt(++this.root.started, this.inside)
    this.attempt = attempt
    let outcome: Promise<unknown>
    try {
      // A promise of the platform comes back as it is; anything else becomes one.
      outcome = Promise.resolve(this.work(attempt))
    } catch (error) {
      outcome = Promise.reject(error)
    }
    void outcome.then(
      (value) => {
        if (this.attempt !== attempt) return attempt.ended()
        this.attempt = undefined
        this.succeeded(value)
      },
      (error: unknown) => {
        if (this.attempt !== attempt) return attempt.ended()
        this.attempt = undefined
        this.#broke(error)
      },
    )
  }

  /** Out through the layers with a value. */
  succeeded(value: unknown): void {
    const { layers, holding } = this.engine
    for (let i = holding[this.at]!; i >= this.from; i = holding[i]!) layers[i]!.succeeded(this)
    this.at = this.from
    this.#settle(true, value)
  }

  /** Out through the layers with an error, until one takes over. */
  failed(error: unknown): void {
    const { layers } = this.engine
    while (this.at > this.from) if (layers[--this.at]!.failed(this, error)) return
    this.#settle(false, error)
  }

  /** Goes on at layer `at` after a wait. */
  resume(at: number): void {
    this.leave = undefined
    this.now = this.engine.clock.mono()
    this.at = at
    this.inward()
  }

  /** Waits `ms`, then goes on at layer `at`. */
  pause(ms: number, at: number): void {
    const { wheel } = this.engine
    if (wheel.closed) return this.cancel(closed(this.engine.name))
    const entry = new Pause(this, at)
    wheel.add(entry, this.now + ms, this.now)
    this.leave = () => {
      wheel.remove(entry)
      return false
    }
  }

  /** Gives up at `due`, `after` ms from now; only layers before `floor` remain then. Ended by `unlimit`. */
  limit(due: number, floor: number, after: number): Limit {
    const limit = new Limit(this, floor, after, this.inside)
    this.inside = limit
    this.engine.wheel.add(limit, due, this.now)
    return limit
  }

  unlimit(limit: Limit): void {
    this.inside = limit.outer
    this.engine.wheel.remove(limit)
  }

  /** Ends the whole call, wherever it is. Nothing happens if it has ended. */
  cancel(error: Fault): void {
    if (!this.settled) this.#abandon(this.from, error, this.#quit())
  }

  expire(limit: Limit): void {
    this.now = this.engine.clock.mono()
    const working = this.#quit()
    this.engine.tell({ type: 'timeout', after: limit.after, started: working })
    const error = outOfTime(this, limit.after, working || this.uncertain)
    this.#abandon(limit.floor, error, working)
  }

  /** What the error means; asked once for each error. */
  judge(error: unknown): Verdict {
    if (this.#judged !== undefined && this.#judged.error === error) return this.#judged.verdict
    const { options } = this
    // Our own refusals are known here. A table of somebody's status codes need not know them.
    const theirs = isRefusal(error) || isCancelled(error) ? undefined : options.classify
    try {
      const verdict = theirs ? theirs(error) : classify(error, options.idempotent === true)
      this.#judged = { error, verdict, bug: undefined }
    } catch (cause) {
      // A broken classifier must neither hang the caller nor repeat anything.
      const bug = fault('bug', { message: 'classify has thrown', cause })
      this.#judged = { error, verdict: { retry: false, failure: true }, bug }
    }
    return this.#judged.verdict
  }

  #broke(error: unknown): void {
    this.now = this.engine.clock.mono()
    if (!isFault(error) || error.kind === 'ambiguous') this.uncertain = true
    const { coolDown } = this.judge(error)
    if (coolDown !== undefined) this.engine.cooling.extend(this.now, coolDown)
    this.failed(error)
  }

  #refused(error: Fault): void {
    this.engine.tell({ type: 'refused', code: error.code, retryAfter: error.retryAfter })
    this.failed(error)
  }

  /** Whether the work may start now. Else the call waits, or has been refused because the wait does not fit. */
  #cooled(cooling: Cooling): boolean {
    const left = cooling.until - this.now
    if (left <= 0) {
      cooling.until = 0
      return true
    }
    const room = this.deadline - this.now - left
    if (room <= 0) {
      const detail = { pipeline: this.engine.name, reason: 'cooling down' }
      this.#refused(fault('resilience.limited', { retryAfter: Math.ceil(left), detail }))
      return false
    }
    // Up to 10 % longer, so that all who wait do not start in the same instant; never shorter than told.
    this.pause(left + Math.min(left * 0.1, room / 2) * this.engine.random.float(), this.at)
    return false
  }

  /** Leaves where it waits. Answers whether work is under way whose outcome nobody will know. */
  #quit(): boolean {
    const waiting = this.leave
    this.leave = undefined
    const working = waiting === undefined ? this.attempt !== undefined : waiting()
    if (working) this.uncertain = true
    return working
  }

  #abandon(floor: number, error: Fault, working: boolean): void {
    const { layers } = this.engine
    const attempt = this.attempt
    this.attempt = undefined
    while (this.at > floor) layers[--this.at]!.abandoned(this, error, working, attempt)
    // After the layers: listeners run at once and may start other calls.
    attempt?.abort(error)
    this.failed(error)
  }

  #settle(ok: boolean, outcome: unknown): void {
    this.settled = true
    // All layers have been left: what remains is the limit of the run itself.
    if (this.inside !== undefined && this.root === this) this.unlimit(this.inside)
    if (this.#unlisten !== undefined) this.#unlisten()
    if (ok) this.resolve(outcome)
    else this.reject(this.#judged?.bug ?? outcome)
  }
}

type Judgement = { readonly error: unknown; readonly verdict: Verdict; readonly bug: Fault | undefined }

/** A time limit around a part of a call. */
export class Limit extends Entry {
  readonly call: Call
  readonly floor: number
  /** Milliseconds, as given. */
  readonly after: number
  /** The limit further out. */
  readonly outer: Limit | undefined

  constructor(call: Call, floor: number, after: number, outer: Limit | undefined) {
    super()
    this.call = call
    this.floor = floor
    this.after = after
    this.outer = outer
  }

  fire(): void {
    this.call.expire(this)
  }

  close(): void {
    this.call.cancel(closed(this.call.engine.name))
  }
}

class Pause extends Entry {
  readonly call: Call
  readonly at: number

  constructor(call: Call, at: number) {
    super()
    this.call = call
    this.at = at
  }

  fire(): void {
    this.call.resume(this.at)
  }

  close(): void {
    this.call.cancel(closed(this.call.engine.name))
  }
}

export function closed(name: string): Fault {
  return fault('cancelled', { message: 'the pipeline is closed', detail: { pipeline: name } })
}

function cancelledBy(reason: unknown): Fault {
  return isFault(reason) ? reason : fault('cancelled', { cause: reason })
}

/** Nothing may have happened unless something was started: the difference between repeating and verifying (P9). */
function outOfTime(call: Call, after: number, uncertain: boolean): Fault {
  const detail = { pipeline: call.engine.name, after }
  return fault(uncertain ? 'resilience.timeout' : 'resilience.deadline', { detail })
}

function nothing(): void {}
