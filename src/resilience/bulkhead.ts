import type { Problem } from '#kernel/definition.ts'
import { fault, type Fault } from '#kernel/fault.ts'
import type { LiveAttempt } from './attempt.ts'
import { closed, later, type Call, type Later, type Layer } from './call.ts'
import { accept, count, problemsOf } from './options.ts'
import { Queue } from './queue.ts'

export type BulkheadOptions = {
  /** Calls inside at the same time. Default 20. */
  readonly concurrent?: number
  /** Calls that wait for a place, first come first served. Default 100; one more is refused. */
  readonly waiting?: number
}

export type BulkheadPolicy = { readonly policy: 'bulkhead'; readonly concurrent: number; readonly waiting: number }

/**
 * Keeps one slow dependency from taking everything: at most 20 calls inside, 100 waiting, the next one refused with
 * `resilience.bulkhead_full`. A waiting call leaves when it is aborted or its time is up.
 *
 * A place is free when the work has really ended: work that ignores its signal keeps it, because its socket is still
 * open. Put it inside `hedge`, so that each copy takes its own place.
 */
export function bulkhead(options: BulkheadOptions = {}): BulkheadPolicy {
  accept(bulkheadProblems('bulkhead', options))
  const { concurrent = 20, waiting = 100 } = options
  return Object.freeze({ policy: 'bulkhead', concurrent, waiting })
}

export function bulkheadProblems(path: string, options: unknown): Problem[] {
  return problemsOf(path, options, { concurrent: count(1, 1_000_000), waiting: count(0, 1_000_000) })
}

/** What a pipeline shows of its bulkhead. */
export interface BulkheadState {
  readonly active: number
  readonly waiting: number
}

export class BulkheadLayer implements Layer, BulkheadState {
  readonly holds = true
  readonly #index: number
  readonly #concurrent: number
  readonly #most: number
  readonly #queue = new Queue<Call>()
  #active = 0
  #admitting = false
  #closed = false

  constructor(policy: BulkheadPolicy, index: number) {
    this.#index = index
    this.#concurrent = policy.concurrent
    this.#most = policy.waiting
  }

  get active(): number {
    return this.#active
  }

  get waiting(): number {
    return this.#queue.size
  }

  enter(call: Call): Fault | Later | undefined {
    if (this.#active < this.#concurrent && this.#queue.size === 0) {
      this.#active++
      return undefined
    }
    if (this.#closed) return closed(call.engine.name)
    if (this.#queue.size >= this.#most) {
      const detail = { pipeline: call.engine.name, concurrent: this.#concurrent, waiting: this.#most }
      return fault('resilience.bulkhead_full', { detail })
    }
    const place = this.#queue.push(call)
    call.leave = () => {
      this.#queue.remove(place)
      return false
    }
    return later
  }

  succeeded(): void {
    this.#active--
    if (this.#queue.size > 0) this.#admit()
  }

  failed(): boolean {
    this.succeeded()
    return false
  }

  abandoned(_call: Call, _error: Fault, _working: boolean, attempt: LiveAttempt | undefined): void {
    if (attempt === undefined) this.succeeded()
    else attempt.after(() => this.succeeded())
  }

  stop(): void {
    this.#closed = true
    for (let call = this.#queue.shift(); call !== undefined; call = this.#queue.shift()) {
      call.cancel(closed(call.engine.name))
    }
  }

  /** A loop, not a recursion: a call that is let in may fail at once and free its place for the next of thousands. */
  #admit(): void {
    if (this.#admitting) return
    this.#admitting = true
    while (this.#active < this.#concurrent) {
      const call = this.#queue.shift()
      if (call === undefined) break
      this.#active++
      call.resume(this.#index + 1)
    }
    this.#admitting = false
  }
}
