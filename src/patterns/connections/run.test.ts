import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fault, type Fault } from '#kernel/fault.ts'
import { secret } from '#kernel/secret.ts'
import { settle } from '#testing/clock.ts'
import { apiKey } from './auth/api-key.ts'
import { bytes, canary, json, order, paid, setup } from './scripted.test.ts'

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
  assert.deepEqual(
    [timeouts, maxBytes],
    [{ connect: 3_000, firstByte: 10_000, idle: 10_000, total: 29_999 }, 8_388_608],
  )
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

test('takes a number that came as text for the number that it is, counts it and tells of it once', async () => {
  const t = setup()
  t.reply(json(200, { id: 'ch_1', amount: '990' }), json(200, { id: 17, amount: '990' }), json(200, paid))
  assert.deepEqual(await t.open.call(t.api.charge, order), paid)
  assert.deepEqual(await t.open.call(t.api.charge, order), { id: '17', amount: 990 })
  assert.deepEqual(await t.open.call(t.api.charge, order), paid)
  assert.equal(t.open.state().counters.coerced, 2)
  assert.deepEqual(t.logs, ['connection.coerced', 'connection.coerced'])
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

test('puts the cursor into a place within the body', async () => {
  const t = setup()
  t.reply(json(200, { rows: [1], page: { next: 'c' } }), json(200, { rows: [2], page: {} }))
  const items: unknown[] = []
  for await (const item of t.open.each(t.api.nested, { q: 'x', page: { size: 1 } })) items.push(item)
  assert.deepEqual(items, [1, 2])
  assert.deepEqual(
    t.sent.map((r) => r.body),
    ['{"q":"x","page":{"size":1}}', '{"q":"x","page":{"size":1,"after":"c"}}'],
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
    fellBack: 0,
    coerced: 0,
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
