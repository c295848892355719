import { Buffer } from 'node:buffer'
import { createHash, createHmac } from 'node:crypto'
import type { Clock } from '#kernel/clock.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Secret } from '#kernel/secret.ts'
import {
  headerValue,
  signing,
  someValue,
  type Credential,
  type SecretCredentials,
  type Sign,
  type Unsigned,
} from './credential.ts'

export type AwsSigV4Options = {
  /** The id may stand in the definition; where it rotates with its key, name it as a secret too. */
  readonly accessKeyId: Secret | string
  readonly secretAccessKey: Secret
  /** Of temporary credentials: sent as `x-amz-security-token`, signed. */
  readonly sessionToken?: Secret
  /** `eu-central-1` */
  readonly region: string
  /** As it stands in the scope: `execute-api`, `s3`, `sqs`, `dynamodb`. `s3` is signed by its own rules for paths. */
  readonly service: string
}

export type AwsSigV4 = { readonly kind: 'aws-sig-v4' } & AwsSigV4Options

/**
 * AWS Signature Version 4 in headers, for AWS and what speaks like it. Each request is signed when it goes out. AWS refuses
 * a signature whose time is more than 5 minutes from its own (15 for S3): keep the clock in order. They answer 403, not 401,
 * to a credential that has ended; if yours does, add a rule: `{ status: 403, body: …, means: 'credential' }`.
 *
 * While two values of the secrets are current, the newest of each belong together, then the older of each.
 * Source: AWS General Reference, "Signature Version 4 for API requests".
 *
 * @example
 * awsSigV4({ accessKeyId: 'AKIDEXAMPLE', secretAccessKey: secret('AWS_SECRET'), region: 'eu-central-1', service: 'sqs' })
 */
export function awsSigV4(options: AwsSigV4Options): AwsSigV4 {
  return Object.freeze({ kind: 'aws-sig-v4', ...options })
}

/** What signs a request. */
export type AwsKey = {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string | undefined
  readonly region: string
  readonly service: string
}

export function awsCredentials(
  auth: AwsSigV4,
  runtime: Pick<Runtime, 'secrets' | 'redact' | 'clock'>,
): SecretCredentials {
  const { region, service } = auth
  let last: Credential | undefined
  const values = async (of: Secret): Promise<readonly string[]> =>
    (await runtime.secrets.read(of.name)).map((v) => {
      const text = of === auth.secretAccessKey ? someValue(v) : headerValue(v)
      runtime.redact.learn(text)
      return text
    })
  return async (refused) => {
    const ids = typeof auth.accessKeyId === 'string' ? undefined : await values(auth.accessKeyId)
    const keys = await values(auth.secretAccessKey)
    const tokens = auth.sessionToken && (await values(auth.sessionToken))
    const sets = Math.min(keys.length, ids?.length ?? keys.length, tokens?.length ?? keys.length)
    for (let i = 0; i < sets; i++) {
      const accessKeyId = ids?.[i] ?? (auth.accessKeyId as string)
      // Any of them alone may have been rotated.
      const secret = `${accessKeyId}\n${keys[i]}\n${tokens?.[i] ?? ''}`
      if (refused.includes(secret)) continue
      if (last?.secret === secret) return last
      const key: AwsKey = { accessKeyId, secretAccessKey: keys[i]!, sessionToken: tokens?.[i], region, service }
      last = signing(secret, awsSigner(key, runtime.clock))
      return last
    }
    return undefined
  }
}

/** Not signed: what a proxy may change, and what says nothing about the request. */
const unsigned: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'authorization',
  'connection',
  'traceparent',
  'tracestate',
  'baggage',
  'user-agent',
])

const algorithm = 'AWS4-HMAC-SHA256'

/** Signs with this key; the day's key is derived once. */
export function awsSigner(key: AwsKey, clock: Pick<Clock, 'now'>): Sign {
  let day: { readonly date: string; readonly key: Uint8Array } | undefined
  return (request) => {
    const time = `${new Date(clock.now()).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
    const date = time.slice(0, 8)
    const { headers } = request
    headers['x-amz-date'] = time
    if (key.sessionToken !== undefined) headers['x-amz-security-token'] = key.sessionToken
    const hash = sha256(request.body ?? '')
    // S3 asks for it; it is no secret, and the others ignore it.
    if (key.service === 's3') headers['x-amz-content-sha256'] = hash
    const [names, canonical] = canonicalRequest(request, key.service, hash)
    const scope = `${date}/${key.region}/${key.service}/aws4_request`
    if (day?.date !== date) day = { date, key: signingKey(key, date) }
    const signature = mac(day.key, `${algorithm}\n${time}\n${scope}\n${sha256(canonical)}`).toString('hex')
    headers['authorization'] =
      `${algorithm} Credential=${key.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`
    return signature
  }
}

function signingKey(key: AwsKey, date: string): Uint8Array {
  const dated = mac(Buffer.from(`AWS4${key.secretAccessKey}`), date)
  return mac(mac(mac(dated, key.region), key.service), 'aws4_request')
}

function canonicalRequest(request: Unsigned, service: string, hash: string): readonly [names: string, text: string] {
  const at = request.path.indexOf('?')
  const path = at < 0 ? request.path : request.path.slice(0, at)
  const query = at < 0 ? '' : request.path.slice(at + 1)
  const headers: Record<string, string> = { host: new URL(request.origin).host }
  for (const [name, value] of Object.entries(request.headers)) {
    if (!unsigned.has(name)) headers[name] = value.trim().replaceAll(/ +/g, ' ')
  }
  const names = Object.keys(headers).sort()
  const signed = names.join(';')
  const lines = names.map((name) => `${name}:${headers[name]}\n`).join('')
  const text = `${request.method}\n${canonicalPath(path, service)}\n${canonicalQuery(query)}\n${lines}\n${signed}\n${hash}`
  return [signed, text]
}

/** S3 signs the path as it is. The others drop `.`, `..` and empty segments, and encode what is encoded once more. */
function canonicalPath(path: string, service: string): string {
  if (service === 's3') return path.split('/').map(again).join('/')
  const segments: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.') continue
    if (segment === '..') segments.pop()
    else segments.push(encode(segment))
  }
  const end = segments.length > 0 && path.endsWith('/') ? '/' : ''
  return `/${segments.join('/')}${end}`
}

function canonicalQuery(query: string): string {
  if (query === '') return ''
  const pairs = query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair): readonly [string, string] => {
      const at = pair.indexOf('=')
      const name = at < 0 ? pair : pair.slice(0, at)
      return [again(name), again(at < 0 ? '' : pair.slice(at + 1))]
    })
  // By bytes: what is encoded is ASCII, where text order is byte order.
  pairs.sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0))
  return pairs.map(([name, value]) => `${name}=${value}`).join('&')
}

/** Encoded our way, whatever way it was encoded. An address of theirs (paging) may hold a `%` that means itself. */
function again(text: string): string {
  try {
    return encode(decodeURIComponent(text))
  } catch {
    return encode(text)
  }
}

/** RFC 3986: everything but unreserved characters. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

function mac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
