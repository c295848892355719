import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Parked } from '#adapters/stores/port.ts'
import { Fault, isFault, subscription, topic, type Context } from 'fairlead'
import { parseLine, printLine } from './parked-line.ts'
import { fleet } from './fleet.fixture.ts'

type Order = { readonly id: string; readonly customer?: string; readonly password?: string }

/** A subscription that rejects what is in `bad`. The topic has as many partitions as asked for. */
function billing(partitions = 4) {
  const orders = topic<Order>('orders', { partitions, key: (o) => o.customer })
  const bad = new Set<string>()
  const handled: string[] = []
  const ids: string[] = []
  const s = subscription('billing', {
    to: orders,
    handle: (o: Order, ctx: Context) => {
      if (bad.has(o.id)) throw new Fault('order.total', 'rejected')
      handled.push(o.id)
      ids.push(ctx.message.id)
    },
  })
  return { orders, bad, handled, ids, use: [orders, s] }
}

async function all(lines: AsyncIterable<string>): Promise<string[]> {
  const out: string[] = []
  for await (const line of lines) out.push(line)
  return out
}

type Fleet = Awaited<ReturnType<typeof fleet>>

async function rows(f: Fleet): Promise<Parked[]> {
  return (await f.store.read({ read: 'parked', limit: 1_000 }))
    .map((p) => ({ ...p, row: 0 }))
    .toSorted((a, b) => a.partition - b.partition || a.offset - b.offset)
}

test('what was exported raw and purged comes back to its place, with everything as it was', async () => {
  const b = billing()
  b.bad.add('o0').add('o4')
  await using f = await fleet()
  const worker = await f.worker(b.use)
  const { operations } = await f.operator(b.use)
  await worker.operations.pause('billing')
  for (let i = 0; i < 10; i++) await worker.publish(b.orders, { id: `o${i}`, customer: `c${i % 4}`, password: 'hush' })
  await worker.operations.resume('billing')
  await f.clock.advance(1_000)
  const before = await rows(f)
  assert.deepEqual(
    before.map((p) => p.state),
    ['dead', 'behind', 'behind'],
  )
  const lines = await all(operations.exportParked({ subscription: 'billing', state: 'all', raw: true }))
  assert.ok(lines.every((l) => l.includes('hush')))
  assert.deepEqual((await operations.importParked(lines)).present, 3)
  // Nobody works while it is away: otherwise the next of the key would go on, as it should.
  await f.stop(worker)
  await f.finish(operations.purge({ subscription: 'billing', state: 'all', reason: 'for a while' }))
  assert.deepEqual(await rows(f), [])
  const dry = await operations.importParked(lines, { dryRun: true })
  assert.deepEqual([dry.imported, (await rows(f)).length], [3, 0])
  const result = await operations.importParked(lines)
  assert.deepEqual([result.lines, result.imported, result.refused], [3, 3, 0])
  assert.deepEqual(await rows(f), before)
  assert.deepEqual(await operations.importParked(lines), { lines: 3, imported: 0, present: 3, refused: 0, faults: [] })
  b.bad.clear()
  await f.worker(b.use)
  await f.finish(operations.redrive({ subscription: 'billing' }))
  await f.clock.advance(1_000)
  assert.deepEqual(b.handled.slice(-3), ['o0', 'o4', 'o8'])
})

test('a masked export shows what a person may see, and cannot be imported', async () => {
  const b = billing()
  b.bad.add('o0')
  await using f = await fleet()
  const app = await f.worker(b.use)
  await app.publish(b.orders, { id: 'o0', password: 'hush' })
  await f.clock.advance(1_000)
  const lines = await all(app.operations.exportParked({ subscription: 'billing' }))
  assert.equal(lines.length, 1)
  assert.ok(!lines[0]!.includes('hush') && lines[0]!.includes('[masked]'))
  const result = await app.operations.importParked(lines)
  assert.deepEqual([result.refused, result.faults[0]?.code, result.faults[0]?.line], [1, 'import.masked', 1])
  const exports = (await app.operations.trail()).filter((e) => e.verb === 'export')
  assert.deepEqual(
    exports.map((e) => e['raw']),
    [false],
  )
})

test('in another store messages go before everything of the log, in their order, and no message is lost for them', async () => {
  const from = billing(4)
  for (let i = 0; i < 6; i++) from.bad.add(`o${i}`)
  await using a = await fleet()
  const source = await a.worker(from.use)
  for (let i = 0; i < 6; i++) await source.publish(from.orders, { id: `o${i}`, customer: `c${i % 2}` })
  await a.clock.advance(1_000)
  const lines = await all(source.operations.exportParked({ subscription: 'billing', state: 'all', raw: true }))
  const ids = (await rows(a)).map((p) => p.id)

  const to = billing(2)
  await using f = await fleet()
  const target = await f.worker(to.use)
  await target.operations.pause('billing')
  const result = await target.operations.importParked(lines)
  assert.deepEqual([result.imported, result.refused], [6, 0])
  assert.equal((await target.operations.importParked(lines)).present, 6)
  const there = await rows(f)
  assert.ok(there.every((p) => p.offset < 0))
  assert.deepEqual(there.filter((p) => p.state === 'dead').length, 2)
  // The same places of this log are taken by others: they are handled too, behind the older ones of their key.
  for (let i = 0; i < 6; i++) await target.publish(to.orders, { id: `n${i}`, customer: `c${i % 2}` })
  await target.operations.resume('billing')
  await f.clock.advance(1_000)
  assert.equal(to.handled.length, 0)
  await f.finish(target.operations.redrive({ subscription: 'billing' }))
  await f.clock.advance(1_000)
  for (const c of [0, 1])
    assert.deepEqual(
      to.handled.filter((id) => Number(id.slice(1)) % 2 === c),
      [`o${c}`, `o${c + 2}`, `o${c + 4}`, `n${c}`, `n${c + 2}`, `n${c + 4}`],
    )
  assert.deepEqual(new Set(to.ids.filter((id) => ids.includes(id))), new Set(ids))
})

test('what the subscription has not come to is not parked: it will be handled anyway', async () => {
  const b = billing(1)
  b.bad.add('o0')
  await using f = await fleet()
  const app = await f.worker(b.use)
  await app.publish(b.orders, { id: 'o0' })
  await f.clock.advance(1_000)
  const [line] = await all(app.operations.exportParked({ subscription: 'billing', raw: true }))
  await app.operations.pause('billing')
  const { offset } = await app.publish(b.orders, { id: 'o1' })
  const [next] = await f.store.read({ read: 'log', slot: 0, from: offset, below: offset + 1, limit: 1, bytes: 1 })
  const later = JSON.stringify({ ...(JSON.parse(line!) as object), offset, id: next!.id, body: next!.body })
  assert.equal((await app.operations.importParked([later])).present, 1)
  await app.operations.resume('billing')
  await f.clock.advance(1_000)
  assert.deepEqual(b.handled, ['o1'])
})

test('lines that are wrong are refused with their number and why, the others are imported', async () => {
  const b = billing()
  b.bad.add('o0')
  await using f = await fleet()
  const app = await f.worker(b.use)
  await app.publish(b.orders, { id: 'o0' })
  await f.clock.advance(1_000)
  const [good] = await all(app.operations.exportParked({ subscription: 'billing', raw: true }))
  await f.finish(app.operations.purge({ subscription: 'billing', reason: '' }))
  const but = (change: object): string => JSON.stringify({ ...(JSON.parse(good!) as object), ...change })
  const lines = [
    'not json',
    '',
    '[]',
    but({ format: 'other' }),
    but({ state: 'asleep' }),
    but({ partition: 1.5 }),
    but({ body: '{' }),
    but({ body: undefined, bytes: '***' }),
    but({ body: JSON.stringify('x'.repeat(1024 * 1024)) }),
    but({ id: '' }),
    but({ subscription: 'shipping' }),
    but({ topic: 'invoices' }),
    but({ faults: [1] }),
    good!,
    but({ store: 'other', id: 'one' }),
    but({ store: 'other', id: 'another' }),
  ]
  const result = await app.operations.importParked(lines)
  assert.deepEqual([result.lines, result.imported, result.refused], [15, 2, 13])
  assert.deepEqual(
    result.faults.map((x) => [x.line, x.code]),
    [
      ...[1, 3, 4, 5, 6, 7, 8, 9, 10].map((line) => [line, 'import.line']),
      [11, 'subscription.unknown'],
      [12, 'import.line'],
      [13, 'import.line'],
      [16, 'import.occupied'],
    ],
  )
})

test('whatever is parked, its line says all of it', () => {
  const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 })
  const time = fc.integer({ min: 0, max: 4_000_000_000_000 })
  const fields = {
    partition: fc.integer({ min: 0, max: 255 }),
    offset: fc.integer({ min: -(2 ** 46), max: 2 ** 38 - 1 }),
    key: fc.option(text),
    id: text,
    time,
    meta: fc.option(fc.json()),
    body: fc.oneof(
      fc.json(),
      fc.uint8Array().map((bytes) => Uint8Array.from(bytes)),
    ),
    state: fc.constantFrom('retry', 'held', 'behind', 'dead'),
    attempts: fc.nat(100),
    due: time,
    since: time,
    faults: fc.option(fc.array(fc.record({ code: text, at: time }), { maxLength: 10 }).map((x) => JSON.stringify(x))),
    heldBy: fc.option(text),
  } as const
  const parked = fc.record<Omit<Parked, 'subscription'>>(fields, { noNullPrototype: true })
  fc.assert(
    fc.property(parked, (p) => {
      const line = { store: 's', subscription: 'billing', topic: 'orders', parked: p }
      let back
      try {
        back = parseLine(printLine(line))
      } catch (e) {
        // A body that could reach a prototype is refused, as it would be at every other door.
        assert.ok(isFault(e, 'import.line') && JSON.stringify(p).includes('__proto__'))
        return
      }
      assert.deepEqual(back, line)
    }),
  )
})
