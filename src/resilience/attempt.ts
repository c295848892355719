import type { Attempt } from './policy.ts'

/** One start of the work. It outlives its call when the work goes on after it was given up. */
export class LiveAttempt implements Attempt {
  readonly number: number
  readonly #within: { readonly due: number } | undefined
  #controller: AbortController | undefined
  #reason: unknown
  #after: (() => void)[] | undefined

  constructor(number: number, within: { readonly due: number } | undefined) {
    this.number = number
    this.#within = within
  }

  get deadline(): number {
    return this.#within === undefined ? Infinity : this.#within.due
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  abort(reason: unknown): void {
    this.#reason = reason
    this.#controller?.abort(reason)
  }

  /** Calls `fn` when the work has really ended, long after the caller was answered if it ignores its signal. */
  after(fn: () => void): void {
    this.#after ??= []
    this.#after.push(fn)
  }

  ended(): void {
    const after = this.#after
    this.#after = undefined
    if (after) for (const fn of after) fn()
  }
}
