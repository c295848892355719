import assert from 'node:assert/strict'
import { closeSync, openSync, statSync, writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { test, type TestContext } from 'node:test'
import { sql } from '#kernel/sql.ts'
import { virtualClock, type VirtualClock } from '#testing/clock.ts'
import {
  append,
  bounds,
  commit,
  entry,
  log,
  offsets,
  parkedMessage,
  refused,
  same,
  topic,
} from '../conformance/trial.ts'
import { slotCount, type Store } from '../port.ts'
import { Checkpointer } from './checkpoint.ts'
import { openStore, scratch } from './open.fixture.ts'

type Setup = {
  readonly clock: VirtualClock
  readonly file: string
  readonly store: Store
  readonly other: () => DatabaseSync
}

/** A store in a file, and connections of somebody else to it. */
async function setup(t: TestContext): Promise<Setup> {
  const { file, remove } = scratch()
  const clock = virtualClock()
  const store = await openStore(file, clock)
  const others: DatabaseSync[] = []
  t.after(async () => {
    for (const db of others) db.close()
    await store[Symbol.asyncDispose]()
    remove()
    same(clock.armed, 0)
  })
  const other = (): DatabaseSync => {
    others.push(new DatabaseSync(file))
    return others.at(-1)!
  }
  return { clock, file, store, other }
}

const put = (name: string) => ({ write: 'put', name, value: 'v', expires: null }) as const

test('a commit waits while another process holds the lock, letting the event loop run, and then goes on', async (t) => {
  const { store, clock, other } = await setup(t)
  const holder = other()
  holder.exec('begin immediate')
  let done = false
  const waiting = commit(store, put('a')).then(() => (done = true))
  // The lock is tried again only when the clock says so: between two tries everything else runs.
  for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
  same([done, clock.armed], [false, 1])
  await clock.advance(300)
  same(done, false)
  same(await store.read({ read: 'key', name: 'a', now: 0 }), null)
  holder.exec('commit')
  await clock.advance(60)
  await waiting
  same((await store.read({ read: 'key', name: 'a', now: 0 }))?.version, 1)
})

test('a commit that cannot get the lock for 5 s is refused as busy, with nothing applied; the next one works', async (t) => {
  const { store, clock, other } = await setup(t)
  const holder = other()
  holder.exec('begin immediate')
  const refusal = refused(commit(store, put('a')), 'store.busy')
  const tx = store.begin(1_000)
  await clock.advance(5_100)
  await refusal
  holder.exec('commit')
  await clock.advance(60)
  await (await tx).rollback()
  same(await commit(store, put('a')), [1])
})

test('a statement on whose conflict SQLite rolls back ends the transaction: what follows is refused, not committed one by one', async (t) => {
  const { store } = await setup(t)
  const slot = await topic(store)
  const first = await store.begin(1_000)
  await first.query(sql`create table mine (name text primary key)`)
  await first.query(sql`insert into mine values ('a')`)
  await first.commit([])
  const tx = await store.begin(1_000)
  await tx.query(sql`insert into mine values ('b')`)
  await refused(tx.query(sql`insert or rollback into mine values ('a')`), 'store.sql')
  await refused(tx.query(sql`insert into mine values ('c')`), 'store.transaction')
  await refused(tx.commit([{ writes: [{ write: 'append', entries: [entry(slot, 'x')] }] }]), 'store.transaction')
  const check = await store.begin(1_000)
  same(await check.query(sql`select name from mine`), [{ name: 'a' }])
  await check.rollback()
  same(await offsets(store, slot), [])
})

test('a write that SQLite refuses is our bug: the whole commit is taken back, and the next one works', async (t) => {
  const { store } = await setup(t)
  const slot = await topic(store)
  const entries = [entry(slot, 'x', { dedupe: 99 })]
  const wrong = [
    parkedMessage(0, { state: 'nonsense' as 'retry' }),
    parkedMessage(0, { body: undefined as unknown as string }),
  ]
  for (const parked of wrong) {
    const units = [
      { writes: [{ write: 'append', entries } as const] },
      { writes: [{ write: 'park', parked } as const] },
    ]
    await refused(store.commit(units, 'durable'), 'bug')
    const tx = await store.begin(1_000)
    await refused(tx.commit(units), 'bug')
  }
  same(await log(store, slot), [])
  same(await append(store, ...entries), [{ slot, offset: 0, duplicate: false }])
})

test('a topic for which there are no slots left is refused, and the topics before it work to the last slot', async (t) => {
  const { store } = await setup(t)
  await topic(store, 'huge', slotCount - 1)
  await refused(topic(store, 'two', 2), 'config.option')
  const last = await topic(store, 'one', 1)
  same(last, slotCount - 1)
  await append(store, entry(last, 'a', { key: 'k' }), entry(last, 'b', { key: 'k' }))
  same(await offsets(store, last), [0, 1])
  same(await bounds(store, last), { first: 0, next: 2 })
  await refused(topic(store, 'three', 1), 'config.option')
})

test('a watcher that stops within its call is not called again and leaves no timer', async (t) => {
  const { store, clock, other } = await setup(t)
  let calls = 0
  let stop: () => void = () => {}
  stop = store.watch(() => {
    calls++
    stop()
  })
  const before = calls
  const writer = other()
  writer.exec('create table theirs (a)')
  await clock.advance(1_000)
  same([calls, clock.armed], [before + 1, 0])
  writer.exec('insert into theirs values (1)')
  await clock.advance(1_000)
  same(calls, before + 1)
})

test('a watcher of a store that cannot be read is told to look, and the timer does not throw', async (t) => {
  const { store, clock, file, other } = await setup(t)
  let calls = 0
  t.after(store.watch(() => calls++))
  const writer = other()
  writer.exec('create table theirs (a); pragma wal_checkpoint(truncate)')
  await clock.advance(200)
  const before = calls
  // Closing it releases the locks of this process on the file: nobody else is there to notice.
  const fd = openSync(file, 'r+')
  writeSync(fd, new Uint8Array(4_096).fill(0x55), 0, 4_096, 0)
  closeSync(fd)
  writer.exec('insert into theirs values (1)')
  await clock.advance(200)
  assert.ok(calls > before)
})

test('a log that cannot be measured does not fail the commit that has happened', () => {
  const { file, remove } = scratch()
  const db = new DatabaseSync(file)
  const checkpoints = new Checkpointer(file, db)
  db.close()
  for (let commits = 0; commits < 100; commits++) same(checkpoints.wrote(), undefined)
  remove()
})

test('the log is copied back from 16 MiB on, by a thread that ends with the store', async (t) => {
  const { store, file } = await setup(t)
  const slot = await topic(store)
  const body = 'x'.repeat(300_000)
  let commits = 0
  while (statSync(file).size < 8_000_000 && commits++ < 2_000) {
    await commit(store, { write: 'append', entries: [entry(slot, `m${commits}`, { body: commits < 80 ? body : '' })] })
  }
  assert.ok(commits < 2_000, 'nothing was copied back')
  same((await offsets(store, slot)).length, commits)
})
