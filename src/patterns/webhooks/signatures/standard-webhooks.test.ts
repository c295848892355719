import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { Webhook as Reference } from 'standardwebhooks'
import { isFault } from '#kernel/fault.ts'
import { secret, SecretValue } from '#kernel/secret.ts'
import type { Headers, SignatureScheme, Verified } from './scheme.ts'
import { standardWebhooks } from './standard-webhooks.ts'

const name = secret('HOOK')
const now = Date.UTC(2026, 0, 1)
const body = Buffer.from('{"type":"charge.paid","amount":990}')
const whsec = (seed: string): string => `whsec_${Buffer.from(seed.repeat(24)).toString('base64')}`
const values = (...texts: string[]): SecretValue[] => texts.map((t) => new SecretValue('HOOK', t))

function check(scheme: SignatureScheme, secrets: SecretValue[], headers: Headers, body: Uint8Array): Verified {
  return scheme.verifier(secrets)({ headers, body, now, tolerance: 300_000 })
}

function refused(code: string, work: () => unknown, note: string): void {
  assert.throws(work, (e) => isFault(e, code), note)
}

describe('Standard Webhooks against the reference library', () => {
  const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/)
  const raw = fc.uint8Array({ minLength: 24, maxLength: 64 })
  it('verifies what the library signs, with and without the prefix', () => {
    fc.assert(
      fc.property(id, raw, fc.string(), fc.boolean(), (id, bytes, text, prefix) => {
        const base64 = Buffer.from(bytes).toString('base64')
        const signature = new Reference(base64).sign(id, new Date(now), text)
        const headers = { 'webhook-id': id, 'webhook-timestamp': String(now / 1000), 'webhook-signature': signature }
        const scheme = standardWebhooks(name)
        const got = check(scheme, values(prefix ? `whsec_${base64}` : base64), headers, Buffer.from(text))
        assert.deepEqual(got, { ok: true, id, timestamp: now })
      }),
    )
  })
  it('signs what the library would sign', () => {
    fc.assert(
      fc.property(id, raw, fc.string(), (id, bytes, text) => {
        const base64 = Buffer.from(bytes).toString('base64')
        const outgoing = { id, type: 't', body: Buffer.from(text), now }
        const ours = standardWebhooks(name).sign!(outgoing, values(base64))
        assert.equal(ours['webhook-signature'], new Reference(base64).sign(id, new Date(now), text))
      }),
    )
  })
  it('signs with every secret given, and either one verifies alone', () => {
    const outgoing = { id: 'm', type: 't', body, now }
    const headers = standardWebhooks(name).sign!(outgoing, values(whsec('a'), whsec('b')))
    for (const one of [whsec('a'), whsec('b')]) {
      assert.equal(check(standardWebhooks(name), values(one), headers, body).ok, true)
    }
  })
})

describe('Standard Webhooks with Ed25519', () => {
  // RFC 8032 §7.1, test 1: a key pair printed in a standard.
  const seed = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'
  const point = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'
  const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64')
  const open = `whpk_${base64(point)}`
  const scheme = standardWebhooks(name)
  const headers = (key: string): Headers => scheme.sign!({ id: 'm', type: 't', body, now }, values(key))

  it('verifies with the public key what the private key signed, as a seed or as seed and public key', () => {
    for (const hidden of [`whsk_${base64(seed)}`, `whsk_${base64(seed + point)}`]) {
      assert.equal(check(scheme, values(open), headers(hidden), body).ok, true)
    }
  })
  it('refuses one flipped bit of body or signature', () => {
    const good = headers(`whsk_${base64(seed)}`)
    const changed = Buffer.from(body)
    changed[3]! ^= 4
    refused('webhook.signature', () => check(scheme, values(open), good, changed), 'body')
    const bytes = Buffer.from(good['webhook-signature']!.slice(4), 'base64')
    bytes[5]! ^= 1
    const bad = { ...good, 'webhook-signature': `v1a,${bytes.toString('base64')}` }
    refused('webhook.signature', () => check(scheme, values(open), bad, body), 'signature')
  })
  it('does not let a public key be used as an HMAC secret, nor a version without a key', () => {
    const forged = scheme.sign!({ id: 'm', type: 't', body, now }, values(base64(point)))
    refused('webhook.header', () => check(scheme, values(open), forged, body), 'v1 with whpk_')
    refused('webhook.header', () => check(scheme, values(whsec('a')), headers(`whsk_${base64(seed)}`), body), 'v1a')
  })
  it('refuses to start with a private key or a public key of the wrong length', () => {
    refused('config.secret', () => scheme.verifier(values(`whsk_${base64(seed)}`)), 'private')
    refused('config.secret', () => scheme.verifier(values('whpk_AAAA')), 'short')
  })
})
