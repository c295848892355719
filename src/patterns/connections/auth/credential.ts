import { fault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Secret, SecretValue } from '#kernel/secret.ts'

/** What goes on the wire: one header, or one query pair, or one field of the body, or what `sign` writes. `secret` tells credentials apart and never leaves the memory. */
export type Credential = {
  readonly secret: string
  readonly header: string | undefined
  readonly query: string | undefined
  /** Of a JSON or form body. A record has the body without it. */
  readonly field: string | undefined
  readonly value: string
  /** Called with each request when everything else about it is decided, so a repetition is signed anew. */
  readonly sign: Sign | undefined
}

/**
 * Writes onto the headers, or the query of the path, what proves who we are, and returns the signature, so that a record
 * can hide it where they repeat it. Pure but for the clock and random bytes.
 */
export type Sign = (request: Unsigned) => string

export type Unsigned = {
  readonly method: string
  /** `https://api.example.com` */
  readonly origin: string
  /** Path and query as they go on the wire. */
  path: string
  /** Lower-case names. */
  readonly headers: Record<string, string>
  readonly body?: Uint8Array | string
}

/**
 * The newest credential that is not among the refused ones; undefined when all have been refused. Secrets are read at each
 * call (their adapter caches), so a rotated one is used without a restart, and while two are valid the older one serves
 * where the newer is not known yet. Every value is taught to the redactor before it is used first. Rejects with `config.secret`.
 */
export type Credentials = (
  refused: readonly string[],
  /** Monotonic; what waits for a token waits no longer. */
  deadline: number,
) => Credential | undefined | Promise<Credential | undefined>

/** Out of secrets alone, nothing is waited for but their adapter. */
export type SecretCredentials = (refused: readonly string[]) => Promise<Credential | undefined>

/** Credentials out of one secret: each of its current values gives one, newest first, built once. */
export function fromSecret(
  named: Secret,
  runtime: Pick<Runtime, 'secrets'>,
  build: (value: SecretValue) => Credential,
): SecretCredentials {
  let last: Credential | undefined
  const newest = (values: readonly SecretValue[], refused: readonly string[]): Credential | undefined => {
    for (const value of values) {
      const secret = value.reveal()
      if (refused.includes(secret)) continue
      if (last?.secret !== secret) last = build(value)
      return last
    }
    return undefined
  }
  // With every call: no closure is made for it.
  const first = (values: readonly SecretValue[]): Credential | undefined => newest(values, none)
  return (refused) => {
    const values = runtime.secrets.read(named.name)
    return refused.length === 0 ? values.then(first) : values.then((all) => newest(all, refused))
  }
}

const none: readonly string[] = []

export function inHeader(secret: string, header: string, value: string): Credential {
  return { secret, header, query: undefined, field: undefined, value, sign: undefined }
}

export function inQuery(secret: string, query: string, value: string): Credential {
  return { secret, header: undefined, query, field: undefined, value, sign: undefined }
}

export function inField(secret: string, field: string): Credential {
  return { secret, header: undefined, query: undefined, field, value: secret, sign: undefined }
}

export function signing(secret: string, sign: Sign): Credential {
  return { secret, header: undefined, query: undefined, field: undefined, value: '', sign }
}

const printable = /^[\x20-\x7e\x80-\xff]+$/

/** The value as it may stand in a header. Throws `config.secret`, without repeating it. */
export function headerValue(named: SecretValue): string {
  const secret = named.reveal()
  if (!printable.test(secret) || secret.trim() !== secret) {
    throw unusable(named, 'is empty or has a space, a line break or another character that a header cannot hold')
  }
  return secret
}

/** The value, which may be any text but an empty one. */
export function someValue(named: SecretValue): string {
  const secret = named.reveal()
  if (secret === '') throw unusable(named, 'is empty')
  return secret
}

export function unusable(named: SecretValue, why: string): Error {
  return fault('config.secret', { message: `the secret ${named.name} ${why}`, detail: { secret: named.name } })
}
