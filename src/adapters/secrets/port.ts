import type { HttpOut } from '#kernel/http.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Secrets } from '#kernel/secret.ts'

/**
 * A source of secrets, as a user hands it to `fairlead({ secrets })`: nothing is opened or asked before the app starts.
 *
 * The law of what it opens stands in `conformance.ts`. In short: all current values newest first, a change is seen without a
 * restart, the last good value is kept for a bounded time while the source is away, one request however many ask, each value taught
 * to the redactor before anyone gets it, and none in a fault or a log line.
 */
export type SecretsAdapter = {
  readonly kind: string
  /** What its requests trust beyond the system's certificates: a vault often has a private CA. PEM. */
  readonly tls?: { readonly ca: readonly string[] }
  /**
   * Begins. `runtime.secrets` are the environment variables: what unlocks a vault has to come from somewhere. Rejects only
   * for what no waiting would change; a source that is away shows when it is read.
   */
  open(runtime: SecretsRuntime): Promise<OpenSecrets>
}

export type SecretsRuntime = Pick<Runtime, 'clock' | 'random' | 'files' | 'secrets' | 'redact' | 'log'> & {
  readonly http: Pick<HttpOut, 'send'>
}

export interface OpenSecrets extends Secrets {
  /** Ends its timers and gives back what it had leased. Idempotent. */
  [Symbol.asyncDispose](): Promise<void>
}

/** The pool of sockets that a source's own requests use: a name that no connection can have. */
export function poolOf(kind: string): string {
  return `secrets:${kind}`
}
