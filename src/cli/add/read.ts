import { isAlias, parseDocument, visit } from 'yaml'
import { fault, isFault } from '#kernel/fault.ts'
import { parseJsonText } from '#kernel/json.ts'

/** Largest description in bytes (GitHub's has 13 MB), most values in it, most levels, most aliases of YAML. */
export const bounds = { bytes: 67_108_864, yaml: 16_777_216, values: 5_000_000, depth: 128, aliases: 1_000 } as const

export type Plain = Readonly<Record<string, unknown>>

/**
 * The text of a description as plain data, from JSON or YAML. Throws `add.document`, which says what the text is instead
 * (an HTML page, an archive …) and what to do.
 */
export function readText(text: string, where: string): Plain {
  const start = text.slice(0, 2_000).trimStart()
  if (start === '') throw wrong(where, 'is empty', 'name a file or address that holds an OpenAPI document')
  if (/^<(?:!doctype|html|\?xml|!--)/i.test(start)) {
    const page = /^<\?xml/i.test(start) ? 'an XML document' : 'an HTML page'
    throw wrong(where, `is ${page}`, 'look there for the address of the document itself: openapi.json, openapi.yaml')
  }
  if (start.startsWith('PK\u0003\u0004') || text.includes('\u0000')) {
    throw wrong(where, 'is not text', 'unpack it and name the JSON or YAML file')
  }
  const value = start.startsWith('{') || start.startsWith('[') ? readJson(text, where) : readYaml(text, where)
  if (!isPlain(value)) throw wrong(where, 'is not an object', 'name an OpenAPI document')
  return value
}

function readJson(text: string, where: string): unknown {
  try {
    // A byte order mark is no part of the text.
    return parseJsonText(text.replace(/^\ufeff/, ''))
  } catch (e) {
    const [reason, fix] = isFault(e, 'input.prototype')
      ? ['has a key `__proto__`', 'remove it: no field of an API has this name']
      : [`is not valid JSON${placeOf(e, text)}`, 'correct it, or ask for it again: it may have been cut off']
    throw wrong(where, reason, fix, e)
  }
}

function placeOf(e: unknown, text: string): string {
  const cause = isFault(e) && e.cause instanceof Error ? e.cause.message : ''
  const at = /position (\d+)/.exec(cause)?.[1]
  if (at === undefined)
    return isFault(e) && e.message.includes('deeper') ? `: it nests deeper than ${bounds.depth} levels` : ''
  return ` (line ${text.slice(0, Number(at)).split('\n').length})`
}

function readYaml(text: string, where: string): unknown {
  if (text.length > bounds.yaml) {
    throw wrong(where, 'is YAML of more than 16 MiB', 'convert it to JSON')
  }
  let value: unknown
  try {
    const doc = parseDocument(text, {
      prettyErrors: true,
      strict: true,
      uniqueKeys: true,
      version: '1.2',
      logLevel: 'silent',
    })
    const [problem] = doc.errors
    if (problem) {
      const at = problem.linePos?.[0].line
      throw wrong(
        where,
        `is neither JSON nor valid YAML${at === undefined ? '' : ` (line ${at})`}`,
        'name an OpenAPI document',
      )
    }
    let aliases = 0
    visit(doc, (_, node) => (isAlias(node) && ++aliases > bounds.aliases ? visit.BREAK : undefined))
    if (aliases > bounds.aliases)
      throw wrong(where, `has more than ${bounds.aliases} YAML aliases`, 'write the values out')
    value = doc.toJS({ maxAliasCount: bounds.aliases })
  } catch (e) {
    if (isFault(e)) throw e
    throw wrong(
      where,
      'is YAML that cannot be read: it nests too deep, or its aliases grow without end',
      'simplify it',
      e,
    )
  }
  // Through text: an alias becomes a copy, a date a text, and the rules for JSON hold for YAML too.
  const size = sizeOf(value)
  if (size === undefined)
    throw wrong(where, 'is too large, or nests too deep, once its aliases are written out', 'simplify it')
  return typeof value === 'object' && value !== null ? readJson(JSON.stringify(value), where) : value
}

/** How many values there are when shared ones are counted each time; undefined when too many or too deep. */
function sizeOf(value: unknown): number | undefined {
  let count = 0
  const walk = (v: unknown, depth: number): boolean => {
    if (++count > bounds.values || depth > bounds.depth) return false
    if (typeof v !== 'object' || v === null) return true
    return Object.values(v).every((one) => walk(one, depth + 1))
  }
  return walk(value, 0) ? count : undefined
}

export type Version = '2.0' | '3.0' | '3.1' | '3.2'

/** Which OpenAPI it is. Throws `add.document` for anything else, and says what it is where that can be seen. */
export function versionOf(doc: Plain, where: string): Version {
  const { swagger, openapi } = doc
  if (swagger === '2.0' || swagger === 2) return '2.0'
  const version = typeof openapi === 'number' ? openapi.toFixed(1) : typeof openapi === 'string' ? openapi : ''
  const found = /^3\.([0-2])(?:\.|$)/.exec(version)
  if (found) return `3.${found[1]! as '0' | '1' | '2'}`
  if (openapi !== undefined || swagger !== undefined) {
    const said = JSON.stringify(openapi ?? swagger)?.slice(0, 20)
    throw wrong(where, `says that it is OpenAPI ${said}, which is not known`, 'known are 2.0 (Swagger) and 3.0 to 3.2')
  }
  const other = kinds.find(([, is]) => is(doc))
  if (!other) throw wrong(where, 'is not an OpenAPI document', 'it must begin with `openapi: 3.…` or `swagger: "2.0"`')
  throw wrong(where, `is ${other[0]}, not an OpenAPI document`, other[2])
}

const kinds: readonly (readonly [name: string, is: (doc: Plain) => boolean, fix: string])[] = [
  [
    'a Postman collection',
    (d) => isPlain(d['info']) && (String(d['info']['schema']).includes('getpostman.com') || '_postman_id' in d['info']),
    "export it from Postman as OpenAPI (the collection's menu, Generate specification)",
  ],
  ['an AsyncAPI document', (d) => 'asyncapi' in d, 'it describes messages; a connection needs the HTTP operations'],
  [
    'an Arazzo document',
    (d) => 'arazzo' in d,
    'it describes workflows: name the document that its sourceDescriptions point at',
  ],
  ['an OpenAPI overlay', (d) => 'overlay' in d, 'apply it to its document first'],
  ['an Insomnia export', (d) => d['_type'] === 'export', 'export the design document as OpenAPI'],
  ['a HAR recording', (d) => isPlain(d['log']) && 'entries' in d['log'], 'a recording describes no API'],
  ['a RAML or WADL document', (d) => 'resourceTypes' in d || 'baseUri' in d, 'convert it to OpenAPI'],
  ['a GraphQL schema', (d) => '__schema' in d || (isPlain(d['data']) && '__schema' in d['data']), 'use the HTTP API'],
  ['a JSON Schema', (d) => '$schema' in d || '$defs' in d, 'it describes data, but no operations'],
  ['an answer of an API', (d) => 'error' in d || 'errors' in d || 'message' in d, 'it may need a login, or have moved'],
]

export function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function wrong(where: string, what: string, fix: string, cause?: unknown): Error {
  return fault('add.document', {
    message: `${where} ${what}`,
    detail: { fix },
    ...(cause === undefined ? {} : { cause }),
  })
}
