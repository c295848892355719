import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { define, isDefinition } from '#kernel/definition.ts'
import type { TopicHandle } from '#kernel/handle.ts'
import { manifest } from '#kernel/manifest.ts'
import { secret } from '#kernel/secret.ts'
import { checkWebhook } from './check.ts'
import { webhook, type Webhook, type WebhookOptions } from './define.ts'
import { githubSignature } from './signatures/github.ts'
import { stripeSignature } from './signatures/stripe.ts'

type Paid = { order: string; cents: number }
const topic = <T>(name: string): TopicHandle<T> => define({ kind: 'topic', name })
const paid = topic<Paid>('orders.paid')
const refunded = topic<{ refund: string }>('orders.refunded')
const verify = stripeSignature(secret('PAYMENTS_HOOK_KEY'))
type Charge = { id: string; amount: number }
const chargePaid = (charge: Charge): Paid => ({ order: charge.id, cents: charge.amount })

const hook = webhook('payments', {
  path: '/hooks/payments',
  verify,
  deliver: { 'charge.paid': { to: paid, map: chargePaid }, 'refund.created': refunded },
})

describe('webhook()', () => {
  it('is inert, frozen data with its defaults filled in', () => {
    assert.ok(
      isDefinition(hook) && Object.isFrozen(hook) && Object.isFrozen(hook.deliver) && Object.isFrozen(hook.verify),
    )
    assert.equal(hook.otherwise, 'store')
    assert.equal(hook.maxBytes, 1_048_576)
    assert.equal(hook.dedupe, '7d')
    assert.deepEqual(checkWebhook(hook), [])
  })
  it('prints as JSON with the name of its secret and never a value', () => {
    const printed = JSON.stringify(manifest(hook))
    assert.match(printed, /"path":"\/hooks\/payments"/)
    assert.match(printed, /PAYMENTS_HOOK_KEY/)
  })
  it('is refused by the compiler when a mapping or a topic does not fit', () => {
    const path = '/hooks/x'
    webhook('x', {
      path,
      verify,
      // @ts-expect-error a mapping to another shape than the topic's
      deliver: { a: { to: paid, map: () => ({ order: 1, cents: 2 }) } },
    })
    // @ts-expect-error a target that is no topic
    webhook('x', { path, verify, deliver: { a: { kind: 'operation', name: 'x' } } })
    // @ts-expect-error an unknown option
    webhook('x', { path, verify, deliver: {}, otherwize: 'store' })
    // @ts-expect-error an unknown value
    webhook('x', { path, verify, deliver: {}, otherwise: 'drop' })
    // @ts-expect-error a secret's value where its reference belongs
    webhook('x', { path, verify: stripeSignature('whsec_abc'), deliver: {} })
  })
  it('carries the names of its event types, and fits where any webhook is taken', () => {
    const types: keyof typeof hook.deliver = 'charge.paid'
    // @ts-expect-error no such event type
    const wrong: keyof typeof hook.deliver = 'charge.pad'
    const any: Webhook = hook
    assert.equal(any.deliver[types] === undefined, false)
    assert.equal(any.deliver[wrong], undefined)
  })
  it('takes a mapping that is asynchronous or uses what surrounds the event', () => {
    const def = webhook('x', {
      path: '/x',
      verify,
      deliver: {
        a: {
          to: paid,
          map: async (_event, info) => ({ order: info.id, cents: info.time }),
          key: (_e, info) => info.type,
        },
      },
    })
    assert.deepEqual(checkWebhook(def), [])
  })
})

describe('checkWebhook', () => {
  const problems = (options: Record<string, unknown>, name = 'x'): string[] =>
    checkWebhook(
      // The cast is what the test is about: a caller without a compiler.
      webhook(name, { path: '/x', verify, deliver: { a: paid }, ...options }),
    ).map((p) => p.path)

  it('names every problem at once, each with its path and a fix', () => {
    const def = webhook('9 bad', {
      path: 'hooks',
      verify: { name: 'mine' },
      deliver: { a: { kind: 'flow' }, b: { to: paid, map: 1, mapp: 2 } },
      otherwise: 'drop',
      maxBytes: 0,
      dedupe: '1m',
      tolerence: '5m',
      id: { head: 'x' },
      headers: ['Authorization'],
    } as unknown as WebhookOptions<Record<string, unknown>>)
    const found = checkWebhook(def)
    assert.deepEqual(
      found.map((p) => p.path.replace('webhook("9 bad")', '')).sort(),
      [
        '',
        '.deliver["a"]',
        '.deliver["b"].map',
        '.deliver["b"].mapp',
        '.dedupe',
        '.headers',
        '.id',
        '.maxBytes',
        '.otherwise',
        '.path',
        '.tolerence',
        '.verify',
      ].sort(),
    )
    assert.ok(found.every((p) => p.fix.length > 0 && p.message.length > 0))
    assert.match(found.find((p) => p.path.endsWith('.tolerence'))!.fix, /did you mean "tolerance"/)
  })
  it('refuses paths that are not exact', () => {
    for (const path of [
      '',
      '/',
      'x',
      '/a/',
      '//a',
      '/a//b',
      '/a/../b',
      '/a/.',
      '/a?b',
      '/a#b',
      '/a b',
      '/%2e',
      '/:id',
      7,
    ]) {
      assert.deepEqual(problems({ path }), ['webhook("x").path'], String(path))
    }
    for (const path of ['/a', '/hooks/v1.2/pay_ments-~x']) assert.deepEqual(problems({ path }), [])
  })
  it('refuses a tolerance where no time is signed, and one out of range', () => {
    assert.deepEqual(problems({ verify: githubSignature(secret('G')), tolerance: '5m' }), ['webhook("x").tolerance'])
    assert.deepEqual(problems({ tolerance: '2h' }), ['webhook("x").tolerance'])
    assert.deepEqual(problems({ tolerance: '10m' }), [])
  })
  it('refuses a scheme without a reference to a secret', () => {
    assert.deepEqual(problems({ verify: stripeSignature([]) }), ['webhook("x").verify.secrets'])
    const value = { ...verify, secrets: ['whsec_a_value_in_the_code'] }
    assert.deepEqual(problems({ verify: value }), ['webhook("x").verify.secrets'])
  })
  it('refuses a body limit above what the journal keeps', () => {
    for (const maxBytes of [0, 1.5, 1_048_577, '1mb']) {
      assert.deepEqual(problems({ maxBytes }), ['webhook("x").maxBytes'])
    }
    assert.deepEqual(problems({ maxBytes: 1 }), [])
  })
  it('refuses a webhook that could accept nothing, and allows one that only keeps', () => {
    assert.deepEqual(problems({ deliver: {}, otherwise: 'ignore' }), ['webhook("x").deliver'])
    assert.deepEqual(problems({ deliver: {}, otherwise: 'store' }), [])
    assert.deepEqual(problems({ deliver: undefined }), ['webhook("x").deliver'])
  })
  it('refuses to keep a header that carries a credential', () => {
    for (const name of ['authorization', 'cookie', 'x-api-key', 'stripe-signature', 'x-shopify-hmac-sha256']) {
      assert.deepEqual(problems({ headers: [name] }), ['webhook("x").headers'], name)
    }
    assert.deepEqual(problems({ headers: ['x-request-id'] }), [])
  })
  it('refuses a name that leaves no room for the name of its inbox', () => {
    assert.equal(problems({}, 'x'.repeat(56)).length, 1)
    assert.equal(problems({}, 'x'.repeat(55)).length, 0)
  })
  it('refuses a place of id or type that cannot be read', () => {
    for (const id of [
      {},
      { header: 'X-Id' },
      { field: '' },
      { field: 'a..b' },
      { field: '__proto__.x' },
      'id',
      { field: 'a', header: 'b' },
    ]) {
      assert.deepEqual(problems({ id }), ['webhook("x").id'], JSON.stringify(id))
    }
    for (const type of [{ header: 'x-type' }, { field: 'data.type' }, () => 't'])
      assert.deepEqual(problems({ type }), [])
  })
})
