import assert from 'node:assert/strict'
import { createServer as createHttp, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTcp, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, test } from 'node:test'
import { isFault, type Fault } from '#kernel/fault.ts'
import type { HttpStream, HttpStreamRequest, Phases } from '#kernel/http.ts'
import { settle, virtualClock, type VirtualClock } from '#testing/clock.ts'
import { httpClient, type HttpClient } from './client.ts'

const open: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

test('hands the answer over at its head, then chunk by chunk as they come, and uses the socket again', async () => {
  let out: ServerResponse | undefined
  let sockets = 0
  const at = await serve(
    (_, response) => {
      out = response.writeHead(200, { 'X-Kind': 'slow' })
      response.flushHeaders()
    },
    () => sockets++,
  )
  const { client, clock } = make()
  const stream = await client.stream(get(at))
  assert.deepEqual([stream.status, stream.headers['x-kind']], [200, 'slow'])
  assert.deepEqual(Object.keys(stream.phases).sort(), ['connect', 'firstByte', 'total'])
  for (const part of ['one', 'two']) {
    const next = stream.chunks.next()
    out!.write(part)
    assert.equal(text((await next).value), part)
  }
  const last = stream.chunks.next()
  out!.end()
  assert.equal((await last).done, true)
  assert.equal((await stream.chunks.next()).done, true)
  assert.equal(clock.armed, 0)
  const again = client.stream(get(at))
  await until(() => !out!.writableEnded)
  out!.end('!')
  assert.equal(await all(await again), '!')
  assert.equal(sockets, 1)
})

test('a slow reader slows the sender: beyond what fits on the way nothing more is taken', async () => {
  const total = 64 * 1_048_576
  let written = 0
  const at = await serve((_, response) => {
    const block = new Uint8Array(65_536)
    const more = (): void => {
      while (written < total) {
        written += block.byteLength
        if (!response.write(block)) return void response.once('drain', more)
      }
      response.end()
    }
    more()
  })
  const { client } = make()
  const stream = await client.stream(get(at))
  await stream.chunks.next()
  let before = -1
  for (let same = 0; same < 5; before = written) {
    await quiet()
    same = before === written ? same + 1 : 0
  }
  assert.ok(written < total / 2, `${written} bytes were taken without a reader`)
  let read = 0
  for await (const chunk of stream.chunks) read += chunk.byteLength
  assert.ok(read > total - 1_048_576)
  assert.equal(written, total)
})

test('says cut, after what had come, when the connection ends before the body', async () => {
  for (const head of ['transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n', 'content-length: 9\r\n\r\nhello']) {
    const at = await tcp((socket) => socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\n${head}`)))
    const { client, clock } = make()
    const stream = await client.stream(get(at))
    await quiet()
    assert.equal(text((await stream.chunks.next()).value), 'hello')
    const f = await failure(stream.chunks.next(), 'connection.cut')
    assert.deepEqual([f.detail['phase'], f.detail['status']], ['body', 200])
    assert.ok((f.detail['phases'] as Phases).total >= 0)
    assert.equal((await stream.chunks.next()).done, true, 'it is told once')
    assert.equal(clock.armed, 0)
  }
})

test('says response when the body is not HTTP', async () => {
  const at = await tcp((socket) =>
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n')),
  )
  const { client } = make()
  const stream = await client.stream(get(at))
  const f = await failure(stream.chunks.next(), 'connection.response')
  assert.equal(f.detail['reason'], 'protocol')
})

test('times out when a reader has waited for `idle`, and not because the reader itself is slow', async () => {
  let out: ServerResponse | undefined
  const at = await serve((_, response) => {
    out = response.writeHead(200)
    out.write('1')
  })
  const { client, clock } = make()
  const stream = await client.stream(get(at))
  await stream.chunks.next()
  await clock.advance(3_600_000)
  const next = stream.chunks.next()
  await clock.advance(59_000)
  out!.write('2')
  assert.equal(text((await next).value), '2')
  const silent = failure(stream.chunks.next(), 'connection.timeout')
  await clock.advance(59_999)
  assert.equal(await pending(silent), true)
  await clock.advance(1)
  assert.deepEqual([(await silent).detail['phase'], (await silent).detail['status']], ['body', 200])
  await until(() => out!.destroyed)
  assert.equal(clock.armed, 0)
})

test('ends at `whole`, however lively it is; the head has the total of any request', async () => {
  let out: ServerResponse | undefined
  const at = await serve((_, response) => {
    out = response.writeHead(200)
    out.write('1')
  })
  const { client, clock } = make()
  const stream = await client.stream({ ...get(at), whole: 100_000 })
  for (let i = 0; i < 2; i++) {
    await clock.advance(40_000)
    assert.equal((await stream.chunks.next()).done, false)
    out!.write('.')
  }
  await stream.chunks.next()
  const f = failure(stream.chunks.next(), 'connection.timeout')
  await clock.advance(20_000)
  await f
  const deaf = await tcp(() => undefined)
  const never = failure(client.stream(get(deaf)), 'connection.timeout')
  await until(() => clock.armed > 0)
  await quiet()
  await clock.advance(10_000)
  assert.equal((await never).detail['phase'], 'first-byte')
})

test('a reader that stops destroys the socket, and at most once', async () => {
  let closed = 0
  const at = await serve((_, response) => {
    response.on('close', () => closed++)
    response.writeHead(200).write('1')
  })
  const { client, clock } = make()
  const stream = await client.stream(get(at))
  for await (const chunk of stream.chunks) {
    assert.equal(text(chunk), '1')
    break
  }
  await stream.chunks.return?.()
  await until(() => closed === 1)
  assert.equal((await stream.chunks.next()).done, true)
  assert.equal(clock.armed, 0)
})

test('an abort destroys the socket, and the reader gets cancelled rather than what is left', async () => {
  let closed = false
  const at = await serve((_, response) => {
    response.on('close', () => (closed = true))
    response.writeHead(200).write('1')
  })
  const { client } = make()
  const stop = new AbortController()
  const stream = await client.stream({ ...get(at), signal: stop.signal })
  await quiet()
  stop.abort()
  await failure(stream.chunks.next(), 'cancelled')
  await until(() => closed)
  await failure(client.stream({ ...get(at), signal: stop.signal }), 'cancelled')
})

test('closing the client ends streams as cancelled', async () => {
  const at = await serve((_, response) => void response.writeHead(200).write('1'))
  const { client } = make()
  const stream = await client.stream(get(at))
  await stream.chunks.next()
  const waits = failure(stream.chunks.next(), 'cancelled')
  await client.close()
  await waits
  await failure(client.stream(get(at)), 'cancelled')
})

test('a second reader is refused, the first is not disturbed', async () => {
  let out: ServerResponse | undefined
  const at = await serve((_, response) => {
    out = response.writeHead(200)
    out.flushHeaders()
  })
  const { client } = make()
  const stream = await client.stream(get(at))
  const first = stream.chunks.next()
  await failure(stream.chunks.next(), 'bug')
  out!.end('x')
  assert.equal(text((await first).value), 'x')
})

test('gives what refuses, and what has no body, like any other answer', async () => {
  const at = await serve((request, response) => {
    if (request.url === '/none') response.writeHead(204).end()
    else response.writeHead(503, { 'retry-after': '1' }).end('busy')
  })
  const { client } = make()
  const refused = await client.stream(get(at))
  assert.deepEqual([refused.status, refused.headers['retry-after'], await all(refused)], [503, '1', 'busy'])
  const none = await client.stream({ ...get(at), path: '/none' })
  assert.deepEqual([none.status, await all(none)], [204, ''])
})

function make(): { client: HttpClient; clock: VirtualClock } {
  const clock = virtualClock()
  const client = httpClient({ clock })
  open.push(() => client.close())
  return { client, clock }
}

function get(at: string): HttpStreamRequest {
  return {
    method: 'GET',
    origin: at,
    path: '/',
    headers: {},
    pool: 'feed',
    timeouts: { connect: 3_000, firstByte: 10_000, total: 30_000 },
    idle: 60_000,
  }
}

async function all(stream: HttpStream): Promise<string> {
  let out = ''
  for await (const chunk of stream.chunks) out += text(chunk)
  return out
}

async function failure(work: Promise<unknown>, code: string): Promise<Fault> {
  const error: unknown = await work.then(
    () => assert.fail(`expected ${code}`),
    (e: unknown) => e,
  )
  assert.ok(isFault(error, code), `${code} expected: ${String(error)} ${JSON.stringify(error)}`)
  return error
}

async function serve(listener: RequestListener, connected = (): unknown => undefined): Promise<string> {
  const server = createHttp({ keepAlive: true }, listener).on('connection', connected)
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

async function tcp(connection: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createTcp((socket) => {
    sockets.add(socket.on('error', () => undefined))
    connection(socket)
  })
  const at = await listening(server)
  open.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  )
  return at
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function text(bytes: Uint8Array | void): string {
  return new TextDecoder().decode(bytes ?? new Uint8Array(0))
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
