import type { Code } from '#kernel/codes.ts'
import type { HttpResponse } from '#kernel/http.ts'
import { parseJson } from '#kernel/json.ts'
import type { Left } from '../../answers/rate-limit.ts'
import type { Reading } from '../protocol.ts'

type Fields = Readonly<Record<string, unknown>>

/** What is asked about an answer: see `Document` and `GraphqlOptions`. */
export type Reader = { readonly mutation: boolean; readonly accept: boolean }

/**
 * Reads an answer by GraphQL over HTTP: `{ data, errors, extensions }` under any status when it is
 * application/graphql-response+json, under 2xx otherwise; elsewhere the status alone speaks, unless an error has a code that we
 * know. Never throws: what is not GraphQL is `connection.response`.
 *
 * The gravest code among the errors decides. A mutation of which a part has happened is `connection.failed` whatever the code: to
 * repeat it would repeat that part.
 */
export function readGraphql(response: HttpResponse, { mutation, accept }: Reader): Reading {
  const { status } = response
  const success = status >= 200 && status < 300
  let body: unknown
  try {
    body = response.body.byteLength === 0 ? undefined : parseJson(response.body)
  } catch {
    return success ? { body: undefined, meant: unreadable('json') } : { body: undefined }
  }
  const { data, errors = [], extensions } = isFields(body) ? body : { data: undefined }
  const list = (Array.isArray(errors) ? (errors as unknown[]) : []).filter(isFields)
  const cost = costOf(isFields(extensions) ? extensions['cost'] : undefined)
  const left = cost?.left
  const reading = { body, ...(left ? { left } : {}) }
  if (list.length === 0) {
    if (!success) return reading
    if (!isFields(data)) return { ...reading, meant: unreadable('shape') }
    return { ...reading, value: accept ? { data, errors: [] } : data }
  }
  const some = isFields(data) && Object.values(data).some((v) => v !== null)
  if (some && success && accept) return { ...reading, value: { data, errors: list } }
  const code = gravest(list)
  const speaks = success || response.headers['content-type']?.startsWith('application/graphql-response+json')
  if (code === undefined && !speaks) return reading
  const detail = { errors: list.slice(0, 5).map(shown), ...(some ? { partial: true } : {}) }
  if (some && mutation) return { ...reading, meant: { code: 'connection.failed', detail } }
  const wait = code === 'connection.throttled' ? cost?.wait : undefined
  return {
    ...reading,
    meant: { code: code ?? 'connection.rejected', detail, ...(wait === undefined ? {} : { retryAfter: wait }) },
  }
}

const unreadable = (reason: string): NonNullable<Reading['meant']> => ({
  code: 'connection.response',
  detail: { reason },
})

/** Codes of `extensions.code` (Apollo, Shopify, Hasura …) and of `type` (GitHub). Graver ones first. */
const codes: readonly (readonly [Code, readonly string[]])[] = [
  [
    'connection.throttled',
    ['THROTTLED', 'RATE_LIMITED', 'RATE_LIMIT', 'RATE_LIMIT_EXCEEDED', 'RATELIMITED', 'TOO_MANY_REQUESTS'],
  ],
  ['connection.credential', ['UNAUTHENTICATED', 'UNAUTHORIZED', 'INVALID_JWT', 'AUTHENTICATION_ERROR']],
  ['connection.forbidden', ['FORBIDDEN', 'ACCESS_DENIED', 'INSUFFICIENT_SCOPES', 'SHOP_INACTIVE']],
  ['connection.unavailable', ['SERVICE_UNAVAILABLE', 'UNAVAILABLE']],
  [
    'connection.failed',
    [
      'INTERNAL_SERVER_ERROR',
      'INTERNAL_ERROR',
      'INTERNAL',
      'TIMEOUT',
      'GATEWAY_TIMEOUT',
      'UNEXPECTED',
      'DOWNSTREAM_SERVICE_ERROR',
    ],
  ],
  ['connection.conflict', ['CONFLICT']],
  ['connection.not_found', ['NOT_FOUND']],
]

function gravest(errors: readonly Fields[]): Code | undefined {
  const named = new Set(errors.map((e) => codeOf(e)?.toUpperCase().replaceAll('-', '_')))
  return codes.find(([, names]) => names.some((n) => named.has(n)))?.[0]
}

function codeOf(error: Fields): string | undefined {
  const { extensions, type } = error
  const code = isFields(extensions) ? extensions['code'] : undefined
  return typeof code === 'string' ? code : typeof type === 'string' ? type : undefined
}

/** Code and place are identifiers of theirs; the message may quote what was sent, so it is only in the call record. */
function shown(error: Fields): Fields {
  const code = codeOf(error)
  const path = Array.isArray(error['path']) ? error['path'].slice(0, 10).join('.') : undefined
  return {
    ...(code === undefined ? {} : { code: code.slice(0, 100) }),
    ...(path === undefined ? {} : { path: path.slice(0, 200) }),
  }
}

/**
 * What the cost of a call leaves of a leaky bucket of points (Shopify: `throttleStatus`), counted in calls as dear as this one; `wait` is the
 * time, milliseconds, until there is enough for one. Left for as long as one call takes to be restored: the next answer says more.
 */
function costOf(cost: unknown): { readonly left: Left; readonly wait: number } | undefined {
  if (!isFields(cost) || !isFields(cost['throttleStatus'])) return undefined
  const points = Math.max(1, Number(cost['actualQueryCost'] ?? cost['requestedQueryCost']))
  const { currentlyAvailable, restoreRate } = cost['throttleStatus']
  const available = Number(currentlyAvailable)
  const rate = Number(restoreRate)
  if (!(available >= 0) || !(rate > 0) || !Number.isFinite(points)) return undefined
  const needed = Math.max(points, Number(cost['requestedQueryCost']) || 0)
  const wait = Math.ceil((Math.max(0, needed - available) / rate) * 1_000)
  const remaining = Math.floor(available / needed)
  return { left: { remaining, reset: remaining === 0 ? wait : Math.ceil((needed / rate) * 1_000) }, wait }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
