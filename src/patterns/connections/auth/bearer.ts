import type { Runtime } from '#kernel/runtime.ts'
import type { Secret } from '#kernel/secret.ts'
import { fromSecret, headerValue, inHeader, type SecretCredentials } from './credential.ts'

export type Bearer = { readonly kind: 'bearer'; readonly secret: Secret }

/** `Authorization: Bearer …` (RFC 6750). */
export function bearer(secret: Secret): Bearer {
  return Object.freeze({ kind: 'bearer', secret })
}

export function bearerCredentials(auth: Bearer, runtime: Pick<Runtime, 'secrets' | 'redact'>): SecretCredentials {
  return fromSecret(auth.secret, runtime, (value) => {
    const secret = headerValue(value)
    runtime.redact.learn(secret)
    return inHeader(secret, 'authorization', `Bearer ${secret}`)
  })
}
