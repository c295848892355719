import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { isFault } from '#kernel/fault.ts'
import { faultProxy, type FaultProxy } from './proxy.ts'

/** One end of a connection: what it has received, what has become of it, and ways to wait for both. */
class End {
  readonly socket: Socket
  received = ''
  /** Sizes of what was read at once. */
  readonly reads: number[] = []
  ended = false
  error: string | undefined
  readonly closed: Promise<unknown>
  #look: () => void = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (d: Buffer) => {
      this.received += d.toString('latin1')
      this.reads.push(d.length)
      this.#look()
    })
    socket.on('end', () => {
      this.ended = true
      this.#look()
    })
    socket.on('error', (e: NodeJS.ErrnoException) => (this.error = e.code))
    this.closed = new Promise((resolve) => socket.once('close', resolve))
  }

  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#look = () => {
        if (holds()) resolve()
      }
      this.#look()
    })
  }
}

type World = {
  readonly proxy: FaultProxy
  readonly pair: () => Promise<{ readonly client: End; readonly target: End }>
}

/** A proxy in front of a server, and pairs of ends: a client of the proxy and what the server was given for it. */
async function world(t: TestContext, seed = 1): Promise<World> {
  const sockets: Socket[] = []
  const waiting: ((socket: Socket) => void)[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket)
    waiting.shift()?.(socket)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const proxy = await faultProxy({ target: { port: (server.address() as AddressInfo).port }, seed })
  t.after(async () => {
    await proxy[Symbol.asyncDispose]()
    for (const s of sockets) s.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return {
    proxy,
    async pair() {
      const accepted = new Promise<Socket>((resolve) => waiting.push(resolve))
      const client = new End(connect({ port: proxy.port, allowHalfOpen: true }))
      sockets.push(client.socket)
      return { client, target: new End(await accepted) }
    },
  }
}

test('passes bytes and the ends of streams in both directions, and counts them', async (t) => {
  const { proxy, pair } = await world(t)
  const { client, target } = await pair()
  client.socket.end('question')
  await target.until(() => target.ended)
  target.socket.end('and answer')
  await client.until(() => client.ended)
  await Promise.all([client.closed, target.closed])
  assert.equal(target.received, 'question')
  assert.equal(client.received, 'and answer')
  const { connections, up, down, swallowed } = proxy.counts
  assert.deepEqual({ connections, up, down, swallowed }, { connections: 1, up: 8, down: 10, swallowed: 0 })
})

test('a slow and sliced wire loses, repeats and reorders nothing', async (t) => {
  const { proxy, pair } = await world(t)
  const { client, target } = await pair()
  proxy.inject('up', { latency: '3ms', jitter: '5ms', slice: { bytes: 7, pause: '1ms' }, bytesPerSecond: 100_000 })
  const sent = Array.from({ length: 100 }, (_, i) => `<${i}>`)
  for (const s of sent) client.socket.write(s)
  client.socket.end()
  await target.until(() => target.ended)
  assert.equal(target.received, sent.join(''))
  assert.ok(Math.max(...target.reads) < sent.join('').length)
})

test('faults of one direction leave the other one alone', async (t) => {
  const { proxy, pair } = await world(t)
  const { client, target } = await pair()
  proxy.inject('down', { bytesPerSecond: 0 })
  target.socket.write('held')
  client.socket.write('passes')
  await target.until(() => target.received === 'passes')
  assert.equal(client.received, '')
  await proxy.heal()
  await client.until(() => client.received === 'held')
})

test('holds a bounded number of bytes: a stalled wire stops its sender', async (t) => {
  const { proxy, pair } = await world(t)
  const { client, target } = await pair()
  proxy.inject('up', { bytesPerSecond: 0 })
  const megabytes = 64
  const chunk = Buffer.alloc(1024 * 1024, 'x')
  let written = 0
  // A socket that takes no more says so once its kernel's buffers are full; what lies in them is not ours.
  for (; written < megabytes && client.socket.writableLength < 8 * chunk.length; written++) {
    client.socket.write(chunk)
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  assert.ok(client.socket.writableLength >= 8 * chunk.length)
  assert.equal(proxy.counts.up, 0)
  await proxy.heal()
  client.socket.end()
  await target.until(() => target.ended)
  assert.equal(target.received.length, written * chunk.length)
})

test('a black hole swallows bytes and the end of the stream, and nobody is told', async (t) => {
  const { proxy, pair } = await world(t)
  const { client, target } = await pair()
  proxy.inject('up', { blackHole: true })
  client.socket.end('lost')
  // The other direction shows that the wire is up, and that what was sent before has been read.
  target.socket.write('are you there?')
  await client.until(() => client.received === 'are you there?')
  while (proxy.counts.swallowed < 4) await new Promise<void>((resolve) => setImmediate(resolve))
  await proxy.heal()
  target.socket.write(' still?')
  await client.until(() => client.received.endsWith('still?'))
  assert.deepEqual([target.received, target.ended, target.error], ['', false, undefined])
  const after = await pair()
  after.client.socket.write('whole')
  await after.target.until(() => after.target.received === 'whole')
})

test('a black hole hides that one side has reset the connection', async (t) => {
  const { proxy, pair } = await world(t)
  const { client, target } = await pair()
  client.socket.write('hello')
  await target.until(() => target.received === 'hello')
  proxy.inject('up', { blackHole: true })
  client.socket.resetAndDestroy()
  await client.closed
  // Another connection is served meanwhile; this one has heard nothing.
  await pair()
  assert.deepEqual([target.ended, target.error, target.socket.destroyed], [false, undefined, false])
})

test('resets a connection after so many bytes: they arrive, and nothing behind them', async (t) => {
  const { proxy, pair } = await world(t)
  const { client, target } = await pair()
  proxy.inject('down', { end: { how: 'reset', after: 5 } })
  target.socket.write('1234')
  await client.until(() => client.received === '1234')
  target.socket.write('5678')
  await Promise.all([client.closed, target.closed])
  assert.equal(client.received, '12345')
  assert.deepEqual([client.error, target.error], ['ECONNRESET', 'ECONNRESET'])
  assert.equal(proxy.counts.ended.reset, 1)
})

test('resets what is open at once, and takes new connections', async (t) => {
  const { proxy, pair } = await world(t)
  const { client, target } = await pair()
  proxy.reset()
  await Promise.all([client.closed, target.closed])
  assert.deepEqual([client.error, target.error], ['ECONNRESET', 'ECONNRESET'])
  const next = await pair()
  next.client.socket.write('again')
  await next.target.until(() => next.target.received === 'again')
  assert.deepEqual([proxy.counts.connections, proxy.counts.open], [2, 1])
})

test('closes both ways after so many bytes, as a server does that has had enough', async (t) => {
  const { proxy, pair } = await world(t)
  const { client, target } = await pair()
  proxy.inject('up', { end: { how: 'close', after: 3 } })
  client.socket.write('12345')
  await Promise.all([client.until(() => client.ended), target.until(() => target.ended)])
  assert.equal(target.received, '123')
  assert.deepEqual([client.error, target.error], [undefined, undefined])
})

test('a half-closed wire ends one direction, the other one goes on', async (t) => {
  const { proxy, pair } = await world(t)
  const { client, target } = await pair()
  proxy.inject('up', { end: { how: 'half-close', after: 0 } })
  await target.until(() => target.ended)
  target.socket.write('can you hear me?')
  await client.until(() => client.received === 'can you hear me?')
  assert.equal(client.ended, false)
  assert.equal(proxy.counts.ended['half-close'], 1)
})

test('refuses new connections while open ones go on, and takes them again on the same port', async (t) => {
  const { proxy, pair } = await world(t)
  const { client, target } = await pair()
  proxy.refuse()
  const refused = connect(proxy.port)
  const [e] = (await once(refused, 'error')) as [NodeJS.ErrnoException]
  assert.equal(e.code, 'ECONNREFUSED')
  client.socket.write('still')
  await target.until(() => target.received === 'still')
  await proxy.heal()
  const next = await pair()
  next.client.socket.write('again')
  await next.target.until(() => next.target.received === 'again')
})

test('the client of a target that cannot be reached is reset', async () => {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  await using proxy = await faultProxy({ target: { port } })
  const client = new End(connect(proxy.port))
  await client.closed
  assert.equal(client.error, 'ECONNRESET')
})

test('the same seed cuts the same pieces', async (t) => {
  const pieces = async (seed: number): Promise<number> => {
    const { proxy, pair } = await world(t, seed)
    const { client, target } = await pair()
    proxy.inject('up', { slice: { bytes: 9, pause: '0ms' } })
    client.socket.end('x'.repeat(600))
    await target.until(() => target.ended)
    assert.equal(target.received.length, 600)
    return proxy.counts.pieces
  }
  const first = await pieces(7)
  assert.ok(first > 600 / 9)
  assert.equal(await pieces(7), first)
  assert.notEqual(await pieces(8), first)
})

test('refuses options that it does not know or cannot obey', async (t) => {
  const { proxy } = await world(t)
  const wrong: readonly unknown[] = [
    { latencyy: '1s' },
    { latency: 5 },
    { bytesPerSecond: -1 },
    { slice: { bytes: 0, pause: '1ms' } },
    { end: { how: 'kill', after: 0 } },
  ]
  for (const faults of wrong)
    assert.throws(
      () => proxy.inject('up', faults as object),
      (e) => isFault(e, 'config.option'),
    )
  assert.throws(
    () => proxy.inject('sideways' as 'up', {}),
    (e) => isFault(e, 'config.option'),
  )
  await assert.rejects(faultProxy({ target: {} as { port: number } }), (e) => isFault(e, 'config.option'))
})
