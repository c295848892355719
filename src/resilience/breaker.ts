import type { Problem } from '#kernel/definition.ts'
import { milliseconds, type Duration } from '#kernel/duration.ts'
import { accept, between, count, oneOf, or, problemsOf, span } from './options.ts'
import { Ring } from './ring.ts'

export type BreakerOptions = {
  /** Opens at this many failures within `within`. Default 5; `off` where thousands of calls a minute make 5 failures normal. */
  readonly failures?: number | 'off'
  /** Window of `failures` and of `rate`. Default 60 s. */
  readonly within?: Duration
  /** Opens at this many failures in a row, however long it took. Default 5. */
  readonly consecutive?: number | 'off'
  /** Opens when more than this share of the calls in the window failed. Default 0.5. */
  readonly rate?: number | 'off'
  /** `rate` is not looked at below this many calls in the window. Default 10. */
  readonly calls?: number
  /** Stays open this long at first, twice as long each time that the probe fails. Default 30 s. */
  readonly openFor?: Duration
  /** Stays open no longer than this. Default 60 s. */
  readonly maxOpen?: Duration
}

export type BreakerPolicy = { readonly policy: 'breaker' } & Required<BreakerOptions>

/**
 * Stops calling what keeps failing. The three rules are OR-ed, and looked at when a call fails. Open, it refuses with
 * `resilience.breaker_open` and the time left as `retryAfter`; then one call goes through as a probe while the others
 * are refused. The probe's success closes it and clears the memory, its failure opens it for twice as long. A probe
 * that is cancelled or refused further in decides nothing; one that does not end within `openFor` loses its turn.
 *
 * What counts as failure says the `Verdict`. Results that arrive after a change of state are not counted.
 * All times are monotonic: a jump of the wall clock neither opens nor closes it.
 */
export function breaker(options: BreakerOptions = {}): BreakerPolicy {
  accept(breakerProblems('breaker', options))
  const { openFor = '30s', maxOpen = milliseconds(openFor) > 60_000 ? openFor : '60s' } = options
  const { failures = 5, within = '60s', consecutive = 5, rate = 0.5, calls = 10 } = options
  return Object.freeze({ policy: 'breaker', failures, within, consecutive, rate, calls, openFor, maxOpen })
}

export function breakerProblems(path: string, options: unknown): Problem[] {
  const some = or(count(1, 10_000), oneOf('off'))
  const problems = problemsOf(path, options, {
    failures: some,
    within: span,
    consecutive: some,
    rate: or(between(0, 1), oneOf('off')),
    calls: count(1, 1_000_000),
    openFor: span,
    maxOpen: span,
  })
  if (problems.length > 0) return problems
  const { openFor = '30s', maxOpen, failures, consecutive, rate } = options as BreakerOptions
  if (maxOpen !== undefined && milliseconds(maxOpen) < milliseconds(openFor)) {
    problems.push({ path: `${path}.maxOpen`, message: `is shorter than openFor (${openFor})`, fix: 'make it longer' })
  }
  if (failures === 'off' && consecutive === 'off' && rate === 'off') {
    problems.push({ path, message: 'all three rules are off', fix: 'keep one, or leave the breaker out' })
  }
  return problems
}

/** `isolated`: opened by hand, and stays so until closed by hand. */
export type BreakerPhase = 'closed' | 'open' | 'half-open' | 'isolated'

/** Plain and small, for a key in the store: times are left-over milliseconds, so they mean the same in another process. */
export type BreakerRecord = {
  readonly state: BreakerPhase
  /** Milliseconds until a probe is allowed (open), or until the running one loses its turn (half-open); else 0. */
  readonly left: number
  /** Openings since it was last closed: how far the open time has grown. */
  readonly openings: number
}

export type BreakerChange = { readonly from: BreakerPhase; readonly to: BreakerPhase; readonly openFor: number }

/** The refusal token of `admit`. */
export const refused = -1

/**
 * The state machine by itself: time comes in as monotonic milliseconds, decisions come out. `admit` gives a token that
 * belongs to the state it was given in; a result under an older token is not counted.
 */
export class Breaker {
  readonly #failures: number
  readonly #within: number
  readonly #consecutive: number
  readonly #rate: number
  readonly #calls: number
  readonly #openFor: number
  readonly #maxOpen: number
  readonly #window: Ring | undefined
  /** Times of the last `failures` failures; the oldest is overwritten next. */
  readonly #times: Float64Array
  readonly #changed: (change: BreakerChange) => void
  #next = 0
  #row = 0
  #state: BreakerPhase = 'closed'
  #until = 0
  #openings = 0
  #token = 0
  #latest = 0

  constructor(policy: BreakerPolicy, changed: (change: BreakerChange) => void = () => {}) {
    this.#within = milliseconds(policy.within)
    this.#failures = policy.failures === 'off' ? 0 : policy.failures
    this.#times = new Float64Array(this.#failures).fill(-Infinity)
    this.#consecutive = policy.consecutive === 'off' ? Infinity : policy.consecutive
    this.#rate = policy.rate === 'off' ? Infinity : policy.rate
    this.#window = policy.rate === 'off' ? undefined : new Ring(this.#within, 60)
    this.#calls = policy.calls
    this.#openFor = milliseconds(policy.openFor)
    this.#maxOpen = milliseconds(policy.maxOpen)
    this.#changed = changed
  }

  /** Stays `open` until the first call after `openUntil`, which becomes the probe. */
  get state(): BreakerPhase {
    return this.#state
  }

  /** Monotonic milliseconds at which a probe is allowed; 0 when closed, Infinity when isolated. */
  get openUntil(): number {
    return this.#until
  }

  /** Whether calls were answered lately, and at least three of four as they should be. Only with a `rate`. */
  well(now: number): boolean {
    const window = this.#window
    if (window === undefined || this.#row > 0) return false
    window.turn(now)
    return window.total > 0 && window.marked * 4 <= window.total
  }

  admit(now: number): number {
    this.#latest = now
    if (this.#state === 'closed') return this.#token
    if (now < this.#until) return refused
    // Open for long enough, or the last probe took too long. Its late result must not decide: another token.
    this.#turn('half-open', now + this.#openTime())
    return this.#token
  }

  /** Milliseconds until trying again makes sense: what is left of the open time, or 1 s for a probe to decide. */
  retryAfter(now: number): number {
    if (this.#state === 'isolated') return this.#maxOpen
    const left = Math.max(1, Math.ceil(this.#until - now))
    return this.#state === 'half-open' ? Math.min(left, 1000) : left
  }

  /**
   * Counted at the latest time that the breaker has heard of, which is the last admission or failure: asking the clock
   * again for each success would cost a tenth of the whole pipeline.
   */
  succeed(token: number): void {
    if (token !== this.#token) return
    if (this.#state === 'half-open') return this.close()
    this.#row = 0
    this.#window?.add(this.#latest, 0)
  }

  fail(now: number, token: number): void {
    if (token !== this.#token) return
    if (this.#state === 'half-open') return this.#open(now)
    this.#latest = now
    this.#row++
    this.#window?.add(now, 1)
    if (this.#row >= this.#consecutive || this.#many(now) || this.#mostly()) this.#open(now)
  }

  /** The call ended without saying anything about the other side. A probe gives its turn to the next call. */
  forget(now: number, token: number): void {
    if (token === this.#token && this.#state === 'half-open') this.#turn('half-open', now)
  }

  /** Opens it by hand, until `close`. */
  isolate(): void {
    if (this.#state !== 'isolated') this.#turn('isolated', Infinity)
  }

  /** Closes it, forgets what it has counted and how far the open time has grown. */
  close(): void {
    this.#clear()
    this.#openings = 0
    if (this.#state !== 'closed') this.#turn('closed', 0)
  }

  export(now: number): BreakerRecord {
    const left = this.#state === 'open' || this.#state === 'half-open' ? Math.max(0, this.#until - now) : 0
    return { state: this.#state, left: Math.ceil(left), openings: this.#openings }
  }

  /** Takes over what another process knows. Half-open there means that the probe is theirs: all calls here are refused until it had its time. */
  restore(record: BreakerRecord, now: number): void {
    this.#clear()
    this.#openings = record.openings
    const until = { closed: 0, open: now + record.left, 'half-open': now + record.left, isolated: Infinity }
    if (record.state !== this.#state || until[record.state] !== this.#until) {
      this.#turn(record.state, until[record.state])
    }
  }

  #open(now: number): void {
    this.#clear()
    this.#openings++
    this.#turn('open', now + this.#openTime())
  }

  #openTime(): number {
    return Math.min(this.#maxOpen, this.#openFor * 2 ** Math.max(0, this.#openings - 1))
  }

  #turn(to: BreakerPhase, until: number): void {
    const from = this.#state
    this.#state = to
    this.#until = until
    this.#token++
    if (from !== to) this.#changed({ from, to, openFor: to === 'open' ? this.#openTime() : 0 })
  }

  /** Whether the last `failures` failures, this one included, lie within the window. */
  #many(now: number): boolean {
    if (this.#failures === 0) return false
    this.#times[this.#next] = now
    this.#next = this.#next + 1 === this.#failures ? 0 : this.#next + 1
    return now - this.#times[this.#next]! < this.#within
  }

  #mostly(): boolean {
    const window = this.#window
    return window !== undefined && window.total >= this.#calls && window.marked > this.#rate * window.total
  }

  #clear(): void {
    this.#row = 0
    this.#times.fill(-Infinity)
    this.#window?.clear()
  }
}
