import { isDuration, milliseconds, type Duration } from '#kernel/duration.ts'
import { fault } from '#kernel/fault.ts'
import type { PollOptions } from '#kernel/context.ts'
import { longestWait } from '../answers/retry-after.ts'

/** Milliseconds each. */
export type Bounds = { readonly every: number; readonly least: number; readonly most: number }

/** How fast one poll goes: pure, moved on by `paced`. */
export type Pace = {
  readonly bounds: Bounds
  /** From the beginning of one poll to that of the next. */
  readonly interval: number
  /** Not faster than they asked for (`X-Poll-Interval`), until they ask for something else. */
  readonly floor: number
}

/** What came of one poll. */
export type Outcome = {
  /** `first`: nothing was known before. */
  readonly was: 'first' | 'changed' | 'same' | 'failed'
  /** `X-Poll-Interval`, as it came. */
  readonly pollInterval?: string | undefined
}

const shortest = 1_000
const longest = 30 * 86_400_000

/** Throws `connection.poll` unless 1 s ≤ `least` ≤ `every` ≤ `most` ≤ 30 d. */
export function boundsOf(options: Pick<PollOptions, 'every' | 'least' | 'most'>): Bounds {
  const every = ms('every', options.every)
  const least = options.least === undefined ? every : ms('least', options.least)
  const most = options.most === undefined ? Math.min(longest, 10 * every) : ms('most', options.most)
  if (least < shortest || least > every || every > most || most > longest)
    throw refuse('the intervals must be in order: 1s ≤ least ≤ every ≤ most ≤ 30d')
  return { every, least, most }
}

function ms(name: string, duration: Duration): number {
  if (!isDuration(duration)) throw refuse(`\`${name}\` is not a duration: use '1m'`)
  return milliseconds(duration)
}

export function refuse(message: string): Error {
  return fault('connection.poll', { message, detail: { reason: message } })
}

export function pace(bounds: Bounds): Pace {
  return { bounds, interval: bounds.every, floor: 0 }
}

/**
 * The pace after a poll. A change is often followed by more, so the interval is halved; a quiet poll lengthens it by a half and a
 * failed one doubles it, always within the bounds: from `most` it is back at a tenth after four changes.
 */
export function paced(of: Pace, { was, pollInterval }: Outcome): Pace {
  const { least, most } = of.bounds
  const by = was === 'changed' ? 0.5 : was === 'same' ? 1.5 : was === 'failed' ? 2 : 1
  const interval = Math.min(most, Math.max(least, Math.round(of.interval * by)))
  const asked = pollInterval !== undefined && /^\s*\d{1,9}\s*$/.test(pollInterval) ? Number(pollInterval) : undefined
  return { ...of, interval, floor: asked === undefined ? of.floor : Math.min(asked * 1_000, longestWait) }
}

/**
 * Milliseconds from the beginning of one poll to that of the next. Their word counts also above `most`. `random` from 0 to 1
 * spreads processes that began together, by up to a tenth later.
 */
export function delayOf({ interval, floor }: Pace, random: number): number {
  return Math.max(interval, floor) * (1 + random / 10)
}

/** Polls from which on it can be told whether they are too many, and more than which for one change are. */
export const judgedFrom = 100
export const tooMany = 50

export function isTooOften(polls: number, changes: number): boolean {
  return polls >= judgedFrom && polls > tooMany * changes
}
