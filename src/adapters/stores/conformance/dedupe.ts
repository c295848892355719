import type { Store } from '../port.ts'
import { append, commit, day, entry, offsets, same, start, topic, type Case } from './trial.ts'

const window = 7 * day

/** Ids chosen by somebody else: a repetition within the window is answered with the first position. */
export const dedupeCases: readonly Case[] = [
  {
    name: 'S20 recognises a repeated id inside one commit, in its own unit and in another',
    async run({ store }) {
      const t = await topic(store)
      const e = entry(t, 'a', { dedupe: window })
      const outcomes = await store.commit(
        [{ writes: [{ write: 'append', entries: [e, e] }] }, { writes: [{ write: 'append', entries: [e] }] }],
        'durable',
      )
      const first = { slot: t, offset: 0 }
      same(outcomes, [
        {
          ok: true,
          results: [
            [
              { ...first, duplicate: false },
              { ...first, duplicate: true },
            ],
          ],
        },
        { ok: true, results: [[{ ...first, duplicate: true }]] },
      ])
      same(await offsets(store, t), [0])
    },
  },
  {
    name: 'S21 recognises it in later commits and in another partition of the topic, not in another topic',
    async run({ store }) {
      const t = await topic(store)
      const other = await topic(store, 'other')
      await append(store, entry(t + 1, 'x', { dedupe: window }), entry(t + 1, 'a', { dedupe: window }))
      const again = { slot: t + 1, offset: 1, duplicate: true }
      same(await append(store, entry(t + 1, 'a', { dedupe: window })), [again])
      same(await append(store, entry(t + 3, 'a', { dedupe: window })), [again])
      same(await append(store, entry(other, 'a', { dedupe: window })), [{ slot: other, offset: 0, duplicate: false }])
      same(await append(store, entry(t + 1, 'A', { dedupe: window })), [{ slot: t + 1, offset: 2, duplicate: false }])
    },
  },
  {
    name: 'S22 takes a repeated id as new after its window, and then counts from there',
    async run({ store }) {
      const t = await topic(store)
      const at = (time: number) => append(store, entry(t, 'a', { time: start + time, dedupe: 100 }))
      same(await at(0), [{ slot: t, offset: 0, duplicate: false }])
      same(await at(100), [{ slot: t, offset: 0, duplicate: true }])
      same(await at(101), [{ slot: t, offset: 1, duplicate: false }])
      same(await at(201), [{ slot: t, offset: 1, duplicate: true }])
      same(await at(202), [{ slot: t, offset: 2, duplicate: false }])
    },
  },
  {
    name: 'S23 trusts an id with window 0 to be fresh',
    async run({ store }) {
      const t = await topic(store)
      same(
        (await append(store, entry(t, 'a'), entry(t, 'a'))).map((a) => a.duplicate),
        [false, false],
      )
    },
  },
  {
    name: 'S24 recognises ids after the store was opened again',
    needs: 'reopen',
    async run(trial) {
      const t = await topic(trial.store)
      await append(trial.store, entry(t, 'a', { dedupe: 100 }), entry(t, 'b', { dedupe: 100 }))
      const store = await trial.reopen()
      same(await append(store, entry(t, 'b', { time: start + 100, dedupe: 100 })), [
        { slot: t, offset: 1, duplicate: true },
      ])
      same(await append(store, entry(t, 'a', { time: start + 101, dedupe: 100 })), [
        { slot: t, offset: 2, duplicate: false },
      ])
    },
  },
  {
    name: 'S25 recognises each of 70,000 ids, before and after the store was opened again, and takes no stranger for one',
    needs: 'reopen',
    async run(trial) {
      const t = await topic(trial.store)
      for (let at = 0; at < 70_000; at += 10_000) await append(trial.store, ...some(t, at, 10_000))
      const check = async (store: Store): Promise<void> => {
        for (let at = 0; at < 70_000; at += 7_000) {
          const repeated = await append(store, ...some(t, at, 100))
          same(
            repeated.map((a) => [a.slot, a.offset, a.duplicate]),
            Array.from({ length: 100 }, (_, i) => [t + ((at + i) % 4), Math.floor((at + i) / 4), true]),
          )
        }
      }
      await check(trial.store)
      const store = await trial.reopen()
      await check(store)
      const fresh = await append(store, ...some(t, 1_000_000, 5_000))
      same(fresh.filter((a) => a.duplicate).length, 0)
    },
  },
  {
    name: 'S26 recognises ids that another process has appended, and answers with its position',
    needs: 'second',
    async run(trial) {
      const t = await topic(trial.store)
      const other = await trial.second()
      await append(other, entry(t, 'a', { dedupe: window }), entry(t, 'b', { dedupe: window }))
      same(await append(trial.store, entry(t, 'b', { dedupe: window })), [{ slot: t, offset: 1, duplicate: true }])
      await append(trial.store, entry(t, 'c', { dedupe: window }))
      same(await append(other, entry(t, 'c', { dedupe: window })), [{ slot: t, offset: 2, duplicate: true }])
    },
  },
  {
    name: 'S27 recognises all ids when two processes append 80,000 by turns',
    needs: 'second',
    async run(trial) {
      const t = await topic(trial.store)
      const stores = [trial.store, await trial.second()]
      for (let at = 0; at < 80_000; at += 5_000) await append(stores[(at / 5_000) % 2]!, ...some(t, at, 5_000))
      for (const store of stores) {
        for (let at = 0; at < 80_000; at += 5_000) {
          same((await append(store, ...some(t, at, 50))).filter((a) => !a.duplicate).length, 0)
        }
      }
    },
  },
  {
    name: 'S28 recognises an id within its window although its message was compacted or trimmed away',
    needs: 'reopen',
    async run(trial) {
      const t = await topic(trial.store)
      const old = { key: 'k', dedupe: window }
      await append(trial.store, entry(t, 'a', old), entry(t, 'b', old), entry(t, 'c', old), entry(t, 'd', old))
      await commit(trial.store, { write: 'compact', slot: t, from: 0, below: 2, limit: 99 })
      await commit(trial.store, { write: 'trim', what: 'log', slot: t, before: start + 1, below: 3, limit: 99 })
      same(await offsets(trial.store, t), [3])
      const repeat = [entry(t, 'a', old), entry(t, 'b', old), entry(t, 'c', old), entry(t, 'd', old)]
      const expected = [0, 1, 2, 3].map((offset) => ({ slot: t, offset, duplicate: true }))
      same(await append(trial.store, ...repeat), expected)
      same(await append(await trial.reopen(), ...repeat), expected)
    },
  },
  {
    name: 'S29 takes an id as new after its window also when its message was trimmed away',
    async run({ store }) {
      const t = await topic(store)
      await append(store, entry(t, 'a', { dedupe: 100 }), entry(t, 'b', { dedupe: 100 }))
      await commit(store, { write: 'trim', what: 'log', slot: t, before: start + 50, below: 99, limit: 99 })
      same(await append(store, entry(t, 'a', { time: start + 100, dedupe: 100 })), [
        { slot: t, offset: 0, duplicate: true },
      ])
      same(await append(store, entry(t, 'a', { time: start + 101, dedupe: 100 })), [
        { slot: t, offset: 2, duplicate: false },
      ])
    },
  },
  {
    name: 'S31 counts from the latest message of an id, in whichever partition, also after opening again',
    needs: 'reopen',
    async run(trial) {
      const t = await topic(trial.store)
      const at = (time: number, slot: number) => entry(slot, 'a', { time: start + time, dedupe: 50 })
      await append(trial.store, at(0, t + 2), at(60, t))
      const again = [{ slot: t, offset: 0, duplicate: true }]
      same(await append(trial.store, at(110, t + 1)), again)
      same(await append(await trial.reopen(), at(110, t + 1)), again)
    },
  },
  {
    name: 'S32 recognises an id whose message another process appended, compacted and trimmed away meanwhile',
    needs: 'second',
    async run(trial) {
      const t = await topic(trial.store)
      const other = await trial.second()
      const old = { key: 'k', dedupe: window }
      for (let round = 0; round < 3; round++) {
        const ids = [0, 1, 2].map((i) => entry(t, `${round}-${i}`, old))
        await append(other, ...ids)
        await commit(other, { write: 'compact', slot: t, from: 0, below: 99, limit: 99 })
        await commit(other, { write: 'trim', what: 'seen', before: start - 1, limit: 99 })
        same(
          (await append(trial.store, ...ids)).map((a) => [a.offset, a.duplicate]),
          [0, 1, 2].map((i) => [round * 3 + i, true]),
        )
      }
    },
  },
  {
    name: 'S30 may forget ids older than the time it was told, and no others',
    needs: 'reopen',
    async run(trial) {
      const t = await topic(trial.store)
      await append(trial.store, entry(t, 'a', { dedupe: window }))
      await append(trial.store, entry(t, 'b', { time: start + day, dedupe: window }))
      await commit(trial.store, { write: 'trim', what: 'seen', before: start + day, limit: 99 })
      const b = entry(t, 'b', { time: start + 2 * day, dedupe: window })
      same(await append(trial.store, b), [{ slot: t, offset: 1, duplicate: true }])
      same(await append(await trial.reopen(), b), [{ slot: t, offset: 1, duplicate: true }])
    },
  },
]

function some(slot: number, from: number, count: number) {
  return Array.from({ length: count }, (_, i) =>
    entry(slot + ((from + i) % 4), `id-${from + i}`, { dedupe: window, body: '1' }),
  )
}
