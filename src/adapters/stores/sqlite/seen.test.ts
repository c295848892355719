import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test, type TestContext } from 'node:test'
import { virtualClock } from '#testing/clock.ts'
import { append, commit, entry, same, start, topic } from '../conformance/trial.ts'
import type { Store } from '../port.ts'
import { openStore, scratch } from './open.fixture.ts'

const clock = virtualClock()
const perRun = 32_768

async function setup(t: TestContext) {
  const { file, remove } = scratch()
  const open: Store[] = []
  t.after(async () => {
    for (const s of open) await s[Symbol.asyncDispose]()
    remove()
  })
  const opened = async (): Promise<Store> => {
    open.push(await openStore(file, clock))
    return open.at(-1)!
  }
  const ask = (query: string): number => {
    const db = new DatabaseSync(file, { readOnly: true })
    const [value] = Object.values(db.prepare(query).get()!)
    db.close()
    return Number(value)
  }
  return {
    store: await opened(),
    opened,
    runs: () => ask('select count(*) from fl_seen'),
    /** Messages of the log that opening has to read. */
    beyond: () => ask('select (select count(*) from fl_log) - (select coalesce(sum(next), 0) from fl_seen_upto)'),
  }
}

const some = (slot: number, from: number, count: number, chosen: (i: number) => boolean, time = start) =>
  Array.from({ length: count }, (_, i) =>
    entry(slot + ((from + i) % 4), `m${from + i}`, { body: '1', time, dedupe: chosen(from + i) ? 1_000_000 : 0 }),
  )

test('opening never has to read more of the log than one run and one commit, whoever chose the ids', async (t) => {
  const { store, beyond } = await setup(t)
  const slot = await topic(store)
  for (const chosen of [() => false, () => true, (i: number) => i % 100 === 0]) {
    for (let at = 0; at < 80_000; at += 4_000) await append(store, ...some(slot, at, 4_000, chosen))
    assert.ok(beyond() <= perRun + 4_000, `${beyond()} messages`)
  }
})

test('few chosen ids among many make few runs', async (t) => {
  const { store, runs } = await setup(t)
  const slot = await topic(store)
  for (let at = 0; at < 150_000; at += 10_000) await append(store, ...some(slot, at, 10_000, (i) => i % 100 === 0))
  same(runs(), 1)
  same((await append(store, ...some(slot, 0, 1_000, (i) => i % 100 === 0))).filter((a) => a.duplicate).length, 10)
})

test('compaction in small steps makes few runs', async (t) => {
  const { store, opened, runs } = await setup(t)
  const slot = await topic(store)
  const ids = Array.from({ length: 50 }, (_, i) => entry(slot, `m${i}`, { key: 'k', dedupe: 1_000 }))
  for (const e of ids) {
    await append(store, e)
    await commit(store, { write: 'compact', slot, from: 0, below: 99, limit: 99 })
  }
  same(runs(), 1)
  for (const s of [store, await opened()]) {
    same(
      (await append(s, ...ids)).filter((a) => !a.duplicate),
      [],
    )
  }
})

test('runs in which everything is old are removed, at most `limit`; the newest stays', async (t) => {
  const { store, opened, runs } = await setup(t)
  const slot = await topic(store)
  for (let day = 0; day < 4; day++) {
    await append(store, ...some(slot, day * 40_000, 40_000, () => true, start + day * 1_000))
  }
  same(runs(), 4)
  const other = await opened()
  const trim = (before: number, limit: number) =>
    commit(store, { write: 'trim', what: 'seen', before: start + before, limit })
  same(await trim(1_000, 99), [1])
  same(await trim(3_000, 1), [1])
  same(await trim(9_000, 99), [1])
  same(await trim(9_000, 99), [0])
  same(runs(), 1)
  for (const s of [store, other]) {
    const again = some(slot, 120_000, 100, () => true, start + 3_001)
    same(
      (await append(s, ...again)).filter((a) => !a.duplicate),
      [],
    )
  }
})

test('what a rolled back commit had saved is forgotten with it', async (t) => {
  const { store, runs } = await setup(t)
  const slot = await topic(store)
  const entries = some(slot, 0, 40_000, () => true)
  const tx = await store.begin(1_000)
  const failing = { guards: [{ guard: 'key', name: 'k', version: 9, now: start } as const], writes: [] }
  await tx.commit([{ writes: [{ write: 'append', entries }] }, failing])
  same(runs(), 0)
  same(
    (await append(store, ...entries)).filter((a) => a.duplicate),
    [],
  )
  same(
    (await append(store, ...entries)).filter((a) => !a.duplicate),
    [],
  )
})
