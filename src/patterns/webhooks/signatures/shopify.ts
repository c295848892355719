import { fault } from '#kernel/fault.ts'
import type { Secret } from '#kernel/secret.ts'
import { identity, required } from './header.ts'
import { anyMatch, base64Bytes, hmac256, textKeys } from './mac.ts'
import { secretList, type SignatureScheme } from './scheme.ts'

const header = 'x-shopify-hmac-sha256'

/**
 * Shopify: `X-Shopify-Hmac-Sha256`, HMAC-SHA256 in base64 over the body, keyed with the app's client secret. No time and
 * no header is signed. Type: `X-Shopify-Topic` (`orders/create`). Event id: shop, topic and `X-Shopify-Event-Id`
 * together, because one action of a merchant gives the same event id to several topics (`X-Shopify-Webhook-Id` where
 * the event id is absent). A bad signature is answered 401, which Shopify demands of privacy topics.
 *
 * Faults: `webhook.header`, `webhook.signature`; `config.secret` for an unusable secret.
 *
 * @example verify: shopifySignature(secret('SHOPIFY_CLIENT_SECRET'))
 * @see https://shopify.dev/docs/apps/build/webhooks/subscribe/https
 */
export function shopifySignature(secrets: Secret | readonly Secret[]): SignatureScheme {
  return {
    name: 'shopify',
    secrets: secretList(secrets),
    headers: [
      'x-shopify-topic',
      'x-shopify-shop-domain',
      'x-shopify-api-version',
      'x-shopify-event-id',
      'x-shopify-webhook-id',
      'x-shopify-triggered-at',
    ],
    refusal: 401,
    verifier(values) {
      const keys = textKeys('shopify', values)
      return ({ headers, body }) => {
        const given = base64Bytes(required(headers, header), 32)
        if (!given || !anyMatch(keys, [given], body)) throw fault('webhook.signature')
        return { ok: true }
      }
    },
    identify({ headers }) {
      const topic = headers['x-shopify-topic']
      const event = headers['x-shopify-event-id'] ?? headers['x-shopify-webhook-id']
      const shop = headers['x-shopify-shop-domain'] ?? ''
      return identity(event && topic ? `${shop}:${topic}:${event}` : undefined, topic)
    },
    sign: (outgoing, values) => ({
      'content-type': 'application/json',
      'x-shopify-topic': outgoing.type,
      'x-shopify-event-id': outgoing.id,
      'x-shopify-shop-domain': 'example.myshopify.com',
      [header]: hmac256(textKeys('shopify', values)[0]!, outgoing.body).toString('base64'),
    }),
  }
}
