import { camel } from './names.ts'
import { isPlain, type Plain } from './read.ts'
import type { Schemas } from './schemas.ts'
import { union, type Field, type Shape } from './shape.ts'
import { firstSentence, longest } from './text.ts'

export type Parameter = {
  readonly name: string
  readonly in: string
  readonly required: boolean
  readonly note: string
  readonly schema: unknown
  readonly shape: Shape
  readonly style: string
  readonly explode: boolean
  readonly uri: string
  readonly example?: unknown
}

/** A parameter of 3.x (one of 2.0 has been translated). Undefined for what is no parameter. */
export function readParameter(node: Plain, uri: string, schemas: Schemas): Parameter | undefined {
  const { name, in: at } = node
  if (typeof name !== 'string' || name === '' || name.length > longest || typeof at !== 'string') return undefined
  const media = isPlain(node['content']) ? Object.values(node['content'])[0] : undefined
  const schema = node['schema'] ?? (isPlain(media) ? (media['schema'] ?? {}) : {})
  const style =
    typeof node['style'] === 'string' ? node['style'] : at === 'query' || at === 'cookie' ? 'form' : 'simple'
  const shape = schemas.shape(schema, uri)
  return {
    name,
    in: at,
    required: node['required'] === true || at === 'path',
    note: firstSentence(node['description'] ?? (isPlain(schema) ? schema['description'] : undefined), 160),
    schema,
    shape: isPlain(media) ? { is: 'joined', of: shape, by: 'json' } : shape,
    style,
    explode: typeof node['explode'] === 'boolean' ? node['explode'] : style === 'form',
    uri,
    ...(node['example'] === undefined ? {} : { example: node['example'] }),
  }
}

/** The single value that a parameter can have, or the default of one that has to be there. */
export function fixedValue(p: Parameter): string | undefined {
  if (!isPlain(p.schema)) return undefined
  const { enum: values, const: only, default: given } = p.schema
  const value = only ?? (Array.isArray(values) && values.length === 1 ? values[0] : p.required ? given : undefined)
  return typeof value === 'string' || typeof value === 'number' ? String(value).slice(0, longest) : undefined
}

/**
 * The input fields of a query parameter, named as they go on the wire: `expand[]`, `created[gte]`. A string where its style
 * has no such spelling.
 */
export function queryFields(p: Parameter, schemas: Schemas, brackets: boolean): readonly Field[] | string {
  const field = (name: string, shape: Shape, required = p.required): Field => ({
    name,
    shape,
    required,
    ...(p.note === '' ? {} : { note: p.note }),
  })
  const shape = stripped(p.shape, schemas)
  if (shape.is === 'joined') return [field(p.name, shape)]
  // A connection with `queryStyle: 'brackets'` writes objects and lists by itself.
  if (brackets) return [field(p.name, shape)]
  if (p.style === 'deepObject') return deepFields(p, shape, schemas, field)
  if (shape.is === 'list') {
    const items = stripped(shape.of, schemas)
    if (items.is === 'object' || items.is === 'list') return `its query parameter ${p.name} is a list of objects`
    if (p.explode && p.style === 'form') return [field(p.name, shape)]
    const by = p.style === 'spaceDelimited' ? ' ' : p.style === 'pipeDelimited' ? '|' : ','
    return [field(p.name, { is: 'joined', of: shape, by })]
  }
  if (shape.is === 'object') {
    if (!p.explode || shape.fields.length === 0)
      return `its query parameter ${p.name} is an object in the style ${p.style}`
    return shape.fields
      .filter((f) => isScalar(f.shape, schemas))
      .map((f) => ({ ...f, required: f.required && p.required }))
  }
  if (shape.is !== 'union') return [field(p.name, shape)]
  // What can stand in a query: texts, numbers, and lists of these.
  const able = shape.of.filter((s) => isScalar(s, schemas) || (stripped(s, schemas).is === 'list' && p.explode))
  return able.length === 0 ? `its query parameter ${p.name} is an object` : [field(p.name, union(able))]
}

/**
 * Whether all objects and lists in queries are spelled with brackets (`created[gt]=1`, `expand[]=a`), which a connection can
 * do by itself: then they are objects and lists in the input too.
 */
export function allInBrackets(parameters: Iterable<Parameter>, schemas: Schemas): boolean {
  let some = false
  for (const p of parameters) {
    if (p.in !== 'query' || p.shape.is === 'joined' || isScalar(p.shape, schemas)) continue
    if (p.style !== 'deepObject') return false
    some = true
  }
  return some
}

/** `{ gt, lt }` as `created[gt]` and `created[lt]`; a list as `expand[]`; a plain value of a union under the bare name. */
function deepFields(
  p: Parameter,
  shape: Shape,
  schemas: Schemas,
  field: (name: string, shape: Shape, required?: boolean) => Field,
): readonly Field[] | string {
  const options = shape.is === 'union' ? shape.of.map((s) => stripped(s, schemas)) : [shape]
  const out: Field[] = []
  for (const option of options) {
    if (option.is === 'list') out.push(field(`${p.name}[]`, option, false))
    else if (option.is === 'object') {
      for (const f of option.fields) {
        if (isScalar(f.shape, schemas))
          out.push({ ...field(`${p.name}[${f.name}]`, f.shape, false), ...(f.note ? { note: f.note } : {}) })
      }
    } else if (isScalar(option, schemas)) out.push(field(p.name, option, false))
  }
  return out.length === 0 ? `its query parameter ${p.name} is an object whose fields are not described` : out
}

/** References followed, null set aside: a query has no null. */
function stripped(shape: Shape, schemas: Schemas): Shape {
  const at = schemas.resolved(shape)
  return at.is === 'nullable' ? schemas.resolved(at.of) : at
}

/** Whether it is sent as one text. A union may contain itself: what lies deeper than 4 is not looked at. */
function isScalar(shape: Shape, schemas: Schemas, depth = 0): boolean {
  const at = stripped(shape, schemas)
  if (at.is === 'union') return depth < 4 && at.of.every((s) => isScalar(s, schemas, depth + 1))
  return ['string', 'number', 'boolean', 'values', 'unknown'].includes(at.is)
}

/** Header fields that are not a matter of a call: the transport's, the credential's, the format's. */
const notOurs = new Set(
  (
    'accept accept-encoding authorization connection content-length content-type cookie expect host keep-alive ' +
    'proxy-authorization te trailer transfer-encoding upgrade user-agent'
  ).split(' '),
)

export type HeaderUse =
  | { readonly use: 'none' }
  | { readonly use: 'key' }
  | { readonly use: 'always'; readonly value: string }
  | { readonly use: 'field'; readonly field: string }

export function headerUse(p: Parameter, taken: ReadonlySet<string>): HeaderUse {
  const name = p.name.toLowerCase()
  if (notOurs.has(name) || !/^[!#$%&'*+\-.^_`|~0-9a-z]{1,100}$/.test(name)) return { use: 'none' }
  if (/^(?:x-)?idempot\w*(?:-\w+)?$/.test(name)) return { use: 'key' }
  const value = fixedValue(p)
  if (value !== undefined && p.required && /^[\x20-\x7e]+$/.test(value)) return { use: 'always', value }
  const field = camel(p.name) ?? 'header'
  return { use: 'field', field: taken.has(field) ? `${field}Header` : field }
}
