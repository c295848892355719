import { isPlain } from './read.ts'
import type { Field, ObjectShape, Shape } from './shape.ts'
import type { Kept, State } from './state.ts'
import type { Direction } from './zod.ts'

export type Change = {
  readonly line: string
  readonly change: 'added' | 'removed' | 'changed'
  /** Code that was right before may be wrong now. */
  readonly breaking: boolean
  /** What, at most 8 of it. */
  readonly what: readonly string[]
}

/** Most differences that are told of one operation; deepest nesting that is compared. */
const bounds = { told: 8, depth: 12 } as const

/**
 * What changed in the API for those who call it. Breaking are: an operation, or a field of its answer, that is gone; a
 * field that has become required, or a value that is no longer taken, in what is sent; one that may now be absent or null
 * in what comes back; another type. `all` are the lines of all operations that the API has now, chosen or not.
 */
export function compare(before: State, now: State, all: ReadonlySet<string>): Change[] {
  const lines = [...new Set([...Object.keys(before.operations), ...Object.keys(now.operations)])].toSorted()
  const changes: Change[] = []
  for (const line of lines) {
    const was = Object.hasOwn(before.operations, line) ? before.operations[line] : undefined
    const is = Object.hasOwn(now.operations, line) ? now.operations[line] : undefined
    if (!was) changes.push({ line, change: 'added', breaking: false, what: [] })
    else if (!is) {
      // What is there still was not chosen this time.
      if (!all.has(line)) changes.push({ line, change: 'removed', breaking: true, what: [] })
    } else {
      const found = new Comparison(before.schemas, now.schemas).operation(was, is)
      if (found.length > 0) {
        const what = found.slice(0, bounds.told).map((f) => f.text)
        const more = found.length > bounds.told ? [`and ${found.length - bounds.told} more`] : []
        changes.push({ line, change: 'changed', breaking: found.some((f) => f.breaking), what: [...what, ...more] })
      }
    }
  }
  return changes
}

type Difference = { readonly text: string; readonly breaking: boolean }

class Comparison {
  readonly #was: Readonly<Record<string, Shape>>
  readonly #is: Readonly<Record<string, Shape>>
  readonly #seen = new Set<string>()
  readonly #found: Difference[] = []

  constructor(was: Readonly<Record<string, Shape>>, is: Readonly<Record<string, Shape>>) {
    this.#was = was
    this.#is = is
  }

  operation(was: Kept, is: Kept): readonly Difference[] {
    if (was.name !== is.name) this.#add(`its name is ${is.name}, it was ${was.name}`, true)
    if (was.answer !== is.answer) this.#add(`answers ${is.answer ?? 'json'}, not ${was.answer ?? 'json'}`, true)
    if ((was.key === undefined) !== (is.key === undefined)) {
      this.#add(
        is.key === undefined ? 'takes no idempotency key any more' : 'takes an idempotency key',
        is.key === undefined,
      )
    }
    if (was.body !== is.body) this.#add(`its body is sent as ${is.body ?? 'json'}`, false)
    this.#shapes(was.input ?? none, is.input ?? none, 'in', 'input', 0)
    this.#shapes(was.output ?? unknown, is.output ?? unknown, 'out', 'output', 0)
    return this.#found
  }

  #add(text: string, breaking: boolean): void {
    this.#found.push({ text, breaking })
  }

  #shapes(before: Shape, after: Shape, direction: Direction, path: string, depth: number): void {
    if (depth > bounds.depth) return
    if (before.is === 'ref' && after.is === 'ref') {
      const pair = `${direction} ${before.to} ${after.to}`
      if (this.#seen.has(pair)) return
      this.#seen.add(pair)
    }
    const [a, mayA] = bare(before, this.#was)
    const [b, mayB] = bare(after, this.#is)
    // Null where there was none surprises who reads; null that is not taken any more, who sends it.
    if (mayA !== mayB) this.#add(`${path} may ${mayB ? '' : 'no longer '}be null`, mayB === (direction === 'out'))
    if (a.is === 'object' && b.is === 'object') return this.#objects(a, b, direction, path, depth)
    if (a.is === 'list' && b.is === 'list') return this.#shapes(a.of, b.of, direction, `${path}[]`, depth + 1)
    if (a.is === 'values' && b.is === 'values') return this.#values(a.values, b.values, direction, path)
    if (a.is === 'both' || b.is === 'both' || a.is === 'union' || b.is === 'union') {
      if (!same(a, b)) this.#add(`${path} has other alternatives`, true)
      // The same words may stand for something else by now.
      else if ('of' in a && 'of' in b && Array.isArray(a.of) && Array.isArray(b.of)) {
        for (const [i, one] of a.of.entries()) this.#shapes(one as Shape, b.of[i] as Shape, direction, path, depth + 1)
      }
      return
    }
    if (a.is !== b.is) {
      // Whatever it is by now, nobody relied on what it was.
      const looser = a.is === 'unknown' || (b.is === 'unknown' && direction === 'in')
      return this.#add(`${path} is ${named(b)}, it was ${named(a)}`, !looser)
    }
    if (direction === 'in' && narrower(a, b)) this.#add(`${path} has narrower limits`, true)
  }

  #objects(a: ObjectShape, b: ObjectShape, direction: Direction, path: string, depth: number): void {
    const was = fieldsOf(a, direction)
    const is = fieldsOf(b, direction)
    for (const [name, field] of was) {
      const after = is.get(name)
      const at = `${path}.${name}`
      if (!after) this.#add(`${at} is gone`, true)
      else {
        if (field.required !== after.required) {
          this.#add(`${at} is ${after.required ? 'required' : 'optional'} now`, after.required === (direction === 'in'))
        }
        this.#shapes(field.shape, after.shape, direction, at, depth + 1)
      }
    }
    for (const [name, field] of is) {
      if (was.has(name)) continue
      const must = direction === 'in' && field.required
      this.#add(`${path}.${name} is new${must ? ' and required' : ''}`, must)
    }
    if (a.rest && b.rest) this.#shapes(a.rest, b.rest, direction, `${path}.*`, depth + 1)
  }

  #values(a: readonly unknown[], b: readonly unknown[], direction: Direction, path: string): void {
    const gone = a.filter((v) => !b.includes(v))
    const more = b.filter((v) => !a.includes(v))
    if (gone.length > 0) this.#add(`${path} is no longer ${shown(gone)}`, direction === 'in')
    if (more.length > 0) this.#add(`${path} may be ${shown(more)}`, false)
  }
}

const unknown: Shape = { is: 'unknown' }
const none: Shape = { is: 'object', fields: [] }

/** The shape behind names and wrappers, and whether it may be null. */
function bare(shape: Shape, schemas: Readonly<Record<string, Shape>>): [Shape, boolean] {
  let at: Shape = shape
  let may = false
  for (let i = 0; i < 50; i++) {
    if (at.is === 'ref') at = Object.hasOwn(schemas, at.to) ? schemas[at.to]! : unknown
    else if (at.is === 'nullable' || at.is === 'optional' || at.is === 'joined') {
      may ||= at.is !== 'joined'
      at = at.of
    } else break
  }
  // A state that was edited may hold anything.
  return [isPlain(at) && typeof at.is === 'string' ? at : unknown, may]
}

function fieldsOf(shape: ObjectShape, direction: Direction): Map<string, Field> {
  const other = direction === 'in' ? 'read' : 'write'
  const fields = Array.isArray(shape.fields) ? shape.fields : []
  return new Map(fields.filter((f) => f.only !== other).map((f) => [f.name, f]))
}

function same(a: Shape, b: Shape): boolean {
  const bareOf = (key: string, value: unknown): unknown => (key === 'note' ? undefined : value)
  return JSON.stringify(a, bareOf) === JSON.stringify(b, bareOf)
}

function narrower(a: Shape, b: Shape): boolean {
  type Limits = { readonly least?: number; readonly most?: number; readonly above?: number; readonly below?: number }
  const [was, is] = [a as Limits, b as Limits]
  const lower = (x: Limits): number =>
    Math.max(x.least ?? Number.NEGATIVE_INFINITY, x.above ?? Number.NEGATIVE_INFINITY)
  const upper = (x: Limits): number => Math.min(x.most ?? Number.POSITIVE_INFINITY, x.below ?? Number.POSITIVE_INFINITY)
  return lower(is) > lower(was) || upper(is) < upper(was)
}

function named(shape: Shape): string {
  return shape.is === 'values' ? `one of ${shown(shape.values)}` : shape.is
}

function shown(values: readonly unknown[]): string {
  const some = values.slice(0, 5).map((v) => JSON.stringify(v)?.slice(0, 40))
  return `${some.join(', ')}${values.length > 5 ? ', …' : ''}`
}
