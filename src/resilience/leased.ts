import type { Clock } from '#kernel/clock.ts'
import type { Quota } from './quotas.ts'

/**
 * What this process may use of a limit that it shares with others. A slot is the right to one send a window, and has one
 * owner at a time; `share` of them are ours.
 */
export type Allowance = {
  /** Slots that we may use until `until`. */
  readonly share: number
  /** Slots that are ours while the others cannot be asked: the limit divided by how many there are. Never more than all together. */
  readonly fair: number
  /** Slots that we may count on soon: whoever asks for a permit waits for them rather than be refused. */
  readonly hope: number
  /** Monotonic milliseconds. After `until` nothing above `fair` is used, from `alone` on `fair` even where `share` is less. */
  readonly until: number
  readonly alone: number
}

/** A quota whose size is told from outside. */
export interface Leased extends Quota {
  grant(allowance: Allowance): void
  /** False as soon as the others may be there again, before they are told that we are: then `alone` does not hold until the next grant. */
  apart: boolean
  /** How many slots are in use: a permit that was taken holds one for a whole window. */
  used(now: number): number
  /** How many permits were ever taken. */
  readonly taken: number
  /** Used slots with the age (ms) of their use, in at most `parts` groups; each group as young as its youngest. */
  ages(now: number, parts: number): readonly { readonly count: number; readonly age: number }[]
}

const nothing: Allowance = Object.freeze({ share: 0, fair: 0, hope: 0, until: -Infinity, alone: Infinity })

function limitOf({ share, fair, until, alone }: Allowance, now: number, apart: boolean): number {
  if (now < until) return share
  return now >= alone && apart ? fair : Math.min(share, fair)
}

/** Who has no slot is told of one when it comes; to be sure it looks again after this time, in milliseconds. */
const lookAgain = 1_000
/** And who may count on slots after this one. */
const lookSoon = 100
/** A window remembers at most this many times; beyond it, permits share one. */
const remembered = 4_096

/**
 * Milliseconds added to a window that several processes share. Between a permit and its send lies a turn of the event loop,
 * longer in one process than in another, and monotonic clocks drift by up to 500 parts in a million.
 */
export function guardOf(span: number): number {
  return Math.min(10, span * 0.01) + span * 0.001
}

/**
 * A part of a sliding window: each of our slots is used at most once in any window [t, t + span). As no slot has two owners
 * within a window, the parts together never exceed the whole; no clock is compared with another for it.
 */
export class LeasedWindow implements Leased {
  readonly text: string
  taken = 0
  apart = true
  readonly #count: number
  readonly #span: number
  readonly #grain: number
  #allowance = nothing
  /** When permits were taken, and how many at that time: a ring. */
  #times = new Float64Array(16)
  #counts = new Float64Array(16)
  #first = 0
  #last = -1
  #length = 0
  #began = -Infinity
  #used = 0

  constructor(text: string, count: number, span: number) {
    this.text = text
    this.#count = count
    this.#span = span + guardOf(span)
    this.#grain = span / remembered
  }

  grant(allowance: Allowance): void {
    this.#allowance = allowance
  }

  used(now: number): number {
    this.#expire(now)
    return this.#used
  }

  free(now: number): boolean {
    const limit = limitOf(this.#allowance, now, this.apart)
    if (this.#used < limit) return true
    this.#expire(now)
    return this.#used < limit
  }

  earliest(now: number, ahead: number): number {
    this.#expire(now)
    const limit = limitOf(this.#allowance, now, this.apart)
    if (this.#used + ahead < limit) return now
    const hope = Math.max(limit, this.#allowance.hope)
    // Whoever is next is woken when there is something to be had. That new slots have come is told by `refresh`.
    if (ahead === 0) {
      const at = limit > 0 ? this.#freed(this.#used - limit + 1) : Infinity
      return Math.min(at, this.#used < hope ? now + lookSoon : limit > 0 ? Infinity : now + lookAgain)
    }
    // Nobody can say: a process that has just come, or one of more than the limit has slots.
    if (hope < 1) return now + lookAgain + ((ahead + 1) * this.#span) / this.#count
    const behind = this.#used + ahead - hope
    if (behind < 0) return now
    const first = this.#length === 0 ? now : Math.max(now, this.#times[this.#first]! + this.#span)
    return first + Math.floor(behind / hope) * this.#span
  }

  take(now: number): void {
    this.taken++
    this.#used++
    // Neighbours share the time of the last of them, which only makes it stricter.
    if (this.#length > 0 && now - this.#began < this.#grain) {
      this.#times[this.#last] = now
      this.#counts[this.#last]!++
      return
    }
    if (this.#length === this.#times.length) this.#grow()
    this.#last = this.#last + 1 === this.#times.length ? 0 : this.#last + 1
    this.#times[this.#last] = now
    this.#counts[this.#last] = 1
    this.#length++
    this.#began = now
  }

  started(since: number, now: number): void {
    const size = this.#times.length
    for (let i = 0, at = this.#last; i < this.#length && this.#times[at]! >= since; i++) {
      this.#times[at] = now
      at = at === 0 ? size - 1 : at - 1
    }
  }

  ages(now: number, parts: number): readonly { readonly count: number; readonly age: number }[] {
    this.#expire(now)
    const groups: { count: number; age: number }[] = []
    const size = Math.ceil(this.#length / parts)
    for (let i = 0; i < this.#length; i++) {
      const at = (this.#first + i) % this.#times.length
      if (i % size === 0) groups.push({ count: 0, age: 0 })
      const group = groups.at(-1)!
      group.count += this.#counts[at]!
      group.age = now - this.#times[at]!
    }
    return groups
  }

  /** When the `n`th of those in use is free again. */
  #freed(n: number): number {
    let left = n
    for (let i = 0; i < this.#length; i++) {
      const at = (this.#first + i) % this.#times.length
      left -= this.#counts[at]!
      if (left <= 0) return this.#times[at]! + this.#span
    }
    return -Infinity
  }

  #expire(now: number): void {
    while (this.#length > 0 && this.#times[this.#first]! + this.#span <= now) {
      this.#used -= this.#counts[this.#first]!
      this.#first = this.#first + 1 === this.#times.length ? 0 : this.#first + 1
      this.#length--
    }
  }

  /** Doubles the ring. It holds one entry a grain at most, so it ends at about twice as many as are remembered. */
  #grow(): void {
    const { length } = this.#times
    const times = new Float64Array(length * 2)
    const counts = new Float64Array(length * 2)
    for (let i = 0; i < length; i++) {
      times[i] = this.#times[(this.#first + i) % length]!
      counts[i] = this.#counts[(this.#first + i) % length]!
    }
    this.#times = times
    this.#counts = counts
    this.#first = 0
    this.#last = length - 1
  }
}

const day = 86_400_000
/** Milliseconds around midnight UTC in which a permit counts for both days: wall clocks, theirs too, may differ by so much. */
export const midnight = 5_000

/**
 * A part of so many permits in each UTC calendar day. Here wall clocks matter, because the other side counts by its own:
 * within 5 s of midnight a permit is taken of both days.
 */
export class LeasedDay implements Leased {
  readonly text: string
  taken = 0
  apart = true
  readonly #clock: Clock
  /** The parts of the days that matter now; no more than three are kept. */
  readonly #days = new Map<number, { allowance: Allowance; used: number }>()
  /** Of a day for which nobody has told us anything. */
  #unknown = nothing
  #read = -Infinity
  #wall = 0
  #ends = -Infinity
  #now: readonly number[] = []

  constructor(text: string, clock: Clock) {
    this.text = text
    this.#clock = clock
  }

  /** The days of which a permit must be free at this moment. */
  days(now: number): readonly number[] {
    this.#turn(now)
    return this.#now
  }

  grant(allowance: Allowance): void {
    this.#unknown = allowance
  }

  grantOf(theDay: number, allowance: Allowance): void {
    this.#of(theDay).allowance = allowance
  }

  used(now: number): number {
    this.#turn(now)
    return this.usedOf(Math.floor(this.#wall / day))
  }

  usedOf(theDay: number): number {
    return this.#days.get(theDay)?.used ?? 0
  }

  free(now: number): boolean {
    this.#turn(now)
    for (const d of this.#now) if (!this.#freeOf(d, now)) return false
    return true
  }

  earliest(now: number, ahead: number): number {
    this.#turn(now)
    let at = now
    for (const d of this.#now) {
      const { allowance, used } = this.#of(d)
      const limit = limitOf(allowance, now, this.apart)
      if (used + ahead < limit) continue
      const soon = used + ahead < Math.max(limit, allowance.hope)
      // Until the day is over there is no other: the next permit is the first of tomorrow.
      at = Math.max(at, soon ? now + (ahead === 0 ? lookAgain : 0) : now + (d + 1) * day + midnight - this.#wall)
    }
    return at
  }

  take(now: number): void {
    this.#turn(now)
    this.taken++
    for (const d of this.#now) this.#of(d).used++
  }

  ages(now: number): readonly { readonly count: number; readonly age: number }[] {
    const count = this.used(now)
    return count === 0 ? [] : [{ count, age: 0 }]
  }

  #freeOf(d: number, now: number): boolean {
    const { allowance, used } = this.#of(d)
    return used < limitOf(allowance, now, this.apart)
  }

  #of(d: number): { allowance: Allowance; used: number } {
    let of = this.#days.get(d)
    if (of === undefined) {
      of = { allowance: this.#unknown, used: 0 }
      this.#days.set(d, of)
      for (const old of this.#days.keys()) if (old < d - 1) this.#days.delete(old)
    }
    return of
  }

  /** The wall clock is read once a second at most, and whenever the days that matter may have changed. */
  #turn(now: number): void {
    if (now < this.#ends && now - this.#read < 1_000) return
    const wall = this.#clock.now()
    const from = Math.floor((wall - midnight) / day)
    const to = Math.floor((wall + midnight) / day)
    this.#now = from === to ? [from] : [from, to]
    this.#read = now
    this.#wall = wall
    const next = from === to ? (from + 1) * day - midnight : to * day + midnight
    this.#ends = now + next - wall
  }
}
