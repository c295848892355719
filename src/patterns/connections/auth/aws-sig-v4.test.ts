import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Sha256 } from '@aws-crypto/sha256-js'
import { SignatureV4 } from '@smithy/signature-v4'
import { default as fc } from 'fast-check'
import { secret } from '#kernel/secret.ts'
import type { AwsKey } from '#kernel/sigv4.ts'
import { virtualClock } from '#testing/clock.ts'
import { json, order, paid, setup } from '../scripted.test.ts'
import { awsSigner, awsSigV4 } from './aws-sig-v4.ts'
import { authProblems } from './check.ts'
import type { Unsigned } from './credential.ts'

/** The credentials of AWS's own examples. */
const key: AwsKey = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken: undefined,
  region: 'us-east-1',
  service: 'service',
}
const then = Date.UTC(2015, 7, 30, 12, 36, 0)

function sign(request: Partial<Unsigned>, with_: Partial<AwsKey> = {}, now = then): Unsigned {
  const wire = { method: 'GET', origin: 'https://example.amazonaws.com', path: '/', headers: {}, ...request }
  awsSigner({ ...key, ...with_ }, virtualClock({ start: now }))(wire)
  return wire
}

test('signs as AWS publishes', () => {
  // The test suite of Signature Version 4: get-vanilla.
  assert.equal(
    sign({}).headers['authorization'],
    'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
  )
  // The worked example of the AWS General Reference: ListUsers of IAM.
  const iam = sign(
    {
      origin: 'https://iam.amazonaws.com',
      path: '/?Action=ListUsers&Version=2010-05-08',
      headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8', 'user-agent': 'fairlead' },
    },
    { service: 'iam' },
  )
  assert.match(
    iam.headers['authorization']!,
    /SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7$/,
  )
})

/** The same request, signed by the signer of AWS's own SDK. */
async function theirs(request: Unsigned, of: AwsKey, now: number): Promise<string> {
  const { path, body, headers, method, origin } = request
  const at = path.indexOf('?')
  const query: Record<string, string[]> = {}
  for (const [name, value] of new URLSearchParams(at < 0 ? '' : path.slice(at))) (query[name] ??= []).push(value)
  const { host, hostname } = new URL(origin)
  const signer = new SignatureV4({
    credentials: { ...of, ...(of.sessionToken === undefined ? {} : { sessionToken: of.sessionToken }) } as never,
    region: of.region,
    service: of.service,
    sha256: Sha256,
    uriEscapePath: of.service !== 's3',
    applyChecksum: of.service === 's3',
  })
  const signed = await signer.sign(
    {
      method,
      protocol: 'https:',
      hostname,
      path: at < 0 ? path : path.slice(0, at),
      query,
      headers: { ...headers, host },
      body,
    },
    { signingDate: new Date(now), unsignableHeaders: new Set(['accept', 'accept-encoding']) },
  )
  return signed.headers['authorization']!
}

test("any request is signed as AWS's own SDK signs it", async () => {
  const text = fc.string({ unit: fc.constantFrom(...Array.from('aZ09-_.~ /+*!()\'&=?:;,@$%ü€😀"<')), maxLength: 8 })
  const words = text.map((t) => encodeURIComponent(t))
  const path = fc.array(
    words.filter((s) => s !== '.' && s !== '..' && s !== ''),
    { maxLength: 4 },
  )
  const request = fc.record({
    method: fc.constantFrom('GET', 'POST', 'DELETE'),
    path: path.map((segments) => `/${segments.join('/')}`),
    query: fc.array(
      fc.tuple(
        words.filter((w) => w !== ''),
        words,
      ),
      { maxLength: 5 },
    ),
    header: fc.string({ unit: fc.constantFrom('a', 'b', ' ', '  ', ':', ',', '"'), maxLength: 9 }),
    body: fc.option(fc.string({ maxLength: 20 }), { nil: undefined }),
    service: fc.constantFrom('s3', 'execute-api', 'sqs'),
    token: fc.option(fc.constant('session-token'), { nil: undefined }),
    now: fc.integer({ min: then, max: then + 10 ** 11 }),
  })
  await fc.assert(
    fc.asyncProperty(request, async (r) => {
      const query = r.query.map(([name, value]) => `${name}=${value}`).join('&')
      const headers = {
        accept: 'application/json',
        'user-agent': 'fairlead',
        'content-type': 'application/json',
        'x-amz-meta': r.header,
      }
      // The SDK encodes more than it must before it signs for S3, which signs the path as S3 itself would write it.
      const path = r.service === 's3' ? r.path.replaceAll(/[!'()*]/g, (c) => `%${hex(c)}`) : r.path
      const given = {
        method: r.method,
        path: query === '' ? path : `${path}?${query}`,
        origin: 'https://example.amazonaws.com:8443',
        ...(r.body === undefined ? {} : { body: r.body }),
      }
      const of = { ...key, service: r.service, sessionToken: r.token }
      const ours = sign({ ...given, headers: { ...headers } }, of, r.now)
      assert.equal(ours.headers['authorization'], await theirs({ ...given, headers }, of, r.now))
    }),
  )
})

function hex(c: string): string {
  return c.charCodeAt(0).toString(16).toUpperCase()
}

const auth = awsSigV4({
  accessKeyId: secret('ID'),
  secretAccessKey: secret('KEY'),
  sessionToken: secret('SESSION'),
  region: 'eu-central-1',
  service: 'execute-api',
})

test('sends what it signed, signs a repetition anew, and records no signature and no token', async () => {
  const t = setup({ auth }, ['canaryAKIDEXAMPLE0'])
  t.server = (r) =>
    t.sent.length === 1 ? json(503, { seen: r.headers }) : json(200, { ...paid, said: r.headers['authorization'] })
  const call = t.open.call(t.api.charge, order)
  await t.clock.advance(1_000)
  await call
  const [first, second] = t.sent.map((r) => r.headers)
  assert.notEqual(first!['authorization'], second!['authorization'])
  assert.equal(second!['x-amz-date'], '20260101T000001Z')
  assert.equal(second!['x-amz-security-token'], 'canaryAKIDEXAMPLE0')
  const shown = JSON.stringify(t.records)
  const signature = /Signature=(\w+)/.exec(second!['authorization']!)![1]!
  assert.ok(!shown.includes(signature) && !shown.includes('canary'), shown)
})

test('the secrets of a set go together, newest first; any of them alone may rotate', async () => {
  const t = setup({ auth }, ['AKIDNEWEST0000000', 'AKIDOLDER00000000'])
  t.reply(json(401, {}), json(200, paid))
  await t.open.call(t.api.charge, order)
  const ids = t.sent.map((r) => /Credential=(\w+)/.exec(r.headers['authorization']!)![1])
  assert.deepEqual(ids, ['AKIDNEWEST0000000', 'AKIDOLDER00000000'])
})

test('an address of theirs that is not well-formed is signed as it stands', () => {
  assert.match(sign({ path: '/a%zz?b=%' }).headers['authorization']!, /Signature=[0-9a-f]{64}$/)
})

test('reports what is wrong, without repeating a value', () => {
  const problems = authProblems('auth', {
    kind: 'aws-sig-v4',
    accessKeyId: 'no',
    secretAccessKey: 'canary',
    sessionToken: 1,
    region: 'eu central',
    service: '',
    serv: 1,
  })
  assert.equal(problems.length, 6)
  assert.ok(!JSON.stringify(problems).includes('canary'))
})
