import assert from 'node:assert/strict'
import { append, bounds, commit, entry, log, offsets, same, start, topic, type Case } from './trial.ts'

/** The log: positions, exactness, reading. */
export const logCases: readonly Case[] = [
  {
    name: 'S01 gives each slot offsets from 0 without gaps, in the order of the entries',
    async run({ store }) {
      const t = await topic(store)
      same(await append(store, entry(t, 'a'), entry(t + 1, 'b'), entry(t, 'c')), [
        { slot: t, offset: 0, duplicate: false },
        { slot: t + 1, offset: 0, duplicate: false },
        { slot: t, offset: 1, duplicate: false },
      ])
      same(await append(store, entry(t, 'd')), [{ slot: t, offset: 2, duplicate: false }])
      same(
        (await log(store, t)).map((m) => [m.offset, m.id]),
        [
          [0, 'a'],
          [1, 'c'],
          [2, 'd'],
        ],
      )
    },
  },
  {
    name: 'S02 gives a message back exactly as it came: text and bytes, empty, with NUL and beyond the BMP',
    async run({ store }) {
      const t = await topic(store)
      const bytes = Uint8Array.from({ length: 300 }, (_, i) => i % 256)
      const entries = [
        entry(t, 'text', { key: 'k', time: start + 1, meta: '{"a":1}', body: '{"name":"Zoë \u{1F600} \\u0000"}' }),
        entry(t, 'bytes', { body: bytes }),
        entry(t, '', { key: '', meta: '', body: '' }),
        entry(t, 'no bytes', { body: new Uint8Array(0) }),
        entry(t, 'a\u0000b', { key: 'c\u0000d', body: '\u0000x\u{10FFFF}' }),
        entry(t, 'long', { body: 'x'.repeat(1_048_576) }),
        entry(t, 'number-like', { key: '007', meta: '1', body: '1e3' }),
      ]
      await append(store, ...entries)
      same(
        await log(store, t),
        entries.map(({ id, key, time, meta, body }, offset) => ({ offset, time, id, key, meta, body })),
      )
    },
  },
  {
    name: 'S03 reads a range of one slot in order, at most `limit`',
    async run({ store }) {
      const t = await topic(store)
      await append(store, ...Array.from({ length: 10 }, (_, i) => entry(t, `m${i}`)), entry(t + 1, 'other'))
      const read = async (from: number, below: number, limit: number): Promise<readonly number[]> =>
        (await store.read({ read: 'log', slot: t, from, below, limit, bytes: 1e6 })).map((m) => m.offset)
      same(await read(3, 7, 100), [3, 4, 5, 6])
      same(await read(0, 100, 2), [0, 1])
      same(await read(8, 100, 100), [8, 9])
      same(await read(10, 100, 100), [])
      same(await read(5, 5, 100), [])
    },
  },
  {
    name: 'S04 pages by bytes: the first message always comes, the next ones while they fit',
    async run({ store }) {
      const t = await topic(store)
      await append(store, ...['a', 'b', 'c'].map((id) => entry(t, id, { body: 'x'.repeat(100) })))
      await append(store, entry(t, 'd', { body: new Uint8Array(100) }))
      const count = async (bytes: number): Promise<number> =>
        (await store.read({ read: 'log', slot: t, from: 0, below: 4, limit: 10, bytes })).length
      same([await count(0), await count(99), await count(100), await count(199)], [1, 1, 1, 1])
      same([await count(200), await count(399), await count(400), await count(1e9)], [2, 3, 4, 4])
    },
  },
  {
    name: 'S05 reads the newest of a slot first, below an offset',
    async run({ store }) {
      const t = await topic(store)
      await append(store, ...['a', 'b', 'c', 'd'].map((id) => entry(t + 1, id)), entry(t + 2, 'z'))
      const ids = async (below: number, limit: number): Promise<readonly string[]> =>
        (await store.read({ read: 'newest', slot: t + 1, below, limit })).map((m) => m.id)
      same(await ids(Number.MAX_SAFE_INTEGER, 3), ['d', 'c', 'b'])
      same(await ids(2, 3), ['b', 'a'])
      same(await ids(0, 3), [])
    },
  },
  {
    name: 'S07 answers reads of nothing with nothing',
    async run({ store }) {
      const nowhere = { subscription: 9, partition: 0, offset: 0 }
      same(await bounds(store, 5), { first: 0, next: 0 })
      same(await store.read({ read: 'bounds', slots: [] }), [])
      for (const read of ['topics', 'subscriptions', 'parkedCounts', 'leases', 'workers'] as const) {
        same(await store.read({ read }), [], read)
      }
      same(await store.read({ read: 'log', slot: 0, from: 0, below: 9, limit: 9, bytes: 9 }), [])
      same(await store.read({ read: 'newest', slot: 0, below: 9, limit: 9 }), [])
      same(await store.read({ read: 'heads' }), [])
      same(await store.read({ read: 'cursors', subscription: 9 }), [])
      same(await store.read({ read: 'parked', limit: 9 }), [])
      same(await store.read({ read: 'parkedAt', at: nowhere }), null)
      same(await store.read({ read: 'parkedFirst', subscription: 9, partition: 0, key: 'k' }), null)
      same(await store.read({ read: 'parkedKeys', subscription: 9, partition: 0 }), [])
      same(await store.read({ read: 'due', subscription: 9, partitions: [0], now: start, limit: 9 }), [])
      same(await store.read({ read: 'nextDue', subscription: 9 }), null)
      same(await store.read({ read: 'nextDelayed' }), null)
      same(await store.read({ read: 'key', name: 'k', now: start }), null)
      same(await store.read({ read: 'keys', prefix: '', now: start }), [])
      same(await store.read({ read: 'calls', limit: 9 }), [])
      same(await store.read({ read: 'audit', limit: 9 }), [])
      assert.ok((await store.read({ read: 'size' })).bytes >= 0)
    },
  },
  {
    name: 'S08 tells the lowest offset kept and the next to be given',
    async run({ store }) {
      const t = await topic(store)
      await append(store, ...Array.from({ length: 5 }, (_, i) => entry(t, `m${i}`, { time: start + i })))
      same(await bounds(store, t), { first: 0, next: 5 })
      await commit(store, { write: 'trim', what: 'log', slot: t, before: start + 2, below: 5, limit: 100 })
      same(await bounds(store, t), { first: 2, next: 5 })
      same(
        (await store.read({ read: 'bounds', slots: [t + 1, t] })).map((b) => b.slot),
        [t + 1, t],
      )
      same(
        await store.read({ read: 'heads' }),
        [5, 0, 0, 0].map((next, p) => ({ slot: t + p, next })),
      )
    },
  },
  {
    name: 'S09 trims what is older than `before`, never past `below`, at most `limit` at a time',
    async run({ store }) {
      const t = await topic(store)
      await append(store, ...Array.from({ length: 10 }, (_, i) => entry(t, `m${i}`, { time: start + i })))
      const trim = async (before: number, below: number, limit: number): Promise<unknown> =>
        (await commit(store, { write: 'trim', what: 'log', slot: t, before: start + before, below, limit }))[0]
      same(await trim(0, 10, 100), 0)
      same(await trim(6, 10, 2), 2)
      same(await offsets(store, t), [2, 3, 4, 5, 6, 7, 8, 9])
      same(await trim(6, 4, 100), 2)
      same(await offsets(store, t), [4, 5, 6, 7, 8, 9])
      same(await trim(6, 10, 100), 2)
      same(await trim(6, 10, 100), 0)
      same(await offsets(store, t), [6, 7, 8, 9])
    },
  },
  {
    name: 'S10 trims no message that is not older than `before`, also when the clock went back while it was accepted',
    async run({ store }) {
      const t = await topic(store)
      await append(store, ...[1, 9, 2, 8].map((time) => entry(t, `m${time}`, { time: start + time })))
      same(await commit(store, { write: 'trim', what: 'log', slot: t, before: start + 5, below: 4, limit: 100 }), [2])
      same(await offsets(store, t), [1, 3])
    },
  },
  {
    name: 'S11 never trims the newest message of a slot, so that offsets do not start again',
    async run({ store }) {
      const t = await topic(store)
      await append(store, entry(t, 'a'), entry(t, 'b'), entry(t, 'c'))
      const all = { write: 'trim', what: 'log', slot: t, before: start + 99, below: 99, limit: 99 } as const
      same(await commit(store, all), [2])
      same(await commit(store, all), [0])
      same(await commit(store, { ...all, slot: t + 1 }), [0])
      same(await bounds(store, t), { first: 2, next: 3 })
      same(await append(store, entry(t, 'd')), [{ slot: t, offset: 3, duplicate: false }])
    },
  },
  {
    name: 'S12 gives the next offset after everything else was trimmed and the store was opened again',
    needs: 'reopen',
    async run(trial) {
      const t = await topic(trial.store)
      await append(trial.store, entry(t, 'a'), entry(t, 'b', { key: 'k' }), entry(t, 'c', { key: 'k' }))
      await commit(
        trial.store,
        { write: 'compact', slot: t, from: 0, below: 99, limit: 99 },
        { write: 'trim', what: 'log', slot: t, before: start + 99, below: 99, limit: 99 },
      )
      const store = await trial.reopen()
      same(await bounds(store, t), { first: 2, next: 3 })
      same(await append(store, entry(t, 'd')), [{ slot: t, offset: 3, duplicate: false }])
    },
  },
  {
    name: 'S13 compacts to the newest message of each key; messages without a key stay',
    async run({ store }) {
      const t = await topic(store)
      const keys = ['a', 'b', 'a', null, 'a', null, 'c']
      await append(store, ...keys.map((key, i) => entry(t, `m${i}`, { key })))
      await append(store, entry(t + 1, 'n', { key: 'b' }))
      same(await commit(store, { write: 'compact', slot: t, from: 0, below: 99, limit: 99 }), [2])
      same(await offsets(store, t), [1, 3, 4, 5, 6])
      same(await commit(store, { write: 'compact', slot: t, from: 0, below: 99, limit: 99 }), [0])
      same(await offsets(store, t + 1), [0])
    },
  },
  {
    name: 'S14 compacts only offsets in [from, below), at most `limit`, measured against newer ones anywhere',
    async run({ store }) {
      const t = await topic(store)
      await append(store, ...Array.from({ length: 8 }, (_, i) => entry(t, `m${i}`, { key: i === 7 ? 'z' : 'k' })))
      same(await commit(store, { write: 'compact', slot: t, from: 2, below: 5, limit: 2 }), [2])
      same(await commit(store, { write: 'compact', slot: t, from: 2, below: 5, limit: 9 }), [1])
      same(await offsets(store, t), [0, 1, 5, 6, 7])
      same(await commit(store, { write: 'compact', slot: t, from: 0, below: 7, limit: 9 }), [3])
      same(await offsets(store, t), [6, 7])
      same(await append(store, entry(t, 'next', { key: 'k' })), [{ slot: t, offset: 8, duplicate: false }])
    },
  },
]
