import type { Duration } from '#kernel/duration.ts'
import type { Json } from '#kernel/json.ts'
import type { Secret, SecretValue } from '#kernel/secret.ts'

/** Lower-case name → value; a field that was sent several times is joined by `, `. */
export type Headers = Readonly<Record<string, string | undefined>>

/**
 * How one provider signs what it sends: inert data and pure functions, so a definition that holds one can be printed and
 * tested without a server. Those that ship are ordinary values of this type; write another the same way.
 *
 * Rules that every scheme keeps: the signature is over the raw bytes; bytes are compared in constant time; every
 * configured secret is tried; unknown versions are skipped but one known version is required; a missing header is a
 * failure, never an unsigned mode.
 */
export type SignatureScheme = {
  readonly name: string
  /** References. Each may resolve to several values while it is rotated. */
  readonly secrets: readonly Secret[]
  /** How far the signed timestamp may be from our clock, both ways. Absent: this scheme signs no time. */
  readonly tolerance?: Duration
  /** Headers that are kept with an arrival because they identify it. Never those that carry a signature. */
  readonly headers: readonly string[]
  /** Set when bodies may be forms: read as the JSON in their field `payload`, or as their fields where it is absent. */
  readonly form?: true
  /** Status of a refusal where the provider demands 401. Default 400. */
  readonly refusal?: 400 | 401
  /**
   * Prepares keys once; the returned function runs for every request. Throws `config.secret` for a value that is
   * missing, too short or not of the scheme's form, so that a webhook nobody can sign for never starts.
   */
  verifier(secrets: readonly SecretValue[]): Verify
  /** Id and type of a verified event, from headers or body. What cannot be found is absent. */
  identify(event: Received): Identity
  /** For a provider's first call: the text to echo. Only ever asked for a body whose signature held. */
  challenge?(body: Json): string | undefined
  /** The provider's side: headers for a body. Used by tests, the harness and examples. */
  sign?(outgoing: Outgoing, secrets: readonly SecretValue[]): Readonly<Record<string, string>>
}

/** Throws `webhook.header`, `webhook.signature` or `webhook.stale`; pure. */
export type Verify = (signed: Signed) => Verified

export type Signed = {
  readonly headers: Headers
  /** The raw bytes, exactly as they came. */
  readonly body: Uint8Array
  /** Wall clock, milliseconds. */
  readonly now: number
  /** Milliseconds. */
  readonly tolerance: number
}

export type Verified = Identity & {
  readonly ok: true
  /** When the sender signed it, milliseconds. */
  readonly timestamp?: number
}

export type Identity = { readonly id?: string; readonly type?: string }

/** A verified delivery: `body` is parsed, `raw` is what was signed. */
export type Received = { readonly headers: Headers; readonly body: Json; readonly raw: Uint8Array }

export type Outgoing = {
  readonly id: string
  readonly type: string
  readonly body: Uint8Array
  /** Wall clock, milliseconds. */
  readonly now: number
}

/** One secret or several, as a frozen list. What is no secret at all passes through: `checkWebhook` names it. */
export function secretList(secrets: Secret | readonly Secret[]): readonly Secret[] {
  return Object.freeze(Array.isArray(secrets) ? [...(secrets as readonly Secret[])] : [secrets as Secret])
}
