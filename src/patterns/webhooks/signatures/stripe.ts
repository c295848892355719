import type { Duration } from '#kernel/duration.ts'
import { fault } from '#kernel/fault.ts'
import type { Secret } from '#kernel/secret.ts'
import { assertFresh, identity, malformed, required, seconds, text } from './header.ts'
import { anyMatch, hexBytes, hmac256, textKeys } from './mac.ts'
import { secretList, type SignatureScheme } from './scheme.ts'

const header = 'stripe-signature'
const most = 10

/**
 * Stripe: `Stripe-Signature: t=…,v1=…[,v1=…]`, HMAC-SHA256 in hex over `t.body`. The key is the whole `whsec_…` text.
 * While a secret is rolled there are several `v1`; `v0` is a decoy of test mode and is ignored. `tolerance` defaults to
 * 5 minutes both ways. Event id and type: `id` and `type` of the body.
 *
 * Faults: `webhook.header`, `webhook.signature`, `webhook.stale`; `config.secret` for an unusable secret.
 *
 * @example verify: stripeSignature(secret('PAYMENTS_HOOK_KEY'))
 * @see https://docs.stripe.com/webhooks#verify-manually
 */
export function stripeSignature(
  secrets: Secret | readonly Secret[],
  options: { readonly tolerance?: Duration } = {},
): SignatureScheme {
  return {
    name: 'stripe',
    secrets: secretList(secrets),
    tolerance: options.tolerance ?? '5m',
    headers: [],
    verifier(values) {
      const keys = textKeys('stripe', values)
      return ({ headers, body, now, tolerance }) => {
        const { stamp, given } = read(required(headers, header))
        const at = seconds(stamp, header)
        if (!anyMatch(keys, given, `${stamp}.`, body)) throw fault('webhook.signature')
        assertFresh(at, now, tolerance)
        return { ok: true, timestamp: at * 1000 }
      }
    },
    identify: ({ body }) => identity(text(body, 'id'), text(body, 'type')),
    sign(outgoing, values) {
      const stamp = Math.floor(outgoing.now / 1000)
      const signed = textKeys('stripe', values).map(
        (k) => `v1=${hmac256(k, `${stamp}.`, outgoing.body).toString('hex')}`,
      )
      return { 'content-type': 'application/json', [header]: [`t=${stamp}`, ...signed].join(',') }
    },
  }
}

function read(value: string): { stamp: string; given: readonly Uint8Array[] } {
  let stamp: string | undefined
  let known = 0
  const given: Uint8Array[] = []
  for (const item of value.split(',')) {
    const at = item.indexOf('=')
    const name = item.slice(0, at).trim()
    const content = item.slice(at + 1).trim()
    if (name === 't') {
      // Two times: two header lines were joined, and it is not decidable which time belongs to which signature.
      if (stamp !== undefined) throw malformed(header, 'has two timestamps')
      stamp = content
    } else if (name === 'v1') {
      if (++known > most) throw malformed(header, `has more than ${most} signatures`)
      const bytes = hexBytes(content, 32)
      if (bytes) given.push(bytes)
    }
  }
  if (stamp === undefined) throw malformed(header, 'has no timestamp')
  if (known === 0) throw malformed(header, 'has no v1 signature')
  return { stamp, given }
}
