import { checkOptions, type Problem } from '#kernel/definition.ts'
import { isFieldName } from '../check/parts.ts'

/**
 * The version of their API that this connection was written for: sent with every request in a header (`Stripe-Version`) or a query
 * parameter (`api-version`). With neither it stands in the path of `baseUrl`, and is checked to be there.
 */
export type ApiVersion = {
  readonly value: string
  readonly header?: string
  readonly query?: string
  /** The day on which they stop it, out of their announcements: `'2027-06-30'`. Told 90, 30, 7 and 1 days before. */
  readonly ends?: string
}

export function apiVersionProblems(path: string, version: unknown, baseUrl: unknown): Problem[] {
  if (version === undefined) return []
  const problems = checkOptions(path, version, ['value', 'header', 'query', 'ends'])
  if (typeof version !== 'object' || version === null) return problems
  const { value, header, query, ends } = version as Readonly<Record<string, unknown>>
  const add = (name: string, message: string, fix: string): void => {
    problems.push({ path: name === '' ? path : `${path}.${name}`, message, fix })
  }
  const written = typeof value === 'string' && /^[A-Za-z0-9._:/-]{1,100}$/.test(value)
  if (!written) add('value', 'is not a version', "use text such as '2026-01-31' or 'v2'")
  if (header !== undefined && query !== undefined) add('', 'is sent twice', 'keep `header` or `query`')
  if (header !== undefined && !isFieldName(header)) add('header', 'is not a field name', "use 'stripe-version'")
  if (query !== undefined && (typeof query !== 'string' || !/^[A-Za-z0-9._-]{1,100}$/.test(query)))
    add('query', 'is not a parameter', "use 'api-version'")
  const inPath = URL.parse(String(baseUrl))?.pathname.split('/').includes(String(value)) ?? false
  if (written && header === undefined && query === undefined && !inPath)
    add('', 'is nowhere sent: it is no part of the path of baseUrl', 'add `header` or `query`, or correct baseUrl')
  if (ends !== undefined && !isDay(ends)) add('ends', 'is not a day', "use '2027-06-30'")
  return problems
}

function isDay(value: unknown): boolean {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\d$/.test(value)) return false
  const at = Date.parse(value)
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(value)
}
