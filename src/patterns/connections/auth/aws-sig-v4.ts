import { createHash, createHmac } from 'node:crypto'
import type { Clock } from '#kernel/clock.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Secret } from '#kernel/secret.ts'
import { sigV4, type AwsKey, type Sha256 } from '#kernel/sigv4.ts'
import { headerValue, signing, someValue, type Credential, type SecretCredentials, type Sign } from './credential.ts'

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

/** Signs with this key; the day's key is derived once. */
export function awsSigner(key: AwsKey, clock: Pick<Clock, 'now'>): Sign {
  return sigV4(key, clock, sha256)
}

const sha256: Sha256 = {
  digest: (data) => createHash('sha256').update(data).digest('hex'),
  hmac: (key, text) => createHmac('sha256', key).update(text).digest(),
}
