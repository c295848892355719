import { poolOf, type SecretsAdapter, type SecretsRuntime } from '#adapters/secrets/port.ts'
import type { Secrets } from '#kernel/secret.ts'
import type { Trusting } from './http/client-socket.ts'

/** Where an app reads its secrets: a source that is opened with it, or something that reads already. */
export type GivenSecrets = SecretsAdapter | Secrets | undefined

/** What requests of this source trust beyond the usual, when the pool is the one of the source. */
export function trustOfSource(given: GivenSecrets, pool: string): Trusting | undefined {
  return given && 'open' in given && given.tls && pool === poolOf(given.kind) ? { current: given.tls } : undefined
}

/** Opens the source; without one `runtime.secrets`, the environment, is it. */
export async function openSecrets(
  given: GivenSecrets,
  runtime: SecretsRuntime,
): Promise<{ readonly secrets: Secrets; readonly close: () => Promise<void> }> {
  if (!given) return { secrets: runtime.secrets, close: () => Promise.resolve() }
  if ('read' in given) return { secrets: given, close: () => Promise.resolve() }
  const opened = await given.open(runtime)
  return { secrets: opened, close: async () => opened[Symbol.asyncDispose]() }
}
