import { answerMedia, requestMedia, type Media } from './media.ts'
import type { LeftOut, Operation } from './model.ts'
import { camel, type Names } from './names.ts'
import { guessPages } from './paging.ts'
import { fixedValue, headerUse, queryFields, readParameter, type Parameter } from './parameters.ts'
import { lineOf } from './path.ts'
import { isPlain, type Plain, type Version } from './read.ts'
import { follow, type Documents, type Place } from './refs.ts'
import { merged } from './merge.ts'
import { type Schemas } from './schemas.ts'
import type { Field, Shape } from './shape.ts'
import * as swagger from './swagger.ts'
import { firstSentence, oneLine } from './text.ts'

/** An operation as it stands in the description. */
export type Raw = {
  readonly method: string
  readonly path: string
  readonly node: Plain
  readonly item: Plain
  readonly uri: string
}

const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'query']
const bodiless = new Set(['GET', 'HEAD', 'OPTIONS'])

/** All operations, in the order of the document. `trace` is none that an integration calls. */
export function operationsIn(documents: Documents): Raw[] {
  const doc = documents.all.get(documents.root)!
  const paths = isPlain(doc['paths']) ? doc['paths'] : {}
  const found: Raw[] = []
  for (const [path, value] of Object.entries(paths)) {
    if (!path.startsWith('/')) continue
    const { node: item, uri } = follow(documents, { node: value, uri: documents.root })
    if (!isPlain(item)) continue
    for (const [method, node] of Object.entries(item)) {
      if (methods.includes(method) && isPlain(node)) found.push({ method: method.toUpperCase(), path, node, item, uri })
    }
  }
  return found
}

export type Reading = {
  readonly documents: Documents
  readonly version: Version
  readonly doc: Plain
  readonly schemas: Schemas
  readonly names: Names
  /** Header of an idempotency key that they take with every POST and PATCH. */
  readonly key: string | undefined
  /** Whether an operation's own servers are another API. */
  readonly elsewhere: (servers: unknown) => boolean
}

export function readOperation(raw: Raw, reading: Reading): Operation | LeftOut {
  const { node, item, method, path } = raw
  const { documents, schemas, version } = reading
  const line = `${method} ${path}`
  const left = (why: string): LeftOut => ({ line, why })
  if (reading.elsewhere(node['servers'] ?? item['servers'])) return left('it is on another server')
  const old = version === '2.0'
  const places = [...listOf(item['parameters']), ...listOf(node['parameters'])].map((p) =>
    follow(documents, { node: p, uri: raw.uri }),
  )
  const bodies = places
    .map((p) => p.node)
    .filter((p): p is Plain => isPlain(p) && /^(?:body|formData)$/.test(String(p['in'])))
  const parameters = parametersOf(places, old, schemas)

  // The body first: its fields keep their names, parameters give way.
  const remarks: string[] = []
  const body = bodyOf(raw, bodies, reading)
  if (typeof body === 'string') return left(body)
  const inBody = body && !bodiless.has(method) ? body : undefined
  const shape = inBody && schemas.resolved(inBody.shape)
  const names = new Set(shape ? fieldNames(shape, schemas) : [])

  const fields: Field[] = []
  const pathFields: Field[] = []
  const query: string[] = []
  const defaults = new Map<string, unknown>()
  for (const p of parameters.filter((p) => p.in === 'query')) {
    const spelled = queryFields(p, schemas)
    if (typeof spelled === 'string') {
      if (p.required) return left(spelled)
      remarks.push(`left out: ${spelled}`)
      continue
    }
    for (const field of spelled) {
      if (field.name === '__proto__' || query.includes(field.name)) continue
      if (names.has(field.name)) {
        if (field.required) return left(`query and body both have a field ${field.name}`)
        remarks.push(`left out: the query parameter ${field.name}, because the body has a field of this name`)
        continue
      }
      fields.push(field)
      query.push(field.name)
      defaults.set(field.name, isPlain(p.schema) ? p.schema['default'] : undefined)
    }
  }
  const taken = new Set([...names, ...query])

  const inPath = parameters.filter((p) => p.in === 'path')
  const fixed = new Map(
    inPath.map((p) => [p.name, fixedValue(p)] as const).filter((e): e is [string, string] => e[1] !== undefined),
  )
  const prefixes = new Map(
    inPath.map((p) => [p.name, p.style === 'label' ? '.' : p.style === 'matrix' ? `;${p.name}=` : ''] as const),
  )
  const written = lineOf(method, path, fixed, prefixes, taken)
  if (typeof written === 'string') return left(written)
  for (const [name, field] of written.params) {
    const p = inPath.find((one) => one.name === name)
    const known = p && schemas.resolved(p.shape)
    const value: Shape = known?.is === 'list' ? { is: 'joined', of: p!.shape, by: ',' } : (p?.shape ?? { is: 'string' })
    if (known?.is === 'object') return left(`its path parameter ${name} is an object`)
    taken.add(field)
    pathFields.push({ name: field, shape: value, required: true, ...(p && p.note !== '' ? { note: p.note } : {}) })
  }

  let key = method === 'POST' || method === 'PATCH' ? reading.key : undefined
  const headers: Record<string, string> = {}
  const headerFields: Record<string, string> = {}
  for (const p of parameters.filter((p) => p.in === 'header')) {
    const use = headerUse(p, taken)
    const name = p.name.toLowerCase()
    if (use.use === 'key' && !bodiless.has(method)) key = name
    else if (use.use === 'always') headers[name] = use.value
    else if (use.use === 'field' && !taken.has(use.field)) {
      headerFields[use.field] = name
      taken.add(use.field)
      fields.push({
        name: use.field,
        shape: p.shape,
        required: p.required,
        note: firstSentence(p.note || `Header ${p.name}.`, 160),
      })
    }
  }
  for (const p of parameters.filter((p) => p.in === 'cookie'))
    remarks.push(`left out: the cookie ${oneLine(p.name, 60)}`)

  const { answers, answerHeaders } = answersOf(raw, reading)
  const answer = answerMedia(answers, documents, schemas)
  if (inBody && inBody.as === 'json' && inBody.type !== 'application/json' && !inBody.type.includes('*')) {
    headers['content-type'] = inBody.type
  }
  if (answer?.as === 'json' && answer.type.includes('+json')) headers['accept'] = answer.type
  const input = inputOf([...pathFields, ...fields], inBody, taken, schemas)
  if (typeof input === 'string') return left(input)
  const output = answer && (answer.shape.is === 'unknown' ? undefined : answer.shape)
  const pages = method === 'GET' ? guessPages(defaults, output, answerHeaders, schemas) : undefined
  const id = typeof node['operationId'] === 'string' ? node['operationId'] : undefined
  const wanted = camel(id ?? '') ?? camel(`${method.toLowerCase()} ${path.replaceAll(/[{}]/g, ' ')}`) ?? 'call'
  const asked = exampleOf(parameters, written.params, inBody)
  return {
    name: reading.names.take(wanted),
    line,
    http: written.http,
    ...(id === undefined ? {} : { id: oneLine(id) }),
    tags: listOf(node['tags']).filter((t): t is string => typeof t === 'string'),
    note: firstSentence(node['summary'] ?? node['description'], 160),
    ...(node['deprecated'] === true ? { deprecated: true } : {}),
    ...(input.shape === undefined ? {} : { input: input.shape }),
    ...(output === undefined ? {} : { output }),
    query: inBody || method === 'POST' || method === 'PUT' || method === 'PATCH' ? query : [],
    ...(inBody && (inBody.as === 'form' || method === 'DELETE') ? { body: inBody.as as 'form' | 'json' } : {}),
    ...(input.bodyField === undefined ? {} : { bodyField: input.bodyField }),
    // An answer of which nothing is known must not be refused for what it is.
    ...(answer === undefined
      ? { answer: 'text' }
      : answer.as === 'json'
        ? {}
        : { answer: answer.as as 'text' | 'bytes' }),
    ...(key === undefined ? {} : { key }),
    headers,
    headerFields,
    ...(pages === undefined ? {} : { pages }),
    remarks,
    ...(asked === undefined ? {} : { example: asked }),
    ...(shown(answer?.example) === undefined ? {} : { exampleAnswer: shown(answer?.example)! }),
  }
}

function parametersOf(places: readonly Place[], old: boolean, schemas: Schemas): Parameter[] {
  const found = new Map<string, Parameter>()
  for (const { node, uri } of places) {
    if (!isPlain(node) || /^(?:body|formData)$/.test(String(node['in']))) continue
    const p = readParameter(old ? swagger.parameter(node) : node, uri, schemas)
    // An operation's own parameter stands for that of its path.
    if (p) found.set(`${p.in} ${p.name}`, p)
  }
  return [...found.values()]
}

function bodyOf(raw: Raw, bodies: readonly Plain[], reading: Reading): Media | string | undefined {
  const { documents, doc, schemas, version } = reading
  if (bodiless.has(raw.method)) return undefined
  const consumes = listOf(raw.node['consumes'] ?? doc['consumes'])
  const given = version === '2.0' ? swagger.requestBody(bodies, consumes) : raw.node['requestBody']
  if (given === undefined) return undefined
  const place = follow(documents, { node: given, uri: raw.uri })
  if (!isPlain(place.node)) return undefined
  const media = requestMedia(place.node, place, documents, schemas)
  // What need not be sent does not keep the rest from being called.
  if (typeof media === 'string') return place.node['required'] === true || version === '2.0' ? media : undefined
  return media
}

/** The successful answers: every 2xx, or `default` where there is none. */
function answersOf(
  raw: Raw,
  reading: Reading,
): { readonly answers: readonly Place[]; readonly answerHeaders: readonly string[] } {
  const { documents, doc, version } = reading
  const responses = isPlain(raw.node['responses']) ? raw.node['responses'] : {}
  const good = Object.keys(responses)
    .filter((s) => /^2(?:\d\d|XX)$/i.test(s))
    .toSorted()
  const chosen = good.length > 0 ? good : Object.hasOwn(responses, 'default') ? ['default'] : []
  const produces = listOf(raw.node['produces'] ?? doc['produces'])
  const answers = chosen.map((status) => {
    const place = follow(documents, { node: responses[status], uri: raw.uri })
    return version === '2.0' && isPlain(place.node) ? { ...place, node: swagger.response(place.node, produces) } : place
  })
  const answerHeaders = answers.flatMap((a) =>
    isPlain(a.node) && isPlain(a.node['headers']) ? Object.keys(a.node['headers']) : [],
  )
  return { answers, answerHeaders }
}

type Input = { readonly shape?: Shape; readonly bodyField?: string }

/** Parameters and body as one input: the body's fields beside the parameters, or the body as a field when it has none. */
function inputOf(
  fields: readonly Field[],
  body: Media | undefined,
  taken: ReadonlySet<string>,
  schemas: Schemas,
): Input | string {
  const own: Shape | undefined = fields.length > 0 ? { is: 'object', fields, rest: false } : undefined
  if (!body) return own ? { shape: own } : {}
  const shape = schemas.resolved(body.shape)
  const plain = shape.is === 'nullable' ? schemas.resolved(shape.of) : shape
  if (plain.is === 'bytes' || holdsBytes(plain, schemas)) return 'its body holds a file'
  if (plain.is === 'unknown') return { shape: own ? { is: 'object', fields, rest: plain } : plain }
  const objects =
    plain.is === 'object' || (plain.is === 'union' && plain.of.every((s) => schemas.resolved(s).is === 'object'))
  if (!own) return body.as === 'form' && !objects ? 'its form is not described as fields' : { shape: body.shape }
  if (plain.is === 'object') {
    // The body's own shape is kept, with its name, and the parameters are added to it.
    const named = body.shape.is === 'ref' && shape.is === 'object'
    return { shape: named ? { is: 'both', of: [body.shape, own] } : merged([plain, own], (s) => schemas.resolved(s)) }
  }
  if (objects) return { shape: merged([own, plain], (s) => schemas.resolved(s)) }
  if (body.as === 'form') return 'its form is not described as fields'
  const bodyField = taken.has('body') ? 'content' : 'body'
  return {
    shape: { is: 'object', fields: [...fields, { name: bodyField, shape: body.shape, required: true }], rest: false },
    bodyField,
  }
}

/** Names that a body has for its fields, alternatives included. One that contains itself is looked into 4 deep. */
function fieldNames(shape: Shape, schemas: Schemas, depth = 0): string[] {
  const at = schemas.resolved(shape)
  if (at.is === 'object') return at.fields.map((f) => f.name)
  if (depth > 4) return []
  if (at.is === 'union' || at.is === 'both') return at.of.flatMap((s) => fieldNames(s, schemas, depth + 1))
  return at.is === 'nullable' ? fieldNames(at.of, schemas, depth + 1) : []
}

function holdsBytes(shape: Shape, schemas: Schemas): boolean {
  return shape.is === 'object' && shape.fields.some((f) => schemas.resolved(f.shape).is === 'bytes')
}

/** The input of the description's own examples, where they make a whole one. */
function exampleOf(
  parameters: readonly Parameter[],
  params: ReadonlyMap<string, string>,
  body: Media | undefined,
): string | undefined {
  const input: Record<string, unknown> = isPlain(body?.example) ? { ...body.example } : {}
  if (body && !isPlain(body.example)) return undefined
  for (const p of parameters) {
    const value = p.example ?? (isPlain(p.schema) ? (p.schema['example'] ?? p.schema['default']) : undefined)
    if (p.in === 'path' && params.has(p.name)) {
      if (value === undefined) return undefined
      input[params.get(p.name)!] = value
    } else if (p.in === 'query' && p.required) {
      if (value === undefined) return undefined
      input[p.name] = value
    }
  }
  return shown(input)
}

/** An example that is short enough to be read in a comment. */
function shown(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const text = JSON.stringify(value)
  return text.length <= 400 && text.length > 2 ? text : undefined
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value.slice(0, 1_000) : []
}
