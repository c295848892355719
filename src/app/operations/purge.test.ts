import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault, subscription, topic } from 'fairlead'
import { fleet } from './fleet.fixture.ts'

type Order = { readonly id: string; readonly customer: string; readonly bad?: string }
const orders = topic<Order>('orders', { partitions: 2, key: (o) => o.customer })

function billing() {
  const handled: string[] = []
  const s = subscription('billing', {
    to: orders,
    handle: (o: Order) => {
      if (o.bad !== undefined) throw new Fault(o.bad, 'rejected')
      handled.push(o.id)
    },
  })
  return { handled, use: [orders, s] }
}

test('a purge removes what its filter is about, lets the next of each key go on, and audits every message', async () => {
  const b = billing()
  await using f = await fleet()
  const worker = await f.worker(b.use)
  const operations = (await f.operator(b.use)).operations.as('anna')
  for (let i = 0; i < 150; i++) {
    await worker.publish(orders, { id: `bad${i}`, customer: `c${i}`, bad: i % 3 === 0 ? 'order.test' : 'order.total' })
    await worker.publish(orders, { id: `good${i}`, customer: `c${i}` })
  }
  await f.clock.advance(1_000)
  assert.equal(b.handled.length, 0)
  const query = { subscription: 'billing', code: 'order.test', reason: 'test orders of the provider' }
  const dry = await operations.purge({ ...query, dryRun: true })
  assert.deepEqual([dry.found.messages, dry.purged], [50, 0])
  const result = await f.finish(operations.purge(query))
  assert.deepEqual([result.found.codes, result.purged, result.skipped], [{ 'order.test': 50 }, 50, 0])
  await f.clock.advance(1_000)
  assert.equal(b.handled.length, 50)
  assert.ok(b.handled.every((id) => Number(id.slice(4)) % 3 === 0))
  const trail = (await operations.trail(1_000)).filter((e) => e.verb === 'purge')
  assert.equal(new Set(trail.map((e) => e['message'])).size, 50)
  assert.ok(trail.every((e) => e.by === 'anna' && e['reason'] === query.reason && e['code'] === 'order.test'))
  const left = await f.store.read({ read: 'parkedCounts' })
  assert.deepEqual(
    left.map((c) => [c.state, c.count]),
    [
      ['behind', 100],
      ['dead', 100],
    ],
  )
})

test('only dead messages are purged unless another state is asked for', async () => {
  const b = billing()
  await using f = await fleet()
  const app = await f.worker(b.use)
  await app.publish(orders, { id: 'a', customer: 'c', bad: 'order.total' })
  await app.publish(orders, { id: 'b', customer: 'c' })
  await f.clock.advance(1_000)
  const count = async (state?: 'behind' | 'all'): Promise<number> =>
    (
      await app.operations.purge({
        subscription: 'billing',
        reason: '',
        dryRun: true,
        ...(state === undefined ? {} : { state }),
      })
    ).found.messages
  assert.deepEqual([await count(), await count('behind'), await count('all')], [1, 1, 2])
})

test('of a key that is purged as a whole none is handled because the one before it went', async () => {
  const b = billing()
  await using f = await fleet()
  const app = await f.worker(b.use)
  await app.publish(orders, { id: 'bad', customer: 'c', bad: 'order.total' })
  for (let i = 0; i < 250; i++) await app.publish(orders, { id: `o${i}`, customer: 'c' })
  await f.clock.advance(1_000)
  const query = { subscription: 'billing', key: 'c', state: 'all', reason: 'all of it' } as const
  const result = await f.finish(app.operations.purge(query))
  assert.deepEqual([result.purged, result.skipped], [251, 0])
  await app.publish(orders, { id: 'next', customer: 'c' })
  await f.clock.advance(1_000)
  assert.deepEqual(b.handled, ['next'])
})

test('a message about which somebody else has decided meanwhile is left alone', async () => {
  const b = billing()
  await using f = await fleet()
  const worker = await f.worker(b.use)
  for (let i = 0; i < 5; i++) await worker.publish(orders, { id: `o${i}`, customer: `c${i}`, bad: 'order.total' })
  await f.clock.advance(1_000)
  const [a, c] = [await f.operator(b.use), await f.operator(b.use)]
  const results = await f.finish(
    Promise.all([a, c].map((app) => app.operations.purge({ subscription: 'billing', reason: 'x' }))),
  )
  assert.equal(results[0]!.purged + results[1]!.purged, 5)
  const trail = (await a.operations.trail()).filter((e) => e.verb === 'purge')
  assert.equal(trail.length, 5)
})
