import { inspect } from './inspect.ts'

/**
 * A reference to a secret by name. It holds no value, so a definition can be printed, frozen and committed; the value is
 * read through the `secrets` adapter when the app starts and again when it rotates.
 */
export type Secret = { readonly kind: 'secret'; readonly name: string }

/** Names a secret: with the default adapter, an environment variable. Nothing is read until the app starts. */
export function secret(name: string): Secret {
  return Object.freeze({ kind: 'secret', name })
}

export function isSecret(value: unknown): value is Secret {
  return (
    typeof value === 'object' &&
    value !== null &&
    (value as Secret).kind === 'secret' &&
    typeof (value as Secret).name === 'string'
  )
}

/**
 * A secret's value in memory. It cannot be printed by accident: string conversion, JSON, template literals and
 * `console.log` all give `[secret NAME]`. `reveal()` is the one way out, and easy to search for.
 */
export class SecretValue {
  readonly name: string
  readonly #value: string

  constructor(name: string, value: string) {
    this.name = name
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return `[secret ${this.name}]`
  }

  toJSON(): string {
    return this.toString()
  }

  [inspect](): string {
    return this.toString()
  }
}

/**
 * Reads secrets by name. All current values, newest first: two while one is being rotated. Rejects with `config.secret` when
 * there is no such secret or we may not read it, with `secret.unavailable` when its source cannot be asked.
 */
export interface Secrets {
  read(name: string): Promise<readonly SecretValue[]>
}
