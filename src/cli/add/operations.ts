import { answerMedia, requestMedia, type Media } from './media.ts'
import type { LeftOut, Operation } from './model.ts'
import { camel, type Names } from './names.ts'
import { guessPages } from './paging.ts'
import { readParameter, type Parameter } from './parameters.ts'
import { placesOf } from './places.ts'
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

/** Those without a body, whatever the description says. */
const bodiless: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])
const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'query']

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
  /** The connection has `queryStyle: 'brackets'`. */
  readonly brackets: boolean
  /** Header of an idempotency key that they take with every POST and PATCH. */
  readonly key: string | undefined
  /** Whether an operation's own servers are another API. */
  readonly elsewhere: (servers: unknown) => boolean
}

export function readOperation(raw: Raw, reading: Reading): Operation | LeftOut {
  const { node, item, method, path } = raw
  const { documents, schemas } = reading
  const line = `${method} ${path}`
  const left = (why: string): LeftOut => ({ line, why })
  if (reading.elsewhere(node['servers'] ?? item['servers'])) return left('it is on another server')
  const parameters = parametersOf(raw, reading)
  const body = bodyOf(raw, reading)
  if (typeof body === 'string') return left(body)
  // The body's fields keep their names: parameters give way.
  const shape = body && schemas.resolved(body.shape)
  const placed = placesOf(raw, parameters, shape ? fieldNames(shape, schemas) : [], reading)
  if (typeof placed === 'string') return left(placed)
  const input = inputOf([...placed.path, ...placed.fields], body, placed.taken, schemas)
  if (typeof input === 'string') return left(input)
  const { answers, answerHeaders } = answersOf(raw, reading)
  const answer = answerMedia(answers, documents, schemas)
  const output = answer && (answer.shape.is === 'unknown' ? undefined : answer.shape)
  const pages = method === 'GET' ? guessPages(placed.query, output, answerHeaders, schemas) : undefined
  const id = typeof node['operationId'] === 'string' ? node['operationId'] : undefined
  const wanted = camel(id ?? '') ?? camel(`${method.toLowerCase()} ${path.replaceAll(/[{}]/g, ' ')}`) ?? 'call'
  const example = exampleOf(parameters, placed.params, body)
  const exampleAnswer = shown(answer?.example)
  return {
    name: reading.names.take(wanted),
    line,
    http: placed.http,
    ...(id === undefined ? {} : { id: oneLine(id) }),
    tags: listOf(node['tags']).filter((t): t is string => typeof t === 'string'),
    note: firstSentence(node['summary'] ?? node['description'], 160),
    ...(node['deprecated'] === true ? { deprecated: true } : {}),
    ...(input.shape === undefined ? {} : { input: input.shape }),
    ...(output === undefined ? {} : { output }),
    query: body || ['POST', 'PUT', 'PATCH'].includes(method) ? [...placed.query.keys()] : [],
    ...(body && (body.as === 'form' || method === 'DELETE') ? { body: body.as as 'form' | 'json' } : {}),
    ...(input.bodyField === undefined ? {} : { bodyField: input.bodyField }),
    // An answer of which nothing is known must not be refused for what it is.
    ...(answer === undefined
      ? { answer: 'text' }
      : answer.as === 'json'
        ? {}
        : { answer: answer.as as 'text' | 'bytes' }),
    ...(placed.key === undefined ? {} : { key: placed.key }),
    headers: { ...placed.headers, ...typesOf(body, answer) },
    headerFields: placed.headerFields,
    ...(pages === undefined ? {} : { pages }),
    remarks: placed.remarks,
    ...(example === undefined ? {} : { example }),
    ...(exampleAnswer === undefined ? {} : { exampleAnswer }),
  }
}

/** Content types that are JSON under another name (`application/vnd.api+json`). */
function typesOf(body: Media | undefined, answer: Media | undefined): Record<string, string> {
  const own = body?.as === 'json' && body.type !== 'application/json' && !body.type.includes('*')
  return {
    ...(own ? { 'content-type': body.type } : {}),
    ...(answer?.as === 'json' && answer.type.includes('+json') ? { accept: answer.type } : {}),
  }
}

/** The parameters of an operation and its path, bodies of 2.0 aside. */
export function parametersOf(raw: Raw, reading: Pick<Reading, 'documents' | 'schemas' | 'version'>): Parameter[] {
  const found = new Map<string, Parameter>()
  for (const { node, uri } of placesIn(raw, reading.documents)) {
    if (!isPlain(node) || isBody(node)) continue
    const p = readParameter(reading.version === '2.0' ? swagger.parameter(node) : node, uri, reading.schemas)
    // An operation's own parameter stands for that of its path.
    if (p) found.set(`${p.in} ${p.name}`, p)
  }
  return [...found.values()]
}

function placesIn(raw: Raw, documents: Documents): Place[] {
  return [...listOf(raw.item['parameters']), ...listOf(raw.node['parameters'])].map((p) =>
    follow(documents, { node: p, uri: raw.uri }),
  )
}

/** What 2.0 calls a parameter and is the body, or a field of it. */
function isBody(node: Plain): boolean {
  return node['in'] === 'body' || node['in'] === 'formData'
}

function bodyOf(raw: Raw, reading: Reading): Media | string | undefined {
  const { documents, doc, schemas, version } = reading
  if (bodiless.has(raw.method)) return undefined
  const bodies = placesIn(raw, documents).map((p) => p.node)
  const consumes = listOf(raw.node['consumes'] ?? doc['consumes'])
  const given =
    version === '2.0' ? swagger.requestBody(bodies.filter(isPlain).filter(isBody), consumes) : raw.node['requestBody']
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
