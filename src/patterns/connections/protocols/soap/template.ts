import { fault } from '#kernel/fault.ts'
import { escapeXml, parseXml, XmlError, type Element } from './xml.ts'

/**
 * An envelope with slots: `{id}` or `{order.id}` is the value, escaped; `{#lines}…{/lines}` repeats what is inside for each item of a
 * list (with its fields in reach before the outer ones, `{.}` the item itself), is written once for an object, and not at all for
 * what is absent, null, false or an empty list.
 */
export type EnvelopeTemplate = {
  readonly parts: readonly Part[]
  /** Of the input, at the top. */
  readonly names: ReadonlySet<string>
  /** The document with every slot filled and every section written once: what its shape is. */
  readonly sample: Element
}

type Part =
  | string
  | { readonly slot: readonly string[] }
  | { readonly section: readonly string[]; readonly parts: readonly Part[] }

type Fields = Readonly<Record<string, unknown>>

const mark = /\{([#/]?)(\.|[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*)\}/g
/** Where an escaped value would not be read as it was written. */
const unfilled = /<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<\?[\s\S]*?\?>/g
/** Stands for a value where the shape of the document is looked at. */
const sampled = 'fairlead-slot'

/** Reads a template, or says what is wrong: it must be XML in which slots stand for text and for values of attributes only. */
export function readTemplate(source: unknown): EnvelopeTemplate | { readonly problem: string } {
  if (typeof source !== 'string') return { problem: 'is not text' }
  for (const [hidden] of source.matchAll(unfilled))
    if (/[{}]/.test(hidden)) return { problem: 'has a slot in a comment, a CDATA section or the declaration' }
  const root: Part[] = []
  const open: { readonly path: string; readonly parts: Part[] }[] = [{ path: '', parts: root }]
  const names = new Set<string>()
  let at = 0
  for (const found of source.matchAll(mark)) {
    const [all, kind, path = ''] = found
    const inside = open.at(-1)!
    inside.parts.push(source.slice(at, found.index))
    at = found.index + all.length
    if (path !== '.' && open.length === 1 && kind !== '/') names.add(path.split('.')[0]!)
    if (path.split('.').includes('__proto__')) return { problem: 'has a slot that could reach a prototype' }
    if (kind === '') inside.parts.push({ slot: path === '.' ? [] : path.split('.') })
    else if (kind === '#') {
      const parts: Part[] = []
      inside.parts.push({ section: path.split('.'), parts })
      open.push({ path, parts })
    } else if (open.length === 1 || inside.path !== path)
      return { problem: `closes {#${path}}, which is not open there` }
    else open.pop()
  }
  root.push(source.slice(at))
  if (open.length > 1) return { problem: `does not close {#${open.at(-1)!.path}}` }
  try {
    const sample = parseXml(written(root, sampled))
    return { parts: root, names, sample }
  } catch (e) {
    if (!(e instanceof XmlError)) throw e
    return { problem: `is not XML with slots for text and values of attributes: ${e.message}` }
  }
}

/** Every slot as `value`, every section once. A slot where a name stands would make a tag or an attribute of it: no XML, or found out. */
function written(parts: readonly Part[], value: string): string {
  return parts.map((p) => (typeof p === 'string' ? p : 'slot' in p ? value : written(p.parts, value))).join('')
}

/** The names that are made of slots: there must be none. */
export function slottedNames({ name, attributes, children }: Element): boolean {
  if (name.includes(sampled) || [...attributes.keys()].some((a) => a.includes(sampled))) return true
  return children.some((c) => typeof c === 'object' && slottedNames(c))
}

/** The document for an input. Throws `schema.invalid` for a value that is missing, not a scalar, or holds what XML forbids. */
export function fillTemplate({ parts }: EnvelopeTemplate, input: Fields): string {
  return filled(parts, [input], '')
}

function filled(parts: readonly Part[], scopes: readonly unknown[], at: string): string {
  let out = ''
  for (const part of parts) {
    if (typeof part === 'string') out += part
    else if ('slot' in part) out += slot(part.slot, scopes, at)
    else {
      const value = lookUp(part.section, scopes)
      if (value === undefined || value === null || value === false) continue
      const path = `${at}${part.section.join('.')}`
      if (Array.isArray(value))
        for (const [i, item] of (value as unknown[]).entries())
          out += filled(part.parts, [item, ...scopes], `${path}[${i}].`)
      else out += filled(part.parts, [value, ...scopes], `${path}.`)
    }
  }
  return out
}

function slot(path: readonly string[], scopes: readonly unknown[], at: string): string {
  const text = scalar(path.length === 0 ? scopes[0] : lookUp(path, scopes))
  const escaped = text === undefined ? undefined : escapeXml(text)
  if (escaped !== undefined) return escaped
  const name = `${at}${path.join('.')}`.replace(/\.$/, '')
  const message =
    text === undefined
      ? 'a slot takes text, a number, a boolean or a date'
      : 'the text has a character that XML forbids'
  throw fault('schema.invalid', { message: `${name}: ${message}`, detail: { issues: [{ path: name, message }] } })
}

/** From the innermost scope outwards, of own properties only. */
function lookUp([first, ...rest]: readonly string[], scopes: readonly unknown[]): unknown {
  const scope = scopes.find((s) => isFields(s) && Object.hasOwn(s, first!)) as Fields | undefined
  let value = scope?.[first!]
  for (const name of rest) value = isFields(value) && Object.hasOwn(value, name) ? value[name] : undefined
  return value
}

function scalar(value: unknown): string | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? value : undefined
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : undefined
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  return value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : undefined
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
