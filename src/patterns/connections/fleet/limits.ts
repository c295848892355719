import type { Clock } from '#kernel/clock.ts'
import { divide, emptyLane, leave, type Debt, type Lane, type Use } from '#resilience/lanes.ts'
import { guardOf, LeasedDay, LeasedWindow, midnight, type Allowance } from '#resilience/leased.ts'
import type { LimiterHandle } from '#resilience/limiter.ts'
import { Quotas } from '#resilience/quotas.ts'
import { parseRate, type Rate } from '#resilience/rate.ts'
import type { Part, Swap, View } from './fleet.ts'
import { beatEvery, fleetPrefix, leaseFor } from './peers.ts'

const day = 86_400_000
/** Milliseconds without the store after which its equal part is anybody's own: then all have kept to it for a window. */
const aloneAfter = 60_000
/** Used for the last time so many milliseconds ago, a limit is idle: it is looked at with the beat only. */
const idleAfter = 10_000
/** Slots are asked for ahead of demand: for so many milliseconds, and a quarter more. */
const ahead = 3_000
/** Of each limit 2 % stays divided evenly, so that the first call of an idle process need not wait for the store. */
const reserve = 0.02
/** Milliseconds by which the wall clocks of two processes may differ. */
const skew = 60_000
/** In windows longer than this, in milliseconds, the times of uses are noted in the store. */
const noted = 60_000

type Sliding = {
  readonly key: string
  readonly count: number
  readonly span: number
  readonly quota: LeasedWindow
}

type Daily = { readonly count: number; readonly quota: LeasedDay }

/** One division at this moment: of a window, or of one of the days that matter. */
type Cut = {
  readonly key: string
  readonly count: number
  /** Milliseconds until a used slot is free again. */
  readonly span: number
  readonly used: number
  readonly uses: readonly Use[] | undefined
  readonly demand: Demand
  readonly over: (debt: Debt, view: View) => boolean
  readonly grant: (allowance: Allowance) => void
  /** Milliseconds without the store until the fair part is ours to use whatever was written. */
  readonly alone: number
}

/**
 * The limits of one connection, divided among all processes on the store. Each holds slots (`resilience/lanes.ts`) and uses
 * each at most once a window (`resilience/leased.ts`), so a permit costs no look at the store; slots move to where the demand
 * is, by compare-and-set, and only when a window has passed since their last use. Why no window is exceeded, and by how
 * much it may be when one process alone cannot reach the store: docs/decisions/0017.
 */
export class LimitPart implements Part {
  readonly quotas: Quotas
  readonly #name: string
  readonly #clock: Clock
  readonly #soon: (ms: number) => void
  readonly #sliding: readonly Sliding[]
  readonly #daily: Daily | undefined
  readonly #demands = new Map<string, Demand>()
  readonly #debts = new Map<string, number>()
  readonly #notes = new Map<string, { uses: readonly Use[]; taken: number; at: number }>()
  readonly #turns = new Map<string, { turn: number; since: number }>()
  /** What we may use by our own last word, where the store did not say whether it has it. */
  readonly #doubt = new Map<string, number>()
  #doubtful = -1
  #limiter: LimiterHandle | undefined
  #activity = { taken: 0, at: -Infinity }

  constructor(name: string, rates: readonly Rate[], clock: Clock, soon: (ms: number) => void) {
    this.#name = `${fleetPrefix}limit/${name}`
    this.#clock = clock
    this.#soon = soon
    const sliding = new Map<string, Sliding>()
    let daily: Daily | undefined
    for (const text of rates) {
      const { count, span, utcDay } = parseRate(text)!
      // Of two rates of the same span the smaller one says it all.
      if (utcDay) {
        if (daily === undefined || count < daily.count) daily = { count, quota: new LeasedDay(text, clock) }
      } else if (count < (sliding.get(String(span))?.count ?? Infinity)) {
        const key = String(span)
        sliding.set(key, { key, count, span, quota: new LeasedWindow(text, count, span) })
      }
    }
    this.#sliding = [...sliding.values()]
    this.#daily = daily
    this.quotas = new Quotas([...this.#sliding.map((s) => s.quota), ...(daily ? [daily.quota] : [])])
  }

  attach(limiter: LimiterHandle): void {
    this.#limiter = limiter
  }

  get active(): boolean {
    const taken = this.#taken
    const now = this.#clock.mono()
    if (taken !== this.#activity.taken || this.#waiting > 0) this.#activity = { taken, at: now }
    return now - this.#activity.at < idleAfter
  }

  together(yes: boolean): void {
    for (const { quota } of this.#sliding) quota.apart = !yes
    if (this.#daily) this.#daily.quota.apart = !yes
  }

  see(view: View): void {
    this.together(false)
    this.quotas.sharedBy = view.peers.count
    const row = view.rows.get(this.#name)
    if ((row?.version ?? 0) > this.#doubtful) this.#doubt.clear()
  }

  wish(view: View): Swap | undefined {
    const row = view.rows.get(this.#name)
    const lanes = lanesOf(row?.value)
    const cuts = this.#cuts(view)
    const next = kept(lanes, view.wall)
    const granted: (() => void)[] = []
    let owing: number | undefined
    for (const cut of cuts) {
      const lane = lanes[cut.key] ?? emptyLane
      const mine = lane.members[view.me]
      const settled = view.peers.settled(view.now, cut.span === Infinity ? 2_000 : cut.span)
      const d = divide(lane, {
        me: view.me,
        count: cut.count,
        want: cut.demand.want(cut, mine?.want ?? 0, view.peers.count),
        used: cut.used,
        uses: cut.uses,
        alive: (id) => view.peers.alive(id),
        over: (debt) => cut.over(debt, view),
        turn: this.#myTurn(cut, lane.turn, view.now),
        may: settled,
        now: view.wall,
      })
      next[cut.key] = d.lane
      if (d.owing) owing = Math.min(owing ?? Infinity, cut.span)
      const grant = (share: number, fair: number): void => {
        const bound = Math.min(share, this.#doubt.get(cut.key) ?? Infinity)
        cut.grant({
          share: settled ? bound : Math.min(bound, fair),
          fair,
          hope: d.hope,
          until: view.beat + leaseFor,
          alone: view.beat + cut.alone,
        })
      }
      // What is given up is given up at once, whether or not anybody hears of it; what is taken, when it is written.
      const before = { share: mine?.held ?? 0, fair: mine?.fair ?? 0 }
      grant(Math.min(d.share, before.share), Math.min(d.fair, before.fair))
      granted.push(() => grant(d.share, d.fair))
    }
    this.#limiter?.refresh()
    if (owing !== undefined) this.#soon(Math.min(owing, 1_000))
    if (same(lanes, next, view)) {
      for (const g of granted) g()
      this.#limiter?.refresh()
      return undefined
    }
    return {
      name: this.#name,
      version: row?.version ?? 0,
      value: JSON.stringify(next),
      done: (outcome) => {
        if (outcome === 'written') {
          this.#doubt.clear()
          for (const g of granted) g()
          this.#limiter?.refresh()
        } else if (outcome === 'unclear') {
          // Until the key has another version our last word may still be on its way: both it and what stands there hold.
          this.#doubtful = row?.version ?? 0
          for (const cut of cuts) {
            const { held } = next[cut.key]!.members[view.me]!
            this.#doubt.set(
              cut.key,
              Math.min(held, lanes[cut.key]?.members[view.me]?.held ?? 0, this.#doubt.get(cut.key) ?? Infinity),
            )
          }
        }
      },
    }
  }

  leave(view: View): Swap | undefined {
    const row = view.rows.get(this.#name)
    const lanes = lanesOf(row?.value)
    if (!Object.values(lanes).some((lane) => Object.hasOwn(lane.members, view.me))) return undefined
    const next: Record<string, Lane> = { ...lanes }
    for (const { key, quota } of this.#sliding) {
      const ages = quota.ages(view.now, 8)
      const debts = ages.map(({ count, age }): Debt => ({ count, at: Math.ceil(view.wall - age), by: view.me }))
      next[key] = leave(lanes[key] ?? emptyLane, view.me, debts)
    }
    for (const [key, lane] of Object.entries(lanes)) {
      if (!key.startsWith('day/') || !this.#daily) continue
      const count = this.#daily.quota.usedOf(Number(key.slice(4)))
      next[key] = leave(lane, view.me, count > 0 ? [{ count, at: view.wall, by: view.me }] : [])
    }
    return { name: this.#name, version: row?.version ?? 0, value: JSON.stringify(next), done: () => {} }
  }

  get #waiting(): number {
    return this.#limiter?.waiting ?? 0
  }

  get #taken(): number {
    return this.#sliding[0]?.quota.taken ?? this.#daily?.quota.taken ?? 0
  }

  #cuts(view: View): readonly Cut[] {
    const cuts: Cut[] = this.#sliding.map((s) => ({
      key: s.key,
      count: s.count,
      span: s.span,
      used: s.quota.used(view.now),
      uses: s.span > noted ? this.#noted(s, view) : undefined,
      demand: this.#demandOf(s.key, s.quota.taken, view.now),
      over: (debt, v) => this.#over(s.key, s.span, debt, v),
      grant: (allowance) => s.quota.grant(allowance),
      alone: aloneAfter + 2 * s.span,
    }))
    if (!this.#daily) return cuts
    const { count, quota } = this.#daily
    // Asked for 10 s before a permit can count for it.
    const days = new Set([...quota.days(view.now), Math.floor((view.wall + midnight + 10_000) / day)])
    for (const d of days) {
      cuts.push({
        key: `day/${d}`,
        count,
        span: Infinity,
        used: quota.usedOf(d),
        uses: undefined,
        demand: this.#demandOf('day', quota.taken, view.now),
        over: () => false,
        grant: (allowance) => {
          quota.grantOf(d, allowance)
          // A day that begins while the store is away: everybody starts with an equal part.
          quota.grant({ ...allowance, share: 0, hope: 0, alone: view.beat + aloneAfter })
        },
        alone: Infinity,
      })
    }
    return cuts
  }

  /** Noted anew at most every 5 s, because each note is a write. */
  #noted({ key, quota }: Sliding, view: View): readonly Use[] {
    const known = this.#notes.get(key)
    if (known !== undefined && view.now - known.at < beatEvery * 0.9) return known.uses
    const uses = quota.ages(view.now, 8).map(({ count, age }): Use => [count, Math.ceil(view.wall - age)])
    const same = known !== undefined && quota.taken === known.taken
    const note = { uses: same ? known.uses : uses, taken: quota.taken, at: view.now }
    this.#notes.set(key, note)
    return note.uses
  }

  #demandOf(key: string, taken: number, now: number): Demand {
    let demand = this.#demands.get(key)
    if (!demand) {
      demand = new Demand(taken, now)
      this.#demands.set(key, demand)
    }
    demand.look(taken, this.#waiting, now)
    return demand
  }

  /**
   * Whether a window has passed since the last use: since we have seen the debt, by our own clock. Of long windows, which
   * may outlive everybody who has seen it, also by the wall clock with a minute for what wall clocks differ.
   */
  #over(key: string, span: number, debt: Debt, view: View): boolean {
    const id = `${key}/${debt.by}/${debt.at}/${debt.count}`
    const seen = this.#debts.get(id)
    const whole = span + guardOf(span)
    if (seen === undefined) {
      this.#debts.set(id, view.now)
      if (this.#debts.size > 1_000) this.#debts.delete(this.#debts.keys().next().value!)
    } else if (view.now - seen >= whole) return true
    return span > noted && view.wall >= debt.at + whole + skew
  }

  #myTurn({ key, span }: Cut, turn: number, now: number): boolean {
    const known = this.#turns.get(key)
    if (known?.turn !== turn) this.#turns.set(key, { turn, since: now })
    else if (now - known.since >= Math.max(2_000, Math.min(span, 60_000))) return true
    return false
  }
}

type Need = Pick<Cut, 'count' | 'span' | 'used'>

/** How many slots a process could use, by how fast it took permits lately and how many calls wait for one. */
class Demand {
  #taken: number
  #at: number
  /** Permits a millisecond. */
  #rate = 0
  #waiting = 0

  constructor(taken: number, now: number) {
    this.#taken = taken
    this.#at = now
  }

  look(taken: number, waiting: number, now: number): void {
    this.#waiting = waiting
    const passed = now - this.#at
    if (passed < 200) return
    const rate = (taken - this.#taken) / passed
    this.#rate = Math.max(rate, this.#rate * 0.5 ** (passed / 1_000))
    if (this.#rate * 10_000 < 0.01) this.#rate = 0
    this.#taken = taken
    this.#at = now
  }

  /** Stays what it was unless it is off by more than a half: a number that changes is a write. */
  want({ count, span, used }: Need, before: number, processes: number): number {
    const rate = this.#rate * 1.25
    const steady = Math.ceil(Math.min(span === Infinity ? span : rate * span, used + rate * ahead))
    // Who is alone has it all, as long as it would be back soon after a crash.
    const least = processes === 1 && span <= noted ? count : Math.floor((count * reserve) / processes)
    const need = Math.min(count, Math.max(least, steady + this.#waiting))
    if (need <= before && need * 2 > before) return before
    return need <= least ? need : Math.min(count, Math.ceil(need * 1.2))
  }
}

/** What was written, by whatever version: lanes that we cannot read are as good as none. */
function lanesOf(text: string | undefined): Readonly<Record<string, Lane>> {
  if (text === undefined) return {}
  try {
    const value: unknown = JSON.parse(text)
    return Object.fromEntries(
      Object.entries(isRecord(value) ? value : {}).filter(([, lane]) => isLane(lane)),
    ) as Record<string, Lane>
  } catch {
    return {}
  }
}

function isLane(lane: unknown): boolean {
  if (!isRecord(lane)) return false
  const { turn, members, debts } = lane
  return (
    typeof turn === 'number' &&
    Array.isArray(debts) &&
    debts.every((d) => isRecord(d) && typeof d['count'] === 'number' && typeof d['at'] === 'number') &&
    isRecord(members) &&
    Object.values(members).every(
      (m) => isRecord(m) && [m['held'], m['fair'], m['want']].every((n) => typeof n === 'number'),
    )
  )
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

/** Lanes of others, whose limits differ from ours, stay; days that are over go. */
function kept(lanes: Readonly<Record<string, Lane>>, wall: number): Record<string, Lane> {
  const today = Math.floor(wall / day)
  return Object.fromEntries(
    Object.entries(lanes).filter(([key]) => !key.startsWith('day/') || Number(key.slice(4)) >= today - 1),
  )
}

/** Whether nothing of what we would write is new. Days that are over are let go of with the next change. */
function same(before: Readonly<Record<string, Lane>>, next: Readonly<Record<string, Lane>>, view: View): boolean {
  return Object.entries(next).every(([key, lane]) => {
    const known = before[key]
    if (lane === known) return true
    if (known === undefined) return Object.values(lane.members).every((m) => m.held + m.fair + m.want === 0)
    const mine = lane.members[view.me]!
    const was = known.members[view.me]
    return (
      was !== undefined &&
      was.held === mine.held &&
      was.fair === mine.fair &&
      was.want === mine.want &&
      JSON.stringify(was.uses) === JSON.stringify(mine.uses) &&
      known.turn === lane.turn &&
      known.debts.length === lane.debts.length &&
      Object.keys(known.members).length === Object.keys(lane.members).length
    )
  })
}
