import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Store } from '#adapters/stores/port.ts'
import { openStore } from '#adapters/stores/sqlite/open.fixture.ts'
import { fault, isFault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import { GroupCommit } from '#journal/commit.ts'
import { Intents } from '#journal/intents.ts'
import { HookedStore } from '#journal/world.fixture.ts'
import { settle, virtualClock } from '#testing/clock.ts'
import { json, order, paid, setup } from '../scripted.test.ts'
import type { Intent } from './intent.ts'

const keep = 7 * 86_400_000
const of = { message: 'orders/0/7', key: 'k1' } as const

/** One store, and processes that come one after the other: the clock of one that has died stands still. */
async function world() {
  const store = new HookedStore(await openStore(':memory:', virtualClock()))
  let processes = 0
  return {
    store,
    process(unbound = true) {
      const clock = virtualClock()
      const logged: string[] = []
      const log = { write: (_: unknown, event: string) => void logged.push(event) }
      const commit = new GroupCommit(store, clock)
      const intents = new Intents({ store, clock, log } as unknown as Runtime<Store>, commit, keep)
      const t = setup({ retry: false }, undefined, undefined, {
        clock,
        seed: ++processes,
        intents: { store: intents, unbound },
      })
      return { ...t, t, commit, intents, logged, settled: () => settle().then(() => commit.settled()) }
    },
    async stored(): Promise<Readonly<Record<string, Intent | ''>>> {
      const rows = await store.read({ read: 'keys', prefix: '', now: 0 })
      return Object.fromEntries(rows.map((r) => [r.name, r.value === '' ? '' : (JSON.parse(r.value) as Intent)]))
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}

test('what may change something is on disk before it is sent; what may be repeated freely is never written', async () => {
  await using w = await world()
  const p = w.process()
  const events: string[] = []
  w.store.onCommit = async (units, sync, go) => {
    const outcome = await go()
    events.push(...units.flatMap((u) => u.writes.map((x) => `${sync} ${x.write} ${'name' in x ? x.name : ''}`)))
    return outcome
  }
  p.t.server = (r) => {
    events.push(r.method)
    return json(200, r.method === 'GET' ? { items: [] } : paid)
  }
  for (const name of ['charge', 'plain'] as const) {
    await p.open.call(p.api[name], order, of)
    await p.settled()
    const stored = `put intent/payments/${name}/k1`
    assert.deepEqual(events.splice(0), [`durable ${stored}`, 'POST', `relaxed ${stored}`])
  }
  await p.open.call(p.api.list, {}, of)
  await p.open.call(p.api.search, {}, of)
  await p.open.call(p.api.remove, { id: '1' }, of)
  await p.settled()
  assert.deepEqual(events, ['GET', 'POST', 'DELETE'])
})

test('what was answered is not sent again: its answer is the answer', async () => {
  await using w = await world()
  const first = w.process()
  first.reply(json(200, paid))
  await first.open.call(first.api.plain, order, of)
  await first.settled()
  const second = w.process()
  assert.deepEqual(await second.open.call(second.api.plain, order, of), paid)
  assert.deepEqual([second.sent.length, second.open.state().counters.succeeded], [0, 1])
})

test('an answer that is too long to be kept is asked for again under the same key', async () => {
  await using w = await world()
  const first = w.process()
  const long = { ...paid, note: 'x'.repeat(5_000) }
  first.reply(json(200, long))
  await first.open.call(first.api.charge, order, of)
  await first.settled()
  const second = w.process()
  second.reply(json(200, long))
  assert.deepEqual(await second.open.call(second.api.charge, order, of), paid)
  assert.equal(second.sent[0]!.headers['idempotency-key'], 'k1')
})

/** Processes that died while their call was on its way. */
async function crashed(w: Awaited<ReturnType<typeof world>>, name: 'charge' | 'verified' | 'plain') {
  const dead = w.process()
  dead.reply('hang')
  dead.open.call(dead.api[name], order, of).catch(() => undefined)
  await settle()
  assert.equal(dead.sent.length, 1)
}

test('after a crash in mid-call it is repeated at once under its key', async () => {
  await using w = await world()
  await crashed(w, 'charge')
  const p = w.process()
  p.reply(json(200, paid))
  assert.deepEqual(await p.open.call(p.api.charge, order, of), paid)
  assert.equal(p.sent[0]!.headers['idempotency-key'], 'k1')
})

test('after a crash in mid-call `verify` is asked, and what is not found is sent again only when it must have ended', async () => {
  await using w = await world()
  await crashed(w, 'verified')
  const p = w.process()
  p.reply(json(200, { items: [] }))
  const underway = await p.fails(p.open.call(p.api.verified, order, of), 'connection.underway')
  assert.equal(underway.retryAfter, 30_000)
  await p.settled()
  await p.clock.advance(30_000)
  p.reply(json(200, { items: [] }), json(200, paid))
  assert.deepEqual(await p.open.call(p.api.verified, order, of), paid)
  const lines = ['GET /v1/charges?order=o1', 'GET /v1/charges?order=o1', 'POST /v1/charges']
  assert.deepEqual(p.lines(), lines)
})

test('after a crash in mid-call what `verify` finds is the answer, also at once', async () => {
  await using w = await world()
  await crashed(w, 'verified')
  const p = w.process()
  p.reply(json(200, { items: [paid] }))
  assert.deepEqual(await p.open.call(p.api.verified, order, of), paid)
  await p.settled()
  // Whoever makes it again asks again: what was found is not what they answered, and cannot be parsed as that.
  const again = w.process()
  again.reply(json(200, { items: [paid] }))
  assert.deepEqual(await again.open.call(again.api.verified, order, of), paid)
  assert.deepEqual([...p.lines(), ...again.lines()], ['GET /v1/charges?order=o1', 'GET /v1/charges?order=o1'])
})

test('after a crash in mid-call without key and `verify` a person decides, when it must have ended', async () => {
  await using w = await world()
  await crashed(w, 'plain')
  const p = w.process()
  await p.fails(p.open.call(p.api.plain, order, of), 'connection.underway')
  await p.clock.advance(30_000)
  const f = await p.fails(p.open.call(p.api.plain, order, of), 'connection.unverified')
  assert.deepEqual([f.kind, f.detail['intent'], p.sent.length], ['ambiguous', 'payments/plain/k1', 0])
  await p.settled()
  const left = (await w.stored())['intent/payments/plain/k1'] as Intent
  assert.deepEqual([left.outcome, left.line, left.input], ['unknown', 'POST /v1/charges', JSON.stringify(order)])
  assert.deepEqual(await p.intents.list(), ['payments/plain/k1'])
})

test('what is known to have had no effect is sent again, unasked', async () => {
  for (const refusal of [fault('connection.unreachable'), json(503, {}), json(422, {}), json(401, {})]) {
    await using w = await world()
    for (const name of ['verified', 'plain'] as const) {
      const first = w.process()
      first.reply(refusal, refusal)
      await assert.rejects(first.open.call(first.api[name], order, of))
      await first.settled()
      const second = w.process()
      second.reply(json(200, paid))
      assert.deepEqual(await second.open.call(second.api[name], order, { ...of, attempt: 2 }), paid)
      assert.deepEqual(second.lines(), ['POST /v1/charges'])
      await second.settled()
    }
  }
})

test('the same key with something else to say is refused, unless the first was never accepted', async () => {
  await using w = await world()
  const p = w.process()
  p.reply(json(422, {}), json(200, paid))
  await p.fails(p.open.call(p.api.charge, { ...order, amount: 1 }, of), 'connection.rejected')
  await p.settled()
  assert.deepEqual(await p.open.call(p.api.charge, order, of), paid)
  await p.settled()
  const f = await p.fails(p.open.call(p.api.charge, { ...order, amount: 1 }, of), 'connection.key_reused')
  assert.deepEqual([f.kind, p.sent.length], ['rejected', 2])
  assert.equal(JSON.stringify(f.detail).includes('990'), false)
})

test('of a call without message and key nothing is left, unless nobody knows what came of it', async () => {
  await using w = await world()
  const p = w.process()
  p.reply(json(200, paid), json(422, {}), fault('connection.cut'))
  await p.open.call(p.api.charge, order)
  await p.fails(p.open.call(p.api.charge, order), 'connection.rejected')
  await p.settled()
  assert.deepEqual(await w.stored(), {})
  await p.fails(p.open.call(p.api.charge, order), 'connection.cut')
  await p.settled()
  const [intent, listed] = Object.entries(await w.stored()) as [[string, Intent], [string, '']]
  assert.equal(listed[0], intent[0].replace('intent/', 'unresolved/'))
  assert.deepEqual([intent[1].outcome, intent[1].input, intent[1].begun], ['unknown', JSON.stringify(order), 1])
})

test('a call that is given up while it is on its way may have happened', async () => {
  await using w = await world()
  const p = w.process()
  p.reply('hang')
  const stop = new AbortController()
  const call = p.open.call(p.api.plain, order, { ...of, signal: stop.signal })
  await settle()
  stop.abort()
  await assert.rejects(call, (e) => isFault(e))
  await p.settled()
  await p.fails(p.open.call(p.api.plain, order, of), 'connection.unverified')
  assert.equal(p.sent.length, 1)
})

test('who comes late says nothing about a call that another has begun again', async () => {
  await using w = await world()
  const slow = w.process()
  slow.reply('hang')
  const late = slow.open.call(slow.api.charge, order, of)
  await settle()
  const other = w.process()
  other.reply(fault('connection.cut'))
  await other.fails(other.open.call(other.api.charge, order, of), 'connection.cut')
  await other.settled()
  slow.release(json(200, paid))
  await late
  await slow.settled()
  const intent = (await w.stored())['intent/payments/charge/k1'] as Intent
  assert.deepEqual([intent.outcome, intent.begun, slow.logged], ['unknown', 2, []])
})

test('calls that begin at once share one commit, and so do their ends', async () => {
  await using w = await world()
  const p = w.process()
  p.t.server = () => json(200, paid)
  await Promise.all(Array.from({ length: 20 }, (_, i) => p.open.call(p.api.charge, order, { ...of, key: `k${i}` })))
  await p.settled()
  assert.deepEqual({ ...p.commit.counts }, { commits: 2, units: 40 })
})

test('a store that cannot take the intent refuses the call: nothing is sent', async () => {
  await using w = await world()
  const p = w.process()
  await w.store[Symbol.asyncDispose]()
  await p.fails(p.open.call(p.api.charge, order, of), 'store.closed')
  assert.equal(p.sent.length, 0)
})

test('without a store nothing is written for calls that belong to no message', async () => {
  await using w = await world()
  const p = w.process(false)
  p.reply(json(200, paid), json(200, paid))
  await p.open.call(p.api.charge, order)
  assert.deepEqual({ ...p.commit.counts }, { commits: 0, units: 0 })
  await p.open.call(p.api.charge, order, of)
  await p.settled()
  assert.equal(p.commit.counts.units, 2)
})

test('settled intents are kept for as long as call records, at a high rate for as long as a million of them last', async () => {
  const clock = virtualClock()
  await using store = await openStore(':memory:', clock)
  const commit = new GroupCommit(store, clock)
  const intents = new Intents({ store, clock } as unknown as Runtime<Store>, commit, keep)
  const end = async (name: string) => {
    const version = await intents.begin(name, 0, '{}', false)
    await intents.decide(name, version, { value: '{}', open: false, listed: false, list: false }, [])
  }
  await end('a')
  await clock.advance(keep - 1)
  assert.notEqual(await intents.find('a'), null)
  await clock.advance(2)
  assert.equal(await intents.find('a'), null)
  // 20,000 within this hour: a million is reached in 50 hours.
  const begun = await intents.begin('b', 0, '{}', false)
  for (let i = 0; i < 20_000; i++)
    intents.settle('b', begun + i, { value: '{}', open: false, listed: false, list: false })
  await commit.settled()
  await clock.advance(49 * 3_600_000)
  assert.notEqual(await intents.find('b'), null)
  await clock.advance(2 * 3_600_000)
  assert.equal(await intents.find('b'), null)
})
