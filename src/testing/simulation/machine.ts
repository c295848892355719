import type { Cancel, Clock } from '#kernel/clock.ts'
import type { Scheduler } from './scheduler.ts'

/** A process of the world: live, frozen (its completions are held back), or dead (they never come). */
export class Process {
  readonly name: string
  readonly pid: number
  readonly host: string
  readonly #world: Scheduler
  #state: 'live' | 'frozen' | 'dead' = 'live'
  #backlog: (() => void)[] = []
  /** What its wall clock shows beside the truth. */
  skew = 0
  /** When it died, or gave up on what still ran: what ended from then on ended in vain. */
  gone = Number.POSITIVE_INFINITY

  constructor(world: Scheduler, name: string, pid: number, host: string) {
    this.#world = world
    this.name = name
    this.pid = pid
    this.host = host
  }

  get state(): 'live' | 'frozen' | 'dead' {
    return this.#state
  }

  /** Every completion comes through here. */
  readonly reach = (fn: () => void): void => {
    if (this.#state === 'live') fn()
    else if (this.#state === 'frozen') this.#backlog.push(fn)
  }

  /** Since when it has known again what it owns: after a freeze it may still work on what others have taken over. */
  wokenBy = 0

  freeze(): void {
    if (this.#state === 'live') this.#state = 'frozen'
  }

  thaw(): void {
    if (this.#state !== 'frozen') return
    this.#state = 'live'
    this.wokenBy = this.#world.now + 6_000
    const held = this.#backlog
    this.#backlog = []
    for (const fn of held) this.#world.soon(() => this.reach(fn))
  }

  die(): void {
    this.#state = 'dead'
    this.#backlog = []
  }

  after(ms: number, fn: () => void): Cancel {
    let cancelled = false
    const cancel = this.#world.after(ms, () =>
      this.reach(() => {
        if (!cancelled) fn()
      }),
    )
    return () => {
      cancelled = true
      cancel()
    }
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve))
  }

  get clock(): Clock {
    return {
      now: () => Math.floor(Date.UTC(2026, 0, 1) + this.#world.now + this.skew),
      mono: () => this.#world.now,
      after: (ms, fn) => this.after(ms, fn),
      soon: (fn) => this.#world.soon(() => this.reach(fn)),
    }
  }
}

type Waiting = { readonly process: Process; readonly go: () => void; readonly cancel: Cancel }

/** The one writer of the file: first come, first served, 5 s at most. A process that dies lets go of it. */
export class WriterLock {
  readonly #world: Scheduler
  #owner: Process | undefined
  #waiting: Waiting[] = []
  /** Since when it has not been free; undefined when it is. */
  busySince: number | undefined

  constructor(world: Scheduler) {
    this.#world = world
  }

  take(process: Process, go: () => void, busy: () => void): void {
    if (this.#owner === undefined) {
      this.#owner = process
      this.busySince = this.#world.now
      return go()
    }
    const waiting: Waiting = {
      process,
      go,
      cancel: this.#world.after(5_000, () => {
        this.#waiting = this.#waiting.filter((w) => w !== waiting)
        busy()
      }),
    }
    this.#waiting.push(waiting)
  }

  give(process: Process): void {
    if (this.#owner !== process) return
    const next = this.#waiting.shift()
    this.#owner = next?.process
    if (next === undefined) this.busySince = undefined
    next?.cancel()
    next?.go()
  }

  /** The process is dead. */
  forget(process: Process): void {
    for (const w of this.#waiting) if (w.process === process) w.cancel()
    this.#waiting = this.#waiting.filter((w) => w.process !== process)
    this.give(process)
  }
}
