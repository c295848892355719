import { fault } from '#kernel/fault.ts'
import type { Secret } from '#kernel/secret.ts'
import type { SecretsAdapter, SecretsRuntime } from './port.ts'

export type Unlock = {
  /** The newest value, taught to the redactor; a text in the options stands for itself. */
  readonly read: (wanted: Secret | string) => Promise<string>
  readonly close: () => Promise<void>
}

/** Reads what unlocks a source: from the environment, or from another source. */
export async function unlocking(adapter: SecretsAdapter | undefined, runtime: SecretsRuntime): Promise<Unlock> {
  const opened = await adapter?.open(runtime)
  const from = opened ?? runtime.secrets
  return {
    read: async (wanted) => {
      if (typeof wanted === 'string') return wanted
      const [newest] = await from.read(wanted.name)
      if (!newest) throw fault('config.secret', { detail: { secret: wanted.name } })
      runtime.redact.learn(newest.reveal())
      return newest.reveal()
    },
    close: async () => {
      await opened?.[Symbol.asyncDispose]()
    },
  }
}
