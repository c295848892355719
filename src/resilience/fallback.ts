import { isFault } from '#kernel/fault.ts'
import type { Call, Layer } from './call.ts'
import { isCancelled } from './classify.ts'
import { accept } from './options.ts'

export type FallbackPolicy = { readonly policy: 'fallback'; readonly use: (error: unknown) => unknown }

/**
 * Answers with `use(error)` when what is inside it has failed for good: a cached value, an empty list. Not used when the
 * caller gave up or the fault is a bug of ours. What `use` throws is thrown. Limits further out hold for it, too.
 *
 * Not for writes: whoever is told that all is well does not try again.
 */
export function fallback(use: (error: unknown) => unknown): FallbackPolicy {
  if (typeof use !== 'function') {
    accept([{ path: 'fallback', message: 'is not a function', fix: 'pass a function from the error to a value' }])
  }
  return Object.freeze({ policy: 'fallback', use })
}

export class FallbackLayer implements Layer {
  readonly holds = false
  readonly #policy: FallbackPolicy

  constructor(policy: FallbackPolicy) {
    this.#policy = policy
  }

  enter(): undefined {}

  succeeded(): void {}

  failed(call: Call, error: unknown): boolean {
    if (isCancelled(error) || (isFault(error) && error.kind === 'bug')) return false
    let waiting = true
    call.leave = () => {
      waiting = false
      return false
    }
    const back = (): boolean => {
      if (!waiting) return false
      call.leave = undefined
      call.now = call.engine.clock.mono()
      return true
    }
    call.engine.tell({ type: 'fallback', error })
    void new Promise((resolve) => resolve(this.#policy.use(error))).then(
      (value) => {
        if (back()) call.succeeded(value)
      },
      (thrown: unknown) => {
        if (back()) call.failed(thrown)
      },
    )
    return true
  }

  abandoned(): void {}

  stop(): void {}
}
