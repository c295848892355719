import type { Runtime } from '#kernel/runtime.ts'
import type { Secret } from '#kernel/secret.ts'
import { fromSecret, headerValue, inField, inHeader, inQuery, type SecretCredentials } from './credential.ts'

export type ApiKey =
  | { readonly kind: 'api-key'; readonly secret: Secret; readonly header: string; readonly prefix?: string }
  | { readonly kind: 'api-key'; readonly secret: Secret; readonly query: string }
  | { readonly kind: 'api-key'; readonly secret: Secret; readonly field: string }

/**
 * The key in a header of its own, or in the query where their API has no other way: a query ends up in the access logs of
 * every proxy on the way, so prefer the header. `prefix` stands before the key where they want a word of their own
 * (`Authorization: Token …`). `field`: a field of the JSON or form body of every operation that has one.
 */
export function apiKey(
  secret: Secret,
  at: { readonly header: string; readonly prefix?: string } | { readonly query: string } | { readonly field: string },
): ApiKey {
  return Object.freeze({ kind: 'api-key', secret, ...at })
}

export function apiKeyCredentials(auth: ApiKey, runtime: Pick<Runtime, 'secrets' | 'redact'>): SecretCredentials {
  return fromSecret(auth.secret, runtime, (named) => {
    const secret = headerValue(named)
    runtime.redact.learn(secret)
    if ('header' in auth) return inHeader(secret, auth.header.toLowerCase(), `${auth.prefix ?? ''}${secret}`)
    if ('field' in auth) return inField(secret, auth.field)
    const value = encodeURIComponent(secret)
    runtime.redact.learn(value)
    return inQuery(secret, encodeURIComponent(auth.query), value)
  })
}
