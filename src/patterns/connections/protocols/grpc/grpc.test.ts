import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import protobuf from 'protobufjs'
import * as z from 'zod'
import { fairlead } from '#app/fairlead.ts'
import { isFault, type Fault } from '#kernel/fault.ts'
import { cut, harness, reply, stream, type Harness } from '#testing/index.ts'
import { connection } from '../../define.ts'
import { Frames } from './frames.ts'
import { framed } from './proto.ts'
import { meaningOf, statusOf } from './status.ts'
import { proto } from './stock.fixture.ts'

const { root } = protobuf.parse(proto)
const Id = z.object({ id: z.string() })
const stock = connection('stock', {
  baseUrl: 'https://stock.test',
  retry: { attempts: 1, first: '1s', jitter: 'none' },
  operations: {
    get: { http: 'POST /shop.Stock/Get', grpc: root, input: Id, output: Id },
    put: { http: 'POST /shop.Stock/Put', grpc: root, input: Id },
    list: { http: 'POST /shop.Stock/List', grpc: root, stream: { as: 'grpc', maxItem: 100 }, input: Id, output: Id },
  },
})
const item = (id: string): Uint8Array => framed(root.lookupType('shop.Item'), { id })
const grpcType = { 'content-type': 'application/grpc' }

const setup = (): Promise<Harness> => harness({ use: [stock] })
const failed = (work: Promise<unknown>): Promise<Fault> =>
  work.then(
    (v) => assert.fail(`it succeeded: ${JSON.stringify(v)}`),
    (e: unknown) => (assert.ok(isFault(e), String(e)), e),
  )
const read = async (t: Harness, into: unknown[] = []): Promise<unknown[]> => {
  for await (const one of t.app.each(stock.list, { id: '1' })) into.push(one)
  return into
}

test('sends a framed message under its path, and scripted values come back as messages', async () => {
  await using t = await setup()
  t.answer(stock.get, { id: 'ä' })
  assert.deepEqual(await t.call(stock.get, { id: 'q' }), { id: 'ä' })
  const [sent] = t.requests(stock.get)
  assert.deepEqual([sent!.path, [...(sent!.body as Uint8Array)]], ['/shop.Stock/Get', [0, 0, 0, 0, 3, 10, 1, 113]])
  const { te, 'content-type': type, 'grpc-timeout': timeout } = sent!.headers
  assert.deepEqual([te, type, timeout], ['trailers', 'application/grpc+proto', '29999m'])
  assert.deepEqual(t.called(stock.get), [{ id: 'q' }])
  t.answer(stock.list, stream({ id: '1' }, item('2').slice(0, 6), item('2').slice(6)))
  assert.deepEqual(await read(t), [{ id: '1' }, { id: '2' }])
  assert.equal(t.requests(stock.list)[0]!.headers['grpc-timeout'], undefined, 'a stream has no end but its own')
  const [record] = await t.app.operations.calls({})
  assert.deepEqual([record!.operation, record!.outcome], ['list', 'ok'])
})

test('a method that the .proto calls free of side effects is repeated, another is not', async () => {
  await using t = await setup()
  t.answer(stock.get, cut, { id: '1' })
  const got = t.call(stock.get, { id: '1' })
  await t.advance('2s')
  assert.deepEqual(await got, { id: '1' })
  t.answer(stock.put, cut)
  const put = failed(t.call(stock.put, { id: '1' }))
  await t.advance('5s')
  assert.equal((await put).code, 'connection.unverified')
  assert.equal(t.requests(stock.put).length, 1)
})

test('refuses what is no answer of gRPC, and asks only once', async () => {
  await using t = await setup()
  const ok = { ...grpcType, 'grpc-status': '0' }
  const long = item('x'.repeat(20))
  const bad: [string | Uint8Array, Record<string, string>, string][] = [
    ['<html>', { 'content-type': 'text/html' }, 'media-type'],
    [item('1'), grpcType, 'shape'],
    ['', ok, 'shape'],
    [new Uint8Array([...item('1'), ...item('2')]), ok, 'shape'],
    [long.slice(0, 12), ok, 'shape'],
    [new Uint8Array([1, ...item('1').slice(1)]), ok, 'encoding'],
    [new Uint8Array([0, 255, 255, 255, 255, 1]), ok, 'too-large'],
    [new Uint8Array([0, 0, 0, 0, 3, 10, 200, 1]), ok, 'protobuf'],
  ]
  for (const [body, headers, reason] of bad) {
    t.answer(stock.get, reply(200, body, headers))
    const f = await failed(t.call(stock.get, { id: '1' }))
    assert.deepEqual([f.code, f.detail['reason']], ['connection.response', reason], reason)
  }
  assert.equal(t.requests(stock.get).length, bad.length)
  t.answer(stock.put, reply(401, '', { 'content-type': 'text/html' }))
  assert.equal((await failed(t.call(stock.put, { id: '1' }))).code, 'connection.credential')
})

test('a stream that ends without a status, in mid-message, compressed or too long throws after what came', async () => {
  await using t = await setup()
  for (const [part, trailers, reason] of [
    ['', { 'grpc-status': '' }, undefined],
    [item('2').slice(0, 7), {}, 'truncated'],
    [new Uint8Array([1, 0, 0, 0, 0]), {}, 'encoding'],
    [item('x'.repeat(101)), {}, 'too-large'],
    [new Uint8Array([0, 0, 0, 0, 2, 10, 9]), {}, 'protobuf'],
  ] as const) {
    t.answer(stock.list, { ...stream({ id: '1' }, part), trailers })
    const got: unknown[] = []
    const f = await failed(read(t, got))
    assert.deepEqual([got, f.detail['reason']], [[{ id: '1' }], reason])
    assert.equal(f.code, reason === undefined ? 'connection.failed' : 'connection.response')
  }
  t.answer(stock.list, { ...stream(item('1')), headers: { 'content-type': 'text/html' } })
  assert.equal((await failed(read(t))).detail['reason'], 'media-type')
})

test('waits as RetryInfo or the pushback says', async () => {
  // google.rpc.Status with Any(RetryInfo { 12.5 s }), as base64 without padding.
  const type = new TextEncoder().encode('type.googleapis.com/google.rpc.RetryInfo')
  const delay = [10, 8, 8, 12, 16, 128, 202, 181, 238, 1]
  const any = [10, type.length, ...type, 18, delay.length, ...delay]
  const details = btoa(String.fromCharCode(8, 8, 26, any.length, ...any)).replace(/=+$/, '')
  assert.equal(meaningOf(8, { 'grpc-status-details-bin': details }).retryAfter, 12_500)
  assert.equal(meaningOf(14, { 'grpc-retry-pushback-ms': '250' }).retryAfter, 250)
  assert.equal(meaningOf(5, { 'grpc-retry-pushback-ms': '250' }).retryAfter, undefined)
  await using t = await setup()
  const status = { ...grpcType, 'grpc-status': '8', 'grpc-status-details-bin': details }
  t.answer(stock.put, reply(200, '', status), { id: '1' })
  const put = t.call(stock.put, { id: '1' })
  await t.advance('12s')
  assert.equal(t.requests(stock.put).length, 1)
  await t.advance('5s')
  await put
  assert.equal(t.requests(stock.put).length, 2)
})

test('reads any fields of a status without throwing, and unknown numbers as UNKNOWN', () => {
  for (const [text, status] of [
    ['0', 0],
    ['16', 16],
    ['17', 2],
    ['99', 2],
    ['-1', 2],
    ['', 2],
    ['x', 2],
  ] as const)
    assert.equal(statusOf({ 'grpc-status': text }), status)
  assert.equal(statusOf({}), undefined)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.string(), (bytes, text) => {
      meaningOf(8, { 'grpc-status-details-bin': btoa(String.fromCharCode(...bytes)) })
      meaningOf(8, { 'grpc-status-details-bin': text, 'grpc-retry-pushback-ms': text })
    }),
  )
})

test('finds the same messages wherever the chunks are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }),
      fc.array(fc.nat({ max: 1_500 })),
      (all, cuts) => {
        const bytes = new Uint8Array(all.flatMap((m) => [0, 0, 0, m.length >> 8, m.length & 255, ...m]))
        const at = [0, ...cuts.filter((c) => c < bytes.length).toSorted((a, b) => a - b), bytes.length]
        const frames = new Frames(300)
        const found = at.slice(1).flatMap((end, i) => [...frames.feed(bytes.slice(at[i], end))].map((m) => [...m]))
        assert.deepEqual(
          found,
          all.map((m) => [...m]),
        )
        assert.equal(frames.partial, false)
      },
    ),
  )
})

test('an input that is no message of the method is refused before anything is sent', async () => {
  const loose = connection('loose', {
    baseUrl: 'https://stock.test',
    operations: { put: { http: 'POST /shop.Stock/Put', grpc: root } },
  })
  await using t = await harness({ use: [loose] })
  for (const input of [7, ['a'], { id: { toString: 1 } }])
    assert.equal((await failed(t.call(loose.put, input as never))).code, 'schema.invalid')
})

test('refuses at start what does not fit the .proto, all at once', async () => {
  const op = (http: string, more: object = {}) => ({ http, grpc: root, ...more })
  const wrong = connection('wrong', {
    baseUrl: 'https://stock.test',
    operations: {
      a: op('GET /shop.Stock/Get'),
      b: op('POST /shop.Shop/Get'),
      c: op('POST /shop.Stock/Gets'),
      d: op('POST /shop.Stock/Chat'),
      e: op('POST /shop.Stock/List'),
      f: op('POST /shop.Stock/Get', { stream: 'grpc', answer: 'text' }),
      g: op('POST /shop.Stock/Get', { input: z.object({ ids: z.string() }) }),
      h: { http: 'POST /shop.Stock/Get', grpc: {} as never },
      i: { http: 'POST /shop.Stock/List', stream: 'grpc' },
    },
  })
  const error: unknown = await fairlead({ use: [wrong] }).then(
    () => assert.fail('it started'),
    (e: unknown) => e,
  )
  assert.ok(isFault(error, 'config.invalid'))
  const at = (error.detail['problems'] as { path: string; message: string }[]).map(
    (p) => `${p.path.replace('connection(wrong).operations.', '').replace('.grpc', '')} ${p.message}`,
  )
  assert.deepEqual(at.toSorted(), [
    "a does not go with a line that is not 'POST /package.Service/Method'",
    'b has no service shop.Shop, or a type of it is missing',
    'c has no method Gets in shop.Stock',
    'd has Chat with a stream of requests, which is not supported',
    'e has a method that streams its answers',
    'f has a method that answers once',
    'f has no use for `answer`',
    'g has no field ids, which the input has',
    'h is not the root of a loaded .proto',
    'i is missing for a stream of gRPC',
  ])
})
