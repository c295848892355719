import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { parseNetwork } from '#kernel/address.ts'
import { isFault } from '#kernel/fault.ts'
import type { HttpRequest } from '#kernel/http.ts'
import { virtualClock } from '#testing/clock.ts'
import { httpClient, type HttpClientOptions } from './client.ts'

/** Counts everyone who knocks, wherever on this machine that is. */
async function canary(t: TestContext, answer = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok') {
  const seen = { connections: 0, requests: 0 }
  const server = createServer((socket) => {
    seen.connections++
    socket.on('error', () => undefined)
    socket.on('data', () => {
      seen.requests++
      socket.write(answer)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, resolve))
  t.after(() => server.close())
  return { seen, port: (server.address() as AddressInfo).port }
}

function make(t: TestContext, options: Partial<HttpClientOptions> = {}) {
  const client = httpClient({ clock: virtualClock(), ...options })
  t.after(() => client.close())
  const send = (origin: string, more: Partial<HttpRequest> = {}) =>
    client.send({
      method: 'GET',
      origin,
      path: '/',
      headers: {},
      pool: 'deliveries',
      timeouts: { connect: 3_000, firstByte: 10_000, total: 30_000 },
      maxBytes: 1_000,
      target: 'data',
      ...more,
    })
  return { client, send }
}

const refused = (e: unknown): boolean => isFault(e, 'connection.target') && e.kind === 'rejected'

test('no spelling of this machine or its neighbours gets a connection', async (t) => {
  const { seen, port } = await canary(t)
  const { send } = make(t)
  for (const host of [
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0x7f.1',
    '0177.0.0.1',
    '017700000001',
    '0',
    '0.0.0.0',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[0:0:0:0:0:ffff:7f00:0001]',
    '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]',
    '[2001:0:7f00:1::]',
    '[fe80::1]',
    '[fd00:ec2::254]',
    '169.254.169.254',
    '10.0.0.1',
    '１２７.0.0.1',
    '127。0。0。1',
    'localhost',
    'LOCALHOST',
  ]) {
    for (const scheme of ['http', 'https']) {
      const written = `${scheme}://${host}:${port}`
      // As somebody sends it who believes what was typed in, and as a URL prints it.
      await assert.rejects(send(written), refused, written)
      const url = URL.parse(written)
      if (url) await assert.rejects(send(url.origin), refused, url.origin)
    }
  }
  assert.deepEqual(seen, { connections: 0, requests: 0 })
})

test('other schemes, users, paths and sockets of the file system are no origins', async (t) => {
  const { seen, port } = await canary(t)
  const { send } = make(t, { resolve: () => Promise.resolve(['127.0.0.1']) })
  for (const origin of [
    `ftp://public.test:${port}`,
    'file:///etc/passwd',
    `gopher://public.test:${port}`,
    'data:text/plain,x',
    'unix:/var/run/docker.sock',
    'http://unix:/var/run/docker.sock',
    `http://public.test@127.0.0.1:${port}`,
    `http://user:password@public.test:${port}`,
    `http://public.test:${port}/path`,
    `http://public.test:${port}#@127.0.0.1`,
    `http://127.0.0.1:${port}\\@public.test`,
    `//127.0.0.1:${port}`,
    '',
    'null',
  ]) {
    await assert.rejects(send(origin), refused, origin)
  }
  assert.deepEqual(seen, { connections: 0, requests: 0 })
})

test('a name is judged by what it resolves to, all of it, with every socket anew', async (t) => {
  const { seen, port } = await canary(t)
  for (const addresses of [
    ['127.0.0.1'],
    ['::1'],
    ['::ffff:127.0.0.1'],
    ['10.1.2.3'],
    ['fd12:3456::1'],
    ['8.8.8.8', '127.0.0.1'],
    ['2606:4700::1', '::1'],
    ['fe80::1%lo'],
    ['not an address'],
  ]) {
    const { send } = make(t, { resolve: () => Promise.resolve(addresses) })
    for (const scheme of ['http', 'https']) {
      await assert.rejects(send(`${scheme}://public.test:${port}`), refused, addresses.join())
    }
  }
  const { send } = make(t, { resolve: () => Promise.resolve([]) })
  await assert.rejects(send(`http://public.test:${port}`), (e) => isFault(e, 'connection.unreachable'))
  assert.deepEqual(seen, { connections: 0, requests: 0 })
})

test('a name that is public when it is looked at and private a moment later gets no connection at home', async (t) => {
  const { seen, port } = await canary(t)
  // This machine as somebody else's: what the name says first is allowed, what it says afterwards is not.
  let asked = 0
  const { send } = make(t, {
    privateTargets: [parseNetwork('127.0.0.2/32')!],
    resolve: () => Promise.resolve(asked++ === 0 ? ['127.0.0.2'] : ['127.0.0.1']),
  })
  assert.equal((await send(`http://flipping.test:${port}`, { headers: { connection: 'close' } })).status, 200)
  assert.deepEqual(seen, { connections: 1, requests: 1 })
  for (let i = 0; i < 3; i++) {
    // Another pool, so that no socket of before is there to be used.
    await assert.rejects(send(`http://flipping.test:${port}`, { pool: `other ${i}` }), refused)
  }
  assert.equal(asked, 4)
  assert.deepEqual(seen, { connections: 1, requests: 1 })
})

test('a socket that a definition opened is not lent to a target out of data', async (t) => {
  const { seen, port } = await canary(t)
  const { send } = make(t)
  const origin = `http://127.0.0.1:${port}`
  assert.equal((await send(origin, { target: 'declared' })).status, 200)
  await assert.rejects(send(origin), refused)
  assert.deepEqual(seen, { connections: 1, requests: 1 })
})

test('an allowed network is reached, and a redirect of its hosts is an answer like others', async (t) => {
  const home = await canary(t)
  const location = `http://127.0.0.1:${home.port}/`
  const { seen, port } = await canary(t, `HTTP/1.1 302 Found\r\nlocation: ${location}\r\ncontent-length: 0\r\n\r\n`)
  const { send } = make(t, {
    privateTargets: [parseNetwork('127.0.0.2/32')!],
    resolve: () => Promise.resolve(['127.0.0.2']),
  })
  for (const origin of [`http://127.0.0.2:${port}`, `http://inside.test:${port}`]) {
    const answer = await send(origin)
    assert.deepEqual([answer.status, answer.headers['location']], [302, location])
  }
  await assert.rejects(send(new URL(location).origin), refused, 'whoever followed it would decide again')
  assert.equal(seen.requests, 2)
  assert.deepEqual(home.seen, { connections: 0, requests: 0 })
})

test('any number of origins out of data keeps a bounded number of pools', async (t) => {
  const { seen, port } = await canary(t)
  const { client, send } = make(t, {
    privateTargets: [parseNetwork('127.0.0.2/32')!],
    resolve: () => Promise.resolve(['127.0.0.2']),
  })
  for (let i = 0; i < 1_100; i++) await send(`http://host-${i}.test:${port}`, { headers: { connection: 'close' } })
  assert.equal(seen.requests, 1_100)
  // One of those that made room is looked up and opened again.
  assert.equal((await send(`http://host-0.test:${port}`)).status, 200)
  await client.close()
})
