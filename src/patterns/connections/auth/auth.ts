import type { Runtime } from '#kernel/runtime.ts'
import { apiKeyCredentials, type ApiKey } from './api-key.ts'
import { awsCredentials, type AwsSigV4 } from './aws-sig-v4.ts'
import { basicCredentials, type Basic } from './basic.ts'
import { bearerCredentials, type Bearer } from './bearer.ts'
import type { Credentials } from './credential.ts'
import { hmacCredentials, type Hmac } from './hmac.ts'

/** How a connection proves who we are: inert, holding names of secrets and never their values. */
export type Auth = Bearer | ApiKey | Basic | Hmac | AwsSigV4

type AuthRuntime = Pick<Runtime, 'secrets' | 'redact' | 'clock' | 'random'>

export function credentials(auth: Auth, runtime: AuthRuntime): Credentials {
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

/** A header or a parameter of the query that carries the credential, under a name that no rule of masking knows. */
export function credentialName(auth: Auth | undefined): string | undefined {
  const at = auth?.kind === 'api-key' ? auth : auth?.kind === 'hmac' ? auth.signature : undefined
  if (at === undefined) return undefined
  return 'header' in at ? at.header.toLowerCase() : at.query
}
