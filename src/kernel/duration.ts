import { fault } from './fault.ts'

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const
export type DurationUnit = keyof typeof units

/** A time span with its unit: `'250ms'`, `'30s'`, `'5m'`, `'2h'`, `'7d'`, `'2w'`. Decimals are allowed (`'1.5s'`). */
export type Duration = `${number}${DurationUnit}`

/** Longest span we accept: 10 years. Anything above is a mistake in the unit. */
const longest = 3650 * units.d

/** Milliseconds of a duration. Throws `config.duration` for anything else, negative or above 10 years. */
export function milliseconds(duration: Duration): number {
  return known.get(duration) ?? remember(duration, parse(duration))
}

/** Definitions hold few different durations and the hot path asks for them again and again. */
const known = new Map<string, number>()

function remember(duration: Duration, ms: number): number {
  if (known.size < 1_000) known.set(duration, ms)
  return ms
}

function parse(duration: Duration): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/.exec(duration)
  const value = match ? Number(match[1]) * units[match[2] as DurationUnit] : Number.NaN
  if (!(value <= longest)) {
    throw fault('config.duration', {
      message: `not a duration: ${JSON.stringify(duration)?.slice(0, 40)}`,
      detail: { duration },
    })
  }
  return Math.round(value)
}

export function isDuration(value: unknown): value is Duration {
  if (typeof value !== 'string') return false
  try {
    milliseconds(value as Duration)
    return true
  } catch {
    return false
  }
}
