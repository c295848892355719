import type { Cancel, Clock } from '#kernel/clock.ts'

export type VirtualClock = Clock & {
  /**
   * Moves time forward, firing what falls due in order of time, ties in order of arming. Between two timers all pending
   * promises are settled, so a chain of waits inside one advance is walked to its end.
   */
  advance(ms: number): Promise<void>
  /** Fires the next timer, wherever it is; false when none is armed. */
  step(): Promise<boolean>
  /** Moves the wall clock only, as NTP or an operator would; timers do not notice. */
  jump(ms: number): void
  /** Timers armed and not fired: 0 at the end of a test that leaves nothing behind. */
  readonly armed: number
}

type Timer = { readonly at: number; readonly order: number; readonly fn: () => void }

/** A clock that moves only when told. Wall time starts at 2026-01-01T00:00:00Z, monotonic time at 0. */
export function virtualClock(options: { readonly start?: number } = {}): VirtualClock {
  const start = options.start ?? Date.UTC(2026, 0, 1)
  let mono = 0
  let skew = 0
  let order = 0
  const timers: Timer[] = []
  const arm = (ms: number, fn: () => void): Cancel => {
    const timer: Timer = { at: mono + Math.max(0, ms), order: order++, fn }
    let i = timers.length
    while (
      i > 0 &&
      (timers[i - 1]!.at > timer.at || (timers[i - 1]!.at === timer.at && timers[i - 1]!.order > timer.order))
    )
      i--
    timers.splice(i, 0, timer)
    return () => {
      const at = timers.indexOf(timer)
      if (at >= 0) timers.splice(at, 1)
    }
  }
  return {
    now: () => Math.floor(start + skew + mono),
    mono: () => mono,
    after: arm,
    soon: (fn) => queueMicrotask(fn),
    async advance(ms) {
      const until = mono + ms
      await settle()
      while (timers[0] !== undefined && timers[0].at <= until) {
        const timer = timers.shift()!
        mono = timer.at
        timer.fn()
        await settle()
      }
      mono = until
    },
    async step() {
      await settle()
      const timer = timers.shift()
      if (!timer) return false
      mono = Math.max(mono, timer.at)
      timer.fn()
      await settle()
      return true
    },
    jump(ms) {
      skew += ms
    },
    get armed() {
      return timers.length
    },
  }
}

/** Lets everything that is ready run, real I/O of this turn included. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise<void>((resolve) => setImmediate(resolve))
}
