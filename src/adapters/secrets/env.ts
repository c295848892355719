import { fault } from '#kernel/fault.ts'
import { SecretValue, type Secrets } from '#kernel/secret.ts'

/** Secrets from environment variables: `secret('PAYMENTS_KEY')` is the variable PAYMENTS_KEY. Empty counts as missing. */
export function envSecrets(env: Readonly<Record<string, string | undefined>>): Secrets {
  return {
    read: (name) => {
      const value = env[name]
      if (value === undefined || value === '') {
        return Promise.reject(
          fault('config.secret', { message: `the environment variable ${name} is not set`, detail: { secret: name } }),
        )
      }
      return Promise.resolve([new SecretValue(name, value)])
    },
  }
}
