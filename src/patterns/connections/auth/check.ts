import { checkOptions, type Problem } from '#kernel/definition.ts'
import { isSecret } from '#kernel/secret.ts'
import { isFieldName } from '../check/parts.ts'
import { oauthProblems } from './oauth/check.ts'

type Options = Readonly<Record<string, unknown>>
type Add = (name: string, message: string, fix: string) => void

const kinds: Readonly<Record<string, (o: Options, add: Add, path: string) => Problem[] | void>> = {
  bearer: (o, add) => named(o['secret'], '', add),
  'api-key': (o, add) => {
    named(o['secret'], '', add)
    const isName = (name: unknown): boolean => typeof name === 'string' && name !== ''
    const placed = isName(o['query']) || (isName(o['field']) && o['field'] !== '__proto__')
    if (!placed && !isFieldName(o['header'])) {
      add('', 'has no place for the key', "use { header: 'x-api-key' }, { query: 'key' } or { field: 'api_key' }")
    } else if (
      o['prefix'] !== undefined &&
      !(typeof o['prefix'] === 'string' && /^[\x21-\x7e][\x20-\x7e]*$/.test(o['prefix']))
    ) {
      add('prefix', 'is not a word', "use text such as 'Token '")
    }
  },
  basic: (o, add) => {
    named(o['secret'], '', add)
    if (typeof o['user'] !== 'string' || !/^[^:\p{Cc}]+$/u.test(o['user']))
      add('user', 'is not a user', 'use text without a colon (RFC 7617)')
  },
  hmac: hmacProblems,
  'aws-sig-v4': awsProblems,
  oauth: oauthProblems,
}

/** Everything wrong in an `auth`. Values are not repeated: what stands there may well be the secret itself. */
export function authProblems(path: string, auth: unknown): Problem[] {
  if (auth === undefined) return []
  const o = (typeof auth === 'object' && auth !== null ? auth : {}) as Options
  const kind = o['kind']
  const check = typeof kind === 'string' && Object.hasOwn(kinds, kind) ? kinds[kind] : undefined
  if (!check) {
    const fix =
      'use bearer(secret(…)), apiKey(secret(…), { header }), basic(user, secret(…)), hmac({…}), awsSigV4({…}), clientCredentials({…}), jwtBearer({…}) or authorizationCode({…})'
    return [{ path, message: 'is not an auth', fix }]
  }
  const problems: Problem[] = []
  const add: Add = (name, message, fix) =>
    void problems.push({ path: name === '' ? path : `${path}.${name}`, message, fix })
  return [...(check(o, add, path) ?? []), ...problems]
}

export function named(value: unknown, name: string, add: Add): void {
  if (!isSecret(value))
    add(name, 'does not name a secret', "name it: secret('PAYMENTS_KEY'); a value never stands in a definition")
}

const hmacOptions = [
  'kind',
  'secret',
  'secretEncoding',
  'algorithm',
  'parts',
  'join',
  'encoding',
  'signature',
  'key',
  'timestamp',
  'nonce',
]
const plainParts = [
  'method',
  'host',
  'path',
  'query',
  'target',
  'url',
  'body',
  'body-hash',
  'timestamp',
  'nonce',
  'key',
]

function hmacProblems(o: Options, add: Add, path: string): Problem[] {
  named(o['secret'], 'secret', add)
  oneOf(o, 'secretEncoding', ['text', 'hex', 'base64'], add)
  oneOf(o, 'algorithm', ['sha256', 'sha384', 'sha512', 'sha1'], add)
  oneOf(o, 'encoding', ['hex', 'base64', 'base64url'], add)
  if (o['join'] !== undefined && typeof o['join'] !== 'string') add('join', 'is not a text', String.raw`use '\n' or ''`)
  const parts = o['parts']
  const list: readonly unknown[] = Array.isArray(parts) ? parts : []
  if (list.length < 1 || list.length > 20 || !list.every(isPart)) {
    add('parts', 'does not say what is signed', `use 1 to 20 of ${plainParts.join(', ')}, { header }, { text }`)
  }
  const used = new Set(list.filter((part) => typeof part === 'string'))
  if (!used.has('body') && !used.has('body-hash')) add('parts', 'leaves the body unsigned', "add 'body' or 'body-hash'")
  const signature = place(o, 'signature', add)
  if (!signature || placesOf(signature) !== 1)
    add('signature', 'has no place, or two', "use { header: 'x-signature' } or { query: 'signature' }")
  const format = signature?.['format']
  if (format !== undefined && (typeof format !== 'string' || !format.includes('{signature}') || !isFieldText(format)))
    add('signature.format', 'has no {signature}, or a character that a header cannot hold', "use 'v1={signature}'")
  const mentioned = (name: string): boolean => typeof format === 'string' && format.includes(`{${name}}`)
  for (const name of ['key', 'timestamp', 'nonce']) {
    const given = place(o, name, add)
    if (given === undefined && (used.has(name) || mentioned(name)))
      add(
        name,
        'is signed or sent, and not declared',
        `add ${name}: ${name === 'key' ? "{ id: '…' }" : '{ header: … }'}`,
      )
    if (given && placesOf(given) === 0 && !mentioned(name) && !(name === 'key' && used.has(name)))
      add(name, 'is never sent', `add a header, or {${name}} to the format`)
  }
  const key = o['key']
  if (key !== undefined && (typeof key !== 'object' || key === null || !isFieldText((key as Options)['id'])))
    add('key.id', 'is not an id', 'use visible ASCII characters')
  if (typeof o['timestamp'] === 'object' && o['timestamp'] !== null)
    oneOf(o['timestamp'] as Options, 'unit', ['seconds', 'milliseconds', 'iso'], (n, m, f) =>
      add(`timestamp.${n}`, m, f),
    )
  return [
    ...checkOptions(path, o, hmacOptions),
    ...suboptions(path, o, 'signature', ['header', 'query', 'format']),
    ...suboptions(path, o, 'key', ['id', 'header']),
    ...suboptions(path, o, 'timestamp', ['header', 'query', 'unit']),
    ...suboptions(path, o, 'nonce', ['header', 'query']),
  ]
}

function suboptions(path: string, o: Options, name: string, known: readonly string[]): Problem[] {
  return typeof o[name] === 'object' && o[name] !== null ? checkOptions(`${path}.${name}`, o[name], known) : []
}

/** The option as an object whose `header` and `query`, if any, can be used. */
function place(o: Options, name: string, add: Add): Options | undefined {
  const at = o[name]
  if (at === undefined) return undefined
  if (typeof at !== 'object' || at === null) {
    add(name, 'is not an object', `use ${name}: { header: 'x-${name}' }`)
    return undefined
  }
  const { header, query } = at as Options
  if (header !== undefined && !isFieldName(header)) add(`${name}.header`, 'is not a field name', `use 'x-${name}'`)
  if (query !== undefined && (typeof query !== 'string' || query === ''))
    add(`${name}.query`, 'is not a name', `use '${name}'`)
  return at as Options
}

function placesOf(at: Options): number {
  return Number(at['header'] !== undefined) + Number(at['query'] !== undefined)
}

function isPart(part: unknown): boolean {
  if (typeof part === 'string') return plainParts.includes(part)
  if (typeof part !== 'object' || part === null || Object.keys(part).length !== 1) return false
  const { header, text } = part as Options
  return header === undefined ? typeof text === 'string' : isFieldName(header)
}

function isFieldText(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value)
}

function oneOf(o: Options, name: string, known: readonly string[], add: Add): void {
  if (o[name] !== undefined && !known.includes(o[name] as string)) add(name, 'is unknown', `use ${known.join(', ')}`)
}

function awsProblems(o: Options, add: Add, path: string): Problem[] {
  const { accessKeyId } = o
  if (!isSecret(accessKeyId) && !(typeof accessKeyId === 'string' && /^\w{16,128}$/.test(accessKeyId)))
    add('accessKeyId', 'is not the id of an access key', "use 'AKIA…' or secret('AWS_ACCESS_KEY_ID')")
  named(o['secretAccessKey'], 'secretAccessKey', add)
  if (o['sessionToken'] !== undefined) named(o['sessionToken'], 'sessionToken', add)
  for (const name of ['region', 'service']) {
    const value = o[name]
    if (typeof value !== 'string' || !/^[a-z0-9-]{1,64}$/.test(value))
      add(name, `is not a ${name}`, name === 'region' ? "use 'eu-central-1'" : "use 'execute-api', 's3', 'sqs' …")
  }
  return checkOptions(path, o, ['kind', 'accessKeyId', 'secretAccessKey', 'sessionToken', 'region', 'service'])
}
