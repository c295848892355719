import { utc } from './calendar.ts'

/** Milliseconds since the epoch of a local time that was written without its offset. */
export type ToUtc = (local: number) => number

/** Offsets of a zone change on quarter hours since 1972, so one look-up serves 15 minutes of local time. */
const quarter = 900_000
const cached = 4_096
const regular = Date.UTC(1973, 0, 1)

/**
 * The conversion for a declared zone: `UTC`, `Z`, `+03:00`, or an IANA name (`Africa/Nairobi`); undefined when there is
 * no such zone. A local time that occurs twice (clocks go back) is the earlier one, one that does not occur (clocks go
 * forward) is moved by the gap: RFC 5545 §3.3.5 and `Temporal`'s "compatible".
 */
export function zoneToUtc(zone: string): ToUtc | undefined {
  if (zone === 'UTC' || zone === 'Z') return (local) => local
  const fixed = /^([+-])(\d\d):?(\d\d)$/.exec(zone)
  if (fixed) {
    const minutes = Number(fixed[2]) * 60 + Number(fixed[3])
    if (Number(fixed[2]) > 23 || Number(fixed[3]) > 59) return undefined
    const shift = (fixed[1] === '-' ? -minutes : minutes) * 60_000
    return (local) => local - shift
  }
  const offset = offsets(zone)
  if (!offset) return undefined
  const cache = new Map<number, number>()
  return (local) => {
    if (local < regular) return local - resolve(local, offset)
    const key = Math.floor(local / quarter)
    let shift = cache.get(key)
    if (shift === undefined) {
      if (cache.size >= cached) cache.clear()
      cache.set(key, (shift = resolve(local, offset)))
    }
    return local - shift
  }
}

type Offset = (instant: number) => number

function resolve(local: number, offset: Offset): number {
  const day = 86_400_000
  const before = offset(local - day)
  const after = offset(local + day)
  if (offset(local - before) === before) return before
  return offset(local - after) === after ? after : before
}

function offsets(zone: string): Offset | undefined {
  let format: Intl.DateTimeFormat
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  } catch {
    return undefined
  }
  return (instant) => {
    const part: Record<string, number> = {}
    let bc = false
    for (const { type, value } of format.formatToParts(instant)) {
      if (type === 'era') bc = value.startsWith('B')
      else if (type !== 'literal') part[type] = Number(value)
    }
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part
    const whole = Math.floor(instant / 1000) * 1000
    return utc(bc ? 1 - year : year, month, day, hour, minute, second) - whole
  }
}
