import { milliseconds, type Duration } from '#kernel/duration.ts'
import { fault } from '#kernel/fault.ts'
import type { HttpRequest } from '#kernel/http.ts'
import type { Verdict } from '#resilience/policy.ts'
import { cacheRules, type CacheRules } from './cache/define.ts'
import type { ConnectionOptions, Operation, OperationSpec, Timeouts } from './define.ts'
import { jsonText, notFields } from './json-text.ts'
import { protocolOf, type Protocol } from './protocols/protocol.ts'
import type { PageStep } from './paging/paging.ts'
import { isRecord, withPage } from './paging/place.ts'
import { placed } from './placement.ts'
import { expandPath, formString, parseTemplate, pathShape, queryString, without } from './template.ts'
import type { QueryStyle, Template } from './template.ts'
import { verdict } from './answers/verdict.ts'

/** What an operation sends for an input: the path with its query, and the body. */
export type Rendered = {
  readonly path: string
  readonly body: string | Uint8Array | undefined
  /** In addition to the operation's, for this request only. */
  readonly headers?: Readonly<Record<string, string>>
  /** Asks only for what has changed. */
  readonly conditional?: true
}

/** An operation made ready: everything that does not depend on the input is worked out once. */
export type Ready = {
  readonly connection: string
  readonly name: string
  readonly spec: OperationSpec
  readonly method: string
  /** The method sends no body, whatever the input. */
  readonly bodiless: boolean
  /** `/charges/:id`: for metrics and logs. */
  readonly shape: string
  /** Carries an idempotency key. */
  readonly keyed: boolean
  /** Twice has the effect of once by method or by declaration. */
  readonly natural: boolean
  /** The same, or by key. */
  readonly repeatable: boolean
  /** May change something, and twice is more than once. */
  readonly risky: boolean
  /** Good answers are kept, for a fallback. */
  readonly remembers: boolean
  /** Good answers are kept, and given again while they are fresh. */
  readonly cache: CacheRules | undefined
  readonly keyHeader: string
  /** Everything but credential and key. */
  readonly headers: Readonly<Record<string, string>>
  readonly answer: 'json' | 'text' | 'bytes'
  readonly timeouts: Required<HttpRequest['timeouts']>
  readonly protocol: Protocol | undefined
  readonly judge: (error: unknown) => Verdict
  render(input: unknown, step?: PageStep): Rendered
}

const safe: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'QUERY'])
const idempotent: ReadonlySet<string> = new Set([...safe, 'PUT', 'DELETE'])
const never: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** DELETE has a body only where one was asked for: RFC 9110 gives it no meaning, and some proxies drop it. */
function isBodiless(method: string, spec: OperationSpec): boolean {
  if (method !== 'DELETE') return never.has(method)
  return spec.body === undefined && spec.bodyField === undefined
}

/** RFC 9110 §9.2.1. */
export function isSafe(method: string): boolean {
  return safe.has(method)
}

/** Throws `config.option` when the line cannot be read; `checkConnection` has said so before. */
export function prepare(operation: Operation<unknown, unknown>, options: ConnectionOptions): Ready {
  const { spec } = operation
  const template = versioned(parseTemplate(spec.http), options)
  if ('problem' in template) {
    throw fault('config.option', { message: `${operation.connection}.${operation.name}: the line ${template.problem}` })
  }
  const { method } = template
  const { apiVersion: version } = options
  const keyed = spec.idempotent === 'key'
  const protocol = protocolOf(spec, method)
  const nature = protocol?.natural ?? idempotent.has(method)
  const natural = spec.idempotent === 'natural' || (spec.idempotent !== false && nature)
  const repeatable = keyed || natural
  const again = repeatable || spec.verify !== undefined
  const bodiless = isBodiless(method, spec)
  const type = bodiless ? {} : { 'content-type': spec.body === 'form' ? form : json }
  return {
    connection: operation.connection,
    name: operation.name,
    spec,
    method,
    bodiless,
    shape: pathShape(template),
    keyed,
    natural,
    repeatable,
    risky: !natural && !safe.has(method),
    remembers: spec.fallback?.some((step) => 'cached' in step) ?? false,
    cache: cacheRules(spec, options, method),
    keyHeader: (spec.keyHeader ?? 'idempotency-key').toLowerCase(),
    headers: {
      accept: spec.answer === undefined || spec.answer === 'json' ? json : '*/*',
      'accept-encoding': options.compressed === true ? 'gzip, br' : 'identity',
      'user-agent': 'fairlead',
      ...type,
      ...protocol?.headers,
      ...lowered(version?.header === undefined ? undefined : { [version.header]: version.value }),
      ...lowered(options.headers),
      ...lowered(spec.headers),
    },
    answer: spec.answer ?? 'json',
    timeouts: timeoutsOf(options, spec),
    protocol,
    judge: (error) => verdict(error, again),
    render: paged(
      protocol?.encode
        ? enclosed(template, basePath(options.baseUrl), protocol.encode)
        : placed(renderer(template, spec, basePath(options.baseUrl), options.queryStyle), spec),
      spec,
      bodiless && !protocol?.encode,
    ),
  }
}

/** A pinned version that goes into the query is part of the line's own query. */
function versioned(
  template: ReturnType<typeof parseTemplate>,
  { apiVersion }: ConnectionOptions,
): ReturnType<typeof parseTemplate> {
  if ('problem' in template || apiVersion?.query === undefined) return template
  const query = `${apiVersion.query}=${encodeURIComponent(apiVersion.value)}`
  return { ...template, query: template.query === '' ? query : `${template.query}&${query}` }
}

/** `render` that puts what a page asks for into the input, wherever that goes; the same function for an operation without pages. */
function paged(render: Ready['render'], spec: OperationSpec, bodiless: boolean): Ready['render'] {
  if (spec.pages === undefined) return render
  const flat = new Set([...(spec.query ?? []), ...Object.keys(spec.headerFields ?? {})])
  const nested = (name: string): boolean => !bodiless && !flat.has(name)
  return (input, step) => render(step?.fields ? withPage(input, step.fields, nested) : input, step)
}

const json = 'application/json'
const form = 'application/x-www-form-urlencoded'

function renderer(template: Template, spec: OperationSpec, base: string, style?: QueryStyle): Ready['render'] {
  const inQuery = isBodiless(template.method, spec)
  const queryNames = new Set(spec.query)
  const params = new Set(template.params)
  const taken = new Set([...params, ...queryNames])
  const plain = params.size === 0 && queryNames.size === 0
  return (input, step) => {
    if (step?.headers !== undefined) return { ...render(input, step), headers: step.headers }
    return render(input, step)
  }

  function render(input: unknown, step: PageStep | undefined): Rendered {
    if (step?.path !== undefined) return { path: step.path, body: undefined }
    if (!isRecord(input) || (plain && !inQuery)) return whole(input)
    const path = base + expandPath(template, input)
    if (inQuery) {
      return {
        path: withQuery(path, template.query, queryString(without(input, params), style)),
        body: undefined,
      }
    }
    const asked: Record<string, unknown> = {}
    for (const name of queryNames) if (Object.hasOwn(input, name)) asked[name] = input[name]
    const rest = without(input, taken)
    // All of it went into the path and the query: an empty object would be a body that nobody asked for.
    const empty = Object.keys(rest).length === 0 && Object.keys(input).length > 0
    return {
      path: withQuery(path, template.query, queryString(asked, style)),
      body: empty ? undefined : encoded(rest, spec),
    }
  }

  function whole(input: unknown): Rendered {
    if (params.size > 0 || (input !== undefined && inQuery)) throw notFields(isRecord(input) ? undefined : input)
    const path = withQuery(base + template.texts[0]!, template.query, '')
    return { path, body: input === undefined ? undefined : encoded(input, spec) }
  }
}

/** The whole input, path parameters aside, as one thing that a protocol understands. */
function enclosed(template: Template, base: string, encode: NonNullable<Protocol['encode']>): Ready['render'] {
  const params = new Set(template.params)
  return (input = {}) => {
    if (!isRecord(input)) throw notFields(input)
    const fields = encode(without(input, params))
    const path = base + expandPath(template, input)
    if ('body' in fields) return { path: withQuery(path, template.query, ''), body: fields.body }
    return { path: withQuery(path, template.query, queryString(fields.query)), body: undefined }
  }
}

function encoded(value: unknown, spec: OperationSpec): string {
  if (spec.body === 'form') {
    if (!isRecord(value)) throw notFields(value)
    return formString(value)
  }
  return jsonText(value)
}

function withQuery(path: string, fixed: string, asked: string): string {
  if (fixed === '' && asked === '') return path
  return `${path}?${fixed}${fixed !== '' && asked !== '' ? '&' : ''}${asked}`
}

function timeoutsOf(options: ConnectionOptions, spec: OperationSpec): Required<HttpRequest['timeouts']> {
  const all: Timeouts = typeof options.timeout === 'string' ? { total: options.timeout } : (options.timeout ?? {})
  const total = milliseconds(spec.timeout ?? all.total ?? '30s')
  // An operation that is given longer than the connection's total may also be silent for longer.
  const firstByte: Duration = all.firstByte ?? (total > 30_000 ? `${total}ms` : '10s')
  return {
    connect: Math.min(total, milliseconds(all.connect ?? '3s')),
    firstByte: Math.min(total, milliseconds(firstByte)),
    idle: Math.min(total, milliseconds(all.idle ?? firstByte)),
    total,
  }
}

/** `/v2` of `https://api.example.com/v2/`. */
function basePath(baseUrl: string): string {
  return new URL(baseUrl).pathname.replace(/\/+$/, '')
}

function lowered(headers: Readonly<Record<string, string>> | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]))
}
