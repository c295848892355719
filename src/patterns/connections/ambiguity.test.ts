import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fault, type Fault } from '#kernel/fault.ts'
import { json, order, paid, setup } from './scripted.test.ts'

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
