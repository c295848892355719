import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Parked, Write } from '#adapters/stores/port.ts'
import { counted, fleet, watched, writes, type Fleet, type Process } from './fleet.fixture.ts'
import { dataOf, gate, journalWorld, reader } from './world.fixture.ts'
import type { SubscriptionOptions } from './subscription.ts'

type Begun = { readonly data: unknown; readonly attempt: number; readonly repeated: boolean; ended?: boolean }

/**
 * A world in which `poison` ends its process each time, 5 ms after it began; all else takes 20 ms. A supervisor starts
 * another process as soon as one has ended.
 */
function poisoned(f: Fleet, poison: ReadonlySet<unknown>, more: Partial<SubscriptionOptions> = {}) {
  const begun: Begun[] = []
  let kills = 0
  const handle = (process: Process) =>
    reader((run) => {
      // What the rest of the turn of a process that has ended would do is not done.
      if (!process.live) return new Promise(() => {})
      const mine = run.messages.map((m): Begun => ({
        data: JSON.parse(String(m.body)) as unknown,
        attempt: run.attempt,
        repeated: run.repeated,
      }))
      begun.push(...mine)
      const kill = mine.some((b) => poison.has(b.data))
      return new Promise<void>((resolve) =>
        f.clock.after(kill ? 5 : 20, () => {
          if (!process.live) return
          if (kill) {
            kills++
            process.state = 'dead'
            return
          }
          for (const b of mine) b.ended = true
          resolve()
        }),
      )
    }, more)
  return {
    begun,
    get kills() {
      return kills
    },
    start: () => f.start((process) => [handle(process)]),
    /** Lives on for so many ms; who has ended is replaced. */
    async live(ms: number) {
      for (let t = 0; t < ms; t += 50) {
        await f.clock.advance(50)
        const alive = f.members.filter((m) => m.process.live).length
        if (alive === 0) await this.start()
      }
    },
    done: (data: unknown) => begun.filter((b) => b.data === data && b.ended).length,
  }
}

async function parked(f: Fleet): Promise<readonly Parked[]> {
  return f.store.inner.read({ read: 'parked', limit: 1_000 })
}

const isTrace = (w: Write): boolean => w.write === 'put' && w.name.startsWith('trace/')

const bodies = (rows: readonly Parked[]): unknown[] => rows.map((r) => JSON.parse(String(r.body)) as unknown)

test('a message that ends its process each time is dead after its attempts; those beside it are done', async () => {
  await using f = await fleet(2)
  const w = poisoned(f, new Set(['poison']))
  const first = await w.start()
  const names = ['a', 'b', 'c', 'poison', 'd', 'e', 'f', 'g']
  for (const n of names) await first.publish(n, { key: n })
  await w.live(60_000)
  const rows = await parked(f)
  assert.deepEqual(
    rows.map((r) => [JSON.parse(String(r.body)), r.state, r.attempts]),
    [['poison', 'dead', 3]],
  )
  const history = JSON.parse(rows[0]!.faults!) as { code: string }[]
  assert.deepEqual(
    history.map((h) => h.code),
    ['subscription.crashed', 'subscription.crashed', 'subscription.crashed'],
  )
  // The first time nobody knew who it was, the three that count are attempts 1, 2, 3.
  assert.equal(w.kills, 4)
  for (const n of names) if (n !== 'poison') assert.equal(w.done(n), 1, n)
  assert.ok(f.members.some((m) => m.runtime.logged.some((l) => l.event === 'subscription.dead')))
})

test('who only ran beside the poison is never dead, though it may be tried once only', async () => {
  await using f = await fleet(1)
  const w = poisoned(f, new Set(['p1', 'p2']), { retry: { attempts: 1, delay: () => 1_000 } })
  const first = await w.start()
  const names = ['a', 'p1', 'b', 'c', 'p2', 'd']
  for (const n of names) await first.publish(n, { key: n })
  await w.live(60_000)
  assert.deepEqual(bodies(await parked(f)), ['p1', 'p2'])
  for (const n of ['a', 'b', 'c', 'd']) assert.equal(w.done(n), 1, n)
})

test('whatever is poisoned, however they are keyed and taken: the poison is dead, what follows it waits, all else is done in order', async () => {
  const message = fc.record({ key: fc.constantFrom('a', 'b', 'c', null), poison: fc.boolean() })
  const worlds = fc.record({
    messages: fc.array(message, { minLength: 1, maxLength: 10 }),
    batch: fc.constantFrom(0, 0, 1, 3),
    concurrency: fc.integer({ min: 1, max: 6 }),
    attempts: fc.integer({ min: 1, max: 3 }),
    partitions: fc.integer({ min: 1, max: 3 }),
  })
  await fc.assert(
    fc.asyncProperty(worlds, async ({ messages, batch, concurrency, attempts, partitions }) => {
      // Two poisons at most: each costs lives of processes, and time.
      let left = 2
      const sent = messages.map((m, i) => ({ ...m, data: i, poison: m.poison && left-- > 0 }))
      const poison = new Set<unknown>(sent.filter((s) => s.poison).map((s) => s.data))
      await using f = await fleet(partitions)
      const w = poisoned(f, poison, { batch, concurrency, retry: { attempts, delay: () => 500 } })
      const first = await w.start()
      for (const s of sent) await first.publish(s.data, { key: s.key })
      await w.live(40_000)
      const rows = await parked(f)
      const blocked = (i: number): boolean =>
        sent[i]!.key !== null && sent.slice(0, i).some((s) => s.poison && s.key === sent[i]!.key)
      for (const s of sent) {
        const row = rows.find((r) => JSON.parse(String(r.body)) === s.data)
        if (blocked(s.data)) assert.equal(row?.state, 'behind')
        else if (s.poison) assert.equal(row?.state, 'dead')
        else assert.ok(row === undefined && w.done(s.data) >= 1, `${s.data} is ${row?.state}`)
      }
      assert.ok(w.kills <= poison.size * (attempts + 2), `${w.kills} kills`)
      const firstEnds = w.begun.filter((b) => b.ended).map((b) => Number(b.data))
      for (const key of ['a', 'b', 'c']) {
        const line = [...new Set(firstEnds.filter((d) => sent[d]!.key === key))]
        assert.deepEqual(
          line,
          line.toSorted((a, b) => a - b),
        )
      }
    }),
    { numRuns: 60 },
  )
})

test('a retry is counted before it begins: one that ends the process spends its attempts', async () => {
  await using f = await fleet(1)
  const attempts: number[] = []
  const start = () =>
    f.start((process) => [
      reader((run) => {
        if (!process.live) return new Promise(() => {})
        attempts.push(run.attempt)
        if (run.attempt === 1) throw new Error('first')
        return new Promise(() => f.clock.after(5, () => (process.state = 'dead')))
      }),
    ])
  const first = await start()
  await first.publish('x')
  for (let i = 0; i < 20; i++) {
    await f.clock.advance(1_000)
    if (f.members.every((m) => !m.process.live)) await start()
  }
  const [row] = await parked(f)
  assert.deepEqual([row?.state, row?.attempts], ['dead', 3])
  const codes = (JSON.parse(row!.faults!) as { code: string }[]).map((h) => h.code)
  assert.deepEqual(codes, ['subscription.thrown', 'subscription.crashed', 'subscription.crashed'])
  assert.deepEqual(attempts, [1, 2, 3])
})

test('after one crash everything goes on at full width; nothing is run alone that was not running when a second came', async () => {
  await using f = await fleet(1)
  let process: Process | undefined
  let running = 0
  let most = 0
  const start = () =>
    f.start((p) => {
      process = p
      running = 0
      return [
        reader(() => {
          if (!p.live) return new Promise(() => {})
          most = Math.max(most, ++running)
          return new Promise<void>((resolve) => f.clock.after(100, () => (running--, resolve())))
        }),
      ]
    })
  const first = await start()
  await first.publishAll(Array.from({ length: 100 }, (_, i) => i))
  await f.clock.advance(150)
  process!.state = 'dead'
  most = 0
  const commits = watched(f.store)
  await start()
  await f.clock.advance(2_000)
  assert.equal(most, 10)
  const [cursor] = await f.store.read({ read: 'cursors', subscription: 1 })
  assert.equal(cursor?.low, 100)
  assert.deepEqual(await parked(f), [])
  // What is recovered is written down, all that start together in one commit.
  const [written] = commits.flatMap((c) => c.units.flatMap((u) => u.writes)).filter((x) => isTrace(x))
  assert.deepEqual(JSON.parse((written as { value: string }).value), {
    begun: Array.from({ length: 10 }, (_, i) => 10 + i),
  })
})

test('what was handed over, or given back at the end, has nothing to recover', async () => {
  await using f = await fleet(4)
  const repeated: boolean[] = []
  const noting = (p: Process) => [reader((run) => void (p.live && repeated.push(run.repeated)))]
  const a = await f.start(noting)
  await a.publishAll(Array.from({ length: 500 }, (_, i) => i))
  await f.clock.advance(1_000)
  const b = await f.start(noting)
  await f.clock.advance(1_000)
  assert.deepEqual(counted(await f.owners()), [2, 2])
  const commits = watched(f.store)
  await b.publishAll(Array.from({ length: 500 }, (_, i) => i))
  await f.clock.advance(1_000)
  const stopped = a.journal.stop(1_000)
  await f.clock.advance(2_000)
  await stopped
  a.die()
  await b.publishAll(Array.from({ length: 500 }, (_, i) => i))
  await f.clock.advance(1_000)
  assert.equal(repeated.length, 1_500)
  assert.ok(repeated.every((r) => !r))
  const traces = commits.flatMap((c) => c.units.flatMap((u) => u.writes)).filter((x) => isTrace(x))
  assert.equal(traces.length, 2, 'one word for each partition that was given back')
})

test('what an earlier holder began is known, though the next one had not heard that it was in the log', async () => {
  await using f = await fleet(1)
  const repeated: boolean[] = []
  const held = new Set<Process>()
  const handling = (p: Process) => [
    reader((run) => (held.has(p) ? new Promise(() => {}) : void repeated.push(run.repeated))),
  ]
  for (let i = 0; i < 2; i++) await f.start(handling)
  await f.clock.advance(1_000)
  const owner = f.members[(await f.owners())[0]!]!
  held.add(owner.process)
  // Nobody is told any more.
  f.store.watchers.clear()
  await owner.publish('begun')
  await f.clock.advance(0)
  owner.die()
  await f.clock.advance(10_000)
  assert.deepEqual(repeated, [true])
})

test('what a draining process gave up on is known to its successor; a parked one loses no attempt by it', async () => {
  await using f = await fleet(1)
  const runs: [unknown, number, boolean][] = []
  let hang = true
  const hanging = (p: Process) => [
    reader((run) => {
      if (!p.live) return new Promise(() => {})
      runs.push([dataOf(run), run.attempt, run.repeated])
      if (dataOf(run) === 'parked' && run.attempt === 1) throw new Error('once')
      return hang ? new Promise(() => {}) : undefined
    }),
  ]
  const a = await f.start(hanging)
  await a.publish('fresh')
  await a.publish('parked')
  await f.clock.advance(2_000)
  assert.deepEqual(
    runs.map(([d]) => d),
    ['fresh', 'parked', 'parked'],
  )
  const stopped = a.journal.stop(1_000)
  await f.clock.advance(2_000)
  await stopped
  a.die()
  const [row] = await parked(f)
  assert.deepEqual([row?.state, row?.attempts], ['retry', 1])
  assert.equal((JSON.parse(row!.faults!) as unknown[]).length, 1)
  hang = false
  await f.start(hanging)
  await f.clock.advance(2_000)
  assert.deepEqual(
    runs.slice(3).sort((a, b) => a[1] - b[1]),
    [
      ['fresh', 1, true],
      ['parked', 2, true],
    ],
  )
  assert.deepEqual(await parked(f), [])
})

test('an attempt that could not be counted for sure was not made, and is not lost', async () => {
  const attempts: number[] = []
  await using w = await journalWorld([
    reader((run) => {
      attempts.push(run.attempt)
      if (attempts.length === 1) throw new Error('first')
    }),
  ])
  await w.publish('x')
  await w.settle()
  let lost = 0
  w.store.onCommit = async (units, _sync, go) => {
    const answer = await go()
    if (!writes(units, 'repark') || lost++ > 0) return answer
    throw new Error('the answer was lost')
  }
  await w.clock.advance(10_000)
  assert.deepEqual(attempts, [1, 2])
  assert.deepEqual(await w.store.read({ read: 'parked', limit: 10 }), [])
})

test('suspects run one at a time in their process; those that are not do not wait for them', async () => {
  await using f = await fleet(2)
  const hold = gate()
  let suspects = 0
  let most = 0
  const others: unknown[] = []
  const handle = (name: string) =>
    reader(
      async (run) => {
        if (!run.parked) return void others.push(dataOf(run))
        most = Math.max(most, ++suspects)
        await hold.opened
        suspects--
      },
      { name },
    )
  const crashed = JSON.stringify([{ at: 0, code: 'subscription.crashed', kind: 'ambiguous', message: '' }])
  const of = { key: null, time: 0, meta: null, body: '0', since: 0, faults: crashed, heldBy: null } as const
  const row = (subscription: number, offset: number): Parked => ({
    ...of,
    subscription,
    partition: 0,
    offset,
    id: `${offset}`,
    state: 'retry',
    attempts: 1,
    due: 0,
  })
  const a = await f.start([handle('one'), handle('two')])
  const parks = [row(1, 1_000), row(1, 1_001), row(2, 1_002), row(2, 1_003)].map(
    (p) => ({ write: 'park', parked: p }) as const,
  )
  await f.store.commit([{ writes: parks }], 'durable')
  await f.clock.advance(1_000)
  await a.publishAll([1, 2, 3])
  await f.clock.advance(1_000)
  assert.equal(others.length, 6)
  assert.equal(suspects, 1)
  hold.open()
  await f.clock.advance(1_000)
  assert.equal(most, 1)
  assert.deepEqual(await parked(f), [])
})
