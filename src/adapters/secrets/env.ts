import { fault } from '#kernel/fault.ts'
import { SecretValue, type Secrets } from '#kernel/secret.ts'

/**
 * Secrets from environment variables: `secret('PAYMENTS_KEY')` is the variable PAYMENTS_KEY. Empty counts as missing. What an app
 * without `secrets` uses, with `process.env`. A process gets its environment once: a rotated value needs a restart, and there is
 * one value at a time. Other programs of the same user can read it; where that matters, or secrets rotate, use another source.
 */
export function envSecrets(env: Readonly<Record<string, string | undefined>>): Secrets {
  return {
    read: (name) => {
      const value = Object.hasOwn(env, name) ? env[name] : undefined
      if (value === undefined || value === '') {
        return Promise.reject(
          fault('config.secret', { message: `the environment variable ${name} is not set`, detail: { secret: name } }),
        )
      }
      return Promise.resolve([new SecretValue(name, value)])
    },
  }
}
