import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '#kernel/fault.ts'
import { redactor } from '#kernel/redact.ts'
import { secret, SecretValue } from '#kernel/secret.ts'
import { virtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { apiKey } from './api-key.ts'
import { credentials } from './auth.ts'
import { basic } from './basic.ts'
import { bearer } from './bearer.ts'

const setup = (auth: Parameters<typeof credentials>[0], ...values: string[]) => {
  const redact = redactor()
  const secrets = { read: (name: string) => Promise.resolve(values.map((v) => new SecretValue(name, v))) }
  return { redact, get: credentials(auth, { redact, secrets, clock: virtualClock(), random: seededRandom(1) }) }
}

test('a definition names its secret and holds no value', () => {
  assert.deepEqual(bearer(secret('KEY')), { kind: 'bearer', secret: { kind: 'secret', name: 'KEY' } })
  assert.ok(Object.isFrozen(basic('me', secret('KEY'))))
})

test('writes bearer, basic and both places of a key', async () => {
  const put = async (auth: Parameters<typeof credentials>[0], value: string): Promise<unknown> => {
    const c = await setup(auth, value).get([])
    return [c?.header, c?.query, c?.value]
  }
  assert.deepEqual(await put(bearer(secret('K')), 'abc'), ['authorization', undefined, 'Bearer abc'])
  // RFC 7617 §2 and §2.1
  assert.deepEqual(await put(basic('Aladdin', secret('K')), 'open sesame'), [
    'authorization',
    undefined,
    'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==',
  ])
  assert.deepEqual(await put(basic('test', secret('K')), '123£'), [
    'authorization',
    undefined,
    'Basic dGVzdDoxMjPCow==',
  ])
  assert.deepEqual(await put(apiKey(secret('K'), { header: 'X-Api-Key' }), 'abc'), ['x-api-key', undefined, 'abc'])
  assert.deepEqual(await put(apiKey(secret('K'), { query: 'api key' }), 'a&b'), [undefined, 'api%20key', 'a%26b'])
})

test('takes the newest value, then the one before it, then none', async () => {
  const { get } = setup(bearer(secret('K')), 'newest', 'older')
  assert.equal((await get([]))?.secret, 'newest')
  assert.equal((await get(['newest']))?.secret, 'older')
  assert.equal(await get(['newest', 'older']), undefined)
})

test('teaches the redactor every form of the value before it is used', async () => {
  const one = setup(basic('user', secret('K')), 'canary-value')
  await one.get([])
  assert.equal(one.redact.text(`a canary-value b ${btoa('user:canary-value')}`), 'a [masked] b [masked]')
  const two = setup(apiKey(secret('K'), { query: 'key' }), 'canary/value')
  await two.get([])
  assert.equal(two.redact.text('?key=canary%2Fvalue'), '?key=[masked]')
})

test('refuses a value that a header cannot hold, without repeating it', async () => {
  for (const value of ['', 'abc\n', ' abc', 'a\0b', 'schlüssel→']) {
    await assert.rejects(setup(bearer(secret('K')), value).get([]), (e) => {
      assert.ok(isFault(e, 'config.secret'))
      assert.ok(value.trim() === '' || !JSON.stringify(e).includes(value.trim()))
      return true
    })
  }
})
