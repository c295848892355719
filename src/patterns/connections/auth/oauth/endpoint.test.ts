import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeProtectedHeader, exportJWK, exportPKCS8, generateKeyPair, jwtVerify } from 'jose'
import { isFault } from '#kernel/fault.ts'
import type { HttpRequest, HttpResponse } from '#kernel/http.ts'
import { secret } from '#kernel/secret.ts'
import { clientCredentials, jwtBearer } from './define.ts'
import { canary, World } from './world.fixture.ts'

const grant = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

test('the assertion of a service account says what Google asks for, and nothing proves the client beside it', async () => {
  await using w = await World.open()
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
  w.secrets['ROBOT_KEY'] = [await exportPKCS8(privateKey)]
  const robot = 'robot@project.iam.gserviceaccount.com'
  const p = w.process(
    jwtBearer({
      tokenEndpoint: 'https://id.test/token',
      assertedBy: robot,
      subject: 'anna@example.org',
      key: secret('ROBOT_KEY'),
      algorithm: 'RS256',
      keyId: 'k1',
      scopes: ['sheets', 'drive'],
      scopesIn: 'assertion',
    }),
  )
  assert.equal(await p.get(), 'at-1-canary')
  const { assertion, ...form } = w.server.asked[0]!
  assert.deepEqual(form, { grant_type: grant })
  assert.equal(w.server.headers[0]!['authorization'], undefined)
  const check = { issuer: robot, subject: 'anna@example.org', audience: 'https://id.test/token' }
  const { payload } = await jwtVerify(assertion!, publicKey, { ...check, currentDate: new Date(w.clock.now()) })
  assert.equal(payload['scope'], 'sheets drive')
  assert.deepEqual([payload.iat, payload.exp], [w.clock.now() / 1_000, w.clock.now() / 1_000 + 120])
  assert.deepEqual(decodeProtectedHeader(assertion!), { alg: 'RS256', typ: 'JWT', kid: 'k1' })
  // A renewal is a new assertion, not a refresh token.
  await p.get(['at-1-canary'])
  const second = w.server.asked[1]!
  assert.equal(second['grant_type'], grant)
  assert.notEqual(second['assertion'], assertion)
})

test('elsewhere the scopes stand in the request, and the audience is the one that they want', async () => {
  await using w = await World.open()
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  w.secrets['KEY'] = [JSON.stringify(await exportJWK(privateKey))]
  const auth = jwtBearer({
    tokenEndpoint: 'https://id.test/token',
    assertedBy: 'consumer-key',
    subject: 'anna',
    assertedTo: 'https://login.salesforce.com',
    key: secret('KEY'),
    algorithm: 'ES256',
    scopes: ['api'],
  })
  await w.process(auth).get()
  const { assertion, ...form } = w.server.asked[0]!
  assert.deepEqual(form, { grant_type: grant, scope: 'api' })
  const check = { issuer: 'consumer-key', audience: 'https://login.salesforce.com' }
  const { payload } = await jwtVerify(assertion!, publicKey, { ...check, currentDate: new Date(w.clock.now()) })
  assert.equal(payload['scope'], undefined)
})

test('an assertion of the client carries our time, our randomness and the audience that was said', async () => {
  await using w = await World.open()
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  w.secrets['KEY'] = [await exportPKCS8(privateKey)]
  const auth = clientCredentials({
    tokenEndpoint: 'https://id.test/token',
    clientId: 'us',
    authenticate: { method: 'private_key_jwt', key: secret('KEY'), algorithm: 'ES256', audience: 'https://id.test/t1' },
    resource: 'https://api.test',
    audience: 'orders',
  })
  await w.process(auth).get()
  const { client_assertion: assertion, ...form } = w.server.asked[0]!
  assert.deepEqual(form, {
    grant_type: 'client_credentials',
    client_id: 'us',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    resource: 'https://api.test',
    audience: 'orders',
  })
  const check = { issuer: 'us', subject: 'us', audience: 'https://id.test/t1', currentDate: new Date(w.clock.now()) }
  const { payload } = await jwtVerify(assertion!, publicKey, check)
  assert.equal(payload.exp! - payload.iat!, 120)
  assert.match(payload.jti!, /^[\w-]{22}$/)
})

test('a key that is none is told without being repeated', async () => {
  await using w = await World.open()
  w.secrets['KEY'] = [canary]
  const auth = jwtBearer({
    tokenEndpoint: 'https://id.test/token',
    assertedBy: 'us',
    key: secret('KEY'),
    algorithm: 'ES256',
  })
  await assert.rejects(
    w.process(auth).get(),
    (e) => isFault(e, 'config.secret') && !JSON.stringify(e).includes('canary'),
  )
})

const discovering = clientCredentials({
  issuer: 'https://id.test/t1',
  clientId: 'us',
  authenticate: { method: 'client_secret_post', secret: secret('CLIENT_SECRET') },
})

/** Metadata at these paths, and tokens at what it names. */
function discovery(w: World, documents: Readonly<Record<string, unknown>>) {
  const paths: string[] = []
  const send = async (request: HttpRequest): Promise<HttpResponse> => {
    paths.push(`${request.method} ${request.path}`)
    if (request.method === 'POST') return w.server.send(request)
    const found = documents[request.path]
    const body = new TextEncoder().encode(JSON.stringify(found ?? {}))
    return { status: found ? 200 : 404, headers: { 'content-type': 'application/json' }, body, phases: { total: 1 } }
  }
  return { paths, send }
}

test('metadata is found by OpenID discovery or by RFC 8414, once a day', async () => {
  const document = { issuer: 'https://id.test/t1', token_endpoint: 'https://id.test/t1/token' }
  for (const path of ['/t1/.well-known/openid-configuration', '/.well-known/oauth-authorization-server/t1']) {
    await using w = await World.open()
    const http = discovery(w, { [path]: document })
    const p = w.process(discovering, { http })
    await p.get()
    await w.clock.advance(3_600_000)
    await p.get()
    assert.deepEqual(
      http.paths.filter((line) => line.startsWith('POST')),
      ['POST /t1/token', 'POST /t1/token'],
    )
    assert.equal(http.paths.filter((line) => line === `GET ${path}`).length, 1)
    await w.clock.advance(86_400_000)
    await p.get()
    assert.equal(http.paths.filter((line) => line === `GET ${path}`).length, 2)
  }
})

test('a document of another issuer, or with a token endpoint in the clear, gets no secret', async () => {
  for (const document of [
    { issuer: 'https://evil.test/t1', token_endpoint: 'https://evil.test/token' },
    { issuer: 'https://id.test/t1/', token_endpoint: 'https://id.test/token' },
    { issuer: 'https://id.test/t1', token_endpoint: 'http://id.test/token' },
    { issuer: 'https://id.test/t1' },
  ]) {
    await using w = await World.open()
    const http = discovery(w, { '/t1/.well-known/openid-configuration': document })
    const call = w
      .process(discovering, { http })
      .get([], 500)
      .catch((e: unknown) => e)
    await w.clock.advance(1_000)
    assert.ok(isFault(await call, 'connection.token'), JSON.stringify(document))
    assert.equal(w.server.asked.length, 0)
  }
})

test('a redirect of the token endpoint is not followed, and a token of another type not used', async () => {
  for (const trouble of [
    { status: 307, body: {} },
    { status: 200, body: { access_token: 'at-x', token_type: 'DPoP' } },
    { status: 200, body: 'no object' },
    { status: 200, body: [] },
  ]) {
    await using w = await World.open()
    w.server.trouble = trouble
    const call = w
      .process()
      .get([], 500)
      .catch((e: unknown) => e)
    await w.clock.advance(1_000)
    assert.ok(isFault(await call, 'connection.token'), JSON.stringify(trouble))
  }
})
