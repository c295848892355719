import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { authorizationCode, clientCredentials, connection, isFault, secret, subscription, topic } from 'fairlead'
import { sqlite } from 'fairlead/sqlite'
import * as z from 'zod'
import { httpClient } from '#app/http/client.ts'
import { fairlead } from '#app/fairlead.ts'
import type { HttpOut, HttpRequest } from '#kernel/http.ts'
import { SecretValue } from '#kernel/secret.ts'
import type { Authenticate } from '#patterns/connections/auth/oauth/define.ts'
import { settle, virtualClock } from '#testing/clock.ts'
import { Browser, clientSecret, oidc, type Oidc } from './oidc.fixture.ts'

const us = 'https://us.test'
const redirectUri = `${us}/oauth/crm`
const tokenKey = Buffer.alloc(32, 7).toString('base64')

const machine = (server: Pick<Oidc, 'issuer'>, clientId: string, authenticate: Authenticate) =>
  connection('orders', {
    baseUrl: 'https://api.test',
    auth: clientCredentials({
      issuer: server.issuer,
      clientId,
      authenticate,
      scopes: ['orders.read'],
      tokenKey: secret('TOKEN_KEY'),
    }),
    operations: { list: { http: 'GET /orders', scopes: ['orders.read'] } },
  })

const basic: Authenticate = { method: 'client_secret_basic', secret: secret('CLIENT_SECRET') }

const crm = ({ issuer }: Pick<Oidc, 'issuer'>) =>
  connection('crm', {
    baseUrl: 'https://api.test',
    auth: authorizationCode({
      issuer,
      clientId: 'app',
      authenticate: basic,
      scopes: ['openid', 'offline_access', 'orders.read', 'orders.write'],
      redirectUri,
      tokenKey: secret('TOKEN_KEY'),
      parameters: { prompt: 'consent' },
    }),
    operations: {
      list: { http: 'GET /orders', scopes: ['orders.read'] },
      add: { http: 'POST /orders', idempotent: 'key', scopes: ['orders.write'] },
    },
  })

/** An app whose API, at api.test, knows a token when the authorization server does; all else is real. */
async function world(t: TestContext, make: (server: Oidc) => readonly unknown[], path = ':memory:') {
  const server = await oidc(redirectUri)
  const clock = virtualClock({ start: Math.floor(Date.now() / 1_000) * 1_000 })
  const client = httpClient({ clock })
  const seen: { readonly request: HttpRequest; readonly token: string }[] = []
  let refuse = false
  let flying = 0
  const http: HttpOut = {
    async send(request) {
      if (request.path === '/token') server.asked.push(new URLSearchParams(String(request.body)))
      if (request.origin !== 'https://api.test') {
        flying++
        return client.send(request).finally(() => flying--)
      }
      const token = (request.headers['authorization'] ?? '').replace('Bearer ', '')
      seen.push({ request, token })
      const known = refuse ? undefined : await server.knows(token)
      const body = new TextEncoder().encode(JSON.stringify(known ?? { error: 'unknown token' }))
      return { status: known ? 200 : 401, headers: { 'content-type': 'application/json' }, body, phases: { total: 1 } }
    },
    stream: () => Promise.reject(new Error('nothing is streamed here')),
  }
  const logged: unknown[] = []
  const values: Record<string, string> = {
    CLIENT_SECRET: clientSecret,
    TOKEN_KEY: tokenKey,
    RSA: server.keys.rsa,
    EC: server.keys.ec,
  }
  const store = sqlite(path)
  const app = await fairlead(
    { use: make(server), store, log: { write: (...line) => void logged.push(line) } },
    { clock, http, secrets: { read: (name) => Promise.resolve([new SecretValue(name, values[name]!)]) } },
  )
  t.after(async () => {
    const ended = app[Symbol.asyncDispose]()
    await clock.advance(60_000)
    await ended
    await client.close()
    await server[Symbol.asyncDispose]()
  })
  const browser = (): Browser => new Browser(us, (r) => app.fetch(r))
  return {
    server,
    clock,
    app,
    seen,
    logged,
    browser,
    refuse: (on: boolean) => (refuse = on),
    quiet: () => flying === 0,
  }
}

type World = Awaited<ReturnType<typeof world>>

/** Turns of the loop until it is so: real sockets are in between, and no time passes. */
async function until(what: string, so: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 20_000; i++) {
    if (await so()) return
    await settle()
  }
  assert.fail(`never: ${what}`)
}

async function allow({ app, browser }: Pick<World, 'app' | 'browser'>): Promise<Response> {
  const { url } = await app.operations.as('anna').authorize('crm')
  const { response } = await browser().press(url)
  return response
}

for (const [clientId, authenticate] of [
  ['basic', basic],
  ['post', { method: 'client_secret_post', secret: secret('CLIENT_SECRET') }],
  ['pkjwt-rsa', { method: 'private_key_jwt', key: secret('RSA'), algorithm: 'RS256', keyId: 'r1' }],
  ['pkjwt-ec', { method: 'private_key_jwt', key: secret('EC'), algorithm: 'ES256' }],
] as const satisfies readonly (readonly [string, Authenticate])[]) {
  test(`a strict server takes ${authenticate.method} of ${clientId}; twenty calls ask for one token`, async (t) => {
    const w = await world(t, (server) => [machine(server, clientId, authenticate)])
    const { list } = w.app.definitions.connections.get('orders') as unknown as ReturnType<typeof machine>
    // A thousand waiters are in the tests of the tokens: here the bulkhead takes twenty at a time.
    const answers = await Promise.all(Array.from({ length: 20 }, () => w.app.call(list, undefined)))
    for (const answer of answers) assert.deepEqual(answer, { client: clientId, scope: 'orders.read' })
    assert.equal(w.server.asked.length, 1)
    assert.equal(w.server.asked[0]!.get('scope'), 'orders.read')
  })
}

test('an issuer that its own metadata does not confirm is asked for nothing', async (t) => {
  const w = await world(t, (server) => [
    machine({ issuer: server.issuer.replace('127.0.0.1', 'localhost') }, 'basic', basic),
  ])
  const { list } = w.app.definitions.connections.get('orders') as unknown as ReturnType<typeof machine>
  const call = w.app.call(list, undefined).catch((e: unknown) => e)
  let done = false
  void call.then(() => (done = true))
  await until('the call ends', async () => {
    // Real sockets: a virtual second that passed meanwhile would be a slow answer.
    if (w.quiet()) await w.clock.advance(1_000)
    return done
  })
  const f = await call
  assert.ok(isFault(f, 'connection.token'), String(f))
  assert.match(f.message, /issuer/)
  assert.equal(w.server.asked.length, 0, 'no secret went there')
})

const added = topic('added', { schema: z.object({ n: z.number() }) })
const work = (server: Pick<Oidc, 'issuer'>) => {
  const api = crm(server)
  const sender = subscription('sender', {
    to: added,
    handle: async (data, ctx) => void (await ctx.call(api.add, data as never)),
  })
  return [api, added, sender]
}

test('what waits for a person is held, and goes on when it is allowed; withdrawn and allowed again, too', async (t) => {
  const w = await world(t, work)
  const { app, clock, server } = w
  const held = async (n: number): Promise<boolean> =>
    (await app.operations.parked({ limit: 50 })).filter((p) => p.state === 'held').length === n
  for (let n = 0; n < 3; n++) await app.publish(added, { n })
  await until('three are held', () => held(3))
  assert.equal(server.asked.length, 0)
  assert.deepEqual((await app.operations.status()).authorizations, [{ connection: 'crm', state: 'none', person: true }])
  const page = await allow(w)
  assert.deepEqual(
    [page.status, page.headers.get('cache-control'), page.headers.get('referrer-policy')],
    [200, 'no-store', 'no-referrer'],
  )
  await until('nothing is held', () => held(0))
  assert.equal(w.seen.length, 3, 'at once: no time has passed')
  const [status] = (await app.operations.status()).authorizations
  assert.deepEqual([status!.state, status!.person], ['valid', false])
  const trail = await app.operations.trail()
  assert.deepEqual(
    trail.map((e) => [e.verb, e.subject, e.by]),
    [
      ['authorized', 'connection/crm', 'anna'],
      ['authorize', 'connection/crm', 'anna'],
    ],
  )

  await server.revoke()
  await clock.advance(3_600_000)
  for (let n = 3; n < 6; n++) await app.publish(added, { n })
  await until('three are held again', () => held(3))
  const asked = server.asked.length
  for (let minute = 0; minute < 10; minute++) await clock.advance(60_000)
  assert.equal(server.asked.length, asked, 'no loop')
  const [withdrawn] = (await app.operations.status()).authorizations
  assert.deepEqual([withdrawn!.state, withdrawn!.error, withdrawn!.person], ['unauthorized', 'invalid_grant', true])
  assert.equal(
    (await app.operations.parked()).every((p) => p.attempts === 0),
    true,
    'no attempt is burned',
  )
  await allow(w)
  await until('nothing is held', () => held(0))
  assert.equal(new Set(w.seen.map((s) => s.request.headers['idempotency-key'])).size, 6)
})

test('a rotated refresh token goes on and on; a 401 makes one renewal, then the work is held', async (t) => {
  const w = await world(t, work)
  const api = w.app.definitions.connections.get('crm') as unknown as ReturnType<typeof crm>
  await allow(w)
  for (let i = 0; i < 4; i++) {
    await w.app.call(api.list, undefined)
    await w.clock.advance(3_600_000)
  }
  const refreshed = w.server.asked
    .filter((a) => a.get('grant_type') === 'refresh_token')
    .map((a) => a.get('refresh_token'))
  assert.equal(refreshed.length, 3)
  assert.equal(new Set(refreshed).size, 3, 'each was used once')
  await w.app.call(api.list, undefined)
  w.refuse(true)
  const before = w.server.asked.length
  const sent = w.seen.length
  await assert.rejects(w.app.call(api.list, undefined), (e) => isFault(e, 'connection.credential'))
  assert.deepEqual([w.server.asked.length - before, w.seen.length - sent], [1, 2])
  await assert.rejects(w.app.call(api.list, undefined), (e) => isFault(e, 'connection.credential'))
  assert.deepEqual([w.server.asked.length - before, w.seen.length - sent], [1, 3])
})

test('a refresh endpoint that is down fails nothing while the old token lives', async (t) => {
  const w = await world(t, work)
  const api = w.app.definitions.connections.get('crm') as unknown as ReturnType<typeof crm>
  await allow(w)
  w.server.down = true
  await w.clock.advance(3_500_000)
  for (let i = 0; i < 5; i++) await w.app.call(api.list, undefined)
  await until('it was tried', () => w.logged.some((l) => JSON.stringify(l).includes('connection.token')))
  w.server.down = false
  await w.clock.advance(90_000)
  await w.app.call(api.list, undefined)
})

test('only the browser that was sent, from the issuer that it was sent to, once', async (t) => {
  const w = await world(t, work)
  const { app } = w
  const refused = async (browser: Browser, url: string): Promise<void> => {
    const response = await browser.get(url)
    assert.equal(response.status, 400)
    const text = await response.text()
    for (const value of new URL(url).searchParams.values()) assert.ok(!text.includes(value), text)
  }
  const link = await app.operations.authorize('crm')
  const mine = w.browser()
  // Looking at a link does not use it up, pressing its button does.
  assert.equal((await w.browser().get(link.url)).status, 200)
  const { url: callback } = await mine.press(link.url, redirectUri)
  const again = w.browser().press(link.url)
  assert.equal((await again).response.status, 400)
  const asked = w.server.asked.length
  await refused(w.browser(), callback)
  const without = new URL(callback)
  without.searchParams.delete('state')
  await refused(mine, without.href)
  const doubled = `${callback}&state=${new URL(callback).searchParams.get('state')}`
  await refused(mine, doubled)
  const unknown = new URL(callback)
  unknown.searchParams.set('state', 'A'.repeat(43))
  await refused(mine, unknown.href)
  assert.equal(w.server.asked.length, asked, 'no code was exchanged')
  assert.equal((await mine.get(callback)).status, 200)
  await refused(mine, callback)
  assert.equal(w.server.asked.length, asked + 1)
})

test('a code of another issuer is not exchanged (mix-up), nor one without the issuer where it is promised', async (t) => {
  const w = await world(t, work)
  for (const change of [
    (u: URL) => u.searchParams.set('iss', 'https://evil.test'),
    (u: URL) => u.searchParams.delete('iss'),
  ]) {
    const browser = w.browser()
    const { url } = await browser.press((await w.app.operations.authorize('crm')).url, redirectUri)
    const changed = new URL(url)
    change(changed)
    const asked = w.server.asked.length
    assert.equal((await browser.get(changed.href)).status, 502)
    assert.equal(w.server.asked.length, asked)
    // And its state is spent.
    assert.equal((await browser.get(url)).status, 400)
  }
})

test('a link ends after ten minutes, and what was not allowed is told', async (t) => {
  const w = await world(t, work)
  const late = await w.app.operations.authorize('crm')
  await w.clock.advance(600_000)
  const browser = w.browser()
  assert.equal((await browser.press(late.url)).response.status, 400)
  const { url } = await browser.press((await w.app.operations.authorize('crm')).url, redirectUri)
  const denied = new URL(url)
  denied.searchParams.delete('code')
  denied.searchParams.set('error', 'access_denied')
  const response = await browser.get(denied.href)
  assert.equal(response.status, 400)
  assert.match(JSON.stringify(w.logged), /access_denied/)
  await assert.rejects(w.app.operations.authorize('nothing'), (e) => isFault(e, 'app.unknown'))
})

test('a key that cannot seal a token stops the start', async () => {
  const use = work({ issuer: 'https://id.test' })
  const secrets = { read: (name: string) => Promise.resolve([new SecretValue(name, 'canary-too-short')]) }
  await assert.rejects(fairlead({ use, secrets }), (e) => {
    assert.ok(isFault(e, 'config.invalid'))
    const [problem] = e.detail['problems'] as { path: string }[]
    assert.equal(problem!.path, 'connection(crm).auth.tokenKey')
    return !JSON.stringify(e).includes('canary')
  })
})

test('two connections do not share a redirect address, nor does one take the path of a webhook', async () => {
  const one = crm({ issuer: 'https://id.test' })
  const auth = one.options.auth!
  const two = connection('two', { baseUrl: 'https://api.test', auth, operations: { list: { http: 'GET /' } } })
  await assert.rejects(fairlead({ use: [one, two] }), (e) => {
    assert.ok(isFault(e, 'config.invalid'))
    const paths = (e.detail['problems'] as { path: string }[]).map((p) => p.path)
    assert.deepEqual(paths, ['connection(two).auth.redirectUri', 'connection(two).auth.redirectUri'])
    return true
  })
})

test('serves nothing of it to those without a link', async (t) => {
  const w = await world(t, work)
  for (const path of ['', '/start', '/start?ticket=', '/start?ticket=a&ticket=b', '?code=a&state=b', '?error=x']) {
    assert.equal((await w.app.fetch(new Request(redirectUri + path))).status, 400, path)
  }
  const page = await w.app.fetch(new Request(`${redirectUri}/start?ticket=${encodeURIComponent('"><script>')}`))
  assert.ok(!(await page.text()).includes('<script>'))
  assert.match(page.headers.get('content-security-policy')!, /default-src 'none'/)
  assert.equal((await w.app.fetch(new Request(redirectUri, { method: 'POST', body: 'x' }))).status, 405)
})

test('asks for the scopes that are configured and no others, and reports which are needed', async (t) => {
  const w = await world(t, work)
  const api = w.app.definitions.connections.get('crm') as unknown as ReturnType<typeof crm>
  const browser = w.browser()
  await browser.press((await w.app.operations.authorize('crm')).url)
  const sent = new URL(browser.visited.find((u) => u.startsWith(w.server.issuer))!)
  assert.equal(sent.searchParams.get('scope'), 'openid offline_access orders.read orders.write')
  assert.deepEqual(
    [sent.searchParams.get('response_type'), sent.searchParams.get('code_challenge_method')],
    ['code', 'S256'],
  )
  await w.app.call(api.list, undefined)
  await settle()
  const [report] = await w.app.operations.scopes()
  assert.deepEqual(report!.missing, [])
  assert.deepEqual(report!.undeclared, ['openid', 'offline_access'])
  assert.deepEqual(report!.unused, ['orders.write'])
})

test('no token, code, verifier, state or secret is in a log line, a record, a status, a trail or the store in the clear', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'oauth-'))
  const w = await world(t, work, join(folder, 'store.db'))
  t.after(() => rmSync(folder, { recursive: true }))
  const api = w.app.definitions.connections.get('crm') as unknown as ReturnType<typeof crm>
  const browser = w.browser()
  await browser.press((await w.app.operations.authorize('crm')).url)
  await w.app.call(api.list, undefined)
  await w.app.publish(added, { n: 1 })
  await until('it was sent', () => w.seen.length === 2)
  await w.clock.advance(3_600_000)
  await w.app.call(api.list, undefined)
  await w.server.revoke()
  await w.clock.advance(3_600_000)
  const fault: unknown = await w.app.call(api.list, undefined).catch((e: unknown) => e)
  assert.ok(isFault(fault, 'connection.unauthorized'))
  const canaries = new Set([clientSecret, tokenKey, ...w.seen.map((s) => s.token)])
  for (const form of w.server.asked)
    for (const name of ['code', 'code_verifier', 'refresh_token']) if (form.has(name)) canaries.add(form.get(name)!)
  for (const url of browser.visited)
    for (const name of ['ticket', 'state', 'code'])
      if (new URL(url).searchParams.has(name)) canaries.add(new URL(url).searchParams.get(name)!)
  assert.ok(canaries.size >= 9, `${canaries.size} canaries`)
  const { operations } = w.app
  await until('the calls are recorded', async () => (await operations.calls()).length >= 3)
  const shown = JSON.stringify([
    w.logged,
    await operations.calls(),
    await operations.status(),
    await operations.trail(),
    await operations.parked(),
    await operations.scopes(),
    fault,
    fault.stack,
  ])
  const files = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'))
  assert.ok(files.join('').includes('token/crm'), 'the store was looked into')
  for (const canary of canaries)
    for (const where of [shown, ...files]) assert.ok(!where.includes(canary), `${canary.slice(0, 6)}…`)
})
