import { fault } from '#kernel/fault.ts'
import { inOrder } from './graph.ts'
import { Names, pascal } from './names.ts'
import { isPlain, type Plain } from './read.ts'
import { absolute, lastName, refOf, target, type Documents } from './refs.ts'
import { merged } from './merge.ts'
import { nullable, union, unknown, type Field, type Shape } from './shape.ts'
import { firstSentence, longest } from './text.ts'

/** Deepest nesting without a reference; most shapes of one document. What lies beyond is not described, or refused. */
const bounds = { depth: 40, shapes: 1_000_000, fields: 2_000, values: 500, required: 2_000 } as const

/** JSON Schema of any OpenAPI version → shapes. Schemas that are referred to become named ones, read when they are needed. */
export class Schemas {
  readonly #documents: Documents
  readonly #names = new Names()
  /** `<address>#<pointer>` → name. */
  readonly #byPlace = new Map<string, string>()
  readonly #places = new Map<string, { readonly ref: string; readonly uri: string }>()
  readonly #shapes = new Map<string, Shape>()
  readonly #open = new Set<string>()
  #left = bounds.shapes

  constructor(documents: Documents) {
    this.#documents = documents
  }

  /** The named schemas that `shapes` need, directly or through others, by name. */
  reachable(shapes: Iterable<Shape>): Map<string, Shape> {
    const found = new Map<string, Shape>()
    const waiting = [...shapes]
    for (let shape = waiting.pop(); shape !== undefined; shape = waiting.pop()) {
      for (const name of refsIn(shape)) {
        if (found.has(name)) continue
        const target = this.named(name)
        found.set(name, target)
        waiting.push(target)
      }
    }
    // What is nothing but itself (`A: oneOf [A, B]`, `B: A`) says nothing, and no type can say it.
    const { cyclic } = inOrder([...found.keys()], (name) => bareRefs(found.get(name)!))
    for (const name of cyclic) found.set(name, unknown)
    return found
  }

  /** The shape behind a name. While it is being read (a schema that is all of itself), nothing is known of it. */
  named(name: string): Shape {
    const known = this.#shapes.get(name)
    if (known) return known
    if (this.#open.has(name) || this.#open.size > bounds.depth * 2) return unknown
    this.#open.add(name)
    try {
      const { ref, uri } = this.#places.get(name)!
      const place = target(this.#documents, ref, uri)
      const shape = this.shape(place.node, place.uri)
      this.#shapes.set(name, shape)
      return shape
    } finally {
      this.#open.delete(name)
    }
  }

  /** The shape itself: references followed. */
  resolved(shape: Shape): Shape {
    let at = shape
    for (let i = 0; at.is === 'ref' && i < 50; i++) at = this.named(at.to)
    return at.is === 'ref' ? unknown : at
  }

  shape(node: unknown, uri: string, depth = 0): Shape {
    if (--this.#left < 0) {
      throw fault('add.limit', { message: `the document describes more than ${bounds.shapes} shapes` })
    }
    if (node === false) return { is: 'never' }
    if (!isPlain(node) || depth > bounds.depth) return unknown
    const ref = refOf(node)
    if (ref !== undefined) {
      const to: Shape = { is: 'ref', to: this.#nameOf(ref, uri) }
      // 3.1: what stands beside a reference holds as well; 3.0 calls it an error, and then it is a description or nullable.
      const { $ref: _, ...beside } = node
      const more = this.#plain(beside, uri, depth)
      const both = more.is === 'unknown' ? to : this.#all([to, more])
      return node['nullable'] === true ? nullable(both) : both
    }
    const shape = this.#plain(node, uri, depth)
    return node['nullable'] === true || node['x-nullable'] === true ? nullable(shape) : shape
  }

  #nameOf(ref: string, uri: string): string {
    const at = absolute(ref, uri)
    const place = `${at.uri}#${at.pointer}`
    let name = this.#byPlace.get(place)
    if (name === undefined) {
      // Looked at now, so that a reference that leads nowhere is reported where it stands.
      target(this.#documents, ref, uri)
      name = this.#names.take(pascal(lastName(at.pointer)) ?? 'Schema')
      this.#byPlace.set(place, name)
      this.#places.set(name, { ref, uri })
    }
    return name
  }

  /** A schema without `$ref` and `nullable`. */
  #plain(node: Plain, uri: string, depth: number): Shape {
    const parts: Shape[] = []
    const own = this.#own(node, uri, depth)
    if (own.is !== 'unknown') parts.push(own)
    for (const one of listOf(node['allOf'])) parts.push(this.shape(one, uri, depth + 1))
    for (const word of ['oneOf', 'anyOf'] as const) {
      const options = listOf(node[word])
      if (options.length === 0) continue
      const shapes = options.map((option) => this.shape(option, uri, depth + 1))
      // `anyOf: [{ required: [a] }, { required: [b] }]` says how fields go together, which a type need not.
      if (shapes.every((s) => s.is === 'unknown' || (s.is === 'object' && s.fields.length === 0 && s.needs))) continue
      parts.push(this.#told(node['discriminator'], options, shapes, uri) ?? union(shapes))
    }
    return parts.length === 0 ? unknown : this.#all(parts)
  }

  #all(parts: readonly Shape[]): Shape {
    return merged(parts, (shape) => this.resolved(shape))
  }

  /** A union whose `discriminator` says which option it is, as far as the values can be known. */
  #told(discriminator: unknown, options: readonly unknown[], shapes: readonly Shape[], uri: string): Shape | undefined {
    const field = isPlain(discriminator) ? discriminator['propertyName'] : discriminator
    if (typeof field !== 'string' || field.length > longest || shapes.length < 2) return undefined
    const mapping = isPlain(discriminator) && isPlain(discriminator['mapping']) ? discriminator['mapping'] : {}
    const spelled = Object.entries(mapping).map(([value, ref]) => {
      const said = String(ref)
      const full = /[#/.]/.test(said) ? said : `#/components/schemas/${said}`
      return [value, placeOf(full, uri)] as const
    })
    const values = options.map((option) => {
      const ref = refOf(option)
      if (ref === undefined) return []
      const named = spelled.filter(([, place]) => place === placeOf(ref, uri)).map(([value]) => value)
      return named.length > 0 ? named : [lastName(absolute(ref, uri).pointer)]
    })
    const all = values.flat()
    const right =
      values.every((v) => v.length > 0) && new Set(all).size === all.length && all.every((v) => v.length < longest)
    return right && shapes.every((s) => s.is === 'ref') ? { is: 'union', of: shapes, by: { field, values } } : undefined
  }

  /** What a schema says by itself: type, values, fields. */
  #own(node: Plain, uri: string, depth: number): Shape {
    if (Object.hasOwn(node, 'const')) return values([node['const']])
    if (Array.isArray(node['enum'])) {
      const shape = values(node['enum'])
      if (shape.is !== 'unknown') return shape
    }
    const types = typesOf(node)
    if (types.length === 0) return unknown
    return union(types.map((type) => this.#typed(type, node, uri, depth)))
  }

  #typed(type: string, node: Plain, uri: string, depth: number): Shape {
    switch (type) {
      case 'null':
      case 'boolean':
        return { is: type }
      case 'file':
        return { is: 'bytes' }
      case 'string':
        return text(node)
      case 'integer':
      case 'number':
        return number(node, type === 'integer')
      case 'array':
        return {
          is: 'list',
          of: this.#items(node, uri, depth),
          ...count('least', node['minItems']),
          ...count('most', node['maxItems']),
        }
      case 'object':
        return this.#object(node, uri, depth)
      default:
        return unknown
    }
  }

  #items(node: Plain, uri: string, depth: number): Shape {
    const { items, prefixItems } = node
    if (!Array.isArray(prefixItems) && !Array.isArray(items)) return this.shape(items ?? {}, uri, depth + 1)
    const heads = [...listOf(prefixItems), ...listOf(items)]
    const rest = isPlain(items) ? [items] : items === false || prefixItems === undefined ? [] : [{}]
    return union([...heads, ...rest].map((one) => this.shape(one, uri, depth + 1)))
  }

  #object(node: Plain, uri: string, depth: number): Shape {
    const properties = isPlain(node['properties']) ? Object.entries(node['properties']) : []
    const required = new Set(listOf(node['required']).slice(0, bounds.required))
    const fields: Field[] = []
    for (const [name, schema] of properties.slice(0, bounds.fields)) {
      if (name.length > longest || name === '') continue
      const about = isPlain(schema) ? schema : {}
      const shape = this.shape(schema, uri, depth + 1)
      if (shape.is === 'never') continue
      const note = noteOf(about)
      fields.push({
        name,
        shape,
        required: required.has(name),
        ...(about['readOnly'] === true ? { only: 'read' } : about['writeOnly'] === true ? { only: 'write' } : {}),
        ...(note === '' ? {} : { note }),
      })
    }
    const named = new Set(fields.map((f) => f.name))
    const needs = [...required].filter((n): n is string => typeof n === 'string' && !named.has(n)).slice(0, 50)
    const rest = this.#rest(node, uri, depth)
    return {
      is: 'object',
      fields,
      ...(rest === undefined ? {} : { rest }),
      ...(needs.length > 0 ? { needs } : {}),
    }
  }

  #rest(node: Plain, uri: string, depth: number): Shape | false | undefined {
    const patterns = isPlain(node['patternProperties']) ? Object.values(node['patternProperties']) : []
    const more = node['additionalProperties'] ?? node['unevaluatedProperties']
    if (patterns.length > 0) {
      const known = patterns.slice(0, 20).map((p) => this.shape(p, uri, depth + 1))
      return more === false || more === undefined ? union(known) : unknown
    }
    if (more === undefined) return undefined
    if (more === false) return false
    return this.shape(more, uri, depth + 1)
  }
}

/** The description of a field, with its format and default, which only the reader of the file needs. */
function noteOf(schema: Plain): string {
  const said = firstSentence(schema['description'] ?? schema['title'], 160)
  const given = schema['default']
  const also =
    typeof given === 'string' || typeof given === 'number' || typeof given === 'boolean'
      ? `Default ${firstSentence(String(given), 60)}.`
      : ''
  const old = schema['deprecated'] === true ? 'Deprecated.' : ''
  return [old, said, also].filter((s) => s !== '').join(' ')
}

/** Names of all named schemas that a shape mentions. */
export function refsIn(shape: Shape): string[] {
  const found = new Set<string>()
  const walk = (s: Shape): void => {
    if (s.is === 'ref') found.add(s.to)
    else if (s.is === 'object') {
      for (const f of s.fields) walk(f.shape)
      if (s.rest) walk(s.rest)
    } else if (s.is === 'union' || s.is === 'both') s.of.forEach(walk)
    else if ('of' in s) walk(s.of)
  }
  walk(shape)
  return [...found]
}

/** The names that a shape may be as a whole, not those that its fields or items are. */
function bareRefs(shape: Shape): string[] {
  if (shape.is === 'ref') return [shape.to]
  if (shape.is === 'union' || shape.is === 'both') return shape.of.flatMap(bareRefs)
  return shape.is === 'nullable' || shape.is === 'optional' || shape.is === 'joined' ? bareRefs(shape.of) : []
}

function placeOf(ref: string, uri: string): string {
  const at = absolute(ref, uri)
  return `${at.uri}#${at.pointer}`
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value.slice(0, bounds.values) : []
}

/** The types that a schema names, or those that its keywords imply. */
function typesOf(node: Plain): string[] {
  const { type } = node
  if (typeof type === 'string') return [type]
  if (Array.isArray(type)) return type.filter((t) => typeof t === 'string').slice(0, 8)
  const has = (...words: string[]): boolean => words.some((w) => Object.hasOwn(node, w))
  if (has('properties', 'additionalProperties', 'patternProperties', 'required')) return ['object']
  if (has('items', 'prefixItems', 'minItems', 'maxItems')) return ['array']
  if (has('pattern', 'minLength', 'maxLength', 'format')) return ['string']
  if (has('minimum', 'maximum', 'multipleOf')) return ['number']
  return []
}

function values(list: readonly unknown[]): Shape {
  const scalar = list.filter(
    (v) =>
      (typeof v === 'string' && v.length <= longest) ||
      (typeof v === 'number' && Number.isFinite(v)) ||
      typeof v === 'boolean',
  ) as (string | number | boolean)[]
  const orNull = list.includes(null)
  if (scalar.length + (orNull ? 1 : 0) < list.length || list.length === 0 || list.length > bounds.values) return unknown
  if (scalar.length === 0) return { is: 'null' }
  // Two values that are true and false are all that there are.
  const all: Shape =
    scalar.length > 1 && scalar.every((v) => typeof v === 'boolean')
      ? { is: 'boolean' }
      : { is: 'values', values: [...new Set(scalar)] }
  return orNull ? nullable(all) : all
}

function text(node: Plain): Shape {
  const { format, pattern } = node
  if (format === 'binary') return { is: 'bytes' }
  return {
    is: 'string',
    ...(typeof format === 'string' && format.length <= 40 ? { format } : {}),
    ...count('least', node['minLength']),
    ...count('most', node['maxLength']),
    ...(typeof pattern === 'string' ? { pattern: pattern.slice(0, 1_000) } : {}),
  }
}

function number(node: Plain, whole: boolean): Shape {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = node
  // 2.0 and 3.0: a flag beside the bound; 3.1: the bound itself.
  const least = exclusiveMinimum === true ? undefined : finite(minimum)
  const most = exclusiveMaximum === true ? undefined : finite(maximum)
  const above = finite(exclusiveMinimum === true ? minimum : exclusiveMinimum)
  const below = finite(exclusiveMaximum === true ? maximum : exclusiveMaximum)
  return {
    is: 'number',
    ...(whole ? { whole } : {}),
    ...(least === undefined ? {} : { least }),
    ...(most === undefined ? {} : { most }),
    ...(above === undefined ? {} : { above }),
    ...(below === undefined ? {} : { below }),
  }
}

function finite(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

function count(name: 'least' | 'most', value: unknown): { readonly [name: string]: number } {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? { [name]: value as number } : {}
}
