import { fault } from '#kernel/fault.ts'
import type { Secret } from '#kernel/secret.ts'
import { identity, malformed, required, text } from './header.ts'
import { anyMatch, hexBytes, hmac256, textKeys } from './mac.ts'
import { secretList, type SignatureScheme } from './scheme.ts'

const header = 'x-hub-signature-256'

/**
 * GitHub: `X-Hub-Signature-256: sha256=…`, HMAC-SHA256 in hex over the body. The SHA-1 twin is never looked at. GitHub
 * signs no time and no header: a captured delivery verifies for ever, and what stops its repetition is the delivery id.
 * Bodies are JSON, or a form with the JSON in its field `payload` (the MAC is over the form text). Event id:
 * `X-GitHub-Delivery`, the same on a redelivery. Type: `X-GitHub-Event`, with the body's `action` if it has one:
 * `push`, `pull_request.opened`. Gitea, Forgejo and others that copy these headers work too.
 *
 * Faults: `webhook.header`, `webhook.signature`; `config.secret` for an unusable secret.
 *
 * @example verify: githubSignature(secret('GITHUB_HOOK_SECRET'))
 * @see https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
 */
export function githubSignature(secrets: Secret | readonly Secret[]): SignatureScheme {
  return {
    name: 'github',
    secrets: secretList(secrets),
    headers: ['x-github-delivery', 'x-github-event', 'x-github-hook-id', 'x-github-hook-installation-target-id'],
    form: true,
    verifier(values) {
      const keys = textKeys('github', values)
      return ({ headers, body }) => {
        const written = required(headers, header)
        if (!written.startsWith('sha256=')) throw malformed(header, 'does not begin with sha256=')
        const given = hexBytes(written.slice(7), 32)
        if (!given || !anyMatch(keys, [given], body)) throw fault('webhook.signature')
        return { ok: true }
      }
    },
    identify({ headers, body }) {
      const event = headers['x-github-event']
      const action = text(body, 'action')
      return identity(headers['x-github-delivery'], event && action ? `${event}.${action}` : event)
    },
    sign: (outgoing, values) => ({
      'content-type': 'application/json',
      'x-github-delivery': outgoing.id,
      'x-github-event': outgoing.type.split('.')[0]!,
      [header]: `sha256=${hmac256(textKeys('github', values)[0]!, outgoing.body).toString('hex')}`,
    }),
  }
}
