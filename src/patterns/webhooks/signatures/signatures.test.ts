import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { isFault } from '#kernel/fault.ts'
import { milliseconds } from '#kernel/duration.ts'
import { secret, SecretValue } from '#kernel/secret.ts'
import { githubSignature } from './github.ts'
import { hubspotSignature } from './hubspot.ts'
import { pagerdutySignature } from './pagerduty.ts'
import type { Headers, SignatureScheme, Verified } from './scheme.ts'
import { shopifySignature } from './shopify.ts'
import { slackSignature } from './slack.ts'
import { standardWebhooks } from './standard-webhooks.ts'
import { stripeSignature } from './stripe.ts'
import { xeroSignature } from './xero.ts'

type Vector = {
  scheme: string
  variant: string
  secret?: string
  public_key?: string
  headers: Record<string, string>
  body: string
  now?: number
  valid: boolean
}

const name = secret('HOOK')
const whsec = (seed: string): string => `whsec_${Buffer.from(seed.repeat(24)).toString('base64')}`
const schemes: Record<
  string,
  { scheme: SignatureScheme; secret: string; other: string; header: string; time?: string; unit?: 'ms' }
> = {
  'standard-webhooks': {
    scheme: standardWebhooks(name),
    secret: whsec('a'),
    other: whsec('b'),
    header: 'webhook-signature',
    time: 'webhook-timestamp',
  },
  stripe: {
    scheme: stripeSignature(name),
    secret: 'whsec_first_secret_of_all',
    other: 'whsec_second_secret_of_all',
    header: 'stripe-signature',
  },
  github: {
    scheme: githubSignature(name),
    secret: 'a secret with ünïcode 🔑',
    other: 'another secret, long enough',
    header: 'x-hub-signature-256',
  },
  shopify: {
    scheme: shopifySignature(name),
    secret: 'shpss_0123456789abcdef',
    other: 'shpss_fedcba9876543210',
    header: 'x-shopify-hmac-sha256',
  },
  slack: {
    scheme: slackSignature(name),
    secret: '8f742231b10e8888abcd99yyyzzz85a5',
    other: '9f742231b10e8888abcd99yyyzzz85a5',
    header: 'x-slack-signature',
    time: 'x-slack-request-timestamp',
  },
  hubspot: {
    scheme: hubspotSignature(name, { url: 'https://www.example.com/webhook?x=%2Fa%40b' }),
    secret: 'b3f0a3c5-9c8a-4f8e-9a34-0d1f1f6a7c11',
    other: 'b3f0a3c5-9c8a-4f8e-9a34-0d1f1f6a7c12',
    header: 'x-hubspot-signature-v3',
    time: 'x-hubspot-request-timestamp',
    unit: 'ms',
  },
  pagerduty: {
    scheme: pagerdutySignature(name),
    secret: 'a secret of PagerDuty, long enough',
    other: 'another secret of PagerDuty',
    header: 'x-pagerduty-signature',
  },
  xero: {
    scheme: xeroSignature(name),
    secret: 'xero-webhooks-key-of-us==',
    other: 'xero-webhooks-key-of-ut==',
    header: 'x-xero-signature',
  },
}
const now = Date.UTC(2026, 0, 1)
const values = (...texts: string[]): SecretValue[] => texts.map((t) => new SecretValue('HOOK', t))

function check(
  scheme: SignatureScheme,
  secrets: SecretValue[],
  headers: Headers,
  body: Uint8Array,
  at = now,
): Verified {
  return scheme.verifier(secrets)({ headers, body, now: at, tolerance: milliseconds(scheme.tolerance ?? '5m') })
}

function signed(scheme: SignatureScheme, secret: string, body: Uint8Array, at = now): Record<string, string> {
  return { ...scheme.sign!({ id: 'evt_1', type: 'charge.paid', body, now: at }, values(secret)) }
}

function refused(code: string, work: () => unknown, note: string): void {
  assert.throws(work, (e) => isFault(e, code), note)
}

const body = Buffer.from('{"id":"evt_1","type":"charge.paid","amount":990}')

describe('published and computed vectors', () => {
  const { vectors } = JSON.parse(readFileSync(new URL('./vectors.json', import.meta.url), 'utf8')) as {
    vectors: Vector[]
  }
  it('holds at least one vector for each scheme', () => {
    assert.deepEqual([...new Set(vectors.map((v) => v.scheme))].sort(), Object.keys(schemes).sort())
  })
  for (const vector of vectors) {
    it(`${vector.valid ? 'accepts' : 'refuses'} ${vector.scheme}: ${vector.variant}`, () => {
      const { scheme } = schemes[vector.scheme]!
      const headers = Object.fromEntries(Object.entries(vector.headers).map(([k, v]) => [k.toLowerCase(), v]))
      const work = (): Verified =>
        check(
          scheme,
          values(vector.secret ?? vector.public_key!),
          headers,
          Buffer.from(vector.body),
          (vector.now ?? 0) * 1000,
        )
      if (vector.valid) assert.equal(work().ok, true)
      else refused('webhook.stale', work, vector.variant)
    })
  }
})

for (const [title, { scheme, secret: key, other, header, time }] of Object.entries(schemes)) {
  describe(`${title}: what a verifier must refuse`, () => {
    const headers = signed(scheme, key, body)
    const verify = (h: Headers, b: Uint8Array = body, at = now, ...keys: string[]): Verified =>
      check(scheme, values(...(keys.length > 0 ? keys : [key])), h, b, at)

    it('accepts what it signed itself', () => {
      assert.equal(verify(headers).ok, true)
    })
    it('refuses a body with one bit flipped, with other white space, and an empty one', () => {
      for (let i = 0; i < body.length; i++) {
        const changed = Buffer.from(body)
        changed[i]! ^= 1 << (i % 8)
        refused('webhook.signature', () => verify(headers, changed), `bit of byte ${i}`)
      }
      const respaced = Buffer.from(JSON.stringify(JSON.parse(body.toString()), null, 1))
      refused('webhook.signature', () => verify(headers, respaced), 're-serialised')
      refused('webhook.signature', () => verify(headers, Buffer.alloc(0)), 'empty')
    })
    it('refuses a missing and an empty header, for each header it needs', () => {
      for (const needed of [
        header,
        ...(time ? [time] : []),
        ...(title === 'standard-webhooks' ? ['webhook-id'] : []),
      ]) {
        refused('webhook.header', () => verify({ ...headers, [needed]: undefined }), `${needed} missing`)
        refused('webhook.header', () => verify({ ...headers, [needed]: '' }), `${needed} empty`)
        refused('webhook.header', () => verify({ ...headers, [needed]: '  ' }), `${needed} blank`)
      }
    })
    it('refuses a signature that is cut, lengthened or of another spelling', () => {
      const whole = headers[header]!
      assert.throws(() => verify({ ...headers, [header]: whole.slice(0, -1) }))
      assert.throws(() => verify({ ...headers, [header]: whole.slice(0, -20) }))
      assert.throws(() => verify({ ...headers, [header]: `${whole}ab` }))
      assert.throws(() => verify({ ...headers, [header]: whole.replace(/=$/, '') + '!' }))
    })
    it('accepts a body of invalid UTF-8 and an empty body when they are what was signed', () => {
      for (const raw of [Buffer.from([0xff, 0xfe, 0x00, 0xc3]), Buffer.alloc(0)]) {
        assert.equal(verify(signed(scheme, key, raw), raw).ok, true)
      }
    })
    it('accepts old and new secret while both are configured, and the old one no longer after that', () => {
      assert.equal(verify(headers, body, now, other, key).ok, true)
      refused('webhook.signature', () => verify(headers, body, now, other), 'revoked')
    })
    it('refuses to start without a secret or with one that is too short', () => {
      refused('config.secret', () => scheme.verifier([]), 'none')
      for (const short of ['', ' ', 'short', 'whsec_', 'whsec_c2hvcnQ=']) {
        refused('config.secret', () => scheme.verifier(values(short)), JSON.stringify(short))
      }
    })
    it('never puts the secret or the body into its faults', () => {
      for (const bad of [{}, { ...headers, [header]: 'nonsense' }, signed(scheme, other, body)]) {
        assert.throws(
          () => verify(bad),
          (e) => isFault(e) && !`${e.message}${JSON.stringify(e)}`.includes(key) && !JSON.stringify(e).includes('990'),
        )
      }
    })
  })
}

describe('the form of signatures', () => {
  const accepts = (title: string, change: (value: string) => string): boolean => {
    const { scheme, secret: key, header } = schemes[title]!
    const headers = signed(scheme, key, body)
    try {
      return check(scheme, values(key), { ...headers, [header]: change(headers[header]!) }, body).ok
    } catch (e) {
      assert.ok(isFault(e, 'webhook.signature') || isFault(e, 'webhook.header'))
      return false
    }
  }
  const hexUpper = (value: string): string => value.replace(/[0-9a-f]{64}/, (hex) => hex.toUpperCase())

  it('accepts upper-case hex', () => {
    for (const title of ['stripe', 'github', 'slack', 'pagerduty']) assert.equal(accepts(title, hexUpper), true, title)
  })
  it('refuses base64url and base64 without padding', () => {
    const { scheme, secret: key, header } = schemes['shopify']!
    // A body whose MAC has a character that differs in base64url.
    let raw = Buffer.from('0')
    for (let i = 0; !/[+/]/.test(signed(scheme, key, raw)[header]!); i++) raw = Buffer.from(String(i))
    const headers = signed(scheme, key, raw)
    const url = headers[header]!.replaceAll('+', '-').replaceAll('/', '_')
    refused('webhook.signature', () => check(scheme, values(key), { ...headers, [header]: url }, raw), 'base64url')
    assert.equal(
      accepts('shopify', (v) => v.replace(/=+$/, '')),
      false,
    )
    assert.equal(
      accepts('standard-webhooks', (v) => v.replace(/=+$/, '')),
      false,
    )
  })
  it('refuses wrong versions and prefixes alone, and ignores them beside a known one', () => {
    assert.equal(
      accepts('standard-webhooks', (v) => v.replace('v1,', 'v2,')),
      false,
    )
    assert.equal(
      accepts('standard-webhooks', (v) => v.replace('v1,', 'v1a,')),
      false,
    )
    assert.equal(
      accepts('standard-webhooks', (v) => `v2,AAAA ${v} v9,BBBB`),
      true,
    )
    assert.equal(
      accepts('stripe', (v) => v.replace('v1=', 'v0=')),
      false,
    )
    assert.equal(
      accepts('stripe', (v) => `${v},v0=00,v2=zz`),
      true,
    )
    assert.equal(
      accepts('github', (v) => v.replace('sha256=', 'sha1=')),
      false,
    )
    assert.equal(
      accepts('github', (v) => v.replace('sha256=', '')),
      false,
    )
    assert.equal(
      accepts('slack', (v) => v.replace('v0=', 'v1=')),
      false,
    )
    assert.equal(
      accepts('pagerduty', (v) => v.replace('v1=', 'v2=')),
      false,
    )
    assert.equal(
      accepts('pagerduty', (v) => `v2=00, ${v}`),
      true,
    )
  })
  it('accepts when only the second of two signatures is valid', () => {
    const zeros = Buffer.alloc(32)
    assert.equal(
      accepts('standard-webhooks', (v) => `v1,${zeros.toString('base64')} ${v}`),
      true,
    )
    assert.equal(
      accepts('stripe', (v) => v.replace('v1=', `v1=${zeros.toString('hex')},v1=`)),
      true,
    )
  })
  it('reads two header lines joined by a comma where the scheme has a list, and refuses them where it has not', () => {
    assert.equal(
      accepts('standard-webhooks', (v) => `v1,AAAA, ${v}`),
      true,
    )
    for (const title of ['stripe', 'github', 'shopify', 'slack', 'hubspot', 'xero']) {
      assert.equal(
        accepts(title, (v) => `${v}, ${v}`),
        false,
        title,
      )
    }
  })
  it('refuses a header with more signatures than a rotation can have', () => {
    assert.equal(
      accepts('standard-webhooks', (v) => `${'v1,AAAA '.repeat(10)}${v}`),
      false,
    )
    assert.equal(
      accepts('stripe', (v) => `${v}${',v1=00'.repeat(10)}`),
      false,
    )
    assert.equal(
      accepts('pagerduty', (v) => `${v}${',v1=00'.repeat(10)}`),
      false,
    )
  })
  it('refuses an id with a full stop, which could move bytes between id, time and body', () => {
    const { scheme, secret: key } = schemes['standard-webhooks']!
    const headers = { ...signed(scheme, key, body), 'webhook-id': 'a.b' }
    refused('webhook.header', () => check(scheme, values(key), headers, body), 'full stop')
  })
})

describe('timestamps', () => {
  const stamped = Object.entries(schemes).filter(([, s]) => s.scheme.tolerance !== undefined)
  it('accepts 300 s behind and ahead, refuses 301 s, at any millisecond of the second', () => {
    for (const [title, { scheme, secret: key }] of stamped) {
      for (const ms of [0, 1, 999]) {
        for (const s of [-300, 0, 300]) {
          const headers = signed(scheme, key, body, now + s * 1000)
          assert.equal(check(scheme, values(key), headers, body, now + ms).ok, true, `${title} ${s} s`)
        }
        for (const s of [-301, 301]) {
          const headers = signed(scheme, key, body, now + s * 1000)
          refused('webhook.stale', () => check(scheme, values(key), headers, body, now + ms), `${title} ${s} s`)
        }
      }
    }
  })
  it('tells a wrong signature from an old one: staleness is only said of what was really signed', () => {
    for (const [title, { scheme, secret: key, other }] of stamped) {
      const headers = signed(scheme, other, body, now - 3_600_000)
      refused('webhook.signature', () => check(scheme, values(key), headers, body), title)
    }
  })
  it('refuses NaN, signs, fractions, exponents, hex and a time in the other unit as malformed', () => {
    const s = String(now / 1000)
    for (const bad of ['NaN', `-${s}`, `+${s}`, `${s}.5`, '1e9', '0x10', 'other unit', ` ${s}x`, 'Infinity']) {
      for (const [title, { scheme, secret: key, header, time, unit }] of stamped) {
        const written = bad === 'other unit' ? (unit === 'ms' ? s : String(now)) : bad
        const headers = signed(scheme, key, body)
        const changed = time
          ? { ...headers, [time]: written }
          : { ...headers, [header]: headers[header]!.replace(/^t=\d+/, `t=${written}`) }
        refused('webhook.header', () => check(scheme, values(key), changed, body), `${title} ${bad}`)
      }
    }
  })
  it('refuses a signature header of Stripe with no time or with two', () => {
    const { scheme, secret: key, header } = schemes['stripe']!
    const headers = signed(scheme, key, body)
    for (const bad of [headers[header]!.replace(/^t=\d+,/, ''), `t=1,${headers[header]!}`]) {
      refused('webhook.header', () => check(scheme, values(key), { [header]: bad }, body), bad.slice(0, 20))
    }
  })
})

describe('every scheme', () => {
  const any = fc.constantFrom(...Object.values(schemes))
  it('verifies what it signs, for any body', () => {
    fc.assert(
      fc.property(any, fc.uint8Array({ maxLength: 300 }), ({ scheme, secret: key }, raw) => {
        assert.equal(check(scheme, values(key), signed(scheme, key, raw), raw).ok, true)
      }),
    )
  })
  it('refuses what was signed with another secret of any text', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 16, unit: 'grapheme' }),
        fc.string({ minLength: 16, unit: 'grapheme' }),
        (a, b) => {
          fc.pre(a !== b)
          for (const { scheme } of [schemes['stripe']!, schemes['github']!, schemes['shopify']!, schemes['slack']!]) {
            refused('webhook.signature', () => check(scheme, values(a), signed(scheme, b, body), body), 'other secret')
          }
        },
      ),
    )
  })
  it('refuses one flipped bit anywhere: body, signature, time or id', () => {
    fc.assert(
      fc.property(any, fc.uint8Array({ minLength: 1, maxLength: 100 }), fc.nat(), fc.nat(7), (entry, raw, at, bit) => {
        const headers = signed(entry.scheme, entry.secret, raw)
        const parts: (Buffer | string)[] = [Buffer.from(raw)]
        const covered = [entry.header, entry.time, entry.header === 'webhook-signature' ? 'webhook-id' : undefined]
        for (const name of covered) if (name) parts.push(name)
        const part = parts[at % parts.length]!
        if (typeof part !== 'string') {
          part[at % part.length]! ^= 1 << bit
          refused('webhook.signature', () => check(entry.scheme, values(entry.secret), headers, part), 'body')
          return
        }
        const bytes = Buffer.from(headers[part]!, 'latin1')
        const i = at % bytes.length
        bytes[i]! ^= 1 << bit
        const changed = { ...headers, [part]: bytes.toString('latin1') }
        // Hex of the other case and a space around a value spell the same bytes: no change.
        const same = headers[part]!.toLowerCase() === changed[part]!.toLowerCase()
        fc.pre(!same)
        assert.throws(
          () => check(entry.scheme, values(entry.secret), changed, raw),
          (e) => isFault(e, 'webhook.signature') || isFault(e, 'webhook.header'),
        )
      }),
      { numRuns: 500 },
    )
  })
  it('answers any header text with one of its three faults', () => {
    fc.assert(
      fc.property(any, fc.string(), fc.string(), ({ scheme, secret: key, header, time }, a, b) => {
        const headers = { 'webhook-id': 'x', [header]: a, ...(time ? { [time]: b } : {}) }
        assert.throws(
          () => check(scheme, values(key), headers, body),
          (e) => isFault(e, 'webhook.signature') || isFault(e, 'webhook.header') || isFault(e, 'webhook.stale'),
        )
      }),
    )
  })
})

describe('id and type of an event', () => {
  const received = (scheme: SignatureScheme, headers: Headers, body: unknown, raw = '') =>
    scheme.identify({ headers, body: body as never, raw: Buffer.from(raw) })

  it('are found where each provider puts them', () => {
    const std = schemes['standard-webhooks']!.scheme
    assert.deepEqual(received(std, { 'webhook-id': 'm1' }, { type: 'user.created' }), {
      id: 'm1',
      type: 'user.created',
    })
    const stripe = schemes['stripe']!.scheme
    assert.deepEqual(received(stripe, {}, { id: 'evt_1', type: 'charge.paid' }), { id: 'evt_1', type: 'charge.paid' })
    const github = schemes['github']!.scheme
    const delivery = { 'x-github-delivery': 'd1', 'x-github-event': 'pull_request' }
    assert.deepEqual(received(github, delivery, { action: 'opened' }), { id: 'd1', type: 'pull_request.opened' })
    assert.deepEqual(received(github, { ...delivery, 'x-github-event': 'push' }, {}), { id: 'd1', type: 'push' })
    const { scheme: pagerduty } = schemes['pagerduty']!
    const event = { id: '01B', event_type: 'incident.triggered', resource_type: 'incident' }
    assert.deepEqual(received(pagerduty, {}, { event }), { id: '01B', type: 'incident.triggered' })
  })
  it('of Shopify are scoped by shop and topic, because several topics share one event id', () => {
    const { scheme } = schemes['shopify']!
    const headers = {
      'x-shopify-topic': 'orders/create',
      'x-shopify-shop-domain': 'a.myshopify.com',
      'x-shopify-event-id': 'e1',
      'x-shopify-webhook-id': 'w1',
    }
    assert.deepEqual(received(scheme, headers, {}), { id: 'a.myshopify.com:orders/create:e1', type: 'orders/create' })
    const other = received(scheme, { ...headers, 'x-shopify-topic': 'orders/paid' }, {})
    assert.notEqual(other.id, 'a.myshopify.com:orders/create:e1')
    const { 'x-shopify-event-id': _, ...older } = headers
    assert.deepEqual(received(scheme, older, {}).id, 'a.myshopify.com:orders/create:w1')
  })
  it('of Slack come from the event, or from the body where it has no id', () => {
    const { scheme } = schemes['slack']!
    const event = { type: 'event_callback', event_id: 'Ev1', event: { type: 'app_mention' } }
    assert.deepEqual(received(scheme, {}, event), { id: 'Ev1', type: 'app_mention' })
    const command = received(scheme, {}, { command: '/replay', text: 'x' }, 'command=%2Freplay')
    assert.equal(command.type, 'slash_command')
    assert.match(command.id!, /^[0-9a-f]{64}$/)
    assert.deepEqual(received(scheme, {}, { command: '/replay', text: 'x' }, 'command=%2Freplay'), command)
    assert.notEqual(received(scheme, {}, { command: '/replay' }, 'command=%2Fother').id, command.id)
    assert.equal(received(scheme, {}, { type: 'block_actions' }).type, 'block_actions')
  })
  it('of HubSpot and Xero name a batch by its events, whatever the attempt', () => {
    const { scheme: hubspot } = schemes['hubspot']!
    const event = (eventId: number, attemptNumber = 0) => ({
      eventId,
      subscriptionId: 1,
      objectId: 501,
      occurredAt: 1_760_000_001_000,
      subscriptionType: 'contact.creation',
      attemptNumber,
    })
    const batch = received(hubspot, {}, [event(1), event(2)])
    assert.equal(batch.type, 'batch')
    assert.deepEqual(received(hubspot, {}, [event(2, 1), event(1, 1)]), batch)
    assert.notEqual(received(hubspot, {}, [event(1), event(3)]).id, batch.id)
    const { scheme: xero } = schemes['xero']!
    const change = { tenantId: 't', resourceId: 'r', eventDateUtc: '2026-07-01T12:00:00.000', eventType: 'UPDATE' }
    const changes = received(xero, {}, { events: [change], entropy: 'a' })
    assert.equal(changes.type, 'batch')
    assert.deepEqual(received(xero, {}, { events: [change], entropy: 'b' }), changes)
    assert.notEqual(received(xero, {}, { events: [{ ...change, resourceId: 's' }] }).id, changes.id)
    assert.equal(received(xero, {}, { events: [] }, '{}').type, 'intent')
  })
  it('are absent, not invented, for bodies of other shapes', () => {
    for (const { scheme } of Object.values(schemes)) {
      for (const strange of [null, 1, 'text', [], { type: 1, id: {} }, { id: '', type: '' }]) {
        assert.equal(received(scheme, {}, strange).type, undefined)
      }
    }
  })
})
