import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { describe, it } from 'node:test'
import { define } from '#kernel/definition.ts'
import { fault, isFault } from '#kernel/fault.ts'
import type { TopicHandle } from '#kernel/handle.ts'
import type { Reply } from '#kernel/http.ts'
import { secret, SecretValue } from '#kernel/secret.ts'
import { settle, virtualClock } from '#testing/clock.ts'
import type { Arrival } from './arrival.ts'
import { webhook, type WebhookOptions } from './define.ts'
import { webhookDoor } from './run.ts'
import { githubSignature } from './signatures/github.ts'
import type { SignatureScheme } from './signatures/scheme.ts'
import { shopifySignature } from './signatures/shopify.ts'
import { slackSignature } from './signatures/slack.ts'
import { standardWebhooks } from './signatures/standard-webhooks.ts'
import { stripeSignature } from './signatures/stripe.ts'

const text = 'a secret that is long enough'
const base64 = Buffer.from('b'.repeat(32)).toString('base64')
const paid: TopicHandle<unknown> = define({ kind: 'topic', name: 'orders.paid' })
const reference = secret('HOOK')

type Options = Partial<WebhookOptions<Record<string, unknown>>>

function setup(scheme: SignatureScheme, options: Options = {}) {
  const clock = virtualClock()
  const vault = { values: [scheme.name === 'standard-webhooks' ? base64 : text] }
  const counts: string[] = []
  const stored = new Map<string, Arrival>()
  const disk = { before: async (): Promise<void> => undefined, fail: undefined as Error | undefined }
  const def = webhook('payments', { path: '/x', verify: scheme, deliver: { 'charge.paid': paid }, ...options })
  const door = webhookDoor(def, {
    clock,
    secrets: { read: async (name) => vault.values.map((v) => new SecretValue(name, v)) },
    async store(arrival) {
      await disk.before()
      if (disk.fail) throw disk.fail
      if (stored.has(arrival.id)) return 'duplicate'
      stored.set(arrival.id, arrival)
      return 'stored'
    },
    count: (outcome) => void counts.push(outcome),
  })
  const sign = (body: Uint8Array, given: { id?: string; type?: string; key?: string; at?: number } = {}) =>
    scheme.sign!({ id: given.id ?? 'evt_1', type: given.type ?? 'charge.paid', body, now: given.at ?? clock.now() }, [
      new SecretValue('HOOK', given.key ?? vault.values[0] ?? text),
    ])
  const post = (body: string | Uint8Array, headers: Record<string, string | undefined> = {}): Promise<Reply> => {
    const bytes = Buffer.from(body)
    return door.handle({ method: 'POST', path: '/x', query: '', headers: { ...sign(bytes), ...headers }, body: bytes })
  }
  return { clock, vault, counts, stored, disk, def, door, sign, post }
}

const event = (id = 'evt_1', type = 'charge.paid'): string => JSON.stringify({ id, type, data: { amount: 990 } })
const rejects = (code: string, work: Promise<unknown>): Promise<void> =>
  assert.rejects(work, (e) => isFault(e, code) || assert.fail(`expected ${code}, got ${String((e as Error).stack)}`))

describe('a webhook', () => {
  it('stores the raw bytes, exactly as they came, before it answers 200 without a body', async () => {
    const t = setup(stripeSignature(reference))
    const spaced = `  ${event()}\n`
    assert.deepEqual(await t.post(spaced, { 'user-agent': 'Stripe/1.0', authorization: 'Basic x', cookie: 'a=b' }), {
      status: 200,
    })
    const arrival = t.stored.get('evt_1')!
    assert.equal(Buffer.from(arrival.body).toString(), spaced)
    assert.equal(arrival.type, 'charge.paid')
    assert.equal(arrival.time, t.clock.now())
    assert.deepEqual(arrival.headers, { 'user-agent': 'Stripe/1.0' })
    assert.deepEqual(t.counts, ['stored'])
    assert.equal(t.clock.armed, 0)
  })
  it('does not answer before the store has', async () => {
    const t = setup(stripeSignature(reference))
    let open: () => void = () => undefined
    t.disk.before = () => new Promise((resolve) => (open = resolve))
    let answered = false
    const reply = t.post(event()).then(() => (answered = true))
    await settle()
    assert.equal(answered, false)
    open()
    await reply
    assert.equal(t.stored.size, 1)
  })
  it('answers 200 to a repeat and to a hundred at once, and stores one', async () => {
    const t = setup(standardWebhooks(reference))
    const replies = await Promise.all(Array.from({ length: 100 }, () => t.post(event())))
    assert.ok(replies.every((r) => r.status === 200))
    assert.equal(t.stored.size, 1)
    assert.deepEqual(
      [t.counts.filter((c) => c === 'stored').length, t.counts.filter((c) => c === 'duplicate').length],
      [1, 99],
    )
  })
  it('keeps the headers that its scheme and the webhook name, cut at 1,024 characters, and no signature', async () => {
    const t = setup(githubSignature(reference), { headers: ['x-request-id'], deliver: { push: paid } })
    await t.post('{}', {
      'x-request-id': 'r'.repeat(2_000),
      'x-github-delivery': 'd1',
      'x-github-event': 'push',
      'x-other': '1',
    })
    assert.deepEqual(t.stored.get('d1')!.headers, {
      'x-github-delivery': 'd1',
      'x-github-event': 'push',
      'x-request-id': 'r'.repeat(1_024),
    })
  })
})

describe('what a webhook refuses', () => {
  it('looks the same to the caller for signature, time, header and type, and is counted apart', async () => {
    const t = setup(stripeSignature(reference), { otherwise: 'refuse' })
    const body = Buffer.from(event())
    const stranger = t.sign(body, { key: 'not the secret of this hook' })
    const cases: [Promise<unknown>, string][] = [
      [t.post(body, stranger), 'signature'],
      [t.post(body, t.sign(body, { at: t.clock.now() - 301_000 })), 'stale'],
      [t.post(body, t.sign(body, { at: t.clock.now() + 301_000 })), 'stale'],
      [t.post(body, { 'stripe-signature': undefined }), 'header'],
      [t.post(event('evt_2', 'charge.odd')), 'unrouted'],
    ]
    const seen: unknown[] = []
    for (const [work] of cases) {
      await work.then(
        () => assert.fail('was accepted'),
        (e: unknown) => isFault(e) && seen.push([e.code, e.message, e.detail, e.retryAfter]),
      )
    }
    assert.equal(seen.length, 5)
    for (const one of seen) assert.deepEqual(one, seen[0])
    assert.deepEqual([...t.counts].sort(), cases.map(([, outcome]) => outcome).sort())
    assert.equal(t.stored.size, 0)
  })
  it('is answered 401 where the provider demands it', async () => {
    const t = setup(shopifySignature(reference))
    await rejects('webhook.unauthorized', t.post('{}', { 'x-shopify-hmac-sha256': 'nonsense' }))
  })
  it('is not parsed before its signature holds', async () => {
    const t = setup(stripeSignature(reference))
    await rejects('webhook.refused', t.post('not json', { 'stripe-signature': 't=1,v1=00' }))
    assert.deepEqual(t.counts, ['signature'])
  })
  it('includes what is verified but cannot be read: nothing of it is stored', async () => {
    const t = setup(stripeSignature(reference))
    await rejects('input.json', t.post('{'))
    await rejects('input.json', t.post(''))
    await rejects('input.json', t.post(Uint8Array.of(0x22, 0xff, 0x22)))
    await rejects('input.prototype', t.post('{"id":"e","type":"charge.paid","__proto__":{"polluted":1}}'))
    await rejects('input.media_type', t.post('a=1', { 'content-type': 'application/x-www-form-urlencoded' }))
    await rejects('input.json', t.post('['.repeat(100_000)))
    assert.equal('polluted' in {}, false)
    assert.deepEqual([t.stored.size, new Set(t.counts)], [0, new Set(['body'])])
  })
  it('includes an event without an id or a type, or with one that is no name', async () => {
    const t = setup(stripeSignature(reference))
    for (const bad of [
      '{}',
      '{"id":"e"}',
      '{"type":"t"}',
      event('a\nb'),
      event('x'.repeat(256)),
      '[]',
      'null',
      '"x"',
    ]) {
      await rejects('webhook.event', t.post(bad))
    }
    assert.deepEqual([t.stored.size, new Set(t.counts)], [0, new Set(['event'])])
  })
  it('includes a body above the limit, whatever its signature', async () => {
    const t = setup(stripeSignature(reference), { maxBytes: 100 })
    await rejects('input.too_large', t.post(`"${'x'.repeat(99)}"`))
    assert.deepEqual(t.counts, ['too_large'])
  })
})

describe('events of another type', () => {
  it('are kept by default and counted, answered and forgotten when ignored', async () => {
    const keeping = setup(stripeSignature(reference))
    assert.equal((await keeping.post(event('e', 'customer.created'))).status, 200)
    assert.equal(keeping.stored.get('e')!.type, 'customer.created')
    assert.deepEqual(keeping.counts, ['unrouted', 'stored'])
    const ignoring = setup(stripeSignature(reference), { otherwise: 'ignore' })
    assert.equal((await ignoring.post(event('e', 'customer.created'))).status, 200)
    assert.deepEqual([ignoring.stored.size, ignoring.counts], [0, ['ignored']])
  })
  it('are not mistaken for a route because every object has such a property', async () => {
    const t = setup(stripeSignature(reference), { otherwise: 'refuse' })
    for (const type of ['constructor', 'toString', 'hasOwnProperty']) {
      await rejects('webhook.refused', t.post(event('e', type)))
    }
  })
})

describe('id and type', () => {
  it('are taken from where the webhook says, header, field or function', async () => {
    const t = setup(stripeSignature(reference), {
      id: { field: 'data.0.number' },
      type: ({ headers, body }) => `${headers['x-kind']}.${(body as { verb: string }).verb}`,
    })
    await t.post('{"verb":"made","data":[{"number":42}]}', { 'x-kind': 'order' })
    assert.equal(t.stored.get('42')!.type, 'order.made')
    const h = setup(stripeSignature(reference), { id: { header: 'x-id' }, type: { field: 'kind' } })
    await h.post('{"kind":"k"}', { 'x-id': 'i' })
    assert.equal(h.stored.get('i')!.type, 'k')
  })
  it('are not found on a prototype', async () => {
    const t = setup(stripeSignature(reference), { id: { field: 'constructor.name' } })
    await rejects('webhook.event', t.post(event()))
  })
})

describe('a store that cannot keep', () => {
  it('is passed on as its fault, for a 503 with Retry-After', async () => {
    const t = setup(stripeSignature(reference))
    for (const code of ['journal.full', 'store.full', 'store.busy', 'store.closed'] as const) {
      t.disk.fail = fault(code)
      await rejects(code, t.post(event()))
    }
    assert.deepEqual(new Set(t.counts), new Set(['unstored']))
    assert.equal(t.clock.armed, 0)
  })
  it('or does not answer, is 503 after 5 s; the repeat of what it kept after all is a duplicate', async () => {
    const t = setup(stripeSignature(reference))
    let open: () => void = () => undefined
    t.disk.before = () => new Promise((resolve) => (open = resolve))
    const reply = t.post(event())
    const refused = assert.rejects(reply, (e) => isFault(e, 'webhook.slow') && e.retryAfter === 5_000)
    await t.clock.advance(4_999)
    assert.deepEqual(t.counts, [])
    await t.clock.advance(1)
    await refused
    open()
    await settle()
    t.disk.before = async () => undefined
    assert.equal((await t.post(event())).status, 200)
    assert.deepEqual(t.counts, ['timeout', 'duplicate'])
    assert.equal(t.stored.size, 1)
  })
  it('and fails after the 5 s, disturbs nobody', async () => {
    const t = setup(stripeSignature(reference))
    t.disk.fail = fault('store.broken')
    let open: () => void = () => undefined
    t.disk.before = () => new Promise((resolve) => (open = resolve))
    const refused = rejects('webhook.slow', t.post(event()))
    await t.clock.advance(5_000)
    await refused
    open()
    await settle()
    assert.deepEqual(t.counts, ['timeout'])
  })
  it('but takes longer than a second is counted as slow', async () => {
    const t = setup(stripeSignature(reference))
    t.disk.before = () => new Promise((resolve) => void t.clock.after(1_001, resolve))
    const reply = t.post(event())
    await t.clock.advance(1_001)
    assert.equal((await reply).status, 200)
    assert.deepEqual(t.counts, ['stored', 'slow'])
  })
})

describe('secrets', () => {
  it('are read before the first request on demand, and a missing one stops the start', async () => {
    const t = setup(stripeSignature(reference))
    await t.door.refresh()
    t.vault.values = []
    await rejects('config.secret', t.door.refresh())
  })
  it('may be rotated while running: the first delivery under the new one is accepted', async () => {
    const t = setup(stripeSignature(reference))
    await t.post(event('e1'))
    t.vault.values = ['the new secret of this hook', text]
    await t.clock.advance(2_000)
    assert.equal((await t.post(event('e2'))).status, 200)
    const body = Buffer.from(event('e3'))
    assert.equal((await t.post(body, t.sign(body, { key: text }))).status, 200)
    t.vault.values = ['the new secret of this hook']
    await t.door.refresh()
    await rejects('webhook.refused', t.post(body, t.sign(body, { key: text })))
    assert.deepEqual(t.counts, ['stored', 'stored', 'stored', 'signature'])
  })
  it('that cannot be read mean that nothing is verified and nothing stored', async () => {
    const t = setup(stripeSignature(reference))
    t.vault.values = []
    await rejects('config.secret', t.post(event(), { 'stripe-signature': 't=1,v1=00' }))
    assert.deepEqual([t.stored.size, t.counts], [0, ['secret']])
  })
})

describe("Slack's first call", () => {
  const call = (challenge: unknown): string => JSON.stringify({ type: 'url_verification', token: 't', challenge })

  it('is answered with the bare challenge as text, and not stored', async () => {
    const t = setup(slackSignature(reference))
    const reply = await t.post(call('3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P'))
    assert.deepEqual(reply, {
      status: 200,
      headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' },
      body: '3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P',
    })
    assert.deepEqual([t.stored.size, t.counts], [0, ['challenge']])
  })
  it('is refused without a valid signature', async () => {
    const t = setup(slackSignature(reference))
    await rejects('webhook.refused', t.post(call('abc'), { 'x-slack-signature': `v0=${'0'.repeat(64)}` }))
  })
  it('cannot make us serve markup, line breaks, or much of anything', async () => {
    const t = setup(slackSignature(reference))
    for (const bad of ['<script>alert(1)</script>', 'a\r\nset-cookie: x', 'x'.repeat(257), '', 7, null, { a: 1 }]) {
      await rejects('webhook.event', t.post(call(bad)))
    }
  })
  it('is only special for Slack', async () => {
    const t = setup(stripeSignature(reference))
    await rejects('webhook.event', t.post(call('abc')))
  })
})

describe("Slack's forms", () => {
  it('are verified over their raw text and stored under a hash of it, so a repeat is dropped', async () => {
    const t = setup(slackSignature(reference), { deliver: { slash_command: paid } })
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    const command = 'token=x&command=%2Freplay&text=order+42&trigger_id=1.2'
    await t.post(command, form)
    await t.post(command, form)
    await t.post(command.replace('1.2', '1.3'), form)
    assert.deepEqual(t.counts, ['stored', 'duplicate', 'stored'])
    assert.ok([...t.stored.values()].every((a) => a.type === 'slash_command'))
  })
})

describe('a scheme of your own', () => {
  const token: SignatureScheme = {
    name: 'token',
    secrets: [reference],
    headers: [],
    verifier:
      (secrets) =>
      ({ headers }) => {
        if (!secrets.some((s) => s.reveal() === headers['x-token'])) throw fault('webhook.signature')
        return { ok: true, id: 'from-verify' }
      },
    identify: ({ body }) => ({ id: 'from-body', type: (body as { type: string }).type }),
    sign: (_outgoing, secrets) => ({ 'x-token': secrets[0]!.reveal() }),
  }
  it('needs no more than a verifier and a way to identify; what was verified wins over what was read', async () => {
    const t = setup(token)
    assert.equal((await t.post(event())).status, 200)
    assert.deepEqual([...t.stored.keys()], ['from-verify'])
    await rejects('webhook.refused', t.post(event(), { 'x-token': 'other' }))
  })
  it('that throws something else fails closed', async () => {
    const t = setup({ ...token, verifier: () => () => JSON.parse('x') as never })
    await assert.rejects(t.post(event()), SyntaxError)
    assert.deepEqual([t.stored.size, t.counts], [0, ['secret']])
  })
})
