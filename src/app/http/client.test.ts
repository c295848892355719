import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer as createHttp, type RequestListener } from 'node:http'
import { createServer as createTcp, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTls } from 'node:tls'
import { createHash, X509Certificate } from 'node:crypto'
import { afterEach, test } from 'node:test'
import { isFault, type Fault } from '#kernel/fault.ts'
import type { HttpRequest, Phases } from '#kernel/http.ts'
import { settle, virtualClock, type VirtualClock } from '#testing/clock.ts'
import { httpClient, type HttpClient, type HttpClientOptions } from './client.ts'

type Closing = () => Promise<void>
const open: Closing[] = []

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

test('gives status, lower-case headers, body and phases of an answer', async () => {
  const at = await serve((request, response) => {
    response.setHeader('X-Seen', `${request.method} ${request.url} ${request.headers['accept-encoding']}`)
    response.setHeader('Set-Cookie', ['a=1', 'b=2'])
    response.setHeader('Via', ['one', 'two'])
    response.end('{"ok":true}')
  })
  const { client } = make()
  const first = await client.send(get(at))
  assert.equal(first.status, 200)
  assert.equal(text(first.body), '{"ok":true}')
  assert.equal(first.headers['x-seen'], 'GET /x?y=1 identity')
  assert.equal(first.headers['set-cookie'], 'a=1\nb=2')
  assert.equal(first.headers['via'], 'one, two')
  assert.deepEqual(Object.keys(first.phases).sort(), ['connect', 'firstByte', 'total'])
  const second = await client.send(get(at))
  assert.deepEqual(Object.keys(second.phases).sort(), ['firstByte', 'total'], 'a reused socket has no opening')
})

test('times the name lookup of a new socket', async () => {
  const at = await serve((_, response) => response.end())
  const { client } = make()
  const { phases } = await client.send(get(at.replace('127.0.0.1', 'localhost')))
  assert.ok(phases.dns !== undefined && phases.connect !== undefined)
})

test('sends a body with its length, as text or as bytes', async () => {
  const at = await serve((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (c: Buffer) => chunks.push(c))
    request.on('end', () => response.end(`${request.headers['content-length']}:${Buffer.concat(chunks).toString()}`))
  })
  const { client } = make()
  const send = (body: string | Uint8Array): Promise<string> =>
    client.send({ ...get(at), method: 'POST', body }).then((r) => text(r.body))
  assert.equal(await send('{"é":1}'), '8:{"é":1}')
  assert.equal(await send(new TextEncoder().encode('abc')), '3:abc')
  assert.equal(await send(''), '0:')
})

test('gives a redirect back instead of following it', async () => {
  let asked = 0
  const at = await serve((_, response) => {
    asked++
    response.writeHead(302, { location: '/elsewhere' }).end()
  })
  const { client } = make()
  const answer = await client.send(get(at))
  assert.deepEqual([answer.status, answer.headers['location'], asked], [302, '/elsewhere', 1])
})

test('waits for the answer behind early hints', async () => {
  const at = await tcp((socket) =>
    socket.once('data', () => {
      socket.write('HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    }),
  )
  const { client } = make()
  const answer = await client.send(get(at))
  assert.deepEqual([answer.status, text(answer.body)], [200, 'ok'])
})

test('says unreachable when the port refuses: nothing was sent', async () => {
  const server = createTcp()
  const at = await listening(server)
  await new Promise((resolve) => server.close(resolve))
  const { client } = make()
  const f = await failure(client.send(get(at)), 'connection.unreachable')
  assert.equal(f.detail['phase'], 'connect')
  assert.equal(f.detail['reason'], 'ECONNREFUSED')
  assert.ok((f.detail['phases'] as Phases).total >= 0)
})

test('says unreachable at the connect limit when the handshake never ends', async () => {
  const at = await tcp(() => undefined)
  const { client, clock } = make()
  const sent = client.send(get(at.replace('http:', 'https:')))
  const f = failure(sent, 'connection.unreachable')
  await accepted(at)
  await clock.advance(2_999)
  await clock.advance(1)
  assert.deepEqual(pick((await f).detail, 'phase', 'reason'), { phase: 'tls', reason: 'timeout' })
})

test('says deadline when the total passes before anything was sent', async () => {
  const at = await tcp(() => undefined)
  const { client, clock } = make()
  const f = failure(
    client.send({ ...get(at.replace('http:', 'https:')), timeouts: { connect: 3_000, firstByte: 10, total: 50 } }),
    'connection.deadline',
  )
  await clock.advance(50)
  await f
  const none = { connect: 1, firstByte: 1, total: 0 }
  await failure(client.send({ ...get(at), timeouts: none }), 'connection.deadline')
})

test('says cut when the connection ends before an answer', async () => {
  const at = await tcp((socket) => socket.once('data', () => socket.destroy()))
  const { client } = make()
  const f = await failure(client.send(get(at)), 'connection.cut')
  assert.equal(f.detail['reused'], false)
})

test('says cut on a reused socket that was closed as the request arrived, and opens a new one next time', async () => {
  let sockets = 0
  const at = await tcp((socket) => {
    const nth = ++sockets
    let answered = 0
    socket.on('data', () => {
      if (nth === 1 && answered++ > 0) socket.destroy()
      else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    })
  })
  const { client } = make()
  await client.send(get(at))
  const f = await failure(client.send(get(at)), 'connection.cut')
  assert.equal(f.detail['reused'], true)
  assert.equal((await client.send(get(at))).status, 200)
  assert.equal(sockets, 2)
})

test('no longer trusts the idle neighbours of a socket that turned out to be closed', async () => {
  let sockets = 0
  let stale = false
  let waiting: Socket[] = []
  const at = await tcp((socket) => {
    const mine = ++sockets
    socket.on('data', () => {
      if (stale && mine <= 3) socket.destroy()
      else waiting.push(socket)
      // The first three answers together, so that three sockets are open at once.
      if (mine <= 3 && waiting.length < 3) return
      for (const s of waiting) s.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
      waiting = []
    })
  })
  const { client } = make()
  await Promise.all([client.send(get(at)), client.send(get(at)), client.send(get(at))])
  stale = true
  assert.equal((await failure(client.send(get(at)), 'connection.cut')).detail['reused'], true)
  assert.equal((await client.send(get(at))).status, 200)
})

test('refuses an answer that ends before its announced length', async () => {
  const at = await tcp((socket) =>
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"half":')),
  )
  const { client } = make()
  const f = await failure(client.send(get(at)), 'connection.response')
  assert.deepEqual(pick(f.detail, 'reason', 'status'), { reason: 'truncated', status: 200 })
})

test('refuses a chunked answer without its last chunk', async () => {
  const at = await tcp((socket) =>
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n')),
  )
  const { client } = make()
  const f = await failure(client.send(get(at)), 'connection.response')
  assert.equal(f.detail['reason'], 'truncated')
})

test('refuses what is not HTTP', async () => {
  const at = await tcp((socket) => socket.once('data', () => socket.end('SSH-2.0-OpenSSH_9.9\r\n')))
  const { client } = make()
  const f = await failure(client.send(get(at)), 'connection.response')
  assert.equal(f.detail['reason'], 'protocol')
})

test('takes a body of exactly the limit and refuses one byte more, announced or not', async () => {
  const at = await serve((request, response) => {
    const size = Number(new URL(request.url ?? '', 'http://x').searchParams.get('size'))
    if (request.url?.includes('chunked')) response.flushHeaders()
    else response.setHeader('content-length', size)
    response.write('x'.repeat(size - 1))
    response.end('x')
  })
  const { client } = make()
  const ask = (path: string): HttpRequest => ({ ...get(at), path, maxBytes: 5_000 })
  assert.equal((await client.send(ask('/?size=5000'))).body.byteLength, 5_000)
  assert.equal((await client.send(ask('/chunked?size=5000'))).body.byteLength, 5_000)
  for (const path of ['/?size=5001', '/chunked?size=5001']) {
    const f = await failure(client.send(ask(path)), 'connection.response')
    assert.deepEqual(pick(f.detail, 'reason', 'maxBytes'), { reason: 'too-large', maxBytes: 5_000 })
  }
})

test('gives up when the first byte does not come, and tells so apart from a body that stops', async () => {
  let after: string | undefined
  let arrived = (): void => undefined
  const at = await tcp((socket) =>
    socket.on('data', () => {
      if (after) socket.write(after)
      arrived()
    }),
  )
  const { client, clock } = make()
  const first = failure(client.send(get(at)), 'connection.timeout')
  await new Promise<void>((resolve) => (arrived = resolve))
  await clock.advance(9_999)
  assert.equal(await pending(first), true)
  await clock.advance(1)
  assert.equal((await first).detail['phase'], 'first-byte')

  after = 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'
  const second = failure(client.send(get(at)), 'connection.timeout')
  await new Promise<void>((resolve) => (arrived = resolve))
  await quiet()
  await clock.advance(29_999)
  assert.equal(await pending(second), true)
  await clock.advance(1)
  assert.equal((await second).detail['phase'], 'body')
})

test('ends at the total however slowly bytes trickle in', async () => {
  const sockets: Socket[] = []
  const at = await tcp((socket) => {
    sockets.push(socket)
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n'))
  })
  const { client, clock } = make()
  const f = failure(client.send(get(at)), 'connection.timeout')
  await until(() => sockets.length === 1)
  for (let second = 0; second < 30; second++) {
    sockets[0]!.write('x')
    await quiet()
    await clock.advance(1_000)
  }
  assert.equal((await f).detail['phase'], 'body')
})

test('stops at the signal, before and after the request went out', async () => {
  let arrived = (): void => undefined
  const at = await tcp((socket) => socket.on('data', () => arrived()))
  const { client } = make()
  const stop = new AbortController()
  const f = failure(client.send({ ...get(at), signal: stop.signal }), 'cancelled')
  await new Promise<void>((resolve) => (arrived = resolve))
  stop.abort()
  assert.equal((await f).detail['sent'], true)
  assert.equal((await failure(client.send({ ...get(at), signal: stop.signal }), 'cancelled')).detail['sent'], false)
})

test('does not send a request that was stopped while the socket was being opened', async () => {
  let bytes = 0
  const at = await tcp((socket) => socket.on('data', (c: Buffer) => (bytes += c.length)))
  const { client } = make()
  const stop = new AbortController()
  const f = failure(client.send({ ...get(at), signal: stop.signal }), 'cancelled')
  stop.abort()
  await f
  await quiet()
  assert.equal(bytes, 0)
})

test('makes what exceeds its sockets wait, in order, each within its total time', async () => {
  const answers: (() => void)[] = []
  const order: string[] = []
  const at = await serve((request, response) => {
    order.push(request.url ?? '')
    answers.push(() => response.end())
  })
  const { client, clock } = make({ sockets: 1 })
  const ask = (path: string, total = 30_000): HttpRequest => ({
    ...get(at),
    path,
    timeouts: { connect: 3_000, firstByte: 10_000, total },
  })
  const a = client.send(ask('/a'))
  const b = client.send(ask('/b'))
  const late = failure(client.send(ask('/late', 100)), 'connection.deadline')
  const c = client.send(ask('/c'))
  await until(() => answers.length === 1)
  await clock.advance(100)
  assert.equal((await late).detail['phase'], 'socket')
  for (let i = 0; i < 3; i++) {
    await until(() => answers.length === i + 1)
    answers[i]!()
  }
  await Promise.all([a, b, c])
  assert.deepEqual(order, ['/a', '/b', '/c'])
})

test('does not share sockets between pools', async () => {
  let sockets = 0
  const at = await tcp((socket) => {
    sockets++
    socket.on('data', () => socket.write('HTTP/1.1 204 No Content\r\n\r\n'))
  })
  const { client } = make()
  await client.send({ ...get(at), pool: 'one' })
  await client.send({ ...get(at), pool: 'two' })
  await client.send({ ...get(at), pool: 'one' })
  assert.equal(sockets, 2)
})

test('refuses a certificate it does not trust, also when the environment says not to check', async (t) => {
  let requests = 0
  const at = await tls(() => requests++)
  const { client } = make()
  const f = await failure(client.send(get(at)), 'connection.tls')
  assert.equal(f.detail['phase'], 'tls')
  const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED']
  t.mock.method(process, 'emitWarning', () => undefined)
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
  try {
    await failure(client.send(get(at)), 'connection.tls')
  } finally {
    if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
    else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before
  }
  assert.equal(requests, 0)
})

test('trusts a private authority that was added, for the names of its certificate only', async () => {
  const at = await tls(() => undefined)
  const { client } = make({ trust: () => ({ current: { ca: [pem('test-ca.pem')] } }) })
  const answer = await client.send(get(at))
  assert.equal(answer.status, 200)
  assert.ok(answer.phases.tls !== undefined)
  assert.equal((await client.send(get(at.replace('127.0.0.1', 'localhost')))).status, 200)
  const other = await tls(() => undefined, { cert: pem('test-other.pem') })
  const f = await failure(client.send(get(other)), 'connection.tls')
  assert.equal(f.detail['reason'], 'ERR_TLS_CERT_ALTNAME_INVALID')
})

test('refuses a chain without a pinned key', async () => {
  const at = await tls(() => undefined)
  const key = new X509Certificate(pem('test-ca.pem')).publicKey.export({ type: 'spki', format: 'der' })
  const right = createHash('sha256').update(key).digest('base64')
  const ca = [pem('test-ca.pem')]
  const pinned = make({
    trust: (pool) => ({ current: { ca, pins: [pool === 'right' ? right : right.toLowerCase()] } }),
  })
  assert.equal((await pinned.client.send({ ...get(at), pool: 'right' })).status, 200)
  await failure(pinned.client.send({ ...get(at), pool: 'wrong' }), 'connection.tls')
})

test('refuses TLS 1.1', async () => {
  const at = await tls(() => undefined, { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' })
  const { client } = make({ trust: () => ({ current: { ca: [pem('test-ca.pem')] } }) })
  await failure(client.send(get(at)), 'connection.tls')
})

test('ends what is under way as cancelled when it closes, and then refuses', async () => {
  let arrived = (): void => undefined
  const at = await tcp((socket) => socket.on('data', () => arrived()))
  const { client, clock } = make({ sockets: 1 })
  const sent = failure(client.send(get(at)), 'cancelled')
  const waits = failure(client.send(get(at)), 'cancelled')
  await new Promise<void>((resolve) => (arrived = resolve))
  await client.close()
  await client.close()
  assert.equal((await sent).detail['sent'], true)
  assert.equal((await waits).detail['sent'], false)
  await failure(client.send(get(at)), 'cancelled')
  assert.equal(clock.armed, 0)
})

test('leaves no timer when nothing is under way', async () => {
  const at = await serve((_, response) => response.end())
  const { client, clock } = make()
  await Promise.all([client.send(get(at)), client.send(get(at))])
  assert.equal(clock.armed, 0)
})

function make(options: Partial<HttpClientOptions> = {}): { client: HttpClient; clock: VirtualClock } {
  const clock = virtualClock()
  const client = httpClient({ clock, ...options })
  open.push(() => client.close())
  return { client, clock }
}

function get(at: string): HttpRequest {
  return {
    method: 'GET',
    origin: at,
    path: '/x?y=1',
    headers: { accept: 'application/json' },
    pool: 'payments',
    timeouts: { connect: 3_000, firstByte: 10_000, total: 30_000 },
    maxBytes: 1_000_000,
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

async function serve(listener: RequestListener): Promise<string> {
  const server = createHttp({ keepAlive: true }, listener)
  const at = await listening(server)
  open.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  )
  return at
}

const accepts = new Map<string, Promise<unknown>>()
const accepted = async (at: string): Promise<void> => void (await accepts.get(at))

async function tcp(connection: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createTcp((socket) => {
    sockets.add(socket.on('error', () => undefined))
    connection(socket)
  })
  const at = await listening(server)
  accepts.set(at, new Promise((resolve) => server.once('connection', resolve)))
  open.push(
    () =>
      new Promise((resolve) => {
        accepts.delete(at)
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  )
  return at
}

async function tls(request: () => void, options: Parameters<typeof createTls>[0] = {}): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createTls(
    { key: pem('test-server.key.pem'), cert: pem('test-server.pem') + pem('test-ca.pem'), ...options },
    (socket) => {
      sockets.add(socket.on('error', () => undefined))
      socket.on('data', () => {
        request()
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
      })
    },
  )
  server.on('tlsClientError', () => undefined)
  const at = await listening(server)
  open.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  )
  return at.replace('http:', 'https:')
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function pem(name: string): string {
  return readFileSync(new URL(`./fixtures/${name}`, import.meta.url), 'utf8')
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

function pick(detail: Readonly<Record<string, unknown>>, ...names: string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((n) => [n, detail[n]]))
}

async function pending(work: Promise<unknown>): Promise<boolean> {
  return Promise.race([work.then(() => false), settle().then(() => true)])
}

/** Turns of the event loop until what the sockets had under way has arrived. */
async function quiet(): Promise<void> {
  for (let i = 0; i < 20; i++) await settle()
}

async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 10_000 && !done(); i++) await settle()
  assert.ok(done())
}
