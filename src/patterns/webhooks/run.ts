import type { Clock } from '#kernel/clock.ts'
import { milliseconds } from '#kernel/duration.ts'
import { fault, isFault } from '#kernel/fault.ts'
import type { Door, Inbound, Reply } from '#kernel/http.ts'
import type { Json } from '#kernel/json.ts'
import type { Secrets } from '#kernel/secret.ts'
import { headerKeeper, type Arrival } from './arrival.ts'
import { readBody } from './body.ts'
import type { Webhook } from './define.ts'
import { find } from './find.ts'
import { keyring } from './keyring.ts'
import type { Signed, Verified, Verify } from './signatures/scheme.ts'

export type WebhookDeps = {
  readonly clock: Clock
  readonly secrets: Secrets
  /** Resolves when the arrival is on disk, or was already there. Its faults become the answer (503 with Retry-After). */
  readonly store: (arrival: Arrival) => Promise<'stored' | 'duplicate'>
  readonly count: (outcome: WebhookOutcome) => void
}

/**
 * One for every request. Two come in addition: `slow` when storing took longer than a second, and `unrouted` beside
 * `stored` when the type has no route yet.
 */
export type WebhookOutcome =
  | 'stored'
  | 'duplicate'
  | 'ignored'
  | 'challenge'
  | 'header'
  | 'signature'
  | 'stale'
  | 'unrouted'
  | 'event'
  | 'body'
  | 'too_large'
  | 'secret'
  | 'timeout'
  | 'unstored'
  | 'slow'

export type WebhookDoor = Door & {
  /**
   * Reads the secrets: before listening, so that a missing or short one stops the start (`config.secret`), and when one
   * was revoked, so that it stops verifying at once rather than within 30 s.
   */
  refresh(): Promise<void>
}

const within = 5_000
const alarm = 1_000
const accepted: Reply = Object.freeze({ status: 200 })
const refusals: Readonly<Record<string, WebhookOutcome>> = {
  'webhook.header': 'header',
  'webhook.signature': 'signature',
  'webhook.stale': 'stale',
}

/**
 * The door of a webhook. Order: size, signature over the raw bytes, time, parsing, challenge, id and type, `otherwise`,
 * storing, 200 without body. A repeat is 200 too. No answer after 5 s: 503 (`webhook.slow`); should the store succeed
 * after that, the provider's repeat is dropped by its id.
 */
export function webhookDoor(def: Webhook, deps: WebhookDeps): WebhookDoor {
  const { clock, count } = deps
  const scheme = def.verify
  const ring = keyring(scheme, deps)
  const tolerance = milliseconds(def.tolerance ?? scheme.tolerance ?? '5m')
  const keptHeaders = headerKeeper(def)
  const refused = scheme.refusal === 401 ? 'webhook.unauthorized' : 'webhook.refused'

  const refuse = (e: unknown): unknown => {
    const reason = isFault(e) ? refusals[e.code] : undefined
    count(reason ?? (isFault(e, 'webhook.slow') ? 'timeout' : 'secret'))
    return reason ? fault(refused, { cause: e }) : e
  }

  /** With keys at hand, nothing is awaited: a promise only where secrets are read first, or read again. */
  const admit = (request: Inbound): Verified | Promise<Verified> => {
    const signed: Signed = { headers: request.headers, body: request.body, now: clock.now(), tolerance }
    const keys = ring.current()
    if (typeof keys !== 'function') return admitLater(signed, keys)
    try {
      return keys(signed)
    } catch (e) {
      const renewed = isFault(e, 'webhook.signature') ? ring.reread() : undefined
      if (!renewed) throw refuse(e)
      // A read that fails proves nothing about the signature: the answer stays the refusal of the known keys.
      return admitLater(
        signed,
        renewed.catch(() => Promise.reject(e as Error)),
      )
    }
  }

  const admitLater = async (signed: Signed, reading: Promise<Verify>): Promise<Verified> => {
    try {
      const verify = await bounded(clock, reading, 'the secrets were not read')
      return verify(signed)
    } catch (e) {
      throw refuse(e)
    }
  }

  return {
    name: `webhook.${def.name}`,
    methods: ['POST'],
    path: def.path,
    maxBytes: def.maxBytes,
    async refresh() {
      await ring.refresh()
    },
    async handle(request) {
      if (request.body.length > def.maxBytes) {
        count('too_large')
        throw fault('input.too_large', { detail: { limit: def.maxBytes } })
      }
      const admitted = admit(request)
      const proof = admitted instanceof Promise ? await admitted : admitted
      const contentType = request.headers['content-type'] ?? ''
      const body = counted(() => readBody(contentType, request.body, scheme.form === true), 'body', count)
      const challenge = scheme.challenge?.(body)
      if (challenge !== undefined) return echo(challenge, count)
      const { id, type } = counted(() => identify(def, proof, request, body), 'event', count)
      const unrouted = !Object.hasOwn(def.deliver, type)
      if (unrouted && def.otherwise === 'ignore') {
        count('ignored')
        return accepted
      }
      if (unrouted) count('unrouted')
      if (unrouted && def.otherwise === 'refuse') {
        throw fault(refused, { cause: fault('webhook.unrouted') })
      }
      const arrival: Arrival = {
        id,
        type,
        time: clock.now(),
        contentType: contentType.slice(0, 200),
        headers: keptHeaders(request.headers),
        body: request.body,
      }
      const began = clock.mono()
      try {
        count(await bounded(clock, deps.store(arrival), 'the store did not confirm'))
      } catch (e) {
        count(isFault(e, 'webhook.slow') ? 'timeout' : 'unstored')
        throw e
      }
      if (clock.mono() - began > alarm) count('slow')
      return accepted
    },
  }
}

function counted<T>(work: () => T, outcome: WebhookOutcome, count: WebhookDeps['count']): T {
  try {
    return work()
  } catch (e) {
    count(outcome)
    throw e
  }
}

/** Id and type, each of 1 to 255 printable characters. Throws `webhook.event`. */
function identify(def: Webhook, proof: Verified, request: Inbound, body: Json): { id: string; type: string } {
  const event = { headers: request.headers, body, raw: request.body }
  const found = def.verify.identify(event)
  return {
    id: plain('id', def.id ? find(def.id, event) : (proof.id ?? found.id)),
    type: plain('type', def.type ? find(def.type, event) : (proof.type ?? found.type)),
  }
}

function plain(what: 'id' | 'type', value: string | undefined): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused
  if (typeof value === 'string' && value.length > 0 && value.length <= 255 && !/[\u0000-\u001f\u007f]/.test(value)) {
    return value
  }
  throw fault('webhook.event', {
    message: `the event has no ${what} of 1 to 255 printable characters; set \`${what}\` of the webhook to where it is`,
    detail: { missing: what },
  })
}

/** Echoes only what looks like a token: a signed request must not make us serve somebody's page. */
function echo(challenge: string, count: WebhookDeps['count']): Reply {
  if (!/^[\w.~+/=-]{1,256}$/.test(challenge)) {
    count('event')
    throw fault('webhook.event', { message: 'the challenge is not 1 to 256 token characters' })
  }
  count('challenge')
  return {
    status: 200,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' },
    body: challenge,
  }
}

/** The promise, or `webhook.slow` after 5 s. What comes later is dropped: the provider has been told to send again. */
function bounded<T>(clock: Clock, work: Promise<T>, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(within, () =>
      reject(fault('webhook.slow', { message: `${what} within ${within / 1000} s`, retryAfter: 5_000 })),
    )
    work.then(
      (value) => {
        cancel()
        resolve(value)
      },
      (error: unknown) => {
        cancel()
        reject(error)
      },
    )
  })
}
