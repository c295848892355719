import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { isFault } from '#kernel/fault.ts'
import { connection } from '#patterns/connections/define.ts'
import { harness, stream } from '#testing/index.ts'
import { parseChaos } from './chaos.ts'

const api = (name: string) =>
  connection(name, {
    baseUrl: 'https://api.example.test',
    retry: false,
    breaker: { failures: 'off', consecutive: 'off', rate: 1, calls: 1_000 },
    bulkhead: { concurrent: 500, waiting: 1_000 },
    operations: {
      list: { http: 'GET /items' },
      add: { http: 'POST /items', input: z.object({ id: z.string() }), idempotent: 'key' },
    },
  })
const shop = api('shop')
const crm = api('crm')

test('each way to fail is the fault that the world would give, and tells whether they did what was asked', async () => {
  await using t = await harness({ use: [shop, crm] })
  t.answer(shop.add, { ok: true })
  t.answer(crm.add, { ok: true })
  const cases = [
    ['refuse', 'connection.unreachable', 0],
    ['lose', 'connection.cut', 1],
    ['cut', 'connection.response', 2],
    [429, 'connection.throttled', 2],
    [500, 'connection.failed', 2],
  ] as const
  for (const [fail, code, done] of cases) {
    t.chaos({ connection: 'shop', fail, retryAfter: '7s' })
    await assert.rejects(t.call(shop.add, { id: '1' }), (e) => isFault(e, code), String(fail))
    assert.equal(t.called(shop.add).length, done)
    await t.call(crm.add, { id: '1' })
    await t.advance('1m')
  }
  t.chaos()
  assert.deepEqual(await t.call(shop.add, { id: '1' }), { ok: true })
})

test('a stream fails in the same ways, and one that is cut has begun', async () => {
  const feed = connection('feed', {
    baseUrl: 'https://api.example.test',
    retry: false,
    breaker: { failures: 'off', consecutive: 'off', rate: 1, calls: 1_000 },
    operations: { lines: { http: 'GET /lines', stream: 'ndjson' } },
  })
  await using t = await harness({ use: [feed] })
  t.answer(feed.lines, stream({ n: 1 }, { n: 2 }))
  const read = async (): Promise<unknown[]> => {
    const got: unknown[] = []
    try {
      for await (const line of t.app.each(feed.lines, undefined)) got.push(line)
    } catch (e) {
      got.push((e as { code: string }).code)
    }
    return got
  }
  const cases = [
    ['refuse', ['connection.unreachable'], 0],
    ['lose', ['connection.cut'], 1],
    ['cut', [{ n: 1 }, 'connection.cut'], 2],
    [404, ['connection.not_found'], 2],
  ] as const
  for (const [fail, got, sent] of cases) {
    t.chaos({ fail })
    assert.deepEqual(await read(), got)
    assert.equal(t.called(feed.lines).length, sent)
  }
  t.chaos()
  assert.deepEqual(await read(), [{ n: 1 }, { n: 2 }])
})

test('a hang and a delay end with the time of the request', async () => {
  await using t = await harness({ use: [shop] })
  t.answer(shop.list, [])
  t.chaos({ fail: 'hang' })
  const hung = assert.rejects(t.call(shop.list, undefined), (e) => isFault(e, 'connection.timeout'))
  await t.advance('10s')
  await hung
  t.chaos({ delay: '2s' })
  const slow = t.call(shop.list, undefined)
  await t.advance('1s')
  assert.equal(t.called(shop.list).length, 0)
  await t.advance('1s')
  await slow
  t.chaos({ delay: '1m' })
  const late = assert.rejects(t.call(shop.list, undefined), (e) => isFault(e, 'connection.timeout'))
  await t.advance('10s')
  await late
  assert.equal(t.called(shop.list).length, 1)
})

test('a rate is a share of the requests, the same for the same seed', async () => {
  const run = async (): Promise<readonly boolean[]> => {
    await using t = await harness({ use: [shop], seed: 11 })
    t.answer(shop.list, [])
    t.chaos({ rate: 0.2, fail: 503 })
    const ends: boolean[] = []
    for (let n = 0; n < 300; n++)
      await t.call(shop.list, undefined).then(
        () => ends.push(true),
        () => ends.push(false),
      )
    return ends
  }
  const ends = await run()
  const failed = ends.filter((e) => !e).length
  assert.ok(failed > 35 && failed < 90, `${failed} of 300`)
  assert.deepEqual(await run(), ends)
})

test('rules are read from a line, and what is none is refused', async () => {
  assert.deepEqual(parseChaos('payments:10%:503'), { connection: 'payments', rate: 0.1, fail: 503 })
  assert.deepEqual(parseChaos('*:lose'), { fail: 'lose' })
  assert.deepEqual(parseChaos('crm:50%:200ms-2s'), { connection: 'crm', rate: 0.5, delay: ['200ms', '2s'] })
  for (const text of ['', 'payments', 'payments:503%', ':10%:503', 'a:101%:503', 'a:99', 'a:explode', 'a:5x', 'a:1s-x'])
    assert.equal(parseChaos(text), undefined, text)
  await using t = await harness({ use: [shop] })
  assert.throws(
    () => t.chaos({ fail: 99 }),
    (e) => isFault(e, 'config.option'),
  )
  assert.throws(
    () => t.chaos({ rate: 2, fail: 500 }),
    (e) => isFault(e, 'config.option'),
  )
})
