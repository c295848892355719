/**
 * A definition is inert data: `noun('durable-name', { … })` returns it frozen, importing a module does nothing.
 * `fairlead({ use })` collects definitions, checks them all, and only then brings them to life.
 */
export type Kind = 'connection' | 'topic' | 'subscription' | 'webhook' | 'mapping'

export type Definition<K extends Kind = Kind> = {
  readonly kind: K
  /** A durable address: it names rows in the store, so renaming starts from nothing. */
  readonly name: string
}

/** Something wrong in a definition: where, what, and what to do about it. */
export type Problem = { readonly path: string; readonly message: string; readonly fix: string }

const brand = Symbol.for('fairlead.definition')

/** Freezes `definition` (its plain objects and arrays too) and marks it, invisible to JSON. */
export function define<D extends object>(definition: D): D {
  Object.defineProperty(definition, brand, { value: true, enumerable: false })
  return freeze(definition)
}

export function isDefinition(value: unknown): value is Definition {
  return (typeof value === 'object' || typeof value === 'function') && value !== null && brand in value
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  const proto: unknown = Object.getPrototypeOf(value)
  if (proto !== Object.prototype && !Array.isArray(value) && !isDefinition(value)) return value
  for (const v of Object.values(value)) freeze(v)
  return Object.freeze(value)
}

const wellFormed = /^[a-z][a-z0-9._-]{0,62}$/i

/** The problems of a name: letters, digits, `.`, `_`, `-`, at most 63 characters, a letter first. */
export function checkName(kind: Kind, name: unknown): Problem[] {
  if (typeof name === 'string' && wellFormed.test(name)) return []
  return [
    {
      path: `${kind}(${JSON.stringify(name)?.slice(0, 80)})`,
      message: 'the name is not a durable address',
      fix: 'use 1 to 63 letters, digits, ".", "_" or "-", a letter first',
    },
  ]
}

/** Problems for options that are not known here: a misspelled option must not silently become a default. */
export function checkOptions(path: string, options: unknown, known: readonly string[]): Problem[] {
  if (typeof options !== 'object' || options === null) {
    return [{ path, message: 'options are missing', fix: `pass one object with ${known.join(', ')}` }]
  }
  return Object.keys(options)
    .filter((name) => !known.includes(name))
    .map((name) => ({ path: `${path}.${name}`, message: 'unknown option', fix: nearest(name, known) }))
}

function nearest(name: string, known: readonly string[]): string {
  const close = known.find((k) => k.toLowerCase() === name.toLowerCase() || distance(k, name) <= 2)
  return close ? `did you mean "${close}"?` : `known options: ${known.join(', ')}`
}

/** Levenshtein distance, for short option names only. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(row[j - 1]! + 1, previous[j]! + 1, previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
    }
    previous = row
  }
  return previous[b.length]!
}
