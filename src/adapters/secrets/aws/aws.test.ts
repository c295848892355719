import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import { isFault } from '#kernel/fault.ts'
import type { HttpRequest } from '#kernel/http.ts'
import { redactor } from '#kernel/redact.ts'
import { sigV4 } from '#kernel/sigv4.ts'
import { virtualClock } from '#testing/clock.ts'
import { secretsConformance, type SuiteWorld } from '../conformance.ts'
import { runtimeOf, StandIn, type Answer } from '../world.fixture.ts'
import { awsSecrets, type AwsSecretsOptions } from './index.ts'

type Version = { readonly text: string; readonly created: number }
const sha256 = {
  digest: (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex'),
  hmac: (key: string | Uint8Array, text: string) => createHmac('sha256', key).update(text).digest(),
}
const env = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'environment-secret-key' }

/** GetSecretValue, STS, and the metadata of container and instance, written from their published descriptions. */
class AwsStandIn extends StandIn {
  readonly current = new Map<string, Version>()
  readonly previous = new Map<string, Version>()
  readonly keys = new Map<string, { secret: string; token: string | undefined }>([
    ['AKIDEXAMPLE', { secret: 'environment-secret-key', token: undefined }],
  ])
  problem: string | undefined
  reads = 0
  handed = 0

  constructor({ clock }: Pick<SuiteWorld, 'clock'>) {
    super((request, json): Answer => {
      const { host, pathname } = new URL(request.origin + request.path)
      if (host === 'sts.eu-central-1.amazonaws.com') {
        const form = new URLSearchParams(String(request.body))
        if (form.get('WebIdentityToken') !== 'web-identity-token') return { status: 400, text: '<ErrorResponse/>' }
        const k = this.#hand()
        return {
          status: 200,
          text: `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>${k.id}</AccessKeyId><SecretAccessKey>${k.secret}</SecretAccessKey><SessionToken>${k.token}</SessionToken><Expiration>${ending(clock.now())}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
        }
      }
      if (host === '169.254.170.2' || host === '169.254.169.254') {
        if (pathname === '/latest/api/token')
          return request.method === 'PUT' ? { status: 200, text: 'imds-session-token' } : { status: 405 }
        if (host === '169.254.169.254' && request.headers['x-aws-ec2-metadata-token'] !== 'imds-session-token')
          return { status: 401 }
        if (pathname === '/latest/meta-data/iam/security-credentials/') return { status: 200, text: 'billing-role' }
        const k = this.#hand()
        return {
          status: 200,
          body: { AccessKeyId: k.id, SecretAccessKey: k.secret, Token: k.token, Expiration: ending(clock.now()) },
        }
      }
      assert.equal(host, 'secretsmanager.eu-central-1.amazonaws.com')
      this.reads++
      const refused = this.problem ?? this.#signature(request, clock.now())
      if (refused !== undefined) return { status: 400, body: { __type: refused, message: 'not repeated anywhere' } }
      const { SecretId: id, VersionStage: stage } = json()
      const found = (stage === 'AWSPREVIOUS' ? this.previous : this.current).get(String(id))
      if (!found) return { status: 400, body: { __type: 'com.amazonaws.secretsmanager#ResourceNotFoundException' } }
      return {
        status: 200,
        body: { SecretString: found.text, CreatedDate: found.created / 1_000, VersionStages: [stage] },
      }
    })
  }

  put(id: string, text: string, now: number): void {
    const before = this.current.get(id)
    if (before) this.previous.set(id, before)
    this.current.set(id, { text, created: now })
  }

  #hand() {
    const n = ++this.handed
    const k = { id: `ASIA${n}`, secret: `temporary-secret-${n}`, token: `temporary-token-${n}` }
    this.keys.set(k.id, { secret: k.secret, token: k.token })
    return k
  }

  /** What AWS would say about the signature; undefined when it is right. */
  #signature(request: HttpRequest, now: number): string | undefined {
    const id = /Credential=([^/]+)\//.exec(request.headers['authorization'] ?? '')?.[1] ?? ''
    const key = this.keys.get(id)
    if (!key) return 'UnrecognizedClientException'
    if (request.headers['x-amz-security-token'] !== key.token) return 'UnrecognizedClientException'
    const { authorization, ...headers } = request.headers
    const again = { ...request, headers }
    sigV4(
      {
        accessKeyId: id,
        secretAccessKey: key.secret,
        sessionToken: key.token,
        region: 'eu-central-1',
        service: 'secretsmanager',
      },
      { now: () => now },
      sha256,
    )(again)
    return again.headers['authorization' as never] === authorization ? undefined : 'InvalidSignatureException'
  }
}

function ending(now: number): string {
  return new Date(now + 3_600_000).toISOString()
}

secretsConformance('secrets of AWS', virtualClock, async (world) => {
  const aws = new AwsStandIn(world)
  const secrets = await awsSecrets({ region: 'eu-central-1' }).open(runtimeOf(world, { http: aws, env }))
  return {
    secrets,
    refresh: 300_000,
    keep: 3_600_000,
    put: async (name, value, overlap) => {
      aws.put(name, value, world.clock.now())
      if (!overlap) aws.previous.delete(name)
    },
    remove: async (name) => void aws.current.delete(name),
    away: async (is) => void (aws.away = is),
    asked: () => aws.reads,
    close: async () => {},
  }
})

async function open(
  given: { env?: Record<string, string>; files?: Record<string, string>; options?: Partial<AwsSecretsOptions> } = {},
) {
  const clock = virtualClock()
  const redact = redactor()
  const aws = new AwsStandIn({ clock })
  const read = async (path: string | URL): Promise<string> =>
    given.files?.[String(path)] ?? Promise.reject(new Error('ENOENT'))
  const files = { read, stat: () => Promise.reject(new Error('ENOENT')) }
  const runtime = runtimeOf(
    { clock, redact, log: { write: () => undefined } },
    { http: aws, env: given.env ?? env, files },
  )
  const secrets = await awsSecrets({ region: 'eu-central-1', ...given.options }).open(runtime)
  const values = async (name: string): Promise<string[]> => (await secrets.read(name)).map((v) => v.reveal())
  return { clock, aws, redact, values }
}

test('a field of a secret that is JSON, by a name of the definitions; an ARN is an address too', async () => {
  const arn = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/payments-AbCdEf'
  const t = await open({ options: { names: { PAYMENTS_KEY: 'prod/payments#key', BY_ARN: `${arn}#key` } } })
  t.aws.put('prod/payments', '{"key":"sk-of-payments","port":5432}', t.clock.now())
  t.aws.put(arn, '{"key":"sk-by-arn"}', t.clock.now())
  assert.deepEqual(await t.values('PAYMENTS_KEY'), ['sk-of-payments'])
  assert.deepEqual(await t.values('BY_ARN'), ['sk-by-arn'])
  await assert.rejects(
    t.values('prod/payments#port'),
    (e) => isFault(e, 'config.secret') && e.message.includes('"port"'),
  )
})

test('AWSPREVIOUS counts for the overlap only, though AWS keeps it for ever', async () => {
  const t = await open({ options: { overlap: '1h' } })
  t.aws.put('turning', 'old-value', t.clock.now())
  t.aws.put('turning', 'new-value', t.clock.now())
  assert.deepEqual(await t.values('turning'), ['new-value', 'old-value'])
  await t.clock.advance(4_000_000)
  assert.deepEqual(await t.values('turning'), ['new-value'])
})

for (const [whose, given] of [
  [
    'a web identity',
    {
      env: { AWS_WEB_IDENTITY_TOKEN_FILE: '/eks/token', AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/billing' },
      files: { '/eks/token': 'web-identity-token\n' },
    },
  ],
  ['a container', { env: { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/v2/credentials/billing' } }],
  ['an instance', { env: {} as Record<string, string> }],
] as const) {
  test(`credentials of ${whose} are found, masked, used until shortly before their end, and fetched anew`, async () => {
    const t = await open(given)
    t.aws.put('a', 'value-of-a', t.clock.now() - 86_400_000)
    assert.deepEqual(await t.values('a'), ['value-of-a'])
    await t.clock.advance(3_000_000)
    await t.values('a')
    assert.equal(t.aws.handed, 1)
    await t.clock.advance(600_000)
    await t.values('a')
    assert.equal(t.aws.handed, 2)
    assert.equal(t.redact.text('temporary-secret-1 temporary-token-2'), '[masked] [masked]')
  })
}

test('credentials that AWS no longer knows cost one more login and no failed read', async () => {
  const t = await open({ env: {} })
  t.aws.put('a', 'value-of-a', t.clock.now() - 86_400_000)
  await t.values('a')
  t.aws.keys.clear()
  await t.clock.advance(600_000)
  assert.deepEqual(await t.values('a'), ['value-of-a'])
  assert.equal(t.aws.handed, 2)
})

test('says which of their problems it is, never what they write; throttling keeps the last good value, a denial does not', async () => {
  const t = await open()
  t.aws.put('a', 'value-of-a', t.clock.now())
  await t.values('a')
  t.aws.problem = 'ThrottlingException'
  await t.clock.advance(600_000)
  assert.deepEqual(await t.values('a'), ['value-of-a'])
  t.aws.problem = 'com.amazonaws.secretsmanager#AccessDeniedException:http://internal.amazon.com/'
  await t.clock.advance(1_200_000)
  await t.values('a').catch(() => undefined)
  await t.clock.advance(600_000)
  await assert.rejects(t.values('a'), (e) => {
    assert.ok(isFault(e, 'config.secret'))
    assert.match(e.message, /AccessDeniedException/)
    assert.doesNotMatch(JSON.stringify(e), /not repeated|internal\.amazon/)
    return true
  })
})

test('credentials of a container are asked for over https or from this host only', async () => {
  const t = await open({ env: { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://elsewhere.test/credentials' } })
  await assert.rejects(t.values('a'), (e) => isFault(e, 'secret.unavailable') && e.message.includes('FULL_URI'))
  assert.equal(t.aws.seen.length, 0)
})
