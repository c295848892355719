import { createHash } from 'node:crypto'
import type { Duration } from '#kernel/duration.ts'
import { fault } from '#kernel/fault.ts'
import type { Json } from '#kernel/json.ts'
import type { Secret } from '#kernel/secret.ts'
import { assertFresh, identity, malformed, required } from './header.ts'
import { anyMatch, base64Bytes, hmac256, textKeys } from './mac.ts'
import { secretList, type SignatureScheme } from './scheme.ts'

const header = 'x-hubspot-signature-v3'
const time = 'x-hubspot-request-timestamp'

/**
 * HubSpot, signature v3: `X-HubSpot-Signature-v3`, HMAC-SHA256 in base64 over method, address, body and time (milliseconds), keyed
 * with the app's client secret. `url` is the target address exactly as it is written in HubSpot, with its query: behind a proxy we do not
 * know by which address they came. `tolerance` defaults to 5 minutes both ways. The older v1 and v2 are not accepted.
 *
 * A delivery is a list of up to 100 events of any types: type `batch`. Its id is made of what each event is and not of
 * `attemptNumber`, so a repetition has the same. An event may come again in another list: what handles it takes
 * `eventId`, `subscriptionId`, `objectId` and `occurredAt` together for its name. The order is not that of the events.
 *
 * Faults: `webhook.header`, `webhook.signature`, `webhook.stale`; `config.secret` for an unusable secret.
 *
 * @example verify: hubspotSignature(secret('HUBSPOT_CLIENT_SECRET'), { url: 'https://hooks.example.org/hooks/crm' })
 * @see https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests
 */
export function hubspotSignature(
  secrets: Secret | readonly Secret[],
  options: { readonly url: string; readonly tolerance?: Duration },
): SignatureScheme {
  const prefix = `POST${decoded(options.url)}`
  return {
    name: 'hubspot',
    secrets: secretList(secrets),
    tolerance: options.tolerance ?? '5m',
    headers: [time],
    refusal: 401,
    verifier(values) {
      const keys = textKeys('hubspot', values)
      return ({ headers, body, now, tolerance }) => {
        const stamp = required(headers, time)
        if (!/^\d{12,14}$/.test(stamp)) throw malformed(time, 'is not a time in whole milliseconds')
        const given = base64Bytes(required(headers, header), 32)
        if (!given || !anyMatch(keys, [given], prefix, body, stamp)) throw fault('webhook.signature')
        assertFresh(Math.floor(Number(stamp) / 1_000), now, tolerance)
        return { ok: true, timestamp: Number(stamp) }
      }
    },
    identify({ body }) {
      if (!Array.isArray(body) || body.length === 0 || !body.every(isEvent)) return {}
      const names = body.map(nameOf).toSorted()
      return identity(createHash('sha256').update(names.join('\n')).digest('hex'), 'batch')
    },
    sign(outgoing, values) {
      const stamp = String(outgoing.now)
      const mac = hmac256(textKeys('hubspot', values)[0]!, prefix, outgoing.body, stamp)
      return { 'content-type': 'application/json', [time]: stamp, [header]: mac.toString('base64') }
    },
  }
}

type Event = Readonly<Record<string, Json>>

function isEvent(item: Json): item is Event {
  return typeof item === 'object' && item !== null && 'eventId' in item && 'subscriptionType' in item
}

function nameOf(event: Event): string {
  return JSON.stringify(['eventId', 'subscriptionId', 'objectId', 'occurredAt'].map((name) => event[name] ?? null))
}

/** These escapes of the address are undone before it is signed, and no others. */
function decoded(url: string): string {
  return url.replace(/%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi, (escape) => decodeURIComponent(escape))
}
