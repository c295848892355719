import { Buffer } from 'node:buffer'
import { importJWK, importPKCS8, SignJWT, type CryptoKey } from 'jose'
import * as oauth from 'oauth4webapi'
import type { Code } from '#kernel/codes.ts'
import { fault, isFault, toFault, type Fault } from '#kernel/fault.ts'
import type { HttpOut } from '#kernel/http.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Secret, SecretValue } from '#kernel/secret.ts'
import { someValue, unusable } from '../credential.ts'
import type { Authenticate, JwtBearer, OAuth, SigningKey } from './define.ts'
import { authorizationServerFetch, type Fetch } from './fetch.ts'

export type EndpointRuntime = Pick<Runtime, 'clock' | 'random' | 'secrets' | 'redact'> & {
  readonly http: Pick<HttpOut, 'send'>
}

/** What the token endpoint gave. `life` in milliseconds from the request. */
export type Granted = {
  readonly access: string
  readonly refresh: string | undefined
  readonly scopes: readonly string[] | undefined
  readonly life: number
}

/** A document of metadata is read again after this long. */
const fresh = 86_400_000
/** Life of an assertion that we sign, in seconds (RFC 7523: short; SMART allows at most 5 minutes). */
const assertionLife = 120
/** Life of a token of which they say nothing. */
const untold = 3_600_000

/**
 * The authorization server of one connection, spoken to over the runtime's HTTP port. In a module of its own, loaded when
 * the first token is needed: an app without OAuth loads neither the protocol nor the signatures.
 *
 * Throws `connection.unauthorized` (`detail.error` is their word) when they refuse us, `connection.token` for everything
 * else. Never hands on what they wrote: it may hold a token.
 */
export class Endpoint {
  readonly #auth: OAuth
  readonly #name: string
  readonly #runtime: EndpointRuntime
  readonly #fetch: Fetch
  #server: { readonly as: oauth.AuthorizationServer; readonly readAt: number } | undefined
  #key: { readonly text: string; readonly key: CryptoKey } | undefined

  constructor(auth: OAuth, name: string, runtime: EndpointRuntime) {
    this.#auth = auth
    this.#name = name
    this.#runtime = runtime
    this.#fetch = authorizationServerFetch(runtime.http, name)
  }

  /** Has what it must know about the server: asked before the right to renew is taken, so that this is held for the renewal alone. */
  async ready(): Promise<void> {
    try {
      await this.#metadata()
    } catch (e) {
      throw this.#known(e)
    }
  }

  /** A token by the grant of this connection: with a refresh token where one is given. */
  token(refresh: string | undefined): Promise<Granted> {
    const auth = this.#auth
    return this.#asked(async (as, client) => {
      if (refresh !== undefined)
        return this.#proven(as, (prove) => oauth.refreshTokenGrantRequest(as, client, prove, refresh, this.#with()))
      if (auth.grant === 'jwt_bearer') {
        const parameters = {
          ...this.#parameters(auth.scopesIn !== 'assertion'),
          assertion: await this.#assertion(as, auth),
        }
        return oauth.genericTokenEndpointRequest(as, client, unproven, jwtBearerGrant, parameters, this.#with())
      }
      const parameters = this.#parameters(true)
      return this.#proven(as, (prove) =>
        oauth.clientCredentialsGrantRequest(as, client, prove, parameters, this.#with()),
      )
    })
  }

  /** The token for a code that came to our redirect address. `verifier` is the one whose challenge we sent. */
  code(callback: URLSearchParams, state: string, redirectUri: string, verifier: string): Promise<Granted> {
    return this.#asked(async (as, client) => {
      const valid = oauth.validateAuthResponse(as, client, callback, state)
      const ask = (prove: oauth.ClientAuth): Promise<Response> =>
        oauth.authorizationCodeGrantRequest(as, client, prove, valid, redirectUri, verifier, this.#with())
      return this.#proven(as, ask)
    })
  }

  /** Where a person is sent to allow it. */
  async authorizationUrl(more: Readonly<Record<string, string>>): Promise<string> {
    try {
      const as = await this.#metadata()
      if (as.authorization_endpoint === undefined) throw this.#failure('has no authorization endpoint')
      const url = new URL(as.authorization_endpoint)
      const client = this.#auth.grant === 'authorization_code' ? { client_id: this.#auth.clientId } : {}
      const parameters = { ...more, response_type: 'code', ...client, ...this.#parameters(true) }
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
      return url.href
    } catch (e) {
      throw this.#known(e)
    }
  }

  async #asked(ask: (as: oauth.AuthorizationServer, client: oauth.Client) => Promise<Response>): Promise<Granted> {
    try {
      const as = await this.#metadata()
      const client: oauth.Client = { client_id: 'clientId' in this.#auth ? this.#auth.clientId : 'unused' }
      const response = await ask(as, client)
      return this.#granted(await oauth.processGenericTokenEndpointResponse(as, client, response))
    } catch (e) {
      throw this.#known(e)
    }
  }

  /** With the newest client secret, then with the one before it where they do not know that yet. */
  async #proven(as: oauth.AuthorizationServer, ask: (prove: oauth.ClientAuth) => Promise<Response>): Promise<Response> {
    const authenticate = 'authenticate' in this.#auth ? this.#auth.authenticate : undefined
    if (authenticate === undefined) return ask(oauth.None())
    const values = await this.#values(secretOf(authenticate))
    for (const [i, value] of values.entries()) {
      const response = await ask(await this.#prover(as, authenticate, value))
      if (i === values.length - 1 || !(await isInvalidClient(response))) return response
    }
    throw this.#failure('has no secret to authenticate with')
  }

  async #prover(as: oauth.AuthorizationServer, how: Authenticate, value: SecretValue): Promise<oauth.ClientAuth> {
    if (how.method === 'client_secret_basic') return this.#basic(someValue(value))
    if (how.method === 'client_secret_post') return oauth.ClientSecretPost(someValue(value))
    const key = await this.#imported(how, value)
    const { clock, random } = this.#runtime
    return oauth.PrivateKeyJwt(how.keyId === undefined ? key : { key, kid: how.keyId }, {
      [oauth.modifyAssertion]: (header, payload) => {
        const now = Math.floor(clock.now() / 1_000)
        header['alg'] = how.algorithm
        payload['aud'] = how.audience ?? (this.#auth.issuer === undefined ? as.token_endpoint! : as.issuer)
        payload['jti'] = Buffer.from(random.bytes(16)).toString('base64url')
        payload['iat'] = payload['nbf'] = now
        payload['exp'] = now + assertionLife
      },
    })
  }

  /** RFC 6749 §2.3.1. The library also encodes `-` and `_`, which servers that do not decode take for another secret. */
  #basic(secret: string): oauth.ClientAuth {
    return (_as, client, _body, headers) => {
      const pair = `${formEncoded(client.client_id)}:${formEncoded(secret)}`
      const encoded = Buffer.from(pair).toString('base64')
      this.#runtime.redact.learn(encoded)
      headers.set('authorization', `Basic ${encoded}`)
    }
  }

  async #assertion(as: oauth.AuthorizationServer, auth: JwtBearer): Promise<string> {
    const [value] = await this.#values(auth.key)
    if (!value) throw this.#failure('has no key to sign with')
    const key = await this.#imported(auth, value)
    const { clock, random } = this.#runtime
    const now = Math.floor(clock.now() / 1_000)
    const scope = auth.scopesIn === 'assertion' && auth.scopes ? { scope: auth.scopes.join(' ') } : {}
    const jwt = new SignJWT(scope)
      .setProtectedHeader({ alg: auth.algorithm, typ: 'JWT', ...(auth.keyId === undefined ? {} : { kid: auth.keyId }) })
      .setIssuer(auth.assertedBy)
      .setAudience(auth.assertedTo ?? as.token_endpoint!)
      .setIssuedAt(now)
      .setExpirationTime(now + assertionLife)
      .setJti(Buffer.from(random.bytes(16)).toString('base64url'))
    if (auth.subject !== undefined) jwt.setSubject(auth.subject)
    return jwt.sign(key)
  }

  async #imported({ algorithm }: SigningKey, value: SecretValue): Promise<CryptoKey> {
    const text = someValue(value)
    if (this.#key?.text === text) return this.#key.key
    let key: CryptoKey
    try {
      const jwk = text.trimStart().startsWith('{')
      key = jwk
        ? ((await importJWK(JSON.parse(text) as object, algorithm)) as CryptoKey)
        : await importPKCS8(text, algorithm)
    } catch {
      throw unusable(value, `is not a private key for ${algorithm}, as PEM (PKCS #8) or as a JWK`)
    }
    this.#key = { text, key }
    return key
  }

  async #values(named: Secret): Promise<readonly SecretValue[]> {
    const values = await this.#runtime.secrets.read(named.name)
    for (const value of values) this.#runtime.redact.learn(value.reveal())
    return values
  }

  #parameters(scoped: boolean): Record<string, string> {
    const { scopes, resource, audience } = this.#auth
    return {
      ...(scoped && scopes && scopes.length > 0 ? { scope: scopes.join(' ') } : {}),
      ...(resource === undefined ? {} : { resource }),
      ...(audience === undefined ? {} : { audience }),
    }
  }

  async #metadata(): Promise<oauth.AuthorizationServer> {
    const { issuer, tokenEndpoint } = this.#auth
    if (tokenEndpoint !== undefined) {
      const authorization = 'authorizationEndpoint' in this.#auth ? this.#auth.authorizationEndpoint : undefined
      return {
        issuer: issuer ?? new URL(tokenEndpoint).origin,
        token_endpoint: tokenEndpoint,
        ...(authorization === undefined ? {} : { authorization_endpoint: authorization }),
      }
    }
    const now = this.#runtime.clock.mono()
    if (this.#server && now - this.#server.readAt < fresh) return this.#server.as
    const expected = new URL(issuer!)
    let response = await oauth.discoveryRequest(expected, { ...this.#with(), algorithm: 'oidc' })
    if (response.status === 404) {
      response = await oauth.discoveryRequest(expected, { ...this.#with(), algorithm: 'oauth2' })
    }
    const as = await oauth.processDiscoveryResponse(expected, response)
    this.#server = { as, readAt: now }
    return as
  }

  #with(): { [oauth.customFetch]: Fetch; [oauth.allowInsecureRequests]: boolean } {
    // Plain http only where the check let an endpoint of this machine pass.
    const insecure = (this.#auth.issuer ?? this.#auth.tokenEndpoint ?? '').startsWith('http://')
    return { [oauth.customFetch]: this.#fetch, [oauth.allowInsecureRequests]: insecure }
  }

  #granted(answer: oauth.TokenEndpointResponse): Granted {
    const { access_token: access, refresh_token: refresh, scope, expires_in: seconds } = answer
    if (answer.token_type !== 'bearer') throw this.#failure('gave a token that is not a bearer token')
    if (!/^[\x21-\x7e]{1,16384}$/.test(access)) throw this.#failure('gave a token that a header cannot hold')
    const life = seconds === undefined ? (lifeIn(access, this.#runtime.clock.now()) ?? untold) : seconds * 1_000
    return {
      access,
      refresh,
      life,
      scopes: scope === undefined ? undefined : scope.split(/[ ,]+/).filter((s) => s !== ''),
    }
  }

  #known(e: unknown): Fault {
    const connection = this.#name
    if (isFault(e)) {
      if (e.kind === 'config' || e.code === 'connection.unauthorized' || e.code === 'connection.token') return e
      return this.#failure(`does not answer: ${e.code}`, e)
    }
    const refused = e instanceof oauth.ResponseBodyError || e instanceof oauth.AuthorizationResponseError
    if (refused) {
      const error = /^[a-z_]{1,60}$/.test(e.error) ? e.error : 'an unknown error'
      return fault('connection.unauthorized', {
        message: `${connection}: the authorization server refuses us: ${error}`,
        detail: { connection, error, ...('status' in e ? { status: e.status } : {}) },
      })
    }
    // Their messages are about members, never about values; their causes hold the whole answer and stay here.
    return this.#failure(e instanceof Error && 'code' in e ? `answers wrongly: ${e.message}` : 'could not be asked')
  }

  #failure(what: string, cause?: Fault): Fault {
    const code: Code = 'connection.token'
    const connection = this.#name
    return fault(code, {
      message: `${connection}: the authorization server ${what}`,
      detail: { connection },
      ...(cause === undefined ? {} : { cause: toFault(cause, code) }),
    })
  }
}

const jwtBearerGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/** The assertion is the proof. */
const unproven: oauth.ClientAuth = () => undefined

function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}

function secretOf(how: Authenticate): Secret {
  return 'secret' in how ? how.secret : how.key
}

async function isInvalidClient(response: Response): Promise<boolean> {
  if (response.status !== 400 && response.status !== 401) return false
  const answer: unknown = await response
    .clone()
    .json()
    .catch(() => undefined)
  return typeof answer === 'object' && answer !== null && (answer as { error?: unknown }).error === 'invalid_client'
}

/** Milliseconds that a JWT says it will live, undefined for another token. It is theirs to be checked: here it is a hint. */
function lifeIn(token: string, now: number): number | undefined {
  const [, payload, signature] = token.split('.')
  if (payload === undefined || signature === undefined) return undefined
  try {
    const { exp } = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { exp?: unknown }
    return typeof exp === 'number' && exp * 1_000 > now ? exp * 1_000 - now : undefined
  } catch {
    return undefined
  }
}
