import { checkName, checkOptions, type Problem } from '#kernel/definition.ts'
import { codes } from '#kernel/codes.ts'
import { isSecret } from '#kernel/secret.ts'
import { breakerProblems } from '#resilience/breaker.ts'
import { bulkheadProblems } from '#resilience/bulkhead.ts'
import { rateCheck } from '#resilience/rate.ts'
import { retryProblems } from '#resilience/retry.ts'
import { headerProblems, isFieldName, isSpan } from './parts.ts'
import { consequences } from '../answers/classify.ts'
import { authProblems } from '../auth/check.ts'
import { cacheProblems } from '../cache/define.ts'
import { driftProblems } from '../drift/check.ts'
import { apiVersionProblems } from '../endings/version.ts'
import { collided, operationsOf, reserved, type ConnectionDefinition } from '../define.ts'
import { laterProblems } from '../later/later.ts'
import { checkOperation } from './operation.ts'
import { recordProblems } from '../records/options.ts'

const known = [
  'baseUrl',
  'auth',
  'headers',
  'timeout',
  'retry',
  'breaker',
  'limit',
  'bulkhead',
  'later',
  'cache',
  'rules',
  'maxBytes',
  'record',
  'queryStyle',
  'compressed',
  'drift',
  'apiVersion',
  'tls',
  'insecure',
]

/** Everything wrong in a connection, each with its path and the fix. Pure; reads no secret and opens nothing. */
export function checkConnection(definition: ConnectionDefinition): Problem[] {
  const options = definition.options as unknown as Readonly<Record<string | symbol, unknown>>
  const path = `connection(${definition.name})`
  const at = (name: string): string => `${path}.${name}`
  const problems = [
    ...checkName('connection', definition.name),
    ...checkOptions(path, options, known),
    ...baseUrlProblems(at('baseUrl'), options['baseUrl'], options['insecure']),
    ...authProblems(at('auth'), options['auth']),
    ...headerProblems(at('headers'), options['headers'], options['auth'] !== undefined),
    ...timeoutProblems(at('timeout'), options['timeout']),
    ...ruleProblems(at('rules'), options['rules']),
    ...tlsProblems(at('tls'), options['tls']),
    ...recordProblems(at('record'), options['record']),
    ...laterProblems(at('later'), options['later']),
    ...cacheProblems(at('cache'), options['cache']),
    ...driftProblems(at('drift'), options['drift']),
    ...apiVersionProblems(at('apiVersion'), options['apiVersion'], options['baseUrl']),
    ...(options['breaker'] === undefined ? [] : breakerProblems(at('breaker'), options['breaker'])),
    ...(options['bulkhead'] === undefined ? [] : bulkheadProblems(at('bulkhead'), options['bulkhead'])),
    ...(options['retry'] === undefined || options['retry'] === false
      ? []
      : retryProblems(at('retry'), options['retry'])),
  ]
  for (const [i, rate] of [options['limit'] ?? []].flat().entries()) {
    const fix = rateCheck(rate)
    if (fix) problems.push({ path: `${at('limit')}[${i}]`, message: `${JSON.stringify(rate)} is not a rate`, fix })
  }
  const { maxBytes, compressed } = definition.options
  if (compressed !== undefined && typeof compressed !== 'boolean')
    problems.push({ path: at('compressed'), message: 'is neither true nor false', fix: 'use true, or remove it' })
  if (maxBytes !== undefined && !(Number.isInteger(maxBytes) && maxBytes > 0 && maxBytes <= 2 ** 31)) {
    problems.push({ path: at('maxBytes'), message: 'is not a size', fix: 'use whole bytes from 1 to 2147483648' })
  }
  const style = options['queryStyle']
  if (style !== undefined && !['repeat', 'brackets', 'comma'].includes(style as string))
    problems.push({ path: at('queryStyle'), message: 'is not a style', fix: "use 'repeat', 'brackets' or 'comma'" })
  for (const name of (options[collided] as readonly string[] | undefined) ?? []) {
    problems.push({
      path: at(`operations.${name}`),
      message: 'an operation cannot have this name',
      fix: `avoid ${reserved.join(', ')}`,
    })
  }
  const operations = operationsOf(definition)
  if (operations.length === 0 && options[collided] === undefined) {
    problems.push({
      path: at('operations'),
      message: 'there is no operation',
      fix: "add one: { charge: { http: 'POST /charges' } }",
    })
  }
  const asked = (options['auth'] as { scopes?: unknown } | undefined)?.scopes
  const scopes: readonly unknown[] | undefined = Array.isArray(asked) ? asked : undefined
  for (const { name, spec } of scopes ? operations : []) {
    for (const scope of Array.isArray(spec.scopes) ? spec.scopes : []) {
      if (scopes!.includes(scope)) continue
      const message = `needs the scope ${JSON.stringify(scope)}, which \`auth\` does not ask for`
      problems.push({ path: at(`operations.${name}.scopes`), message, fix: 'add it to the scopes of `auth`' })
    }
  }
  for (const operation of operations)
    problems.push(
      ...checkOperation(at(`operations.${operation.name}`), operation, operations, options['later'] !== undefined),
    )
  return problems
}

function baseUrlProblems(path: string, value: unknown, insecure: unknown): Problem[] {
  const url = typeof value === 'string' ? URL.parse(value) : null
  const wrong = (message: string, fix: string): Problem[] => [{ path, message, fix }]
  if (insecure !== undefined && insecure !== 'allow-http') {
    return wrong('`insecure` has an unknown value', "remove it, or write insecure: 'allow-http' and mean it")
  }
  if (!url || !/^https?:\/\//i.test(value as string))
    return wrong('is not an http address', "use 'https://api.example.com/v1'")
  if (url.username !== '' || url.password !== '')
    return wrong('has a user or a password in it', 'use `auth` with a secret')
  if (/[?#]/.test(value as string))
    return wrong('has a query or a fragment', 'put a fixed query into the lines of the operations')
  if (/[\s\\]/.test(value as string) || /(?:^|\/)\.\.?(?:\/|$)/.test((value as string).slice(8))) {
    return wrong('has a space, a backslash, or a "." or ".." segment', 'write the address as it goes on the wire')
  }
  const here = url.hostname === 'localhost' || /^127\.\d+\.\d+\.\d+$/.test(url.hostname) || url.hostname === '[::1]'
  if (url.protocol === 'http:' && !here && insecure !== 'allow-http') {
    return wrong('is not encrypted', "use https, or insecure: 'allow-http' if everyone on the way may read it")
  }
  return []
}

function timeoutProblems(path: string, timeout: unknown): Problem[] {
  if (timeout === undefined) return []
  const fix = "use a duration: '10s', or { connect: '3s', firstByte: '10s', idle: '10s', total: '30s' }"
  if (typeof timeout !== 'object') return isSpan(timeout) ? [] : [{ path, message: 'is not a time', fix }]
  return [
    ...checkOptions(path, timeout, ['connect', 'firstByte', 'idle', 'total']),
    ...Object.entries(timeout ?? {})
      .filter(([, value]) => value !== undefined && !isSpan(value))
      .map(([name]) => ({ path: `${path}.${name}`, message: 'is not a time', fix })),
  ]
}

function ruleProblems(path: string, rules: unknown): Problem[] {
  if (rules === undefined) return []
  if (!Array.isArray(rules)) return [{ path, message: 'is not a list', fix: "use [{ status: 409, means: 'ok' }]" }]
  return rules.flatMap((rule: unknown, i) => {
    const at = `${path}[${i}]`
    const problems = checkOptions(at, rule, ['status', 'header', 'body', 'means'])
    if (typeof rule !== 'object' || rule === null) return problems
    const { status, header, body, means } = rule as Readonly<Record<string, unknown>>
    const codesOf = [status ?? []].flat()
    if (status === undefined && header === undefined && body === undefined) {
      problems.push({ path: at, message: 'fits every answer', fix: 'add a status, a header or a body condition' })
    }
    if (!codesOf.every((s) => Number.isInteger(s) && (s as number) >= 200 && (s as number) <= 599)) {
      problems.push({ path: `${at}.status`, message: 'is not a status', fix: 'use 200 to 599, or a list of these' })
    }
    const field = typeof header === 'object' && header !== null ? (header as { name?: unknown }).name : header
    if (header !== undefined && !isFieldName(field)) {
      problems.push({
        path: `${at}.header`,
        message: 'is not a field',
        fix: "use 'x-error' or { name: 'x-error', value: '1' }",
      })
    }
    if (body !== undefined && typeof body !== 'function') {
      problems.push({ path: `${at}.body`, message: 'is not a function', fix: 'use (body) => true or false' })
    }
    const right =
      typeof means === 'string' && (means in consequences || (means.startsWith('connection.') && means in codes))
    if (!right) {
      const fix = `use ${Object.keys(consequences).join(', ')} or a code such as connection.not_found`
      problems.push({ path: `${at}.means`, message: 'is not a consequence', fix })
    }
    return problems
  })
}

function tlsProblems(path: string, tls: unknown): Problem[] {
  if (tls === undefined) return []
  const problems = checkOptions(path, tls, ['ca', 'pins', 'cert', 'key'])
  if (typeof tls !== 'object' || tls === null) return problems
  const { ca = [], pins = [], cert, key } = tls as Readonly<Record<string, unknown>>
  const certificate = (c: unknown): boolean =>
    isSecret(c) || (typeof c === 'string' && c.includes('-----BEGIN CERTIFICATE-----'))
  if (!Array.isArray(ca) || !ca.every(certificate)) {
    problems.push({
      path: `${path}.ca`,
      message: 'is not a list of certificates',
      fix: 'use PEM text or secrets, one entry a certificate',
    })
  }
  if (!Array.isArray(pins) || !pins.every((p) => typeof p === 'string' && /^[A-Za-z0-9+/]{43}=$/.test(p))) {
    problems.push({
      path: `${path}.pins`,
      message: 'is not a list of pins',
      fix: 'use base64 of SHA-256 over the SubjectPublicKeyInfo',
    })
  }
  if (cert !== undefined && !certificate(cert)) {
    problems.push({
      path: `${path}.cert`,
      message: 'is not a certificate',
      fix: "use PEM text or secret('PAYMENTS_CERT')",
    })
  }
  if (key !== undefined && !isSecret(key)) {
    problems.push({ path: `${path}.key`, message: 'is not a secret', fix: "use secret('PAYMENTS_TLS_KEY')" })
  }
  if ((cert === undefined) !== (key === undefined)) {
    const missing = cert === undefined ? 'cert' : 'key'
    problems.push({ path: `${path}.${missing}`, message: 'is missing', fix: '`cert` and `key` belong together' })
  }
  return problems
}
