import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { connection, fairlead, isFault } from 'fairlead'
import { seededRandom } from '#testing/random.ts'

/** Answers, and closes a kept socket as the next request arrives, unread: one in five, as an idle limit at their side does. */
async function upstream() {
  const random = seededRandom(3)
  const sockets = new Set<Socket>()
  const counts = { answered: 0, closed: 0 }
  const keys = new Map<string, number>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    let used = false
    socket.on('data', (data) => {
      if (used && random.float() < 0.2) {
        counts.closed++
        return void socket.destroy()
      }
      used = true
      counts.answered++
      const text = String(data)
      const key = /idempotency-key: (\S+)/.exec(text)?.[1]
      if (key !== undefined) keys.set(key, (keys.get(key) ?? 0) + 1)
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    counts,
    keys,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test('sockets that they close at reuse cost calls that may be repeated nothing; others are not repeated, and say so', async () => {
  await using server = await upstream()
  const api = connection('api', {
    baseUrl: `http://127.0.0.1:${server.port}`,
    retry: false,
    breaker: { failures: 'off', consecutive: 10_000, rate: 'off' },
    operations: {
      read: { http: 'GET /things' },
      keyed: { http: 'POST /keyed', idempotent: 'key' },
      plain: { http: 'POST /plain' },
    },
  })
  await using app = await fairlead({ use: [api], log: { write: () => {} } })
  const spurious: string[] = []
  for (let i = 0; i < 1_000; i++) {
    await app.call(api.read, {}).catch((e: unknown) => spurious.push(String(e)))
    await app.call(api.keyed, {}).catch((e: unknown) => spurious.push(String(e)))
  }
  assert.deepEqual(spurious, [])
  assert.ok(server.counts.closed > 200, `only ${server.counts.closed} sockets were closed at reuse`)
  assert.ok([...server.keys.values()].every((n) => n === 1) && server.keys.size === 1_000)
  const before = { ...server.counts }
  const failed: unknown[] = []
  for (let i = 0; i < 300; i++) await app.call(api.plain, {}).catch((e: unknown) => failed.push(e))
  assert.ok(failed.length > 20 && failed.every((e) => isFault(e, 'connection.unverified')))
  assert.deepEqual(
    [server.counts.answered - before.answered, server.counts.closed - before.closed],
    [300 - failed.length, failed.length],
  )
})
