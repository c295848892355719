import { Buffer } from 'node:buffer'
import { createPrivateKey, createPublicKey, createSecretKey, sign, verify, type KeyObject } from 'node:crypto'
import type { Duration } from '#kernel/duration.ts'
import { fault } from '#kernel/fault.ts'
import type { Secret, SecretValue } from '#kernel/secret.ts'
import { assertFresh, identity, malformed, required, seconds, text } from './header.ts'
import { anyMatch, base64Bytes, hmac256, someSecret, unusable } from './mac.ts'
import { secretList, type SignatureScheme } from './scheme.ts'

/** More signatures than this in one header is no rotation but a way to make us compute. */
const most = 10
/** DER heads that turn 32 raw bytes of Ed25519 into a key (RFC 8410). */
const publicHead = Buffer.from('302a300506032b6570032100', 'hex')
const privateHead = Buffer.from('302e020100300506032b657004220420', 'hex')

/**
 * Standard Webhooks 1.0.0: `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,… v1a,…` over `id.timestamp.body`.
 *
 * A secret `whsec_…` (24 to 64 bytes in base64, the prefix may be missing) verifies v1, HMAC-SHA256; a public key
 * `whpk_…` verifies v1a, Ed25519. Only versions that a configured key is for are looked at: no downgrade. `tolerance`
 * defaults to 5 minutes both ways. Event id: `webhook-id`. Event type: `type` of the body.
 *
 * Faults: `webhook.header`, `webhook.signature`, `webhook.stale`; `config.secret` for an unusable secret.
 *
 * @example verify: standardWebhooks(secret('PARTNER_HOOK_SECRET'))
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function standardWebhooks(
  secrets: Secret | readonly Secret[],
  options: { readonly tolerance?: Duration } = {},
): SignatureScheme {
  return {
    name: 'standard-webhooks',
    secrets: secretList(secrets),
    tolerance: options.tolerance ?? '5m',
    headers: ['webhook-id', 'webhook-timestamp'],
    verifier(values) {
      const keys = readKeys(values)
      return ({ headers, body, now, tolerance }) => {
        const id = required(headers, 'webhook-id')
        if (id.includes('.')) throw malformed('webhook-id', 'contains a full stop, so what was signed is ambiguous')
        const stamp = required(headers, 'webhook-timestamp')
        const at = seconds(stamp, 'webhook-timestamp')
        const given = signatures(required(headers, 'webhook-signature'), keys)
        const head = `${id}.${stamp}.`
        if (!anyMatch(keys.macs, given.v1, head, body) && !anySigned(keys.publics, given.v1a, head, body)) {
          throw fault('webhook.signature')
        }
        assertFresh(at, now, tolerance)
        return { ok: true, id, timestamp: at * 1000 }
      }
    },
    identify: ({ headers, body }) => identity(headers['webhook-id'], text(body, 'type')),
    sign(outgoing, values) {
      const stamp = String(Math.floor(outgoing.now / 1000))
      const head = `${outgoing.id}.${stamp}.`
      return {
        'content-type': 'application/json',
        'webhook-id': outgoing.id,
        'webhook-timestamp': stamp,
        'webhook-signature': values.map((v) => signOne(v, head, outgoing.body)).join(' '),
      }
    },
  }
}

type Keys = { readonly macs: readonly KeyObject[]; readonly publics: readonly KeyObject[] }

function readKeys(values: readonly SecretValue[]): Keys {
  someSecret('standard-webhooks', values)
  const macs: KeyObject[] = []
  const publics: KeyObject[] = []
  for (const value of values) {
    const written = value.reveal().trim()
    if (written.startsWith('whsk_')) throw unusable(value, 'is a private key (whsk_): configure the public one (whpk_)')
    if (written.startsWith('whpk_')) {
      const raw = base64Bytes(written.slice(5), 32)
      if (!raw) throw unusable(value, 'is not whpk_ and the base64 of 32 bytes')
      publics.push(createPublicKey({ key: Buffer.concat([publicHead, raw]), format: 'der', type: 'spki' }))
    } else macs.push(macKey(value))
  }
  return { macs, publics }
}

function macKey(value: SecretValue): KeyObject {
  const written = value
    .reveal()
    .trim()
    .replace(/^whsec_/, '')
  const raw = Buffer.from(written, 'base64')
  const exact = raw.toString('base64').replace(/=+$/, '') === written.replace(/=+$/, '')
  if (!exact) throw unusable(value, 'is not base64 (standard alphabet)')
  if (raw.length < 24 || raw.length > 64)
    throw unusable(value, `has ${raw.length} bytes; the standard asks for 24 to 64`)
  return createSecretKey(raw)
}

/** The signatures of the versions that we have a key for. None of them at all is a malformed header. */
function signatures(header: string, keys: Keys): { v1: Uint8Array[]; v1a: Uint8Array[] } {
  const out = { v1: [] as Uint8Array[], v1a: [] as Uint8Array[] }
  let known = 0
  for (const item of header.split(' ')) {
    // Two header lines arrive joined by ", ": the comma then hangs on the end of an item.
    const [version, signature = ''] = item.replace(/,$/, '').split(',', 2)
    const length = version === 'v1' && keys.macs.length > 0 ? 32 : version === 'v1a' && keys.publics.length > 0 ? 64 : 0
    if (length === 0) continue
    if (++known > most) throw malformed('webhook-signature', `has more than ${most} signatures`)
    const bytes = base64Bytes(signature, length)
    if (bytes) out[version as 'v1' | 'v1a'].push(bytes)
  }
  if (known === 0) throw malformed('webhook-signature', 'has no signature of a version that a secret is configured for')
  return out
}

function anySigned(keys: readonly KeyObject[], given: readonly Uint8Array[], head: string, body: Uint8Array): boolean {
  if (given.length === 0) return false
  const message = Buffer.concat([Buffer.from(head, 'utf8'), body])
  return keys.some((key) => given.some((signature) => verify(null, message, key, signature)))
}

function signOne(value: SecretValue, head: string, body: Uint8Array): string {
  const written = value.reveal().trim()
  if (!written.startsWith('whsk_')) return `v1,${hmac256(macKey(value), head, body).toString('base64')}`
  // A private key is written as its seed of 32 bytes, or as seed and public key together.
  const raw = base64Bytes(written.slice(5), 32) ?? base64Bytes(written.slice(5), 64)
  if (!raw) throw unusable(value, 'is not whsk_ and the base64 of 32 or 64 bytes')
  const key = createPrivateKey({
    key: Buffer.concat([privateHead, raw.subarray(0, 32)]),
    format: 'der',
    type: 'pkcs8',
  })
  return `v1a,${sign(null, Buffer.concat([Buffer.from(head, 'utf8'), body]), key).toString('base64')}`
}
