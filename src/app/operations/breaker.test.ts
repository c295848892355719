import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connection, isFault } from 'fairlead'
import { fleet } from './fleet.fixture.ts'

const payments = connection('payments', {
  baseUrl: 'https://api.payments.test',
  operations: { list: { http: 'GET /charges' } },
})
const use = [payments]

test('a connection that is isolated by hand is called by no process, across restarts, until it is closed by hand', async () => {
  await using f = await fleet()
  f.http.answer(payments.list, [{ ok: true }])
  const first = await f.worker(use)
  const operator = await f.operator(use)
  await f.finish(first.call(payments.list, {}))
  await operator.operations.as('anna').isolate('payments', { reason: 'their migration' })
  await f.clock.advance(1_000)
  const refused = (e: unknown): boolean => isFault(e, 'connection.breaker_open')
  await assert.rejects(f.finish(first.call(payments.list, {})), refused)
  const second = await f.worker(use)
  await f.clock.advance(120_000)
  await assert.rejects(f.finish(second.call(payments.list, {})), refused)
  assert.equal(f.http.called(payments.list).length, 1)
  const [shown] = (await operator.operations.status()).connections
  assert.deepEqual(shown!.shared, { breaker: 'isolated', by: 'anna', reason: 'their migration' })
  await operator.operations.as('anna').closeBreaker('payments')
  await f.clock.advance(1_000)
  await f.finish(first.call(payments.list, {}))
  await f.finish(second.call(payments.list, {}))
  const [closed, isolated] = await operator.operations.trail()
  assert.deepEqual(
    [isolated!.verb, isolated!.subject, isolated!.by, isolated!['reason'], closed!.verb],
    ['isolate', 'connection/payments', 'anna', 'their migration', 'close-breaker'],
  )
})

test('the breaker of an app without other processes is isolated and closed by hand as well', async () => {
  await using f = await fleet()
  f.http.answer(payments.list, [{ ok: true }])
  const app = await f.worker(use)
  await app.operations.isolate('payments')
  assert.equal((await app.operations.status()).connections[0]!.breaker, 'isolated')
  await app.operations.closeBreaker('payments')
  await f.finish(app.call(payments.list, {}))
})

test('a connection that does not exist is not isolated', async () => {
  await using f = await fleet()
  const operator = await f.operator(use)
  await assert.rejects(operator.operations.isolate('payment'), (e: unknown) => isFault(e, 'app.unknown'))
})
