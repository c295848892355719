import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import * as z from 'zod'
import { fairlead } from '#app/fairlead.ts'
import type { Change, PollOptions } from '#kernel/context.ts'
import { fault, isFault } from '#kernel/fault.ts'
import type { OperationHandle } from '#kernel/handle.ts'
import { settle, virtualClock } from '#testing/clock.ts'
import { harness } from '#testing/harness.ts'
import { reply } from '#testing/reply.ts'
import { connection } from '../define.ts'
import { bytes, canary, json, paid, setup, type Reply } from '../scripted.test.ts'

const page = (price: number, more: object = {}): Reply => json(200, { items: [{ ...paid, amount: price }], ...more })
const answered = (status: number, headers: Record<string, string>, price?: number): Reply => ({
  ...(price === undefined
    ? { ...json(status, ''), body: bytes('') }
    : json(status, { items: [{ ...paid, amount: price }] })),
  headers,
})

/** Answers one after the other, the last one again and again. */
function script(t: ReturnType<typeof setup>, ...replies: Reply[]): void {
  t.server = () => (replies.length > 1 ? replies.shift()! : replies[0]!)
}

/** Polls `list` of the scripted connection; what comes, and how it ends, is written down. */
function polling(
  t: ReturnType<typeof setup>,
  options: Partial<PollOptions> = {},
  operation: OperationHandle = t.api.list,
) {
  const stop = new AbortController()
  const changes: Change[] = []
  const ended = (async () => {
    const given: PollOptions = { every: '1m', most: '1m', signal: stop.signal, ...options }
    for await (const change of t.open.poll(operation as typeof t.api.list, {}, given)) changes.push(change)
  })()
  return {
    changes,
    ended,
    prices: () => changes.map((c) => (c.answer as { items: { amount: number }[] }).items[0]!.amount),
    /** Minutes between the polls, as far as they are whole. */
    gaps: () => t.times.slice(1).map((at, i) => Math.floor((at - t.times[i]!) / 6_000) / 10),
    async end(): Promise<void> {
      stop.abort()
      await ended
      t.open.close()
      assert.equal(t.clock.armed, 0)
    },
  }
}

test('yields the first answer, and then those that differ as the output schema sees them', async () => {
  const t = setup()
  t.reply(page(1), page(1), page(1, { generated: 'now' }), page(2), page(2), page(1))
  const p = polling(t)
  await t.clock.advance(5.7 * 60_000)
  assert.equal(t.sent.length, 6)
  assert.deepEqual(p.prices(), [1, 2, 1])
  await p.end()
  assert.deepEqual(t.open.state().polls, [
    { operation: 'list', running: 0, polls: 6, changes: 2, unmodified: 0, failed: 0, interval: 60_000 },
  ])
})

test('asks only for what has changed, and a 304 costs neither a body nor a schema', async () => {
  const t = setup()
  const etag = 'W/"a"'
  const modified = 'Thu, 01 Jan 2026 00:00:00 GMT'
  t.reply(
    answered(200, { etag, 'last-modified': modified }, 1),
    answered(304, { etag }),
    answered(304, {}),
    answered(200, { etag: '"b"' }, 1),
    answered(200, {}, 2),
    answered(200, { etag: 'b\u0000' }, 2),
    answered(200, { etag: `"${'x'.repeat(600)}"`, 'last-modified': canary }, 2),
    page(2),
  )
  const p = polling(t)
  await t.clock.advance(7.9 * 60_000)
  assert.deepEqual(
    t.sent.map((r) => [r.headers['if-none-match'], r.headers['if-modified-since']]),
    [
      [undefined, undefined],
      ...Array.from({ length: 3 }, () => [etag, modified]),
      ['"b"', undefined],
      ...Array.from({ length: 3 }, () => [undefined, undefined]),
    ],
  )
  assert.deepEqual(p.prices(), [1, 2])
  assert.ok(!JSON.stringify(p.changes).includes(canary))
  await p.end()
  assert.deepEqual([t.open.state().polls![0]!.unmodified, t.open.state().counters.failed], [2, 0])
  assert.deepEqual(
    t.records.map((r) => r.outcome),
    t.records.map(() => 'ok'),
  )
})

test('a 304 that nobody asked for stays what it was', async () => {
  const t = setup()
  t.reply(answered(304, {}))
  await t.fails(t.open.call(t.api.list, {}), 'connection.redirect')
  t.reply(answered(304, {}))
  await t.fails(polling(t).ended, 'connection.redirect')
})

test('waits longer when it is quiet and less when it changes, as long as it was told, and never too long', async () => {
  const t = setup()
  script(t, ...[1, 1, 1, 1, 1, 2, 3].map((price) => page(price)))
  const quiet = polling(t, { most: '4m' })
  await t.clock.advance(20 * 60_000)
  await quiet.end()
  assert.deepEqual(quiet.gaps().map(Math.floor), [1, 1, 2, 3, 4, 2, 1, 1, 2])
  const told = setup()
  script(
    told,
    answered(200, { 'x-poll-interval': '300' }, 1),
    answered(200, {}, 2),
    answered(200, { 'x-poll-interval': '60', 'retry-after': '600' }, 2),
    page(2),
    page(2),
  )
  const p = polling(told)
  await told.clock.advance(24 * 60_000)
  await p.end()
  assert.deepEqual(p.gaps().map(Math.floor), [5, 5, 10, 1, 1, 1])
})

test('survives what may pass, says so once, and waits as it was told', async () => {
  const t = setup({ retry: false })
  script(
    t,
    page(1),
    fault('connection.unreachable'),
    json(500, {}),
    { ...json(429, {}), headers: { 'retry-after': '900' } },
    page(2),
    json(503, {}),
    page(2),
  )
  const p = polling(t, { most: '3m' })
  await t.clock.advance(45 * 60_000)
  assert.deepEqual(p.prices(), [1, 2])
  await p.end()
  assert.deepEqual(p.gaps().map(Math.floor), [1, 2, 3, 15, 1, 3, 3, 3, 3, 3, 3, 3])
  assert.equal(t.open.state().polls![0]!.failed, 4)
  assert.deepEqual(t.logs, ['connection.poll', 'connection.poll'])
})

test('ends with what the next poll would only meet again', async () => {
  for (const [answer, code] of [
    [json(400, {}), 'connection.rejected'],
    [json(404, {}), 'connection.not_found'],
    [json(403, {}), 'connection.forbidden'],
  ] as const) {
    const t = setup()
    t.reply(answer)
    await t.fails(polling(t).ended, code)
    assert.equal(t.open.state().polls![0]!.running, 0)
  }
})

test('does not begin the next poll before the last change is handled, and then at once if it is due', async () => {
  const t = setup()
  t.server = () => page(t.sent.length)
  const walk = t.open.poll(t.api.list, {}, { every: '1m' })
  await walk.next()
  await t.clock.advance(10 * 60_000)
  assert.equal(t.sent.length, 1)
  await walk.next()
  assert.equal(t.times[1], 600_000)
  await walk.return()
  assert.equal(t.open.state().polls![0]!.running, 0)
})

test('refuses what it cannot poll before anything is sent', async () => {
  const t = setup()
  const walk = (operation: OperationHandle, options: unknown): Promise<unknown> =>
    t.open.poll(operation as typeof t.api.list, {}, options as PollOptions).next()
  for (const operation of [t.api.plain, t.api.charge, t.api.remove])
    await t.fails(walk(operation, { every: '1m' }), 'connection.poll')
  await t.fails(walk(t.api.list, { every: '1ms' }), 'connection.poll')
  await t.fails(walk(t.api.list, {}), 'connection.poll')
  t.reply(answered(200, { etag: '"a"' }, 1))
  const first = t.open.poll(t.api.list, {}, { every: '1m' })
  const since = ((await first.next()).value as Change).since
  await first.return()
  for (const wrong of [
    'x',
    7,
    [],
    {},
    { ...since, v: 2 },
    { ...since, of: 'payments.linked' },
    { ...since, for: 'x' },
    { ...since, hash: 1 },
    { ...since, etag: 'a\r\nx-evil: 1' },
    { ...since, modified: 7 },
  ])
    await t.fails(walk(t.api.list, { every: '1m', since: wrong }), 'connection.poll')
  assert.equal(t.sent.length, 1)
})

const shop = connection('shop', {
  baseUrl: 'https://shop.test',
  retry: false,
  operations: {
    prices: { http: 'GET /prices', input: z.object({ q: z.string() }), output: z.object({ price: z.number() }) },
    search: { http: 'POST /search', idempotent: 'natural', output: z.object({ price: z.number() }) },
    watch: { http: 'HEAD /prices' },
    file: { http: 'GET /file', answer: 'bytes' },
  },
})

test('goes on after a restart without yielding what is known', async () => {
  const first = await harness({ use: [shop] })
  let kept = ''
  first.answer(shop.prices, reply(200, { price: 1 }, { etag: '"1"' }))
  for await (const { answer, since } of first.app.poll(shop.prices, { q: 'x' }, { every: '1m' })) {
    assert.equal(answer.price, 1)
    kept = JSON.stringify(since)
    break
  }
  await first[Symbol.asyncDispose]()
  await using t = await harness({ use: [shop] })
  t.answer(shop.prices, reply(304, ''), { price: 1 }, { price: 2 })
  const since = JSON.parse(kept) as unknown
  const changes: unknown[] = []
  const ended = (async () => {
    for await (const change of t.app.poll(shop.prices, { q: 'x' }, { every: '1m', since })) changes.push(change.answer)
  })()
  await t.advance('6m')
  assert.deepEqual(changes, [{ price: 2 }])
  assert.equal((await t.app.operations.status()).connections[0]!.polls![0]!.changes, 1)
  // It ends with the app, without a signal of its own.
  await t[Symbol.asyncDispose]()
  await ended
  assert.throws(
    () => t.app.poll(shop.prices, { q: 'x' }, { every: '1m' }),
    (e) => isFault(e, 'app.draining'),
  )
})

test('warns once, with the numbers, when it polls far more often than the data changes', async () => {
  await using t = await harness({ use: [shop] })
  let polls = 0
  t.answer(shop.prices, () => ({ price: ++polls > 30 ? 2 : 1 }))
  const stop = new AbortController()
  const ended = (async () => {
    const options = { every: '1m', most: '1m', signal: stop.signal } as const
    for await (const _ of t.app.poll(shop.prices, { q: 'x' }, options));
  })()
  const state = async () => (await t.app.operations.status()).connections[0]!.polls![0]!
  while (polls < 99) await t.advance('1m')
  assert.equal((await state()).tooOften, undefined)
  await t.advance('5h')
  assert.ok(polls > 350)
  assert.deepEqual([(await state()).tooOften, (await state()).changes], [true, 1])
  const warned = t.logged.filter((l) => l.event === 'connection.polls')
  assert.equal(warned.length, 1)
  const { changeEvery, ...numbers } = warned[0]!.fields
  assert.deepEqual(numbers, {
    connection: 'shop',
    operation: 'prices',
    polls: 100,
    changes: 1,
    unmodified: 0,
    interval: 60_000,
    message: '100 polls saw 1 changes: a longer `every` or `most` would do, or a webhook',
  })
  assert.ok((changeEvery as number) > 99 * 60_000 && (changeEvery as number) < 110 * 60_000)
  stop.abort()
  await ended
})

test('polls a search, a head by its validators, and a file by its bytes', async () => {
  await using t = await harness({ use: [shop] })
  t.answer(shop.search, { price: 1 }, { price: 1, more: 1 }, { price: 2 })
  t.answer(shop.watch, reply(200, '', { etag: '"1"' }), reply(304, ''), reply(200, '', { etag: '"2"' }))
  t.answer(shop.file, reply(200, 'a'), reply(200, 'a'), reply(200, 'b'))
  const stop = new AbortController()
  const count = async (operation: OperationHandle): Promise<number> => {
    let changes = 0
    const options = { every: '1m', most: '1m', signal: stop.signal } as const
    for await (const _ of t.app.poll(operation as OperationHandle<unknown>, undefined, options)) changes++
    return changes
  }
  const counts = [shop.search, shop.watch, shop.file].map(count)
  await t.advance('3m')
  stop.abort()
  assert.deepEqual(await Promise.all(counts), [2, 2, 2])
})

test('asks them also where answers are kept, and refuses a stream', async () => {
  const kept = connection('kept', {
    baseUrl: 'https://kept.test',
    cache: true,
    operations: {
      price: { http: 'GET /price', output: z.object({ price: z.number() }) },
      feed: { http: 'GET /feed', stream: 'sse' },
    },
  })
  await using t = await harness({ use: [kept] })
  const fresh = { 'cache-control': 'max-age=3600', etag: '"1"' }
  t.answer(kept.price, reply(200, { price: 1 }, fresh), reply(304, ''), reply(200, { price: 2 }, fresh))
  assert.deepEqual(await t.call(kept.price, undefined), { price: 1 })
  const stop = new AbortController()
  const prices: number[] = []
  const ended = (async () => {
    const options = { every: '1m', most: '1m', signal: stop.signal } as const
    for await (const { answer } of t.app.poll(kept.price, undefined, options)) prices.push(answer.price)
  })()
  await t.advance('4m')
  stop.abort()
  await ended
  assert.deepEqual(prices, [1, 2])
  const feed = t.app.poll(kept.feed, undefined, { every: '1m' })[Symbol.asyncIterator]()
  await assert.rejects(feed.next(), (e) => isFault(e, 'connection.poll'))
  const pages = t.app.each(kept.feed, undefined, { onPage: () => undefined })[Symbol.asyncIterator]()
  await assert.rejects(pages.next(), (e) => isFault(e, 'connection.pages'))
})

test('over a real socket: validators go out, a 304 comes back, a change is seen, and the abort ends what waits', async () => {
  const asked: (string | undefined)[] = []
  let price = 1
  let hold = false
  const server = createServer((request, response) => {
    asked.push(request.headers['if-none-match'])
    if (hold) return
    const etag = `"${price}"`
    if (request.headers['if-none-match'] === etag) return void response.writeHead(304, { etag }).end()
    response.writeHead(200, { etag, 'content-type': 'application/json' }).end(JSON.stringify({ price }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const local = connection('local', {
    baseUrl: `http://127.0.0.1:${port}`,
    // The clock runs ahead of the socket: no limit of a request may fall into one step of it.
    timeout: { connect: '5m', firstByte: '5m', total: '10m' },
    operations: { price: { http: 'GET /price', output: z.object({ price: z.number() }) } },
  })
  const clock = virtualClock()
  const app = await fairlead({ use: [local], log: { write: () => undefined } }, { clock })
  try {
    const stop = new AbortController()
    const prices: number[] = []
    const ended = (async () => {
      for await (const { answer } of app.poll(local.price, undefined, { every: '1m', most: '1m', signal: stop.signal }))
        prices.push(answer.price)
    })()
    const until = async (done: () => boolean | Promise<boolean>): Promise<void> => {
      for (let i = 0; i < 500; i++) {
        await settle()
        if (await done()) return
      }
      assert.fail('it did not happen')
    }
    const polls = (n: number) => async (): Promise<boolean> =>
      (await app.operations.status()).connections[0]!.polls?.[0]?.polls === n
    for (const n of [1, 2, 3]) {
      await until(polls(n))
      if (n === 3) price = 2
      await clock.advance(66_001)
    }
    await until(polls(4))
    hold = true
    await clock.advance(66_001)
    await until(() => asked.length === 5)
    stop.abort()
    await ended
    assert.deepEqual(asked, [undefined, '"1"', '"1"', '"1"', '"2"'])
    assert.deepEqual(prices, [1, 2])
  } finally {
    await app[Symbol.asyncDispose]()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})
