import { fault } from '#kernel/fault.ts'
import type { Secret } from '#kernel/secret.ts'
import { identity, malformed, required, text } from './header.ts'
import { anyMatch, hexBytes, hmac256, textKeys } from './mac.ts'
import { secretList, type SignatureScheme } from './scheme.ts'

const header = 'x-pagerduty-signature'
/** As many as a rotation can need, and some more. */
const most = 10

/**
 * PagerDuty, webhooks V3: `X-PagerDuty-Signature: v1=…,v1=…`, HMAC-SHA256 in hex over the body, one for each secret that is current with
 * them. No time is signed. Id: `event.id`, the same with each repetition; type: `event.event_type` (`incident.triggered`).
 *
 * Faults: `webhook.header`, `webhook.signature`; `config.secret` for an unusable secret.
 *
 * @example verify: pagerdutySignature(secret('PAGERDUTY_HOOK_SECRET'))
 * @see https://developer.pagerduty.com/docs/verifying-webhook-signatures
 */
export function pagerdutySignature(secrets: Secret | readonly Secret[]): SignatureScheme {
  return {
    name: 'pagerduty',
    secrets: secretList(secrets),
    headers: ['x-webhook-subscription'],
    verifier(values) {
      const keys = textKeys('pagerduty', values)
      return ({ headers, body }) => {
        if (!anyMatch(keys, read(required(headers, header)), body)) throw fault('webhook.signature')
        return { ok: true }
      }
    },
    identify({ body }) {
      const event = typeof body === 'object' && body !== null && 'event' in body ? body.event : undefined
      return identity(text(event, 'id'), text(event, 'event_type'))
    },
    sign(outgoing, values) {
      const signed = textKeys('pagerduty', values).map((key) => `v1=${hmac256(key, outgoing.body).toString('hex')}`)
      return { 'content-type': 'application/json', [header]: signed.join(',') }
    },
  }
}

function read(value: string): readonly Uint8Array[] {
  const known = value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item.startsWith('v1='))
  if (known.length === 0) throw malformed(header, 'has no v1 signature')
  if (known.length > most) throw malformed(header, `has more than ${most} signatures`)
  return known.map((item) => hexBytes(item.slice(3), 32)).filter((bytes) => bytes !== undefined)
}
