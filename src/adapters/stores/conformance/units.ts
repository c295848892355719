import assert from 'node:assert/strict'
import type { Appended, Guard, Unit } from '../port.ts'
import {
  append,
  bounds,
  commit,
  entry,
  holds,
  log,
  offsets,
  parkedMessage,
  same,
  start,
  topic,
  type Case,
} from './trial.ts'

const put = (name: string, value = '1') => ({ write: 'put', name, value, expires: null }) as const
const key = (name: string, version: number, now = start): Guard => ({ guard: 'key', name, version, now })

/** Units: all or nothing, in order, each with guards that must hold. */
export const unitCases: readonly Case[] = [
  {
    name: 'S40 answers each unit with a result for each of its writes, in order',
    async run({ store }) {
      const t = await topic(store)
      const outcomes = await store.commit(
        [
          { writes: [put('a'), put('a'), { write: 'append', entries: [entry(t, 'x')] }] },
          { writes: [] },
          { guards: [], writes: [put('a')] },
        ],
        'durable',
      )
      same(outcomes, [
        { ok: true, results: [1, 2, [{ slot: t, offset: 0, duplicate: false }]] },
        { ok: true, results: [] },
        { ok: true, results: [3] },
      ])
      same(await store.commit([], 'durable'), [])
    },
  },
  {
    name: 'S41 changes nothing of a unit whose guard fails, reports the first such guard, and applies the others',
    async run({ store }) {
      const t = await topic(store)
      await commit(store, put('a'))
      const failed = key('a', 7)
      const outcomes = await store.commit(
        [
          { writes: [put('b'), { write: 'append', entries: [entry(t, 'x')] }] },
          {
            guards: [key('a', 1), failed, key('b', 9)],
            writes: [
              put('a', 'no'),
              { write: 'append', entries: [entry(t, 'no', { dedupe: 99 })] },
              { write: 'park', parked: parkedMessage(0) },
              { write: 'lease', name: 'l', worker: 'w', from: null },
              { write: 'delay', due: start, entry: entry(t, 'no') },
              { write: 'audit', time: start, verb: 'no', subject: 'no', detail: 'no' },
            ],
          },
          { writes: [put('c'), { write: 'append', entries: [entry(t, 'no', { dedupe: 99 })] }] },
        ],
        'durable',
      )
      same(
        outcomes.map((o) => o.ok),
        [true, false, true],
      )
      same(outcomes[1], { ok: false, failed })
      same(
        (await store.read({ read: 'keys', prefix: '', now: start })).map((k) => [k.name, k.value]),
        [
          ['a', '1'],
          ['b', '1'],
          ['c', '1'],
        ],
      )
      same(
        (await log(store, t)).map((m) => m.id),
        ['x', 'no'],
      )
      same(await store.read({ read: 'parked', limit: 9 }), [])
      same(await store.read({ read: 'leases' }), [])
      same(await store.read({ read: 'nextDelayed' }), null)
      same(await store.read({ read: 'audit', limit: 9 }), [])
    },
  },
  {
    name: 'S42 applies units in order: a guard sees what the units before it did, and not what its own will do',
    async run({ store }) {
      const units: Unit[] = [
        { guards: [key('a', 0)], writes: [put('a', 'first')] },
        { guards: [key('a', 0)], writes: [put('a', 'second')] },
        { guards: [key('a', 1)], writes: [{ write: 'drop', name: 'a' }] },
        { guards: [key('a', 0)], writes: [put('a', 'third')] },
      ]
      same(
        (await store.commit(units, 'durable')).map((o) => o.ok),
        [true, false, true, true],
      )
      same((await store.read({ read: 'key', name: 'a', now: start }))?.value, 'third')
    },
  },
  {
    name: 'S43 a lease guard holds under the epoch given, and not when it is free, another or unknown',
    async run({ store }) {
      const lease = (name: string, epoch: number): Guard => ({ guard: 'lease', name, epoch })
      const [epoch] = await commit(store, { write: 'lease', name: 'l', worker: 'w', from: null })
      same(await holds(store, lease('l', Number(epoch))), true)
      same(await holds(store, lease('l', Number(epoch) + 1)), false)
      same(await holds(store, lease('other', 1)), false)
      same(await holds(store, lease('other', 0)), false)
      await commit(store, { write: 'release', name: 'l', worker: 'w' })
      same(await holds(store, lease('l', Number(epoch))), false)
      await commit(store, { write: 'lease', name: 'l', worker: 'v', from: null })
      same(await holds(store, lease('l', Number(epoch))), false)
    },
  },
  {
    name: 'S44 a key guard holds at its version; 0 means absent or expired',
    async run({ store }) {
      same(await holds(store, key('k', 0)), true)
      await commit(store, { write: 'put', name: 'k', value: 'v', expires: start + 10 })
      same(await holds(store, key('k', 1, start + 9)), true)
      same(await holds(store, key('k', 0, start + 9)), false)
      same(await holds(store, key('k', 2, start + 9)), false)
      same(await holds(store, key('k', 1, start + 10)), false)
      same(await holds(store, key('k', 0, start + 10)), true)
    },
  },
  {
    name: 'S45 a parked guard holds in one of its states, and not when nothing is parked there',
    async run({ store }) {
      const at = { subscription: 1, partition: 0, offset: 3 }
      const parked = (...states: ('retry' | 'held' | 'behind' | 'dead')[]): Guard => ({ guard: 'parked', at, states })
      same(await holds(store, parked('retry', 'held', 'behind', 'dead')), false)
      await commit(store, { write: 'park', parked: parkedMessage(3, { state: 'held', heldBy: 'c' }) })
      same(await holds(store, parked('retry', 'held')), true)
      same(await holds(store, parked('retry', 'dead', 'behind')), false)
      same(await holds(store, parked()), false)
    },
  },
  {
    name: 'S50 a parked guard that names a body holds only while it is the same, text or bytes',
    async run({ store }) {
      const named = (offset: number, body: string | Uint8Array): Guard => ({
        guard: 'parked',
        at: { subscription: 1, partition: 0, offset },
        states: ['retry'],
        body,
      })
      await commit(
        store,
        { write: 'park', parked: parkedMessage(0, { body: 'ab' }) },
        { write: 'park', parked: parkedMessage(1, { body: Uint8Array.of(97, 98) }) },
      )
      same(await holds(store, named(0, 'ab')), true)
      same(await holds(store, named(0, 'ac')), false)
      same(await holds(store, named(0, Uint8Array.of(97, 98))), false)
      same(await holds(store, named(1, Uint8Array.of(97, 98))), true)
      same(await holds(store, named(1, Uint8Array.of(97, 99))), false)
      same(await holds(store, named(1, Uint8Array.of(97))), false)
      same(await holds(store, named(1, 'ab')), false)
      same(await holds(store, named(2, 'ab')), false)
    },
  },
  {
    name: 'S46 applies commits in the order of the calls, without waiting for one to be durable',
    async run({ store }) {
      const t = await topic(store)
      const results = await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          store.commit(
            [{ writes: [{ write: 'append', entries: [entry(t, `m${i}`)] }] }],
            i % 3 === 0 ? 'relaxed' : 'durable',
          ),
        ),
      )
      same(
        results.map(([o]) => (o!.ok ? (o!.results[0] as readonly Appended[])[0]!.offset : -1)),
        Array.from({ length: 50 }, (_, i) => i),
      )
    },
  },
  {
    name: 'S47 a relaxed commit can be read as soon as it resolves',
    async run({ store }) {
      const t = await topic(store)
      await store.commit([{ writes: [{ write: 'append', entries: [entry(t, 'a')] }] }], 'relaxed')
      same(await offsets(store, t), [0])
      same(await bounds(store, t), { first: 0, next: 1 })
    },
  },
  {
    name: 'S48 everything committed is there after the store was opened again',
    needs: 'reopen',
    async run(trial) {
      const { store } = trial
      const t = await topic(store)
      await commit(
        store,
        { write: 'append', entries: [entry(t, 'a'), entry(t + 2, 'b')] },
        { write: 'subscription', name: 's', topic: 't', from: 'beginning' },
        { write: 'advance', subscription: 1, partition: 2, low: 1, done: Uint8Array.of(2) },
        { write: 'park', parked: parkedMessage(0) },
        put('k'),
        { write: 'lease', name: 'l', worker: 'w', from: null },
        { write: 'worker', worker: { id: 'w', beat: 1, level: 1, host: 'h', pid: 1, started: start } },
        { write: 'delay', due: start + 5, entry: entry(t, 'later') },
        { write: 'call', time: start, connection: 'c', operation: 'o', outcome: 'ok', record: '{}' },
        { write: 'audit', time: start, verb: 'v', subject: 's', detail: '{}' },
      )
      await store.commit([{ writes: [put('relaxed')] }], 'relaxed')
      const all = async (s: typeof store): Promise<unknown> =>
        Promise.all([
          log(s, t),
          log(s, t + 2),
          s.read({ read: 'topics' }),
          s.read({ read: 'subscriptions' }),
          s.read({ read: 'cursors', subscription: 1 }),
          s.read({ read: 'parked', limit: 9 }),
          s.read({ read: 'keys', prefix: '', now: start }),
          s.read({ read: 'leases' }),
          s.read({ read: 'workers' }),
          s.read({ read: 'nextDelayed' }),
          s.read({ read: 'calls', limit: 9 }),
          s.read({ read: 'audit', limit: 9 }),
        ])
      const before = await all(store)
      assert.deepEqual(await all(await trial.reopen()), before)
    },
  },
  {
    name: 'S49 two processes append to one slot without a gap and without giving an offset twice',
    needs: 'second',
    async run(trial) {
      const t = await topic(trial.store)
      const other = await trial.second()
      const given: number[] = []
      for (let i = 0; i < 20; i++) {
        const appended = await append(i % 3 === 0 ? other : trial.store, entry(t, `a${i}`), entry(t, `b${i}`))
        given.push(...appended.map((a) => a.offset))
      }
      same(
        given,
        Array.from({ length: 40 }, (_, i) => i),
      )
      same(await offsets(other, t), given)
    },
  },
]
