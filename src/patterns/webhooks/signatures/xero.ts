import { createHash } from 'node:crypto'
import { fault } from '#kernel/fault.ts'
import type { Json } from '#kernel/json.ts'
import type { Secret } from '#kernel/secret.ts'
import { identity, required, text } from './header.ts'
import { anyMatch, base64Bytes, hmac256, textKeys } from './mac.ts'
import { secretList, type SignatureScheme } from './scheme.ts'

const header = 'x-xero-signature'

/**
 * Xero: `x-xero-signature`, HMAC-SHA256 in base64 over the body, keyed with the text of the webhooks key. No time is signed. A bad
 * signature is answered 401, which Xero tries out before it delivers (*intent to receive*).
 *
 * A delivery is a batch of events that say which resource has changed, not how: type `batch`, and `intent` for one without events. Its
 * id is made of what each event is about and when it was, so a repetition has the same. The same event may come in another
 * batch: what handles it reads the resource, and may do so twice.
 *
 * Faults: `webhook.header`, `webhook.signature`; `config.secret` for an unusable secret.
 *
 * @example verify: xeroSignature(secret('XERO_WEBHOOK_KEY'))
 * @see https://developer.xero.com/documentation/guides/webhooks/configuring-your-server
 */
export function xeroSignature(secrets: Secret | readonly Secret[]): SignatureScheme {
  return {
    name: 'xero',
    secrets: secretList(secrets),
    headers: [],
    refusal: 401,
    verifier(values) {
      const keys = textKeys('xero', values)
      return ({ headers, body }) => {
        const given = base64Bytes(required(headers, header), 32)
        if (!given || !anyMatch(keys, [given], body)) throw fault('webhook.signature')
        return { ok: true }
      }
    },
    identify({ body, raw }) {
      const events = typeof body === 'object' && body !== null && 'events' in body ? body.events : undefined
      if (!Array.isArray(events)) return {}
      const hash = createHash('sha256')
      if (events.length === 0) return identity(hash.update(raw).digest('hex'), 'intent')
      return identity(hash.update(JSON.stringify(events.map(about))).digest('hex'), 'batch')
    },
    sign: (outgoing, values) => ({
      'content-type': 'application/json',
      [header]: hmac256(textKeys('xero', values)[0]!, outgoing.body).toString('base64'),
    }),
  }
}

function about(event: Json): readonly (string | undefined)[] {
  return ['tenantId', 'resourceId', 'eventDateUtc', 'eventType'].map((name) => text(event, name))
}
