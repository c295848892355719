import type { Runtime } from '#kernel/runtime.ts'
import { apiKeyCredentials, type ApiKey } from './api-key.ts'
import { awsCredentials, type AwsSigV4 } from './aws-sig-v4.ts'
import { basicCredentials, type Basic } from './basic.ts'
import { bearerCredentials, type Bearer } from './bearer.ts'
import type { SecretCredentials } from './credential.ts'
import { hmacCredentials, type Hmac } from './hmac.ts'
import type { OAuth } from './oauth/define.ts'
import { Tokens, type TokenDeps } from './oauth/tokens.ts'

/** How a connection proves who we are: inert, holding names of secrets and never their values. */
export type Auth = Bearer | ApiKey | Basic | Hmac | AwsSigV4 | OAuth

/** Of the other kinds nothing lives longer than a call. */
export function tokensOf(auth: Auth | undefined, connection: string, deps: TokenDeps): Tokens | undefined {
  return auth?.kind === 'oauth' ? new Tokens(auth, connection, deps) : undefined
}

type AuthRuntime = Pick<Runtime, 'secrets' | 'redact' | 'clock' | 'random'>

export function credentials(auth: Exclude<Auth, OAuth>, runtime: AuthRuntime): SecretCredentials {
  switch (auth.kind) {
    case 'bearer':
      return bearerCredentials(auth, runtime)
    case 'api-key':
      return apiKeyCredentials(auth, runtime)
    case 'basic':
      return basicCredentials(auth, runtime)
    case 'hmac':
      return hmacCredentials(auth, runtime)
    case 'aws-sig-v4':
      return awsCredentials(auth, runtime)
  }
}

/** The parameter of the query that carries the credential. */
export function credentialQuery(auth: Auth | undefined): string | undefined {
  const at = auth?.kind === 'api-key' ? auth : auth?.kind === 'hmac' ? auth.signature : undefined
  return at !== undefined && 'query' in at ? at.query : undefined
}

/** A header or a parameter of the query that carries the credential, under a name that no rule of masking knows. */
export function credentialName(auth: Auth | undefined): string | undefined {
  const at = auth?.kind === 'api-key' ? auth : auth?.kind === 'hmac' ? auth.signature : undefined
  if (at === undefined) return undefined
  if ('header' in at) return at.header.toLowerCase()
  return 'query' in at ? at.query : undefined
}
