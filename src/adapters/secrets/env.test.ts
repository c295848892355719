import { virtualClock } from '#testing/clock.ts'
import { secretsConformance } from './conformance.ts'
import { envSecrets } from './env.ts'

secretsConformance(
  'secrets of the environment',
  virtualClock,
  async () => {
    const env: Record<string, string> = {}
    const secrets = envSecrets(env)
    return {
      secrets: { read: (name) => secrets.read(name), [Symbol.asyncDispose]: () => Promise.resolve() },
      refresh: 1_000,
      keep: 1_000,
      put: async (name, value) => void (env[name] = value),
      remove: async (name) => void delete env[name],
      close: async () => {},
    }
  },
  ['rotation'],
)
