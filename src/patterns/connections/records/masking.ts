import { mask, type Redactor } from '#kernel/redact.ts'
import type { Schema } from '#kernel/schema.ts'

/** What a call record of one operation must not show. */
export interface Masking {
  /** Whether a field of this name is masked whole. */
  hides(name: string): boolean
  /** The text without secrets, card numbers, e-mail addresses and phone numbers. */
  text(input: string): string
}

export type MaskingOptions = {
  readonly redact: Redactor
  /** Names masked whole beside those that everybody masks; any case. */
  readonly fields?: Iterable<string>
  /** `keep` shows e-mail addresses and phone numbers. */
  readonly personal?: 'keep' | undefined
}

/** Answers of `hides` that are remembered. */
const remembered = 4_096

/**
 * By name: what the redactor knows (`password`, `api_key` …), the fields given, and e-mail addresses and phone numbers under
 * their usual names. By value: secrets, card numbers, e-mail addresses, and phone numbers as E.164 writes them (with `+`, 8 to 15
 * digits): without it they cannot be told from an amount or an id.
 */
export function masking({ redact, fields = [], personal }: MaskingOptions): Masking {
  const marked = new Set([...fields].map((f) => f.toLowerCase()))
  const known = new Map<string, boolean>()
  const asked = (name: string): boolean => {
    if (marked.has(name.toLowerCase()) || (personal !== 'keep' && personalName.test(name.replace(camel, '$1_$2'))))
      return true
    return (redact.value({ [name]: 0 }) as Readonly<Record<string, unknown>>)[name] === mask
  }
  return {
    hides(name) {
      let answer = known.get(name)
      if (answer === undefined) {
        if (known.size >= remembered) known.clear()
        known.set(name, (answer = asked(name)))
      }
      return answer
    },
    text(input) {
      const out = redact.text(input)
      return personal === 'keep' ? out : withoutPersons(out)
    },
  }
}

const personalName =
  /^(?:.*[-_.])?(?:e[-_]?mail|e[-_]?mail[-_]?address|phone|phone[-_]?number|mobile|mobile[-_]?number|msisdn|telephone|fax)$/i
const camel = /([a-z0-9])([A-Z])/g
/** The local part is bounded so that a long run of letters is not tried from each of its places. */
const mail = /(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}(?:@|%40)[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?/g
const phone = /(?<![A-Za-z0-9+])(?:\+|%2B)[1-9](?:[ ().-]{0,2}\d){7,14}(?!\d)/gi

function withoutPersons(text: string): string {
  let out = text
  if (out.includes('@') || out.includes('%40')) out = out.replace(mail, mask)
  if (out.includes('+') || out.includes('%2B') || out.includes('%2b')) out = out.replace(phone, mask)
  return out
}

/** Fields looked at in one schema. */
const most = 10_000

/**
 * The names of fields that a schema marks as not to be shown, at any depth: `sensitive: true` or `x-sensitive: true` among
 * its annotations (zod: `.meta({ sensitive: true })`), `writeOnly: true`, or `format: 'password'`. Only a schema that speaks
 * Standard JSON Schema can be asked; of others, and of what they cannot express, there is nothing to know.
 */
export function markedFields(schema: Schema | undefined, side: 'input' | 'output'): ReadonlySet<string> {
  const found = new Set<string>()
  const convert = (schema?.['~standard'] as { readonly jsonSchema?: Converter } | undefined)?.jsonSchema?.[side]
  if (convert === undefined) return found
  let root: unknown
  try {
    // zod refuses what JSON Schema has no word for (a date, a transform) unless it is told to leave it open.
    root = convert({ target: 'draft-2020-12', libraryOptions: { unrepresentable: 'any' } })
  } catch {
    return found
  }
  let left = most
  const seen = new Set<object>()
  const walk = (at: unknown): void => {
    if (typeof at !== 'object' || at === null || seen.has(at) || left-- <= 0) return
    seen.add(at)
    if (Array.isArray(at)) return at.forEach(walk)
    const { properties } = at as { readonly properties?: unknown }
    if (typeof properties === 'object' && properties !== null) {
      for (const [name, field] of Object.entries(properties)) if (isMarked(field, root)) found.add(name)
    }
    Object.values(at).forEach(walk)
  }
  walk(root)
  return found
}

type Converter = Readonly<
  Record<'input' | 'output', (options: { readonly target: string; readonly libraryOptions?: object }) => unknown>
>

function isMarked(field: unknown, root: unknown, depth = 0): boolean {
  if (typeof field !== 'object' || field === null || depth > 8) return false
  const f = field as Readonly<Record<string, unknown>>
  if (f['sensitive'] === true || f['x-sensitive'] === true || f['writeOnly'] === true || f['format'] === 'password')
    return true
  const { $ref, anyOf, allOf, oneOf } = f
  if (typeof $ref === 'string' && isMarked(target(root, $ref), root, depth + 1)) return true
  return [anyOf, allOf, oneOf].some((of) => Array.isArray(of) && of.some((one) => isMarked(one, root, depth + 1)))
}

/** `#/$defs/Card` */
function target(root: unknown, ref: string): unknown {
  if (!ref.startsWith('#/')) return undefined
  let at = root
  for (const part of ref.slice(2).split('/')) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined
    at = (at as Readonly<Record<string, unknown>>)[name]
  }
  return at
}
