import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Schema } from '#kernel/schema.ts'

/** One value that came as something else than the schema asks for: where (`items[].price`), and what it was taken for. */
export type Coercion = { readonly path: string; readonly from: 'text' | 'number'; readonly to: string }
export type Coerced = { readonly value: unknown; readonly coercions: readonly Coercion[] }

/** Rounds of validation, for libraries that tell one issue at a time; and issues looked at in one round. */
const rounds = 8
const mostIssues = 10_000

/**
 * Tries again where an answer does not fit its schema only because of how a value is spelled: `"42"` for 42, `"true"` for true,
 * 42 for "42". A schema of Standard Schema does not say what it expects, but its issues say where: the values at their paths are
 * spelled the other way and the whole is validated again, so nothing is ever taken for what the schema would not take.
 *
 * Never loses a digit: text becomes a number only if that is exact (a whole number up to 2^53, a decimal of up to 15 digits), and a
 * number where text or a bigint is asked for is read again out of the answer's own bytes (`raw`), so that 9007199254740993 stays
 * what it is. null is not missing and "" is not 0: neither is touched. At most 8 rounds of 10,000 issues, only when the answer did
 * not fit. Undefined: it does not fit that way either.
 */
export async function coerce(
  schema: Schema,
  body: unknown,
  issues: readonly StandardSchemaV1.Issue[],
  raw: Uint8Array,
): Promise<Coerced | undefined> {
  const spots = new Map<string, Spot>()
  let sources: unknown
  const sourceAt = (path: Path): string | undefined => {
    sources ??= withSources(raw)
    const found = lookUp(sources, path)
    return found instanceof Source ? found.text : undefined
  }
  let value: unknown
  for (let round = 0, left = issues; round < rounds; round++) {
    let moved = false
    for (const issue of left.slice(0, mostIssues)) {
      const path = pathOf(issue)
      const name = JSON.stringify(path)
      let spot = spots.get(name)
      if (!spot)
        spots.set(name, (spot = { path, candidates: candidates(lookUp(body, path), () => sourceAt(path)), at: -1 }))
      if (spot.at + 1 >= spot.candidates.length) continue
      spot.at++
      value ??= structuredClone(body)
      if (path.length === 0) value = spot.candidates[spot.at]
      else (lookUp(value, path.slice(0, -1)) as Record<PropertyKey, unknown>)[path.at(-1)!] = spot.candidates[spot.at]
      moved = true
    }
    if (!moved) return undefined
    const result = await schema['~standard'].validate(value)
    if (!result.issues) return { value: result.value, coercions: coercionsOf(body, spots.values()) }
    left = result.issues
  }
  return undefined
}

type Path = readonly (string | number)[]
type Spot = { readonly path: Path; readonly candidates: readonly unknown[]; at: number }

function pathOf(issue: StandardSchemaV1.Issue): Path {
  return (issue.path ?? []).map((segment) => {
    const key = typeof segment === 'object' ? segment.key : segment
    return typeof key === 'number' ? key : String(key)
  })
}

/** Other spellings of this value, the likelier first. */
function candidates(value: unknown, source: () => string | undefined): readonly unknown[] {
  if (value === 'true' || value === 'false') return [value === 'true']
  if (typeof value === 'string') return value.length <= 100 && numeric.test(value) ? numbers(value) : []
  if (typeof value !== 'number') return []
  const text = source()
  if (text === undefined) return []
  return whole.test(text) ? [text, BigInt(text)] : [text]
}

const whole = /^-?(?:0|[1-9]\d{0,99})$/
const numeric = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?$/

function numbers(text: string): readonly unknown[] {
  const n = Number(text)
  if (whole.test(text)) return Number.isSafeInteger(n) ? [n, BigInt(text)] : [BigInt(text)]
  const digits = text.replace(/[eE].*$/, '').replace(/^-?0*\.?0*|\./g, '')
  return Number.isFinite(n) && digits.length <= 15 ? [n] : []
}

function lookUp(value: unknown, path: Path): unknown {
  let at = value
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as Readonly<Record<PropertyKey, unknown>>)[key]
  }
  return at
}

/** A number as it is written in the answer. */
class Source {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

type WithSource = (
  text: string,
  reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
) => unknown

/** The answer with every number as its text. It was parsed before, so it can be parsed. */
function withSources(raw: Uint8Array): unknown {
  // The third argument of a reviver is in V8 since Node 21, and not yet in the types.
  return (JSON.parse as WithSource)(new TextDecoder().decode(raw), (_, value, { source }) =>
    typeof value === 'number' && source !== undefined ? new Source(source) : value,
  )
}

/** What was changed in the end, each path once. A number read as a bigint is not told: JSON has no other way to say it. */
function coercionsOf(body: unknown, spots: Iterable<Spot>): readonly Coercion[] {
  const found = new Map<string, Coercion>()
  for (const { path, candidates: all, at } of spots) {
    const to = typeof all[at]
    if (at < 0 || (to === 'bigint' && typeof lookUp(body, path) === 'number')) continue
    const shown = path.reduce<string>(
      (text, key) => text + (typeof key === 'number' ? '[]' : text === '' ? key : `.${key}`),
      '',
    )
    found.set(shown, { path: shown, from: to === 'string' ? 'number' : 'text', to: to === 'string' ? 'text' : to })
  }
  return [...found.values()]
}
