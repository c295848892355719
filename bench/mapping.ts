import { deepStrictEqual } from 'node:assert'
import { z } from 'zod'
import { isoTime } from '#patterns/mappings/date.ts'
import { mapping } from '#patterns/mappings/define.ts'

/**
 * One registration form to a case record: 15 fields, nested target, date, datetime, phone, two look-ups, numbers,
 * booleans; one record in 20 lacks an optional field. Records per second:
 *
 * - `document` the YAML document compiled; `document_closures` without code generation; `validated` compiled, then zod
 * - `handwritten` a function for exactly this form; times with an offset go through Date, as people write it
 * - `handwritten_tuned` the same, but for times it calls our own parser, which spares it two thirds of all Dates
 *
 * All are checked to give the same records first, then measured in interleaved rounds; the figures are medians.
 */
const document = `
mappings:
  - { source: reg_id,          target: external_id,            transform: string, required: true }
  - { source: first_name,      target: name.given,             transform: string, required: true }
  - { source: last_name,       target: name.family,            transform: string, required: true }
  - { source: dob,             target: date_of_birth,          transform: date, format: "%Y-%m-%d", required: true }
  - { source: mobile,          target: "phone_numbers[0].value", transform: phone, default_country: "+254" }
  - { source: reg_date,        target: registration.date,      transform: datetime, required: true }
  - { source: programme_code,  target: registration.programme, transform: lookup, lookup_table: programmes, required: true }
  - { source: officer.name,    target: registration.officer,   transform: string, required: true }
  - { source: hh_size,         target: household.size,         transform: number, required: true }
  - { source: income,          target: household.income,       transform: number, required: true }
  - { source: is_head,         target: household.head,         transform: boolean, required: true }
  - { source: county,          target: address.county,         transform: lookup, lookup_table: counties, required: true }
  - { source: location.ward,   target: address.ward,           transform: string, required: true }
  - { source: location.lat,    target: address.lat,            transform: number, required: true }
  - { source: location.lon,    target: address.lon,            transform: number, required: true }
`
const programmes: Record<string, string> = {
  CASH: 'cash-transfer',
  WASH: 'water-sanitation',
  FOOD: 'food-aid',
  SHEL: 'shelter',
}
const counties: Record<string, number> = { NBO: 47, MSA: 1, KSM: 42, GSA: 7, TRK: 23 }

const Case = z.object({
  external_id: z.string(),
  name: z.object({ given: z.string(), family: z.string() }),
  date_of_birth: z.string(),
  phone_numbers: z.array(z.object({ value: z.string() })).optional(),
  registration: z.object({ date: z.string(), programme: z.string(), officer: z.string() }),
  household: z.object({ size: z.number(), income: z.number(), head: z.boolean() }),
  address: z.object({ county: z.number(), ward: z.string(), lat: z.number(), lon: z.number() }),
})

type Registration = {
  readonly reg_id: string
  readonly first_name: string
  readonly last_name: string
  readonly dob: string
  readonly mobile?: string
  readonly reg_date: string
  readonly programme_code: string
  readonly officer: { readonly name: string }
  readonly hh_size: string
  readonly income: string
  readonly is_head: string
  readonly county: string
  readonly location: { readonly ward: string; readonly lat: string; readonly lon: string }
}

function registrations(count: number): Registration[] {
  const pick = <T>(from: readonly T[], i: number): T => from[i % from.length]!
  return Array.from({ length: count }, (_, i) => {
    const n = String(712_000_000 + i * 7919)
    const day = String((i % 28) + 1).padStart(2, '0')
    const mobile = pick(
      [`0${n.slice(0, 3)} ${n.slice(3, 6)} ${n.slice(6)}`, `+254${n}`, `0${n}`, `+254 ${n.slice(0, 3)} ${n.slice(3)}`],
      i,
    )
    return {
      reg_id: `REG-${100_000 + i}`,
      first_name: pick(['Amina', 'Bashir', 'Chidi', 'Dalia'], i),
      last_name: pick(['Sample', 'Example', 'Otieno'], i),
      dob: `${1950 + (i % 60)}-${String((i % 12) + 1).padStart(2, '0')}-${day}`,
      ...(i % 20 === 7 ? {} : { mobile }),
      reg_date: pick([`2026-07-${day}T12:00:01.250Z`, `2026-07-${day}T11:50:00+03:00`, `2026-07-${day}T08:15:30Z`], i),
      programme_code: pick(Object.keys(programmes), i),
      officer: { name: pick(['J. Field', 'K. Desk'], i) },
      hh_size: String((i % 11) + 1),
      income: `${i % 900}.${String(i % 100).padStart(2, '0')}`,
      is_head: pick(['yes', 'no', 'true'], i),
      county: pick(Object.keys(counties), i),
      location: { ward: pick(['Kibra', 'Langata'], i), lat: `-1.${286_389 + i}`, lon: `36.${817_223 + i}` },
    }
  })
}

/** What someone who cares about speed writes for this one form; checks what the document checks. */
const byHand =
  (instant: (text: string) => string) =>
  (s: Registration): z.infer<typeof Case> => {
    const phone = s.mobile === undefined ? undefined : kenyan(s.mobile)
    const name = { given: text(s.first_name), family: text(s.last_name) }
    const registration = {
      date: instant(s.reg_date),
      programme: row(programmes, s.programme_code),
      officer: text(s.officer.name),
    }
    const household = { size: decimal(s.hh_size), income: decimal(s.income), head: yes(s.is_head) }
    const address = {
      county: row(counties, s.county),
      ward: text(s.location.ward),
      lat: decimal(s.location.lat),
      lon: decimal(s.location.lon),
    }
    if (phone === undefined) {
      return { external_id: text(s.reg_id), name, date_of_birth: day(s.dob), registration, household, address }
    }
    return {
      external_id: text(s.reg_id),
      name,
      date_of_birth: day(s.dob),
      phone_numbers: [{ value: phone }],
      registration,
      household,
      address,
    }
  }

function refuse(what: string): never {
  throw new TypeError(`not a ${what}`)
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : refuse('text')
}

function row<T>(table: Readonly<Record<string, T>>, key: string): T {
  return table[key] ?? refuse('known code')
}

function decimal(value: string): number {
  const n = value === '' ? Number.NaN : Number(value)
  return Number.isFinite(n) && Math.abs(n) <= Number.MAX_SAFE_INTEGER ? n : refuse('number')
}

function yes(value: string): boolean {
  switch (value) {
    case 'yes':
    case 'true':
    case '1':
      return true
    case 'no':
    case 'false':
    case '0':
      return false
    default:
      return refuse('boolean')
  }
}

const lengths = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

function day(s: string): string {
  if (s.length !== 10 || s[4] !== '-' || s[7] !== '-') return refuse('date')
  const year = digit(s, 0) * 1000 + digit(s, 1) * 100 + digit(s, 2) * 10 + digit(s, 3)
  const month = digit(s, 5) * 10 + digit(s, 6)
  const date = digit(s, 8) * 10 + digit(s, 9)
  if (year < 1 || month < 1 || month > 12 || date < 1) return refuse('date')
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  return date <= lengths[month]! + (leap ? 1 : 0) ? s : refuse('date')
}

function digit(s: string, i: number): number {
  const c = s.charCodeAt(i) - 48
  return c >= 0 && c <= 9 ? c : refuse('digit')
}

/** UTC with milliseconds is only checked; all else goes through Date, after its day was checked, which Date does not do. */
function instant(s: string): string {
  day(s.slice(0, 10))
  if (s.length === 24 && s[23] === 'Z' && s[19] === '.' && s[10] === 'T' && s[13] === ':' && s[16] === ':') {
    const hour = digit(s, 11) * 10 + digit(s, 12)
    const minute = digit(s, 14) * 10 + digit(s, 15)
    const second = digit(s, 17) * 10 + digit(s, 18)
    const ms = digit(s, 20) * 100 + digit(s, 21) * 10 + digit(s, 22)
    return hour < 24 && minute < 60 && second < 60 && ms >= 0 ? s : refuse('time')
  }
  const last = s.charCodeAt(s.length - 1)
  const offset = s.charCodeAt(s.length - 6)
  if (last !== 90 && offset !== 43 && offset !== 45) return refuse('time with an offset')
  return new Date(s).toISOString()
}

function kenyan(s: string): string {
  let digits = ''
  let from = s.startsWith('+254') ? 4 : s.startsWith('0') ? 1 : 0
  for (let i = from; i <= s.length; i++) {
    const c = s.charCodeAt(i)
    if (c >= 48 && c <= 57) continue
    digits += s.slice(from, i)
    from = i + 1
    if (i < s.length && c !== 32 && c !== 45 && c !== 46 && c !== 40 && c !== 41) return refuse('phone number')
  }
  return digits.length >= 7 && digits.length <= 9 ? `+254${digits}` : refuse('phone number')
}

const tables = { programmes, counties }
const variants = {
  document: mapping('bench', { document, tables }),
  document_closures: mapping('bench', { document, tables, compile: 'closures' }),
  validated: mapping('bench', { document, tables, to: Case }),
  handwritten: byHand(instant),
  handwritten_tuned: byHand((text) => isoTime(text, undefined) ?? refuse('time')),
} satisfies Record<string, (source: Registration) => unknown>

/** Records per second, medians of interleaved rounds of at least 100,000 records each. */
export async function run(rounds = 15): Promise<Record<string, number>> {
  const records = registrations(1_000)
  for (const record of records) {
    const expected = variants.handwritten(record)
    for (const map of Object.values(variants)) deepStrictEqual(map(record), expected)
  }
  const rates: Record<string, number[]> = {}
  for (let round = -3; round < rounds; round++) {
    for (const [name, map] of Object.entries(variants)) {
      const rate = measure(map, records, 100)
      if (round >= 0) (rates[name] ??= []).push(rate)
    }
    await Promise.resolve()
  }
  return Object.fromEntries(Object.entries(rates).map(([name, list]) => [name, median(list)]))
}

/** Keeps every result until the end of a pass, as a batch would, so that none can be optimised away. */
function measure(map: (source: Registration) => unknown, records: readonly Registration[], passes: number): number {
  const kept: unknown[] = Array.from({ length: records.length })
  const start = performance.now()
  for (let pass = 0; pass < passes; pass++) {
    for (let i = 0; i < records.length; i++) kept[i] = map(records[i]!)
  }
  const seconds = (performance.now() - start) / 1000
  if (kept.at(-1) === undefined) throw new TypeError('nothing was mapped')
  return (records.length * passes) / seconds
}

function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]!
}
