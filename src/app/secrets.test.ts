import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { isFault } from '#kernel/fault.ts'
import { secret } from '#kernel/secret.ts'
import { bearer } from '#patterns/connections/auth/bearer.ts'
import { connection } from '#patterns/connections/define.ts'
import { virtualClock } from '#testing/clock.ts'
import { vaultSecrets } from 'fairlead/secrets/vault'
import { fairlead } from './fairlead.ts'

/** A vault with one path, and an API that takes one key, on loopback. */
async function world(t: TestContext) {
  const seen: string[] = []
  let versions = ['sk-first-key']
  const server = createServer((request, response) => {
    const answer = (status: number, body?: unknown): void => {
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(body === undefined ? '' : JSON.stringify(body))
    }
    seen.push(`${request.method} ${request.url}`)
    request.resume().on('end', () => {
      if (request.url === '/v1/auth/approle/login') {
        return answer(200, { auth: { client_token: 'hvs.of-the-app', lease_duration: 3_600, renewable: true } })
      }
      if (request.url === '/v1/auth/token/revoke-self') return answer(204)
      if (request.url?.startsWith('/v1/secret/data/payments')) {
        const at = Number(new URL(request.url, 'http://x').searchParams.get('version') ?? versions.length)
        const metadata = { version: at, created_time: '2026-01-01T00:00:00.5Z', destroyed: false }
        return answer(200, { data: { data: { key: versions[at - 1] }, metadata } })
      }
      answer(request.headers.authorization === `Bearer ${versions.at(-1)}` ? 200 : 401, { ok: true })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, seen, rotate: (value: string) => void (versions = [...versions, value]) }
}

test('an app logs in to its vault, calls with what is there, follows a rotation without a restart, and logs out', async (t) => {
  const { url, seen, rotate } = await world(t)
  process.env['VAULT_SECRET_ID'] = 'secret-id-of-the-app'
  t.after(() => delete process.env['VAULT_SECRET_ID'])
  const payments = connection('payments', {
    baseUrl: url,
    auth: bearer(secret('PAYMENTS_KEY')),
    operations: { ping: { http: 'GET /ping' } },
  })
  const clock = virtualClock()
  const logged: string[] = []
  const app = await fairlead(
    {
      use: [payments],
      log: { write: (...line) => void logged.push(JSON.stringify(line)) },
      secrets: vaultSecrets({
        address: url,
        login: { method: 'approle', roleId: 'app', secretId: secret('VAULT_SECRET_ID') },
        names: { PAYMENTS_KEY: 'payments#key' },
      }),
    },
    { clock },
  )
  try {
    assert.deepEqual(await app.call(payments.ping, {}), { ok: true })
    rotate('sk-second-key')
    await clock.advance(150_000)
    assert.deepEqual(await app.call(payments.ping, {}), { ok: true })
  } finally {
    await app[Symbol.asyncDispose]()
  }
  assert.equal(seen.filter((s) => s.includes('login')).length, 1)
  assert.equal(seen.at(-1), 'POST /v1/auth/token/revoke-self')
  assert.doesNotMatch(logged.join('\n'), /sk-first-key|sk-second-key|hvs\.of-the-app|secret-id-of-the-app/)
})

test('an app whose vault is away does not start, names each secret, and leaves nothing behind', async () => {
  const payments = connection('payments', {
    baseUrl: 'http://127.0.0.1:1',
    auth: bearer(secret('PAYMENTS_KEY')),
    operations: { ping: { http: 'GET /ping' } },
  })
  const secrets = vaultSecrets({
    address: 'http://127.0.0.1:1',
    login: { method: 'approle', roleId: 'app', secretId: secret('ABSENT_SECRET_ID') },
  })
  await assert.rejects(fairlead({ use: [payments], secrets, log: { write: () => undefined } }), (e) => {
    assert.ok(isFault(e, 'config.invalid'))
    assert.match(e.message, /secret\(PAYMENTS_KEY\): .*ABSENT_SECRET_ID/)
    return true
  })
})
