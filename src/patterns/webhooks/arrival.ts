import { Buffer, isUtf8 } from 'node:buffer'
import { fault } from '#kernel/fault.ts'
import type { Json } from '#kernel/json.ts'
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
export function keptHeaders(webhook: Webhook, headers: Headers): Readonly<Record<string, string>> {
  const kept: Record<string, string> = {}
  for (const list of [always, webhook.verify.headers, webhook.headers]) {
    for (const name of list) {
      const value = headers[name]
      // A scheme of a user's own could name its signature header by mistake; `checkWebhook` refuses it in `headers`.
      if (value !== undefined && !isCredential(name)) kept[name] = value.slice(0, longest)
    }
  }
  return kept
}

/** Whether a header carries a credential or a signature, by its name. */
export function isCredential(name: string): boolean {
  return isSensitiveName(name) || /signature|hmac|cookie|authorization/i.test(name)
}

/** An arrival as the JSON of a message: the body as text where it is UTF-8 (almost always), else as base64. */
export function packArrival(arrival: Arrival): Json {
  const body = Buffer.from(arrival.body.buffer, arrival.body.byteOffset, arrival.body.byteLength)
  const { id, type, time, contentType, headers } = arrival
  const head = { id, type, time, contentType, headers }
  return isUtf8(body) ? { ...head, text: body.toString('utf8') } : { ...head, base64: body.toString('base64') }
}

/** The inverse of `packArrival`, byte for byte. Throws `webhook.event` for what is no packed arrival. */
export function unpackArrival(packed: unknown): Arrival {
  const p = packed as Partial<Arrival> & { readonly text?: unknown; readonly base64?: unknown }
  const body =
    typeof p?.text === 'string'
      ? Buffer.from(p.text, 'utf8')
      : typeof p?.base64 === 'string'
        ? Buffer.from(p.base64, 'base64')
        : undefined
  const { id, type, time, contentType, headers } = p ?? {}
  if (!body || typeof id !== 'string' || typeof type !== 'string' || typeof time !== 'number' || !headers) {
    throw fault('webhook.event', { message: 'the message is not an arrival of a webhook' })
  }
  return { id, type, time, contentType: contentType ?? '', headers, body }
}
