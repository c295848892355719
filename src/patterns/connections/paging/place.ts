import { fault } from '#kernel/fault.ts'

/** What a page asks for, by the place in the input: a name, or `pagination.cursor`. */
export type PageFields = Readonly<Record<string, string | number>>

/**
 * The input with the fields of a page in it, as a copy: so they go wherever fields of the input go, into the path, the query, a
 * header or the body. `nested`: whether the dots of this name are steps into a body, or letters of a parameter. An absent
 * object on the way is made; anything else that stands there is refused with `schema.invalid`. A field that is called so, dots
 * included, is that field.
 */
export function withPage(input: unknown, fields: PageFields, nested: (name: string) => boolean): unknown {
  if (input !== undefined && !isRecord(input)) return input
  let out: Readonly<Record<string, unknown>> = input ?? {}
  for (const [name, value] of Object.entries(fields)) {
    const path = nested(name) && !Object.hasOwn(out, name) ? name.split('.') : [name]
    out = set(out, path, value, name)
  }
  return out
}

function set(
  into: Readonly<Record<string, unknown>>,
  [name, ...rest]: readonly string[],
  value: string | number,
  place: string,
): Readonly<Record<string, unknown>> {
  if (rest.length === 0) return { ...into, [name!]: value }
  const at = Object.hasOwn(into, name!) ? (into[name!] ?? {}) : {}
  if (!isRecord(at)) {
    const message = `"${name}" must be an object: the place of the next page is in it`
    throw fault('schema.invalid', { message, detail: { issues: [{ path: place, message }] } })
  }
  return { ...into, [name!]: set(at, rest, value, place) }
}

/** The value at a dotted path, of own properties only; a property that is called so, dots included, comes first. */
export function lookUp(value: unknown, path: string): unknown {
  if (isRecord(value) && Object.hasOwn(value, path)) return value[path]
  let at = value
  for (const name of path.split('.')) {
    if (!isRecord(at) || !Object.hasOwn(at, name)) return undefined
    at = at[name]
  }
  return at
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** For JSON.stringify: the same text whatever the order of properties. */
export function ordered(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return { bigint: `${value}` }
  if (value instanceof Map || value instanceof Set) return [...(value as Iterable<unknown>)]
  if (!isRecord(value)) return value
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
