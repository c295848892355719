import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { Planned } from './plan.ts'
import { send, type Told } from './sender.ts'

const event = (over: Partial<Planned> = {}): Planned => ({
  at: 0,
  provider: 'carrier',
  type: 'parcel',
  id: 'm1',
  manner: 'first',
  body: Buffer.from('{}'),
  ...over,
})
type Script = (request: IncomingMessage, n: number) => number | 'cut'

/** Sends to a receiver that answers as told; what it saw and what the sender was told. No time is waited for. */
async function sending(plan: readonly Planned[], script: Script): Promise<{ told: Told[]; seen: string[] }> {
  const seen: string[] = []
  const told: Told[] = []
  const server = createServer((request, response) => {
    seen.push(`${request.url} ${String(request.headers['webhook-id'])}`)
    const answer = script(request, seen.length)
    request.resume()
    if (answer === 'cut') request.socket.destroy()
    else request.on('end', () => response.writeHead(answer).end('{"code":"some.code"}'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const secret = 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
  await send(plan, {
    secrets: { stripe: secret, shopify: secret, slack: secret, github: secret, carrier: secret },
    address: () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    told: (answer) => told.push(answer),
    signal: new AbortController().signal,
    wait: () => Promise.resolve(),
  })
  await new Promise<void>((resolve) => {
    server.closeAllConnections()
    server.close(() => resolve())
  })
  return { told, seen }
}

test('sends again under the same id when the connection is cut or the answer is 5xx or 429', async () => {
  const { told, seen } = await sending([event()], (_, n) => (['cut', 503, 429, 200] as const)[n - 1] ?? 500)
  assert.deepEqual(seen, Array(4).fill('/hooks/carrier m1'))
  assert.deepEqual(
    told.map((t) => [t.outcome, t.status, t.attempts]),
    [['accepted', 200, 4]],
  )
})

test('a 4xx is final and its code is kept', async () => {
  const { told } = await sending([event()], () => 400)
  assert.deepEqual(
    told.map((t) => [t.outcome, t.status, t.code, t.attempts]),
    [['refused', 400, 'some.code', 1]],
  )
})

test('the second acceptance of an id is a duplicate', async () => {
  const { told } = await sending([event(), event({ manner: 'again' }), event({ id: 'm2' })], () => 200)
  assert.deepEqual(told.map((t) => t.outcome).sort(), ['accepted', 'accepted', 'duplicate'])
})

test('requests of one lane go one after the other, also across retries', async () => {
  const plan = ['a', 'b', 'c'].map((id) => event({ id, lane: 'C1' }))
  const { seen } = await sending(plan, (_, n) => (n === 1 ? 503 : 200))
  assert.deepEqual(
    seen.map((s) => s.split(' ')[1]),
    ['a', 'a', 'b', 'c'],
  )
})

test('what is wrong on purpose is wrong in one thing only', async () => {
  const heads: Record<string, IncomingMessage['headers']> = {}
  const plan = (['first', 'unsigned', 'unknown-path'] as const).map((manner) => event({ id: manner, manner }))
  const { seen } = await sending(plan, (request) => {
    heads[String(request.headers['webhook-id'])] = request.headers
    return 400
  })
  assert.ok(heads['first']?.['webhook-signature'])
  assert.equal(heads['unsigned']?.['webhook-signature'], undefined)
  assert.ok(heads['unsigned']?.['webhook-timestamp'])
  assert.ok(seen.includes('/hooks/nobody unknown-path'))
})
