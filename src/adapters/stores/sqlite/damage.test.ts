import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { test, type TestContext } from 'node:test'
import { virtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import {
  append,
  bounds,
  commit,
  entry,
  log,
  parkedMessage,
  plain,
  refused,
  same,
  start,
  topic,
} from '../conformance/trial.ts'
import { offsetCount, type Store, type Stored } from '../port.ts'
import { answers, compare } from './flips.fixture.ts'
import { openStore, scratch } from './open.fixture.ts'

const clock = virtualClock()

type Bench = {
  readonly file: string
  open(): Promise<Store>
  /** Changes the file behind the back of the store, as no program of ours would. */
  behind(sql: string): void
}

function bench(t: TestContext): Bench {
  const { file, remove } = scratch()
  const open: Store[] = []
  t.after(async () => {
    for (const store of open) await store[Symbol.asyncDispose]()
    remove()
  })
  return {
    file,
    async open() {
      open.push(await openStore(file, clock))
      return open.at(-1)!
    },
    behind(sql) {
      const db = new DatabaseSync(file)
      db.exec(sql)
      db.close()
    },
  }
}

/** What a reader is told of each offset: the id, or what is wrong. */
async function told(store: Store, slot: number): Promise<readonly string[]> {
  return (await log(store, slot)).map(tell)
}

function tell(m: Stored): string {
  if (m.damage === undefined) return `${m.offset} ${m.id}`
  return m.damage.missing === 0 ? `${m.offset} damaged` : `${m.offset} missing ${m.damage.missing}`
}

const letters = (slot: number, text: string) =>
  text.split('').map((id) => entry(slot, id, { key: `k${id}`, meta: '{}' }))

test('a row of the log in which anything was changed is marked, and those beside it are not', async (t) => {
  const b = bench(t)
  const store = await b.open()
  const slot = await topic(store)
  await append(store, ...letters(slot, 'abcde'))
  const changes = [
    `time = time + 1`,
    `id = 'x'`,
    `key = null`,
    `meta = null`,
    `body = '"C"'`,
    `body = cast(body as blob)`,
    `body = 7`,
    `time = 9223372036854775807`,
    `sum = sum + 1`,
    `sum = null`,
  ]
  for (const change of changes) {
    b.behind(`begin; create table kept as select * from fl_log; update fl_log set ${change} where id = 'c'; commit`)
    same(await told(store, slot), ['0 a', '1 b', '2 damaged', '3 d', '4 e'], change)
    const newest = await store.read({ read: 'newest', slot, below: 9, limit: 9 })
    same(newest.map(tell), ['4 e', '3 d', '2 damaged', '1 b', '0 a'], change)
    b.behind(`begin; delete from fl_log; insert into fl_log select * from kept; drop table kept; commit`)
    same(await told(store, slot), ['0 a', '1 b', '2 c', '3 d', '4 e'], change)
  }
})

test('what can be read of a damaged row comes with it', async (t) => {
  const b = bench(t)
  const store = await b.open()
  const slot = await topic(store)
  await append(store, ...letters(slot, 'a'))
  b.behind(`update fl_log set body = '"A"'`)
  same(await log(store, slot), [
    { offset: 0, time: start, id: 'a', key: 'ka', meta: '{}', body: '"A"', damage: { missing: 0 } },
  ])
})

test('a row that stands in the place of another does not fit there', async (t) => {
  const b = bench(t)
  const store = await b.open()
  const slot = await topic(store)
  await append(store, ...letters(slot, 'abc'))
  b.behind(`update fl_log set (time, id, key, meta, body, sum) = (select time, id, key, meta, body, sum from fl_log where id = 'a')
            where id = 'b'`)
  same(await told(store, slot), ['0 a', '1 damaged', '2 c'])
})

test('messages that are gone from the middle or the end of the log are told as missing', async (t) => {
  const b = bench(t)
  let store = await b.open()
  const slot = await topic(store)
  await append(store, ...letters(slot, 'abcdefgh'))
  await append(store, ...letters(slot + 1, 'xyz'))
  b.behind(`delete from fl_log where id in ('b', 'c', 'e')`)
  same(await told(store, slot), ['0 a', '1 missing 2', '3 d', '4 missing 1', '5 f', '6 g', '7 h'])
  await store[Symbol.asyncDispose]()
  b.behind(`delete from fl_log where id in ('g', 'h', 'x', 'y', 'z')`)
  store = await b.open()
  same(await bounds(store, slot), { first: 0, next: 8 })
  const rest = await store.read({ read: 'log', slot, from: 5, below: 8, limit: 9, bytes: 1e6 })
  same(rest.map(tell), ['5 f', '6 missing 2'])
  same(await told(store, slot + 1), ['0 missing 3'])
  same(await append(store, entry(slot, 'i')), [{ slot, offset: 8, duplicate: false }])
})

test('a row whose position was changed is missing where it was, and hides nothing behind it', async (t) => {
  const b = bench(t)
  const store = await b.open()
  const slot = await topic(store)
  await append(store, ...letters(slot, 'abcdef'))
  b.behind(`update fl_log set pos = pos + ${offsetCount} where id = 'c'`)
  same(await told(store, slot), ['0 a', '1 b', '2 missing 1', '3 d', '4 e', '5 f'])
  same(await told(store, slot + 1), ['0 missing 2', '2 damaged'])
})

test('what retention and compaction have taken is not missing', async (t) => {
  const b = bench(t)
  const store = await b.open()
  const slot = await topic(store)
  const keyed = (id: string, key: string, time = start) => entry(slot, id, { key, time })
  await append(store, keyed('a', 'k', start - 9), keyed('b', 'k'), keyed('c', 'l'), keyed('d', 'k'), keyed('e', 'k'))
  await commit(store, { write: 'trim', what: 'log', slot, before: start, below: 9, limit: 9 })
  same(await told(store, slot), ['1 b', '2 c', '3 d', '4 e'])
  await commit(store, { write: 'compact', slot, from: 0, below: 4, limit: 9 })
  same(await told(store, slot), ['2 c', '4 e'])
  // What goes beyond that is not theirs.
  await append(store, ...letters(slot, 'fgh'))
  b.behind(`delete from fl_log where id in ('e', 'g')`)
  same(await told(store, slot), ['2 c', '4 missing 1', '5 f', '6 missing 1', '7 h'])
})

test('compaction takes nothing away because of a damaged row, and no damaged row', async (t) => {
  const b = bench(t)
  const store = await b.open()
  const slot = await topic(store)
  const keyed = (id: string, key: string) => entry(slot, id, { key })
  await append(store, keyed('a', 'k'), keyed('b', 'l'), keyed('c', 'k'), keyed('d', 'm'), keyed('e', 'm'))
  b.behind(`update fl_log set key = 'l' where id = 'c'; update fl_log set body = 'x' where id = 'd'`)
  await commit(store, { write: 'compact', slot, from: 0, below: 5, limit: 9 })
  same(await told(store, slot), ['0 a', '1 b', '2 damaged', '3 damaged', '4 e'])
})

test('a page of the log ends where it should, whatever is damaged in it', async (t) => {
  const b = bench(t)
  const store = await b.open()
  const slot = await topic(store)
  await append(store, ...letters(slot, 'abcdefgh'))
  b.behind(`update fl_log set body = 'x' where id in ('b', 'e'); delete from fl_log where id in ('c', 'h')`)
  const page = async (from: number, limit: number, bytes = 1e6) =>
    (await store.read({ read: 'log', slot, from, below: 8, limit, bytes })).map(tell)
  same(await page(0, 1), ['0 a'])
  same(await page(1, 1), ['1 damaged'])
  same(await page(2, 1), ['2 missing 1'])
  same(await page(2, 3), ['2 missing 1', '3 d', '4 damaged'])
  same(await page(0, 9, 4), ['0 a', '1 damaged', '2 missing 1'])
  same(await page(7, 9), ['7 missing 1'])
})

test('an id whose message is damaged is not taken for known: whoever sends it again is heard', async (t) => {
  const b = bench(t)
  const store = await b.open()
  const slot = await topic(store)
  const chosen = entry(slot, 'a', { dedupe: 99 })
  await append(store, chosen, entry(slot, 'b'))
  same(await append(store, chosen), [{ slot, offset: 0, duplicate: true }])
  b.behind(`update fl_log set body = 'x' where id = 'a'`)
  same(await append(store, chosen), [{ slot, offset: 2, duplicate: false }])
})

test('a damaged parked message is marked wherever it is read, changed only by being replaced, and a sound one never', async (t) => {
  const b = bench(t)
  const store = await b.open()
  const at = { subscription: 1, partition: 0, offset: 3 }
  const whole = parkedMessage(3, { faults: '[{"code":"x"}]' })
  await commit(store, { write: 'park', parked: whole })
  const reads = async () => [
    ...(await store.read({ read: 'parked', limit: 9 })),
    await store.read({ read: 'parkedAt', at }),
    await store.read({ read: 'parkedFirst', subscription: 1, partition: 0, key: 'k' }),
    ...(await store.read({ read: 'due', subscription: 1, partitions: [0], now: start, limit: 9 })),
  ]
  const another = { ...whole, state: 'dead', body: '"left"', faults: null } as const
  same(await commit(store, { write: 'quarantine', parked: another }), [0])
  for (const p of await reads()) assert.ok(p !== null && p.damage === undefined && p.body === whole.body)
  for (const change of [
    `body = '"n3"'`,
    `time = 9223372036854775807`,
    `faults = null`,
    `attempts = 0`,
    `held_by = 'c'`,
  ]) {
    b.behind(`update fl_parked set ${change}`)
    for (const p of await reads()) same(p?.damage, { missing: 0 }, change)
    const attempt = { state: 'retry', attempts: 2, due: start, faults: null, heldBy: null } as const
    same(await commit(store, { write: 'repark', at, ...attempt }), [0])
    same((await store.read({ read: 'parkedAt', at }))?.damage, { missing: 0 })
    same(await commit(store, { write: 'quarantine', parked: another }), [1])
    same(await store.read({ read: 'parkedAt', at }), another)
    await commit(store, { write: 'unpark', at, now: start }, { write: 'park', parked: whole })
  }
})

test('a delayed message that was damaged appears as one that is damaged', async (t) => {
  const b = bench(t)
  const store = await b.open()
  const slot = await topic(store)
  for (const id of ['a', 'b', 'c']) await commit(store, { write: 'delay', due: start, entry: entry(slot, id) })
  b.behind(`update fl_delayed set body = 'x' where id = 'b'; update fl_delayed set slot = 9999 where id = 'c'`)
  same(await commit(store, { write: 'fire', now: start, limit: 9 }), [3])
  same(await told(store, slot), ['0 a', '1 damaged', '2 damaged'])
})

test('a damaged key holds for no guard and is not read, until it is written anew', async (t) => {
  const b = bench(t)
  const store = await b.open()
  await commit(store, { write: 'put', name: 'a', value: 'v', expires: null })
  for (const change of [`sum = null`, `value = 'w'`]) {
    b.behind(`update fl_keys set ${change}`)
    await refused(store.read({ read: 'key', name: 'a', now: start }), 'store.corrupt')
  }
  await refused(store.read({ read: 'key', name: 'a', now: start }), 'store.corrupt')
  await refused(store.read({ read: 'keys', prefix: '', now: start }), 'store.corrupt')
  const guards = [{ guard: 'key', name: 'a', version: 1, now: start } as const]
  const [outcome] = await store.commit([{ guards, writes: [{ write: 'drop', name: 'a' }] }], 'durable')
  same(outcome?.ok, false)
  same(await commit(store, { write: 'put', name: 'a', value: 'x', expires: null }), [2])
  same(await store.read({ read: 'key', name: 'a', now: start }), { value: 'x', version: 2 })
})

test('a call record and an audit entry that were damaged are marked', async (t) => {
  const b = bench(t)
  const store = await b.open()
  const call = { time: start, connection: 'c', operation: 'o', outcome: 'ok', record: '{"n":1}' }
  const entry = { time: start, verb: 'v', subject: 's', detail: '{"by":"me"}' }
  await commit(store, { write: 'call', ...call }, { write: 'audit', ...entry })
  same(await store.read({ read: 'calls', limit: 9 }), [{ id: 1, ...call }])
  same(await store.read({ read: 'audit', limit: 9 }), [{ id: 1, ...entry }])
  b.behind(`update fl_calls set outcome = 'no'; update fl_audit set detail = '{"by":"you"}'`)
  const damage = { missing: 0 }
  same(await store.read({ read: 'calls', limit: 9 }), [{ id: 1, ...call, outcome: 'no', damage }])
  same(await store.read({ read: 'audit', limit: 9 }), [{ id: 1, ...entry, detail: '{"by":"you"}', damage }])
})

test('a cursor that was damaged is not read; who holds the partition writes it anew', async (t) => {
  const b = bench(t)
  const store = await b.open()
  const advance = { write: 'advance', subscription: 1, partition: 0, low: 5, done: null } as const
  await commit(store, advance)
  b.behind('update fl_cursors set low = 4096')
  await refused(store.read({ read: 'cursors', subscription: 1 }), 'store.corrupt')
  await commit(store, advance)
  same(await store.read({ read: 'cursors', subscription: 1 }), [{ partition: 0, low: 5, done: null }])
})

test('damage of what says where messages are stops the store when it is opened, with the place', async (t) => {
  const b = bench(t)
  const store = await b.open()
  const slot = await topic(store)
  await append(store, entry(slot, 'a'))
  await commit(
    store,
    { write: 'subscription', name: 's', topic: 't', from: 'beginning' },
    { write: 'put', name: 'k', value: 'v', expires: null },
    { write: 'park', parked: parkedMessage(0) },
    { write: 'delay', due: start, entry: entry(slot, 'b') },
  )
  await store[Symbol.asyncDispose]()
  const sound = readFileSync(b.file)
  const damage = {
    fl_topics: 'update fl_topics set partitions = 3',
    fl_subscriptions: `update fl_subscriptions set topic = 'u'`,
    fl_cursors: 'update fl_cursors set low = 1 where partition = 2',
    fl_slots: 'update fl_slots set head = 0 where slot = 0',
    fl_keys: `update fl_keys set value = 'w'`,
    fl_parked_due: 'drop index fl_parked_due',
  }
  for (const [table, sql] of Object.entries(damage)) {
    writeFileSync(b.file, sound)
    b.behind(sql) // and closed: nothing is left in a log
    await assert.rejects(b.open(), (e: { code?: string; message: string }) => {
      assert.ok(e.code === 'store.corrupt' || e.code === 'store.altered', `${table}: ${e.code} ${e.message}`)
      return e.message.includes(table)
    })
  }
  writeFileSync(b.file, sound)
  // An index that says of a parked message that it is due at another time than its row does: it would be found then.
  const db = new DatabaseSync(b.file)
  const page = Number(db.prepare(`select rootpage from sqlite_schema where name = 'fl_parked_due'`).get()?.['rootpage'])
  db.close()
  const due = Buffer.alloc(6)
  due.writeUIntBE(start, 0, 6)
  const at = sound.indexOf(due, (page - 1) * 4096)
  assert.ok(at > 0 && at < page * 4096)
  const bytes = Buffer.from(sound)
  bytes[at + 1]! ^= 1
  writeFileSync(b.file, bytes)
  await refused(b.open(), 'store.corrupt')
  writeFileSync(b.file, sound)
  await b.open()
})

test('a row that a person has corrected, and whose checksum they have set to 0, is taken as it is', async (t) => {
  const b = bench(t)
  const store = await b.open()
  await commit(store, { write: 'put', name: 'a', value: 'v', expires: null })
  b.behind(`update fl_keys set value = 'w', sum = 0`)
  same(await store.read({ read: 'key', name: 'a', now: start }), { value: 'w', version: 1 })
})

/** A store with something of everything, closed. */
async function stock(b: Bench): Promise<Buffer> {
  const store = await b.open()
  const slots = [await topic(store, 'orders', 2), await topic(store, 'shipped', 2)]
  for (let i = 0; i < 120; i++) {
    const body =
      i % 7 === 0 ? Buffer.alloc(i * 2, 'b') : JSON.stringify({ n: i, pad: 'x'.repeat(i % 40 === 0 ? 6_000 : i) })
    const key = i % 3 === 0 ? null : `k${i % 12}`
    await append(store, entry(slots[i % 2]! + ((i % 4) >> 1), `m${i}`, { key, body, dedupe: i % 5 === 0 ? 1_000 : 0 }))
  }
  const states = ['retry', 'held', 'dead', 'behind'] as const
  await commit(
    store,
    ...['orders', 'shipped'].map((name) => ({ write: 'subscription', name, topic: name, from: 'beginning' }) as const),
    ...Array.from(
      { length: 12 },
      (_, i) => ({ write: 'park', parked: parkedMessage(i, { state: states[i % 4]!, partition: i % 2 }) }) as const,
    ),
    ...[1, 2, 3].map((n) => ({ write: 'delay', due: start + n, entry: entry(slots[0]!, `d${n}`) }) as const),
    ...[1, 2, 3].map((n) => ({ write: 'put', name: `k${n}`, value: '{}', expires: null }) as const),
    ...[1, 2, 3].map(
      (n) =>
        ({ write: 'call', time: start, connection: 'c', operation: 'o', outcome: 'ok', record: `{"n":${n}}` }) as const,
    ),
    { write: 'audit', time: start, verb: 'replay', subject: 's', detail: '{"by":"me"}' },
    { write: 'advance', subscription: 1, partition: 0, low: 10, done: Uint8Array.of(6) },
    { write: 'trim', what: 'log', slot: slots[0]!, before: start + 1, below: 5, limit: 9 },
  )
  await store[Symbol.asyncDispose]()
  return readFileSync(b.file)
}

test('of 150 flipped bits of a closed store none is served, and none hides a message', async (t) => {
  const b = bench(t)
  const sound = await stock(b)
  const random = seededRandom(14)
  const look = async (bytes: Buffer) => {
    for (const end of ['-wal', '-shm']) rmSync(b.file + end, { force: true })
    writeFileSync(b.file, bytes)
    const store = await openStore(b.file, clock)
    try {
      return await answers(store)
    } finally {
      await store[Symbol.asyncDispose]().catch(() => {})
    }
  }
  const good = await look(sound)
  const counts: Record<string, number> = {}
  for (let i = 0; i < 150; i++) {
    const bit = Math.floor(random.float() * sound.length * 8)
    const bytes = Buffer.from(sound)
    bytes[bit >> 3]! ^= 1 << (bit & 7)
    const verdict = await look(bytes).then(
      (now) => compare(good, now),
      (e: { code: string }) => ({ told: e.code }) as const,
    )
    assert.notEqual(verdict.told, 'wrong', `bit ${bit}: ${JSON.stringify(plain(verdict))}`)
    counts[verdict.told] = (counts[verdict.told] ?? 0) + 1
  }
  assert.deepEqual(
    Object.keys(counts).filter((k) => !['same', 'damaged', 'uncovered', 'store.corrupt', 'store.altered'].includes(k)),
    [],
  )
  assert.ok(counts['damaged']! > 20 && counts['store.corrupt']! > 0, JSON.stringify(counts))
})
