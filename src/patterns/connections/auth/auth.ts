import { fault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Secret, SecretValue } from '#kernel/secret.ts'

/** How a connection proves who we are: inert, holding names of secrets and never their values. */
export type Auth =
  | { readonly kind: 'bearer'; readonly secret: Secret }
  | { readonly kind: 'api-key'; readonly secret: Secret; readonly header: string }
  | { readonly kind: 'api-key'; readonly secret: Secret; readonly query: string }
  | { readonly kind: 'basic'; readonly user: string; readonly secret: Secret }

/** `Authorization: Bearer …` (RFC 6750). */
export function bearer(secret: Secret): Auth {
  return Object.freeze({ kind: 'bearer', secret })
}

/**
 * The key in a header of its own, or in the query where their API has no other way: a query ends up in the access logs of
 * every proxy on the way, so prefer the header.
 */
export function apiKey(secret: Secret, at: { readonly header: string } | { readonly query: string }): Auth {
  return Object.freeze(
    'header' in at ? { kind: 'api-key', secret, header: at.header } : { kind: 'api-key', secret, query: at.query },
  )
}

/** `Authorization: Basic …` (RFC 7617), UTF-8; the user has no colon. */
export function basic(user: string, secret: Secret): Auth {
  return Object.freeze({ kind: 'basic', user, secret })
}

/** What goes on the wire: one header, or one query pair. `secret` tells credentials apart and never leaves the memory. */
export type Credential = {
  readonly secret: string
  readonly header: string | undefined
  readonly query: string | undefined
  readonly value: string
}

/**
 * The newest credential that is not among the refused ones; undefined when all have been refused. Secrets are read at each
 * call (their adapter caches), so a rotated one is used without a restart, and while two are valid the older one serves
 * where the newer is not known yet. Every value is taught to the redactor before it is used first. Rejects with `config.secret`.
 */
export type Credentials = (refused: readonly string[]) => Promise<Credential | undefined>

export function credentials(auth: Auth, runtime: Pick<Runtime, 'secrets' | 'redact'>): Credentials {
  let last: Credential | undefined
  return async (refused) => {
    const values = await runtime.secrets.read(auth.secret.name)
    for (const value of values) {
      const secret = value.reveal()
      if (refused.includes(secret)) continue
      if (last?.secret !== secret) last = build(auth, value, secret, runtime)
      return last
    }
    return undefined
  }
}

const printable = /^[\x20-\x7e\x80-\xff]+$/

function build(auth: Auth, named: SecretValue, secret: string, runtime: Pick<Runtime, 'redact'>): Credential {
  // Basic is encoded, so its password may hold any character; the others stand in the header as they are.
  if (auth.kind === 'basic' ? secret === '' : !printable.test(secret) || secret.trim() !== secret) {
    throw fault('config.secret', {
      message: `the secret ${named.name} is empty or has a space, a line break or another character that a header cannot hold`,
      detail: { secret: named.name },
    })
  }
  runtime.redact.learn(secret)
  if (auth.kind === 'bearer') return { secret, header: 'authorization', query: undefined, value: `Bearer ${secret}` }
  if (auth.kind === 'basic') {
    const encoded = base64(`${auth.user}:${secret}`)
    runtime.redact.learn(encoded)
    return { secret, header: 'authorization', query: undefined, value: `Basic ${encoded}` }
  }
  if ('header' in auth) return { secret, header: auth.header.toLowerCase(), query: undefined, value: secret }
  const value = encodeURIComponent(secret)
  runtime.redact.learn(value)
  return { secret, header: undefined, query: encodeURIComponent(auth.query), value }
}

function base64(text: string): string {
  let binary = ''
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte)
  return btoa(binary)
}
