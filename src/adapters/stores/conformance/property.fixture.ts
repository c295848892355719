import assert from 'node:assert/strict'
import fc from 'fast-check'
import { live, Model } from './model.ts'
import { plain, start, without, type Subject, type SuiteClock } from './trial.ts'
import type { Entry, Guard, Outcome, Parked, ParkedAt, ParkedState, Store, Unit, Write } from '../port.ts'

/** Three slots of topic `a`, two of `b`: made at the beginning, so that there is where to append. */
const slots = [0, 1, 2, 3, 4]
const window = 50
const states: readonly ParkedState[] = ['retry', 'held', 'behind', 'dead']

/** A time relative to the moment at which its command runs: the wall clock of the run only goes forward. */
const about = fc.integer({ min: -60, max: 60 })
const few = fc.nat(3)
const letter = (letters: string) => fc.constantFrom(...letters.split(''))
const nullable = <T>(a: fc.Arbitrary<T>) => fc.option(a, { nil: null })
const body = fc.oneof(fc.string({ maxLength: 9, unit: 'binary' }), fc.uint8Array({ maxLength: 9 }))

/** Ids are either chosen by somebody (and then compared within the window) or fresh. */
const entry = fc
  .record({
    slot: fc.constantFrom(...slots),
    chosen: fc.option(fc.nat(5)),
    key: nullable(letter('xy')),
    meta: nullable(fc.string()),
    body,
  })
  .map(({ chosen, ...e }) => ({
    ...e,
    time: 0,
    id: chosen === null ? 'fresh' : `c${chosen}`,
    dedupe: chosen === null ? 0 : window,
  }))
const at: fc.Arbitrary<ParkedAt> = fc.record({
  subscription: fc.constantFrom(1, 2),
  partition: fc.nat(1),
  offset: fc.nat(6),
})
const attempt = fc.record({
  state: fc.constantFrom(...states),
  attempts: few,
  due: about,
  faults: nullable(fc.string()),
  heldBy: nullable(letter('pq')),
})
const parked: fc.Arbitrary<Parked> = fc
  .tuple(
    at,
    attempt,
    fc.record({
      key: nullable(letter('xy')),
      id: fc.string(),
      time: about,
      since: about,
      meta: nullable(fc.string()),
      body,
    }),
  )
  .map(([where, how, what]) => ({ ...where, ...how, ...what }))

const write: fc.Arbitrary<Write> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ write: fc.constant('append' as const), entries: fc.array(entry, { maxLength: 5 }) }),
  },
  { weight: 3, arbitrary: fc.record({ write: fc.constant('park' as const), parked }) },
  { weight: 2, arbitrary: fc.record({ write: fc.constant('unpark' as const), at, now: about }) },
  fc.record({ write: fc.constant('quarantine' as const), parked }),
  fc.record({
    write: fc.constant('advance' as const),
    subscription: fc.constantFrom(1, 2),
    partition: fc.nat(1),
    low: fc.nat(20),
    done: nullable(fc.uint8Array({ maxLength: 3 })),
  }),
  fc
    .tuple(at, attempt, fc.option(body))
    .map(([at, how, b]) => ({ write: 'repark' as const, at, ...how, ...(b === null ? {} : { body: b }) })),
  fc.record({
    write: fc.constant('postpone' as const),
    subscription: fc.constantFrom(1, 2),
    heldBy: letter('pq'),
    due: about,
  }),
  fc.record({ write: fc.constant('put' as const), name: letter('kl'), value: fc.string(), expires: nullable(about) }),
  fc.record({ write: fc.constant('drop' as const), name: letter('kl') }),
  fc.record({
    write: fc.constant('lease' as const),
    name: letter('mn'),
    worker: letter('uv'),
    from: nullable(letter('uv')),
  }),
  fc.record({ write: fc.constant('release' as const), name: letter('mn'), worker: letter('uv') }),
  fc.tuple(letter('uv'), few).map(([id, beat]) => ({
    write: 'worker' as const,
    worker: { id, beat, level: 1, host: 'h', pid: 1, started: start },
  })),
  fc.record({ write: fc.constant('gone' as const), worker: letter('uv') }),
  fc.record({ write: fc.constant('delay' as const), due: about, entry }),
  fc.record({ write: fc.constant('fire' as const), now: fc.constant(0), limit: few }),
  fc.record({
    write: fc.constant('call' as const),
    time: about,
    connection: letter('rs'),
    operation: fc.constant('o'),
    outcome: letter('ef'),
    record: fc.string(),
  }),
  fc.record({
    write: fc.constant('audit' as const),
    time: about,
    verb: letter('vw'),
    subject: fc.string(),
    detail: fc.string(),
  }),
  fc.record({
    write: fc.constant('trim' as const),
    what: fc.constant('log' as const),
    slot: fc.constantFrom(...slots),
    before: about,
    below: fc.nat(12),
    limit: fc.constant(1_000),
  }),
  fc.record({
    write: fc.constant('trim' as const),
    what: fc.constantFrom('calls' as const, 'audit' as const, 'keys' as const),
    before: about,
    limit: fc.constant(1_000),
  }),
  fc.constant({ write: 'trim' as const, what: 'seen' as const, before: -window, limit: 1_000 }),
  fc.record({
    write: fc.constant('compact' as const),
    slot: fc.constantFrom(...slots),
    from: fc.nat(4),
    below: fc.nat(12),
    limit: fc.constant(1_000),
  }),
  fc.record({ write: fc.constant('topic' as const), name: letter('abc'), partitions: fc.integer({ min: 1, max: 3 }) }),
  fc.record({
    write: fc.constant('subscription' as const),
    name: letter('stu'),
    topic: letter('abz'),
    from: fc.constantFrom('beginning' as const, 'now' as const),
  }),
)
const guard: fc.Arbitrary<Guard> = fc.oneof(
  fc.record({ guard: fc.constant('lease' as const), name: letter('mn'), epoch: few }),
  fc.record({ guard: fc.constant('key' as const), name: letter('kl'), version: few, now: fc.constant(0) }),
  fc.record({ guard: fc.constant('parked' as const), at, states: fc.subarray([...states]) }),
  fc.record({
    guard: fc.constant('parked' as const),
    at,
    states: fc.constant(states),
    body: fc.constantFrom('', new Uint8Array(0)),
  }),
)
const unit: fc.Arbitrary<Unit> = fc.record({
  guards: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.array(guard, { maxLength: 2 })),
  writes: fc.array(write, { maxLength: 4 }),
})
const units = fc.array(unit, { minLength: 1, maxLength: 4 })
const command = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('commit' as const), units, by: fc.nat(1), wait: fc.nat(40) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('transact' as const, 'roll back' as const),
      units,
      by: fc.nat(1),
      wait: fc.nat(40),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('reopen' as const), wait: fc.nat(40) }) },
)
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never

/** Turns relative times into those of now, and `fresh` into ids that nobody has had. */
class Present {
  now = start
  #fresh = 0

  units(units: readonly Unit[]): Unit[] {
    return units.map((u) => ({
      guards: (u.guards ?? []).map((g) => (g.guard === 'key' ? { ...g, now: this.now } : g)),
      writes: u.writes.map((w) => this.#write(w)),
    }))
  }

  #write(w: Write): Write {
    const t = this.now
    switch (w.write) {
      case 'append':
        return { ...w, entries: w.entries.map((e) => this.#entry(e)) }
      case 'park':
        return {
          ...w,
          parked: { ...w.parked, due: t + w.parked.due, time: t + w.parked.time, since: t + w.parked.since },
        }
      case 'delay':
        return { ...w, due: t + w.due, entry: this.#entry(w.entry) }
      case 'repark':
      case 'postpone':
        return { ...w, due: t + w.due }
      case 'unpark':
      case 'fire':
        return { ...w, now: t + w.now }
      case 'put':
        return w.expires === null ? w : { ...w, expires: t + w.expires }
      case 'call':
      case 'audit':
        return { ...w, time: t + w.time }
      case 'trim':
        return { ...w, before: t + w.before }
      default:
        return w
    }
  }

  #entry(e: Entry): Entry {
    return { ...e, time: this.now, id: e.dedupe === 0 ? `fresh-${this.#fresh++}` : e.id }
  }
}

/** Results that the port does not speak of are left out. */
function spoken(units: readonly Unit[], outcomes: readonly Outcome[]): unknown {
  const silent = new Set([
    'advance',
    'park',
    'repark',
    'postpone',
    'drop',
    'release',
    'worker',
    'gone',
    'delay',
    'call',
    'audit',
  ])
  return outcomes.map((o, i) =>
    o.ok
      ? o.results.map((r, n) => {
          const w = units[i]!.writes[n]!
          return silent.has(w.write) || (w.write === 'trim' && w.what === 'seen') ? '' : r
        })
      : o.failed,
  )
}

const byName = (a: { readonly name: string }, b: { readonly name: string }): number => (a.name < b.name ? -1 : 1)

/** Everything that can be read, asked of the store and of the model. */
async function compare(store: Store, model: Model, now: number): Promise<void> {
  const same = (actual: unknown, expected: unknown): void => assert.deepEqual(plain(actual), plain(expected))
  const all = 1_000
  same(await store.read({ read: 'topics' }), model.topics.toSorted(byName))
  same(await store.read({ read: 'subscriptions' }), model.subscriptions.toSorted(byName))
  for (const slot of slots) {
    const kept = model.log.filter((m) => m.slot === slot).map((m) => without(m, 'slot'))
    same(
      await store.read({ read: 'log', slot, from: 2, below: 9, limit: 4, bytes: 1e6 }),
      kept.filter((m) => m.offset >= 2 && m.offset < 9).slice(0, 4),
    )
    same(await store.read({ read: 'newest', slot, below: Number.MAX_SAFE_INTEGER, limit: all }), kept.toReversed())
  }
  same(
    await store.read({ read: 'bounds', slots }),
    slots.map((s) => model.bounds(s)),
  )
  for (const subscription of [1, 2]) {
    same(await store.read({ read: 'cursors', subscription }), model.cursors(subscription))
    const mine = model.parked.filter((p) => p.subscription === subscription)
    const runs = mine
      .filter((p) => p.state === 'retry' || p.state === 'held')
      .sort((a, b) => a.due - b.due || a.offset - b.offset)
    same(await store.read({ read: 'nextDue', subscription }), runs[0]?.due ?? null)
    const later = runs.find((p) => p.due > now)
    same(await store.read({ read: 'nextDue', subscription, after: now }), later?.due ?? null)
    for (const partition of [0, 1]) {
      const due = await store.read({ read: 'due', subscription, partitions: [partition], now, limit: all })
      same(
        due,
        runs.filter((p) => p.partition === partition && p.due <= now),
      )
      const keys = await store.read({ read: 'parkedKeys', subscription, partition })
      same(new Set(keys), new Set(mine.filter((p) => p.partition === partition && p.key !== null).map((p) => p.key)))
      for (const key of ['x', 'y']) {
        const of = mine.filter((p) => p.partition === partition && p.key === key).sort((a, b) => a.offset - b.offset)
        same(await store.read({ read: 'parkedFirst', subscription, partition, key }), of[0] ?? null)
      }
    }
  }
  same(
    (await store.read({ read: 'parked', limit: all })).map((p) => without(p, 'row')),
    model.parked,
  )
  const counts = await store.read({ read: 'parkedCounts' })
  same(
    counts.reduce((sum, c) => sum + c.count, 0),
    model.parked.length,
  )
  for (const c of counts)
    same(c.count, model.parked.filter((p) => p.subscription === c.subscription && p.state === c.state).length)
  const keys = [...model.keys]
    .filter(([, k]) => live(k, now))
    .map(([name, { value, version }]) => ({ name, value, version }))
  same(await store.read({ read: 'keys', prefix: '', now }), keys.toSorted(byName))
  const leases = [...model.leases].map(([name, l]) => ({ name, ...l })).filter((l) => l.worker !== null)
  same([...(await store.read({ read: 'leases' }))].sort(byName), leases.sort(byName))
  const workers = [...(await store.read({ read: 'workers' }))]
  same(
    workers.sort((a, b) => (a.id < b.id ? -1 : 1)),
    [...model.workers.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
  )
  same(
    await store.read({ read: 'nextDelayed' }),
    model.delayed.length === 0 ? null : Math.min(...model.delayed.map((d) => d.due)),
  )
  same(
    (await store.read({ read: 'calls', limit: all })).map((c) => without(c, 'id')),
    model.calls.toReversed(),
  )
  same(
    (await store.read({ read: 'audit', limit: all })).map((a) => without(a, 'id')),
    model.audit.toReversed(),
  )
}

async function run(commands: readonly Command[], subject: Subject): Promise<void> {
  const model = new Model()
  const present = new Present()
  const stores = [subject.store, subject.second ? await subject.second() : subject.store]
  const born: Unit[] = [
    {
      writes: [
        { write: 'topic', name: 'a', partitions: 3 },
        { write: 'topic', name: 'b', partitions: 2 },
        { write: 'subscription', name: 's', topic: 'a', from: 'beginning' },
        { write: 'subscription', name: 't', topic: 'b', from: 'beginning' },
      ],
    },
  ]
  assert.deepEqual(spoken(born, await stores[0]!.commit(born, 'relaxed')), spoken(born, model.commit(born)))
  for (const c of commands) {
    present.now += c.wait
    if (c.do === 'reopen') {
      if (subject.reopen) stores[0] = await subject.reopen()
    } else {
      const units = present.units(c.units)
      const store = stores[c.by]!
      if (c.do === 'commit') {
        assert.deepEqual(spoken(units, await store.commit(units, 'relaxed')), spoken(units, model.commit(units)))
      } else {
        const tx = await store.begin(1_000)
        if (c.do === 'roll back') await tx.rollback()
        else {
          // In a transaction that is taken back, the results of the units that held mean nothing.
          const [actual, expected] = [await tx.commit(units), model.commit(units, true)]
          if (expected.every((o) => o.ok)) assert.deepEqual(spoken(units, actual), spoken(units, expected))
          else
            assert.deepEqual(
              actual.map((o) => o.ok),
              expected.map((o) => o.ok),
            )
        }
      }
    }
    await compare(stores[0]!, model, present.now)
    if (stores[1] !== stores[0]) await compare(stores[1]!, model, present.now)
  }
}

/** Any sequence of units, from one process or two, with reopening in between, gives what the model gives. */
export async function storeProperty(
  open: (clock: SuiteClock) => Promise<Subject>,
  newClock: () => SuiteClock,
  numRuns: number,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 25 }), async (commands) => {
      const subject = await open(newClock())
      try {
        await run(commands, subject)
      } finally {
        await subject.close()
      }
    }),
    { numRuns },
  )
}
