import assert from 'node:assert/strict'
import { test } from 'node:test'
import { signed } from './sign.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)

test('the GitHub signature is the one GitHub publishes', () => {
  const headers = signed(
    { provider: 'github', id: 'd1', type: 'ping', body: bytes('Hello, World!') },
    "It's a Secret to Everybody",
    0,
  )
  assert.equal(
    headers['x-hub-signature-256'],
    'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
  )
})

test('the Standard Webhooks signature is the one the specification publishes', () => {
  const headers = signed(
    { provider: 'carrier', id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', type: '', body: bytes('{"test": 2432232314}') },
    'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    1614265330,
  )
  assert.equal(headers['webhook-signature'], 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
})

test('the Slack signature is the one Slack publishes', () => {
  const body =
    'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c'
  const headers = signed(
    { provider: 'slack', id: '', type: '', body: bytes(body) },
    '8f742231b10e8888abcd99yyyzzz85a5',
    1531420618,
  )
  assert.equal(headers['x-slack-signature'], 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503')
})

test('the Stripe and Shopify signatures equal values computed by other code', () => {
  const stripe = signed(
    { provider: 'stripe', id: '', type: '', body: bytes('{"id":"evt_test_webhook","object":"event"}') },
    'whsec_test_secret',
    1492774577,
  )
  assert.equal(
    stripe['stripe-signature'],
    't=1492774577,v1=88a022085c6bdb887b02cb26ff76dd681234d9675c0f22844059f55552a8883a',
  )
  const shopify = signed(
    {
      provider: 'shopify',
      id: 'e1',
      type: 'orders/create',
      body: bytes('{"id":820982911946154508,"email":"jon@example.com"}'),
    },
    'test_shared_secret',
    0,
  )
  assert.equal(shopify['x-shopify-hmac-sha256'], 'uSqyjEEwOH1yMDqCxK8nJMb0IJuKcXL5AtsqgR664bc=')
})

test('an attempt at another second has another signature under the same id', () => {
  const delivery = { provider: 'carrier', id: 'm1', type: '', body: bytes('{}') } as const
  const [first, second] = [signed(delivery, 'whsec_AAAA', 1), signed(delivery, 'whsec_AAAA', 2)]
  assert.equal(first['webhook-id'], second['webhook-id'])
  assert.notEqual(first['webhook-signature'], second['webhook-signature'])
})
