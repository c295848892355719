import { fault } from '#kernel/fault.ts'

/**
 * The line of an operation, parsed: `'GET /shops/:shop/orders.json?status=any'`. A `:name` after `/`, `.`, `-`, `,` or
 * `=` is a parameter; a colon behind a letter or digit is literal (`/v1/books:batchGet`).
 */
export type Template = {
  readonly method: Method
  /** Literal text and parameters in turn: `texts[0] params[0] texts[1] …`, so always one text more than parameters. */
  readonly texts: readonly string[]
  readonly params: readonly string[]
  /** The fixed query of the line, without `?`. */
  readonly query: string
}

export const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY'] as const
export type Method = (typeof methods)[number]

const line = /^([A-Z]+) (\/[^\s?#]*)(?:\?([^\s#]*))?$/
const parameter = /(?<![A-Za-z0-9]):([A-Za-z_][A-Za-z0-9_]*)/g
const allowed = /^[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*$/
const broken = /%(?![0-9A-Fa-f]{2})/
const dots = /(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i

/** The template of a line, or what is wrong with it. */
export function parseTemplate(http: unknown): Template | { readonly problem: string } {
  const match = typeof http === 'string' && http.length <= 2000 ? line.exec(http) : null
  if (!match) return { problem: 'is not a method, one space and a path that begins with "/"' }
  const [, method, path = '', query = ''] = match
  if (!methods.includes(method as Method)) return { problem: `has the unknown method ${method}` }
  if (!allowed.test(path) || broken.test(path)) return { problem: 'has a character in its path that must be encoded' }
  if (!/^[A-Za-z0-9\-._~!$&'()*+,;=:@%/?[\]]*$/.test(query) || broken.test(query)) {
    return { problem: 'has a character in its query that must be encoded' }
  }
  if (dots.test(path)) return { problem: 'has a "." or ".." segment' }
  const texts: string[] = []
  const params: string[] = []
  let at = 0
  for (const found of path.matchAll(parameter)) {
    texts.push(path.slice(at, found.index))
    params.push(found[1]!)
    at = found.index + found[0].length
  }
  texts.push(path.slice(at))
  if (new Set(params).size < params.length) return { problem: 'uses a parameter twice' }
  if (params.includes('__proto__')) return { problem: 'uses a parameter that could reach a prototype' }
  return { method: method as Method, texts, params, query }
}

/** The line again: `parseTemplate` of it gives the same template. */
export function printTemplate(t: Template): string {
  return `${t.method} ${pathShape(t)}${t.query ? `?${t.query}` : ''}`
}

/** The path with its parameter names, for logs and metrics: few different values, whatever the input. */
export function pathShape(t: Template): string {
  return t.params.reduce((path, name, i) => `${path}:${name}${t.texts[i + 1]}`, t.texts[0]!)
}

/**
 * The path with every parameter percent-encoded (RFC 3986), so that no value can leave its segment. Throws
 * `schema.invalid` for a value that is missing, empty, `.`, `..`, not text, number or boolean, or not well-formed Unicode.
 */
export function expandPath(t: Template, input: Readonly<Record<string, unknown>>): string {
  let path = t.texts[0]!
  for (let i = 0; i < t.params.length; i++) path += segment(t.params[i]!, input) + t.texts[i + 1]!
  return path
}

function segment(name: string, input: Readonly<Record<string, unknown>>): string {
  const text = Object.hasOwn(input, name) ? scalar(input[name]) : undefined
  if (text === undefined) throw refuse(name, 'a path parameter must be text, a number or a boolean')
  if (text === '' || text === '.' || text === '..')
    throw refuse(name, 'a path parameter must not be empty, "." or ".."')
  return encode(name, text)
}

/**
 * How a query spells a list and an object. `repeat`: `a=x&a=y`, no objects. `brackets`: as in a form, `a[]=x&b[c]=y`. `comma`: `a=x,y`, no objects.
 */
export type QueryStyle = 'repeat' | 'brackets' | 'comma'

/**
 * Absent and null values are left out, dates are ISO 8601 in UTC, names and values are percent-encoded. Throws
 * `schema.invalid` for an object where the style has no spelling for it.
 */
export function queryString(input: Readonly<Record<string, unknown>>, style: QueryStyle = 'repeat'): string {
  if (style === 'brackets') return formString(input)
  let out = ''
  for (const name of Object.keys(input)) {
    const value = input[name]
    if (value === undefined || value === null) continue
    const lead = out === '' ? '' : '&'
    if (!Array.isArray(value)) {
      out += `${lead}${encode(name, name)}=${queryText(name, value)}`
      continue
    }
    const texts = (value as unknown[]).map((one) => queryText(name, one))
    if (texts.length === 0) continue
    const key = encode(name, name)
    out += lead + (style === 'comma' ? `${key}=${texts.join(',')}` : texts.map((text) => `${key}=${text}`).join('&'))
  }
  return out
}

function queryText(name: string, value: unknown): string {
  const text = scalar(value)
  if (text === undefined)
    throw refuse(name, 'a query value must be text, a number, a boolean, a date or a list of these')
  return encode(name, text)
}

/** `a=1&b[c]=x&d[]=y&e[0][f]=z` as application/x-www-form-urlencoded: objects and lists by brackets, as Stripe, Rails and PHP read them. At most 20 levels deep. */
export function formString(input: Readonly<Record<string, unknown>>): string {
  const out: string[] = []
  const walk = (name: string, value: unknown, depth: number): void => {
    if (value === undefined || value === null) return
    const text = scalar(value)
    if (text !== undefined) return void out.push(`${encode(name, name)}=${encode(name, text)}`)
    if (typeof value !== 'object' || depth > 20) throw refuse(name, 'this value cannot be written into a form')
    // Of a list of objects the places must be told, or their fields fall into one.
    const plain = Array.isArray(value) && value.every((v) => typeof v !== 'object' || v === null)
    for (const [key, v] of Object.entries(value)) walk(`${name}[${plain ? '' : key}]`, v, depth + 1)
  }
  for (const name of Object.keys(input)) walk(name, input[name], 0)
  return out.join('&')
}

/** The part of `input` that is not named, as a copy; the input itself when nothing is. */
export function without(
  input: Readonly<Record<string, unknown>>,
  names: ReadonlySet<string>,
): Readonly<Record<string, unknown>> {
  if (names.size === 0) return input
  return Object.fromEntries(Object.entries(input).filter(([name]) => !names.has(name)))
}

function scalar(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : undefined
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString()
  return undefined
}

/** Nearly all names, and most values, stand for themselves. */
const unreserved = /^[A-Za-z0-9_.~-]*$/

function encode(name: string, text: string): string {
  if (unreserved.test(text)) return text
  if (!text.isWellFormed()) throw refuse(name, 'the text is not well-formed Unicode')
  return encodeURIComponent(text)
}

function refuse(path: string, message: string): Error {
  return fault('schema.invalid', { message: `${path}: ${message}`, detail: { issues: [{ path, message }] } })
}
