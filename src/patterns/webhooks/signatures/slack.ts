import { createHash } from 'node:crypto'
import type { Duration } from '#kernel/duration.ts'
import { fault } from '#kernel/fault.ts'
import type { Json } from '#kernel/json.ts'
import type { Secret } from '#kernel/secret.ts'
import { assertFresh, identity, malformed, required, seconds, text } from './header.ts'
import { anyMatch, hexBytes, hmac256, textKeys } from './mac.ts'
import { secretList, type SignatureScheme } from './scheme.ts'

const header = 'x-slack-signature'
const time = 'x-slack-request-timestamp'

/**
 * Slack: `X-Slack-Signature: v0=…`, HMAC-SHA256 in hex over `v0:timestamp:body` with the raw body, form or JSON.
 * `tolerance` defaults to 5 minutes both ways.
 *
 * Events: id `event_id`, type `event.type` (`app_mention`). Slash commands: type `slash_command`. Interactivity: the
 * `type` of the JSON in the field `payload` (`block_actions`). What has no id of its own gets the SHA-256 of its body:
 * a repetition has the same. The first call, `url_verification`, is answered with its challenge and not stored.
 *
 * Faults: `webhook.header`, `webhook.signature`, `webhook.stale`; `config.secret` for an unusable secret.
 *
 * @example verify: slackSignature(secret('SLACK_SIGNING_SECRET'))
 * @see https://docs.slack.dev/authentication/verifying-requests-from-slack
 */
export function slackSignature(
  secrets: Secret | readonly Secret[],
  options: { readonly tolerance?: Duration } = {},
): SignatureScheme {
  return {
    name: 'slack',
    secrets: secretList(secrets),
    tolerance: options.tolerance ?? '5m',
    headers: [time, 'x-slack-retry-num', 'x-slack-retry-reason'],
    form: true,
    verifier(values) {
      const keys = textKeys('slack', values)
      return ({ headers, body, now, tolerance }) => {
        const stamp = required(headers, time)
        const at = seconds(stamp, time)
        const written = required(headers, header)
        if (!written.startsWith('v0=')) throw malformed(header, 'does not begin with v0=')
        const given = hexBytes(written.slice(3), 32)
        if (!given || !anyMatch(keys, [given], `v0:${stamp}:`, body)) throw fault('webhook.signature')
        assertFresh(at, now, tolerance)
        return { ok: true, timestamp: at * 1000 }
      }
    },
    identify({ body, raw }) {
      const id = text(body, 'event_id') ?? createHash('sha256').update(raw).digest('hex')
      const inner = typeof body === 'object' && body !== null && 'event' in body ? text(body.event, 'type') : undefined
      const outer = text(body, 'type') ?? (text(body, 'command') ? 'slash_command' : undefined)
      return identity(id, inner ?? outer)
    },
    challenge: (body: Json) =>
      text(body, 'type') === 'url_verification' ? (text(body, 'challenge') ?? '') : undefined,
    sign(outgoing, values) {
      const stamp = Math.floor(outgoing.now / 1000)
      const mac = hmac256(textKeys('slack', values)[0]!, `v0:${stamp}:`, outgoing.body).toString('hex')
      return { 'content-type': 'application/json', [time]: String(stamp), [header]: `v0=${mac}` }
    },
  }
}
