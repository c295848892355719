import assert from 'node:assert/strict'
import { test } from 'node:test'
import { subscription, topic } from 'fairlead'
import { fleet } from './fleet.fixture.ts'

type Order = { readonly id: string; readonly customer: string }
const orders = topic<Order>('orders', { partitions: 4, key: (o) => o.customer })

/** Two readers of one topic, and what they have handled. */
function readers() {
  const billed: string[] = []
  const shipped: string[] = []
  const billing = subscription('billing', { to: orders, handle: (o: Order) => void billed.push(o.id) })
  const shipping = subscription('shipping', { to: orders, handle: (o: Order) => void shipped.push(o.id) })
  return { billed, shipped, use: [orders, billing, shipping] }
}

test('a paused topic is read by nobody, in no process and across restarts; publishing goes on', async () => {
  const r = readers()
  await using f = await fleet()
  const first = await f.worker(r.use)
  const operator = await f.operator(r.use)
  await operator.operations.as('anna').pause({ topic: 'orders' }, { reason: 'the price list is wrong' })
  await first.publish(orders, { id: 'o1', customer: 'c' })
  await f.clock.advance(10_000)
  await f.stop(first)
  const second = await f.worker(r.use)
  await f.clock.advance(10_000)
  assert.deepEqual([r.billed, r.shipped], [[], []])
  const status = await second.operations.status()
  assert.deepEqual(
    status.subscriptions.map((s) => [s.name, s.paused, s.lag]),
    [
      ['billing', true, 1],
      ['shipping', true, 1],
    ],
  )
  assert.deepEqual(status.pauses, [
    { topic: 'orders', by: 'anna', since: '2026-01-01T00:00:00.000Z', reason: 'the price list is wrong' },
  ])
  await operator.operations.resume({ topic: 'orders' })
  await f.clock.advance(1_000)
  assert.deepEqual([r.billed, r.shipped], [['o1'], ['o1']])
})

test('a subscription that is paused itself does not go on when its topic does', async () => {
  const r = readers()
  await using f = await fleet()
  const app = await f.worker(r.use)
  await app.operations.pause('billing')
  await app.operations.pause({ topic: 'orders' })
  await app.publish(orders, { id: 'o1', customer: 'c' })
  await app.operations.resume({ topic: 'orders' })
  await f.clock.advance(1_000)
  assert.deepEqual([r.billed, r.shipped], [[], ['o1']])
})

test('a paused partition handles nothing new and nothing parked, the others go on', async () => {
  const handled: string[] = []
  let broken = true
  const billing = subscription('billing', {
    to: orders,
    handle: (o: Order) => {
      if (o.customer === 'poison' && broken) throw new Error('not yet')
      handled.push(o.id)
    },
  })
  await using f = await fleet()
  const app = await f.worker([orders, billing])
  const { partition } = await app.publish(orders, { id: 'p1', customer: 'poison' })
  await f.clock.advance(100)
  await app.operations.pause({ subscription: 'billing', partition }, { reason: 'poison' })
  broken = false
  await app.publish(orders, { id: 'p2', customer: 'poison' })
  const elsewhere = await Promise.all(
    Array.from({ length: 20 }, (_, i) => app.publish(orders, { id: `o${i}`, customer: `c${i}` })),
  )
  await f.clock.advance(60_000)
  const others = elsewhere.filter((p) => p.partition !== partition).length
  assert.ok(others > 0 && others < 20, 'some keys fall into the paused partition, some do not')
  assert.equal(handled.length, others)
  const [pause] = (await app.operations.status()).pauses
  assert.deepEqual(pause, { ...pause, subscription: 'billing', partition, reason: 'poison' })
  assert.deepEqual(app.health().reasons, [])
  await app.operations.resume({ subscription: 'billing', partition })
  await f.clock.advance(60_000)
  assert.equal(handled.length, 22)
  assert.ok(handled.indexOf('p1') < handled.indexOf('p2'))
})

test('what does not exist cannot be paused: it would stop nothing, and say nothing', async () => {
  const r = readers()
  await using f = await fleet()
  const { operations } = await f.operator(r.use)
  await assert.rejects(operations.pause('biling'), { code: 'subscription.unknown' })
  await assert.rejects(operations.pause({ topic: 'order' }), { code: 'topic.unknown' })
  await assert.rejects(operations.pause({ subscription: 'billing', partition: 4 }), { code: 'config.option' })
  assert.deepEqual((await operations.status()).pauses, [])
})

test('pauses and their ends stand in the audit trail with who and why', async () => {
  const r = readers()
  await using f = await fleet()
  const operations = (await f.operator(r.use)).operations.as('anna')
  await operations.pause('billing', { reason: 'x'.repeat(600) })
  await operations.as('bert').resume('billing')
  const [second, first] = await operations.trail()
  assert.deepEqual([second?.verb, second?.subject, second?.by], ['resume', 'subscription/billing', 'bert'])
  assert.deepEqual([first?.verb, first?.by, String(first?.['reason']).length], ['pause', 'anna', 500])
})
