import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import { sigV4, type AwsKey } from './sigv4.ts'

const sha256 = {
  digest: (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex'),
  hmac: (key: string | Uint8Array, text: string) => createHmac('sha256', key).update(text).digest(),
}
const key: AwsKey = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken: undefined,
  region: 'us-east-1',
  service: 'service',
}
const clock = { now: () => Date.UTC(2015, 7, 30, 12, 36) }
const origin = 'https://example.amazonaws.com'

test('signs as the published test suite says: a plain read, a query out of order', () => {
  const sign = sigV4(key, clock, sha256)
  const headers: Record<string, string> = {}
  assert.equal(
    sign({ method: 'GET', origin, path: '/', headers }),
    '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
  )
  assert.equal(
    headers['authorization'],
    'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
  )
  assert.equal(
    sign({ method: 'GET', origin, path: '/?Param2=value2&Param1=value1', headers: {} }),
    'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  )
})

test('a token of temporary credentials is sent and signed; another day has another key', () => {
  let now = clock.now()
  const sign = sigV4({ ...key, sessionToken: 'temporary' }, { now: () => now }, sha256)
  const headers: Record<string, string> = {}
  const first = sign({ method: 'POST', origin, path: '/', headers, body: '{}' })
  assert.equal(headers['x-amz-security-token'], 'temporary')
  assert.match(headers['authorization']!, /SignedHeaders=host;x-amz-date;x-amz-security-token,/)
  now += 86_400_000
  const later: Record<string, string> = {}
  assert.notEqual(sign({ method: 'POST', origin, path: '/', headers: later, body: '{}' }), first)
  assert.match(later['authorization']!, /20150831/)
})
