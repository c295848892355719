/**
 * How the slots of one limit are divided among processes: a record that all of them see, and what one of them writes into
 * it, by compare-and-set. Pure: who lives, what is old and what is wanted come in as arguments.
 */
export type Lane = {
  /** Rises while there are fewer slots than processes that want one, so that each has its turn. */
  readonly turn: number
  readonly members: Readonly<Record<string, Share>>
  /** Slots whose last owner is gone: nobody's until a window has passed since their last use. */
  readonly debts: readonly Debt[]
}

export type Share = {
  /** Slots that belong to it. */
  readonly held: number
  /** Slots that are its own when nobody can be asked. */
  readonly fair: number
  /** Slots that it could use. */
  readonly want: number
  /** For long windows: when those in use were used, as of the last write. So a crash costs what was used, not what was held. */
  readonly uses?: readonly Use[]
}

/** So many slots, used last at this wall time. */
export type Use = readonly [count: number, at: number]

export type Debt = {
  readonly count: number
  /** Wall time of the last use, by the clock of whoever wrote it. */
  readonly at: number
  /** Whose they were. */
  readonly by: string
}

export const emptyLane: Lane = Object.freeze({ turn: 0, members: {}, debts: [] })

export type Situation = {
  readonly me: string
  /** Slots of the limit. */
  readonly count: number
  readonly want: number
  /** Our slots that are in use at this moment. */
  readonly used: number
  readonly uses: readonly Use[] | undefined
  readonly alive: (id: string) => boolean
  /** Whether a whole window has passed since the last use of these. */
  readonly over: (debt: Debt) => boolean
  /** Whether those who want a slot and have none are to have their turn. */
  readonly turn: boolean
  /** Whether free slots may be taken. Not while somebody may be using more than stands here. */
  readonly may: boolean
  /** Wall time. */
  readonly now: number
}

export type Division = {
  readonly lane: Lane
  /** Slots that are ours once `lane` is written. */
  readonly held: number
  /** Slots that we may use from now on, whatever comes of the write: less than `held` where some are being given up. */
  readonly share: number
  readonly fair: number
  readonly hope: number
  /** Whether others wait for slots that we have not yet given up. */
  readonly owing: boolean
  /** Whether there are fewer slots than processes that want one. */
  readonly scarce: boolean
}

/** The most debts that are kept apart; more become one with the youngest of them. */
const mostDebts = 64

/** What this process writes, and may use. Slots are never created: what all hold and what is owed stays within `count`. */
export function divide(lane: Lane, s: Situation): Division {
  const mine = lane.members[s.me] ?? { held: 0, fair: 0, want: 0 }
  const others = Object.entries(lane.members).filter(([id]) => id !== s.me && s.alive(id))
  const debts = [
    ...lane.debts.filter((d) => !s.over(d)),
    ...Object.entries(lane.members)
      .filter(([id]) => id !== s.me && !s.alive(id))
      .flatMap(([by, share]) => leftBy(by, share, s)),
  ]
  const available = Math.max(0, s.count - sum(debts, (d) => d.count))
  const wants = [[s.me, s.want] as const, ...others.map(([id, m]) => [id, m.want] as const)]
  const scarce = wants.filter(([, want]) => want > 0).length > available
  const turn = lane.turn + (scarce && s.turn ? 1 : 0)
  const target = partOf(s.me, available, wants, turn)
  const pool = Math.max(0, available - mine.held - sum(others, ([, m]) => m.held))
  const contended = sum(wants, ([, want]) => want) > available
  const keep = contended ? target : mine.held > 2 * s.want ? s.want : mine.held
  const given = mine.held > keep
  const held = given
    ? Math.max(keep, Math.min(mine.held, s.used))
    : mine.held + (s.may ? Math.min(pool, Math.max(0, target - mine.held)) : 0)
  const fair = Math.max(0, Math.min(Math.floor(s.count / wants.length), s.count - sum(others, ([, m]) => m.fair)))
  const members = Object.fromEntries(others)
  members[s.me] = { held, fair, want: s.want, ...(s.uses === undefined ? {} : { uses: s.uses }) }
  return {
    lane: { turn, members, debts: merged(debts) },
    held,
    share: Math.min(held, given ? keep : held),
    fair,
    hope: Math.max(held, partOf(s.me, available, [[s.me, s.count], ...wants.slice(1)], turn)),
    owing: held > keep && given,
    scarce,
  }
}

/** What somebody leaves who has said nothing: each slot may have been used until just now, but for those that he has noted. */
function leftBy(by: string, { held, uses = [] }: Share, s: Situation): Debt[] {
  const noted = uses.map(([count, at]): Debt => ({ count, at, by })).filter((d) => !s.over(d))
  const rest = held - sum(noted, (d) => d.count)
  return rest > 0 ? [...noted, { count: rest, at: s.now, by }] : noted
}

/** The lane without us: slots in use become debts, the others are free at once. */
export function leave(lane: Lane, me: string, debts: readonly Debt[]): Lane {
  const { [me]: _mine, ...members } = lane.members
  return { turn: lane.turn, members, debts: merged([...lane.debts, ...debts]) }
}

/** Max-min fair: nobody gets more than it wants, and nobody less than another who wants as much. What cannot be divided goes round with `turn`. */
export function partOf(
  me: string,
  slots: number,
  wants: readonly (readonly [id: string, want: number])[],
  turn: number,
): number {
  let left = slots
  const open = wants.filter(([, want]) => want > 0).toSorted(([a, x], [b, y]) => x - y || (a < b ? -1 : 1))
  for (let i = 0; i < open.length; i++) {
    const level = Math.floor(left / (open.length - i))
    const [id, want] = open[i]!
    if (want > level) {
      // From here on all want more than there is: each gets the level, and one more while the rest lasts.
      const ids = open
        .slice(i)
        .map(([x]) => x)
        .toSorted()
      const rest = left - level * ids.length
      const at = ids.indexOf(me)
      if (at < 0) return 0
      const rank = level > 0 ? at : (at + ids.length - ((turn * Math.max(1, rest)) % ids.length)) % ids.length
      return level + (rank < rest ? 1 : 0)
    }
    if (id === me) return want
    left -= want
  }
  return 0
}

function merged(debts: readonly Debt[]): readonly Debt[] {
  if (debts.length <= mostDebts) return debts
  const byAge = debts.toSorted((a, b) => a.at - b.at)
  const old = byAge.slice(0, debts.length - mostDebts + 1)
  return [{ count: sum(old, (d) => d.count), at: old.at(-1)!.at, by: old.at(-1)!.by }, ...byAge.slice(old.length)]
}

function sum<T>(all: readonly T[], of: (each: T) => number): number {
  return all.reduce((n, each) => n + of(each), 0)
}
