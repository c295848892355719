import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { fairlead } from '#app/fairlead.ts'
import { isFault, type Fault } from '#kernel/fault.ts'
import { cut, harness, reply, type Harness } from '#testing/index.ts'
import { connection } from '../../define.ts'
import { relayPages } from './options.ts'

const Order = z.object({ id: z.string() })
const Orders = z.object({ orders: z.object({ nodes: z.array(Order) }) }).transform((d) => d.orders.nodes)
const ordersDocument =
  'query Orders($after: String) { orders(first: 2, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }'

const shop = connection('shop', {
  baseUrl: 'https://shop.test/admin',
  retry: { attempts: 2, first: '1s', jitter: 'none' },
  limit: '1000/s',
  operations: {
    orders: {
      http: 'POST /graphql.json',
      graphql: ordersDocument,
      input: z.object({ after: z.string().optional() }),
      output: Orders,
      pages: relayPages('orders'),
    },
    order: {
      http: 'GET /:version/graphql',
      graphql: 'query Order($id: ID!) { order(id: $id) { id } }',
      input: z.object({ version: z.string(), id: z.string() }),
      output: z.object({ order: Order.nullable() }),
    },
    partly: {
      http: 'POST /graphql.json',
      graphql: { document: '{ a b }', partial: 'accept' },
      output: z.object({
        data: z.object({ a: z.number().nullable(), b: z.number().nullable() }),
        errors: z.array(z.object({ path: z.array(z.string()) })),
      }),
    },
    create: {
      http: 'POST /graphql.json',
      graphql: 'mutation Create($id: ID!) { create(id: $id) { id } }',
      input: z.object({ id: z.string() }),
    },
    keyed: {
      http: 'POST /graphql.json',
      graphql: 'mutation Keyed($id: ID!) { create(id: $id) { id } }',
      input: z.object({ id: z.string() }),
      idempotent: 'key',
    },
    verified: {
      http: 'POST /graphql.json',
      graphql: 'mutation Verified($id: ID!) { create(id: $id) { id } }',
      input: z.object({ id: z.string() }),
      verify: {
        call: 'orders',
        input: () => ({}),
        found: (orders, { id }) => orders.find((o) => o.id === id),
      },
    },
  },
})

const setup = (): Promise<Harness> => harness({ use: [shop] })
const errors = (code?: string, more: object = {}): object => ({
  errors: [{ message: 'hunter2', ...(code === undefined ? {} : { extensions: { code } }), ...more }],
})
const failed = (work: Promise<unknown>): Promise<Fault> =>
  work.then(
    (v) => assert.fail(`it succeeded: ${JSON.stringify(v)}`),
    (e: unknown) => (assert.ok(isFault(e), String(e)), e),
  )

test('sends the document with its name and variables, and gives the data', async () => {
  await using t = await setup()
  t.answer(shop.orders, { orders: { nodes: [{ id: '1', extra: true }] } })
  assert.deepEqual(await t.call(shop.orders, { after: 'x' }), [{ id: '1' }])
  const [sent] = t.requests(shop.orders)
  assert.deepEqual([sent!.method, sent!.path], ['POST', '/admin/graphql.json'])
  assert.deepEqual(JSON.parse(sent!.body as string), {
    operationName: 'Orders',
    variables: { after: 'x' },
    query: ordersDocument,
  })
  assert.equal(sent!.headers['accept'], 'application/graphql-response+json, application/json;q=0.9')
  assert.equal(sent!.headers['content-type'], 'application/json')
  await assert.rejects(t.call(shop.order, { version: '1' } as never), (e) => isFault(e, 'schema.invalid'))
})

test('a query by GET has everything in its query; parameters of the path are no variables', async () => {
  await using t = await setup()
  t.answer(shop.order, { order: null })
  assert.deepEqual(await t.call(shop.order, { version: '2026-01', id: 'a&b' }), { order: null })
  const [sent] = t.requests(shop.order)
  const [path, query] = sent!.path.split('?')
  const fields = Object.fromEntries(new URLSearchParams(query))
  assert.deepEqual([path, sent!.body], ['/admin/2026-01/graphql', undefined])
  assert.deepEqual(fields, {
    operationName: 'Order',
    variables: '{"id":"a&b"}',
    query: 'query Order($id: ID!) { order(id: $id) { id } }',
  })
})

test('walks a connection by its page info, whatever a cursor looks like, and each page is a query of its own', async () => {
  await using t = await setup()
  const page = (id: string, pageInfo: object): object => ({ orders: { nodes: [{ id }], pageInfo } })
  t.answer(
    shop.orders,
    page('1', { hasNextPage: true, endCursor: '/w==' }),
    page('2', { hasNextPage: true, endCursor: 'https://elsewhere.test/' }),
    page('3', { hasNextPage: false, endCursor: 'end' }),
  )
  const got: unknown[] = []
  for await (const order of t.app.each(shop.orders, {})) got.push(order.id)
  assert.deepEqual(got, ['1', '2', '3'])
  assert.deepEqual(t.called(shop.orders), [{}, { after: '/w==' }, { after: 'https://elsewhere.test/' }])
})

test('a query is repeated when it is cut, a mutation is not unless a key or a verify makes it safe', async () => {
  await using t = await setup()
  const run = async (work: Promise<unknown>): Promise<unknown> => {
    const settled = work.catch((e: unknown) => (e as Fault).code)
    await t.advance('10s')
    return settled
  }
  t.answer(shop.orders, cut, { orders: { nodes: [] } })
  assert.deepEqual(await run(t.call(shop.orders, {})), [])
  t.answer(shop.create, cut, { create: { id: '1' } })
  assert.equal(await run(t.call(shop.create, { id: '1' })), 'connection.unverified')
  t.answer(shop.keyed, cut, { create: { id: '1' } })
  assert.deepEqual(await run(t.call(shop.keyed, { id: '1' })), { create: { id: '1' } })
  assert.equal(new Set(t.keys(shop.keyed)).size, 1)
  t.answer(shop.orders, { orders: { nodes: [{ id: '7' }] } })
  t.answer(shop.verified, cut)
  assert.deepEqual(await run(t.call(shop.verified, { id: '7' })), { id: '7' })
  assert.deepEqual(
    [t.called(shop.create).length, t.called(shop.keyed).length, t.called(shop.verified).length],
    [1, 2, 1],
  )
})

test('an error inside a 200 is a fault by its code, and nothing of its message is shown', async () => {
  await using t = await setup()
  for (const [body, code] of [
    [errors('UNAUTHENTICATED'), 'connection.credential'],
    [errors('FORBIDDEN'), 'connection.forbidden'],
    [errors(undefined, { type: 'NOT_FOUND' }), 'connection.not_found'],
    [errors('GRAPHQL_VALIDATION_FAILED'), 'connection.rejected'],
    [errors(), 'connection.rejected'],
    [{ data: null, ...errors('BAD_USER_INPUT') }, 'connection.rejected'],
    [{ data: { create: null }, ...errors('CONFLICT') }, 'connection.conflict'],
    [
      {
        data: { create: null },
        errors: [errors('NOT_FOUND'), errors('FORBIDDEN')].flatMap((e) => (e as { errors: object[] }).errors),
      },
      'connection.forbidden',
    ],
    [{ data: { create: null, other: { id: 1 } }, ...errors('THROTTLED') }, 'connection.unverified'],
    [{ data: { create: null }, ...errors('internal-server-error') }, 'connection.unverified'],
  ] as const) {
    t.answer(shop.create, reply(200, body))
    const f = await failed(t.call(shop.create, { id: '1' }))
    assert.equal(f.code, code, JSON.stringify(body))
    assert.ok(!JSON.stringify(f).includes('hunter2'))
  }
  t.answer(shop.create, reply(200, { data: null, ...errors('X_CODE', { path: ['create', 0, 'id'] }) }))
  const f = await failed(t.call(shop.create, { id: '1' }))
  assert.deepEqual(f.detail['errors'], [{ code: 'X_CODE', path: 'create.0.id' }])
})

test('half an answer fails unless the operation accepts it, and then the errors come with it', async () => {
  await using t = await setup()
  const half = reply(200, { data: { orders: { nodes: [{ id: '1' }] }, b: null }, ...errors('NOT_FOUND') })
  t.answer(shop.orders, half)
  const f = await failed(t.call(shop.orders, {}))
  assert.deepEqual([f.code, f.detail['partial']], ['connection.not_found', true])
  t.answer(shop.partly, reply(200, { data: { a: 1, b: null }, ...errors('NOT_FOUND', { path: ['b'] }) }))
  assert.deepEqual(await t.call(shop.partly, undefined), { data: { a: 1, b: null }, errors: [{ path: ['b'] }] })
  t.answer(shop.partly, { a: 1, b: 2 })
  assert.deepEqual(await t.call(shop.partly, undefined), { data: { a: 1, b: 2 }, errors: [] })
  t.answer(shop.partly, reply(200, { data: null, ...errors('NOT_FOUND') }))
  assert.equal((await failed(t.call(shop.partly, undefined))).code, 'connection.not_found')
})

test('reads errors under a refusing status where the media type says that they are GraphQL, or by a known code', async () => {
  await using t = await setup()
  const graphql = { 'content-type': 'application/graphql-response+json; charset=utf-8' }
  for (const [status, body, headers, code] of [
    [400, errors(), graphql, 'connection.rejected'],
    [500, errors('BAD_USER_INPUT'), graphql, 'connection.rejected'],
    [500, errors(), {}, 'connection.unverified'],
    [401, errors(), {}, 'connection.credential'],
    [400, errors('UNAUTHENTICATED'), {}, 'connection.credential'],
    [503, '<html>', { 'content-type': 'text/html' }, 'connection.unavailable'],
  ] as const) {
    t.answer(shop.create, reply(status, body, headers))
    const work = failed(t.call(shop.create, { id: '1' }))
    await t.advance('10s')
    assert.equal((await work).code, code, `${status} ${JSON.stringify(body)}`)
  }
})

test('what is not GraphQL under a 200 is refused and not asked for again', async () => {
  await using t = await setup()
  for (const [body, reason] of [
    ['<html>hunter2</html>', 'json'],
    ['', 'shape'],
    ['[]', 'shape'],
    ['{}', 'shape'],
    ['{"data":null}', 'shape'],
    ['{"data":{"__proto__":{}}}', 'json'],
    ['{"data":{"orders":7}}', 'shape'],
  ] as const) {
    t.answer(shop.orders, reply(200, body))
    const f = await failed(t.call(shop.orders, {}))
    assert.deepEqual([f.code, f.detail['reason']], ['connection.response', reason], body)
  }
  assert.equal(t.called(shop.orders).length, 7)
})

test('THROTTLED waits for the points that the query costs, and the cost of a success slows what follows', async () => {
  await using t = await setup()
  const cost = (currentlyAvailable: number): object => ({
    extensions: {
      cost: {
        requestedQueryCost: 100,
        throttleStatus: { maximumAvailable: 1_000, currentlyAvailable, restoreRate: 50 },
      },
    },
  })
  t.answer(
    shop.orders,
    reply(200, { ...errors('THROTTLED'), ...cost(20) }),
    reply(200, { data: { orders: { nodes: [] } }, ...cost(100) }),
  )
  const first = t.call(shop.orders, {})
  await t.advance('1599ms')
  assert.equal(t.called(shop.orders).length, 1)
  await t.advance('400ms')
  assert.deepEqual(await first, [])
  const next = Promise.all([t.call(shop.orders, {}), t.call(shop.orders, {})])
  await t.advance('1s')
  assert.equal(t.called(shop.orders).length, 3, 'points are left for one of the two')
  await t.advance('5s')
  await next
})

test('a rule of the connection comes before what the errors say', async () => {
  const ruled = connection('ruled', {
    baseUrl: 'https://shop.test',
    rules: [{ body: (b) => JSON.stringify(b).includes('SOON'), means: 'conflict' }],
    operations: { a: { http: 'POST /graphql', graphql: 'mutation { a }' } },
  })
  await using t = await harness({ use: [ruled] })
  t.answer(ruled.a, reply(200, errors('SOON')))
  assert.equal((await failed(t.call(ruled.a, undefined))).code, 'connection.conflict')
})

test('its record shows variables and errors, masked', async () => {
  await using t = await setup()
  t.answer(shop.create, reply(200, { data: { create: { password: 'hunter2', id: '1' } } }))
  await t.call(shop.create, { id: '1' })
  const text = JSON.stringify((await t.app.operations.calls({}))[0])
  assert.match(text, /variables.*mutation Create/)
  assert.ok(!text.includes('hunter2'))
})

test('refuses at start what is wrong with a document, all at once', async () => {
  const wrong = connection('wrong', {
    baseUrl: 'https://shop.test',
    operations: {
      a: { http: 'PUT /graphql', graphql: 'query {' },
      b: { http: 'GET /graphql', graphql: 'mutation { b }', answer: 'text' },
      c: {
        http: 'POST /graphql',
        graphql: 'query C($id: ID!, $more: Int) { c(id: $id) }',
        input: z.object({ idd: z.string() }),
      },
      d: { http: 'POST /graphql', graphql: { document: '{ d }', partial: 'maybe' } as never, idempotent: 'key' },
      e: { http: 'POST /e', verify: { call: 'f', input: () => ({}), found: () => undefined } },
      f: { http: 'POST /graphql', graphql: 'mutation { f }' },
    },
  })
  const error: unknown = await fairlead({ use: [wrong] }).then(
    () => assert.fail('it started'),
    (e: unknown) => e,
  )
  assert.ok(isFault(error, 'config.invalid'))
  const at = (error.detail['problems'] as { path: string; message: string }[]).map(
    (p) => `${p.path.replace('connection(wrong).operations.', '')} ${p.message}`,
  )
  assert.deepEqual(at.toSorted(), [
    'a.graphql does not go with PUT',
    'a.graphql the document ends in the middle of a definition',
    'b.graphql a mutation does not go with GET',
    'b.graphql has no use for `answer`',
    'c.graphql has no variable $idd, which the input has',
    'c.graphql needs $id, which the input does not have',
    'd.graphql a query needs no key',
    'd.graphql.partial is unknown',
    'e.verify.call verifying must not change anything',
  ])
})
