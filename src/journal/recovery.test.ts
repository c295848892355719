import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Unit, Write } from '#adapters/stores/port.ts'
import { fault } from '#kernel/fault.ts'
import { sql } from '#kernel/sql.ts'
import { dataOf, gate, journalWorld, reader, type JournalWorld } from './world.fixture.ts'

const writes = (units: readonly Unit[], what: Write['write']): boolean =>
  units.some((u) => u.writes.some((w) => w.write === what))

/** The next commit with such a write is applied, and reported as failed. */
function loseAnswerOf(w: JournalWorld, what: Write['write']): void {
  w.store.onCommit = async (units, _sync, go) => {
    if (!writes(units, what)) return go()
    w.store.onCommit = undefined
    await go()
    throw fault('store.broken')
  }
}

function refuseOnce(w: JournalWorld, what: Write['write'], code: 'store.busy' | 'store.broken'): void {
  w.store.onCommit = async (units, _sync, go) => {
    if (!writes(units, what)) return go()
    w.store.onCommit = undefined
    throw fault(code)
  }
}

test('a message whose first publish was not answered is handled when its repeat is accepted', async () => {
  const seen: unknown[] = []
  await using w = await journalWorld([reader((run) => void seen.push(dataOf(run)))])
  w.journal.commit.onUnclear = () => {} // nobody else looks: the repeat alone must do
  loseAnswerOf(w, 'append')
  await assert.rejects(w.publish('a', { id: 'x', dedupe: 60_000 }), { code: 'store.broken' })
  const again = await w.publish('a', { id: 'x', dedupe: 60_000 })
  assert.equal(again.duplicate, true)
  await w.settle()
  assert.deepEqual(seen, ['a'])
})

test('what a commit without an answer has appended is found within seconds, though nobody repeats it', async () => {
  const seen: unknown[] = []
  await using w = await journalWorld([reader((run) => void seen.push(dataOf(run)))])
  loseAnswerOf(w, 'append')
  await assert.rejects(w.publish('a'), { code: 'store.broken' })
  await w.clock.advance(2_000)
  assert.deepEqual(seen, ['a'])
})

test('a run whose commit was not answered is not done again when it had landed', async () => {
  let runs = 0
  await using w = await journalWorld([
    reader(async (run) => {
      runs++
      const tx = await run.transaction()
      await tx.query(sql`insert into mine values (${String(dataOf(run))})`)
    }),
  ])
  const setup = await w.store.begin(1_000)
  await setup.query(sql`create table mine (d text)`)
  await setup.commit([])
  w.store.onTransactionCommit = async (go) => {
    w.store.onTransactionCommit = undefined
    await go()
    throw fault('store.broken')
  }
  await w.publish('a')
  await w.clock.advance(30_000)
  const look = await w.store.begin(1_000)
  assert.equal((await look.query(sql`select d from mine`)).length, 1)
  await look.rollback()
  assert.equal(runs, 1)
  assert.deepEqual(await w.store.read({ read: 'parked', limit: 10 }), [])
  await w.publish('b')
  await w.settle()
  assert.equal(runs, 2)
})

test('a delayed message appears although the log could not be read when it was moved', async () => {
  const seen: unknown[] = []
  await using w = await journalWorld([reader((run) => void seen.push(dataOf(run)))])
  const topic = w.journal.log.topic('things')
  const entry = w.journal.log.entry(topic, { id: 'd', key: null, meta: null, body: '"d"', dedupe: 0 })
  await w.journal.delays.add(entry, w.clock.now() + 1_000)
  let failures = 0
  w.store.onRead = (query, go) =>
    query.read === 'heads' && failures++ === 0 ? Promise.reject(fault('store.busy')) : go()
  await w.clock.advance(10_000)
  assert.deepEqual(seen, ['d'])
})

test('a look at what another process has written is repeated when it fails', async () => {
  const seen: unknown[] = []
  await using w = await journalWorld([reader((run) => void seen.push(dataOf(run)))])
  const topic = w.journal.log.topic('things')
  const entry = w.journal.log.entry(topic, { id: 'theirs', key: null, meta: null, body: '"theirs"', dedupe: 0 })
  await w.store.inner.commit([{ writes: [{ write: 'append', entries: [entry] }] }], 'durable')
  w.store.onRead = () => {
    w.store.onRead = undefined
    return Promise.reject(fault('store.busy'))
  }
  for (const changed of w.store.watchers) changed()
  await w.clock.advance(5_000)
  assert.deepEqual(seen, ['theirs'])
})

test('an operator who looks while a look is failing is told the truth afterwards', async () => {
  const seen: unknown[] = []
  await using w = await journalWorld([reader((run) => void seen.push(dataOf(run)))])
  await w.journal.keys.put('pause/subscription/reader', '1')
  await w.journal.refresh()
  await w.publish('a')
  await w.settle()
  assert.deepEqual(seen, [])
  const slow = gate()
  w.store.onRead = async () => {
    w.store.onRead = undefined
    await slow.opened
    throw fault('store.busy')
  }
  const failing = w.journal.refresh()
  await w.journal.keys.drop('pause/subscription/reader')
  const mine = w.journal.refresh()
  slow.open()
  await failing
  await mine
  await w.settle()
  assert.deepEqual(seen, ['a'])
})

test('a store that takes nothing for a while makes nobody do again what was done', async () => {
  const seen: unknown[] = []
  await using w = await journalWorld([
    reader(async (run) => {
      seen.push(dataOf(run))
      if (dataOf(run) === 'bad' && run.attempt === 1) throw new Error('bad')
    }),
  ])
  w.store.onCommit = (units, _sync, go) => (writes(units, 'advance') ? Promise.reject(fault('store.full')) : go())
  await w.publishAll(['a', 'bad', 'b'])
  await w.clock.advance(60_000)
  assert.deepEqual(seen, ['a', 'bad', 'b'])
  w.store.onCommit = undefined
  await w.clock.advance(10_000)
  assert.deepEqual(seen, ['a', 'bad', 'b', 'bad'])
  assert.deepEqual(await w.store.read({ read: 'parked', limit: 10 }), [])
  const [cursor] = await w.store.read({ read: 'cursors', subscription: 1 })
  assert.equal(cursor?.low, 3)
})

test('parkings that never landed do not stop the reading for good', async () => {
  const seen: unknown[] = []
  await using w = await journalWorld([
    reader(
      async (run) => {
        seen.push(dataOf(run))
        if (seen.length === 1) throw new Error('bad')
      },
      { parkedLimit: 1 },
    ),
  ])
  await w.settle()
  refuseOnce(w, 'park', 'store.broken')
  await w.publish('bad')
  await w.clock.advance(30_000)
  await w.publish('good')
  await w.clock.advance(30_000)
  assert.deepEqual(seen, ['bad', 'bad', 'good'])
})

test('a partition that was lost is not worked again beside the handlers that still run', async () => {
  const active = new Set<string>()
  const hold = gate()
  const seen: unknown[] = []
  let aborted = 0
  await using w = await journalWorld([
    reader(async (run) => {
      const key = run.messages[0]!.key!
      assert.ok(!active.has(key), 'two runs of one key')
      active.add(key)
      seen.push(dataOf(run))
      run.signal.addEventListener('abort', () => aborted++)
      if (dataOf(run) === 'slow' && seen.length === 1) await hold.opened
      active.delete(key)
    }),
  ])
  await w.publish('slow', { key: 'k' })
  await w.publish('next', { key: 'k' })
  await w.settle()
  refuseOnce(w, 'advance', 'store.broken')
  await w.publish('other', { key: 'o' })
  await w.clock.advance(10_000)
  assert.deepEqual(seen, ['slow', 'other'])
  assert.equal(aborted, 1)
  hold.open()
  await w.clock.advance(10_000)
  assert.deepEqual(seen.slice(2).sort(), ['next', 'other', 'slow'])
})

test('two claims at once take each partition once', async () => {
  const seen: unknown[] = []
  await using w = await journalWorld([reader((run) => void seen.push(dataOf(run)))], { partitions: 4 })
  const subscription = w.journal.subscriptions.get('reader')!
  for (const p of subscription.partitions.values()) subscription.lost(p)
  const { balance } = w.journal
  await Promise.all([balance.claim(), balance.claim(), balance.claim()])
  for (let i = 0; i < 20; i++) await w.publish(i)
  await w.clock.advance(5_000)
  assert.equal(seen.length, 20)
  assert.deepEqual(
    w.runtime.logged.map((l) => l.event),
    [],
  )
})

test('a parked message whose lease was lost in its transaction is left to the new owner, not run over and over', async () => {
  let runs = 0
  await using w = await journalWorld([
    reader(async (run) => {
      if (++runs === 1) throw new Error('not yet')
      await run.transaction()
      // While it runs, another worker takes the partition.
      if (runs === 2) stolen = true
    }),
  ])
  let stolen = false
  const steal = async (): Promise<void> => {
    const name = 'subscription/reader/0'
    const [mine] = await w.store.read({ read: 'leases' })
    await w.store.inner.commit([{ writes: [{ write: 'lease', name, worker: 'other', from: mine!.worker }] }], 'durable')
  }
  const begin = w.store.begin.bind(w.store)
  w.store.begin = async (limit) => {
    if (!stolen && runs === 2) await steal()
    return begin(limit)
  }
  await w.publish('a')
  await w.clock.advance(60_000)
  assert.equal(runs, 2)
  assert.equal((await w.store.read({ read: 'parked', limit: 10 })).length, 1)
})

test('a process that stood still lets go of what others have taken before it handles anything', async () => {
  const seen: unknown[] = []
  await using w = await journalWorld([reader((run) => void seen.push(dataOf(run)))])
  w.store.can = { ...w.store.can, shared: 'machine' }
  const [lease] = await w.store.read({ read: 'leases' })
  const topic = w.journal.log.topic('things')
  const entry = w.journal.log.entry(topic, { id: 'theirs', key: null, meta: null, body: '"theirs"', dedupe: 0 })
  await w.store.inner.commit(
    [
      { writes: [{ write: 'lease', name: lease!.name, worker: 'other', from: lease!.worker }] },
      { writes: [{ write: 'append', entries: [entry] }] },
    ],
    'durable',
  )
  for (const changed of w.store.watchers) changed()
  await w.clock.advance(10_000)
  assert.deepEqual(seen, [])
})

test('an end that cannot be written down ends all the same, and leaves no timer', async () => {
  const w = await journalWorld([reader(() => {})])
  w.store.onCommit = () => Promise.reject(fault('store.full'))
  await w.journal.stop(1_000)
  assert.equal(w.clock.armed, 0)
  await w.store[Symbol.asyncDispose]()
})
