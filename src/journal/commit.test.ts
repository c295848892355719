import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Outcome, Read, ReadResult, Store, StoreTransaction, Sync, Unit } from '#adapters/stores/port.ts'
import { fault } from '#kernel/fault.ts'
import { settle, virtualClock } from '#testing/clock.ts'
import { GroupCommit } from './commit.ts'

type Call = {
  readonly units: readonly Unit[]
  readonly sync: Sync
  end(outcomes?: readonly Outcome[]): void
  fail(e: unknown): void
}

/** A store whose commits end when the test says so. */
class SlowStore implements Store {
  readonly can = { durable: true, shared: 'process', writers: 'one', segments: false, joins: false } as const
  readonly calls: Call[] = []

  commit(units: readonly Unit[], sync: Sync): Promise<readonly Outcome[]> {
    return new Promise((resolve, reject) => {
      const fine = units.map((): Outcome => ({ ok: true, results: [1] }))
      this.calls.push({ units, sync, end: (outcomes = fine) => resolve(outcomes), fail: (e) => reject(e) })
    })
  }

  read<R extends Read>(): Promise<ReadResult<R>> {
    return Promise.reject(fault('store.closed'))
  }

  begin(): Promise<StoreTransaction> {
    return Promise.reject(fault('store.closed'))
  }

  watch(): () => void {
    return () => {}
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function world() {
  const store = new SlowStore()
  const commit = new GroupCommit(store, virtualClock())
  let unclear = 0
  commit.onUnclear = () => unclear++
  const log: string[] = []
  const add = (name: string, sync: Sync = 'durable', bytes = 0): void => {
    commit.add({ writes: [{ write: 'drop', name }] }, sync, bytes).then(
      () => log.push(`${name} done`),
      (e: { code: string }) => log.push(`${name} ${e.code}`),
    )
  }
  return { store, commit, add, log, unclear: () => unclear }
}

const names = (call: Call | undefined): unknown[] =>
  call?.units.map((u) => (u.writes[0] as { readonly name: string }).name) ?? []

test('what is handed in while a commit is under way forms the next one, in order', async () => {
  const { store, add, log } = world()
  for (const n of ['a', 'b']) add(n)
  await settle()
  assert.deepEqual(names(store.calls[0]), ['a', 'b'])
  for (const n of ['c', 'd', 'e']) add(n)
  await settle()
  assert.equal(store.calls.length, 1)
  store.calls[0]!.end()
  await settle()
  assert.deepEqual(log, ['a done', 'b done'])
  assert.deepEqual(names(store.calls[1]), ['c', 'd', 'e'])
  store.calls[1]!.end()
  await settle()
  assert.equal(log.length, 5)
})

test('a commit is durable when one who waits for it asks for that, relaxed otherwise', async () => {
  const { store, add } = world()
  add('a', 'relaxed')
  await settle()
  add('b', 'relaxed')
  add('c', 'durable')
  store.calls[0]!.end()
  await settle()
  assert.deepEqual(
    store.calls.map((c) => c.sync),
    ['relaxed', 'durable'],
  )
})

test('a refused guard fails its own unit, as what it is, and no other', async () => {
  const { store, commit, add, log, unclear } = world()
  const at = { subscription: 1, partition: 0, offset: 0 }
  const guards = [
    { guard: 'lease', name: 'x', epoch: 1 },
    { guard: 'key', name: 'x', version: 1, now: 0 },
    { guard: 'parked', at, states: ['dead'] },
  ] as const
  const codes: string[] = []
  for (const guard of guards)
    commit.add({ guards: [guard], writes: [] }, 'durable').catch((e: { code: string }) => codes.push(e.code))
  add('fine')
  await settle()
  store.calls[0]!.end([...guards.map((failed) => ({ ok: false, failed }) as const), { ok: true, results: [1] }])
  await settle()
  assert.deepEqual(codes, ['journal.fenced', 'journal.conflict', 'parked.state'])
  assert.deepEqual(log, ['fine done'])
  assert.equal(unclear(), 0)
})

test('of two commits in flight, the failure of one fails those who wait for it, and the queue goes on', async () => {
  const { store, add, log } = world()
  add('first')
  await settle()
  // So much waits that a second commit is written while the first is being synced.
  for (let i = 0; i < 600; i++) add(`n${i}`)
  await settle()
  assert.equal(store.calls.length, 2)
  for (let i = 0; i < 600; i++) add(`m${i}`)
  await settle()
  assert.equal(store.calls.length, 2)
  store.calls[1]!.end()
  await settle()
  assert.equal(log.filter((l) => /^n.* done$/.test(l)).length, 600)
  store.calls[0]!.fail(fault('store.full'))
  await settle()
  assert.ok(log.includes('first store.full'))
  assert.equal(store.calls.length, 3)
  store.calls[2]!.end()
  await settle()
  assert.equal(log.filter((l) => /^m.* done$/.test(l)).length, 600)
})

test('a commit holds at most 2,000 units and 4 MiB, one larger unit stands alone', async () => {
  const { store, add } = world()
  add('first')
  await settle()
  for (let i = 0; i < 2_500; i++) add(`n${i}`)
  await settle()
  assert.equal(store.calls[1]!.units.length, 2_000)
  store.calls[0]!.end()
  store.calls[1]!.end()
  await settle()
  assert.equal(store.calls[2]!.units.length, 500)
  const mib = 1024 * 1024
  for (const [name, bytes] of [
    ['huge', 10 * mib],
    ['half', 3 * mib],
    ['other', 2 * mib],
  ] as const)
    add(name, 'durable', bytes)
  for (let i = 2; i < 5; i++) {
    store.calls[i]!.end()
    await settle()
  }
  assert.deepEqual(store.calls.slice(3).map(names), [['huge'], ['half'], ['other']])
})

test('more than the limit is refused at once, and accepted again when the backlog has gone', async () => {
  const { store, add, log } = world()
  add('first')
  await settle()
  add('large', 'durable', 15 * 1024 * 1024 + 1)
  add('too much', 'durable', 1)
  add('a cursor')
  await settle()
  assert.deepEqual(log, ['too much journal.full'])
  store.calls[0]!.end()
  store.calls[1]!.end()
  await settle()
  store.calls[2]!.end()
  await settle()
  add('again', 'durable', 14 * 1024 * 1024)
  await settle()
  store.calls[3]!.end()
  await settle()
  assert.deepEqual(log, ['too much journal.full', 'first done', 'large done', 'a cursor done', 'again done'])
})

test('what is larger than the limit by itself goes alone, and whoever comes meanwhile is told before making anything', async () => {
  const { store, commit, add, log } = world()
  add('first')
  await settle()
  commit.assertRoom()
  add('huge', 'durable', 100 * 1024 * 1024)
  assert.throws(() => commit.assertRoom(), { code: 'journal.full' })
  store.calls[0]!.end()
  await settle()
  store.calls[1]!.end()
  await settle()
  commit.assertRoom()
  assert.deepEqual(log, ['first done', 'huge done'])
})

test('settled resolves when everything is, whether it went well or not', async () => {
  const { store, commit, add } = world()
  await commit.settled()
  let settled = false
  add('a')
  await settle()
  add('b')
  void commit.settled().then(() => (settled = true))
  store.calls[0]!.end()
  await settle()
  assert.equal(settled, false)
  store.calls[1]!.fail(fault('store.busy'))
  await settle()
  assert.equal(settled, true)
})

for (const [code, doubt] of [
  ['store.full', 0],
  ['store.busy', 0],
  ['store.readonly', 0],
  ['store.closed', 0],
  ['store.broken', 1],
] as const) {
  test(`after ${code} it is ${doubt ? 'not ' : ''}certain that nothing was applied`, async () => {
    const { store, add, unclear } = world()
    add('a')
    await settle()
    store.calls[0]!.fail(fault(code))
    await settle()
    assert.equal(unclear(), doubt)
  })
}
