import type { Store } from '../port.ts'
import { append, commit, entry, same, topic, type Case } from './trial.ts'

const cursors = async (store: Store, subscription: number) =>
  (await store.read({ read: 'cursors', subscription })).map((c) => [c.partition, c.low, c.done && [...c.done]])

/** Topics, subscriptions and their cursors. */
export const subscriptionCases: readonly Case[] = [
  {
    name: 'S60 gives topics slots that do not meet, and the same ones when asked again',
    async run({ store }) {
      const a = await topic(store, 'a', 3)
      const b = await topic(store, 'b', 1)
      const c = await topic(store, 'c', 16)
      const slots = [...[0, 1, 2].map((p) => a + p), b, ...Array.from({ length: 16 }, (_, p) => c + p)]
      same(new Set(slots).size, 20)
      same([await topic(store, 'a', 3), await topic(store, 'b', 1)], [a, b])
    },
  },
  {
    name: 'S61 a topic keeps the number of partitions it was born with',
    async run({ store }) {
      const a = await topic(store, 'a', 3)
      const b = await topic(store, 'b', 2)
      same(await topic(store, 'a', 12), a)
      same(await store.read({ read: 'topics' }), [
        { name: 'a', slot: a, partitions: 3 },
        { name: 'b', slot: b, partitions: 2 },
      ])
    },
  },
  {
    name: 'S62 a subscription begins at the beginning, or behind what is there now',
    async run({ store }) {
      const t = await topic(store, 't', 2)
      await append(store, entry(t, 'a'), entry(t, 'b'))
      const [all, fresh] = await commit(
        store,
        { write: 'subscription', name: 'all', topic: 't', from: 'beginning' },
        { write: 'subscription', name: 'fresh', topic: 't', from: 'now' },
      )
      same(await cursors(store, Number(all)), [
        [0, 0, null],
        [1, 0, null],
      ])
      same(await cursors(store, Number(fresh)), [
        [0, 2, null],
        [1, 0, null],
      ])
      same(await store.read({ read: 'subscriptions' }), [
        { id: all, name: 'all', topic: 't' },
        { id: fresh, name: 'fresh', topic: 't' },
      ])
    },
  },
  {
    name: 'S63 a known subscription keeps its number and its cursors, whatever `from` says',
    async run({ store }) {
      const t = await topic(store, 't', 1)
      const [id] = await commit(store, { write: 'subscription', name: 's', topic: 't', from: 'beginning' })
      await append(store, entry(t, 'a'))
      same(await commit(store, { write: 'subscription', name: 's', topic: 't', from: 'now' }), [id])
      same(await cursors(store, Number(id)), [[0, 0, null]])
    },
  },
  {
    name: 'S64 a cursor moves forward only: the further mark wins, in any order, and again',
    async run({ store }) {
      const advance = (low: number) =>
        commit(store, { write: 'advance', subscription: 1, partition: 3, low, done: null })
      await advance(5)
      await advance(2)
      same(await cursors(store, 1), [[3, 5, null]])
      await advance(9)
      await advance(9)
      same(await cursors(store, 1), [[3, 9, null]])
    },
  },
  {
    name: 'S65 the bitmaps above the mark are united, and the mark rises over what is done',
    async run({ store }) {
      const advance = (low: number, done: number[] | null) =>
        commit(store, {
          write: 'advance',
          subscription: 1,
          partition: 0,
          low,
          done: done && Uint8Array.from(done),
        })
      await advance(10, [0b100]) // 12
      await advance(8, [0b10_0000]) // 13
      same(await cursors(store, 1), [[0, 10, [0b1100]]])
      await advance(11, null)
      same(await cursors(store, 1), [[0, 11, [0b110]]])
      await advance(11, [0b1])
      same(await cursors(store, 1), [[0, 14, null]])
      await advance(14, [0, 0, 0b1000]) // 33
      same(await cursors(store, 1), [[0, 14, [0, 0, 0b1000]]])
    },
  },
  {
    name: 'S66 cursors are kept apart by subscription and partition, and listed by partition',
    async run({ store }) {
      const advance = (subscription: number, partition: number, low: number) =>
        ({ write: 'advance', subscription, partition, low, done: null }) as const
      await commit(store, advance(1, 2, 5), advance(1, 0, 6), advance(2, 2, 7))
      same(await cursors(store, 1), [
        [0, 6, null],
        [2, 5, null],
      ])
      same(await cursors(store, 2), [[2, 7, null]])
    },
  },
  {
    name: 'S67 topics and subscriptions made by another process are known at once',
    needs: 'second',
    async run(trial) {
      const other = await trial.second()
      const a = await topic(other, 'a', 2)
      same(await topic(trial.store, 'a', 5), a)
      const b = await topic(trial.store, 'b', 2)
      same(await append(other, entry(b + 1, 'x', { dedupe: 9 }), entry(b, 'x', { dedupe: 9 })), [
        { slot: b + 1, offset: 0, duplicate: false },
        { slot: b + 1, offset: 0, duplicate: true },
      ])
      const subscribe = { write: 'subscription', name: 's', topic: 'b', from: 'now' } as const
      const [id] = await commit(trial.store, subscribe)
      same(await commit(other, subscribe), [id])
      same(await cursors(other, Number(id)), [
        [0, 0, null],
        [1, 1, null],
      ])
    },
  },
]
