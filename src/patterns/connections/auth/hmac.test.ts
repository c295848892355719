import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '#kernel/fault.ts'
import { redactor } from '#kernel/redact.ts'
import { secret, SecretValue } from '#kernel/secret.ts'
import { virtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { json, order, paid, setup } from '../scripted.test.ts'
import { credentials } from './auth.ts'
import { authProblems } from './check.ts'
import type { Unsigned } from './credential.ts'
import { hmac, type HmacOptions } from './hmac.ts'

type Given = Omit<HmacOptions, 'secret'>

async function signed(options: Given, value: string, request: Partial<Unsigned>, now = 0): Promise<Unsigned> {
  const auth = hmac({ secret: secret('K'), ...options })
  assert.deepEqual(authProblems('auth', auth), [])
  const get = credentials(auth, {
    clock: virtualClock({ start: now }),
    random: seededRandom(1),
    redact: redactor(),
    secrets: { read: (name) => Promise.resolve([new SecretValue(name, value)]) },
  })
  const wire = { method: 'GET', origin: 'https://api.test', path: '/', headers: {}, ...request }
  const credential = await get([])
  assert.ok(credential?.sign)
  credential.sign(wire)
  return wire
}

test('signs as Slack publishes: version, timestamp and body, joined by a colon', async () => {
  const wire = await signed(
    {
      parts: [{ text: 'v0' }, 'timestamp', 'body'],
      join: ':',
      signature: { header: 'X-Slack-Signature', format: 'v0={signature}' },
      timestamp: { header: 'X-Slack-Request-Timestamp' },
    },
    '8f742231b10e8888abcd99yyyzzz85a5',
    {
      method: 'POST',
      body: 'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
    },
    1_531_420_618_000,
  )
  assert.deepEqual(wire.headers, {
    'x-slack-request-timestamp': '1531420618',
    'x-slack-signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
  })
})

test('signs as Binance publishes: the query with its timestamp, and the signature behind it', async () => {
  const order = 'symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000'
  const wire = await signed(
    {
      parts: ['query', 'body'],
      join: '',
      signature: { query: 'signature' },
      timestamp: { query: 'timestamp', unit: 'milliseconds' },
    },
    'NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j',
    { path: `/api/v3/order?${order}` },
    1_499_827_319_559,
  )
  const signature = 'c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71'
  assert.equal(wire.path, `/api/v3/order?${order}&timestamp=1499827319559&signature=${signature}`)
})

test('signs every part that can be named, in order', async () => {
  const { createHmac, createHash } = await import('node:crypto')
  const key = Buffer.alloc(32, 7)
  const wire = await signed(
    {
      secretEncoding: 'base64',
      algorithm: 'sha512',
      encoding: 'base64',
      parts: [
        'method',
        'host',
        'path',
        'query',
        'target',
        'url',
        'body-hash',
        'timestamp',
        'nonce',
        'key',
        { header: 'Content-Type' },
        { header: 'x-none' },
      ],
      signature: { header: 'authorization', format: 'HMAC key={key}, ts={timestamp}, sig={signature}, n={nonce}' },
      timestamp: { unit: 'iso' },
      nonce: {},
      key: { id: 'k1', header: 'X-Key' },
    },
    key.toString('base64'),
    {
      method: 'PUT',
      origin: 'https://api.test:8443',
      path: '/a?b=1',
      headers: { 'content-type': 'text/plain' },
      body: new TextEncoder().encode('{}'),
    },
    1_767_225_600_123,
  )
  const nonce = Buffer.from(seededRandom(1).bytes(16)).toString('hex')
  const lines = [
    'PUT',
    'api.test:8443',
    '/a',
    'b=1',
    '/a?b=1',
    'https://api.test:8443/a?b=1',
    createHash('sha512').update('{}').digest('base64'),
    '2026-01-01T00:00:00Z',
    nonce,
    'k1',
    'text/plain',
    '',
  ]
  const expected = createHmac('sha512', key).update(lines.join('\n')).digest('base64')
  assert.equal(wire.headers['authorization'], `HMAC key=k1, ts=2026-01-01T00:00:00Z, sig=${expected}, n=${nonce}`)
  assert.equal(wire.headers['x-key'], 'k1')
})

const simple: Given = {
  parts: ['timestamp', 'target', 'body'],
  signature: { header: 'x-mac' },
  timestamp: { header: 'x-time' },
}

test('a repetition is signed anew, under the same idempotency key', async () => {
  const t = setup({ auth: hmac({ secret: secret('K'), ...simple }) })
  t.reply(json(503, {}), json(200, paid))
  const call = t.open.call(t.api.charge, order)
  await t.clock.advance(1_000)
  assert.deepEqual(await call, paid)
  const [first, second] = t.sent.map((r) => r.headers)
  assert.notEqual(first!['x-time'], second!['x-time'])
  assert.notEqual(first!['x-mac'], second!['x-mac'])
  assert.equal(first!['idempotency-key'], second!['idempotency-key'])
})

test('the older of two secrets signs after a 401', async () => {
  const t = setup({ auth: hmac({ secret: secret('K'), ...simple }) }, ['newest-secret', 'older-secret'])
  t.reply(json(401, {}), json(200, paid), json(200, paid))
  assert.deepEqual(await t.open.call(t.api.charge, order), paid)
  t.secrets.shift()
  await t.open.call(t.api.charge, order)
  const mac = t.sent.map((r) => r.headers['x-mac'])
  assert.notEqual(mac[0], mac[1])
})

test('no record shows a signature or the secret, not even where they repeat them', async () => {
  for (const at of [{ header: 'x-mac' }, { header: 'authorization', format: 'MAC {signature}' }, { query: 's' }]) {
    const t = setup({ auth: hmac({ secret: secret('K'), ...simple, signature: at }), retry: false }, ['canary-secret'])
    t.server = (r) => json(422, { error: `bad signature: ${JSON.stringify([r.headers, r.path])}`, k: 'canary-secret' })
    await t.fails(t.open.call(t.api.charge, order), 'connection.rejected')
    const sent = t.sent[0]!
    const mac = /[0-9a-f]{64}/.exec(`${sent.headers['x-mac']}${sent.headers['authorization']}${sent.path}`)![0]
    const shown = JSON.stringify(t.records)
    assert.match(shown, /bad signature/)
    assert.ok(!shown.includes(mac), shown)
    assert.ok(!shown.includes('canary-secret'))
  }
})

test('refuses a secret that is not written as declared, without repeating it', async () => {
  for (const [secretEncoding, value] of [
    ['hex', 'zz-canary'],
    ['base64', '!canary!'],
    ['text', ''],
  ] as const) {
    await assert.rejects(signed({ ...simple, secretEncoding }, value, {}), (e) => {
      assert.ok(isFault(e, 'config.secret'))
      assert.ok(!JSON.stringify(e).includes('canary'))
      return true
    })
  }
})

test('reports what a scheme lacks, all at once', () => {
  const problems = authProblems('auth', {
    kind: 'hmac',
    secret: 'canary',
    algorithm: 'md5',
    parts: ['nonce', 'everything'],
    signature: { header: 'x-mac', query: 'mac', format: 'v1' },
    timestamp: { unit: 'days' },
    key: { id: 'a b\n' },
    joins: '.',
  })
  assert.deepEqual(
    problems.map((p) => p.path.replace('auth.', '')),
    [
      'joins',
      'secret',
      'algorithm',
      'parts',
      'parts',
      'signature',
      'signature.format',
      'key',
      'timestamp',
      'nonce',
      'key.id',
      'timestamp.unit',
    ],
  )
  assert.ok(!JSON.stringify(problems).includes('canary'))
})
