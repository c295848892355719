import { checkOptions } from '#kernel/definition.ts'
import { isDay } from './calendar.ts'
import type { Found, RawDocument, RawEntry } from './document.ts'
import { parseFormat } from './format.ts'
import { OptionReader } from './option-reader.ts'
import { printPath } from './path.ts'
import { phonePlan } from './phone.ts'
import type { PhoneNormaliser } from './phone.ts'
import { rejected, type Outcome, type Plan, type Step } from './plan.ts'
import { isSensitivePath } from './reject.ts'
import { copy, toBoolean, toDate, toDatetime, toNumber, toPhone, toRow, toText, type Transform } from './transforms.ts'
import { buildTree } from './tree.ts'
import { zoneToUtc } from './zone.ts'

export type Tables = ReadonlyMap<string, ReadonlyMap<string, unknown>>
export type Surroundings = { readonly tables: Tables; readonly phone: PhoneNormaliser | undefined }

/**
 * The options of an entry.
 *
 * - `source` path to read (`path.ts`); `target` path to write; `transform` one of seven, none copies the value
 * - `value` instead of `source`: a constant
 * - `required: true` a missing value rejects the record. Default false: what is missing is left out of the target
 * - `default` what the target holds when the source is missing, written as it is
 * - `null` what a null becomes: `keep` (null; the default), `reject` (the default of a required field), `omit`, `default`
 * - `invalid` what becomes of a value that the transform refuses: `reject` (default), `omit`, `null`, `default`
 * - `empty` what the empty text counts as: `keep` (a value; the default), `missing`, `null`
 * - `sensitive: true` masks the value in rejects, as a sensitive name does; `note` is for people
 * - string: `trim`; number: `integer`; date, datetime: `format` (`format.ts`; default ISO 8601); datetime: `zone` of times
 *   without an offset, none by default; phone: `default_country` (`"+254"` or `KE`); lookup: `lookup_table`, and
 *   `otherwise` for keys that the table lacks, which are refused by default
 */
const common = [
  'source',
  'target',
  'transform',
  'value',
  'default',
  'required',
  'null',
  'invalid',
  'empty',
  'sensitive',
  'note',
]
const ofConstant = ['target', 'value', 'sensitive', 'note']
/** The options of each transform beside the common ones. */
const own: Readonly<Record<string, readonly string[]>> = {
  string: ['trim'],
  number: ['integer'],
  boolean: [],
  date: ['format'],
  datetime: ['format', 'zone'],
  phone: ['default_country'],
  lookup: ['lookup_table', 'otherwise'],
}

/** Checks every entry of a document and builds the plan; the plan is absent when there is any problem. */
export function planDocument(
  raw: RawDocument,
  around: Surroundings,
): { readonly plan: Plan | undefined; readonly problems: readonly Found[] } {
  const problems: Found[] = [...raw.problems]
  const steps: Step[] = []
  const placed: RawEntry[] = []
  for (const entry of raw.entries) {
    const step = readEntry(entry, around, problems)
    if (!step) continue
    steps.push(step)
    placed.push(entry)
  }
  const { root, conflicts } = buildTree(steps, (i) => placed[i]!.index)
  for (const { step, message, fix } of conflicts) {
    const entry = placed[step]!
    problems.push({
      at: `mappings[${entry.index}].target`,
      where: entry.options.get('target')?.where ?? entry.where,
      message,
      fix,
    })
  }
  return { plan: problems.length === 0 ? { steps, root } : undefined, problems }
}

function readEntry(entry: RawEntry, around: Surroundings, problems: Found[]): Step | undefined {
  const read = new OptionReader(entry, problems)
  const name = read.text('transform')
  if (name !== undefined && !Object.hasOwn(own, name)) {
    read.wrong(
      'transform',
      `the transform "${name.slice(0, 40)}" is not known`,
      `use ${Object.keys(own).join(', ')}, or none to copy`,
    )
  }
  const constant = read.has('value')
  const options = constant
    ? [...ofConstant, 'source']
    : [...common, ...(name !== undefined && Object.hasOwn(own, name) ? own[name]! : [])]
  if (name === undefined || Object.hasOwn(own, name)) {
    const given = Object.fromEntries(
      Array.from(entry.options.keys(), (k) => [k === '__proto__' ? '["__proto__"]' : k, true]),
    )
    for (const { path, message, fix } of checkOptions('', given, options))
      read.wrong(path.slice(1), `${message}${constant ? ' of a constant' : name ? ` of ${name}` : ''}`, fix)
  }
  const target = read.has('target') ? read.path('target') : read.wrong('', 'the entry has no target', 'add `target:`')
  if (constant === read.has('source')) {
    read.wrong(
      '',
      constant ? 'has both source and value' : 'the entry has no source',
      'write `source:` for a field, or `value:` for a constant',
    )
  }
  const source = read.path('source')
  const transform = readTransform(name, read, around)
  const outcomes = readOutcomes(read, transform)
  const empty = read.oneOf('empty', ['keep', 'missing', 'null'] as const) ?? 'keep'
  const declared = read.flag('sensitive')
  // Also for a faulty entry, so that what collides with it is reported at once; a plan needs all of them faultless.
  if (!target) return undefined
  const sensitive =
    declared || isSensitivePath(printPath(target)) || (source !== undefined && isSensitivePath(printPath(source)))
  if (constant)
    return {
      target,
      source: undefined,
      transform: copy,
      ...outcomes,
      missing: read.scalar('value'),
      empty: 'keep',
      sensitive,
    }
  return { target, source, transform: transform ?? copy, ...outcomes, empty, sensitive }
}

function readOutcomes(
  read: OptionReader,
  transform: Transform | undefined,
): Pick<Step, 'missing' | 'null' | 'invalid'> {
  const required = read.flag('required')
  const given = read.has('default')
  const fallback = given ? read.scalar('default') : undefined
  if (given && required) read.wrong('default', 'a field with a default cannot be required', 'remove one of them')
  if (given && transform) checkDefault(read, transform.name, fallback)
  const choose = (name: string, choice: 'keep' | 'null' | 'reject' | 'omit' | 'default'): Outcome => {
    if (choice === 'omit' && required)
      return read.wrong(name, 'omit contradicts required', 'write reject, or remove `required`')
    if (choice === 'default' && !given) return read.wrong(name, 'there is no default', 'add `default:`')
    if (choice === 'reject') return rejected
    return choice === 'omit' ? undefined : choice === 'default' ? fallback : null
  }
  const onNull = read.oneOf('null', ['keep', 'reject', 'omit', 'default'] as const) ?? (required ? 'reject' : 'keep')
  const onInvalid = read.oneOf('invalid', ['reject', 'omit', 'null', 'default'] as const) ?? 'reject'
  return {
    missing: required ? rejected : fallback,
    null: choose('null', onNull),
    invalid: choose('invalid', onInvalid),
  }
}

/** A default is written to the target as it is, so it must already be what the transform gives. */
function checkDefault(read: OptionReader, transform: string, value: Outcome): void {
  if (value === null || value === undefined) return
  const fits =
    transform === 'number'
      ? typeof value === 'number'
      : transform === 'boolean'
        ? typeof value === 'boolean'
        : transform === 'date'
          ? typeof value === 'string' && isIsoDay(value)
          : transform === 'copy' || transform === 'lookup' || typeof value === 'string'
  if (!fits)
    read.wrong(
      'default',
      `the default is not a ${transform} as it is written to the target`,
      'write the value that the target should hold',
    )
}

function isIsoDay(text: string): boolean {
  const match = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text)
  return match !== null && isDay(Number(match[1]), Number(match[2]), Number(match[3]))
}

function readTransform(name: string | undefined, read: OptionReader, around: Surroundings): Transform | undefined {
  switch (name) {
    case undefined:
      return copy
    case 'string':
      return toText(read.flag('trim'))
    case 'number':
      return toNumber(read.flag('integer'))
    case 'boolean':
      return toBoolean
    case 'date': {
      const text = read.text('format') ?? '%Y-%m-%d'
      const format = parseFormat(text)
      return 'reason' in format ? read.wrong('format', format.reason, format.fix) : toDate(format, text)
    }
    case 'datetime':
      return readDatetime(read)
    case 'phone':
      return readPhoneTransform(read, around)
    case 'lookup':
      return readLookup(read, around)
    default:
      return undefined
  }
}

function readDatetime(read: OptionReader): Transform | undefined {
  const text = read.text('format')
  const format = text === undefined ? undefined : parseFormat(text)
  if (format && 'reason' in format) return read.wrong('format', format.reason, format.fix)
  const zone = read.text('zone')
  const toUtc = zone === undefined ? undefined : zoneToUtc(zone)
  if (zone !== undefined && !toUtc)
    return read.wrong(
      'zone',
      'there is no such zone',
      'write UTC, an offset like "+03:00" or a name like Africa/Nairobi',
    )
  return toDatetime(format, toUtc)
}

function readPhoneTransform(read: OptionReader, around: Surroundings): Transform | undefined {
  // YAML reads a bare +254 as the number 254.
  const given = read.value('default_country')
  const country = typeof given === 'number' ? `+${given}` : read.text('default_country')
  const plan = country === undefined ? undefined : phonePlan(country)
  if (country !== undefined && !plan) {
    return read.wrong(
      'default_country',
      'there is no such country',
      'write a calling code like "+254" or a region like KE',
    )
  }
  const region = country === undefined || country.startsWith('+') ? plan?.region : country.toUpperCase()
  return toPhone(plan, region, around.phone)
}

function readLookup(read: OptionReader, around: Surroundings): Transform | undefined {
  const name = read.has('lookup_table')
    ? read.text('lookup_table')
    : read.wrong('', 'lookup needs a table', 'add `lookup_table:`')
  const otherwise = read.has('otherwise') ? read.scalar('otherwise') : undefined
  if (name === undefined) return undefined
  const table = around.tables.get(name)
  if (table) return toRow(name, table, otherwise)
  const passed = Array.from(around.tables.keys()).join(', ')
  return read.wrong(
    'lookup_table',
    `the table "${name.slice(0, 40)}" was not passed`,
    passed ? `use one of: ${passed}` : 'pass it in `tables`',
  )
}
