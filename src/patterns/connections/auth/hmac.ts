import { Buffer } from 'node:buffer'
import { createHash, createHmac } from 'node:crypto'
import type { Runtime } from '#kernel/runtime.ts'
import type { Secret, SecretValue } from '#kernel/secret.ts'
import { fromSecret, signing, someValue, unusable, type SecretCredentials, type Unsigned } from './credential.ts'

export type HmacOptions = {
  /** What signs. While two values are current the newest signs, and the older one after a 401. */
  readonly secret: Secret
  /** How the secret is written. Default `text`: its UTF-8 bytes. */
  readonly secretEncoding?: 'text' | 'hex' | 'base64'
  /** Default `sha256`. `sha1` only where their API knows nothing better. */
  readonly algorithm?: 'sha256' | 'sha384' | 'sha512' | 'sha1'
  /** What is signed, in this order. 1 to 20 parts. */
  readonly parts: readonly HmacPart[]
  /** Stands between the parts. Default a line feed. */
  readonly join?: string
  /** How the signature is written. Default `hex`, in lower case. */
  readonly encoding?: 'hex' | 'base64' | 'base64url'
  /**
   * Where it goes. `format` is its text, default `'{signature}'`; it may also use `{key}`, `{timestamp}` and `{nonce}`:
   * `'HMAC-SHA256 key={key}, signature={signature}'`.
   */
  readonly signature: { readonly header: string; readonly format?: string } | { readonly query: string }
  /** Names the key to them; not a secret. With a header of its own, or used in `parts` or `format`. */
  readonly key?: { readonly id: string; readonly header?: string }
  /** When the request was signed, by our wall clock. Default unit `seconds`; `iso` is RFC 3339 in UTC without fractions. */
  readonly timestamp?: {
    readonly header?: string
    readonly query?: string
    readonly unit?: 'seconds' | 'milliseconds' | 'iso'
  }
  /** 16 random bytes in hex, new with every request. */
  readonly nonce?: { readonly header?: string; readonly query?: string }
}

/**
 * `method` as `GET` · `host` · `path` without the query · `query` without `?`, as it goes on the wire · `target`: path and
 * query · `url`: origin and target · `body`, empty when there is none · `body-hash`: its digest, encoded like the signature ·
 * `timestamp` · `nonce` · `key` · the value of a header of the request, empty when it is not there · a fixed text.
 */
export type HmacPart =
  | 'method'
  | 'host'
  | 'path'
  | 'query'
  | 'target'
  | 'url'
  | 'body'
  | 'body-hash'
  | 'timestamp'
  | 'nonce'
  | 'key'
  | { readonly header: string }
  | { readonly text: string }

export type Hmac = { readonly kind: 'hmac' } & HmacOptions

/**
 * Requests signed by HMAC, the way that their API describes it, as data. Each request is signed when it goes out, so a
 * repetition has a timestamp and a nonce of its own; the idempotency key stays the same. What is signed is what is sent:
 * body and path as bytes on the wire. Call records never show the signature.
 *
 * Not for schemes that canonicalise (AWS: `awsSigV4`; RFC 9421).
 *
 * @example
 * hmac({
 *   secret: secret('EXCHANGE_SECRET'),
 *   parts: ['timestamp', 'method', 'target', 'body'],
 *   join: '',
 *   signature: { header: 'x-signature' },
 *   timestamp: { header: 'x-timestamp' },
 *   key: { id: 'k_2041', header: 'x-key' },
 * })
 */
export function hmac(options: HmacOptions): Hmac {
  return Object.freeze({ kind: 'hmac', ...options })
}

export function hmacCredentials(
  auth: Hmac,
  runtime: Pick<Runtime, 'secrets' | 'redact' | 'clock' | 'random'>,
): SecretCredentials {
  return fromSecret(auth.secret, runtime, (value) => {
    const secret = someValue(value)
    runtime.redact.learn(secret)
    const key = keyBytes(value, auth.secretEncoding ?? 'text')
    return signing(secret, (request) => sign(auth, key, request, runtime))
  })
}

function keyBytes(value: SecretValue, encoding: 'text' | 'hex' | 'base64'): Uint8Array {
  const text = value.reveal()
  if (encoding === 'text') return Buffer.from(text, 'utf8')
  const bytes = Buffer.from(text, encoding)
  // Node stops at the first character that does not belong there, and says nothing.
  const same = encoding === 'hex' ? bytes.toString('hex') === text.toLowerCase() : unpadded(bytes) === unpad(text)
  if (!same || bytes.length === 0) throw unusable(value, `is not ${encoding}`)
  return bytes
}

const unpad = (text: string): string => text.replace(/=+$/, '')
const unpadded = (bytes: Buffer): string => unpad(bytes.toString('base64'))

function sign(
  auth: Hmac,
  key: Uint8Array,
  request: Unsigned,
  { clock, random }: Pick<Runtime, 'clock' | 'random'>,
): string {
  const { algorithm = 'sha256', encoding = 'hex', signature, timestamp, nonce } = auth
  const drawn = {
    key: auth.key?.id ?? '',
    timestamp: timestamp ? time(clock.now(), timestamp.unit ?? 'seconds') : '',
    nonce: nonce ? Buffer.from(random.bytes(16)).toString('hex') : '',
  }
  if (auth.key?.header !== undefined) request.headers[auth.key.header.toLowerCase()] = drawn.key
  // Before the signature: they may be signed as a part of the query.
  put(request, timestamp, drawn.timestamp)
  put(request, nonce, drawn.nonce)
  const mac = createHmac(algorithm, key)
  auth.parts.forEach((part, i) => {
    if (i > 0) mac.update(auth.join ?? '\n')
    if (part === 'body') mac.update(request.body ?? '')
    else if (part === 'body-hash') {
      mac.update(
        createHash(algorithm)
          .update(request.body ?? '')
          .digest(encoding),
      )
    } else mac.update(textOf(part, request, drawn))
  })
  const made = mac.digest(encoding)
  if ('query' in signature) {
    put(request, signature, made)
    return made
  }
  const format = signature.format ?? '{signature}'
  const filled = format.replace(/\{(signature|key|timestamp|nonce)\}/g, (_, name: string) =>
    name === 'signature' ? made : drawn[name as keyof typeof drawn],
  )
  request.headers[signature.header.toLowerCase()] = filled
  return made
}

type Drawn = { readonly key: string; readonly timestamp: string; readonly nonce: string }

function textOf(part: Exclude<HmacPart, 'body' | 'body-hash'>, request: Unsigned, drawn: Drawn): string {
  if (typeof part === 'object') return 'text' in part ? part.text : (request.headers[part.header.toLowerCase()] ?? '')
  const { path } = request
  const at = path.indexOf('?')
  switch (part) {
    case 'method':
      return request.method
    case 'host':
      return new URL(request.origin).host
    case 'path':
      return at < 0 ? path : path.slice(0, at)
    case 'query':
      return at < 0 ? '' : path.slice(at + 1)
    case 'target':
      return path
    case 'url':
      return request.origin + path
    default:
      return drawn[part]
  }
}

/** Into the query or a header, as said; nowhere when it is only signed. */
function put(
  request: Unsigned,
  at: { readonly header?: string; readonly query?: string } | undefined,
  value: string,
): void {
  if (at?.header !== undefined) request.headers[at.header.toLowerCase()] = value
  if (at?.query !== undefined) {
    const pair = `${encodeURIComponent(at.query)}=${encodeURIComponent(value)}`
    request.path += `${request.path.includes('?') ? '&' : '?'}${pair}`
  }
}

function time(now: number, unit: 'seconds' | 'milliseconds' | 'iso'): string {
  if (unit === 'milliseconds') return String(now)
  if (unit === 'seconds') return String(Math.floor(now / 1_000))
  return `${new Date(now).toISOString().slice(0, 19)}Z`
}
