import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault, fault } from '#kernel/fault.ts'
import { sql } from '#kernel/sql.ts'
import { settle } from '#testing/clock.ts'
import type { Run } from './run.ts'
import { dataOf, gate, journalWorld, reader } from './world.fixture.ts'

const failed = (): Fault => new Fault('test.failed', 'transient')
const all = (run: Run): unknown[] => run.messages.map((m) => JSON.parse(String(m.body)) as unknown)

test('handlers that return in the same turn do not pile up on the stack, however many messages wait', async () => {
  let handled = 0
  const hold = gate()
  // The first one holds the only place until all partitions have messages ready.
  const handle = (): Promise<void> | void => (handled++ === 0 ? hold.opened : undefined)
  await using w = await journalWorld([reader(handle, { concurrency: 1 })], { partitions: 8 })
  const topic = w.journal.log.topic('things')
  const entries = Array.from({ length: 8_000 }, (_, i) =>
    w.journal.log.entry(topic, { id: `${i}`, key: i % 3 ? `k${i % 7}` : null, meta: null, body: '0', dedupe: 0 }),
  )
  await w.journal.log.append(entries)
  await w.settle()
  hold.open()
  for (let i = 0; i < 100 && handled < entries.length; i++) await w.settle()
  assert.equal(handled, entries.length)
})

test('a batch is rolled back as a whole: what one message wrote through ctx.tx is not lost because another failed', async () => {
  const runs: unknown[][] = []
  await using w = await journalWorld([
    reader(
      async (run) => {
        runs.push(all(run))
        const tx = await run.transaction()
        for (const d of all(run)) await tx.query(sql`insert into mine values (${String(d)})`)
        return run.messages.map((_, i) => (runs.length === 1 && i === 0 ? failed() : undefined))
      },
      { batch: 10, name: 'batches' },
    ),
  ])
  const setup = await w.store.begin(1_000)
  await setup.query(sql`create table mine (d text)`)
  await setup.commit([])
  const topic = w.journal.log.topic('things')
  await w.journal.log.append(
    ['a', 'b'].map((d) =>
      w.journal.log.entry(topic, { id: d, key: d, meta: null, body: JSON.stringify(d), dedupe: 0 }),
    ),
  )
  await w.clock.advance(10_000)
  assert.deepEqual(runs[0], ['a', 'b'])
  const look = await w.store.begin(1_000)
  assert.deepEqual(
    (await look.query(sql`select d from mine order by d`)).map((r) => r['d']),
    ['a', 'b'],
  )
  await look.rollback()
})

test('of two messages of one key that fail in one batch, the later is not retried before the earlier', async () => {
  const good: unknown[] = []
  let first = true
  await using w = await journalWorld([
    reader(
      async (run) => {
        if (first) {
          first = false
          return run.messages.map(failed)
        }
        good.push(...all(run))
        return undefined
      },
      // The later one would be due long before the earlier.
      {
        batch: 10,
        retry: { attempts: 5, delay: () => (w.clock.mono(), good.length === 0 ? (delays.shift() ?? 0) : 0) },
      },
    ),
  ])
  const delays = [5_000, 1_000]
  const topic = w.journal.log.topic('things')
  await w.journal.log.append(
    ['a', 'b'].map((d) =>
      w.journal.log.entry(topic, { id: d, key: 'k', meta: null, body: JSON.stringify(d), dedupe: 0 }),
    ),
  )
  await w.clock.advance(20_000)
  assert.deepEqual(good, ['a', 'b'])
})

test('messages behind a dead one fill whole batches and do not stop those of other keys', async () => {
  const good: unknown[] = []
  await using w = await journalWorld([
    reader(
      async (run) => {
        const results = all(run).map((d) => (d === 'bad' ? new Fault('test.bad', 'rejected') : undefined))
        all(run).forEach((d, i) => results[i] === undefined && good.push(d))
        return results
      },
      { batch: 2 },
    ),
  ])
  const topic = w.journal.log.topic('things')
  const behind = Array.from({ length: 20 }, (_, i) => `b${i}`)
  await w.journal.log.append(
    ['first', 'bad', ...behind, 'other'].map((d) =>
      w.journal.log.entry(topic, {
        id: d,
        key: d === 'bad' || d.startsWith('b') ? 'k' : d,
        meta: null,
        body: JSON.stringify(d),
        dedupe: 0,
      }),
    ),
  )
  await w.settle()
  assert.deepEqual(good, ['first', 'other'])
})

test('a message that waits for room in a batch is not overtaken by a later one of its key that was parked', async () => {
  const good: unknown[] = []
  const failX = gate()
  const hold = gate()
  await using w = await journalWorld(
    [
      reader(
        async (run) => {
          const [d] = all(run)
          if (d === 'w' && run.attempt === 1) throw failed()
          if (d === 'w') return hold.opened
          if (d === 'x' && run.attempt === 1) await failX.opened
          good.push(d)
          return undefined
        },
        { batch: 1, concurrency: 1, retry: { attempts: 5, delay: () => 100 } },
      ),
    ],
    { partitions: 2 },
  )
  const topic = w.journal.log.topic('things')
  const slotOf = (key: string): number =>
    w.journal.log.entry(topic, { id: 'i', key, meta: null, body: '0', dedupe: 0 }).slot - topic.slot
  const keyIn = (partition: number): string =>
    Array.from({ length: 100 }, (_, i) => `k${i}`).find((k) => slotOf(k) === partition)!
  const k = keyIn(0)
  await w.publish('w', { key: keyIn(1) })
  await w.settle()
  await w.publish('x', { key: k })
  await w.publish('y', { key: k })
  // The retry of w is due and takes the place that x gives up: y is read and waits.
  await w.clock.advance(1_000)
  failX.fail(failed())
  await w.settle()
  await w.publish('z', { key: k })
  await w.clock.advance(1_000)
  hold.open()
  await w.clock.advance(20_000)
  assert.deepEqual(good, ['x', 'y', 'z'])
})

test('a delayed message that a handler publishes in its transaction appears when it is due', async () => {
  const seen: unknown[] = []
  await using w = await journalWorld([
    reader(async (run) => {
      seen.push(dataOf(run))
      if (dataOf(run) !== 'first') return
      await run.transaction()
      const topic = w.journal.log.topic('things')
      const entry = w.journal.log.entry(topic, { id: 'later', key: null, meta: null, body: '"later"', dedupe: 0 })
      run.write({ write: 'delay', due: w.clock.now() + 3_000, entry })
    }),
  ])
  await w.publish('first')
  await w.clock.advance(2_999)
  assert.deepEqual(seen, ['first'])
  await w.clock.advance(2)
  assert.deepEqual(seen, ['first', 'later'])
})

test('a person edits a message while it runs: the edited one runs too, the end of the old run says nothing about it', async () => {
  const seen: unknown[] = []
  const hold = gate()
  await using w = await journalWorld([
    reader(async (run) => {
      seen.push(dataOf(run))
      if (run.attempt === 1 && dataOf(run) === 'wrong') throw failed()
      if (dataOf(run) === 'wrong') await hold.opened
    }),
  ])
  const { offset } = await w.publish('wrong')
  await w.clock.advance(1_500)
  assert.deepEqual(seen, ['wrong', 'wrong'])
  const at = { subscription: w.journal.subscriptions.get('reader')!.id, partition: 0, offset }
  const change = {
    state: 'retry',
    attempts: 0,
    due: w.clock.now(),
    faults: null,
    heldBy: null,
    body: '"right"',
  } as const
  await w.journal.commit.add({ writes: [{ write: 'repark', at, ...change }] }, 'durable')
  await w.journal.refresh()
  hold.open()
  await w.clock.advance(5_000)
  assert.deepEqual(seen, ['wrong', 'wrong', 'right'])
  assert.equal(await w.store.read({ read: 'parkedAt', at }), null)
})

test('a due message of a partition that another worker has does not stop the clock for ours', async () => {
  const seen: unknown[] = []
  await using w = await journalWorld([
    reader(async (run) => {
      seen.push(dataOf(run))
      if (run.attempt === 1) throw failed()
    }),
  ])
  const subscription = w.journal.subscriptions.get('reader')!.id
  const message = { subscription, partition: 7, offset: 0, key: null, id: 'theirs', time: 0, meta: null, body: '0' }
  const how = {
    state: 'retry',
    attempts: 1,
    due: w.clock.now() - 10_000,
    since: 0,
    faults: null,
    heldBy: null,
  } as const
  const theirs = { ...message, ...how }
  await w.store.commit([{ writes: [{ write: 'park', parked: theirs }] }], 'durable')
  await w.publish('ours')
  await w.clock.advance(5_000)
  assert.deepEqual(seen, ['ours', 'ours'])
})

test('a subscription that read another topic in this store is refused: its cursors would skip messages', async () => {
  const w = await journalWorld([reader(() => {}, { name: 'moves' })])
  const topics = ['things', 'others'].map((topic) => ({ topic, partitions: 1, age: 1e9, compact: false }))
  await assert.rejects(
    journalWorld([reader(() => {}, { name: 'moves', topic: 'others' })], { runtime: w.runtime, journal: { topics } }),
    { code: 'subscription.moved' },
  )
  await w[Symbol.asyncDispose]()
})

test('a gap wider than the window is passed while an earlier message still runs', async () => {
  const topics = [{ topic: 'things', partitions: 1, age: 7 * 86_400_000, compact: true }]
  const before = await journalWorld([], { journal: { topics } })
  const topic = before.journal.log.topic('things')
  const entry = (d: string, key: string) =>
    before.journal.log.entry(topic, { id: d, key, meta: null, body: JSON.stringify(d), dedupe: 0 })
  await before.journal.log.append([entry('slow', 's'), ...Array.from({ length: 3_000 }, (_, i) => entry(`${i}`, 'a'))])
  await before.journal.retention.pass()
  await before.journal.stop(0)
  const hold = gate()
  const seen: unknown[] = []
  await using w = await journalWorld(
    [
      reader(async (run) => {
        seen.push(dataOf(run))
        if (dataOf(run) === 'slow') await hold.opened
      }),
    ],
    { runtime: before.runtime, journal: { topics } },
  )
  assert.deepEqual(seen, ['slow'])
  hold.open()
  await settle()
  assert.deepEqual(seen, ['slow', '2999'])
  assert.equal(w.journal.subscriptions.get('reader')!.lagging, false)
})

test('reading stops at the parked limit, and nothing beyond what ran already is parked', async () => {
  await using w = await journalWorld([
    reader(
      async () => {
        throw fault('subscription.result')
      },
      { concurrency: 3, parkedLimit: 5 },
    ),
  ])
  for (let i = 0; i < 50; i++) await w.publish(i)
  await w.clock.advance(60_000)
  const parked = await w.store.read({ read: 'parked', limit: 100 })
  assert.ok(parked.length >= 5 && parked.length < 5 + 3, `${parked.length}`)
})
