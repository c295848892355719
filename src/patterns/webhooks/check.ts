import { checkName, checkOptions, type Problem } from '#kernel/definition.ts'
import { isDuration, milliseconds, type Duration } from '#kernel/duration.ts'
import { isSecret } from '#kernel/secret.ts'
import { isCredential } from './arrival.ts'
import type { Webhook } from './define.ts'

const known = [
  'path',
  'verify',
  'deliver',
  'otherwise',
  'id',
  'type',
  'tolerance',
  'maxBytes',
  'dedupe',
  'keep',
  'headers',
]
/** What the journal keeps inline: a larger arrival could be verified and then not be stored. */
const largest = 1_048_576

/** All problems of a webhook, each with its path and the fix. Empty: it may start. */
export function checkWebhook(def: Webhook): Problem[] {
  const at = `webhook(${JSON.stringify(def.name)?.slice(0, 80)})`
  return [
    ...checkName('webhook', def.name),
    ...(typeof def.name === 'string' && def.name.length > 55
      ? [problem(at, 'the name is too long for its inbox topic "webhook.<name>"', 'use at most 55 characters')]
      : []),
    ...checkOptions(at, def, ['kind', 'name', ...known]),
    ...checkPath(at, def.path),
    ...checkVerify(at, def),
    ...checkDeliver(at, def),
    ...checkFind(`${at}.id`, def.id),
    ...checkFind(`${at}.type`, def.type),
    ...checkSpan(`${at}.dedupe`, def.dedupe, '1h', '90d'),
    ...checkSpan(`${at}.keep`, def.keep, '1h', '3650d'),
    ...checkHeaders(at, def.headers),
    ...(Number.isInteger(def.maxBytes) && def.maxBytes >= 1 && def.maxBytes <= largest
      ? []
      : [problem(`${at}.maxBytes`, 'not a number of bytes in range', `use 1 to ${largest}, which is the default`)]),
  ]
}

function problem(path: string, message: string, fix: string): Problem {
  return { path, message, fix }
}

function checkPath(at: string, path: unknown): Problem[] {
  const good =
    typeof path === 'string' &&
    path.length <= 200 &&
    /^(?:\/[A-Za-z0-9._~-]+)+$/.test(path) &&
    !/\/\.\.?(?:\/|$)/.test(path)
  return good
    ? []
    : [
        problem(
          `${at}.path`,
          'not an exact path',
          "begin with '/', use letters, digits, '.', '_', '~', '-' and single slashes, at most 200 characters: '/hooks/payments'",
        ),
      ]
}

function checkVerify(at: string, def: Webhook): Problem[] {
  const path = `${at}.verify`
  const scheme = def.verify as Partial<Webhook['verify']> | undefined
  if (
    typeof scheme?.verifier !== 'function' ||
    typeof scheme.identify !== 'function' ||
    !Array.isArray(scheme.headers)
  ) {
    return [problem(path, 'not a signature scheme', "pass one, for example standardWebhooks(secret('HOOK_SECRET'))")]
  }
  const out: Problem[] = []
  if (!Array.isArray(scheme.secrets) || scheme.secrets.length === 0 || !scheme.secrets.every(isSecret)) {
    out.push(problem(`${path}.secrets`, 'a scheme needs references to its secrets', "pass secret('NAME'), not a value"))
  }
  const tolerance = def.tolerance ?? scheme.tolerance
  if (def.tolerance !== undefined && scheme.tolerance === undefined) {
    out.push(problem(`${at}.tolerance`, `the scheme ${scheme.name} signs no time`, 'remove it: dedupe stops repeats'))
  } else if (tolerance !== undefined) out.push(...checkSpan(`${at}.tolerance`, tolerance, '1s', '1h'))
  return out
}

function checkDeliver(at: string, def: Webhook): Problem[] {
  const path = `${at}.deliver`
  const out: Problem[] = []
  if (!['store', 'ignore', 'refuse'].includes(def.otherwise)) {
    out.push(problem(`${at}.otherwise`, 'unknown value', "use 'store', 'ignore' or 'refuse'"))
  }
  if (typeof def.deliver !== 'object' || def.deliver === null || Array.isArray(def.deliver)) {
    return [...out, problem(path, 'is missing', "name a topic for each event type: { 'charge.paid': orderPaid }")]
  }
  const routes = Object.entries(def.deliver)
  if (routes.length === 0 && def.otherwise !== 'store') {
    out.push(problem(path, 'no event could ever be accepted', "name event types, or set otherwise: 'store'"))
  }
  for (const [type, route] of routes) {
    const here = `${path}[${JSON.stringify(type)}]`
    const entry: unknown = route
    if (isTopic(entry)) continue
    const mapped = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>
    if (!isTopic(mapped['to'])) {
      out.push(problem(here, 'leads to no topic', 'pass a topic, or { to: topic, map }'))
      continue
    }
    out.push(...checkOptions(here, mapped, ['to', 'map', 'key']))
    for (const name of ['map', 'key']) {
      if (mapped[name] !== undefined && typeof mapped[name] !== 'function') {
        out.push(problem(`${here}.${name}`, 'not a function', 'pass a pure function of the parsed body'))
      }
    }
  }
  return out
}

function isTopic(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'topic'
}

function checkFind(path: string, find: unknown): Problem[] {
  if (find === undefined || typeof find === 'function') return []
  const entries = typeof find === 'object' && find !== null ? Object.entries(find) : []
  const [name, value] = entries[0] ?? []
  const good = entries.length === 1 && typeof value === 'string' && value !== ''
  if (good && name === 'header' && value === value.toLowerCase()) return []
  if (good && name === 'field' && value.split('.').every((part) => part !== '' && part !== '__proto__')) return []
  return [
    problem(path, 'says no place', "use { header: 'x-event-id' } (lower case), { field: 'data.id' } or a function"),
  ]
}

function checkSpan(path: string, span: unknown, least: Duration, most: Duration): Problem[] {
  const inside =
    isDuration(span) && milliseconds(span) >= milliseconds(least) && milliseconds(span) <= milliseconds(most)
  return inside ? [] : [problem(path, 'not a duration in range', `use '${least}' to '${most}'`)]
}

function checkHeaders(at: string, headers: unknown): Problem[] {
  const path = `${at}.headers`
  if (!Array.isArray(headers) || headers.length > 20) return [problem(path, 'not a list', 'name at most 20 headers')]
  return headers.flatMap((name: unknown) => {
    if (typeof name !== 'string' || !/^[a-z0-9!#$%&'*+.^_`|~-]{1,100}$/.test(name)) {
      return [problem(path, `not a header name: ${JSON.stringify(name)?.slice(0, 40)}`, 'write it in lower case')]
    }
    return isCredential(name) ? [problem(path, `${name} carries a credential`, 'remove it: it is never stored')] : []
  })
}
