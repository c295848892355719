import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Parked } from '#adapters/stores/port.ts'
import { sql } from '#kernel/sql.ts'
import { leftOf } from './damage.ts'
import { partitionOf, type Draft } from './log.ts'
import type { SubscriptionOptions } from './subscription.ts'
import { dataOf, gate, journalWorld, reader, runtimeOf, type JournalWorld } from './world.fixture.ts'

type Statement = ReturnType<typeof sql>

/** Changes the store behind its back, as no program of ours would. */
async function behind(w: JournalWorld, ...statements: readonly Statement[]): Promise<void> {
  const tx = await w.store.begin(1_000)
  for (const s of statements) await tx.query(s)
  await tx.commit([])
}

const body = (offset: number, text: string) => sql`update fl_log set body = ${text} where pos = ${offset}`
const gone = (from: number, to: number) => sql`delete from fl_log where pos >= ${from} and pos < ${to}`

/** A log of these messages, damaged before the subscriptions see it. */
async function damaged(
  subscriptions: readonly SubscriptionOptions[],
  messages: readonly (readonly [data: string, draft?: Partial<Draft>])[],
  ...statements: readonly Statement[]
): Promise<JournalWorld> {
  const runtime = await runtimeOf()
  const before = await journalWorld([], { runtime })
  for (const [data, draft] of messages) await before.publish(data, { id: data, ...draft })
  await behind(before, ...statements)
  await before.journal.stop(0)
  const w = await journalWorld(subscriptions, { runtime })
  await w.settle()
  return w
}

const letters = (text: string) => text.split('').map((d) => [d] as const)

function dead(w: JournalWorld): Promise<readonly Parked[]> {
  return w.store.read({ read: 'parked', state: 'dead', limit: 100 })
}

async function low(w: JournalWorld): Promise<number> {
  const [s] = await w.store.read({ read: 'subscriptions' })
  return (await w.store.read({ read: 'cursors', subscription: s!.id }))[0]!.low
}

type Why = { readonly code: string; readonly detail: { readonly missing?: number } }

function why(p: Parked | undefined): readonly Why[] {
  return JSON.parse(p?.faults ?? '[]') as Why[]
}

function recorder(more: Partial<SubscriptionOptions> = {}) {
  const seen: unknown[] = []
  const use = reader((run) => void seen.push(...run.messages.map((m) => JSON.parse(String(m.body)) as unknown)), more)
  return { seen, use }
}

for (const batch of [0, 10]) {
  test(`a damaged message never reaches a handler: it is dead, at its place, with what can be read of it, and the others go on (batch ${batch})`, async () => {
    const { seen, use } = recorder({ batch })
    await using w = await damaged([use], letters('abcd'), body(1, '"B"'), body(2, '{"broken'))
    assert.deepEqual(seen, ['a', 'd'])
    const [b, c] = await dead(w)
    assert.deepEqual([b?.offset, b?.id, b?.body, b?.attempts, b?.damage], [1, 'b', '"B"', 0, undefined])
    assert.deepEqual([c?.offset, new TextDecoder().decode(c!.body as Uint8Array)], [2, '{"broken'])
    for (const p of [b, c])
      assert.deepEqual(
        why(p).map((f) => [f.code, f.detail]),
        [['message.damaged', { subscription: 'reader', topic: 'things' }]],
      )
    assert.equal(await low(w), 4)
    assert.equal(w.runtime.logged.filter((l) => l.event === 'subscription.dead').length, 2)
  })
}

test('messages that are missing are dead as one, which tells how many, and the others go on', async () => {
  const { seen, use } = recorder()
  await using w = await damaged([use], letters('abcdefg'), gone(1, 4), gone(6, 7))
  assert.deepEqual(seen, ['a', 'e', 'f'])
  const all = await dead(w)
  assert.deepEqual(
    all.map((p) => [p.offset, p.id, p.key, why(p)[0]!.detail.missing]),
    [
      [1, 'unknown', null, 3],
      [6, 'unknown', null, 1],
    ],
  )
  assert.equal(await low(w), 7)
  await w.publish('h')
  await w.settle()
  assert.deepEqual(seen, ['a', 'e', 'f', 'h'])
})

test('a message that was moved far ahead does not hide what is appended after it', async () => {
  const { seen, use } = recorder()
  await using w = await damaged([use], letters('abc'), sql`update fl_log set pos = 1000000 where pos = 1`)
  await w.publish('d')
  await w.settle()
  assert.deepEqual(seen, ['a', 'c', 'd'])
  assert.deepEqual(
    (await dead(w)).map((p) => [p.offset, why(p)[0]!.detail.missing]),
    [[1, 1]],
  )
})

test('a hole of a thousand million offsets is passed at once', async () => {
  const { seen, use } = recorder()
  const far = 1_000_000_000
  const runtime = await runtimeOf()
  const before = await journalWorld([], { runtime })
  for (const d of 'abc') await before.publish(d)
  await behind(before, sql`update fl_log set pos = ${far} where pos = 2`)
  await before.journal.stop(0)
  // What the store remembers is read anew, as when it is opened.
  await (await runtime.store.begin(1_000)).rollback()
  await using w = await journalWorld([use], { runtime })
  await w.publish('d')
  await w.settle()
  assert.deepEqual(seen, ['a', 'b', 'd'])
  assert.deepEqual(
    (await dead(w)).map((p) => [p.offset, why(p)[0]!.detail.missing]),
    [
      [2, far - 2],
      [far, undefined],
    ],
  )
  assert.equal(await low(w), far + 2)
})

test('what has the key of a damaged message waits for a person; a key that cannot be right holds up nobody', async () => {
  const topic = { name: 'things', slot: 0, partitions: 2 }
  const [mine, other] = [0, 1].map((p) => ['k', 'l', 'm', 'n', 'o', 'q'].find((k) => partitionOf(k, topic) === p)!)
  const { seen, use } = recorder()
  const runtime = await runtimeOf()
  const before = await journalWorld([], { runtime, partitions: 2 })
  for (const d of ['a', 'b', 'c', 'd']) await before.publish(d, { id: d, key: mine! })
  await before.publish('e', { id: 'e', key: other! })
  await behind(before, body(0, 'x'), sql`update fl_log set key = ${other!} where id = 'c'`)
  await before.journal.stop(0)
  await using w = await journalWorld([use], { runtime, partitions: 2 })
  await w.settle()
  assert.deepEqual(seen, ['e'])
  const parked = await w.store.read({ read: 'parked', limit: 9 })
  assert.deepEqual(parked.map((p) => `${p.id} ${p.key} ${p.state}`).sort(), [
    `a ${mine} dead`,
    `b ${mine} behind`,
    'c null dead',
    `d ${mine} behind`,
  ])
})

test('what was handled before it was damaged is no concern of anybody', async () => {
  const { seen, use } = recorder()
  const runtime = await runtimeOf()
  const before = await journalWorld([use], { runtime })
  for (const d of ['a', 'b', 'c']) await before.publish(d)
  await before.settle()
  await before.journal.stop(0)
  await behind(before, body(0, 'x'), gone(1, 2))
  await using w = await journalWorld([use], { runtime })
  await w.publish('d')
  await w.settle()
  assert.deepEqual(seen, ['a', 'b', 'c', 'd'])
  assert.deepEqual(await dead(w), [])
})

test('a cursor never passes what is missing before that is parked, also when a transaction commits in between', async () => {
  const hold = gate()
  const use = reader(async (run) => {
    const tx = await run.transaction()
    await tx.query(sql`select 1`)
  })
  const runtime = await runtimeOf()
  const before = await journalWorld([], { runtime })
  for (const d of 'abcd') await before.publish(d)
  await behind(before, gone(1, 3))
  await before.journal.stop(0)
  const lows: number[] = []
  runtime.store.onCommit = async (units, _sync, go) => {
    if (units.some((u) => u.writes.some((x) => x.write === 'park'))) await hold.opened
    return go()
  }
  await using w = await journalWorld([use], { runtime })
  await w.settle()
  lows.push(await low(w))
  hold.open()
  await w.settle()
  lows.push(await low(w))
  assert.ok(lows[0]! <= 1, `the cursor stood at ${lows[0]}`)
  assert.equal(lows[1], 4)
  assert.equal((await dead(w)).length, 1)
})

test('a parked message that is damaged becomes dead instead of being tried again, and its key waits', async () => {
  let broken = true
  const seen: unknown[] = []
  const use = reader((run) => {
    if (broken) throw new Error('not now')
    seen.push(dataOf(run))
  })
  await using w = await journalWorld([use])
  await w.publish('a', { id: 'a', key: 'k' })
  await w.publish('b', { id: 'b', key: 'k' })
  await w.publish('c', { id: 'c' })
  await w.settle()
  broken = false
  await behind(w, sql`update fl_parked set body = '{"br' where id = 'a'`)
  await w.clock.advance(5_000)
  assert.deepEqual(seen, ['c'])
  const parked = await w.store.read({ read: 'parked', limit: 9 })
  assert.deepEqual(
    parked.map((p) => [p.id, p.state, p.damage]),
    [
      ['a', 'dead', undefined],
      ['b', 'behind', undefined],
    ],
  )
  assert.deepEqual(
    why(parked[0]).map((f) => f.code),
    ['message.damaged'],
  )
  assert.equal(parked[0]!.attempts, 1)
})

test('what is left of a message is always something that can be shown', () => {
  const whole = { offset: 5, time: 9, id: 'i', key: 'k', meta: '{"a":1}', body: '[1]' }
  assert.deepEqual(leftOf(whole, 1), whole)
  const ruins = { offset: 5, time: Number.NaN, id: '', key: 'x'.repeat(513), meta: '{"a":', body: '[1' }
  assert.deepEqual(leftOf(ruins, 1), {
    offset: 5,
    time: 1,
    id: 'unknown',
    key: null,
    meta: null,
    body: new TextEncoder().encode('[1'),
  })
  assert.equal(leftOf({ ...whole, meta: '[]' }, 1).meta, null)
  assert.equal(leftOf(whole, 1, () => false).key, null)
})
