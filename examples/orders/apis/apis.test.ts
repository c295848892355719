import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Api, ApiRequest, Effect } from './api.ts'
import { crm } from './crm.ts'
import { mostTroubles, troubleOf } from './faults.ts'
import { payments } from './payments.ts'
import { ApiServer } from './server.ts'
import { warehouse } from './warehouse.ts'

function with_(make: (ledger: { write(effect: Effect): void }) => Api): { api: Api; effects: Effect[] } {
  const effects: Effect[] = []
  return { api: make({ write: (effect) => effects.push(effect) }), effects }
}
const ask = (method: string, url: string, body: ApiRequest['body'] = {}, idempotencyKey?: string): ApiRequest => {
  const { pathname, searchParams } = new URL(url, 'http://x')
  return { method, path: pathname, query: searchParams, body, idempotencyKey }
}
const share = { order: '1', amount: 10, currency: 'usd' }

test('payments gives the first answer of a key again, and does it once', () => {
  const { api, effects } = with_(payments)
  const first = api.answer(ask('POST', '/v1/transfers', share, 'k1'))
  assert.deepEqual(api.answer(ask('POST', '/v1/transfers', share, 'k1')), first)
  assert.equal(effects.length, 1)
  assert.equal(api.absorbed(), 1)
})

test('payments refuses a key that comes with another request, and a transfer without a key', () => {
  const { api, effects } = with_(payments)
  api.answer(ask('POST', '/v1/transfers', share, 'k1'))
  assert.equal(api.answer(ask('POST', '/v1/transfers', { ...share, amount: 11 }, 'k1')).status, 400)
  assert.equal(api.answer(ask('POST', '/v1/transfers', share)).status, 400)
  assert.equal(effects.length, 1)
})

test('payments pays twice under two keys: only the key protects', () => {
  const { api, effects } = with_(payments)
  api.answer(ask('POST', '/v1/transfers', share, 'k1'))
  api.answer(ask('POST', '/v1/transfers', share, 'k2'))
  assert.equal(effects.length, 2)
})

test('the CRM counts a change as an effect, and its repetition not', () => {
  const { api, effects } = with_(crm)
  const statuses = ['a', 'a', 'b'].map((name) => api.answer(ask('PUT', '/contacts/7', { name })).status)
  assert.deepEqual(statuses, [201, 200, 200])
  assert.equal(effects.length, 2)
  assert.equal(api.absorbed(), 1)
})

test('the warehouse books twice whoever posts twice, and its list shows it at once', () => {
  const { api, effects } = with_(warehouse)
  const post = ask('POST', '/reservations', { order: '1', lines: [{ sku: 'TEA', quantity: 1 }] })
  api.answer(post)
  api.answer(post)
  assert.equal(effects.length, 2)
  const { body } = api.answer(ask('GET', '/reservations?order=1'))
  assert.equal((body as { items: unknown[] }).items.length, 2)
  assert.deepEqual(api.answer(ask('GET', '/shipments?order=1')).body, { items: [] })
})

test('the warehouse refuses an article that it does not know', () => {
  const { api, effects } = with_(warehouse)
  const lines = [{ sku: 'XX-404', quantity: 1 }]
  assert.equal(api.answer(ask('POST', '/reservations', { order: '1', lines })).status, 422)
  assert.equal(effects.length, 0)
})

test('troubles depend on the seed, what is asked and how often, and end after four', () => {
  const kinds = (n: number): string[] => Array.from({ length: 2_000 }, (_, i) => troubleOf(1, `POST ${i}`, n).kind)
  assert.deepEqual(kinds(1), kinds(1))
  assert.notDeepEqual(kinds(1), kinds(2))
  assert.deepEqual([...new Set(kinds(1))].sort(), ['429', '500', 'cut', 'hang', 'none', 'truncated'])
  assert.deepEqual(new Set(kinds(mostTroubles + 1)), new Set(['none']))
  const reads = Array.from({ length: 2_000 }, (_, i) => troubleOf(1, `GET ${i}`, 1).kind)
  assert.deepEqual([...new Set(reads)].sort(), ['429', '500', 'none'])
})

test('an outage refuses, then resets, then the same port answers again', async () => {
  const { api } = with_(crm)
  const server = new ApiServer(api, { seed: 1, credential: 'right' })
  const url = await server.listen()
  const status = async (): Promise<number | string> =>
    fetch(url, { headers: { connection: 'close' } }).then(
      (r) => r.status,
      (e: Error) => (e.cause as NodeJS.ErrnoException).code ?? 'UNKNOWN',
    )
  // Without a credential the answer comes at once: no trouble is laid over it.
  assert.equal(await status(), 401)
  await server.weather('refusing')
  assert.equal(await status(), 'ECONNREFUSED')
  await server.weather('resetting')
  assert.match(String(await status()), /ECONNRESET|UND_ERR_SOCKET/)
  await server.weather('up')
  assert.equal(await status(), 401)
  await server.close()
})
