import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connection, Fault, sql, subscription, topic, type BatchContext } from 'fairlead'
import { harness, virtualClock } from 'fairlead/testing'
import { z } from 'zod'
import { fairlead } from '#app/fairlead.ts'
import { fault } from '#kernel/fault.ts'
import { HookedStore, runtimeOf } from '#journal/world.fixture.ts'

type Order = { readonly id: string }
const orders = topic<Order>('orders', { partitions: 1 })
const done = topic<Order>('done', { partitions: 1 })

/** A batch whose first message fails in the first run, before anything is done for it. */
function failingFirst(effect: (order: Order, ctx: BatchContext) => Promise<unknown>) {
  let runs = 0
  return subscription('batches', {
    to: orders,
    batch: 10,
    async handleBatch(batch, ctx: BatchContext) {
      runs++
      const results: (Fault | undefined)[] = []
      for (const { data } of batch) {
        if (runs === 1 && results.length === 0) {
          results.push(new Fault('test.failed', 'transient'))
          continue
        }
        await effect(data, ctx)
        results.push(undefined)
      }
      return results
    },
  })
}

test('what a batch publishes for one message is not taken for what its retry publishes for another', async () => {
  const batches = failingFirst((order, ctx) => ctx.publish(done, order))
  await using t = await harness({ use: [orders, done, batches] })
  await t.app.publishMany(orders, [{ id: 'a' }, { id: 'b' }])
  await t.advance('1m')
  assert.deepEqual(await t.parked(), [])
  assert.deepEqual((await t.messages(done)).map((m) => (m as Order).id).sort(), ['a', 'b'])
})

test('calls of a batch for different messages never share an idempotency key, whichever of them failed before', async () => {
  const api = connection('api', {
    baseUrl: 'https://api.test',
    operations: { charge: { http: 'POST /charges', input: z.object({ id: z.string() }), idempotent: 'key' } },
  })
  const batches = failingFirst((order, ctx) => ctx.call(api.charge, order))
  await using t = await harness({ use: [orders, api, batches] })
  t.answer(api.charge, {})
  await t.app.publishMany(orders, [{ id: 'a' }, { id: 'b' }])
  await t.advance('1m')
  assert.deepEqual(
    t.called(api.charge).map((c) => c['id']),
    ['b', 'a'],
  )
  assert.equal(new Set(t.keys(api.charge)).size, 2)
})

test('a start that fails half-way leaves nothing at work: no timer, no lease, no handler', async () => {
  const runtime = await runtimeOf()
  const open = new Set<string>()
  const handled: unknown[] = []
  const one = subscription('one', { to: orders, handle: (o) => void handled.push(o) })
  const two = subscription('two', { to: done, handle: () => {} })
  const { store, clock } = runtime
  let refuse = true
  store.onCommit = (units, _sync, go) => {
    const leases = units.flatMap((u) => u.writes).filter((w) => w.write === 'lease')
    for (const l of leases) open.add(l.name)
    return refuse && leases.some((l) => l.name.includes('/two/')) ? Promise.reject(fault('store.full')) : go()
  }
  const kept = new HookedStore(store)
  kept[Symbol.asyncDispose] = async () => {}
  const use = { use: [orders, done, one, two], store: { kind: 'test', open: () => Promise.resolve(kept) } }
  await assert.rejects(fairlead(use, { ...runtime, clock }), { code: 'store.full' })
  assert.ok(open.size >= 2)
  assert.equal(clock.armed, 0)
  assert.deepEqual(await store.read({ read: 'leases' }), [])
  refuse = false
  const app = await fairlead(use, { ...runtime, clock })
  await app.publish(orders, { id: 'a' })
  await clock.advance(1_000)
  assert.deepEqual(handled, [{ id: 'a' }])
  await app[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
})

test('a transaction whose commit was not answered and had landed: its message is handled, its delayed one appears', async () => {
  const clock = virtualClock()
  const runtime = await runtimeOf({ clock })
  const handled: unknown[] = []
  const one = subscription('one', { to: orders, handle: (o) => void handled.push(o.id) })
  const app = await fairlead(
    { use: [orders, one], store: { kind: 'test', open: () => Promise.resolve(runtime.store) } },
    { ...runtime, clock },
  )
  runtime.store.onTransactionCommit = async (go) => {
    await go()
    throw fault('store.broken')
  }
  await assert.rejects(
    app.transact(async (tx) => {
      await tx.query(sql`create table mine (id text)`)
      await tx.publish(orders, { id: 'now' })
      await tx.publish(orders, { id: 'later' }, { delay: '10s' })
    }),
    { code: 'store.broken' },
  )
  await clock.advance(5_000)
  assert.deepEqual(handled, ['now'])
  await clock.advance(10_000)
  assert.deepEqual(handled, ['now', 'later'])
  await app[Symbol.asyncDispose]()
})
