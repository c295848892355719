/**
 * Time as the core sees it. Wall time and monotonic time are kept apart: `now` may jump (NTP, an operator, DST of a
 * broken host), `mono` never does. Waits, leases and breakers use `mono`; only what people read uses `now`.
 */
export interface Clock {
  /** Wall clock, whole milliseconds since the Unix epoch. */
  now(): number
  /** Monotonic milliseconds from an arbitrary start; may have fractions. */
  mono(): number
  /** Calls `fn` once after `ms` on the monotonic clock. The returned function cancels; it is idempotent. */
  after(ms: number, fn: () => void): Cancel
  /** Calls `fn` once, after what is under way in this turn: how a group commit gathers what belongs together. */
  soon(fn: () => void): void
}

export type Cancel = () => void

/** Waits on the given clock; rejects with the signal's reason as soon as it is aborted. */
export function wait(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error)
    const abort = (): void => {
      cancel()
      reject(signal?.reason as Error)
    }
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener('abort', abort)
      resolve()
    })
    signal?.addEventListener('abort', abort, { once: true })
  })
}
