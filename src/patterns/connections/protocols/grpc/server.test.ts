import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import protobuf from 'protobufjs'
import * as z from 'zod'
import { fairlead, type App } from '#app/fairlead.ts'
import { isFault, type Fault } from '#kernel/fault.ts'
import { secret, SecretValue } from '#kernel/secret.ts'
import { bearer } from '../../auth/bearer.ts'
import { connection } from '../../define.ts'
import { proto } from './stock.fixture.ts'

type Call = grpc.ServerUnaryCall<{ id: string }, object>
type Seen = { metadata: grpc.Metadata; deadline: number }

const { root } = protobuf.parse(proto)
const service: grpc.ServiceDefinition = Object.fromEntries(
  Object.entries(root.lookupService('shop.Stock').methods).map(([name, method]) => {
    const { resolvedRequestType: request, resolvedResponseType: response } = method.resolve() as protobuf.Method
    const bytes = (type: protobuf.Type) => (v: object) => Buffer.from(type.encode(type.fromObject(v)).finish())
    return [
      name,
      {
        path: `/shop.Stock/${name}`,
        requestStream: false,
        responseStream: method.responseStream === true,
        requestSerialize: bytes(request!),
        requestDeserialize: (b: Buffer) => request!.decode(b),
        responseSerialize: bytes(response!),
        responseDeserialize: (b: Buffer) => response!.decode(b),
      },
    ]
  }),
)

async function served(
  get: (call: Call, answer: grpc.sendUnaryData<object>) => void,
  list: (call: grpc.ServerWritableStream<{ id: string }, object>) => void,
): Promise<{ app: App; stock: ReturnType<typeof stockAt>; [Symbol.asyncDispose](): Promise<void> }> {
  const server = new grpc.Server()
  server.addService(service, { Get: get, Put: get, List: list })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (e, p) => (e ? reject(e) : resolve(p)))
  })
  const stock = stockAt(`http://127.0.0.1:${port}`)
  const secrets = { read: (name: string) => Promise.resolve([new SecretValue(name, 'token-1234567890')]) }
  const app = await fairlead({ use: [stock], secrets })
  return {
    app,
    stock,
    async [Symbol.asyncDispose]() {
      await app[Symbol.asyncDispose]()
      server.forceShutdown()
    },
  }
}

const stockAt = (baseUrl: string) =>
  connection('stock', {
    baseUrl,
    auth: bearer(secret('STOCK_TOKEN')),
    retry: { attempts: 2, first: '1ms', jitter: 'none' },
    timeout: '20s',
    operations: {
      get: {
        http: 'POST /shop.Stock/Get',
        grpc: root,
        input: z.object({ id: z.string() }),
        output: z.object({ id: z.string(), count: z.coerce.number(), kind: z.string(), tags: z.array(z.string()) }),
      },
      put: { http: 'POST /shop.Stock/Put', grpc: root, input: z.object({ id: z.string() }) },
      list: {
        http: 'POST /shop.Stock/List',
        grpc: root,
        stream: 'grpc',
        input: z.object({ id: z.string() }),
        output: z.object({ id: z.string() }),
      },
    },
  })

const failed = (work: Promise<unknown>): Promise<Fault> =>
  work.then(
    (v) => assert.fail(`it succeeded: ${JSON.stringify(v)}`),
    (e: unknown) => (assert.ok(isFault(e), String(e)), e),
  )

test('a server of grpc-js understands us, with metadata and deadline, and we it', async () => {
  const seen: Seen[] = []
  await using t = await served(
    (call, answer) => {
      seen.push({ metadata: call.metadata, deadline: Number(call.getDeadline()) - Date.now() })
      answer(null, { id: call.request.id, count: '9007199254740993', kind: 'LARGE' })
    },
    (call) => {
      for (let i = 0; i < 1_000; i++) call.write({ id: `${call.request.id}${i}`, tags: ['x'.repeat(500)] })
      call.end()
    },
  )
  const got = await t.app.call(t.stock.get, { id: 'é1' })
  assert.deepEqual(got, { id: 'é1', count: 9007199254740992, kind: 'LARGE', tags: [] })
  const [{ metadata, deadline }] = seen as [Seen]
  assert.deepEqual(
    [metadata.get('authorization'), metadata.get('user-agent')],
    [['Bearer token-1234567890'], ['fairlead']],
  )
  assert.ok(deadline > 0 && deadline <= 20_000, String(deadline))
  const ids: string[] = []
  for await (const item of t.app.each(t.stock.list, { id: 'n' })) ids.push(item.id)
  assert.deepEqual([ids.length, ids[0], ids[999]], [1_000, 'n0', 'n999'])
})

test('a status is a fault by its number, repeated where it says so and may be', async () => {
  let calls = 0
  let status = 0
  await using t = await served(
    (_, answer) => {
      calls++
      if (status === 14 && calls === 2) return answer(null, { id: 'late' })
      answer({ code: status, details: 'hunter2' })
    },
    (call) => call.emit('error', { code: status, details: 'hunter2' }),
  )
  for (const [code, fault, name, tries] of [
    [3, 'connection.rejected', 'INVALID_ARGUMENT', 1],
    [5, 'connection.not_found', 'NOT_FOUND', 1],
    [7, 'connection.forbidden', 'PERMISSION_DENIED', 1],
    [10, 'connection.conflict', 'ABORTED', 1],
    [13, 'connection.unverified', undefined, 1],
    [4, 'connection.unverified', undefined, 1],
    [16, 'connection.credential', 'UNAUTHENTICATED', 1],
  ] as const) {
    calls = 0
    status = code
    const f = await failed(t.app.call(t.stock.put, { id: '1' }))
    assert.deepEqual([f.code, f.detail['grpc'], calls], [fault, name ?? f.detail['grpc'], tries], String(code))
    assert.ok(!JSON.stringify(f).includes('hunter2'))
  }
  calls = 0
  status = 14
  assert.deepEqual(await t.app.call(t.stock.put, { id: '1' }), {
    id: 'late',
    count: '0',
    kind: 'SMALL',
    tags: [],
  })
  status = 5
  const refused = (async () => {
    for await (const item of t.app.each(t.stock.list, { id: '1' })) assert.fail(JSON.stringify(item))
  })()
  assert.equal((await failed(refused)).code, 'connection.not_found')
})

test('a stream that breaks off gives what came, then the fault of its status', async () => {
  await using t = await served(
    (_, answer) => answer(null, {}),
    (call) => {
      call.write({ id: '1' })
      call.write({ id: '2' }, () => call.emit('error', { code: 15, details: 'hunter2' }))
    },
  )
  const ids: string[] = []
  const work = (async () => {
    for await (const item of t.app.each(t.stock.list, { id: '1' })) ids.push(item.id)
  })()
  const f = await failed(work)
  assert.deepEqual([ids, f.code, f.detail['grpc']], [['1', '2'], 'connection.failed', 'DATA_LOSS'])
  const records = await t.app.operations.calls({})
  assert.equal(records[0]!.outcome, 'connection.failed')
})

test('a reader that stops cancels the call on their side', async () => {
  let cancelled: () => void = () => undefined
  const gone = new Promise<void>((resolve) => (cancelled = resolve))
  await using t = await served(
    (_, answer) => answer(null, {}),
    (call) => {
      call.on('cancelled', cancelled)
      call.write({ id: '1' })
    },
  )
  for await (const item of t.app.each(t.stock.list, { id: '1' })) {
    assert.equal(item.id, '1')
    break
  }
  await gone
})
