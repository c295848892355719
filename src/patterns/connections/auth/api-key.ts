import type { Runtime } from '#kernel/runtime.ts'
import type { Secret } from '#kernel/secret.ts'
import { fromSecret, headerValue, inHeader, inQuery, type SecretCredentials } from './credential.ts'

export type ApiKey =
  | { readonly kind: 'api-key'; readonly secret: Secret; readonly header: string }
  | { readonly kind: 'api-key'; readonly secret: Secret; readonly query: string }

/**
 * The key in a header of its own, or in the query where their API has no other way: a query ends up in the access logs of
 * every proxy on the way, so prefer the header.
 */
export function apiKey(secret: Secret, at: { readonly header: string } | { readonly query: string }): ApiKey {
  return Object.freeze(
    'header' in at ? { kind: 'api-key', secret, header: at.header } : { kind: 'api-key', secret, query: at.query },
  )
}

export function apiKeyCredentials(auth: ApiKey, runtime: Pick<Runtime, 'secrets' | 'redact'>): SecretCredentials {
  return fromSecret(auth.secret, runtime, (named) => {
    const secret = headerValue(named)
    runtime.redact.learn(secret)
    if ('header' in auth) return inHeader(secret, auth.header.toLowerCase(), secret)
    const value = encodeURIComponent(secret)
    runtime.redact.learn(value)
    return inQuery(secret, encodeURIComponent(auth.query), value)
  })
}
