import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { createServer as createHttps, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createServer as createTls, type TLSSocket } from 'node:tls'
import { test, type TestContext } from 'node:test'
import { isFault } from '#kernel/fault.ts'
import { redactor } from '#kernel/redact.ts'
import { secret, SecretValue, type Secrets } from '#kernel/secret.ts'
import { connection, type TlsOptions } from '#patterns/connections/define.ts'
import { virtualClock } from '#testing/clock.ts'
import { ConnectionTls } from './certificates.ts'
import { fairlead, type App } from './fairlead.ts'
import { Authority } from './http/authority.fixture.ts'

const day = 86_400_000

/** Their API, which asks for our certificate, and tells with which name we came. */
async function theirs(
  t: TestContext,
  options: { readonly authority: Authority; readonly clients: Authority; readonly to?: number },
) {
  const seen: string[] = []
  const sockets = new Set<TLSSocket>()
  const server: Server = createHttps(
    {
      ...options.authority.issue({ subject: 'their server', to: options.to ?? 365 }),
      ca: options.clients.cert,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      const common = (request.socket as TLSSocket).getPeerCertificate().subject.CN
      seen.push(String(common))
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ you: common }))
    },
  )
  server.on('secureConnection', (socket: TLSSocket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, server, seen, sockets }
}

type Line = { readonly level: string; readonly event: string; readonly fields: Readonly<Record<string, unknown>> }

/** An app with one connection, whose secrets are a table that the test changes. */
async function world(t: TestContext, url: string, tls: TlsOptions, table: Record<string, readonly string[]>) {
  const secrets: Secrets = {
    read: async (name) => {
      const values = table[name]
      if (!values) throw new Error('not there')
      return values.map((v) => new SecretValue(name, v))
    },
  }
  const api = connection('api', { baseUrl: url, tls, retry: false, operations: { hello: { http: 'GET /' } } })
  const clock = virtualClock({ start: Date.now() })
  const logged: Line[] = []
  const log = {
    write: (level: string, event: string, fields: object = {}) =>
      void logged.push({ level, event, fields: { ...fields } }),
  }
  const app: App = await fairlead({ use: [api], secrets, log }, { clock })
  t.after(() => app[Symbol.asyncDispose]())
  const hello = (): Promise<unknown> => app.call(api.hello, {})
  const certificates = async () => (await app.operations.status()).connections[0]?.certificates
  return { app, api, clock, logged, hello, certificates }
}

const tls: TlsOptions = { ca: [secret('CA')], cert: secret('CERT'), key: secret('KEY') }

test('shows our certificate, and shows the next one after a rotation, without a failed request', async (t) => {
  const authority = new Authority('their authority')
  const clients = new Authority('authority of clients')
  const { url, seen, sockets } = await theirs(t, { authority, clients })
  const first = clients.issue({ subject: 'first' })
  const second = clients.issue({ subject: 'second' })
  const table = { CA: [authority.cert], CERT: [first.cert], KEY: [first.key] }
  const w = await world(t, url, tls, table)
  const many = (n: number): Promise<unknown[]> => Promise.all(Array.from({ length: n }, w.hello))
  await many(10)
  assert.deepEqual([...new Set(seen)], ['first'])
  const before = [...sockets]
  table.CERT = [second.cert]
  table.KEY = [second.key]
  // Requests under way while it changes, then more on the sockets that were opened before.
  const running = many(15)
  await w.clock.advance(30_000)
  await running
  seen.length = 0
  for (let i = 0; i < 20; i++) await many(15)
  assert.deepEqual([...new Set(seen)], ['second'])
  assert.equal(seen.length, 300)
  assert.ok(
    before.every((s) => s.destroyed),
    'the sockets of before have drained',
  )
  assert.ok(w.logged.some((l) => l.event === 'connection.tls' && l.fields['change'] === 'rotated'))
})

test('a certificate that was read anew before its key waits for it, and goes on with the pair that fits', async (t) => {
  const authority = new Authority('their authority')
  const clients = new Authority('authority of clients')
  const { url, seen } = await theirs(t, { authority, clients })
  const first = clients.issue({ subject: 'first' })
  const second = clients.issue({ subject: 'second' })
  const table: Record<string, readonly string[]> = { CA: [authority.cert], CERT: [first.cert], KEY: [first.key] }
  const w = await world(t, url, tls, table)
  await w.hello()
  table['CERT'] = [second.cert, first.cert]
  await w.clock.advance(30_000)
  await w.hello()
  table['CERT'] = [second.cert]
  await w.clock.advance(30_000)
  await w.hello()
  assert.deepEqual(seen, ['first', 'first', 'first'])
  assert.equal(w.logged.filter((l) => l.fields['change'] === 'kept').length, 1)
  table['KEY'] = [second.key]
  await w.clock.advance(30_000)
  await w.hello()
  assert.equal(seen.at(-1), 'second')
})

test('their authority rotates: both are trusted while both are valid, and nothing fails', async (t) => {
  const [old, next] = [new Authority('old authority'), new Authority('next authority')]
  const clients = new Authority('authority of clients')
  const { url, server, sockets } = await theirs(t, { authority: old, clients })
  const own = clients.issue({ subject: 'own' })
  const table = { CA: [old.cert], CERT: [own.cert], KEY: [own.key] }
  const w = await world(t, url, tls, table)
  await w.hello()
  table.CA = [next.cert, old.cert]
  await w.clock.advance(30_000)
  await w.hello()
  server.setSecureContext({ ...next.issue({ subject: 'their server' }), ca: clients.cert })
  for (const socket of sockets) socket.end()
  await new Promise((resolve) => setImmediate(resolve))
  await w.hello()
  table.CA = [next.cert]
  await w.clock.advance(30_000)
  await w.hello()
  server.setSecureContext({ ...old.issue({ subject: 'their server' }), ca: clients.cert })
  // Any change of what is trusted ends the open socket; the next one meets the old authority again.
  table.CA = [next.cert, next.cert]
  await w.clock.advance(30_000)
  await assert.rejects(w.hello(), (e) => isFault(e, 'connection.tls'), 'the old one is no longer trusted')
})

test('says in the log, once a day, and in the status that our certificate or theirs ends within 14 days', async (t) => {
  const authority = new Authority('their authority')
  const clients = new Authority('authority of clients')
  const { url } = await theirs(t, { authority, clients, to: 10 })
  const own = clients.issue({ subject: 'own', to: 20 })
  const w = await world(t, url, tls, { CA: [authority.cert], CERT: [own.cert], KEY: [own.key] })
  const alarms = (): unknown[] =>
    w.logged
      .filter((l) => l.event === 'connection.certificate')
      .map((l) => [l.level, l.fields['whose'] === 'ours' ? 'ours' : 'theirs', l.fields['days']])
  assert.deepEqual(alarms(), [])
  await w.hello()
  assert.deepEqual(alarms(), [['warn', 'theirs', 9]])
  const { ours, theirs: their } = (await w.certificates())!
  assert.deepEqual([ours?.days, ours?.expiring, their?.days, their?.expiring], [19, false, 9, true])
  const later = async (days: number): Promise<void> => {
    w.clock.jump(days * day)
    for (let i = 0; i < 3; i++) await w.clock.advance(30_000)
  }
  await later(6.5)
  assert.deepEqual(alarms().slice(1), [['warn', 'ours', 13]])
  await later(0.9)
  assert.equal(alarms().length, 2)
  await later(0.2)
  assert.deepEqual(alarms().slice(2), [['warn', 'ours', 12]])
  await later(14)
  assert.deepEqual(alarms().at(-1), ['error', 'ours', -2])
  assert.equal((await w.certificates())?.theirs?.expiring, true)
})

test('an app does not start with a certificate, key or authority that is none, names the connection, and quotes nothing', async () => {
  const clients = new Authority('authority of clients')
  const [own, other] = [clients.issue({ subject: 'own' }), clients.issue({ subject: 'other' })]
  for (const [table, message] of [
    [{ CA: [clients.cert], CERT: [own.cert], KEY: [other.key] }, /does not belong/],
    [{ CA: [clients.cert], CERT: ['canary-cert'], KEY: [own.key] }, /tls\.cert is not a certificate/],
    [{ CA: [clients.cert], CERT: [own.cert], KEY: ['canary-key'] }, /tls\.key is not a private key/],
    [{ CA: ['canary-ca'], CERT: [own.cert], KEY: [own.key] }, /certificate 1 of tls\.ca/],
  ] as const) {
    const read = async (name: string) => table[name as 'CA'].map((v) => new SecretValue(name, v))
    const api = connection('api', { baseUrl: 'https://127.0.0.1:1', tls, operations: { hello: { http: 'GET /' } } })
    await assert.rejects(fairlead({ use: [api], secrets: { read } }), (e) => {
      assert.ok(isFault(e, 'config.invalid'))
      assert.match(e.message, message)
      assert.match(e.message, /connection\(api\)\.tls/)
      assert.doesNotMatch(JSON.stringify(e), /canary/)
      return true
    })
  }
})

test('a pinned key counts by what it signed, not by a name in what they send', async (t) => {
  const root = new Authority('root that we trust')
  const pinned = new Authority('pinned authority')
  // Made by whoever controls an authority that we trust: named like the pinned one, which is sent along for show.
  const forged = root.under('pinned authority')
  const leaf = forged.issue({ subject: 'their server' })
  const pin = (a: Authority): string =>
    createHash('sha256')
      .update(new X509Certificate(a.cert).publicKey.export({ type: 'spki', format: 'der' }))
      .digest('base64')
  const serve = async (chain: string): Promise<string> => {
    const server = createTls({ key: leaf.key, cert: leaf.cert + chain }, (socket) => {
      socket.on('error', () => undefined)
      socket.on('data', () =>
        socket.end('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}'),
      )
    })
    server.on('tlsClientError', () => undefined)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  const url = await serve(forged.cert)
  const trusted = await world(t, url, { ca: [root.cert], pins: [pin(forged)] }, {})
  assert.deepEqual(await trusted.hello(), {})
  for (const chain of [forged.cert + pinned.cert, pinned.cert + forged.cert]) {
    const deceived = await world(t, await serve(chain), { ca: [root.cert], pins: [pin(pinned)] }, {})
    await assert.rejects(deceived.hello(), (e) => isFault(e, 'connection.tls'))
  }
  // A pin is in addition to the chain, never instead of it.
  const unchained = await world(t, url, { pins: [pin(forged)] }, {})
  await assert.rejects(unchained.hello(), (e) => isFault(e, 'connection.tls'))
})

test('the server that gives the tokens sees the same authority and certificate, and none of the pins', async () => {
  const clients = new Authority('authority of clients')
  const own = clients.issue({ subject: 'own' })
  const table: Record<string, string> = { CA: clients.cert, CERT: own.cert, KEY: own.key }
  const opened = new ConnectionTls(
    'api',
    { ...tls, pins: ['A'.repeat(43)] },
    {
      clock: virtualClock(),
      secrets: { read: async (name) => [new SecretValue(name, table[name]!)] },
      log: { write: () => undefined },
      redact: redactor(),
    },
  )
  await opened.load()
  assert.deepEqual(opened.tokens.current, { ca: [clients.cert], cert: own.cert, key: own.key, pins: [] })
  assert.deepEqual(opened.current.pins, ['A'.repeat(43)])
  const next = clients.issue({ subject: 'next' })
  Object.assign(table, { CERT: next.cert, KEY: next.key })
  await opened.load()
  assert.equal(opened.tokens.current.cert, next.cert)
})
