import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import * as z from 'zod'
import { isFault } from '#kernel/fault.ts'
import { secret } from '#kernel/secret.ts'
import { bearer } from '#patterns/connections/auth/bearer.ts'
import { connection } from '#patterns/connections/define.ts'
import { harness } from '../harness.ts'
import { cassette, type CassetteOptions } from './cassette.ts'

const canaries = [
  'sk_canary_5f3759df',
  'ada@canary.example',
  '+44 20 7946 0958',
  '4242 4242 4242 4242',
  'hunter2canary',
]

type Server = {
  readonly origin: string
  answer: (path: string, body: string) => readonly [number, unknown]
  requests: number
}

async function server(t: TestContext): Promise<Server> {
  const state: Server = { origin: '', requests: 0, answer: () => [200, {}] }
  const http = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      state.requests++
      const [status, body] = state.answer(request.url ?? '', Buffer.concat(chunks).toString())
      response.writeHead(status, {
        'content-type': 'application/json',
        'x-request-id': `${state.requests}`,
        'x-token': canaries[0],
      })
      response.end(JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  t.after(
    () =>
      new Promise<void>((resolve) => {
        http.close(() => resolve())
        http.closeAllConnections()
      }),
  )
  return Object.assign(state, { origin: `http://127.0.0.1:${(http.address() as AddressInfo).port}` })
}

const api = (origin: string) =>
  connection('crm', {
    baseUrl: origin,
    auth: bearer(secret('CRM_KEY')),
    retry: false,
    operations: {
      add: {
        http: 'POST /people',
        input: z.object({ email: z.string(), at: z.string(), card: z.string() }),
        output: z.object({ id: z.string(), email: z.email(), phone: z.string(), created: z.number() }),
        idempotent: 'key',
      },
      feed: { http: 'GET /feed', stream: 'ndjson' },
      list: { http: 'GET /people', input: z.object({ email: z.string(), page: z.number() }) },
    },
  })

const person = (n: number) => ({
  id: `p${n}`,
  email: canaries[1],
  phone: canaries[2],
  created: n,
  password: canaries[4],
  tags: ['a'],
})
const secrets = { CRM_KEY: canaries[0]! }

function file(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-cassette-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return join(folder, 'crm.json')
}

async function play(path: string, origin: string, options: CassetteOptions, at: string): Promise<readonly unknown[]> {
  const crm = api(origin)
  await using tape = await cassette(path, { volatile: ['at', 'created'], ...options })
  await using t = await harness({ use: [crm], cassette: tape, secrets })
  const added = await t.call(crm.add, { email: canaries[1]!, at, card: canaries[3]! })
  const list = await t.call(crm.list, { email: canaries[1]!, page: 1 })
  const refused = await t
    .call(crm.list, { email: canaries[1]!, page: 2 })
    .catch((e: unknown) => (isFault(e) ? e.code : e))
  return [added, list, refused]
}

test('what was recorded is played back without anybody being asked, and holds no secret', async (t) => {
  const [path, crm] = [file(t), await server(t)]
  crm.answer = (url) =>
    url.includes('page=2')
      ? [404, { error: 'none' }]
      : url.includes('?')
        ? [200, [person(1), person(2)]]
        : [201, person(1)]
  const recorded = await play(path, crm.origin, { mode: 'record' }, '2026-01-01')
  assert.equal(recorded[2], 'connection.not_found')
  assert.equal(crm.requests, 3)
  const text = readFileSync(path, 'utf8')
  for (const canary of canaries) assert.ok(!text.includes(canary), canary)
  crm.answer = () => [500, {}]
  const [added, list, refused] = await play(path, crm.origin, { mode: 'replay' }, '2026-02-02')
  assert.equal(crm.requests, 3)
  assert.deepEqual(added, { id: 'p1', email: 'person1@example.com', phone: '+15550000001', created: 1 })
  assert.deepEqual(
    (list as { email: string }[]).map((p) => p.email),
    ['person1@example.com', 'person1@example.com'],
  )
  assert.equal(refused, 'connection.not_found')
})

test('a stream is recorded as far as it was read, masked by the names of its fields, and played back', async (t) => {
  const [path, crm] = [file(t), await server(t)]
  crm.answer = () => [200, person(1)]
  const read = async (mode: 'record' | 'replay'): Promise<unknown[]> => {
    const c = api(crm.origin)
    await using tape = await cassette(path, { mode })
    await using h = await harness({ use: [c], cassette: tape, secrets })
    const got: unknown[] = []
    for await (const item of h.app.each(c.feed, undefined)) got.push(item)
    return got
  }
  assert.deepEqual(await read('record'), [person(1)])
  const text = readFileSync(path, 'utf8')
  for (const canary of canaries) assert.ok(!text.includes(canary), canary)
  assert.equal(((await read('replay')) as { id: string }[])[0]!.id, 'p1')
  assert.equal(crm.requests, 1)
})

test('a request that is not on the tape, or too often, or other, is refused and says why', async (t) => {
  const [path, crm] = [file(t), await server(t)]
  crm.answer = () => [200, person(1)]
  await play(path, crm.origin, { mode: 'record' }, '2026-01-01')
  const c = api(crm.origin)
  await using tape = await cassette(path, { mode: 'replay' })
  await using h = await harness({ use: [c], cassette: tape, secrets })
  const refused = (call: Promise<unknown>, why: RegExp): Promise<void> =>
    assert.rejects(call, (e) => isFault(e, 'cassette.unmatched') && why.test(e.message))
  await refused(h.call(c.list, { email: 'x', page: 3 }), /no such request/)
  // Without the rule that lets it vary.
  await refused(h.call(c.add, { email: 'x', at: 'now', card: '1' }), /another than the recorded/)
  await h.call(c.list, { email: 'whoever', page: 1 })
  await refused(h.call(c.list, { email: 'whoever', page: 1 }), /more often than recorded \(1\)/)
  assert.deepEqual(
    tape.unused.map((line) => line.replace(crm.origin, '')),
    ['POST /people', 'GET /people?email=[masked]&page=2'],
  )
})

test('a fresh recording is compared with the old one: shapes and statuses, not values', async (t) => {
  const [path, crm] = [file(t), await server(t)]
  crm.answer = (url) => (url.includes('?') ? [200, [person(1)]] : [201, person(1)])
  await play(path, crm.origin, { mode: 'record' }, '2026-01-01')
  const before = readFileSync(path, 'utf8')
  crm.answer = (url) => (url.includes('?') ? [200, [person(7), person(8)]] : [201, { ...person(9), id: 'p9' }])
  await play(path, crm.origin, { mode: 'compare' }, '2026-03-03')
  crm.answer = (url) =>
    url.includes('page=2')
      ? [410, {}]
      : url.includes('?')
        ? [200, [{ ...person(7), tags: 'a', extra: 1 }]]
        : [201, person(9)]
  await assert.rejects(play(path, crm.origin, { mode: 'compare' }, '2026-03-03'), (e) => {
    assert.ok(isFault(e, 'cassette.changed'))
    assert.deepEqual(
      (e.detail['changes'] as { request: string; changes: string[] }[]).map((c) => [
        c.request.replace(crm.origin, ''),
        c.changes,
      ]),
      [
        ['GET /people?email=[masked]&page=1', ['[].tags: was list, is string', '[].extra: is new']],
        ['GET /people?email=[masked]&page=2', ['was answered 200, is answered 410']],
      ],
    )
    return true
  })
  assert.equal(readFileSync(path, 'utf8'), before)
})

test('no tape, one that is too old, and one that is none are told apart', async (t) => {
  const path = file(t)
  await assert.rejects(cassette(path, { mode: 'replay' }), (e) => isFault(e, 'cassette.missing'))
  writeFileSync(path, JSON.stringify({ version: 1, recorded: '2020-01-01T00:00:00Z', exchanges: [] }))
  await assert.rejects(cassette(path, { mode: 'replay' }), (e) => isFault(e, 'cassette.expired'))
  await (await cassette(path, { mode: 'replay', expires: 'never' })).end()
  for (const text of [
    '{',
    '[]',
    '{"version":2,"recorded":"2026-01-01","exchanges":[]}',
    '{"version":1,"recorded":"x","exchanges":[]}',
  ]) {
    writeFileSync(path, text)
    await assert.rejects(cassette(path, { mode: 'replay' }), (e) => isFault(e, 'cassette.file'), text)
  }
  await assert.rejects(cassette(path, { mode: 'rewind' as 'replay' }), (e) => isFault(e, 'config.option'))
})
