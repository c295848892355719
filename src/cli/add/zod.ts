import { chained, list, print, record, typeRecord, type Code, type Item } from './code.ts'
import { inOrder } from './graph.ts'
import type { Names } from './names.ts'
import { isLinear } from './pattern.ts'
import { merged } from './merge.ts'
import type { Field, ObjectShape, Shape } from './shape.ts'
import { key, literal, oneLine, quoted } from './text.ts'

/**
 * `in`: what we send, checked strictly, since a field that they do not know is a mistake of ours. `out`: what comes back,
 * read leniently: other fields pass, a list of values may have grown, limits and formats are their affair.
 */
export type Direction = 'in' | 'out'

/** Shapes as code of zod, with the named schemas that they use as constants in front. */
export class Zod {
  readonly #schemas: Readonly<Record<string, Shape>>
  readonly #names = new Map<string, string>()
  #cyclic: ReadonlySet<string> = new Set()
  #order: readonly string[] = []
  /** Whether the code uses `open(…)`. */
  opens = false

  constructor(
    schemas: Readonly<Record<string, Shape>>,
    roots: readonly { readonly shape: Shape; readonly direction: Direction }[],
    names: Names,
  ) {
    this.#schemas = schemas
    const start = roots.flatMap(({ shape, direction }) =>
      refsOf(shape, direction, schemas).map((to) => `${direction} ${to}`),
    )
    const { order, cyclic } = inOrder([...new Set(start)], (node) => {
      const [direction, name] = node.split(' ') as [Direction, string]
      return refsOf(schemas[name]!, direction, schemas).map((to) => `${direction} ${to}`)
    })
    this.#order = order
    this.#cyclic = cyclic
    for (const end of ['out', 'in']) {
      for (const node of order) {
        const [direction, name] = node.split(' ') as [Direction, string]
        if (direction === end) this.#names.set(node, names.take(name, direction === 'in' ? 'Input' : ''))
      }
    }
  }

  /** The named schemas, each with its type, in an order in which they can be read. */
  declarations(): string[] {
    return this.#order.map((node) => {
      const [direction, schema] = node.split(' ') as [Direction, string]
      const name = this.#names.get(node)!
      const shape = this.#schemas[schema]!
      const head = `export const ${name}`
      if (!this.#cyclic.has(node)) {
        const code = print(this.code(shape, direction), 0, head.length + 3)
        return `${head} = ${code}\nexport type ${name} = z.infer<typeof ${name}>`
      }
      // It is all or part of itself: the type is written out, because none can be inferred, and reading it is put off.
      const type = print(this.#type(shape, direction), 0, `export type ${name} = `.length)
      const begin = `${head}: z.ZodType<${name}, ${name}> = `
      return `export type ${name} = ${type}\n${begin}${print(list('z.lazy(() => ', [this.code(shape, direction)], ')'), 0, begin.length)}`
    })
  }

  code(shape: Shape, direction: Direction): Code {
    switch (shape.is) {
      case 'unknown':
      case 'never':
      case 'boolean':
      case 'null':
        return `z.${shape.is}()`
      case 'bytes':
        return 'z.string()'
      case 'string':
        return direction === 'out' ? 'z.string()' : stringCode(shape)
      case 'number':
        return direction === 'out' ? 'z.number()' : numberCode(shape)
      case 'values':
        return this.#values(shape.values, direction)
      case 'list': {
        const array = list('z.array(', [this.code(shape.of, direction)], ')')
        return direction === 'out' ? array : chained(array, limits(shape, 'min', 'max'))
      }
      case 'object':
        return this.#object(shape, direction)
      case 'union':
        return this.#union(shape, direction)
      case 'both':
        return this.#both(shape.of, direction)
      case 'nullable':
        return chained(this.code(shape.of, direction), '.nullable()')
      case 'optional':
        return chained(this.code(shape.of, direction), '.optional()')
      case 'joined':
        return chained(
          this.code(shape.of, direction),
          shape.by === 'json'
            ? '.transform((value) => JSON.stringify(value))'
            : `.transform((list) => list.join(${quoted(shape.by)}))`,
        )
      case 'ref': {
        const scalar = scalarOf(shape, this.#schemas)
        return scalar ? this.code(scalar, direction) : this.#names.get(`${direction} ${shape.to}`)!
      }
    }
  }

  #values(values: readonly (string | number | boolean)[], direction: Direction): Code {
    if (values.length === 1) return `z.literal(${literal(values[0]!)})`
    const texts = values.filter((v) => typeof v === 'string')
    const all = values.map(literal)
    if (texts.length === values.length) {
      if (direction === 'out') {
        this.opens = true
        return list('open([', all, '])')
      }
      return texts.includes('__proto__') ? list('z.literal([', all, '])') : list('z.enum([', all, '])')
    }
    if (direction === 'out' && values.every((v) => typeof v === 'number')) return 'z.number()'
    return list('z.literal([', all, '])')
  }

  #object(shape: ObjectShape, direction: Direction): Code {
    const { rest } = shape
    const fields = fieldsOf(shape, direction)
    if (fields.length === 0 && rest !== false && shape.fields.length === 0) {
      const value = rest === undefined ? 'z.unknown()' : this.code(rest, direction)
      return list('z.record(', ['z.string()', value], ')')
    }
    const loose = direction === 'out' || (rest !== undefined && rest !== false) || hidden(shape, direction)
    const items = fields.map((f) => this.#field(f, direction))
    return record(`z.${loose ? 'looseObject' : 'strictObject'}({`, items, '})')
  }

  #field(f: Field, direction: Direction): Item {
    const code = this.code(f.shape, direction)
    const note = f.note === undefined ? [] : [`/** ${oneLine(f.note, 200)} */`]
    return { note, key: f.name, code: f.required ? code : chained(code, '.optional()') }
  }

  #union(shape: UnionShape, direction: Direction): Code {
    const tags = this.#tags(shape, direction)
    if (!tags) {
      const options = shape.of.map((s) => this.code(s, direction))
      return list('z.union([', options, '])')
    }
    const { field } = shape.by!
    const options = tags.map(({ name, values, told }) => {
      if (told) return name
      const tag = values.length === 1 ? `z.literal(${quoted(values[0]!)})` : list('z.enum([', values.map(quoted), '])')
      return record(`${name}.extend({`, [{ key: field, code: tag }], '})')
    })
    return list(`z.discriminatedUnion(${quoted(field)}, [`, options, '])')
  }

  /**
   * The options of a union whose discriminator can be relied on; undefined where each option has to be tried instead: one is
   * no object with a constant of its own, may come without the field, or says itself that the field is something else.
   */
  #tags(shape: UnionShape, direction: Direction): readonly Tag[] | undefined {
    const { by } = shape
    if (!by || unsafe.has(by.field) || by.field === '__proto__') return undefined
    const found: Tag[] = []
    for (const [i, option] of shape.of.entries()) {
      const values = by.values[i]!
      const name = option.is === 'ref' ? this.#final(option.to) : undefined
      const object = name === undefined ? undefined : this.#schemas[name]
      if (name === undefined || this.#cyclic.has(`${direction} ${name}`) || object?.is !== 'object') return undefined
      const field = fieldsOf(object, direction).find((f) => f.name === by.field && f.required)
      const own = field && this.#resolved(field.shape)
      const fits = own?.is === 'string' || (own?.is === 'values' && values.every((v) => own.values.includes(v)))
      if (!own || !fits || values.includes('__proto__')) return undefined
      const told = own.is === 'values' && own.values.length === 1
      found.push({ name: this.#names.get(`${direction} ${name}`)!, values, told })
    }
    return found
  }

  #both(parts: readonly Shape[], direction: Direction): Code {
    const [first, ...others] = parts
    const objects = parts.map((p) => this.#resolved(p))
    if (objects.every((o) => o.is === 'object')) {
      const base = first?.is === 'ref' ? `${direction} ${this.#final(first.to)}` : undefined
      const empty = objects[0]!.is === 'object' && objects[0]!.fields.length === 0
      if (
        base !== undefined &&
        !this.#cyclic.has(base) &&
        !empty &&
        others.length === 1 &&
        objects[1]!.is === 'object'
      ) {
        const items = fieldsOf(objects[1]!, direction).map((f) => this.#field(f, direction))
        return record(`${this.#names.get(base)!}.extend({`, items, '})')
      }
      return this.code(
        merged(objects, (s) => this.#resolved(s)),
        direction,
      )
    }
    // What we send is checked against one of them only: strict objects, side by side, refuse each other's fields.
    if (direction === 'in') return 'z.unknown()'
    return parts.map((p) => this.code(p, direction)).reduce((a, b) => list('z.intersection(', [a, b], ')'))
  }

  /** The last name of a chain of names that only stand for each other. */
  #final(name: string): string {
    let at = name
    for (let i = 0; i < 50; i++) {
      const shape = this.#schemas[at]!
      if (shape.is !== 'ref') break
      at = shape.to
    }
    return at
  }

  #resolved(shape: Shape): Shape {
    let at = shape
    for (let i = 0; at.is === 'ref' && i < 50; i++) at = this.#schemas[at.to]!
    return at
  }

  /** The type of a shape, as `z.infer` would give it. */
  #type(shape: Shape, direction: Direction): Code {
    switch (shape.is) {
      case 'bytes':
      case 'string':
        return 'string'
      case 'values': {
        const all = shape.values.map(literal).join(' | ')
        if (direction === 'in' || shape.values.length === 1) return all
        if (shape.values.every((v) => typeof v === 'string')) return `${all} | (string & {})`
        return shape.values.every((v) => typeof v === 'number') ? 'number' : all
      }
      case 'list':
        return list('Array<', [this.#type(shape.of, direction)], '>')
      case 'object':
        return this.#objectType(shape, direction)
      case 'union': {
        const tags = this.#tags(shape, direction)
        const { field = '' } = shape.by ?? {}
        const tagged = ({ name, values, told }: Tag): string =>
          told ? name : `(${name} & { ${key(field)}: ${values.map(quoted).join(' | ')} })`
        return (tags?.map(tagged) ?? shape.of.map((s) => print(this.#type(s, direction)))).join(' | ')
      }
      case 'both': {
        const objects = shape.of.map((p) => this.#resolved(p))
        if (objects.every((o) => o.is === 'object')) {
          return this.#type(
            merged(objects, (s) => this.#resolved(s)),
            direction,
          )
        }
        return direction === 'in' ? 'unknown' : shape.of.map((s) => `(${print(this.#type(s, direction))})`).join(' & ')
      }
      case 'nullable':
        return `${print(this.#type(shape.of, direction))} | null`
      case 'optional':
        return `${print(this.#type(shape.of, direction))} | undefined`
      case 'joined':
        return 'string'
      case 'ref': {
        const scalar = scalarOf(shape, this.#schemas)
        return scalar ? this.#type(scalar, direction) : this.#names.get(`${direction} ${shape.to}`)!
      }
      default:
        return shape.is
    }
  }

  #objectType(shape: ObjectShape, direction: Direction): Code {
    const { rest } = shape
    const fields = fieldsOf(shape, direction)
    if (fields.length === 0 && rest !== false && shape.fields.length === 0) {
      return typeRecord([{ key: '[key: string]', code: rest === undefined ? 'unknown' : this.#type(rest, direction) }])
    }
    const items: Item[] = fields.map((f) => {
      const type = this.#type(f.shape, direction)
      const name = key(f.name)
      if (f.required) return { key: name, code: type }
      return { key: `${name}?`, code: typeof type === 'string' ? `${type} | undefined` : chained(type, ' | undefined') }
    })
    const loose = direction === 'out' || (rest !== undefined && rest !== false) || hidden(shape, direction)
    return typeRecord(loose ? [...items, { key: '[key: string]', code: 'unknown' }] : items)
  }
}

type UnionShape = Extract<Shape, { is: 'union' }>
/** An option of a union: its constant, the values that tell it, and whether it says so itself. */
type Tag = { readonly name: string; readonly values: readonly string[]; readonly told: boolean }

/** Every object has these by inheritance: read from one that does not have its own, they would not be what was sent. */
const unsafe = new Set(Object.getOwnPropertyNames(Object.prototype))

function fieldsOf(shape: ObjectShape, direction: Direction): Field[] {
  const other = direction === 'in' ? 'read' : 'write'
  return shape.fields.filter((f) => f.only !== other && !unsafe.has(f.name))
}

function hidden(shape: ObjectShape, direction: Direction): boolean {
  return direction === 'in' && shape.fields.some((f) => unsafe.has(f.name))
}

/** What a name stands for when that is a plain text, number or the like: it is written out where it is used. */
function scalarOf(shape: Shape, schemas: Readonly<Record<string, Shape>>): Shape | undefined {
  let at = shape
  for (let i = 0; at.is === 'ref' && i < 50; i++) at = schemas[at.to]!
  const inner = at.is === 'nullable' ? at.of : at
  return ['string', 'number', 'boolean', 'unknown', 'null', 'bytes', 'never'].includes(inner.is) ? at : undefined
}

function refsOf(shape: Shape, direction: Direction, schemas: Readonly<Record<string, Shape>>): string[] {
  const found = new Set<string>()
  const walk = (s: Shape): void => {
    if (s.is === 'ref') {
      if (!scalarOf(s, schemas)) found.add(s.to)
    } else if (s.is === 'object') {
      for (const f of fieldsOf(s, direction)) walk(f.shape)
      if (s.rest) walk(s.rest)
    } else if (s.is === 'union' || s.is === 'both') s.of.forEach(walk)
    else if ('of' in s) walk(s.of)
  }
  walk(shape)
  return [...found]
}

function stringCode(shape: Extract<Shape, { is: 'string' }>): string {
  const { format, pattern } = shape
  const base =
    format === 'date-time' ? 'z.iso.datetime({ offset: true })' : format === 'date' ? 'z.iso.date()' : 'z.string()'
  const regex = pattern !== undefined && isLinear(pattern) ? `.regex(new RegExp(${quoted(pattern)}, 'u'))` : ''
  return base + limits(shape, 'min', 'max') + regex
}

function numberCode(shape: Extract<Shape, { is: 'number' }>): string {
  const { above, below } = shape
  const base = shape.whole ? 'z.int()' : 'z.number()'
  return `${base}${bound(shape.least, 'min')}${bound(shape.most, 'max')}${bound(above, 'gt')}${bound(below, 'lt')}`
}

function bound(value: number | undefined, call: string): string {
  return value === undefined || Math.abs(value) > Number.MAX_SAFE_INTEGER ? '' : `.${call}(${String(value)})`
}

function limits(shape: { readonly least?: number; readonly most?: number }, min: string, max: string): string {
  return `${shape.least ? bound(shape.least, min) : ''}${bound(shape.most, max)}`
}
