import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import type { FellBack } from '#kernel/context.ts'
import { connection } from '#patterns/connections/define.ts'
import { instead } from '#patterns/connections/fallback/fallback.ts'
import { subscription } from '#patterns/topics/subscription.ts'
import { topic } from '#patterns/topics/define.ts'
import { harness } from '#testing/harness.ts'
import { cut, hang, refused, reply } from '#testing/reply.ts'
import { collect } from './collect.ts'

const Rate = z.object({ rate: z.number() })
const bank = connection('bank', {
  baseUrl: 'https://bank.test',
  retry: false,
  operations: { price: { http: 'GET /price', output: z.object({ value: z.number() }) } },
})
const rated = topic('rated', { schema: Rate })
const quiet = { retry: false, breaker: { failures: 'off', consecutive: 1_000, rate: 'off' } } as const
const rates = connection('rates', {
  baseUrl: 'https://rates.test',
  ...quiet,
  later: true,
  operations: {
    chain: {
      http: 'GET /chain/:pair',
      input: z.object({ pair: z.string() }),
      output: Rate,
      fallback: [
        instead(bank.price, { input: () => ({}), output: (o) => ({ rate: o.value }) }),
        { cached: '1h' },
        { value: (i) => ({ rate: i.pair.length }) },
      ],
    },
    check: {
      http: 'POST /check',
      input: z.object({ pair: z.string() }),
      output: Rate,
      idempotent: 'key',
      fallback: [{ later: { deliver: rated }, value: { rate: 0 } }],
    },
    write: { http: 'POST /write', input: z.object({}), output: Rate, fallback: [{ value: { rate: 9 } }] },
  },
})
const orders = topic<{ pair: string }>('orders')
const use = [bank, rates, rated, orders]
const pair = { pair: 'EURUSD' }

test('the first step that works answers, and says that it did', async () => {
  await using t = await harness({ use })
  const seen: FellBack[] = []
  const call = () => t.call(rates.chain, pair, { onFallback: (by) => seen.push(by) })
  t.answer(rates.chain, { rate: 5 }, reply(503))
  t.answer(bank.price, { value: 7 }, refused)
  assert.deepEqual(await call(), { rate: 5 })
  assert.deepEqual(await call(), { rate: 7 })
  assert.deepEqual(await call(), { rate: 5 })
  await t.advance('2h')
  assert.deepEqual(await call(), { rate: 6 })
  assert.deepEqual(
    seen.map(({ age, ...by }) => ({ ...by, ...(age === undefined ? {} : { age: age < 3_600_000 }) })),
    [
      { by: 'instead', code: 'connection.unavailable', operation: 'bank.price' },
      { by: 'cached', code: 'connection.unavailable', age: true },
      { by: 'value', code: 'connection.unavailable' },
    ],
  )
  const records = (await t.app.operations.calls({ connection: 'rates' })) as unknown as {
    outcome: string
    fellBack?: FellBack
  }[]
  assert.deepEqual(
    records.map((r) => [r.outcome, r.fellBack?.by]),
    [
      ['connection.unavailable', 'value'],
      ['connection.unavailable', 'cached'],
      ['connection.unavailable', 'instead'],
      ['ok', undefined],
    ],
  )
  const [, state] = (await t.app.operations.status()).connections
  assert.deepEqual([state!.counters.fellBack, state!.counters.failed], [3, 3])
})

test('another input has no cached answer, and what a caller does to one harms nobody', async () => {
  await using t = await harness({ use })
  t.answer(rates.chain, { rate: 5 }, reply(503))
  t.answer(bank.price, refused)
  await t.call(rates.chain, pair)
  const got = await t.call(rates.chain, pair)
  got.rate = -1
  assert.deepEqual(await t.call(rates.chain, pair), { rate: 5 })
  assert.deepEqual(await t.call(rates.chain, { pair: 'x' }), { rate: 1 })
})

test('what says that the request is wrong is not answered by a fallback', async () => {
  await using t = await harness({ use })
  for (const [status, code] of [
    [422, 'connection.rejected'],
    [404, 'connection.not_found'],
    [401, 'connection.credential'],
  ] as const) {
    t.answer(rates.chain, reply(status))
    await assert.rejects(t.call(rates.chain, pair), { code })
  }
  await assert.rejects(t.call(rates.chain, {} as never), { code: 'schema.invalid' })
})

test('a read whose answer is lost falls back; a write that may have happened does not', async () => {
  await using t = await harness({ use })
  t.answer(bank.price, { value: 7 })
  for (const lost of [cut, hang, reply(500)]) {
    t.answer(rates.chain, lost)
    const call = t.call(rates.chain, pair)
    await t.advance('1m')
    assert.deepEqual(await call, { rate: 7 })
  }
  t.answer(rates.write, cut)
  await assert.rejects(t.call(rates.write, {}), { code: 'connection.unverified' })
  t.answer(rates.write, refused)
  assert.deepEqual(await t.call(rates.write, {}), { rate: 9 })
})

test('an open breaker leads to it without asking', async () => {
  const fast = connection('fast', {
    baseUrl: 'https://fast.test',
    retry: false,
    operations: { get: { http: 'GET /', input: z.object({}), output: Rate, fallback: [{ value: { rate: 1 } }] } },
  })
  await using t = await harness({ use: [fast] })
  t.answer(fast.get, reply(503))
  const codes = new Set<string>()
  for (let i = 0; i < 20; i++) await t.call(fast.get, {}, { onFallback: (by) => codes.add(by.code) })
  assert.deepEqual([t.called(fast.get).length < 20, codes.has('connection.breaker_open')], [true, true])
})

test('accept now and check later: the check is made when the service is back, under the same key, and its answer delivered', async () => {
  await using t = await harness({ use })
  t.answer(rates.check, reply(503), cut, { rate: 3 })
  const told: FellBack[] = []
  assert.deepEqual(await t.call(rates.check, pair, { onFallback: (by) => told.push(by) }), { rate: 0 })
  assert.deepEqual([told[0]!.by, typeof told[0]!.receipt], ['later', 'string'])
  await t.advance('1m')
  assert.deepEqual([t.called(rates.check).length, new Set(t.keys(rates.check)).size], [3, 1])
  assert.deepEqual(await t.messages(rated), [{ rate: 3 }])
  // Also when the first may have happened: it is recognised by its key.
  t.answer(rates.check, cut, { rate: 4 })
  assert.deepEqual(await t.call(rates.check, pair), { rate: 0 })
  await t.advance('1m')
  assert.deepEqual(new Set(t.keys(rates.check)).size, 2)
  assert.deepEqual([(await t.messages(rated)).length, await t.app.operations.unresolved()], [2, []])
})

test('a handler that is run again accepts the check once', async () => {
  let runs = 0
  const checking = subscription('checking', {
    to: orders,
    retry: { attempts: 3, first: '1s', max: '1s' },
    async handle(order, ctx) {
      await ctx.call(rates.check, order)
      if (++runs === 1) throw new Error('after')
    },
  })
  await using t = await harness({ use: [...use, checking] })
  t.answer(rates.check, refused)
  await t.publish(orders, pair)
  await t.advance('3s')
  assert.equal(runs, 2)
  assert.equal((await t.app.operations.messages({ topic: 'call.rates' })).length, 1)
})

test('mistakes are reported before anything starts', () => {
  const a = connection('a', {
    baseUrl: 'https://a.test',
    operations: {
      get: {
        http: 'POST /',
        fallback: [
          { cached: '1h' },
          { value: 1, on: ['rejected'] },
          { value: 1, on: ['ambiguous'] },
          { later: {}, value: 1 },
          { cached: '1h', value: 2 },
          instead(bank.price, { input: () => ({}), output: () => 1 }),
          1,
        ] as never,
      },
      empty: { http: 'GET /', fallback: [] as never },
    },
  })
  const loop: { readonly kind: 'operation'; readonly connection: string; readonly name: string } = {
    kind: 'operation',
    connection: 'b',
    name: 'get',
  }
  const b = connection('b', {
    baseUrl: 'https://b.test',
    operations: {
      get: { http: 'GET /', fallback: [instead(loop, { input: () => undefined, output: () => 1 })] as never },
    },
  })
  const at = 'connection(a).operations.get.fallback'
  assert.deepEqual(
    collect([a, b]).problems.map((p) => p.path),
    [
      `${at}[0].cached`,
      `${at}[1].on`,
      `${at}[2].on`,
      `${at}[3].later`,
      `${at}[4]`,
      `${at}[4].cached`,
      `${at}[6]`,
      'connection(a).operations.empty.fallback',
      'fallback of b.get',
      `${at}[5].to`,
    ],
  )
})
