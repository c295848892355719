import { createHmac } from 'node:crypto'

/** Who sends. Each signs in its own way; this file is written from their documentation and shares no code with the engine. */
export type Provider = 'stripe' | 'shopify' | 'slack' | 'github' | 'carrier'

export type Delivery = {
  readonly provider: Provider
  /** What the provider calls the event's id: it stays the same when a delivery is repeated. */
  readonly id: string
  /** `orders/create`, `issues` …: for providers that name the type in a header. */
  readonly type: string
  readonly body: Uint8Array
}

/**
 * The headers of one attempt. Times are signed per attempt, as Stripe, Slack and Standard Webhooks do, so a repeated
 * delivery has the same id and another signature.
 */
export function signed(delivery: Delivery, secret: string, unixSeconds: number): Record<string, string> {
  return schemes[delivery.provider](delivery, secret, String(unixSeconds))
}

type Scheme = (delivery: Delivery, secret: string, t: string) => Record<string, string>

const schemes: Readonly<Record<Provider, Scheme>> = {
  // The whole `whsec_…` string is the key. https://docs.stripe.com/webhooks#verify-manually
  stripe: ({ body }, secret, t) => ({ 'stripe-signature': `t=${t},v1=${mac(secret, 'hex', `${t}.`, body)}` }),

  // https://shopify.dev/docs/apps/build/webhooks
  shopify: ({ id, type, body }, secret, t) => ({
    'x-shopify-topic': type,
    'x-shopify-hmac-sha256': mac(secret, 'base64', body),
    'x-shopify-shop-domain': 'lighthouse-tea.myshopify.com',
    'x-shopify-api-version': '2026-07',
    'x-shopify-event-id': id,
    'x-shopify-webhook-id': id,
    'x-shopify-triggered-at': new Date(Number(t) * 1000).toISOString(),
  }),

  // https://docs.slack.dev/authentication/verifying-requests-from-slack
  slack: ({ body }, secret, t) => ({
    'x-slack-request-timestamp': t,
    'x-slack-signature': `v0=${mac(secret, 'hex', `v0:${t}:`, body)}`,
  }),

  // https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
  github: ({ id, type, body }, secret) => ({
    'x-github-event': type,
    'x-github-delivery': id,
    'x-hub-signature-256': `sha256=${mac(secret, 'hex', body)}`,
    'user-agent': 'GitHub-Hookshot/fairlead-example',
  }),

  // Standard Webhooks 1.0.0: the key is what follows `whsec_`, decoded from base64.
  carrier: ({ id, body }, secret, t) => ({
    'webhook-id': id,
    'webhook-timestamp': t,
    'webhook-signature': `v1,${mac(Buffer.from(secret.replace(/^whsec_/, ''), 'base64'), 'base64', `${id}.${t}.`, body)}`,
  }),
}

/** The header that carries each provider's signature: what a sender without a secret would leave out. */
export const signatureHeader = {
  stripe: 'stripe-signature',
  shopify: 'x-shopify-hmac-sha256',
  slack: 'x-slack-signature',
  github: 'x-hub-signature-256',
  carrier: 'webhook-signature',
} as const satisfies Record<Provider, string>

function mac(key: string | Uint8Array, encoding: 'hex' | 'base64', ...parts: readonly (string | Uint8Array)[]): string {
  const hmac = createHmac('sha256', key)
  for (const part of parts) hmac.update(part)
  return hmac.digest(encoding)
}
