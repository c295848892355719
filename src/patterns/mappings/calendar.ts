/** Two digits of every number from 0 to 99: padding without a call. */
export const two: readonly string[] = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, '0'))

const days = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** Whether the day exists in the proleptic Gregorian calendar, years 1 to 9999: no 2026-02-30. */
export function isDay(year: number, month: number, day: number): boolean {
  if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1) return false
  return day <= days[month]! || (month === 2 && day === 29 && isLeap(year))
}

export function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
}

/** Milliseconds since the epoch of a UTC date and time; unlike Date.UTC also for the years 1 to 99. */
export function utc(year: number, month: number, day: number, hour = 0, minute = 0, second = 0, ms = 0): number {
  const at = Date.UTC(year, month - 1, day, hour, minute, second, ms)
  return year > 99 ? at : new Date(at).setUTCFullYear(year, month - 1, day)
}

/** RFC 3339 in UTC with milliseconds; undefined outside the years 1 to 9999, which it cannot write. */
export function rfc3339(ms: number): string | undefined {
  if (!(ms >= -62_135_596_800_000 && ms <= 253_402_300_799_999)) return undefined
  return new Date(ms).toISOString()
}

/** The number of two digits at `i`, or -1. */
export function pair(text: string, i: number): number {
  const a = text.charCodeAt(i) - 48
  const b = text.charCodeAt(i + 1) - 48
  return a >= 0 && a <= 9 && b >= 0 && b <= 9 ? a * 10 + b : -1
}
