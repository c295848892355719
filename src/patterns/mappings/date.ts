import { isDay, pair, rfc3339, two, utc } from './calendar.ts'
import type { ToUtc } from './zone.ts'

/** `YYYY-MM-DD` as it is when the day exists; undefined otherwise. */
export function isoDate(text: string): string | undefined {
  if (text.length !== 10 || text.charCodeAt(4) !== 45 || text.charCodeAt(7) !== 45) return undefined
  const high = pair(text, 0)
  const low = pair(text, 2)
  if (high < 0 || low < 0) return undefined
  return isDay(high * 100 + low, pair(text, 5), pair(text, 8)) ? text : undefined
}

/** What `isoTime` answers for a time that is right but for its missing offset. */
export const noZone = 'zone'

/**
 * An RFC 3339 or ISO 8601 date and time in UTC with milliseconds: `2026-07-01T11:50:00+03:00` → `2026-07-01T08:50:00.000Z`.
 * Seconds and fraction may be missing, `T` may be a space; digits beyond the millisecond are cut; second 60 is read as 59.
 * Without an offset it is local to `zone`; with neither it is `noZone`: nobody can know. Anything else is undefined.
 */
export function isoTime(text: string, zone: ToUtc | undefined): string | undefined {
  const length = text.length
  if (length < 16 || length > 40) return undefined
  const day = text.slice(0, 10)
  const separator = text.charCodeAt(10)
  if (isoDate(day) === undefined || (separator !== 84 && separator !== 32 && separator !== 116)) return undefined
  const hour = pair(text, 11)
  const minute = pair(text, 14)
  if (text.charCodeAt(13) !== 58 || hour < 0 || hour > 23 || minute < 0 || minute > 59) return undefined
  let at = 16
  let second = 0
  let fraction = '000'
  if (text.charCodeAt(16) === 58) {
    second = pair(text, 17)
    if (second < 0 || second > 60) return undefined
    if (second === 60) second = 59
    at = 19
    const point = text.charCodeAt(19)
    if (point === 46 || point === 44) {
      let end = 20
      while (end < length && text.charCodeAt(end) >= 48 && text.charCodeAt(end) <= 57) end++
      if (end === 20) return undefined
      fraction = end >= 23 ? text.slice(20, 23) : text.slice(20, end).padEnd(3, '0')
      at = end
    }
  }
  const shift = readOffset(text, at)
  if (shift === undefined) return undefined
  if (shift === 0) return `${day}T${two[hour]!}:${two[minute]!}:${two[second]!}.${fraction}Z`
  if (shift === local) {
    if (zone === undefined) return noZone
    return rfc3339(zone(instant(day, hour, minute, second, fraction)))
  }
  const moved = hour * 60 + minute - shift
  if (moved < 0 || moved >= 1440) return rfc3339(instant(day, hour, minute, second, fraction) - shift * 60_000)
  return `${day}T${two[Math.floor(moved / 60)]!}:${two[moved % 60]!}:${two[second]!}.${fraction}Z`
}

function instant(day: string, hour: number, minute: number, second: number, fraction: string): number {
  const year = pair(day, 0) * 100 + pair(day, 2)
  return utc(year, pair(day, 5), pair(day, 8), hour, minute, second, Number(fraction))
}

/** What `readOffset` answers when no offset is written. */
export const local = -100_000

/** Minutes east of UTC of the offset that ends the text at `at`: `Z`, `+03:00`, `+0300`, `+03`; `local` when there is none. */
export function readOffset(text: string, at: number): number | undefined {
  const rest = text.length - at
  if (rest === 0) return local
  const sign = text.charCodeAt(at)
  if (rest === 1) return sign === 90 || sign === 122 ? 0 : undefined
  if (sign !== 43 && sign !== 45) return undefined
  const hours = pair(text, at + 1)
  let minutes = 0
  if (rest === 6 && text.charCodeAt(at + 3) === 58) minutes = pair(text, at + 4)
  else if (rest === 5) minutes = pair(text, at + 3)
  else if (rest !== 3) return undefined
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return undefined
  return sign === 45 ? -(hours * 60 + minutes) || 0 : hours * 60 + minutes
}

/** A Unix time: seconds below 10¹¹ in size, milliseconds above (1973 and later). */
export function unixTime(value: number): string | undefined {
  return rfc3339(Math.floor(Math.abs(value) < 1e11 ? value * 1000 : value))
}
