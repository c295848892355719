import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Prints which of the packages that cost something are loaded: by an app that has not called anybody, and by the first token. */
const program = `
import { registerHooks } from 'node:module'
const loaded = new Set()
registerHooks({ resolve: (specifier, context, next) => (loaded.add(specifier), next(specifier, context)) })
const heavy = () => ['undici', 'oauth4webapi', 'jose'].filter((name) => loaded.has(name))
const { bearer, clientCredentials, connection, fairlead, secret } = await import('./src/index.ts')
const operations = { list: { http: 'GET /' } }
const plain = connection('plain', { baseUrl: 'https://a.test', auth: bearer(secret('A')), operations })
const auth = clientCredentials({ issuer: 'https://id.test', clientId: 'us', authenticate: { method: 'client_secret_basic', secret: secret('A') } })
const app = await fairlead({ use: [plain, connection('oauth', { baseUrl: 'https://a.test', auth, operations })], log: { write() {} } })
const before = heavy()
await app[Symbol.asyncDispose]()
await import('./src/patterns/connections/auth/oauth/endpoint.ts')
console.log(JSON.stringify({ before, after: heavy() }))
`

test('an app that has asked for no token loads neither the protocol nor the signatures', async () => {
  const args = ['--input-type=module', '--eval', program]
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: root,
    env: { ...process.env, A: 'secret-a' },
  })
  assert.deepEqual(JSON.parse(stdout), { before: [], after: ['oauth4webapi', 'jose'] })
})
