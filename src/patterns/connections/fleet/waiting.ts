import type { Pipeline } from '#resilience/compose.ts'
import type { Clock } from '#kernel/clock.ts'
import type { Part, Swap, View } from './fleet.ts'
import { fleetPrefix } from './peers.ts'

/** What one process was told and all must heed. Times are milliseconds that were left at `at`. */
type Notice = {
  /** Wall time of the writer. */
  readonly at: number
  /** Nothing is to be sent for so long. */
  readonly cool: number
  /** So many calls are left, of all processes, for so long. */
  readonly left?: number
  readonly reset?: number
}

export const waitPrefix = `${fleetPrefix}wait/`

/** Differences of less than this are not worth a write. */
const worth = 100
/** Wall clocks may differ by so much: whoever was not there when a notice was written waits longer rather than shorter. */
const margin = 5_000

/**
 * What the other side asked of one process, for all: the cool-down after a 429 or `Retry-After`, and the little that is left
 * of their limit. Shared within a round of the fleet; requests that are on their way meanwhile cannot be called back.
 */
export class WaitPart implements Part {
  readonly active = false
  readonly #name: string
  readonly #clock: Clock
  readonly #poke: () => void
  #pipeline: Pipeline | undefined
  #version = -1
  /** Monotonic milliseconds up to which everybody knows, and up to which we were told. */
  #known = 0
  #cool = 0
  #left: { readonly remaining: number; readonly until: number } | undefined
  #toldLeft: { readonly remaining: number; readonly until: number } | undefined
  #adopting = false

  constructor(name: string, clock: Clock, poke: () => void) {
    this.#name = waitPrefix + name
    this.#clock = clock
    this.#poke = poke
  }

  attach(pipeline: Pipeline): void {
    this.#pipeline = pipeline
  }

  /** A cool-down was begun or made longer here, until this monotonic time. */
  cooled(until: number): void {
    if (until <= this.#known + worth) return
    this.#cool = Math.max(this.#cool, until)
    this.#poke()
  }

  /** Their headers said that so many calls are left. Only the last few are news for all: the rest each sees for itself. */
  told(told: { readonly remaining: number; readonly reset: number }, processes: number): void {
    if (this.#adopting || told.remaining >= 2 * processes) return
    const until = this.#clock.mono() + told.reset
    const known = this.#toldLeft
    const same = known !== undefined && until < known.until + 1_000
    if (same && Math.floor(told.remaining / processes) >= Math.floor(known.remaining / processes)) return
    this.#left = { remaining: told.remaining, until }
    this.#poke()
  }

  see(view: View): void {
    const row = view.rows.get(this.#name)
    if (row === undefined || row.version <= this.#version) return
    this.#version = row.version
    const notice = noticeOf(row.value)
    if (notice === undefined || this.#pipeline === undefined) return
    // Written since we looked last: it cannot have begun later than now. Otherwise their clock must tell.
    const passed = view.continuous ? 0 : Math.max(0, view.wall - margin - notice.at)
    this.#adopting = true
    const cool = notice.cool - passed
    if (cool > 0) {
      this.#known = Math.max(this.#known, view.now + cool)
      this.#pipeline.coolDown(cool)
    }
    if (notice.left !== undefined && notice.reset !== undefined && notice.reset > passed) {
      const reset = notice.reset - passed
      this.#toldLeft = { remaining: notice.left, until: view.now + reset }
      this.#pipeline.limiter?.correct({ remaining: notice.left, reset })
    }
    this.#adopting = false
  }

  wish(view: View): Swap | undefined {
    if (view.peers.count === 1) this.#left = undefined
    const cool = this.#cool > this.#known + worth ? this.#cool : 0
    const left = this.#left
    if (cool <= view.now) this.#cool = 0
    if (cool <= view.now && left === undefined) return undefined
    const notice: Notice = {
      at: view.wall,
      cool: Math.max(0, Math.ceil(Math.max(cool, this.#known) - view.now)),
      ...(left === undefined ? {} : { left: left.remaining, reset: Math.max(0, Math.ceil(left.until - view.now)) }),
    }
    const version = view.rows.get(this.#name)?.version ?? 0
    return {
      name: this.#name,
      version,
      value: JSON.stringify(notice),
      done: (outcome) => {
        if (outcome !== 'written') return
        this.#version = version + 1
        this.#known = Math.max(this.#known, cool)
        if (this.#left === left) this.#left = undefined
        this.#toldLeft = left ?? this.#toldLeft
      },
    }
  }

  leave(): undefined {}
}

export function noticeOf(text: string): Notice | undefined {
  try {
    const { at, cool, left, reset } = JSON.parse(text) as Partial<Notice>
    if (typeof at !== 'number' || typeof cool !== 'number') return undefined
    return { at, cool, ...(typeof left === 'number' && typeof reset === 'number' ? { left, reset } : {}) }
  } catch {
    return undefined
  }
}
