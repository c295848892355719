import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { virtualClock } from '#testing/clock.ts'
import { append, bounds, commit, entry, log, offsets, same, topic } from '../conformance/trial.ts'
import type { Store } from '../port.ts'
import { ask, drop, newSchema, openStore } from './open.fixture.ts'

const clock = virtualClock()

async function world(
  t: TestContext,
): Promise<{ readonly store: Store; readonly schema: string; readonly slot: number }> {
  const schema = newSchema()
  const store = await openStore(schema, clock)
  t.after(async () => {
    await store[Symbol.asyncDispose]()
    await drop(schema)
  })
  return { store, schema, slot: await topic(store, 't', 2) }
}

/** A new segment begins: the newest is older than nothing at all. */
async function roll(store: Store, slot: number): Promise<void> {
  same(await shed(store, slot, 0, [0, 0]), 0)
}

async function shed(store: Store, slot: number, before: number, below: readonly number[]): Promise<unknown> {
  await clock.advance(10)
  const [dropped] = await commit(store, { write: 'shed', slot, now: clock.now(), before, span: 1, below })
  return dropped
}

async function tables(schema: string): Promise<readonly unknown[]> {
  const rows = await ask(
    `select relname from pg_class where relnamespace = '${schema}'::regnamespace and relkind = 'r' and relname like 'fl\\_log\\_%' order by 1`,
  )
  return rows.map((r) => r['relname'])
}

test('a log is read across its segments as if it were one, forwards, backwards and in pages', async (t) => {
  const { store, slot } = await world(t)
  for (const ids of ['ab', 'cd', 'e', 'fgh']) {
    for (const id of ids) await append(store, entry(slot, id), entry(slot + 1, id.toUpperCase()))
    await roll(store, slot)
  }
  same((await log(store, slot)).map((m) => m.id).join(''), 'abcdefgh')
  const page = async (from: number, limit: number, bytes = 1e6): Promise<string> =>
    (await store.read({ read: 'log', slot: slot + 1, from, below: 8, limit, bytes })).map((m) => m.id).join('')
  same([await page(0, 3), await page(3, 3), await page(1, 99), await page(7, 9)], ['ABC', 'DEF', 'BCDEFGH', 'H'])
  // Each body has three bytes.
  same([await page(0, 99, 0), await page(0, 99, 8), await page(1, 99, 9)], ['A', 'AB', 'BCD'])
  const newest = await store.read({ read: 'newest', slot, below: 7, limit: 5 })
  same(newest.map((m) => m.id).join(''), 'gfedc')
  same(await bounds(store, slot), { first: 0, next: 8 })
})

test('a reader that knows the segments of yesterday reads on in those of today', async (t) => {
  const { store, schema, slot } = await world(t)
  const reader = await openStore(schema, clock)
  t.after(() => reader[Symbol.asyncDispose]())
  await append(store, entry(slot, 'a'))
  same(await offsets(reader, slot), [0])
  await roll(store, slot)
  await append(store, entry(slot, 'b'))
  same(
    (await reader.read({ read: 'log', slot, from: 1, below: 2, limit: 9, bytes: 9 })).map((m) => m.id),
    ['b'],
  )
  await roll(store, slot)
  same(await shed(store, slot, clock.now() + 99, [1, 1]), 1)
  same(
    (await log(reader, slot)).map((m) => m.id),
    ['b'],
  )
})

test('whole segments go when everything in them is past its age and read, and their tables with them', async (t) => {
  const { store, schema, slot } = await world(t)
  const times: number[] = []
  for (const id of ['a', 'b', 'c']) {
    await append(store, entry(slot, id), entry(slot + 1, id))
    await roll(store, slot)
    times.push(clock.now())
  }
  same((await tables(schema)).length, 4)
  same(await shed(store, slot, times[0]! - 1, [9, 9]), 0)
  same(await shed(store, slot, times[0]!, [9, 0]), 0)
  same(await shed(store, slot, times[0]!, [1, 1]), 2)
  same(await offsets(store, slot), [1, 2])
  same(await shed(store, slot, times[2]!, [2, 9]), 2)
  same(await offsets(store, slot + 1), [2])
  same(await shed(store, slot, times[2]!, [9, 9]), 2)
  same(await tables(schema), [`fl_log_${slot}_4`])
  same(await bounds(store, slot), { first: 0, next: 3 })
  same(await append(store, entry(slot, 'd')), [{ slot, offset: 3, duplicate: false }])
})

test('a segment in which nothing was written goes on', async (t) => {
  const { store, schema, slot } = await world(t)
  await append(store, entry(slot, 'a'))
  for (let i = 0; i < 3; i++) await roll(store, slot)
  same((await tables(schema)).length, 2)
})

test('an append that waited while a segment was begun goes into the new one', async (t) => {
  const { store, schema, slot } = await world(t)
  const other = await openStore(schema, clock)
  t.after(() => other[Symbol.asyncDispose]())
  await append(store, entry(slot, 'a'))
  await append(other, entry(slot, 'b'))
  for (let round = 0; round < 10; round++) {
    await clock.advance(10)
    const rolled = commit(store, { write: 'shed', slot, now: clock.now(), before: 0, span: 1, below: [0, 0] })
    const appended = Array.from({ length: 20 }, (_, i) => append(i % 2 ? store : other, entry(slot, `${round}-${i}`)))
    await Promise.all([rolled, ...appended])
  }
  const read = await offsets(store, slot)
  assert.deepEqual(
    read,
    Array.from({ length: 202 }, (_, i) => i),
  )
  // Where the catalogue says that an offset is, it is: each table holds what lies between its first and the next one's.
  for (const [i, row] of (
    await ask(
      `select segment, first[1] as first, lead(first[1]) over (order by segment) as next from ${schema}.fl_segments order by 1`,
    )
  ).entries()) {
    const [found] = await ask(`select count(*)::int as n from ${schema}.fl_log_${slot}_${i + 1} where pos < ${1 << 30}`)
    same(found?.['n'], Number(row['next'] ?? 202) - Number(row['first']))
  }
})

test('ids are recognised across two generations and forgotten with the older', async (t) => {
  const { store, slot } = await world(t)
  const hour = 3_600_000
  const id = (name: string) => entry(slot, name, { time: clock.now(), dedupe: 10 * hour })
  const forget = () => commit(store, { write: 'trim', what: 'seen', before: clock.now() - 10 * hour, limit: 9 })
  await append(store, id('a'))
  same(await forget(), [1])
  await clock.advance(9 * hour)
  await append(store, id('b'))
  same(
    (await append(store, id('a'), id('c'), id('b'))).map((a) => [a.offset, a.duplicate]),
    [
      [0, true],
      [2, false],
      [1, true],
    ],
  )
  same(await forget(), [0])
  await clock.advance(2 * hour + 1)
  same(await forget(), [1])
  same(
    (await append(store, id('b'), id('a'))).map((a) => a.duplicate),
    [true, false],
  )
})

test('an entry whose hash another id has is not taken for it', async (t) => {
  const { store, schema, slot } = await world(t)
  await append(store, entry(slot, 'a', { dedupe: 1_000 }))
  // As if "b" had the hash of "a": no two texts of that kind are known.
  const { hash53 } = await import('#kernel/hash.ts')
  await ask(`update ${schema}.fl_seen set hash = ${hash53('b')} # (${slot}::bigint << 48)`)
  same(await append(store, entry(slot, 'b', { dedupe: 1_000 })), [{ slot, offset: 1, duplicate: false }])
  same(await append(store, entry(slot, 'b', { dedupe: 1_000 })), [{ slot, offset: 1, duplicate: true }])
})
