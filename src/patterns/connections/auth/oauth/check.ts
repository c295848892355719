import { checkOptions, type Problem } from '#kernel/definition.ts'
import { isSecret } from '#kernel/secret.ts'

type Options = Readonly<Record<string, unknown>>
type Add = (name: string, message: string, fix: string) => void

const common = ['kind', 'grant', 'issuer', 'tokenEndpoint', 'scopes', 'resource', 'audience', 'tokenKey']
const signing = ['key', 'algorithm', 'keyId']
const known: Readonly<Record<string, readonly string[]>> = {
  client_credentials: [...common, 'clientId', 'authenticate'],
  jwt_bearer: [...common, ...signing, 'assertedBy', 'subject', 'assertedTo', 'scopesIn'],
  authorization_code: [...common, 'clientId', 'authenticate', 'authorizationEndpoint', 'redirectUri', 'parameters'],
}
const algorithms = ['RS256', 'RS384', 'PS256', 'ES256', 'ES384', 'EdDSA']
/** Parameters of an authorization request that are ours to set. */
const reserved = [
  'response_type',
  'client_id',
  'redirect_uri',
  'scope',
  'state',
  'code_challenge',
  'code_challenge_method',
  'resource',
  'audience',
  'request',
  'request_uri',
  'response_mode',
]

/** Everything wrong in an OAuth definition. Values are not repeated: one of them may be a secret. */
export function oauthProblems(o: Options, add: Add, path: string): Problem[] {
  const grant = o['grant']
  const options = typeof grant === 'string' && Object.hasOwn(known, grant) ? known[grant] : undefined
  if (!options) {
    add('', 'is not a grant', 'use clientCredentials({…}), jwtBearer({…}) or authorizationCode({…})')
    return []
  }
  const more: Problem[] = []
  if (o['issuer'] === undefined && o['tokenEndpoint'] === undefined)
    add('issuer', 'is missing', "use issuer: 'https://id.example.com', or tokenEndpoint")
  for (const name of ['issuer', 'tokenEndpoint', 'authorizationEndpoint', 'redirectUri']) address(o, name, add)
  const { scopes } = o
  if (
    scopes !== undefined &&
    !(Array.isArray(scopes) && scopes.every((s) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(String(s))))
  )
    add('scopes', 'is not a list of scopes', "use ['orders.read']: one word each, without spaces")
  for (const name of ['resource', 'audience']) text(o, name, add, false)
  if (o['tokenKey'] !== undefined || grant === 'authorization_code') secret(o, 'tokenKey', add)
  if (grant === 'jwt_bearer') {
    key(o, '', add)
    text(o, 'assertedBy', add, true)
    for (const name of ['subject', 'assertedTo']) text(o, name, add, false)
    if (o['scopesIn'] !== undefined && o['scopesIn'] !== 'request' && o['scopesIn'] !== 'assertion')
      add('scopesIn', 'is unknown', "use 'request' or 'assertion'")
  } else {
    text(o, 'clientId', add, true)
    if (o['authenticate'] !== undefined || grant === 'client_credentials') more.push(...authenticate(o, add, path))
  }
  if (grant === 'authorization_code') {
    if (o['redirectUri'] === undefined) add('redirectUri', 'is missing', "use 'https://hooks.example.org/oauth/crm'")
    if (o['tokenEndpoint'] !== undefined && o['authorizationEndpoint'] === undefined)
      add('authorizationEndpoint', 'is missing', 'add it: with tokenEndpoint nothing is discovered')
    parameters(o['parameters'], add)
  }
  return [...checkOptions(path, o, options), ...more]
}

function address(o: Options, name: string, add: Add): void {
  const value = o[name]
  if (value === undefined) return
  const url = typeof value === 'string' ? URL.parse(value) : null
  const here =
    url && (url.hostname === 'localhost' || /^127\.\d+\.\d+\.\d+$/.test(url.hostname) || url.hostname === '[::1]')
  if (!url || !/^https?:$/.test(url.protocol)) add(name, 'is not an http address', "use 'https://id.example.com'")
  else if (url.protocol === 'http:' && !here)
    add(name, 'is not encrypted', 'use https: secrets and tokens travel there')
  else if (url.username !== '' || url.password !== '' || url.hash !== '')
    add(name, 'has a user, a password or a fragment in it', 'write the address alone')
  else if ((name === 'redirectUri' || name === 'issuer') && url.search !== '')
    add(name, 'has a query', 'write the address alone')
  else if (name === 'redirectUri' && (url.pathname === '/' || url.pathname.endsWith('/')))
    add(name, 'has no path of its own', "use 'https://hooks.example.org/oauth/crm'")
}

function authenticate(o: Options, add: Add, path: string): Problem[] {
  const given = o['authenticate']
  const how = (typeof given === 'object' && given !== null ? given : {}) as Options
  const inside: Add = (name, message, fix) => add(`authenticate.${name}`, message, fix)
  switch (how['method']) {
    case 'client_secret_basic':
    case 'client_secret_post':
      secret(how, 'secret', inside)
      return checkOptions(`${path}.authenticate`, how, ['method', 'secret'])
    case 'private_key_jwt':
      key(how, '', inside)
      text(how, 'audience', inside, false)
      return checkOptions(`${path}.authenticate`, how, ['method', ...signing, 'audience'])
    default:
      add(
        'authenticate',
        'does not say how',
        "use { method: 'client_secret_basic', secret }, 'client_secret_post', or { method: 'private_key_jwt', key, algorithm }",
      )
      return []
  }
}

function key(o: Options, prefix: string, add: Add): void {
  secret(o, `${prefix}key`, add)
  if (!algorithms.includes(o['algorithm'] as string)) add('algorithm', 'is unknown', `use ${algorithms.join(', ')}`)
  text(o, 'keyId', add, false)
}

function secret(o: Options, name: string, add: Add): void {
  if (!isSecret(o[name]))
    add(name, 'does not name a secret', "name it: secret('CLIENT_SECRET'); a value never stands in a definition")
}

function text(o: Options, name: string, add: Add, needed: boolean): void {
  const value = o[name]
  if (value === undefined && !needed) return
  if (typeof value !== 'string' || !/^[\x20-\x7e]{1,2000}$/.test(value)) add(name, 'is not a text', `add ${name}: '…'`)
}

function parameters(given: unknown, add: Add): void {
  if (given === undefined) return
  if (typeof given !== 'object' || given === null)
    return add('parameters', 'is not an object', "use { prompt: 'consent' }")
  for (const [name, value] of Object.entries(given)) {
    if (reserved.includes(name)) add(`parameters.${name}`, 'is set by the flow itself', 'remove it')
    else if (typeof value !== 'string') add(`parameters.${name}`, 'is not a text', `use ${name}: '…'`)
  }
}
