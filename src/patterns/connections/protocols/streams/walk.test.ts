import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { fairlead } from '#app/fairlead.ts'
import { isFault, type Fault } from '#kernel/fault.ts'
import { secret } from '#kernel/secret.ts'
import { cut, hang, harness, refused, reply, stream, type Harness } from '#testing/index.ts'
import { bearer } from '../../auth/bearer.ts'
import { connection } from '../../define.ts'
import type { CallRecord } from '../../records/record.ts'

const Change = z.object({ id: z.number() })
const feed = connection('feed', {
  baseUrl: 'https://feed.test',
  auth: bearer(secret('FEED_KEY')),
  retry: { attempts: 1, first: '1s', jitter: 'none' },
  operations: {
    changes: {
      http: 'GET /changes',
      input: z.object({ since: z.string().optional() }),
      output: z.object({ event: z.string(), id: z.string(), data: Change }),
      stream: 'sse',
    },
    lines: { http: 'GET /export', output: Change, stream: 'ndjson' },
    texts: { http: 'GET /texts', stream: { as: 'ndjson', maxItem: 20 }, answer: 'text' },
    complete: {
      http: 'POST /complete',
      input: z.object({ prompt: z.string() }),
      output: z.object({ data: z.object({ token: z.string() }) }).transform((e) => e.data.token),
      stream: { as: 'sse', end: '[DONE]' },
    },
    raw: { http: 'GET /raw', stream: { as: 'sse', reconnect: false, idle: '30s' }, answer: 'text' },
  },
})

const setup = (): Promise<Harness> => harness({ use: [feed] })

/** Reads to the end in the background, so that time can be moved. */
function read(items: AsyncIterable<unknown>): { items: unknown[]; ended: Promise<Fault | undefined> } {
  const got: unknown[] = []
  const ended = (async () => {
    try {
      for await (const item of items) got.push(item)
      return undefined
    } catch (e) {
      assert.ok(isFault(e), String(e))
      return e
    }
  })()
  return { items: got, ended }
}
const ids = (items: readonly unknown[]): unknown[] => items.map((i) => (i as { data: { id: number } }).data.id)
const headers = (t: Harness, n: number): Readonly<Record<string, string>> => t.requests(feed.changes)[n]!.headers

test('gives lines as validated items, skips blank ones, and takes a last line without an end', async () => {
  await using t = await setup()
  t.answer(feed.lines, stream('{"id":1}\r\n\n  \n{"id"', ':2}\n{"id":3}'))
  const r = read(t.app.each(feed.lines, undefined))
  assert.deepEqual([await r.ended, r.items], [undefined, [{ id: 1 }, { id: 2 }, { id: 3 }]])
  const sent = t.requests(feed.lines)[0]!
  assert.match(sent.headers['accept']!, /^application\/x-ndjson/)
})

test('gives what came before a bad line, then says which one it was, and quotes nothing of it', async () => {
  await using t = await setup()
  const bad: [string | Uint8Array, string][] = [
    ['{"id":1}\n{"id":2}\nhunter2\n{"id":4}\n', 'json'],
    ['{"id":1}\n{"id":2}\n{"id":3', 'json'],
    ['{"id":1}\n{"id":2}\n{"id":"hunter2"}\n', 'shape'],
    ['{"id":1}\n{"id":2}\n{"__proto__":{"id":3}}\n', 'json'],
    [new Uint8Array([...new TextEncoder().encode('{"id":1}\n{"id":2}\n"'), 0xc3, 0x28, 0x22, 10]), 'json'],
    [`{"id":1}\n{"id":2}\n"${'x'.repeat(1_048_576)}"\n`, 'too-large'],
  ]
  for (const [text, reason] of bad) {
    t.answer(feed.lines, stream(text))
    const r = read(t.app.each(feed.lines, undefined))
    const f = await r.ended
    assert.ok(isFault(f, 'connection.response'), JSON.stringify(f))
    assert.deepEqual([f.detail['reason'], r.items], [reason, [{ id: 1 }, { id: 2 }]])
    if (reason === 'json') assert.equal(f.detail['item'], 3)
    assert.ok(!JSON.stringify(f).includes('hunter2'))
  }
  const [record] = await t.app.operations.calls({})
  assert.equal(record!.outcome, 'connection.response')
})

test('text lines are bounded, and must be UTF-8', async () => {
  await using t = await setup()
  t.answer(feed.texts, stream('one\r\nzwei ä\n'))
  const r = read(t.app.each(feed.texts, undefined))
  assert.deepEqual([await r.ended, r.items], [undefined, ['one', 'zwei ä']])
  for (const [part, reason] of [
    [new Uint8Array([0xff, 10]), 'encoding'],
    ['x'.repeat(21), 'too-large'],
  ] as const) {
    t.answer(feed.texts, stream('one\n', part))
    const bad = read(t.app.each(feed.texts, undefined))
    const f = await bad.ended
    assert.deepEqual([f?.code, f?.detail['reason'], bad.items], ['connection.response', reason, ['one']])
  }
})

test('lines that break off throw the break after what came before it, and are not asked for again', async () => {
  await using t = await setup()
  t.answer(feed.lines, stream({ id: 1 }, '{"id":', cut))
  const r = read(t.app.each(feed.lines, undefined))
  const f = await r.ended
  assert.deepEqual([f?.code, f?.detail['connection'], r.items], ['connection.cut', 'feed', [{ id: 1 }]])
  assert.equal(t.requests(feed.lines).length, 1)
})

test('opening a stream is a call: input checked, credential sent, retried, refused with its fault', async () => {
  await using t = await setup()
  t.answer(feed.changes, reply(503), reply(404))
  const r = read(t.app.each(feed.changes, { since: 'now' }))
  await t.advance('5s')
  assert.equal((await r.ended)?.code, 'connection.not_found')
  const [first] = t.requests(feed.changes)
  assert.equal(first!.path, '/changes?since=now')
  assert.deepEqual([first!.headers['accept'], first!.headers['cache-control']], ['text/event-stream', 'no-store'])
  assert.match(first!.headers['authorization']!, /^Bearer /)
  const wrong = read(t.app.each(feed.changes, { since: 1 } as never))
  assert.equal((await wrong.ended)?.code, 'schema.invalid')
  assert.equal(t.requests(feed.changes).length, 2)
})

test('opens events again where they broke off: last id named, after the time that the stream asked for', async () => {
  await using t = await setup()
  t.answer(
    feed.changes,
    stream('retry: 8000\nid: ä1\ndata: {"id":1}\n\nid: half\ndata: {"id":', cut),
    stream('data: {"id":2}\n\n'),
    reply(204),
  )
  const r = read(t.app.each(feed.changes, {}))
  await t.advance('7999ms')
  assert.equal(t.requests(feed.changes).length, 1)
  assert.equal(headers(t, 0)['last-event-id'], undefined)
  await t.advance('2001ms')
  assert.equal(headers(t, 1)['last-event-id'], 'Ã¤1', 'UTF-8, byte for byte')
  await t.advance('10s')
  assert.deepEqual([await r.ended, ids(r.items)], [undefined, [1, 2]])
  assert.deepEqual(
    r.items.map((i) => (i as { id: string }).id),
    ['ä1', 'ä1'],
  )
  assert.equal(t.requests(feed.changes).length, 3, '204 ends it')
})

test('what the stream asks for as its retry is kept within 100 ms and a minute', async () => {
  await using t = await setup()
  t.answer(
    feed.changes,
    stream('retry: 0\ndata: {"id":1}\n\n'),
    stream('retry: 999999999\ndata: {"id":1}\n\n'),
    reply(204),
  )
  const r = read(t.app.each(feed.changes, {}))
  await t.advance('99ms')
  assert.equal(t.requests(feed.changes).length, 1)
  await t.advance('26ms')
  assert.equal(t.requests(feed.changes).length, 2)
  await t.advance('59s')
  assert.equal(t.requests(feed.changes).length, 2)
  await t.advance('16s')
  assert.equal(await r.ended, undefined)
})

test('backs off while opening brings nothing, through the breaker, and gives up when its patience is over', async () => {
  await using t = await setup()
  t.answer(feed.changes, stream({ id: 1 }, cut), refused)
  const r = read(t.app.each(feed.changes, {}))
  await t.advance('9m')
  const tries = t.requests(feed.changes).length
  assert.ok(tries > 8 && tries < 45, `${tries} openings in 9 minutes`)
  assert.ok(t.logged.some((l) => l.event === 'connection.breaker'))
  await t.advance('2m')
  const f = await r.ended
  assert.ok(f?.code === 'connection.unreachable' || f?.code === 'connection.breaker_open', JSON.stringify(f))
  assert.deepEqual(ids(r.items), [1])
})

test('a long silence breaks a stream, a comment is a sign of life', async () => {
  await using t = await setup()
  t.answer(feed.raw, stream(': ping\n\ndata: a\n\n', hang))
  const r = read(t.app.each(feed.raw, undefined))
  await t.advance('29s')
  assert.deepEqual(r.items, [{ event: 'message', id: '', data: 'a' }])
  await t.advance('1s')
  assert.equal((await r.ended)?.code, 'connection.timeout')
})

test('refuses events under another content type, and in a coding that was not asked for', async () => {
  await using t = await setup()
  for (const [head, reason] of [
    [{ 'content-type': 'text/html' }, 'media-type'],
    [{ 'content-type': 'text/event-streams' }, 'media-type'],
    [{ 'content-encoding': 'gzip' }, 'encoding'],
  ] as const) {
    t.answer(feed.raw, { ...stream('data: a\n\n'), headers: head })
    const r = read(t.app.each(feed.raw, undefined))
    const f = await r.ended
    assert.deepEqual([f?.code, f?.detail['reason'], r.items], ['connection.response', reason, []])
  }
  t.answer(feed.raw, { ...stream('data: a\n\n'), headers: { 'content-type': 'Text/Event-Stream ; charset=utf-8' } })
  assert.equal(await read(t.app.each(feed.raw, undefined)).ended, undefined)
})

test('a stream that answers a POST ends at its last word or with the connection, and is not begun again', async () => {
  await using t = await setup()
  t.answer(feed.complete, stream({ token: 'a' }, { token: 'b' }, 'data: [DONE]\n\ndata: never\n\n'))
  assert.deepEqual(await t.app.call(feed.complete, { prompt: 'p' }), ['a', 'b'])
  t.answer(feed.complete, stream({ token: 'a' }))
  assert.deepEqual(await t.app.call(feed.complete, { prompt: 'p' }), ['a'])
  t.answer(feed.complete, stream({ token: 'a' }, cut))
  await assert.rejects(t.app.call(feed.complete, { prompt: 'p' }), (e) => isFault(e, 'connection.cut'))
  assert.equal(t.requests(feed.complete).length, 3)
})

test('a reader that stops ends the request, and its record shows what had come, masked', async () => {
  await using t = await setup()
  t.answer(
    feed.complete,
    stream({ token: 'sk_live_canary_1234567890' }, 'data: {"token":"x","password":"hunter2"}\n\n', hang),
  )
  for await (const token of t.app.each(feed.complete, { prompt: 'p' })) if (token === 'x') break
  const [record] = await t.app.operations.calls({})
  assert.deepEqual([record!.operation, record!.outcome, record!.status], ['complete', 'ok', 200])
  assert.match((record as unknown as CallRecord).response!.body!, /data: \{"token":"\[masked\]"/)
  assert.ok(!JSON.stringify(record).includes('hunter2'))
  assert.ok(!JSON.stringify(record).includes('canary'))
})

test('a stream that a rule refuses by its head is not left open', async () => {
  let stopped = 0
  const chunks = {
    next: () => Promise.reject(new Error('nobody reads it')),
    return: () => Promise.resolve({ done: true as const, value: void stopped++ }),
    [Symbol.asyncIterator]: () => chunks,
  }
  const headers = { 'content-type': 'text/event-stream', 'x-maintenance': 'yes' }
  const http = {
    send: () => Promise.reject(new Error('nothing is sent whole')),
    stream: () => Promise.resolve({ status: 200, headers, phases: { total: 0 }, chunks }),
  }
  const ruled = connection('ruled', {
    baseUrl: 'https://feed.test',
    rules: [{ header: 'x-maintenance', means: 'rejected' }],
    operations: { events: { http: 'GET /events', stream: 'sse' } },
  })
  await using app = await fairlead({ use: [ruled] }, { http })
  const r = read(app.each(ruled.events, undefined))
  assert.deepEqual([(await r.ended)?.code, stopped], ['connection.rejected', 1])
})

test('stops at the signal, also while it waits to open again', async () => {
  await using t = await setup()
  for (const parts of [
    [{ id: 1 }, hang],
    [{ id: 1 }, cut],
  ]) {
    t.answer(feed.changes, stream(...parts), refused)
    const stop = new AbortController()
    const r = read(t.app.each(feed.changes, {}, { signal: stop.signal }))
    await t.advance('1s')
    stop.abort()
    assert.equal((await r.ended)?.code, 'cancelled')
    assert.deepEqual(ids(r.items), [1])
  }
})

test('ends with the deadline of its caller, streaming or waiting', async () => {
  await using t = await setup()
  t.answer(feed.changes, stream({ id: 1 }, hang))
  const streaming = read(t.app.each(feed.changes, {}, { timeout: '20s' }))
  await t.advance('20s')
  assert.equal((await streaming.ended)?.code, 'connection.timeout')
  t.answer(feed.changes, stream({ id: 1 }, cut), refused)
  const waiting = read(t.app.each(feed.changes, {}, { timeout: '2s' }))
  await t.advance('2s')
  assert.equal((await waiting.ended)?.code, 'connection.cut')
})

test('refuses at start what a stream cannot be, all at once', async () => {
  const wrong = connection('wrong', {
    baseUrl: 'https://feed.test',
    operations: {
      a: { http: 'GET /a', stream: 'xml' as never },
      b: { http: 'GET /b', stream: { as: 'ndjson', end: 'x', reconnect: '1m' } },
      c: { http: 'POST /c', stream: { as: 'sse', reconnect: '1m', idle: '0s' }, answer: 'bytes', pages: 'cursor' },
      d: { http: 'GET /d', stream: { as: 'sse', maxItem: 0, every: 1 } as never },
    },
  })
  const error: unknown = await fairlead({ use: [wrong] }).then(
    () => assert.fail('it started'),
    (e: unknown) => e,
  )
  assert.ok(isFault(error, 'config.invalid'))
  const at = (error.detail['problems'] as { path: string }[]).map((p) =>
    p.path.replace('connection(wrong).operations.', ''),
  )
  assert.deepEqual(at.toSorted(), [
    'a.stream',
    'b.stream.end',
    'b.stream.reconnect',
    'c.stream',
    'c.stream',
    'c.stream.idle',
    'c.stream.reconnect',
    'd.stream.every',
    'd.stream.maxItem',
  ])
})
