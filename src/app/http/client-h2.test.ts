import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { constants, createSecureServer, createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2'
import { createServer as createTls } from 'node:tls'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, test } from 'node:test'
import { isFault, type Fault } from '#kernel/fault.ts'
import type { HttpRequest } from '#kernel/http.ts'
import { settle, virtualClock, type VirtualClock } from '#testing/clock.ts'
import { httpClient, type HttpClient } from './client.ts'

const open: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

test('speaks HTTP/2 in the clear and over TLS, and gives the fields behind the body', async () => {
  const answer = (stream: ServerHttp2Stream): void => {
    stream.respond({ ':status': 200, 'x-a': 'b' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7' }))
    stream.end('body')
  }
  for (const at of [await serve(createServer(), answer), await serve(secure(), answer)]) {
    const { client, clock } = make()
    for (let i = 0; i < 2; i++) {
      const got = await client.send(post(at))
      assert.deepEqual([got.status, got.headers['x-a'], new TextDecoder().decode(got.body)], [200, 'b', 'body'])
      assert.equal(got.trailers?.['x-sum'], '7')
    }
    const { maxBytes: _, ...request } = post(at)
    const stream = await client.stream({ ...request, idle: 1_000 })
    assert.deepEqual(stream.trailers?.(), {})
    for await (const chunk of stream.chunks) assert.equal(new TextDecoder().decode(chunk), 'body')
    assert.equal(stream.trailers?.()['x-sum'], '7')
    assert.equal(clock.armed, 0)
  }
})

test('what a server refuses to begin was not done; what it resets may have been', async () => {
  // undici offers a refused stream once more by itself.
  const codes = [constants.NGHTTP2_REFUSED_STREAM, constants.NGHTTP2_REFUSED_STREAM, constants.NGHTTP2_INTERNAL_ERROR]
  const at = await serve(createServer(), (stream) => stream.close(codes.shift()))
  const { client } = make()
  const refused = await failure(client.send(post(at)), 'connection.unreachable')
  assert.equal(refused.detail['reason'], 'REFUSED_STREAM')
  await failure(client.send(post(at)), 'connection.cut')
})

test('a stream that is reset in the middle is cut, and a silent one times out', async () => {
  let reset = true
  const at = await serve(createServer(), (stream) => {
    stream.respond({ ':status': 200 })
    // More than the window: what is not sent yet when it is reset has no end.
    stream.write(reset ? new Uint8Array(1_000_000) : '1')
    if (reset) setImmediate(() => stream.close(constants.NGHTTP2_INTERNAL_ERROR))
  })
  const { client, clock } = make()
  const { maxBytes: _, ...request } = post(at)
  const cut = await client.stream({ ...request, idle: 1_000 })
  const all = (async () => {
    let n = 0
    for await (const chunk of cut.chunks) n += chunk.byteLength
    return n
  })()
  assert.equal((await failure(all, 'connection.cut')).detail['phase'], 'body')
  reset = false
  const silent = await client.stream({ ...request, idle: 1_000 })
  await silent.chunks.next()
  const late = failure(silent.chunks.next(), 'connection.timeout')
  await clock.advance(1_000)
  await late
})

test('refuses a server that does not agree to HTTP/2', async () => {
  const server = createTls({ ...keys, ALPNProtocols: ['http/1.1'] }).on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(() => new Promise((resolve) => server.close(() => resolve())))
  const { client } = make()
  await failure(client.send(post(`https://127.0.0.1:${(server.address() as AddressInfo).port}`)), 'connection.tls')
})

const pem = (name: string): string => readFileSync(new URL(`./fixtures/${name}`, import.meta.url), 'utf8')
const keys = { key: pem('test-server.key.pem'), cert: pem('test-server.pem') + pem('test-ca.pem') }
const secure = (): Http2Server => createSecureServer(keys)

function make(): { client: HttpClient; clock: VirtualClock } {
  const clock = virtualClock()
  const client = httpClient({ clock, trust: () => ({ current: { ca: [pem('test-ca.pem')] } }) })
  open.push(() => client.close())
  return { client, clock }
}

function post(origin: string): HttpRequest {
  return {
    method: 'POST',
    origin,
    path: '/a.B/C',
    headers: { te: 'trailers' },
    body: 'ask',
    version: 2,
    pool: 'rpc',
    timeouts: { connect: 3_000, firstByte: 10_000, total: 30_000 },
    maxBytes: 1_000,
  }
}

async function failure(work: Promise<unknown>, code: string): Promise<Fault> {
  const error: unknown = await work.then(
    () => assert.fail(`expected ${code}`),
    (e: unknown) => e,
  )
  assert.ok(isFault(error, code), `${code} expected: ${String(error)} ${JSON.stringify(error)}`)
  return error
}

async function serve(server: Http2Server, answer: (stream: ServerHttp2Stream) => void): Promise<string> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => void sockets.add(socket)).on('sessionError', () => undefined)
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => undefined)
    answer(stream)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise<void>((resolve) => server.close(() => resolve()))
    await settle()
  })
  const scheme = 'setSecureContext' in server ? 'https' : 'http'
  return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`
}
