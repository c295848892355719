import type { Raw, Reading } from './operations.ts'
import { fixedValue, headerUse, queryFields, type Parameter } from './parameters.ts'
import { lineOf } from './path.ts'
import { isPlain } from './read.ts'
import type { Field, Shape } from './shape.ts'
import { firstSentence, oneLine } from './text.ts'

/** Where the parameters of an operation go: the line, and the fields of its input. */
export type Places = {
  readonly http: string
  /** Name in the description → name in the line. */
  readonly params: ReadonlyMap<string, string>
  readonly path: readonly Field[]
  /** Of the query and of headers. */
  readonly fields: readonly Field[]
  /** Query field → its default, in order. */
  readonly query: ReadonlyMap<string, unknown>
  readonly headers: Readonly<Record<string, string>>
  readonly headerFields: Readonly<Record<string, string>>
  /** Header of the idempotency key. */
  readonly key: string | undefined
  /** Names of all fields, the body's included. */
  readonly taken: ReadonlySet<string>
  readonly remarks: readonly string[]
}

/** Decides it; a reason where the operation cannot be called without a parameter that has no place. */
export function placesOf(
  raw: Raw,
  parameters: readonly Parameter[],
  body: readonly string[],
  reading: Reading,
): Places | string {
  const { schemas } = reading
  const remarks = parameters.filter((p) => p.in === 'cookie').map((p) => `left out: the cookie ${oneLine(p.name, 60)}`)
  const taken = new Set(body)
  const asked = queryOf(parameters, taken, reading, remarks)
  if (typeof asked === 'string') return asked
  for (const name of asked.query.keys()) taken.add(name)

  const inPath = new Map(parameters.filter((p) => p.in === 'path').map((p) => [p.name, p]))
  const written = lineOf(raw.method, raw.path, fixedIn(inPath), prefixesOf(inPath), taken)
  if (typeof written === 'string') return written
  const path: Field[] = []
  for (const [name, field] of written.params) {
    const p = inPath.get(name)
    const known = p && schemas.resolved(p.shape)
    if (known?.is === 'object') return `its path parameter ${name} is an object`
    const shape: Shape =
      p === undefined ? { is: 'string' } : known?.is === 'list' ? { is: 'joined', of: p.shape, by: ',' } : p.shape
    taken.add(field)
    path.push({ name: field, shape, required: true, ...(p && p.note !== '' ? { note: p.note } : {}) })
  }
  const sent = headersOf(raw.method, parameters, taken, reading.key)
  const { http, params } = written
  return { http, params, path, ...asked, ...sent, fields: [...asked.fields, ...sent.fields], taken, remarks }
}

/** The fields of the query. What has no spelling, or the name of a field of the body, is left out where it may be. */
function queryOf(
  parameters: readonly Parameter[],
  taken: ReadonlySet<string>,
  { schemas, brackets }: Reading,
  remarks: string[],
): Pick<Places, 'fields' | 'query'> | string {
  const fields: Field[] = []
  const query = new Map<string, unknown>()
  for (const p of parameters.filter((p) => p.in === 'query')) {
    const spelled = queryFields(p, schemas, brackets)
    if (typeof spelled === 'string') {
      if (p.required) return spelled
      remarks.push(`left out: ${spelled}`)
      continue
    }
    for (const field of spelled) {
      if (field.name === '__proto__' || query.has(field.name)) continue
      if (!taken.has(field.name)) {
        fields.push(field)
        query.set(field.name, isPlain(p.schema) ? p.schema['default'] : undefined)
      } else if (field.required) return `query and body both have a field ${field.name}`
      else remarks.push(`left out: the query parameter ${field.name}, because the body has a field of this name`)
    }
  }
  return { fields, query }
}

/** Parameters of the path whose value is known. */
function fixedIn(inPath: ReadonlyMap<string, Parameter>): Map<string, string> {
  const values = [...inPath].map(([name, p]) => [name, fixedValue(p)] as const)
  return new Map(values.filter((entry): entry is [string, string] => entry[1] !== undefined))
}

/** What the styles of a path put in front of a value. */
function prefixesOf(inPath: ReadonlyMap<string, Parameter>): Map<string, string> {
  return new Map(
    [...inPath].map(([name, { style }]) => [name, style === 'label' ? '.' : style === 'matrix' ? `;${name}=` : '']),
  )
}

function headersOf(
  method: string,
  parameters: readonly Parameter[],
  taken: Set<string>,
  given: string | undefined,
): Pick<Places, 'fields' | 'headers' | 'headerFields' | 'key'> {
  const mutates = !['GET', 'HEAD', 'OPTIONS', 'QUERY'].includes(method)
  let key = method === 'POST' || method === 'PATCH' ? given : undefined
  const fields: Field[] = []
  const headers: Record<string, string> = {}
  const headerFields: Record<string, string> = {}
  for (const p of parameters.filter((p) => p.in === 'header')) {
    const use = headerUse(p, taken)
    const name = p.name.toLowerCase()
    if (use.use === 'key' && mutates) key = name
    else if (use.use === 'always') headers[name] = use.value
    else if (use.use === 'field' && !taken.has(use.field)) {
      headerFields[use.field] = name
      taken.add(use.field)
      const note = firstSentence(p.note || `Header ${p.name}.`, 160)
      fields.push({ name: use.field, shape: p.shape, required: p.required, note })
    }
  }
  return { fields, headers, headerFields, key }
}
