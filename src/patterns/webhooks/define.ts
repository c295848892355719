import { define, type Definition } from '#kernel/definition.ts'
import type { Duration } from '#kernel/duration.ts'
import type { TopicHandle } from '#kernel/handle.ts'
import type { Received, SignatureScheme } from './signatures/scheme.ts'

/**
 * # Webhook
 *
 * **Is** a path where one provider delivers its events to us. The signature is checked over the raw bytes, a repeat is
 * dropped by its event id, the delivery is appended to the webhook's own topic (its *inbox*) and only then answered 2xx.
 * A durable subscription routes it from there: its event type names a topic, a mapping gives it that topic's shape.
 *
 * **Is not** a place for your code: work before the acknowledgement is how a provider's retries become a storm. Put a
 * subscription on the topic. And it is not a way out: events that we send are a `delivery`.
 *
 * **Words**: *arrival*, one verified delivery with its raw bytes. *Inbox*, the topic `webhook.<name>` of all arrivals;
 * replay from it after correcting a mapping. *Scheme*, how a provider signs. *Event id*, what makes two deliveries the
 * same. *Event type*, what chooses the topic. *Unrouted*, verified but of a type that `deliver` does not name.
 *
 * **Promise**: 2xx is sent only after the arrival is on disk. A crash before it means that the provider sends again; a
 * crash after it loses nothing, because routing is a subscription (at least once; the routed message's id is derived from
 * the event id, so the topic drops a second one). Nothing that is not verified is ever stored.
 */
export type Webhook<Type extends string = string> = Definition<'webhook'> & {
  readonly path: string
  readonly verify: SignatureScheme
  readonly deliver: Readonly<Record<Type, Route>>
  readonly otherwise: Otherwise
  readonly id?: Find
  readonly type?: Find
  readonly tolerance?: Duration
  readonly maxBytes: number
  readonly dedupe: Duration
  readonly keep: Duration
  readonly headers: readonly string[]
}

/** What happens to a verified event whose type `deliver` does not name. */
export type Otherwise = 'store' | 'ignore' | 'refuse'

/** Where an id or a type is found: a header, a field of the body (`data.object.id`), or your own pure function. */
export type Find = { readonly header: string } | { readonly field: string } | ((event: Received) => string | undefined)

/** What a mapping may want to know beside the body. */
export type EventInfo = {
  readonly id: string
  readonly type: string
  /** When it arrived, wall-clock milliseconds. */
  readonly time: number
  readonly headers: Readonly<Record<string, string>>
}

/** A topic whose schema the body already fits, or a topic and a mapping. */
export type Target<T> = TopicHandle<T> | Mapped<T>

export type Mapped<T> = {
  readonly to: TopicHandle<T>
  /**
   * Pure: the parsed body to the topic's shape. Any function will do, a `mapping` too; one that names a type for its
   * input must check it (a mapping does). Absent: the body as it is. What it throws parks the arrival, to be replayed.
   */
  map?(event: unknown, info: EventInfo): NoInfer<T> | Promise<NoInfer<T>>
  /** Overrides the topic's `key`. */
  key?(event: unknown, info: EventInfo): string
}

/** A target with its types forgotten: what routing works on. */
export type Route =
  | TopicHandle
  | {
      readonly to: TopicHandle
      map?(event: unknown, info: EventInfo): unknown
      key?(event: unknown, info: EventInfo): string
    }

export type WebhookOptions<T> = {
  /** Exact path, without query: `/hooks/payments`. One webhook a path. */
  readonly path: string
  /** How the provider signs: `stripeSignature(secret('…'))`, `standardWebhooks(…)`, or a scheme of your own. */
  readonly verify: SignatureScheme
  /** Event type → topic. The type is written as the provider writes it. */
  readonly deliver: { readonly [Type in keyof T]: Target<T[Type]> }
  /**
   * Verified events of other types. `store` (default): kept in the inbox, to be replayed once a route exists. `ignore`:
   * answered 2xx, counted, gone: for a provider that cannot be told to send less. `refuse`: answered like a bad signature.
   */
  readonly otherwise?: Otherwise
  /** Where the event id is found. Default: where the scheme has it. */
  readonly id?: Find
  /** Where the event type is found. Default: where the scheme has it. */
  readonly type?: Find
  /** Overrides the scheme's (5 minutes): 1 s to 1 h, both ways. Not for schemes that sign no time (GitHub, Shopify). */
  readonly tolerance?: Duration
  /** Longest body in bytes; a longer one is refused with 413 unread. Default and most: 1 MiB. */
  readonly maxBytes?: number
  /** How long an event id is remembered. Default 7 days; longer than any provider here retries. 1 h to 90 d. */
  readonly dedupe?: Duration
  /** How long arrivals stay in the inbox. Default 7 days. */
  readonly keep?: Duration
  /** Further headers to keep with an arrival. Lower case; at most 20; none that carries a credential. */
  readonly headers?: readonly string[]
}

/**
 * Defines where a provider's events come in.
 *
 * Faults to the caller: `input.too_large`, `input.json`, `input.form`, `input.prototype`, `input.media_type`,
 * `webhook.event`; one and the same `webhook.refused` for a bad signature, a stale timestamp, a missing header and a
 * refused type; `webhook.slow`, `journal.full` and `store.*` as 503 with Retry-After. Limits: 1 MiB, 5 s to the answer.
 *
 * @example
 * export const paymentsHook = webhook('payments', {
 *   path: '/hooks/payments',
 *   verify: stripeSignature(secret('PAYMENTS_HOOK_KEY')),
 *   deliver: { 'charge.paid': { to: orderPaid, map: chargePaid }, 'refund.created': refunds },
 * })
 */
export function webhook<T extends Record<string, unknown>>(
  name: string,
  options: WebhookOptions<T>,
): Webhook<keyof T & string> {
  return define({
    kind: 'webhook',
    name,
    otherwise: 'store',
    maxBytes: 1_048_576,
    dedupe: '7d',
    keep: '7d',
    headers: [],
    ...options,
  } satisfies { [K in keyof Webhook]: unknown } as Webhook<keyof T & string>)
}
