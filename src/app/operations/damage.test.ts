import assert from 'node:assert/strict'
import { test } from 'node:test'
import { subscription, topic, type App } from 'fairlead'
import { sql } from '#kernel/sql.ts'
import { fleet, type Fleet } from './fleet.fixture.ts'

type Order = { readonly id: string; readonly total?: number }
const orders = topic<Order>('orders', { partitions: 1, key: (o) => o.id.slice(0, 1), id: (o) => o.id })

function billing() {
  const handled: Order[] = []
  const use = [orders, subscription('billing', { to: orders, handle: (o: Order) => void handled.push(o) })]
  return { handled, use }
}

/** Changes the store behind its back, as no program of ours would. */
async function behind(f: Fleet, ...statements: readonly ReturnType<typeof sql>[]): Promise<void> {
  const tx = await f.store.begin(1_000)
  for (const s of statements) await tx.query(s)
  await tx.commit([])
}

/** Five messages, of which the second and the fourth are damaged before anybody reads them, and the worker that then does. */
async function damaged(f: Fleet, use: readonly unknown[]): Promise<App> {
  const first = await f.operator(use)
  await first.publishMany(
    orders,
    ['a1', 'b1', 'c1', 'd1', 'b2'].map((id) => ({ id, total: 1 })),
  )
  await behind(
    f,
    sql`update fl_log set body = '{"id":"b1","total":9}' where id = 'b1'`,
    sql`delete from fl_log where id = 'd1'`,
  )
  const worker = await f.worker(use)
  await f.clock.advance(1_000)
  return worker
}

test('a damaged message is shown as what it is, and is not handled again as it is', async () => {
  const { handled, use } = billing()
  await using f = await fleet()
  await damaged(f, use)
  assert.deepEqual(
    handled.map((o) => o.id),
    ['a1', 'c1'],
  )
  const { operations } = await f.operator(use)
  const shown = await operations.parked()
  assert.deepEqual(
    shown.map((p) => [p.position, p.state, p.damaged, p.data, p.fault?.code]),
    [
      ['orders/0/1', 'dead', true, { id: 'b1', total: 9 }, 'message.damaged'],
      ['orders/0/3', 'dead', true, '', 'message.damaged'],
      ['orders/0/4', 'behind', undefined, { id: 'b2', total: 1 }, undefined],
    ],
  )
  const log = await operations.messages({ topic: 'orders', position: 'orders/0/1' })
  assert.deepEqual([log[0]?.damaged, log[0]?.data], [true, { id: 'b1', total: 9 }])
  assert.deepEqual((await operations.messages({ topic: 'orders', position: 'orders/0/3' }))[0]?.damaged, { missing: 1 })
  await assert.rejects(operations.replay(shown[0]!.parked), { code: 'message.damaged' })
  const redriven = await f.finish(operations.redrive({ subscription: 'billing' }))
  assert.deepEqual([redriven.found.codes, redriven.started, redriven.skipped], [{ 'message.damaged': 2 }, 0, 2])
  const again = await f.finish(operations.replayTopic({ subscription: 'billing', from: '1h', until: '0s' }))
  assert.deepEqual([again.messages, again.started, again.failed], [5, 2, 0])
  assert.deepEqual(
    handled.map((o) => o.id),
    ['a1', 'c1', 'a1', 'c1'],
  )
})

test('a person who knows what it said edits and replays it, and its key goes on; or discards it', async () => {
  const { handled, use } = billing()
  await using f = await fleet()
  await damaged(f, use)
  const { operations } = await f.operator(use)
  const [b, d] = await operations.parked()
  await operations.editAndReplay(b!.parked, { id: 'b1', total: 1 })
  await operations.discard(d!.parked, 'told them')
  await f.clock.advance(1_000)
  assert.deepEqual(handled.slice(2), [
    { id: 'b1', total: 1 },
    { id: 'b2', total: 1 },
  ])
  assert.deepEqual(await operations.parked(), [])
})

test('a parked message that is damaged before a worker has seen it is refused, exported as damaged, and can be edited', async () => {
  const { handled, use } = billing()
  await using f = await fleet()
  const worker = await damaged(f, use)
  await f.stop(worker)
  await behind(f, sql`update fl_parked set body = '{"id":"b', meta = '{', faults = '[' where id in ('b1', 'b2')`)
  const { operations } = await f.operator(use)
  const shown = await operations.parked()
  assert.deepEqual(
    shown.map((p) => [p.state, p.damaged, p.data, p.fault?.code]),
    [
      ['dead', true, '{"id":"b', 'message.damaged'],
      ['dead', true, '', 'message.damaged'],
      ['behind', true, '{"id":"b', 'message.damaged'],
    ],
  )
  await assert.rejects(operations.replay(shown[0]!.parked), { code: 'message.damaged' })
  const lines: string[] = []
  for await (const line of operations.exportParked({ subscription: 'billing', raw: true })) lines.push(line)
  assert.deepEqual(
    lines.map((l) => (JSON.parse(l) as { faults: { code: string }[] }).faults.map((x) => x.code)),
    [['message.damaged'], ['message.damaged']],
  )
  await operations.editAndReplay(shown[0]!.parked, { id: 'b1', total: 2 })
  await f.worker(use)
  await f.clock.advance(1_000)
  assert.deepEqual(handled.at(-1), { id: 'b1', total: 2 })
  // The one behind it came to its turn, and was seen to be damaged.
  const left = await operations.parked()
  assert.deepEqual(
    left.map((p) => [p.position, p.state]),
    [
      ['orders/0/3', 'dead'],
      ['orders/0/4', 'dead'],
    ],
  )
})
