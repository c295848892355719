import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as z from 'zod'
import { fault, isFault, type Fault } from '#kernel/fault.ts'
import type { HttpRequest, HttpResponse } from '#kernel/http.ts'
import { uuid7 } from '#kernel/id.ts'
import { redactor } from '#kernel/redact.ts'
import { secret, SecretValue } from '#kernel/secret.ts'
import { settle, virtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { apiKey, bearer } from './auth.ts'
import { checkConnection } from './check.ts'
import { connection, type ConnectionOptions } from './define.ts'
import type { CallRecord, EndedCall } from './record.ts'
import { openConnection, type OpenConnection } from './run.ts'

const canary = 'sk_canary_5f3759df'
const Charge = z.object({ id: z.string(), amount: z.number() })
const NewCharge = z.object({ order: z.string(), amount: z.number() })
const paid = { id: 'ch_1', amount: 990 }
const order = { order: 'o1', amount: 990 }

const define = (options: Partial<ConnectionOptions> = {}) =>
  connection('payments', {
    baseUrl: 'https://api.payments.test/v1',
    auth: bearer(secret('PAYMENTS_KEY')),
    retry: { attempts: 2, first: '1s', jitter: 'none' },
    ...options,
    operations: {
      charge: { http: 'POST /charges', input: NewCharge, output: Charge, idempotent: 'key' },
      plain: { http: 'POST /charges', input: NewCharge, output: Charge },
      verified: {
        http: 'POST /charges',
        input: NewCharge,
        output: Charge,
        verify: {
          call: 'list',
          input: (c) => ({ order: c.order }),
          found: (page, c) => page.items.find((x) => x.amount === c.amount),
        },
      },
      list: {
        http: 'GET /charges',
        input: z.object({ order: z.string().optional() }),
        output: z.object({ items: z.array(Charge), next: z.string().optional() }),
        pages: 'cursor',
      },
      linked: { http: 'GET /linked', output: z.array(z.number()), pages: 'link' },
      remove: { http: 'DELETE /charges/:id', input: z.object({ id: z.string() }) },
      search: { http: 'POST /search', idempotent: 'natural', pages: 'cursor' },
      bad: { http: 'POST /bad', output: Charge, idempotent: 'key', timeout: '2s' },
    },
  })

test('sends what the input schema made of the input, and gives what the output schema made of the answer', async () => {
  const t = setup()
  t.reply(json(201, { ...paid, extra: true }))
  assert.deepEqual(await t.open.call(t.api.charge, { ...order, extra: 1 } as never, { key: 'k-1' }), paid)
  const { method, origin, path, headers, body, pool, timeouts, maxBytes } = t.sent[0]!
  assert.deepEqual(
    [method, origin, path, body, pool],
    ['POST', 'https://api.payments.test', '/v1/charges', JSON.stringify(order), 'payments'],
  )
  assert.deepEqual(headers, {
    accept: 'application/json',
    'accept-encoding': 'identity',
    'user-agent': 'fairlead',
    'content-type': 'application/json',
    authorization: `Bearer ${canary}`,
    'idempotency-key': 'k-1',
  })
  assert.deepEqual([timeouts, maxBytes], [{ connect: 3_000, firstByte: 10_000, total: 29_999 }, 8_388_608])
})

test('refuses a wrong input before anything is sent', async () => {
  const t = setup()
  const f = await t.fails(t.open.call(t.api.charge, { order: 'o1', amount: 'canary' } as never), 'schema.invalid')
  assert.equal((f.detail['issues'] as { path: string }[])[0]!.path, 'amount')
  await t.fails(t.open.call(t.api.charge, order, { key: 'a\nb' }), 'schema.invalid')
  await t.fails(
    t.open.call({ kind: 'operation', connection: 'payments', name: 'nothing' }, {} as never),
    'connection.operation',
  )
  assert.deepEqual([t.sent.length, t.records.length, t.open.state().counters.refused], [0, 0, 2])
})

test('refuses an answer of another shape without repeating the call, and without quoting the answer', async () => {
  const t = setup()
  t.reply(json(200, { id: 'hunter2', amount: 'hunter2' }))
  const f = await t.fails(t.open.call(t.api.charge, order), 'connection.response')
  assert.equal(f.detail['reason'], 'shape')
  assert.deepEqual(
    (f.detail['issues'] as { path: string }[]).map((i) => i.path),
    ['amount'],
  )
  assert.ok(!JSON.stringify(f).includes('hunter2'))
  t.reply({ ...json(200, {}), body: bytes('<html>hunter2</html>') })
  assert.equal((await t.fails(t.open.call(t.api.plain, order), 'connection.response')).detail['reason'], 'json')
  t.reply({ ...json(200, {}), headers: { 'content-encoding': 'gzip' } })
  assert.equal((await t.fails(t.open.call(t.api.plain, order), 'connection.response')).detail['reason'], 'encoding')
  assert.equal(t.sent.length, 3)
})

test('repeats a 500 under the same key; another call has another key', async () => {
  const t = setup()
  t.reply(json(500, {}), json(502, {}), json(200, paid), json(200, paid))
  const first = t.open.call(t.api.charge, order)
  await t.clock.advance(3_000)
  assert.deepEqual(await first, paid)
  await t.open.call(t.api.charge, order)
  const keys = t.sent.map((r) => r.headers['idempotency-key'])
  assert.deepEqual([keys[0] === keys[1], keys[1] === keys[2], keys[2] === keys[3]], [true, true, false])
  assert.deepEqual(t.times, [0, 1_000, 3_000, 3_000])
})

test('does not repeat what may have happened without key and verify: a person decides', async () => {
  for (const reply of [
    json(500, {}),
    json(504, {}),
    fault('connection.timeout'),
    fault('connection.cut', { detail: { reused: true } }),
  ]) {
    const t = setup()
    t.reply(reply)
    const f = await t.fails(t.open.call(t.api.plain, order), 'connection.unverified')
    assert.equal(f.kind, 'ambiguous')
    assert.ok(['connection.failed', 'connection.timeout', 'connection.cut'].includes(f.detail['reason'] as string))
    assert.equal(t.sent.length, 1)
  }
})

test('repeats without key what was never sent or was refused unheard', async () => {
  const t = setup()
  t.reply(fault('connection.unreachable'), json(503, {}), json(200, paid))
  const call = t.open.call(t.api.plain, order)
  await t.clock.advance(3_000)
  assert.deepEqual(await call, paid)
  assert.equal('idempotency-key' in t.sent[0]!.headers, false)
})

test('asks the declared read before repeating, and takes what it finds as the answer', async () => {
  const t = setup()
  t.reply(fault('connection.timeout'), json(200, { items: [{ id: 'other', amount: 1 }, paid] }))
  const call = t.open.call(t.api.verified, order)
  await t.clock.advance(1_000)
  assert.deepEqual(await call, paid)
  assert.deepEqual(t.lines(), ['POST /v1/charges', 'GET /v1/charges?order=o1'])
  assert.equal(t.open.state().counters.verified, 1)
  assert.deepEqual(
    t.records[0]!.attempts.map((a) => a.purpose ?? 'call'),
    ['call', 'verify'],
  )
  assert.deepEqual([t.records[0]!.method, t.records[0]!.path, t.records[0]!.outcome], ['POST', '/v1/charges', 'ok'])
})

test('repeats when the read finds nothing, or is answered 404', async () => {
  for (const nothing of [json(200, { items: [] }), json(404, {})]) {
    const t = setup()
    t.reply(json(500, {}), nothing, json(200, paid))
    const call = t.open.call(t.api.verified, order)
    await t.clock.advance(1_000)
    assert.deepEqual(await call, paid)
    assert.deepEqual(t.lines(), ['POST /v1/charges', 'GET /v1/charges?order=o1', 'POST /v1/charges'])
  }
})

test('does not repeat while the read itself fails', async () => {
  const t = setup()
  t.reply(json(500, {}), json(503, {}), json(503, {}), json(503, {}))
  const call = t.fails(t.open.call(t.api.verified, order), 'connection.failed')
  await t.clock.advance(10_000)
  const f = await call
  assert.equal(f.detail['last'], 'connection.unavailable')
  assert.equal(t.sent.filter((r) => r.method === 'POST').length, 1)
})

test('asks once more when no repetition is left', async () => {
  const t = setup({ retry: false })
  t.reply(fault('connection.cut'), json(200, { items: [paid] }))
  assert.deepEqual(await t.open.call(t.api.verified, order), paid)
  t.reply(fault('connection.cut'), json(200, { items: [] }))
  await t.fails(t.open.call(t.api.verified, order), 'connection.cut')
})

test('asks first when a handling before this one may have made the call', async () => {
  const t = setup()
  t.reply(json(200, { items: [paid] }))
  assert.deepEqual(await t.open.call(t.api.verified, order, { attempt: 2 }), paid)
  assert.deepEqual(t.lines(), ['GET /v1/charges?order=o1'])
  t.reply(json(200, { items: [] }), json(200, paid))
  assert.deepEqual(await t.open.call(t.api.verified, order, { attempt: 2 }), paid)
  assert.equal(t.sent.length, 3)
})

test('holds every call of the connection for as long as one was told to wait', async () => {
  const t = setup({ timeout: '2m' })
  t.reply({ ...json(429, {}), headers: { 'retry-after': '30' } }, json(200, paid), json(200, paid))
  const first = t.open.call(t.api.charge, order)
  await settle()
  const second = t.open.call(t.api.plain, order)
  await t.clock.advance(29_999)
  assert.equal(t.sent.length, 1)
  assert.equal(t.open.state().coolUntil, new Date(t.clock.now() + 1).toISOString())
  await t.clock.advance(10_000)
  assert.deepEqual(await Promise.all([first, second]), [paid, paid])
})

test('gives the wait back at once when it does not fit the deadline', async () => {
  const t = setup()
  t.reply({ ...json(429, {}), headers: { 'retry-after': '300' } })
  const f = await t.fails(t.open.call(t.api.charge, order, { key: 'k' }), 'connection.throttled')
  assert.equal(f.retryAfter, 300_000)
  const next = await t.fails(t.open.call(t.api.charge, order, { key: 'k' }), 'connection.limited')
  assert.equal(next.retryAfter, 300_000)
  assert.equal(t.sent.length, 1)
})

test('does not wait for a repetition that the deadline would not allow', async () => {
  const t = setup()
  t.reply(json(503, {}))
  await t.fails(t.open.call(t.api.charge, order, { deadline: t.clock.mono() + 900 }), 'connection.unavailable')
  assert.equal(t.clock.mono(), 0)
  await t.fails(t.open.call(t.api.charge, order, { deadline: t.clock.mono() }), 'connection.deadline')
  assert.equal(t.sent.length, 1)
})

test('ends at the total time, and says that it may have happened', async () => {
  const t = setup()
  t.reply('hang')
  const call = t.fails(t.open.call(t.api.bad, {}), 'connection.timeout')
  await t.clock.advance(2_000)
  assert.equal((await call).kind, 'ambiguous')
  assert.equal(t.records[0]!.outcome, 'connection.timeout')
  assert.equal(t.clock.armed <= 1, true)
})

test('ends at the total time also when the transport does not, and still knows that it was sent', async () => {
  const t = setup()
  t.reply('deaf', 'deaf')
  const keyed = t.fails(t.open.call(t.api.charge, order), 'connection.timeout')
  const plain = t.fails(t.open.call(t.api.plain, order), 'connection.unverified')
  await t.clock.advance(30_000)
  await Promise.all([keyed, plain])
})

test('opens the breaker after five failures, refuses without sending, and probes once', async () => {
  const t = setup({ retry: false })
  t.reply(...Array.from({ length: 5 }, () => fault('connection.unreachable')))
  for (let i = 0; i < 5; i++) await t.fails(t.open.call(t.api.plain, order), 'connection.unreachable')
  const f = await t.fails(t.open.call(t.api.plain, order), 'connection.breaker_open')
  assert.deepEqual([f.kind, f.detail['connection'], f.retryAfter], ['transient', 'payments', 30_000])
  assert.deepEqual(
    [t.open.state().breaker, t.open.state().openUntil],
    ['open', new Date(t.clock.now() + 30_000).toISOString()],
  )
  assert.deepEqual(t.logs, ['connection.breaker'])
  await t.clock.advance(30_000)
  t.reply('hang')
  const probe = t.open.call(t.api.plain, order).catch(() => undefined)
  await settle()
  await t.fails(t.open.call(t.api.plain, order), 'connection.breaker_open')
  assert.equal(t.sent.length, 6)
  t.release(json(200, paid))
  assert.deepEqual(await probe, paid)
  t.reply(json(200, paid))
  await t.open.call(t.api.plain, order)
  assert.equal(t.open.state().breaker, 'closed')
})

test('an answer that refuses or has another shape does not open the breaker', async () => {
  const t = setup({ retry: false })
  t.reply(...Array.from({ length: 10 }, () => json(422, {})), ...Array.from({ length: 10 }, () => json(200, { id: 1 })))
  for (let i = 0; i < 20; i++) await t.open.call(t.api.plain, order).catch(() => undefined)
  assert.equal(t.open.state().breaker, 'closed')
})

test('does not send what waited in the bulkhead while the breaker opened', async () => {
  const t = setup({ retry: false, bulkhead: { concurrent: 5, waiting: 50 } })
  t.reply(...Array.from({ length: 9 }, () => 'hang' as const))
  const calls = Array.from({ length: 30 }, () => t.open.call(t.api.plain, order).catch((e: Fault) => e.code))
  await settle()
  // The first four failures let four more in; the fifth opens the breaker.
  for (let i = 0; i < 9; i++) {
    t.release(fault('connection.unreachable'))
    await settle()
  }
  const outcomes = (await Promise.all(calls)) as string[]
  assert.equal(t.sent.length, 9)
  assert.equal(outcomes.filter((code) => code === 'connection.breaker_open').length, 21)
})

test('refuses more than its bulkhead and its limit take', async () => {
  const t = setup({ retry: false, bulkhead: { concurrent: 1, waiting: 1 } })
  t.reply('hang', json(200, paid))
  const first = t.open.call(t.api.plain, order)
  const second = t.open.call(t.api.plain, order)
  await settle()
  assert.deepEqual([t.open.state().running, t.open.state().waiting], [1, 1])
  await t.fails(t.open.call(t.api.plain, order), 'connection.overloaded')
  t.release(json(200, paid))
  await Promise.all([first, second])

  const l = setup({ retry: false, limit: '1/h' })
  l.reply(json(200, paid))
  await l.open.call(l.api.plain, order)
  assert.ok((await l.fails(l.open.call(l.api.plain, order), 'connection.limited')).retryAfter! > 3_000_000)
})

test('keeps to what their headers say is left', async () => {
  const t = setup({ retry: false, limit: '1000/s' })
  t.reply({ ...json(200, paid), headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '20' } }, json(200, paid))
  await t.open.call(t.api.plain, order)
  const next = t.open.call(t.api.plain, order)
  await t.clock.advance(19_999)
  assert.equal(t.sent.length, 1)
  await t.clock.advance(1_000)
  await next
})

test('a 401 is answered with the other current secret once, then the work is for its owner', async () => {
  const t = setup({}, ['newest-secret', canary])
  t.reply(json(401, {}), json(200, paid))
  assert.deepEqual(await t.open.call(t.api.plain, order), paid)
  assert.deepEqual(
    t.sent.map((r) => r.headers['authorization']),
    ['Bearer newest-secret', `Bearer ${canary}`],
  )
  assert.equal(t.open.state().credential, 'accepted')
  t.reply(json(401, {}), json(401, {}))
  const f = await t.fails(t.open.call(t.api.plain, order), 'connection.credential')
  assert.equal(f.kind, 'credential')
  assert.equal(t.sent.length, 4)
  assert.equal(t.open.state().credential, 'refused')
})

test('a secret that was rotated is used with the next call', async () => {
  const t = setup()
  t.reply(json(200, paid), json(200, paid))
  await t.open.call(t.api.plain, order)
  t.secrets.splice(0, 1, 'rotated-secret')
  await t.open.call(t.api.plain, order)
  assert.equal(t.sent[1]!.headers['authorization'], 'Bearer rotated-secret')
})

test('repeats at once, without a retry, what went to a socket that had been closed', async () => {
  const t = setup({ retry: false })
  t.reply(fault('connection.cut', { detail: { reused: true } }), json(200, paid))
  assert.deepEqual(await t.open.call(t.api.charge, order), paid)
  assert.deepEqual(t.times, [0, 0])
  t.reply(fault('connection.cut', { detail: { reused: true } }), fault('connection.cut', { detail: { reused: true } }))
  await t.fails(t.open.call(t.api.charge, order), 'connection.cut')
  assert.equal(t.sent.length, 4)
})

test('a later fault does not hide that the call may have happened, unless the caller can repeat it under his key', async () => {
  const replies = () => [fault('connection.cut'), ...Array.from({ length: 2 }, () => fault('connection.unreachable'))]
  const t = setup()
  t.reply(...replies())
  const own = t.fails(t.open.call(t.api.charge, order), 'connection.cut')
  await t.clock.advance(10_000)
  assert.deepEqual([(await own).kind, (await own).detail['last']], ['ambiguous', 'connection.unreachable'])
  const u = setup()
  u.reply(...replies())
  const theirs = u.fails(u.open.call(u.api.charge, order, { key: 'k' }), 'connection.unreachable')
  await u.clock.advance(10_000)
  await theirs
})

test('a rejection under the same key settles what was uncertain', async () => {
  const t = setup()
  t.reply(fault('connection.cut'), json(422, {}))
  const call = t.fails(t.open.call(t.api.charge, order), 'connection.rejected')
  await t.clock.advance(1_000)
  await call
})

test('a repeated DELETE that finds nothing has worked', async () => {
  const t = setup()
  t.reply(fault('connection.cut'), json(404, { error: 'no such charge' }))
  const call = t.open.call(t.api.remove, { id: 'ch/1' })
  await t.clock.advance(1_000)
  assert.equal(await call, undefined)
  assert.equal(t.sent[0]!.path, '/v1/charges/ch%2F1')
})

test('a rule sees an error inside a 200', async () => {
  const t = setup({ rules: [{ body: (b) => (b as { ok?: boolean }).ok === false, means: 'rejected' }] })
  t.reply(json(200, { ok: false }), json(200, paid))
  await t.fails(t.open.call(t.api.plain, order), 'connection.rejected')
  assert.deepEqual(await t.open.call(t.api.plain, order), paid)
})

test('a refusal whose body was cut is a refusal', async () => {
  const t = setup()
  t.reply(fault('connection.response', { detail: { reason: 'truncated', status: 422 } }))
  await t.fails(t.open.call(t.api.plain, order), 'connection.rejected')
})

test('stops at the signal', async () => {
  const t = setup()
  t.reply('hang')
  const stop = new AbortController()
  const call = t.fails(t.open.call(t.api.plain, order, { signal: stop.signal }), 'cancelled')
  await settle()
  stop.abort()
  await call
  assert.equal(t.sent[0]!.signal?.aborted, true)
})

test('walks a list page after page, asking only for what is used', async () => {
  const t = setup()
  t.reply(json(200, { items: [paid], next: 'c 2' }), json(200, { items: [paid, paid] }))
  const items: unknown[] = []
  for await (const item of t.open.each(t.api.list, { order: 'o1' })) items.push(item)
  assert.equal(items.length, 3)
  assert.deepEqual(t.lines(), ['GET /v1/charges?order=o1', 'GET /v1/charges?order=o1&cursor=c%202'])
  t.reply(json(200, { items: [paid], next: 'c' }))
  for await (const _ of t.open.each(t.api.list, {})) break
  assert.equal(t.sent.length, 3)
})

test('follows links with the credential on the same origin only', async () => {
  const t = setup({ auth: apiKey(secret('PAYMENTS_KEY'), { query: 'key' }) })
  t.reply(
    { ...json(200, [1]), headers: { link: `<?page=2&key=${canary}>; rel=next` } },
    { ...json(200, [2]), headers: { link: '<https://evil.test/>; rel=next' } },
  )
  const items: number[] = []
  const walk = async (): Promise<void> => {
    for await (const item of t.open.each(t.api.linked, {})) items.push(item)
  }
  await t.fails(walk(), 'connection.pages')
  assert.deepEqual(items, [1, 2])
  assert.deepEqual(
    t.sent.map((r) => r.origin + r.path),
    [`https://api.payments.test/v1/linked?key=${canary}`, `https://api.payments.test/v1/linked?page=2&key=${canary}`],
  )
  assert.ok(!JSON.stringify(t.records).includes(canary))
})

test('puts the cursor of a search into its body', async () => {
  const t = setup()
  t.reply(json(200, { rows: [1], next: 'c' }), json(200, { rows: [2] }))
  const items: unknown[] = []
  for await (const item of t.open.each(t.api.search, { q: 'x' })) items.push(item)
  assert.deepEqual(
    t.sent.map((r) => r.body),
    ['{"q":"x"}', '{"q":"x","cursor":"c"}'],
  )
})

test('no secret reaches a record, a fault, a state or a log', async () => {
  const t = setup({ retry: false })
  const echo = {
    ...json(400, { error: `bad key ${canary}`, password: 'hunter2' }),
    headers: { 'x-echo': canary, 'set-cookie': 'hunter2' },
  }
  t.reply(echo, fault('connection.cut', { cause: new Error('x') }), json(200, paid))
  const faults: unknown[] = []
  for (let i = 0; i < 3; i++) await t.open.call(t.api.charge, order).catch((e: unknown) => faults.push(e))
  assert.equal(faults.length, 2)
  const all = JSON.stringify([t.records, faults, t.open.state(), t.logs])
  assert.ok(!all.includes(canary) && !all.includes('hunter2'), all)
  assert.ok(all.includes('bad key [masked]'))
})

test('a record that cannot be written does not lose the answer', async () => {
  const t = setup({}, [canary], () => {
    throw new Error('disk full')
  })
  t.reply(json(200, paid))
  assert.deepEqual(await t.open.call(t.api.plain, order), paid)
  assert.deepEqual(t.logs, ['connection.record'])
})

test('the state is plain JSON and counts', async () => {
  const t = setup()
  t.reply(json(200, paid), json(422, {}), json(500, {}), json(200, paid))
  await t.open.call(t.api.plain, order)
  await t.fails(t.open.call(t.api.plain, order), 'connection.rejected')
  const last = t.open.call(t.api.charge, order)
  await t.clock.advance(1_000)
  await last
  const state = t.open.state()
  assert.deepEqual(JSON.parse(JSON.stringify(state)), state)
  assert.deepEqual(state.counters, {
    calls: 3,
    succeeded: 2,
    failed: 1,
    refused: 0,
    attempts: 4,
    retries: 1,
    verified: 0,
  })
  assert.equal(state.lastFault?.code, 'connection.rejected')
})

test('closing ends what waits and refuses what comes', async () => {
  const t = setup()
  t.reply(json(503, {}))
  const waits = t.fails(t.open.call(t.api.plain, order), 'cancelled')
  await settle()
  t.open.close()
  await waits
  await t.fails(t.open.call(t.api.plain, order), 'cancelled')
  assert.equal(t.clock.armed, 0)
})

/** Their side: what a request does, and what we get to see of it. */
type Fate = 'ok' | 'lost' | 'done-then-cut' | 'done-then-500' | '500' | '503' | '429' | 'hang-done' | 'hang'

test('whatever happens on the way, a charge is made at most once, and the caller is told the truth', async () => {
  const fate = fc.constantFrom<Fate>(
    'ok',
    'lost',
    'done-then-cut',
    'done-then-500',
    '500',
    '503',
    '429',
    'hang-done',
    'hang',
  )
  const scenario = fc.record({
    operation: fc.constantFrom('charge' as const, 'plain' as const, 'verified' as const),
    writes: fc.array(fate, { maxLength: 6 }),
    reads: fc.array(fc.constantFrom('ok' as const, '503' as const, 'cut' as const), { maxLength: 6 }),
  })
  await fc.assert(
    fc.asyncProperty(scenario, async ({ operation, writes, reads }) => {
      let charges = 0
      const byKey = new Set<string>()
      const t = setup({
        timeout: { total: '40s', firstByte: '5s' },
        retry: { attempts: 3, first: '1s', budget: 'none' },
        breaker: { failures: 3 },
      })
      t.server = (request) => {
        if (request.method === 'GET') {
          const read = reads.shift() ?? 'ok'
          if (read === '503') return json(503, {})
          return read === 'cut' ? fault('connection.cut') : json(200, { items: charges > 0 ? [paid] : [] })
        }
        const what = writes.shift() ?? 'ok'
        const key = request.headers['idempotency-key']
        if (['ok', 'done-then-cut', 'done-then-500', 'hang-done'].includes(what) && !(key && byKey.has(key))) {
          charges++
          if (key) byKey.add(key)
        }
        if (what === 'ok') return json(200, paid)
        if (what === 'lost') return fault('connection.unreachable')
        if (what === '503' || what === '429') return json(Number(what), {})
        if (what === 'hang' || what === 'hang-done') return 'hang'
        return what === 'done-then-cut' ? fault('connection.cut') : json(500, {})
      }
      const outcome = t.open.call(t.api[operation], order).then(
        () => 'ok',
        (e: Fault) => e.kind,
      )
      await t.clock.advance(60_000)
      const told = await outcome
      assert.ok(charges <= 1, 'charged twice')
      if (told === 'ok') assert.equal(charges, 1, 'told that it worked')
      else if (told !== 'ambiguous') assert.equal(charges, 0, `told ${told}, which says that nothing happened`)
      t.open.close()
      assert.equal(t.clock.armed, 0)
    }),
    { numRuns: 300 },
  )
})

type Reply = HttpResponse | Fault | 'hang' | 'deaf'

function setup(options: Partial<ConnectionOptions> = {}, secrets: string[] = [canary], record?: () => never) {
  const clock = virtualClock()
  const api = define(options)
  assert.deepEqual(checkConnection(api), [])
  const replies: Reply[] = []
  const held: { resolve: (r: HttpResponse) => void; reject: (f: Fault) => void }[] = []
  const sent: HttpRequest[] = []
  const times: number[] = []
  const records: CallRecord[] = []
  const logs: string[] = []
  const random = seededRandom(7)
  const redact = redactor()
  const http = {
    async send(request: HttpRequest): Promise<HttpResponse> {
      sent.push(request)
      times.push(clock.mono())
      const reply = t.server ? t.server(request) : replies.shift()
      assert.ok(reply, `an unexpected request: ${request.method} ${request.path}`)
      if (reply === 'deaf') return new Promise(() => undefined)
      if (reply === 'hang') return hang(request)
      if (isFault(reply)) throw reply
      return reply
    },
  }
  // As the real transport: gives up at the first of its times, or when somebody releases it.
  const hang = (request: HttpRequest): Promise<HttpResponse> =>
    new Promise((resolve, reject) => {
      const cancel = clock.after(Math.min(request.timeouts.firstByte, request.timeouts.total), () =>
        reject(fault('connection.timeout', { detail: { phase: 'first-byte' } })),
      )
      request.signal?.addEventListener('abort', () => {
        cancel()
        reject(fault('cancelled'))
      })
      held.push({
        resolve: (r) => {
          cancel()
          resolve(r)
        },
        reject: (f) => {
          cancel()
          reject(f)
        },
      })
    })
  const open: OpenConnection = openConnection(api, {
    runtime: {
      clock,
      random,
      ids: uuid7(clock, random),
      http,
      redact,
      log: { write: (_, event) => void logs.push(event) },
      secrets: { read: (name) => Promise.resolve(secrets.map((s) => new SecretValue(name, s))) },
    },
    record: record ?? ((call: EndedCall) => void records.push(call.record())),
  })
  const t = {
    clock,
    api,
    open,
    sent,
    times,
    records,
    logs,
    secrets,
    server: undefined as ((request: HttpRequest) => Reply) | undefined,
    reply: (...more: Reply[]) => void replies.push(...more),
    release(reply: HttpResponse | Fault) {
      const first = held.shift()
      assert.ok(first, 'nothing is held')
      if (isFault(reply)) first.reject(reply)
      else first.resolve(reply)
    },
    lines: () => sent.map((r) => `${r.method} ${r.path}`),
    async fails(work: Promise<unknown>, code: string): Promise<Fault> {
      const error: unknown = await work.then(
        (value) => assert.fail(`expected ${code}, got ${JSON.stringify(value)}`),
        (e: unknown) => e,
      )
      assert.ok(isFault(error, code), `expected ${code}: ${JSON.stringify(error)} ${String(error)}`)
      return error
    },
  }
  return t
}

function json(status: number, body: unknown): HttpResponse {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: bytes(JSON.stringify(body)),
    phases: { total: 1 },
  }
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
