import { isDuration, milliseconds, type Duration } from '#kernel/duration.ts'
import type { Check } from './options.ts'

/**
 * How many in which time: `'50/s'`, `'20/m'`, `'1000/h'`, `'100/15m'`. `'100000/day'` is the UTC calendar day, as most
 * providers count; `'100000/d'` any 24 hours.
 */
export type Rate = `${number}/${'s' | 'm' | 'h' | 'd' | 'day'}` | `${number}/${Duration}`

export type ParsedRate = {
  readonly count: number
  /** Milliseconds. */
  readonly span: number
  /** Starts anew at midnight UTC. */
  readonly utcDay: boolean
}

/** The parts of a rate; undefined if the text is not one. Counts are 1 to 1,000,000,000. */
export function parseRate(text: unknown): ParsedRate | undefined {
  const match = typeof text === 'string' ? /^(\d{1,10})\/(.+)$/.exec(text) : null
  if (!match) return undefined
  const count = Number(match[1])
  const utcDay = match[2] === 'day'
  const unit = utcDay ? '1d' : /^\d/.test(match[2]!) ? match[2]! : `1${match[2]}`
  if (!isDuration(unit) || count < 1 || count > 1_000_000_000) return undefined
  const span = milliseconds(unit)
  return span >= 1 ? { count, span, utcDay } : undefined
}

export const rateCheck: Check = (v) =>
  parseRate(v) ? undefined : "use a count and a time, such as '50/s', '20/m', '1000/h', '100/15m', '100000/day'"
