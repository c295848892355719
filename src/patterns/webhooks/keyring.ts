import type { Clock } from '#kernel/clock.ts'
import type { Secrets } from '#kernel/secret.ts'
import type { SignatureScheme, Verify } from './signatures/scheme.ts'

/** Secrets are read again after this long: a revoked one stops verifying at most 30 s later (at once with `refresh`). */
const fresh = 30_000
/** And sooner when a signature does not match, so that a new secret works from its first delivery: at most once a second. */
const again = 1_000
/** Without a successful read for this long, nothing is verified any more: a revocation could have been missed. */
const last = 600_000

export type Keyring = {
  /** The verifier of the current secrets; a promise only when there is none yet or the last read is too old. */
  current(): Verify | Promise<Verify>
  /** After a refusal: the verifier of secrets read anew, or undefined when they were read within the last second. */
  reread(): Promise<Verify> | undefined
  /** Reads the secrets now. Rejects with `config.secret`. */
  refresh(): Promise<Verify>
}

/** Keeps the prepared keys of a scheme. One read at a time, whoever asks; a failed read keeps the last good keys for 10 minutes. */
export function keyring(scheme: SignatureScheme, deps: { readonly clock: Clock; readonly secrets: Secrets }): Keyring {
  let verify: Verify | undefined
  let readAt = 0
  let triedAt = Number.NEGATIVE_INFINITY
  let reading: Promise<Verify> | undefined

  const read = async (): Promise<Verify> => {
    const values = await Promise.all(scheme.secrets.map((s) => deps.secrets.read(s.name)))
    verify = scheme.verifier(values.flat())
    readAt = deps.clock.mono()
    return verify
  }
  const shared = (): Promise<Verify> => {
    triedAt = deps.clock.mono()
    reading ??= read().finally(() => (reading = undefined))
    return reading
  }
  /** Never joins a read that began before it was called: that one may not have seen the change. */
  const refresh = (): Promise<Verify> => (reading ? reading.catch(() => undefined).then(shared) : shared())
  return {
    current() {
      const now = deps.clock.mono()
      if (!verify || now - readAt > last) return shared()
      // The request does not wait for a vault while the known keys are good; a failure shows when they have aged out.
      if (now - readAt > fresh && now - triedAt > again) shared().catch(() => undefined)
      return verify
    },
    reread: () => (deps.clock.mono() - triedAt >= again || reading ? shared() : undefined),
    refresh,
  }
}
