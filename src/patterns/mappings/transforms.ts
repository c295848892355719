import { rfc3339 } from './calendar.ts'
import { isoDate, isoTime, local, noZone, unixTime } from './date.ts'
import type { DateFormat } from './format.ts'
import { readPhone, type PhoneNormaliser } from './phone.ts'
import type { PhonePlan } from './phone-plans.ts'
import type { ToUtc } from './zone.ts'

/**
 * One value to another. `convert` answers undefined when the value cannot be mapped and never sees null or undefined;
 * `explain` is asked only then, so that the happy path builds no reasons. A reason holds no value.
 */
export type Transform = {
  readonly name: string
  readonly convert: (value: unknown) => unknown
  readonly explain: (value: unknown) => string
  /** What may be taken over without a call: lets compiled code skip it. */
  readonly passes?: 'string' | 'boolean' | 'data'
}

/** Without `transform`: the value as it is, by reference. Functions and symbols are not data. */
export const copy: Transform = {
  name: 'copy',
  convert: (value) => (typeof value === 'function' || typeof value === 'symbol' ? undefined : value),
  explain: (value) => `${kind(value)} is not data`,
  passes: 'data',
}

/** Text; numbers and booleans are written out. `trim` drops white space at both ends. */
export function toText(trim: boolean): Transform {
  const convert = (value: unknown): unknown => {
    if (typeof value === 'string') return trim ? value.trim() : value
    if (typeof value === 'number') return Number.isFinite(value) ? String(value) : undefined
    return typeof value === 'boolean' || typeof value === 'bigint' ? String(value) : undefined
  }
  return {
    name: 'string',
    convert,
    explain: (value) => `${kind(value)} is not text`,
    ...(trim ? {} : { passes: 'string' }),
  }
}

const decimal = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?\s*$/i

/** A number, or its decimal text. Refuses NaN, Infinity and what is at or beyond 2⁵³, where digits would be lost. */
export function toNumber(integer: boolean): Transform {
  const exact = (n: number): number | undefined => {
    if (!Number.isFinite(n)) return undefined
    if (Math.abs(n) > Number.MAX_SAFE_INTEGER || (integer && !Number.isInteger(n))) return undefined
    return n === 0 ? 0 : n
  }
  const convert = (value: unknown): number | undefined => {
    if (typeof value === 'string') {
      const short = shortDecimal(value)
      if (short === short) return integer && !Number.isInteger(short) ? undefined : short
      return value.length > 400 || !decimal.test(value) ? undefined : exact(Number(value))
    }
    if (typeof value === 'number') return exact(value)
    return typeof value === 'bigint' ? exact(Number(value)) : undefined
  }
  const explain = (value: unknown): string => {
    if (typeof value === 'string' ? !decimal.test(value) : typeof value !== 'number' && typeof value !== 'bigint') {
      return `${kind(value)} is not a decimal number`
    }
    const n = Number(value)
    if (Number.isNaN(n)) return 'NaN is not a number'
    if (!Number.isFinite(n)) return 'the number is infinite or too large'
    if (Math.abs(n) > Number.MAX_SAFE_INTEGER) return 'beyond 2^53 digits are lost: map it as string'
    return 'the number is not an integer'
  }
  return { name: 'number', convert, explain }
}

const tens = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15]

/**
 * The value of `-12.5` and the like with at most 15 digits, NaN for any other text. Digits and power of ten are both
 * exact doubles, so the one division rounds correctly: the same result as Number(), in a fifth of its time.
 */
function shortDecimal(text: string): number {
  const end = text.length
  const negative = text.charCodeAt(0) === 45
  let value = 0
  let point = -1
  let i = negative ? 1 : 0
  if (end - i > 16 || end === i) return Number.NaN
  for (; i < end; i++) {
    const c = text.charCodeAt(i)
    if (c >= 48 && c <= 57) value = value * 10 + (c - 48)
    else if (c === 46 && point < 0 && i > 0 && i < end - 1 && text.charCodeAt(i - 1) !== 45) point = i
    else return Number.NaN
  }
  if (point >= 0) value /= tens[end - 1 - point]!
  else if (end - (negative ? 1 : 0) > 15) return Number.NaN
  return negative && value !== 0 ? -value : value
}

const words = new Map([
  ['true', true],
  ['yes', true],
  ['1', true],
  ['false', false],
  ['no', false],
  ['0', false],
])

/** true and false from booleans, 1 and 0, and `true` `false` `yes` `no` `1` `0` in any case. Nothing else. */
export const toBoolean: Transform = {
  name: 'boolean',
  convert(value) {
    if (typeof value === 'boolean') return value
    if (typeof value === 'string') return value.length > 8 ? undefined : words.get(value.trim().toLowerCase())
    return value === 1 ? true : value === 0 ? false : undefined
  },
  explain: (value) => `${kind(value)} is not one of true, false, yes, no, 1, 0`,
  passes: 'boolean',
}

/** A day as `YYYY-MM-DD`. A Date object is an instant and has no day without a zone: it is refused. */
export function toDate(format: DateFormat, text: string): Transform {
  const iso = text === '%Y-%m-%d' || text === '%F'
  const convert = (value: unknown): string | undefined =>
    typeof value === 'string' ? ((iso ? isoDate(value) : undefined) ?? format.date(value)) : undefined
  const explain = (value: unknown): string => {
    if (value instanceof Date) return 'a Date object is an instant, not a day: map it as datetime'
    return typeof value === 'string' && value !== ''
      ? `does not fit ${text}, or there is no such day`
      : `${kind(value)} is not a date`
  }
  return { name: 'date', convert, explain }
}

/** An instant in RFC 3339, UTC, milliseconds. Also from Date objects and Unix times (seconds or milliseconds by size). */
export function toDatetime(format: DateFormat | undefined, zone: ToUtc | undefined): Transform {
  const read = (text: string): string | undefined => {
    if (!format) return isoTime(text, zone)
    const time = format.time(text)
    if (!time) return undefined
    if (time.offset !== local) return rfc3339(time.at - time.offset * 60_000)
    return zone ? rfc3339(zone(time.at)) : noZone
  }
  const convert = (value: unknown): string | undefined => {
    if (typeof value === 'string') {
      const time = read(value)
      return time === noZone ? undefined : time
    }
    if (typeof value === 'number') return Number.isFinite(value) && !format ? unixTime(value) : undefined
    return value instanceof Date ? rfc3339(value.getTime()) : undefined
  }
  const explain = (value: unknown): string => {
    if (typeof value !== 'string' || value === '') return `${kind(value)} is not a date and time`
    if (read(value) === noZone) return 'the time has no offset: declare `zone`'
    return format
      ? 'does not fit the format, or there is no such time'
      : 'is not an RFC 3339 time, or there is no such time'
  }
  return { name: 'datetime', convert, explain }
}

const e164 = /^\+[1-9]\d{1,14}$/

/** A phone number in E.164: ours, or the normaliser that was injected, whose answer must be E.164 too. */
export function toPhone(
  plan: PhonePlan | undefined,
  country: string | undefined,
  custom: PhoneNormaliser | undefined,
): Transform {
  const text = (value: unknown): string | undefined => {
    if (typeof value === 'string') return value
    return Number.isSafeInteger(value) && (value as number) > 0 ? String(value) : undefined
  }
  const convert = custom
    ? (value: unknown): string | undefined => {
        const given = text(value)
        const number = given === undefined ? undefined : custom(given, country)
        return typeof number === 'string' && e164.test(number) ? number : undefined
      }
    : (value: unknown): string | undefined => {
        const given = typeof value === 'string' ? value : text(value)
        return given === undefined ? undefined : readPhone(given, plan)
      }
  const explain = (value: unknown): string => {
    if (text(value) === undefined || value === '') return `${kind(value)} is not a phone number`
    if (country === undefined) return 'is not an international phone number, and no default_country is declared'
    return `is not a phone number, read in ${country}`
  }
  return { name: 'phone', convert, explain }
}

/** The row of a table whose key is the value as text. `otherwise` stands for what the table lacks; without it: refused. */
export function toRow(name: string, table: ReadonlyMap<string, unknown>, otherwise: unknown): Transform {
  const convert = (value: unknown): unknown => {
    if (typeof value === 'string') return table.get(value) ?? missing(value)
    return typeof value === 'number' || typeof value === 'boolean'
      ? (table.get(String(value)) ?? missing(String(value)))
      : undefined
  }
  const missing = (key: string): unknown => (table.has(key) ? null : otherwise)
  const explain = (value: unknown): string =>
    typeof value === 'object' ? `${kind(value)} is not a key` : `the table ${name} has no such key`
  return { name: 'lookup', convert, explain }
}

function kind(value: unknown): string {
  if (value === '') return 'empty text'
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'string') return 'the text'
  return value instanceof Date ? 'a Date' : `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`
}
