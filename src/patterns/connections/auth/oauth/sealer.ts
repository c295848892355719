import type { Runtime } from '#kernel/runtime.ts'
import type { Secret } from '#kernel/secret.ts'
import { keyRing, seal, unseal, type KeyRing } from './seal.ts'

export type SealerRuntime = Pick<Runtime, 'random' | 'secrets' | 'redact'>

/** Seals for one connection and purpose, with the current values of its key. */
export class Sealer {
  readonly #about: string
  readonly #key: Secret
  readonly #runtime: SealerRuntime

  constructor(purpose: 'token' | 'authorization', connection: string, key: Secret, runtime: SealerRuntime) {
    this.#about = `fairlead ${purpose} of ${connection}`
    this.#key = key
    this.#runtime = runtime
  }

  async seal(value: unknown): Promise<string> {
    return seal(await this.#ring(), this.#about, JSON.stringify(value), this.#runtime.random)
  }

  /** Undefined: sealed for something else, with a key that is gone, or changed since. */
  async unseal(sealed: string): Promise<unknown> {
    const text = unseal(await this.#ring(), this.#about, sealed)
    return text === undefined ? undefined : (JSON.parse(text) as unknown)
  }

  async #ring(): Promise<KeyRing> {
    const values = await this.#runtime.secrets.read(this.#key.name)
    for (const value of values) this.#runtime.redact.learn(value.reveal())
    return keyRing(values)
  }
}
