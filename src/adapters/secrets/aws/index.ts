import { createHash, createHmac } from 'node:crypto'
import type { Problem } from '#kernel/definition.ts'
import { isDuration, milliseconds, type Duration } from '#kernel/duration.ts'
import { fault } from '#kernel/fault.ts'
import type { HttpResponse } from '#kernel/http.ts'
import { sigV4, type Sha256 } from '#kernel/sigv4.ts'
import { ask, objectOf } from '../ask.ts'
import { placeOf, SecretCache, type Document, type Source } from '../cache.ts'
import { Login } from '../login.ts'
import { addressProblems, commonOptions, type CommonOptions } from '../options.ts'
import type { SecretsAdapter, SecretsRuntime } from '../port.ts'
import { unlocking } from '../unlock.ts'
import { AwsCredentials, type AwsCredential } from './credentials.ts'

export type AwsSecretsOptions = CommonOptions & {
  /** `eu-central-1` */
  readonly region: string
  /** How long the value before the current one counts as valid, from the making of the current one. Default 24 h; `'0s'`: never. */
  readonly overlap?: Duration
  /** Where `AWS_ACCESS_KEY_ID` and its like are read instead of the environment. */
  readonly unlock?: SecretsAdapter
  /** Of a VPC endpoint or a stand-in. Default `https://secretsmanager.<region>.amazonaws.com`. */
  readonly endpoint?: string
  readonly insecure?: 'allow-http'
}

const kind = 'aws'
const own = ['region', 'overlap', 'unlock', 'endpoint', 'insecure']
const sha256: Sha256 = {
  digest: (data) => createHash('sha256').update(data).digest('hex'),
  hmac: (key, text) => createHmac('sha256', key).update(text).digest(),
}

/**
 * Secrets from AWS Secrets Manager, over its API and without the SDK. `secret('prod/payments')` is the text of that secret (a name
 * or an ARN), `secret('prod/payments#key')` a field where the text is JSON. `names` maps the names of definitions to such addresses.
 *
 * The current value is asked for every `refresh` (default 5 min: AWS bills requests), and, while it is younger than `overlap`, the
 * one before it (`AWSPREVIOUS`): both sides of a rotation work. While AWS is away the last good values serve for `keep` (default 1 h).
 *
 * Credentials, the first that is there: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` (and `AWS_SESSION_TOKEN`); a web identity
 * (`AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`: EKS); the container's (`AWS_CONTAINER_CREDENTIALS_…`: ECS, EKS Pod Identity);
 * the instance's (IMDSv2). No profile files. The role needs `secretsmanager:GetSecretValue`.
 *
 * Rejects with `config.secret` (not there, not allowed, binary) or `secret.unavailable`. Source: AWS Secrets Manager API Reference,
 * "GetSecretValue". Tested against a stand-in written from it.
 *
 * @example
 * awsSecrets({ region: 'eu-central-1', names: { PAYMENTS_KEY: 'prod/payments#key' } })
 */
export function awsSecrets(options: AwsSecretsOptions): SecretsAdapter {
  const common = commonOptions('awsSecrets', options, { refresh: '5m', keep: '1h' }, own, problemsOf(options))
  const { region } = options
  const endpoint =
    options.endpoint ?? `https://secretsmanager.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`
  const overlap = milliseconds(options.overlap ?? '24h')
  return Object.freeze({
    kind,
    async open(runtime) {
      const unlock = await unlocking(options.unlock, runtime)
      const credentials = new AwsCredentials(region, runtime, unlock.read)
      const login = new Login({ kind, login: () => credentials.find() }, runtime)
      const source: Source = {
        kind,
        locate: (address) => {
          const place = placeOf(address)
          return /^[A-Za-z0-9/_+=.@:-]{1,2048}$/.test(place.item) && place.field !== '' ? place : undefined
        },
        fetch: (id) => fetch(id, { runtime, login, region, endpoint, overlap }),
      }
      const cache = new SecretCache(source, common, runtime)
      return {
        read: (name) => cache.read(name),
        [Symbol.asyncDispose]: async () => {
          login.close()
          await unlock.close()
        },
      }
    },
  } satisfies SecretsAdapter)
}

type Aws = {
  readonly runtime: SecretsRuntime
  readonly login: Login<AwsCredential>
  readonly region: string
  readonly endpoint: string
  readonly overlap: number
}

async function fetch(id: string, aws: Aws): Promise<readonly Document[]> {
  const current = await version(id, 'AWSCURRENT', aws)
  if (!current) throw fault('config.secret', { message: `AWS Secrets Manager has no ${id}`, detail: { id } })
  if (aws.runtime.clock.now() - current.created >= aws.overlap) return [current.text]
  const before = await version(id, 'AWSPREVIOUS', aws)
  return before ? [current.text, before.text] : [current.text]
}

type Version = { readonly text: string; readonly created: number }

/** Undefined when there is no such secret, or none of this stage. */
async function version(id: string, stage: string, aws: Aws): Promise<Version | undefined> {
  const body = JSON.stringify({ SecretId: id, VersionStage: stage })
  let pass = await aws.login.get()
  let answer = await send(body, pass, aws)
  let problem = problemOf(answer)
  if (
    /^(?:ExpiredToken|UnrecognizedClient|InvalidClientTokenId|InvalidSignature|SignatureDoesNotMatch)/.test(problem)
  ) {
    pass = await aws.login.get(pass)
    answer = await send(body, pass, aws)
    problem = problemOf(answer)
  }
  const { status } = answer
  if (status === 200) {
    const { SecretString: text, CreatedDate: created } = objectOf(kind, answer)
    if (typeof text !== 'string') {
      throw fault('config.secret', { message: `${id} is binary: store it as text`, detail: { id } })
    }
    return { text, created: typeof created === 'number' ? created * 1_000 : Number.NEGATIVE_INFINITY }
  }
  if (problem === 'ResourceNotFoundException') return undefined
  const detail = { id, status, problem }
  const message = `AWS refuses ${id} with ${status} ${problem}`
  // What says something about the secret or our right to it; credentials, clocks and throttling are another matter.
  const final = /^(?:AccessDenied|InvalidRequest|InvalidParameter|DecryptionFailure|ValidationException)/.test(problem)
  throw fault(final ? 'config.secret' : 'secret.unavailable', { message, detail })
}

function send(body: string, pass: AwsCredential, aws: Aws): Promise<HttpResponse> {
  const { origin } = new URL(aws.endpoint)
  const headers: Record<string, string> = {
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': 'secretsmanager.GetSecretValue',
  }
  sigV4(
    { ...pass, region: aws.region, service: 'secretsmanager' },
    aws.runtime.clock,
    sha256,
  )({
    method: 'POST',
    origin,
    path: '/',
    headers,
    body,
  })
  return ask(aws.runtime, kind, { method: 'POST', url: `${origin}/`, headers, body })
}

/** `ResourceNotFoundException` out of `com.amazonaws…#ResourceNotFoundException:http://…`; empty when they do not say. Never their message. */
function problemOf(answer: HttpResponse): string {
  if (answer.status === 200) return ''
  const { __type: type } = objectOf(kind, answer)
  const name = typeof type === 'string' ? (type.split('#').at(-1)?.split(':')[0] ?? '') : ''
  return /^[A-Za-z]{1,80}$/.test(name) ? name : ''
}

function problemsOf(options: AwsSecretsOptions): Problem[] {
  const problems: Problem[] =
    options?.endpoint === undefined ? [] : addressProblems('awsSecrets.endpoint', options.endpoint, options.insecure)
  const region: unknown = options?.region
  if (typeof region !== 'string' || !/^[a-z]{2}[a-z-]*-\d{1,2}$/.test(region)) {
    problems.push({ path: 'awsSecrets.region', message: 'is not a region', fix: "use 'eu-central-1'" })
  }
  if (options?.overlap !== undefined && !isDuration(options.overlap)) {
    problems.push({ path: 'awsSecrets.overlap', message: 'is not a time', fix: "use a duration: '24h'" })
  }
  return problems
}
