import type { Store } from '../port.ts'
import { append, commit, entry, log, same, start, topic, without, type Case } from './trial.ts'

const fire = async (store: Store, now: number, limit = 99): Promise<unknown> =>
  (await commit(store, { write: 'fire', now: start + now, limit }))[0]

/** Delayed messages, call records, the audit. */
export const recordCases: readonly Case[] = [
  {
    name: 'S120 a delayed message is not in the log before it fires, and then exactly once, as it was given',
    async run({ store }) {
      const t = await topic(store)
      const late = entry(t, 'a', { key: 'k', meta: '{}', body: Uint8Array.of(1, 2), time: start })
      await commit(store, { write: 'delay', due: start + 10, entry: late })
      same(await store.read({ read: 'nextDelayed' }), start + 10)
      same(await fire(store, 9), 0)
      same(await log(store, t), [])
      same(await fire(store, 10), 1)
      same(await fire(store, 10), 0)
      same(await log(store, t), [
        { offset: 0, time: start + 10, id: 'a', key: 'k', meta: '{}', body: Uint8Array.of(1, 2) },
      ])
      same(await store.read({ read: 'nextDelayed' }), null)
    },
  },
  {
    name: 'S121 fires in order of due, ties in order of arrival, at most `limit`',
    async run({ store }) {
      const t = await topic(store)
      const due = [5, 3, 5, 1, 3]
      await commit(
        store,
        ...due.map((d, i) => ({ write: 'delay', due: start + d, entry: entry(t, `${d}${'abcde'[i]}`) }) as const),
      )
      same(await fire(store, 4, 2), 2)
      same(await store.read({ read: 'nextDelayed' }), start + 3)
      same(await fire(store, 9), 3)
      same(
        (await log(store, t)).map((m) => m.id),
        ['1d', '3b', '3e', '5a', '5c'],
      )
    },
  },
  {
    name: 'S122 a delayed message whose id is already in the log is removed without being appended again',
    async run({ store }) {
      const t = await topic(store)
      await commit(store, { write: 'delay', due: start + 1, entry: entry(t, 'a', { dedupe: 99 }) })
      await append(store, entry(t, 'a', { dedupe: 99 }))
      same(await fire(store, 1), 1)
      same((await log(store, t)).length, 1)
      same(await store.read({ read: 'nextDelayed' }), null)
    },
  },
  {
    name: 'S123 fires once in the fleet',
    needs: 'second',
    async run(trial) {
      const t = await topic(trial.store)
      const other = await trial.second()
      await commit(trial.store, { write: 'delay', due: start, entry: entry(t, 'a') })
      same((await Promise.all([fire(trial.store, 5), fire(other, 5)])).sort(), [0, 1])
      same((await log(trial.store, t)).length, 1)
    },
  },
  {
    name: 'S124 lists calls newest first, page by page, by connection and outcome',
    async run({ store }) {
      const call = (i: number, connection: string, outcome: string) =>
        ({
          write: 'call',
          time: start + i,
          connection,
          operation: 'o',
          outcome,
          record: `{"i":${i}}`,
        }) as const
      await commit(store, call(0, 'a', 'ok'), call(1, 'b', 'ok'), call(2, 'a', 'lost'), call(3, 'a', 'ok'))
      const list = async (filter: { connection?: string; outcome?: string; before?: number; limit?: number }) =>
        (await store.read({ read: 'calls', limit: 99, ...filter })).map((c) => c.time - start)
      same(await list({}), [3, 2, 1, 0])
      same(await list({ connection: 'a' }), [3, 2, 0])
      same(await list({ connection: 'a', outcome: 'ok' }), [3, 0])
      same(await list({ outcome: 'lost' }), [2])
      same(await list({ limit: 2 }), [3, 2])
      const [newest] = await store.read({ read: 'calls', limit: 1 })
      same(await list({ before: newest!.id }), [2, 1, 0])
      same(newest, {
        id: newest!.id,
        time: start + 3,
        connection: 'a',
        operation: 'o',
        outcome: 'ok',
        record: '{"i":3}',
      })
    },
  },
  {
    name: 'S125 lists the audit newest first',
    async run({ store }) {
      const audit = (i: number) =>
        ({ write: 'audit', time: start + i, verb: `v${i}`, subject: 's', detail: '{}' }) as const
      await commit(store, audit(0), audit(1), audit(2))
      const rows = await store.read({ read: 'audit', limit: 2 })
      same(
        rows.map((row) => without(row, 'id')),
        [
          { time: start + 2, verb: 'v2', subject: 's', detail: '{}' },
          { time: start + 1, verb: 'v1', subject: 's', detail: '{}' },
        ],
      )
    },
  },
  {
    name: 'S126 trims calls and audit entries older than the time given, at most `limit`',
    async run({ store }) {
      for (let i = 0; i < 5; i++) {
        await commit(
          store,
          { write: 'call', time: start + i, connection: 'c', operation: 'o', outcome: 'ok', record: '' },
          { write: 'audit', time: start + i, verb: 'v', subject: 's', detail: '' },
        )
      }
      for (const what of ['calls', 'audit'] as const) {
        const trim = async (before: number, limit: number): Promise<unknown> =>
          (await commit(store, { write: 'trim', what, before: start + before, limit }))[0]
        same(await trim(0, 9), 0)
        same(await trim(3, 2), 2)
        same(await trim(3, 9), 1)
        same(await trim(3, 9), 0)
        const left = await store.read({ read: what, limit: 9 })
        same(
          left.map((r) => r.time - start),
          [4, 3],
        )
      }
    },
  },
]
