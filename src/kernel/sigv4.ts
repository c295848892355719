import type { Clock } from './clock.ts'

/** What signs. */
export type AwsKey = {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string | undefined
  /** `eu-central-1` */
  readonly region: string
  /** As it stands in the scope: `execute-api`, `s3`, `secretsmanager`. `s3` is signed by its own rules for paths. */
  readonly service: string
}

/** SHA-256, which the kernel has not: hexadecimal digests, raw HMACs. */
export type Sha256 = {
  readonly digest: (data: string | Uint8Array) => string
  readonly hmac: (key: string | Uint8Array, text: string) => Uint8Array
}

/** A request as it will go on the wire. The signature is written onto `headers`. */
export type Signable = {
  readonly method: string
  /** `https://sqs.eu-central-1.amazonaws.com` */
  readonly origin: string
  readonly path: string
  /** Lower-case names. */
  readonly headers: Record<string, string>
  readonly body?: string | Uint8Array
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

/**
 * Signs requests by AWS Signature Version 4, in headers; the key of a day is derived once. The function returned writes
 * `x-amz-date`, `x-amz-security-token`, for S3 `x-amz-content-sha256`, and `authorization`, and gives the signature back.
 * Source: AWS General Reference, "Signature Version 4 for API requests".
 */
export function sigV4(key: AwsKey, clock: Pick<Clock, 'now'>, sha256: Sha256): (request: Signable) => string {
  let day: { readonly date: string; readonly key: Uint8Array } | undefined
  return (request) => {
    const time = `${new Date(clock.now()).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
    const date = time.slice(0, 8)
    const { headers } = request
    headers['x-amz-date'] = time
    if (key.sessionToken !== undefined) headers['x-amz-security-token'] = key.sessionToken
    const hash = sha256.digest(request.body ?? '')
    // S3 asks for it; it is no secret, and the others ignore it.
    if (key.service === 's3') headers['x-amz-content-sha256'] = hash
    const [names, canonical] = canonicalRequest(request, key.service, hash)
    const scope = `${date}/${key.region}/${key.service}/aws4_request`
    if (day?.date !== date) day = { date, key: signingKey(key, date, sha256) }
    const signature = hex(sha256.hmac(day.key, `${algorithm}\n${time}\n${scope}\n${sha256.digest(canonical)}`))
    headers['authorization'] =
      `${algorithm} Credential=${key.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`
    return signature
  }
}

function signingKey(key: AwsKey, date: string, { hmac }: Sha256): Uint8Array {
  return hmac(hmac(hmac(hmac(`AWS4${key.secretAccessKey}`, date), key.region), key.service), 'aws4_request')
}

function canonicalRequest(request: Signable, service: string, hash: string): readonly [names: string, text: string] {
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

function hex(bytes: Uint8Array): string {
  let out = ''
  for (const byte of bytes) out += byte.toString(16).padStart(2, '0')
  return out
}
