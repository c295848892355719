import { Buffer } from 'node:buffer'
import type { Runtime } from '#kernel/runtime.ts'
import type { Secret } from '#kernel/secret.ts'
import { fromSecret, inHeader, someValue, type SecretCredentials } from './credential.ts'

export type Basic = { readonly kind: 'basic'; readonly user: string; readonly secret: Secret }

/** `Authorization: Basic …` (RFC 7617), UTF-8; the user has no colon. */
export function basic(user: string, secret: Secret): Basic {
  return Object.freeze({ kind: 'basic', user, secret })
}

export function basicCredentials(auth: Basic, runtime: Pick<Runtime, 'secrets' | 'redact'>): SecretCredentials {
  return fromSecret(auth.secret, runtime, (value) => {
    // Encoded, so the password may hold any character.
    const secret = someValue(value)
    const encoded = Buffer.from(`${auth.user}:${secret}`).toString('base64')
    runtime.redact.learn(secret)
    runtime.redact.learn(encoded)
    return inHeader(secret, 'authorization', `Basic ${encoded}`)
  })
}
