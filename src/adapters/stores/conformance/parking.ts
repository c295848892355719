import type { Parked, ParkedAt, ParkedState, Store } from '../port.ts'
import { commit, parkedMessage, same, start, type Case } from './trial.ts'

const place = (offset: number, partition = 0, subscription = 1): ParkedAt => ({ subscription, partition, offset })
const park = (store: Store, ...parked: readonly Parked[]) =>
  commit(store, ...parked.map((p) => ({ write: 'park', parked: p }) as const))
const at = (store: Store, offset: number, partition = 0) =>
  store.read({ read: 'parkedAt', at: place(offset, partition) })
const states = async (store: Store): Promise<unknown> =>
  (await store.read({ read: 'parked', limit: 99 })).map((p) => `${p.partition}/${p.offset} ${p.state} ${p.due - start}`)

/** Parked messages: off the fast path, with a reason. */
export const parkingCases: readonly Case[] = [
  {
    name: 'S80 keeps its own copy of a parked message, exactly',
    async run({ store }) {
      const parked: readonly Parked[] = [
        parkedMessage(0, { meta: '{"a":1}', body: Uint8Array.of(0, 255), state: 'held', heldBy: 'conn', faults: '[]' }),
        parkedMessage(1, {
          key: null,
          state: 'dead',
          attempts: 10,
          due: 0,
          since: start + 3,
          faults: '[{"code":"x"}]',
        }),
        parkedMessage(2 ** 38 - 1, { body: '' }),
      ]
      await park(store, ...parked)
      for (const p of parked) same(await at(store, p.offset), p)
      same(await at(store, 5), null)
    },
  },
  {
    name: 'S81 parking the same position again changes nothing',
    async run({ store }) {
      await park(store, parkedMessage(0))
      await park(store, parkedMessage(0, { state: 'dead', attempts: 9 }))
      same(await at(store, 0), parkedMessage(0))
      same((await store.read({ read: 'parked', limit: 9 })).length, 1)
    },
  },
  {
    name: 'S82 a change after an attempt leaves the rest as it is; the body only when one is given',
    async run({ store }) {
      await park(store, parkedMessage(0), parkedMessage(1))
      const change = { state: 'held', attempts: 2, due: start + 9, faults: '[1]', heldBy: 'c' } as const
      await commit(store, { write: 'repark', at: place(0), ...change })
      same(await at(store, 0), parkedMessage(0, change))
      await commit(store, { write: 'repark', at: place(0), ...change, faults: null, heldBy: null, body: '' })
      same(await at(store, 0), parkedMessage(0, { ...change, faults: null, heldBy: null, body: '' }))
      await commit(store, { write: 'repark', at: place(0), ...change, body: Uint8Array.of(7) })
      same(await at(store, 0), parkedMessage(0, { ...change, body: Uint8Array.of(7) }))
      same(await at(store, 1), parkedMessage(1))
      await commit(store, { write: 'repark', at: place(7), ...change })
      same(await at(store, 7), null)
    },
  },
  {
    name: 'S83 removing one makes the next of its key due now, and tells how many of the key are left',
    async run({ store }) {
      const others = [{ key: 'other' }, { partition: 1 }, { subscription: 2 }]
      await park(store, ...[3, 9, 5].map((offset, i) => parkedMessage(offset, i === 0 ? {} : { state: 'behind' })))
      for (const over of others) {
        await park(store, parkedMessage(1, { ...over, state: 'dead' }), parkedMessage(4, { ...over, state: 'behind' }))
      }
      const rest = ['0/1 dead 0', '0/4 behind 0', '1/1 dead 0', '1/4 behind 0', '0/1 dead 0', '0/4 behind 0']
      same(await commit(store, { write: 'unpark', at: place(3), now: start + 7 }), [2])
      same(await states(store), ['0/9 behind 0', '0/5 retry 7', ...rest])
      same(await commit(store, { write: 'unpark', at: place(5), now: start + 8 }), [1])
      same(await states(store), ['0/9 retry 8', ...rest])
      same(await commit(store, { write: 'unpark', at: place(9), now: start + 9 }), [0])
      same(await states(store), rest)
    },
  },
  {
    name: 'S84 removing one from the middle wakes nobody: the first of the key decides',
    async run({ store }) {
      for (const state of ['retry', 'held', 'dead'] as const) {
        const key = `k-${state}`
        const offset = { retry: 0, held: 10, dead: 20 }[state]
        await park(
          store,
          parkedMessage(offset, { key, state, due: start }),
          parkedMessage(offset + 1, { key, state: 'behind', due: start }),
          parkedMessage(offset + 2, { key, state: 'behind', due: start }),
        )
        same(await commit(store, { write: 'unpark', at: place(offset + 1), now: start + 7 }), [2], state)
        same((await at(store, offset))?.due, start)
        same((await at(store, offset + 2))?.state, 'behind')
      }
    },
  },
  {
    name: 'S85 removing one without a key, or one that is not there, leaves 0 and touches no other',
    async run({ store }) {
      await park(
        store,
        parkedMessage(0, { key: null }),
        parkedMessage(1, { key: null, state: 'held' }),
        parkedMessage(2),
      )
      same(await commit(store, { write: 'unpark', at: place(0), now: start + 1 }), [0])
      same(await commit(store, { write: 'unpark', at: place(0), now: start + 1 }), [0])
      same(await states(store), ['0/1 held 0', '0/2 retry 0'])
    },
  },
  {
    name: 'S86 postpones what is held for one reason, never to an earlier time, and nothing else',
    async run({ store }) {
      const held = (offset: number, over: Partial<Parked> = {}): Parked =>
        parkedMessage(offset, { state: 'held', heldBy: 'c', due: start + 5, ...over })
      await park(
        store,
        held(0),
        held(1, { due: start + 90 }),
        held(2, { heldBy: 'd' }),
        held(3, { subscription: 2 }),
        held(4, { state: 'retry' }),
        held(5, { partition: 1 }),
      )
      await commit(store, { write: 'postpone', subscription: 1, heldBy: 'c', due: start + 50 })
      same(await states(store), [
        '0/0 held 50',
        '0/1 held 90',
        '0/2 held 5',
        '0/3 held 5',
        '0/4 retry 5',
        '1/5 held 50',
      ])
    },
  },
  {
    name: 'S87 lists what is due by time, then offset: retry and held, in the partitions asked for',
    async run({ store }) {
      const due = async (partitions: readonly number[], now: number, limit = 99): Promise<unknown> =>
        (await store.read({ read: 'due', subscription: 1, partitions, now: start + now, limit })).map((p) => p.offset)
      await park(
        store,
        parkedMessage(0, { due: start + 5 }),
        parkedMessage(1, { due: start + 3, state: 'held', heldBy: 'c' }),
        parkedMessage(2, { due: start, state: 'behind' }),
        parkedMessage(3, { due: start, state: 'dead' }),
        parkedMessage(4, { due: start + 4, partition: 2 }),
        parkedMessage(6, { due: start + 3, partition: 1 }),
        parkedMessage(5, { due: start, subscription: 2 }),
      )
      same(await due([0, 1, 2], 5), [1, 6, 4, 0])
      same(await due([0, 1, 2], 4), [1, 6, 4])
      same(await due([0, 1, 2], 2), [])
      same(await due([0], 9), [1, 0])
      same(await due([], 9), [])
      same(await due([0, 1, 2], 9, 2), [1, 6])
      same(await store.read({ read: 'nextDue', subscription: 1 }), start + 3)
      same(await store.read({ read: 'nextDue', subscription: 1, after: start + 2 }), start + 3)
      same(await store.read({ read: 'nextDue', subscription: 1, after: start + 3 }), start + 4)
      same(await store.read({ read: 'nextDue', subscription: 1, after: start + 5 }), null)
      same(await store.read({ read: 'nextDue', subscription: 2 }), start)
      same(await store.read({ read: 'nextDue', subscription: 3 }), null)
    },
  },
  {
    name: 'S88 the earliest due time does not count those that wait for another or for a person',
    async run({ store }) {
      await park(store, parkedMessage(0, { state: 'dead' }), parkedMessage(1, { state: 'behind' }))
      same(await store.read({ read: 'nextDue', subscription: 1 }), null)
    },
  },
  {
    name: 'S89 tells which keys of a partition have something parked, and the first of a key',
    async run({ store }) {
      await park(
        store,
        parkedMessage(7, { key: 'a' }),
        parkedMessage(4, { key: 'a', state: 'dead' }),
        parkedMessage(5, { key: 'b', state: 'behind' }),
        parkedMessage(6, { key: null }),
        parkedMessage(8, { key: 'c', partition: 1 }),
        parkedMessage(9, { key: 'd', subscription: 2 }),
      )
      same([...(await store.read({ read: 'parkedKeys', subscription: 1, partition: 0 }))].sort(), ['a', 'b'])
      const first = (key: string, partition = 0) => store.read({ read: 'parkedFirst', subscription: 1, partition, key })
      same(await first('a'), parkedMessage(4, { key: 'a', state: 'dead' }))
      same(await first('c'), null)
      same((await first('c', 1))?.offset, 8)
    },
  },
  {
    name: 'S90 lists parked messages page by page, by subscription, partition and state, and counts them',
    async run({ store }) {
      const all: [number, number, ParkedState][] = [
        [1, 0, 'retry'],
        [1, 1, 'dead'],
        [2, 0, 'dead'],
        [1, 0, 'dead'],
        [2, 0, 'behind'],
      ]
      await park(
        store,
        ...all.map(([subscription, partition, state], offset) =>
          parkedMessage(offset, { subscription, partition, state }),
        ),
      )
      const list = async (filter: { subscription?: number; partition?: number; state?: ParkedState }) =>
        (await store.read({ read: 'parked', limit: 99, ...filter })).map((p) => p.offset)
      same(await list({}), [0, 1, 2, 3, 4])
      same(await list({ subscription: 1 }), [0, 1, 3])
      same(await list({ subscription: 1, partition: 0 }), [0, 3])
      same(await list({ state: 'dead' }), [1, 2, 3])
      same(await list({ subscription: 2, partition: 0, state: 'dead' }), [2])
      const seen: number[] = []
      for (let after: number | undefined, n = 0; n < 9; n++) {
        const page = await store.read({ read: 'parked', limit: 2, ...(after === undefined ? {} : { after }) })
        if (page.length === 0) break
        seen.push(...page.map((p) => p.offset))
        after = page.at(-1)!.row
      }
      same(seen, [0, 1, 2, 3, 4])
      const counts = await store.read({ read: 'parkedCounts' })
      same(counts.map((c) => `${c.subscription} ${c.state} ${c.count}`).sort(), [
        '1 dead 2',
        '1 retry 1',
        '2 behind 1',
        '2 dead 1',
      ])
    },
  },
  {
    name: 'S91 what was to wait behind an earlier one of its key is due at once when there is none any more',
    async run({ store }) {
      await park(store, parkedMessage(5, { state: 'behind', due: start + 3 }))
      await park(store, parkedMessage(2, { state: 'behind', due: start + 3, key: null }))
      await park(store, parkedMessage(7, { state: 'behind', due: start + 3 }))
      await park(store, parkedMessage(1, { state: 'behind', due: start + 3 }))
      same(await states(store), ['0/5 retry 3', '0/2 retry 3', '0/7 behind 3', '0/1 retry 3'])
    },
  },
  {
    name: 'S92 a parked message may stand below zero, before all others of its key',
    async run({ store }) {
      await park(store, parkedMessage(3, { state: 'behind', due: start + 3 }))
      await park(store, parkedMessage(-(2 ** 46), { state: 'dead' }), parkedMessage(-5, { state: 'behind' }))
      same(await at(store, -(2 ** 46)), parkedMessage(-(2 ** 46), { state: 'dead' }))
      const { key } = parkedMessage(3)
      const first = async () =>
        (await store.read({ read: 'parkedFirst', subscription: 1, partition: 0, key: key! }))?.offset
      same(await first(), -(2 ** 46))
      await commit(store, { write: 'unpark', at: place(-(2 ** 46)), now: start + 9 })
      same(await first(), -5)
      same(await states(store), ['0/3 retry 3', '0/-5 retry 9'])
    },
  },
  {
    name: 'S93 what would replace a damaged message leaves a sound one as it is, and brings back none that is gone',
    async run({ store }) {
      await park(store, parkedMessage(1))
      const other = (offset: number) => parkedMessage(offset, { state: 'dead', body: '"left"', attempts: 9 })
      const quarantine = (offset: number) => ({ write: 'quarantine', parked: other(offset) }) as const
      same(await commit(store, quarantine(1), quarantine(2)), [0, 0])
      same(await at(store, 1), parkedMessage(1))
      same(await at(store, 2), null)
    },
  },
]
