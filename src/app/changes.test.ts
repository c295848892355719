import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { isFault } from '#kernel/fault.ts'
import { connection } from '#patterns/connections/define.ts'
import { invalidatedBy } from '#patterns/connections/cache/define.ts'
import { subscription } from '#patterns/topics/subscription.ts'
import { topic } from '#patterns/topics/define.ts'
import { reply } from '#testing/reply.ts'
import { topicChanges } from './changes.ts'
import { collect } from './collect.ts'
import type { App } from './fairlead.ts'
import { fleet, type Fleet } from './operations/fleet.fixture.ts'

const Product = z.object({ id: z.string(), n: z.number() })
const changed = topic('product.changed', { schema: z.object({ id: z.string() }), key: (p) => p.id, partitions: 4 })
const emptied = topic('shop.emptied')
const shop = connection('shop', {
  baseUrl: 'https://shop.test/v1',
  cache: { invalidate: emptied },
  operations: {
    product: {
      http: 'GET /products/:id',
      input: z.object({ id: z.string() }),
      output: Product,
      cache: { invalidate: invalidatedBy(changed, (p) => `/products/${p.id}`) },
    },
    list: { http: 'GET /products', output: z.object({ n: z.number() }) },
  },
})
const seen: number[] = []
const audit = subscription('audit', {
  to: changed,
  handle: async (p, ctx) => void seen.push((await ctx.call(shop.product, { id: p.id })).n),
})
const use = [changed, emptied, shop]

function serve(f: Fleet): () => number {
  let n = 0
  f.http.answer(shop.product, [
    ({ id }: { id: string }) => reply(200, { id, n: ++n }, { 'cache-control': 'max-age=3600' }),
  ])
  f.http.answer(shop.list, [() => reply(200, { n: ++n }, { 'cache-control': 'max-age=3600' })])
  return () => n
}

test('a message makes every process forget: the one that publishes before it goes on, the others when they hear of it', async () => {
  await using f = await fleet()
  const asked = serve(f)
  const [a, b] = [await f.worker(use), await f.worker(use)]
  const one = async (app: App, id = '1'): Promise<number> => (await f.finish(app.call(shop.product, { id }))).n
  const list = async (app: App): Promise<number> => (await f.finish(app.call(shop.list, undefined))).n
  assert.deepEqual([await one(a), await one(a), await one(b), await one(b)], [1, 1, 2, 2])
  assert.deepEqual([await list(a), await list(b), await one(a, '10'), await one(b, '10')], [3, 4, 5, 6])

  await f.finish(a.publish(changed, { id: '1' }))
  assert.deepEqual([await one(a), await one(b)], [7, 8])
  assert.deepEqual([await list(a), await list(b), await one(a, '10'), await one(b, '10')], [3, 4, 5, 6])

  f.deaf(b, true)
  await f.finish(a.publish(changed, { id: '1' }))
  assert.deepEqual([await one(a), await one(b)], [9, 8])
  f.deaf(b, false)
  await f.finish(a.publish(emptied, {}))
  assert.deepEqual([await one(b), await one(b, '10'), await list(b)], [10, 11, 12])
  assert.equal(asked(), 12)

  // Who begins later begins with nothing, and hears of what comes then.
  const c = await f.worker(use)
  assert.deepEqual([await one(c), await one(c)], [13, 13])
  await f.finish(b.publish(changed, { id: '1' }))
  assert.equal(await one(c), 14)
})

test('a handler never gets an answer that is older than its message', async () => {
  await using f = await fleet()
  const asked = serve(f)
  const a = await f.worker([...use, audit])
  seen.length = 0
  for (let i = 1; i <= 20; i++) {
    const before = asked()
    await f.finish(a.publish(changed, { id: '1' }))
    for (let turn = 0; seen.length < i && turn < 1_000; turn++) await f.finish(Promise.resolve())
    assert.ok(seen.at(-1)! > before, `${seen.at(-1)} after ${before}`)
  }
})

test('who only looks keeps nothing that others could change', async () => {
  await using f = await fleet()
  serve(f)
  const app = await f.operator(use)
  const n = async (): Promise<number> => (await f.finish(app.call(shop.list, undefined))).n
  assert.deepEqual([await n(), await n()], [1, 2])
})

test('a topic that was not passed, and an option that is none, are problems of the start', () => {
  const { problems } = collect([shop, emptied])
  assert.deepEqual(
    problems.map((p) => [p.path, p.message]),
    [['connection(shop).operations.product.cache.invalidate', 'the topic "product.changed" was not passed in `use`']],
  )
  const bad = connection('bad', {
    baseUrl: 'https://bad.test',
    cache: {
      heuristic: '0s',
      stale: 'long',
      invalidate: [null, { on: changed, key: 1, to: 1 }, shop],
      ttl: 1,
    } as never,
    operations: { write: { http: 'POST /a', cache: true }, read: { http: 'GET /a', cache: null as never } },
  })
  assert.deepEqual(
    collect([bad, changed]).problems.map((p) => p.path.slice('connection(bad).'.length)),
    [
      'cache.ttl',
      'cache.heuristic',
      'cache.stale',
      'cache.invalidate[0]',
      'cache.invalidate[1].to',
      'cache.invalidate[1].key',
      'cache.invalidate[2]',
      'operations.write.cache',
      'operations.read.cache',
    ],
  )
})

test('what was appended is read page after page; too much at once is not read at all', async () => {
  let head = 7
  let wake = (): void => undefined
  const reads: number[][] = []
  const log = {
    topic: () => ({ name: 'many', slot: 3, partitions: 1 }),
    head: () => head,
    onAppend: (_: number, w: () => void) => {
      wake = w
      return () => (wake = () => undefined)
    },
    read: async (_: number, from: number, limit: number) => {
      reads.push([from, limit])
      const count = Math.min(limit, 400)
      return Array.from({ length: count }, (_x, i) => ({
        offset: from + i,
        time: 0,
        id: '',
        key: null,
        meta: null,
        body: `${from + i}`,
      }))
    },
  }
  const told: (Promise<readonly unknown[]> | undefined)[] = []
  const stop = topicChanges(log).follow('many', true, (said) => told.push(said))
  wake()
  assert.equal(told.length, 0)
  head = 1_007
  wake()
  const said = (await told[0])!
  assert.deepEqual([said.length, said[0], said.at(-1)], [1_000, 7, 1_006])
  assert.deepEqual(reads, [
    [7, 1_000],
    [407, 600],
    [807, 200],
  ])
  head += 10_001
  wake()
  await assert.rejects(told[1]!, (e) => !isFault(e))
  stop()
  head++
  wake()
  assert.equal(told.length, 2)
})
