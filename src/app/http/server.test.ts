import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { fault, isFault } from '#kernel/fault.ts'
import type { Door, Inbound, Reply } from '#kernel/http.ts'
import { settle, virtualClock } from '#testing/clock.ts'
import type { HttpLimits } from './gate.ts'
import { listen, refusal } from './server.ts'

type Count = [door: string, status: number, code: string]

function door(handle: (request: Inbound) => Promise<Reply>, part: Partial<Door> = {}): Door {
  return { name: 'hook', methods: ['POST'], path: '/hook', maxBytes: 1_000, handle, ...part }
}

const ok: Reply = { status: 200 }

/** A server on a free port with what it counted and logged; everything is closed by `await using`. */
async function setup(doors: readonly Door[], limits: Partial<HttpLimits> = {}) {
  const clock = virtualClock()
  const counts: Count[] = []
  const logged: unknown[] = []
  const waiting: { enough: number; wake: () => void }[] = []
  const server = await listen(doors, {
    port: 0,
    clock,
    limits,
    log: { write: (...line) => void logged.push(line) },
    count(...one) {
      counts.push(one)
      for (const w of waiting) if (counts.length >= w.enough) w.wake()
    },
  })
  const sockets: Socket[] = []
  const open = async (): Promise<Socket> => {
    const socket = connect(server.port, '127.0.0.1')
    socket.on('error', () => undefined)
    sockets.push(socket)
    await once(socket, 'connect')
    return socket
  }
  return {
    clock,
    counts,
    logged,
    server,
    open,
    counted: (enough: number) =>
      new Promise<void>((wake) => {
        if (counts.length >= enough) wake()
        else waiting.push({ enough, wake })
      }),
    /** Sends bytes and gives all that comes back until the server closes. */
    async raw(bytes: string | Uint8Array, end = false): Promise<string> {
      const socket = await open()
      const all = received(socket)
      if (end) socket.end(bytes)
      else socket.write(bytes)
      return all
    },
    async [Symbol.asyncDispose]() {
      for (const s of sockets) s.destroy()
      await server.close(0)
      await clock.advance(0)
    },
  }
}

async function received(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => (text += chunk))
  await once(socket, 'close')
  return text
}

const post = (body: string, headers = '', path = '/hook'): string =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`

const statusOf = (text: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0)
const codeOf = (text: string): string | undefined => /"code":"([^"]+)"/.exec(text)?.[1]

describe('the server', () => {
  it('hands a door method, path, query, headers and the exact bytes, and sends its reply', async () => {
    const seen: Inbound[] = []
    await using t = await setup([
      door(async (request) => {
        seen.push(request)
        return { status: 202, headers: { 'x-reply': 'yes' }, body: 'gruß' }
      }),
    ])
    const text = await t.raw(post('a\u0000b', 'X-Two: 1\r\nx-two: 2\r\n__proto__: x\r\n', '/hook?a=%20b'))
    assert.match(text, /^HTTP\/1\.1 202 Accepted\r\n/)
    assert.match(text, /x-reply: yes\r\n/)
    assert.match(text, /content-length: 5\r\n/)
    const [request] = seen
    assert.deepEqual([request!.method, request!.path, request!.query], ['POST', '/hook', 'a=%20b'])
    assert.equal(request!.headers['x-two'], '1, 2')
    assert.equal(Object.getPrototypeOf(request!.headers), null)
    assert.equal(Buffer.from(request!.body).toString('latin1'), 'a\u0000b')
    assert.deepEqual(t.counts, [['hook', 202, '']])
    assert.equal(t.clock.armed, 0)
  })
  it('puts together a body that comes in pieces, announced or chunked', async () => {
    const bodies: string[] = []
    await using t = await setup([
      door(async ({ body }) => {
        bodies.push(Buffer.from(body).toString())
        return ok
      }),
    ])
    const socket = await t.open()
    const all = received(socket)
    socket.write('POST /hook HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 6\r\n\r\nab')
    await settle()
    socket.write('cd')
    await settle()
    socket.write('ef')
    assert.equal(statusOf(await all), 200)
    const chunked = 'transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n'
    assert.equal(statusOf(await t.raw(`POST /hook HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${chunked}`)), 200)
    assert.deepEqual(bodies, ['abcdef', 'abcdef'])
  })
  it('keeps a connection for further requests, in order when they are pipelined', async () => {
    let n = 0
    await using t = await setup([door(async () => ({ status: 200, body: `reply ${++n}` }))])
    const one = 'POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi'
    const text = await t.raw(one + one + post('hi'))
    assert.deepEqual(text.match(/reply \d/g), ['reply 1', 'reply 2', 'reply 3'])
  })
  it('answers 404 for what has no door and 405 with Allow for another method, TRACE and overrides included', async () => {
    await using t = await setup([door(async () => ok), door(async () => ok, { name: 'read', methods: ['GET'] })])
    for (const path of ['/', '/hook/', '/HOOK', '/hook%20', '/%68ook', '/hook/../hook', '//hook', '/hook;a', '*']) {
      assert.equal(statusOf(await t.raw(post('', '', path))), 404, path)
    }
    for (const method of ['TRACE', 'PUT', 'DELETE', 'OPTIONS', 'HEAD']) {
      const text = await t.raw(`${method} /hook HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
      assert.equal(statusOf(text), 405, method)
      assert.match(text, /allow: POST, GET\r\n/)
    }
    const tunnel = await t.raw('CONNECT db:5432 HTTP/1.1\r\nhost: x\r\n\r\n')
    assert.equal(statusOf(tunnel), 405)
    const overridden = await t.raw(
      'PUT /hook HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-http-method-override: POST\r\n\r\n',
    )
    assert.equal(statusOf(overridden), 405)
    const kept = await t.raw(
      'GET /none HTTP/1.1\r\nhost: x\r\n\r\nGET /none HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    )
    assert.equal(kept.match(/HTTP\/1\.1 404/g)!.length, 2)
  })
  it('serves a request that asks for an upgrade or an unknown expectation as the plain request it is', async () => {
    await using t = await setup([door(async () => ({ status: 200, body: 'plain' }))])
    assert.match(await t.raw(post('', 'expect: miracles\r\n')), /plain/)
    const upgrade =
      'POST /hook HTTP/1.1\r\nhost: x\r\nconnection: close, upgrade\r\nupgrade: websocket\r\ncontent-length: 0\r\n\r\n'
    assert.match(await t.raw(upgrade), /plain/)
  })
  it('refuses an announced oversize with 413 before its body, and closes', async () => {
    let handled = 0
    await using t = await setup([door(async () => (handled++, ok))])
    const text = await t.raw('POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n')
    assert.equal(statusOf(text), 413)
    assert.match(text, /connection: close\r\n/i)
    assert.equal(codeOf(text), 'input.too_large')
    assert.equal(handled, 0)
    assert.deepEqual(t.counts, [['hook', 413, 'input.too_large']])
  })
  it('does not say 100 Continue to a body that it will refuse, and does to one that it takes', async () => {
    await using t = await setup([door(async () => ok)])
    const head = (n: number): string =>
      `POST /hook HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: ${n}\r\n\r\n`
    assert.equal(statusOf(await t.raw(head(1_001))), 413)
    const socket = await t.open()
    const all = received(socket)
    socket.write(head(2))
    await once(socket, 'data')
    socket.write('hi')
    assert.match(await all, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/)
  })
  it('cuts a chunked body off at the limit, and takes one of exactly the limit', async () => {
    let size = 0
    await using t = await setup([door(async ({ body }) => ((size = body.length), ok))])
    const chunked = (n: number): string =>
      `POST /hook HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n${n.toString(16)}\r\n${'x'.repeat(n)}\r\n0\r\n\r\n`
    assert.equal(statusOf(await t.raw(chunked(1_001))), 413)
    assert.equal(size, 0)
    assert.equal(statusOf(await t.raw(chunked(1_000))), 200)
    assert.equal(size, 1_000)
  })
  it('holds no more of all bodies together than its limit, and recovers', async () => {
    await using t = await setup([door(async () => ok, { maxBytes: 1_000 })], { held: 1_500 })
    const slow = await t.open()
    slow.write('POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n')
    slow.write('x'.repeat(900))
    await settle()
    const text = await t.raw(post('x'.repeat(900)))
    assert.equal(statusOf(text), 503)
    assert.match(text, /retry-after: 5\r\n/)
    assert.equal(codeOf(text), 'app.overloaded')
    slow.destroy()
    await t.counted(2)
    assert.equal(statusOf(await t.raw(post('x'.repeat(900)))), 200)
  })
  it('refuses every content coding unread, so a compressed bomb is never unpacked', async () => {
    let handled = 0
    await using t = await setup([door(async () => (handled++, ok))])
    for (const coding of ['gzip', 'br', 'zstd', 'deflate', 'gzip, gzip', 'identity, gzip']) {
      const text = await t.raw(post('xx', `content-encoding: ${coding}\r\n`))
      assert.deepEqual([statusOf(text), codeOf(text)], [415, 'input.encoding'], coding)
    }
    assert.equal(handled, 0)
    assert.equal(statusOf(await t.raw(post('xx', 'content-encoding: Identity\r\n'))), 200)
  })
  it('answers 400 to a body that ends before its length, and counts it once, also when the caller is gone', async () => {
    let handled = 0
    await using t = await setup([door(async () => (handled++, ok))])
    const text = await t.raw('POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc', true)
    assert.deepEqual([statusOf(text), codeOf(text)], [400, 'input.truncated'])
    const cut = await t.open()
    cut.write('POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc')
    await settle()
    cut.resetAndDestroy()
    await t.counted(2)
    assert.equal(handled, 0)
    assert.deepEqual(t.counts, [
      ['hook', 400, 'input.truncated'],
      ['hook', 400, 'input.truncated'],
    ])
    assert.equal(t.clock.armed, 0)
  })
  it('refuses what is not HTTP/1.1 to the letter and closes: one request in is at most one request handled', async () => {
    let handled = 0
    await using t = await setup([door(async () => (handled++, ok))])
    const smuggled = 'POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n'
    const bad: Record<string, string> = {
      'no HTTP at all': 'hello there\r\n\r\n',
      'a binary line': '\u0000\u0001\u0002\r\n\r\n',
      'no host': 'POST /hook HTTP/1.1\r\ncontent-length: 0\r\n\r\n',
      'two hosts': 'POST /hook HTTP/1.1\r\nhost: x\r\nhost: y\r\ncontent-length: 0\r\n\r\n',
      'length and chunks': `POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      'two lengths': `POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ncontent-length: 5\r\n\r\n${smuggled}`,
      'a list as length': `POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: 0, 0\r\n\r\n${smuggled}`,
      'a signed length': `POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: +5\r\n\r\nhello${smuggled}`,
      'an absurd length': 'POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999999\r\n\r\n',
      'a negative length': 'POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n',
      'chunks not last': `POST /hook HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n${smuggled}`,
      'a folded line': `POST /hook HTTP/1.1\r\nhost: x\r\nx-a: b\r\n folded\r\ncontent-length: 0\r\n\r\n${smuggled}`,
      'a bare LF': `POST /hook HTTP/1.1\nhost: x\ncontent-length: 0\n\n${smuggled}`,
      'a bare CR in a value': `POST /hook HTTP/1.1\r\nhost: x\r\nx-a: b\rc\r\ncontent-length: 0\r\n\r\n`,
      'NUL in a value': 'POST /hook HTTP/1.1\r\nhost: x\r\nx-a: b\u0000c\r\ncontent-length: 0\r\n\r\n',
      'a space before the colon': `POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length : 5\r\n\r\nhello${smuggled}`,
      'a chunk size that is none': `POST /hook HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n${smuggled}`,
      'a chunk longer than it says': `POST /hook HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabcdef\r\n0\r\n\r\n${smuggled}`,
    }
    for (const [what, bytes] of Object.entries(bad)) {
      const before = t.counts.length
      const text = await t.raw(bytes)
      assert.equal(statusOf(text), 400, what)
      assert.equal(text.match(/HTTP\/1\.1 \d/g)!.length, 1, `${what}: one reply`)
      assert.equal(t.counts.length, before + 1, `${what}: counted once`)
    }
    assert.equal(handled, 0)
  })
  it('answers a good request before closing on the rubbish behind it', async () => {
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (open = resolve))
    await using t = await setup([door(async () => (await gate, ok))])
    const socket = await t.open()
    const all = received(socket)
    socket.write('POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi')
    await settle()
    socket.write('rubbish rubbish\r\n\r\n')
    await settle()
    open()
    const text = await all
    assert.equal(statusOf(text), 200)
    assert.match(text, /connection: close/i)
    assert.deepEqual(t.counts, [['hook', 200, '']])
  })
  it('refuses too many and too long header fields with 431', async () => {
    await using t = await setup([door(async () => ok)], { headers: 10 })
    const many = Array.from({ length: 11 }, (_, i) => `x-${i}: 1\r\n`).join('')
    assert.equal(statusOf(await t.raw(post('', many))), 431)
    const long = await t.raw(`POST /hook HTTP/1.1\r\nhost: x\r\nx-a: ${'a'.repeat(20_000)}\r\n\r\n`)
    assert.deepEqual([statusOf(long), codeOf(long)], [431, 'input.headers'])
  })
})

describe('time on the server', () => {
  it('ends a body that drips in: 408 after 30 s, however many bytes came', async () => {
    await using t = await setup([door(async () => ok)])
    const socket = await t.open()
    const all = received(socket)
    socket.write('POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\na')
    for (let i = 0; i < 29; i++) {
      await settle()
      await t.clock.advance(1_000)
      socket.write('a')
    }
    await settle()
    assert.deepEqual(t.counts, [])
    await t.clock.advance(1_000)
    const text = await all
    assert.deepEqual([statusOf(text), codeOf(text)], [408, 'input.timeout'])
    assert.deepEqual(t.counts, [['hook', 408, 'input.timeout']])
  })
  it('answers 504 for a door that does not, and ignores what it says later', async () => {
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (open = resolve))
    await using t = await setup([door(async () => (await gate, ok))])
    const all = t.raw(post('hi'))
    while (t.clock.armed === 0) await settle()
    await settle()
    await t.clock.advance(30_000)
    const text = await all
    open()
    await settle()
    assert.deepEqual([statusOf(text), codeOf(text)], [504, 'app.slow'])
    assert.deepEqual(t.counts, [['hook', 504, 'app.slow']])
  })
  it('counts a caller who left before the reply as 499, once', async () => {
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (open = resolve))
    await using t = await setup([door(async () => (await gate, ok))])
    const socket = await t.open()
    socket.write(post('hi'))
    while (t.clock.armed === 0) await settle()
    await settle()
    socket.destroy()
    await t.counted(1)
    open()
    await settle()
    assert.deepEqual(t.counts, [['hook', 499, 'cancelled']])
  })
  it('says 408 for a head that does not end in time', () => {
    const errors = {
      ERR_HTTP_REQUEST_TIMEOUT: 'input.timeout',
      HPE_HEADER_OVERFLOW: 'input.headers',
      OTHER: 'input.malformed',
    }
    for (const [code, expected] of Object.entries(errors)) {
      assert.equal(refusal(Object.assign(new Error(code), { code })).code, expected)
    }
  })
})

describe('a door that fails', () => {
  it('is a problem by its fault, with Retry-After, and is not logged when the fault is not ours', async () => {
    await using t = await setup([
      door(async () => {
        throw fault('journal.full', { retryAfter: 2_000, cause: new Error('CANARY') })
      }),
    ])
    const text = await t.raw(post('hi'))
    assert.deepEqual([statusOf(text), codeOf(text)], [503, 'journal.full'])
    assert.match(text, /retry-after: 2\r\n/)
    assert.match(text, /content-type: application\/problem\+json\r\n/)
    assert.ok(!text.includes('CANARY'))
    assert.deepEqual(t.logged, [])
  })
  it('is 500 without any detail when it throws something else, and is logged, masked', async () => {
    for (const thrown of [new Error('CANARY at /etc/x'), 'CANARY', undefined, null]) {
      await using t = await setup([
        door(() => {
          throw thrown
        }),
      ])
      const text = await t.raw(post('hi'))
      assert.deepEqual([statusOf(text), codeOf(text)], [500, 'bug'])
      assert.ok(!text.includes('CANARY') && !text.includes('server.test'))
      assert.equal(t.logged.length, 1)
    }
  })
  it('is 500 when its reply has a header that HTTP cannot carry', async () => {
    await using t = await setup([door(async () => ({ status: 200, headers: { 'x-a': 'b\r\nset-cookie: c' } }))])
    const text = await t.raw(post('hi'))
    assert.equal(statusOf(text), 500)
    assert.ok(!text.includes('set-cookie'))
    assert.deepEqual(t.counts, [['hook', 500, 'bug']])
  })
})

describe('closing', () => {
  it('stops accepting, lets what is under way finish, and then is closed', async () => {
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (open = resolve))
    await using t = await setup([door(async () => (await gate, ok))])
    const all = t.raw(post('hi').replace('connection: close\r\n', ''))
    while (t.clock.armed === 0) await settle()
    await settle()
    let closed = false
    const closing = t.server.close(10_000).then(() => (closed = true))
    const refused = connect(t.server.port, '127.0.0.1')
    await assert.rejects(once(refused, 'connect'), { code: 'ECONNREFUSED' })
    assert.equal(closed, false)
    open()
    const text = await all
    assert.equal(statusOf(text), 200)
    assert.match(text, /connection: close/i)
    await closing
    assert.deepEqual(t.counts, [['hook', 200, '']])
    assert.equal(t.clock.armed, 0)
  })
  it('destroys what has not finished when the grace is over', async () => {
    await using t = await setup([door(() => new Promise<Reply>(() => undefined))])
    const all = t.raw(post('hi'))
    while (t.clock.armed === 0) await settle()
    await settle()
    const closing = t.server.close(2_000)
    assert.equal(closing, t.server.close(9_000))
    await t.clock.advance(2_000)
    await closing
    assert.equal(await all, '')
    assert.deepEqual(t.counts, [['hook', 499, 'cancelled']])
    assert.equal(t.clock.armed, 0)
  })
  it('ends idle connections at once', async () => {
    await using t = await setup([door(async () => ok)])
    const idle = await t.open()
    const silent = await t.open()
    idle.write('POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n')
    await once(idle, 'data')
    const both = Promise.all([once(idle, 'close'), once(silent, 'close')])
    idle.resume()
    silent.resume()
    await t.server.close(10_000)
    await both
  })
})

describe('starting', () => {
  const rest = { clock: virtualClock(), log: { write: () => undefined } }

  it('refuses a port that is taken, naming it and the fix', async () => {
    const other = createServer()
    other.listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as { port: number }
    await assert.rejects(listen([], { ...rest, port }), (e) => {
      assert.ok(isFault(e, 'config.port'))
      assert.match(e.message, new RegExp(`port ${port} .*taken.*--port`))
      return true
    })
    other.close()
    await once(other, 'close')
  })
  it('refuses what is no port, and an address of another machine', async () => {
    for (const port of [-1, 65_536, 1.5, Number.NaN]) {
      await assert.rejects(listen([], { ...rest, port }), (e) => isFault(e, 'config.port'))
    }
    await assert.rejects(listen([], { ...rest, port: 0, host: '192.0.2.1' }), (e) => isFault(e, 'config.port'))
  })
  it('refuses two doors of one path and method, and methods that are never served', async () => {
    const one = door(async () => ok)
    await assert.rejects(listen([one, one], { ...rest, port: 0 }), (e) => isFault(e, 'config.duplicate'))
    for (const method of ['TRACE', 'CONNECT', 'post']) {
      await assert.rejects(listen([door(async () => ok, { methods: [method] })], { ...rest, port: 0 }), (e) =>
        isFault(e, 'config.option'),
      )
    }
  })
  it('runs two servers in one process that do not know of each other', async () => {
    await using a = await setup([door(async () => ({ status: 200, body: 'server a' }))])
    await using b = await setup([door(async () => ({ status: 200, body: 'server b' }))])
    assert.notEqual(a.server.url, b.server.url)
    assert.match(await a.raw(post('')), /server a/)
    await a.server.close()
    assert.match(await b.raw(post('')), /server b/)
    assert.deepEqual([a.counts.length, b.counts.length], [1, 1])
  })
})
