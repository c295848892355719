import type { AuthGuess } from './model.ts'
import { isPlain, type Plain } from './read.ts'
import { oneLine } from './text.ts'

/**
 * The credential that most operations take, as far as a connection knows its kind. Of alternatives the simplest that
 * keeps the secret out of the address: bearer, key in a header, OAuth (as a bearer for now), basic, key in the query.
 */
export function guessAuth(schemes: Plain, requirements: readonly unknown[]): AuthGuess {
  const asked = new Map<string, number>()
  let several = false
  for (const requirement of requirements.slice(0, 5_000)) {
    for (const alternative of Array.isArray(requirement) ? requirement.slice(0, 20) : []) {
      const names = isPlain(alternative) ? Object.keys(alternative) : []
      if (names.length > 1) several = true
      for (const name of names) asked.set(name, (asked.get(name) ?? 0) + 1)
    }
  }
  // A scheme that is described and never asked for is a hint all the same.
  const names = asked.size > 0 ? [...asked.keys()] : Object.keys(schemes)
  const known = names
    .filter((n) => Object.hasOwn(schemes, n) && isPlain(schemes[n]))
    .map((n) => read(n, schemes[n] as Plain))
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
  | { readonly kind: 'bearer' | 'basic' | 'none' }
  | { readonly kind: 'api-key'; readonly at: 'header' | 'query'; readonly field: string }
type Read = { readonly rank: number; readonly label: string; readonly auth: Kind; readonly remarks: readonly string[] }

function read(name: string, scheme: Plain): Read {
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
    return { rank: 2, label, auth: { kind: 'bearer' }, remarks: oauthRemarks(scheme) }
  }
  return { rank: 9, label, auth: { kind: 'none' }, remarks: [`not known to a connection: ${label}`] }
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
    'OAuth 2.0: the secret holds an access token, which ends; this is the place for a credential that fetches them',
    ...told,
    ...(typeof url === 'string' ? [oneLine(`OpenID Connect: ${url}`, 300)] : []),
  ]
}
