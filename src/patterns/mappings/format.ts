import { isDay, isLeap, two, utc } from './calendar.ts'
import { local, readOffset } from './date.ts'

/**
 * A date format in the manner of strptime(3). Digits may lack their leading zero, as there (`5/11/1990` fits `%d/%m/%Y`);
 * names are English and of any case; a space stands for one or more; everything else stands for itself.
 *
 * `%Y` year of 4 digits · `%y` of 2 (69–99 → 19xx, 00–68 → 20xx) · `%m` month · `%b` `%B` its name, short or long ·
 * `%d` `%e` day · `%j` day of the year · `%a` `%A` weekday, short or long, read and not used · `%H` hour · `%I` hour of 12
 * with `%p` AM or PM · `%M` minute · `%S` second (60 is read as 59) · `%f` fraction, up to 9 digits · `%z` `Z` or `+hh:mm`
 * · `%F` = `%Y-%m-%d` · `%T` = `%H:%M:%S` · `%%` a percent sign.
 */
export type DateFormat = {
  /** The day as `YYYY-MM-DD`; a time of day in the text is checked and left out. */
  date(text: string): string | undefined
  /** Milliseconds of the written time as if it were UTC, and its offset in minutes (`local` when none was written). */
  time(text: string): { readonly at: number; readonly offset: number } | undefined
}

type Parts = {
  Y: number
  m: number
  d: number
  j: number
  H: number
  I: number
  p: number
  M: number
  S: number
  ms: number
  z: number
}
type Field = keyof Parts
/** Reads one item at `at`; answers where it ended, or -1. */
type Reader = (text: string, at: number, parts: Parts) => number

const months = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
]
const weekdays = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']
const short = (names: readonly string[]): string[] => names.map((n) => n.slice(0, 3))

const readers: Record<string, { readonly sets: Field | undefined; readonly read: Reader }> = {
  Y: { sets: 'Y', read: digits('Y', 4, 4) },
  y: {
    sets: 'Y',
    read: (text, at, parts) => {
      const end = digits('Y', 2, 2)(text, at, parts)
      if (end >= 0) parts.Y += parts.Y > 68 ? 1900 : 2000
      return end
    },
  },
  m: { sets: 'm', read: digits('m', 1, 2) },
  b: { sets: 'm', read: named('m', short(months), 1) },
  B: { sets: 'm', read: named('m', months, 1) },
  d: { sets: 'd', read: digits('d', 1, 2) },
  e: { sets: 'd', read: digits('d', 1, 2) },
  j: { sets: 'j', read: digits('j', 1, 3) },
  a: { sets: undefined, read: named(undefined, short(weekdays), 0) },
  A: { sets: undefined, read: named(undefined, weekdays, 0) },
  H: { sets: 'H', read: digits('H', 1, 2) },
  I: { sets: 'I', read: digits('I', 1, 2) },
  p: { sets: 'p', read: named('p', ['am', 'pm'], 0) },
  M: { sets: 'M', read: digits('M', 1, 2) },
  S: { sets: 'S', read: digits('S', 1, 2) },
  f: { sets: 'ms', read: fraction },
  z: { sets: 'z', read: offset },
}

/** Reads a format, or says what is wrong with it. */
export function parseFormat(format: string): DateFormat | { readonly reason: string; readonly fix: string } {
  if (format === '' || format.length > 100)
    return { reason: 'the format is empty or longer than 100 characters', fix: 'write "%Y-%m-%d"' }
  const text = format.replace(/%F/g, '%Y-%m-%d').replace(/%T/g, '%H:%M:%S')
  const items: Reader[] = []
  const set = new Set<Field>()
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!
    if (c === ' ') items.push(spaces)
    else if (c !== '%' || text[i + 1] === '%') {
      if (c === '%') i++
      items.push(literal(c.charCodeAt(0)))
    } else {
      const name = text[++i] ?? ''
      const reader = Object.hasOwn(readers, name) ? readers[name] : undefined
      if (!reader)
        return {
          reason: `"%${name}" is not known`,
          fix: `use ${Object.keys(readers)
            .map((k) => `%${k}`)
            .join(' ')} %F %T %%`,
        }
      if (reader.sets !== undefined && set.has(reader.sets))
        return { reason: `"%${name}" says again what is already read`, fix: 'keep one of them' }
      if (reader.sets !== undefined) set.add(reader.sets)
      items.push(reader.read)
    }
  }
  if (!set.has('Y') || !(set.has('j') ? !set.has('m') && !set.has('d') : set.has('m') && set.has('d'))) {
    return {
      reason: 'the format does not name a day',
      fix: 'use a year with month and day (%Y %m %d) or with the day of the year (%Y %j)',
    }
  }
  if (set.has('I') !== set.has('p') || (set.has('I') && set.has('H')))
    return { reason: '%I and %p belong together, without %H', fix: 'use %H, or %I with %p' }
  return reader(items)
}

function reader(items: readonly Reader[]): DateFormat {
  const read = (text: string): Parts | undefined => {
    if (text.length > 100) return undefined
    const parts: Parts = { Y: 0, m: 1, d: 1, j: 0, H: 0, I: 0, p: 0, M: 0, S: 0, ms: 0, z: local }
    let at = 0
    for (const item of items) {
      at = item(text, at, parts)
      if (at < 0) return undefined
    }
    return at === text.length && settle(parts) ? parts : undefined
  }
  return {
    date(text) {
      const p = read(text)
      return p && `${two[Math.floor(p.Y / 100)]!}${two[p.Y % 100]!}-${two[p.m]!}-${two[p.d]!}`
    },
    time(text) {
      const p = read(text)
      return p && { at: utc(p.Y, p.m, p.d, p.H, p.M, p.S, p.ms), offset: p.z }
    },
  }
}

/** Turns %j, %I and leap seconds into what the rest speaks; false when day or time does not exist. */
function settle(p: Parts): boolean {
  if (p.j > 0) {
    if (p.j > (isLeap(p.Y) ? 366 : 365)) return false
    const day = new Date(utc(p.Y, 1, 1) + (p.j - 1) * 86_400_000)
    p.m = day.getUTCMonth() + 1
    p.d = day.getUTCDate()
  }
  if (p.I > 0) {
    if (p.I > 12) return false
    p.H = (p.I % 12) + (p.p === 1 ? 12 : 0)
  }
  if (p.S === 60) p.S = 59
  return isDay(p.Y, p.m, p.d) && p.H < 24 && p.M < 60 && p.S < 60
}

function digits(field: Field, least: number, most: number): Reader {
  return (text, at, parts) => {
    let value = 0
    let end = at
    while (end - at < most) {
      const digit = text.charCodeAt(end) - 48
      if (!(digit >= 0 && digit <= 9)) break
      value = value * 10 + digit
      end++
    }
    parts[field] = value
    // A day 0 of the year or an hour 0 of 12 does not exist; in Parts 0 means that none was written.
    return end - at < least || (value === 0 && (field === 'j' || field === 'I')) ? -1 : end
  }
}

function named(field: Field | undefined, names: readonly string[], first: number): Reader {
  return (text, at, parts) => {
    for (const [i, name] of names.entries()) {
      if (text.slice(at, at + name.length).toLowerCase() !== name) continue
      if (field) parts[field] = i + first
      return at + name.length
    }
    return -1
  }
}

function fraction(text: string, at: number, parts: Parts): number {
  const match = /^\d{1,9}/.exec(text.slice(at, at + 9))?.[0]
  if (!match) return -1
  parts.ms = Number(match.slice(0, 3).padEnd(3, '0'))
  return at + match.length
}

function offset(text: string, at: number, parts: Parts): number {
  const match = /^(?:Z|[+-]\d\d(?::?\d\d)?)/i.exec(text.slice(at, at + 6))?.[0]
  const minutes = match === undefined ? undefined : readOffset(match, 0)
  if (match === undefined || minutes === undefined) return -1
  parts.z = minutes
  return at + match.length
}

function spaces(text: string, at: number): number {
  let end = at
  while (text.charCodeAt(end) === 32) end++
  return end > at ? end : -1
}

function literal(code: number): Reader {
  return (text, at) => (text.charCodeAt(at) === code ? at + 1 : -1)
}
