import type { Secret } from '#kernel/secret.ts'

/** Where tokens come from. With `issuer` alone the rest is read from its metadata (OpenID discovery, then RFC 8414). */
export type Server = {
  /** Its identifier, exactly as it writes it itself: a metadata document that says otherwise is refused. */
  readonly issuer?: string
  /** Instead of discovery. */
  readonly tokenEndpoint?: string
}

/**
 * How the client proves itself at the token endpoint; the names are the registered ones. Of a secret with two current values
 * the newest is used, and the older one where they do not know the newer yet. A private key is PEM (PKCS #8) or a JWK.
 */
export type Authenticate =
  | { readonly method: 'client_secret_basic'; readonly secret: Secret }
  | { readonly method: 'client_secret_post'; readonly secret: Secret }
  | ({
      readonly method: 'private_key_jwt'
      /** `aud` of the assertion. Default the issuer, or the token endpoint where no issuer is given. */
      readonly audience?: string
    } & SigningKey)

export type SigningKey = {
  readonly key: Secret
  readonly algorithm: 'RS256' | 'RS384' | 'PS256' | 'ES256' | 'ES384' | 'EdDSA'
  /** `kid`, where they hold more than one key of ours. */
  readonly keyId?: string
}

type Asked = {
  /** Exactly these are asked for, never others. Default none: what they give by themselves. */
  readonly scopes?: readonly string[]
  /** RFC 8707: the API that the token is for. */
  readonly resource?: string
  /** The same, in the words of some servers (Auth0). */
  readonly audience?: string
}

/**
 * Encrypts the tokens in the store: 32 random bytes in base64 (`openssl rand -base64 32`). All current values of the secret
 * are the key ring: the newest encrypts, the older ones still decrypt what is written anew at the next refresh.
 */
type Kept = { readonly tokenKey: Secret }

export type ClientCredentialsOptions = Server &
  Asked &
  Partial<Kept> & { readonly clientId: string; readonly authenticate: Authenticate }

export type JwtBearerOptions = Server &
  Asked &
  Partial<Kept> &
  SigningKey & {
    /** `iss` of the assertion: a client id, or the address of a service account. */
    readonly assertedBy: string
    /** `sub`: on whose behalf. Default none. */
    readonly subject?: string
    /** `aud`. Default the token endpoint. */
    readonly assertedTo?: string
    /** Google wants the scopes inside the assertion. Default in the request (RFC 7523 §4). */
    readonly scopesIn?: 'request' | 'assertion'
  }

export type AuthorizationCodeOptions = Server &
  Asked &
  Kept & {
    readonly clientId: string
    /** Absent: a public client, with PKCE alone. */
    readonly authenticate?: Authenticate
    /** Instead of discovery. */
    readonly authorizationEndpoint?: string
    /** Where they send the person back to: its path is served by the app. Registered with them exactly like this, one for each connection. */
    readonly redirectUri: string
    /** Further parameters of the authorization request: `{ access_type: 'offline' }`. */
    readonly parameters?: Readonly<Record<string, string>>
  }

export type ClientCredentials = {
  readonly kind: 'oauth'
  readonly grant: 'client_credentials'
} & ClientCredentialsOptions
export type JwtBearer = { readonly kind: 'oauth'; readonly grant: 'jwt_bearer' } & JwtBearerOptions
export type AuthorizationCode = {
  readonly kind: 'oauth'
  readonly grant: 'authorization_code'
} & AuthorizationCodeOptions

/** A token that is had and renewed by itself: `Authorization: Bearer …`. */
export type OAuth = ClientCredentials | JwtBearer | AuthorizationCode

/**
 * OAuth 2.0 client credentials (RFC 6749 §4.4): the program itself is known to their server.
 *
 * A token is fetched with the first call and renewed when 80 % of its life have passed, while the old one still serves; once,
 * however many calls wait for it. A 401 forces one renewal; if the new one is refused as well, the work is held
 * (`connection.credential`). With `tokenKey` the token is kept, encrypted, in the store: all processes share one, one of them
 * renews it, and a restart goes on with it. Without, each process has its own.
 *
 * Faults: `connection.token` while none can be had (held, tried again with growing waits up to 60 s), `connection.unauthorized`
 * when they refuse us (held, tried again after 60 s). A token endpoint that is down is no fault as long as the old token lives.
 * Implicit and password grants are not offered (RFC 9700).
 *
 * @example
 * clientCredentials({
 *   issuer: 'https://id.example.com',
 *   clientId: 'fairlead',
 *   authenticate: { method: 'client_secret_basic', secret: secret('CLIENT_SECRET') },
 *   scopes: ['orders.read'],
 * })
 */
export function clientCredentials(options: ClientCredentialsOptions): ClientCredentials {
  return Object.freeze({ kind: 'oauth', grant: 'client_credentials', ...options })
}

/**
 * The JWT bearer grant (RFC 7523 §2.1): an assertion that we sign is exchanged for a token. Google's service accounts and
 * Salesforce work so. Renewal, storage and faults are those of `clientCredentials`.
 *
 * @example
 * jwtBearer({
 *   tokenEndpoint: 'https://oauth2.googleapis.com/token',
 *   assertedBy: 'robot@project.iam.gserviceaccount.com',
 *   key: secret('ROBOT_KEY'),
 *   algorithm: 'RS256',
 *   scopes: ['https://www.googleapis.com/auth/spreadsheets'],
 *   scopesIn: 'assertion',
 * })
 */
export function jwtBearer(options: JwtBearerOptions): JwtBearer {
  return Object.freeze({ kind: 'oauth', grant: 'jwt_bearer', ...options })
}

/**
 * OAuth 2.0 authorization code with PKCE (S256): a person allows it once, in a browser, by a link of `fairlead authorize`; then
 * the refresh token goes on for as long as they let it. A rotated refresh token is on disk before the new token is used. A
 * crash between their answer and the disk leaves the old one, which is tried: where they still take it, nothing is lost; where
 * not, the work is held and the owner told. It never loops.
 *
 * Until somebody has authorised, and after `invalid_grant`, calls fail with `connection.unauthorized` and their messages are
 * held; they are due as soon as it has been authorised again. Renewal and the other faults are those of `clientCredentials`.
 *
 * @example
 * authorizationCode({
 *   issuer: 'https://login.example.com',
 *   clientId: 'fairlead',
 *   authenticate: { method: 'client_secret_post', secret: secret('CLIENT_SECRET') },
 *   scopes: ['contacts.read', 'offline_access'],
 *   redirectUri: 'https://hooks.example.org/oauth/crm',
 *   tokenKey: secret('TOKEN_KEY'),
 * })
 */
export function authorizationCode(options: AuthorizationCodeOptions): AuthorizationCode {
  return Object.freeze({ kind: 'oauth', grant: 'authorization_code', ...options })
}
