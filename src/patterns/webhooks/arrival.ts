import { isSensitiveName } from '#kernel/redact.ts'
import type { Webhook } from './define.ts'
import type { Headers } from './signatures/scheme.ts'

/**
 * A verified delivery as it is kept: the raw bytes, so that a mapping can be corrected and the delivery routed again,
 * and the few headers that say what it is. Never a signature, a credential or a cookie.
 */
export type Arrival = {
  /** The provider's event id: what drops repeats within `dedupe`. */
  readonly id: string
  readonly type: string
  /** Wall-clock milliseconds when it arrived. */
  readonly time: number
  readonly contentType: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** What arrives at a webhook is kept in its own topic, which outlives a wrong mapping: `webhook.<name>`. */
export function inboxTopic(webhook: Pick<Webhook, 'name'>): string {
  return `webhook.${webhook.name}`
}

const always = ['user-agent', 'traceparent'] as const
const longest = 1_024

/** The headers that are kept: those of the scheme, those the webhook names, user-agent and traceparent; 1,024 characters each. */
export function headerKeeper(webhook: Webhook): (headers: Headers) => Readonly<Record<string, string>> {
  // A scheme of a user's own could name its signature header by mistake; in `headers`, `checkWebhook` refuses it.
  const names = [...new Set([...always, ...webhook.verify.headers, ...webhook.headers])].filter((n) => !isCredential(n))
  return (headers) => {
    const kept: Record<string, string> = {}
    for (const name of names) {
      const value = headers[name]
      if (value !== undefined) kept[name] = value.slice(0, longest)
    }
    return kept
  }
}

/** Whether a header carries a credential or a signature, by its name. */
export function isCredential(name: string): boolean {
  return isSensitiveName(name) || /signature|hmac|cookie|authorization/i.test(name)
}
