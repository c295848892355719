import type { AuthGuess, OAuthGuess } from './model.ts'
import { isPlain, type Plain } from './read.ts'
import { oneLine } from './text.ts'

/**
 * The credential that most operations take, as far as a connection knows its kind. Of alternatives the simplest that
 * keeps the secret out of the address: bearer, key in a header, OAuth, basic, key in the query.
 */
export function guessAuth(schemes: Plain, requirements: readonly unknown[]): AuthGuess {
  const asked = new Map<string, Set<string>>()
  let several = false
  for (const requirement of requirements.slice(0, 5_000)) {
    for (const alternative of Array.isArray(requirement) ? requirement.slice(0, 20) : []) {
      const names = isPlain(alternative) ? Object.keys(alternative) : []
      if (names.length > 1) several = true
      for (const name of names) {
        const scopes = asked.get(name) ?? new Set()
        asked.set(name, scopes)
        for (const scope of listOf((alternative as Plain)[name])) if (isScope(scope)) scopes.add(scope)
      }
    }
  }
  // A scheme that is described and never asked for is a hint all the same.
  const names = asked.size > 0 ? [...asked.keys()] : Object.keys(schemes)
  const known = names
    .filter((n) => Object.hasOwn(schemes, n) && isPlain(schemes[n]))
    .map((n) => read(n, schemes[n] as Plain, [...(asked.get(n) ?? [])].toSorted()))
  const best = known.toSorted((a, b) => a.rank - b.rank)[0]
  if (!best) {
    const said =
      'the document does not say how calls are authenticated: bearer(secret(…)), apiKey(secret(…), { header }), basic(…)'
    return { kind: 'none', remarks: [said] }
  }
  const others = known.filter((k) => k !== best).map((k) => k.label)
  const remarks = [
    ...best.remarks,
    ...(others.length > 0 ? [`also described: ${oneLine([...new Set(others)].slice(0, 6).join(', '))}`] : []),
    ...(several ? ['some operations ask for two credentials at once; a connection sends one'] : []),
  ]
  return { ...best.auth, remarks }
}

type Kind =
  | { readonly kind: 'client-credentials' | 'authorization-code'; readonly oauth: OAuthGuess }
  | { readonly kind: 'bearer' | 'basic' | 'none' }
  | { readonly kind: 'api-key'; readonly at: 'header' | 'query'; readonly field: string }
type Read = { readonly rank: number; readonly label: string; readonly auth: Kind; readonly remarks: readonly string[] }

function read(name: string, scheme: Plain, scopes: readonly string[]): Read {
  const { type, scheme: http, in: at, name: field } = scheme
  const label = oneLine(`${name} (${String(type)})`, 60)
  const word = typeof http === 'string' ? http.toLowerCase() : ''
  if (type === 'http' && word === 'bearer') return { rank: 0, label, auth: { kind: 'bearer' }, remarks: [] }
  if (type === 'http' && word === 'basic') return { rank: 3, label, auth: { kind: 'basic' }, remarks: [] }
  if (type === 'apiKey' && typeof field === 'string') {
    if (at === 'header' && /^authorization$/i.test(field)) {
      const remarks = ['described as a key in Authorization: sent as `Bearer …`; change it if they expect the bare key']
      return { rank: 1, label, auth: { kind: 'bearer' }, remarks }
    }
    if (at === 'header' && /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}$/.test(field)) {
      return { rank: 1, label, auth: { kind: 'api-key', at, field }, remarks: [] }
    }
    if (at === 'query' && field.length < 100)
      return { rank: 4, label, auth: { kind: 'api-key', at, field }, remarks: [] }
    return { rank: 9, label, auth: { kind: 'none' }, remarks: [`a key in a cookie is not sent: ${label}`] }
  }
  if (type === 'oauth2' || type === 'openIdConnect') {
    const auth = oauth(scheme, scopes)
    if (auth) return { rank: 2, label, auth, remarks: [] }
    return { rank: 2, label, auth: { kind: 'bearer' }, remarks: oauthRemarks(scheme) }
  }
  return { rank: 9, label, auth: { kind: 'none' }, remarks: [`not known to a connection: ${label}`] }
}

/** The flow that a program can use: client credentials, or a person's consent. Undefined where no address can be relied on. */
function oauth(scheme: Plain, scopes: readonly string[]): Kind | undefined {
  const connect = address(scheme['openIdConnectUrl'])
  const flows = isPlain(scheme['flows']) ? scheme['flows'] : {}
  // 2.0 has other words for the same flows.
  const own = flows['clientCredentials'] ?? flows['application']
  const person = flows['authorizationCode'] ?? flows['accessCode']
  const token = (flow: unknown): string | undefined => address(isPlain(flow) ? flow['tokenUrl'] : undefined)
  const tokenEndpoint = token(own)
  if (tokenEndpoint !== undefined) return { kind: 'client-credentials', oauth: { tokenEndpoint, scopes } }
  const authorizationEndpoint = address(isPlain(person) ? person['authorizationUrl'] : undefined)
  const theirs = token(person)
  if (theirs !== undefined && authorizationEndpoint !== undefined) {
    return { kind: 'authorization-code', oauth: { authorizationEndpoint, tokenEndpoint: theirs, scopes } }
  }
  const issuer = connect?.replace(/\/\.well-known\/openid-configuration$/, '')
  if (issuer === undefined || issuer === connect) return undefined
  return { kind: 'authorization-code', oauth: { issuer, scopes } }
}

function address(value: unknown): string | undefined {
  const url = typeof value === 'string' && value.length <= 1_000 ? URL.parse(value) : null
  const right =
    url &&
    url.protocol === 'https:' &&
    url.username === '' &&
    url.password === '' &&
    url.hash === '' &&
    url.search === ''
  return right ? url.href : undefined
}

/** RFC 6749 §3.3. */
function isScope(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 200 && /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(value)
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value.slice(0, 200) : []
}

function oauthRemarks(scheme: Plain): string[] {
  const flows = isPlain(scheme['flows']) ? scheme['flows'] : {}
  const told = Object.entries(flows)
    .slice(0, 5)
    .map(([flow, about]) => {
      const { tokenUrl, scopes } = isPlain(about) ? about : {}
      const list = isPlain(scopes) ? Object.keys(scopes).slice(0, 10).join(' ') : ''
      return oneLine(
        `${flow}${typeof tokenUrl === 'string' ? ` at ${tokenUrl}` : ''}${list ? `, scopes ${list}` : ''}`,
        300,
      )
    })
  const url = scheme['openIdConnectUrl']
  return [
    'OAuth 2.0 in a way that a connection does not fetch tokens by: the secret holds an access token, which ends',
    ...told,
    ...(typeof url === 'string' ? [oneLine(`OpenID Connect: ${url}`, 300)] : []),
  ]
}
