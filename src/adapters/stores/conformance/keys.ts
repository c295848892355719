import type { Store } from '../port.ts'
import { commit, same, start, type Case } from './trial.ts'

const put = (name: string, value: string, expires: number | null = null) =>
  ({ write: 'put', name, value, expires }) as const
const get = (store: Store, name: string, now = start) => store.read({ read: 'key', name, now })
const lease = async (store: Store, worker: string, from: string | null, name = 'l'): Promise<number> =>
  Number((await commit(store, { write: 'lease', name, worker, from }))[0])
const held = async (store: Store): Promise<unknown> =>
  (await store.read({ read: 'leases' })).map((l) => `${l.name} ${l.worker} ${l.epoch}`).sort()

/** Keys, leases and workers. */
export const keyCases: readonly Case[] = [
  {
    name: 'S100 each put raises the version of the key and answers with it',
    async run({ store }) {
      same(await commit(store, put('a', 'x'), put('a', 'y'), put('b', 'z')), [1, 2, 1])
      same(await get(store, 'a'), { value: 'y', version: 2 })
      same(await get(store, 'b'), { value: 'z', version: 1 })
      same(await get(store, 'A'), null)
    },
  },
  {
    name: 'S101 a key is there until the millisecond it expires, and a later put says when anew',
    async run({ store }) {
      await commit(store, put('a', 'x', start + 10))
      same((await get(store, 'a', start + 9))?.value, 'x')
      same(await get(store, 'a', start + 10), null)
      await commit(store, put('a', 'y'))
      same((await get(store, 'a', start + 1e9))?.value, 'y')
    },
  },
  {
    name: 'S102 an expired key that is put again does not repeat a version',
    async run({ store }) {
      await commit(store, put('a', 'x', start + 10))
      const [version] = await commit(store, put('a', 'y', start + 20))
      same(version, 2)
    },
  },
  {
    name: 'S103 a dropped key is gone; dropping it again is nothing',
    async run({ store }) {
      await commit(store, put('a', 'x'), put('b', 'x'))
      await commit(store, { write: 'drop', name: 'a' }, { write: 'drop', name: 'a' })
      same(await get(store, 'a'), null)
      same((await get(store, 'b'))?.value, 'x')
    },
  },
  {
    name: 'S104 lists keys by prefix in order of name, taken literally, without the expired',
    async run({ store }) {
      const names = ['a/2', 'a/1', 'a0', 'a', 'b', 'a%', 'a_', 'a/\u{1F600}', 'A/1']
      await commit(store, ...names.map((n) => put(n, n)), put('a/old', 'x', start))
      const list = async (prefix: string): Promise<readonly string[]> =>
        (await store.read({ read: 'keys', prefix, now: start })).map((k) => k.name)
      same(await list('a/'), ['a/1', 'a/2', 'a/\u{1F600}'])
      same(await list('a%'), ['a%'])
      same(await list('a_'), ['a_'])
      same((await list('')).length, names.length)
      same(await list('zz'), [])
      same(await store.read({ read: 'keys', prefix: 'a/1', now: start }), [{ name: 'a/1', value: 'a/1', version: 1 }])
    },
  },
  {
    name: 'S105 of two who swap the same version one wins',
    async run({ store }) {
      await commit(store, put('a', 'x'))
      const swap = (value: string) => ({
        guards: [{ guard: 'key', name: 'a', version: 1, now: start } as const],
        writes: [put('a', value)],
      })
      same(
        (await store.commit([swap('first'), swap('second')], 'durable')).map((o) => o.ok),
        [true, false],
      )
      same(await get(store, 'a'), { value: 'first', version: 2 })
    },
  },
  {
    name: 'S106 trims keys that expired before the time given, at most `limit`, and no others',
    async run({ store }) {
      await commit(store, put('a', '', start + 1), put('b', '', start + 2), put('c', '', start + 3), put('d', ''))
      const trim = async (before: number, limit: number): Promise<unknown> =>
        (await commit(store, { write: 'trim', what: 'keys', before: start + before, limit }))[0]
      same(await trim(1, 9), 0)
      same(await trim(3, 1), 1)
      same(await trim(3, 9), 1)
      same(await trim(3, 9), 0)
      same(
        (await store.read({ read: 'keys', prefix: '', now: start })).map((k) => k.name),
        ['c', 'd'],
      )
    },
  },
  {
    name: 'S107 of two processes that swap the same version one wins',
    needs: 'second',
    async run(trial) {
      const stores = [trial.store, await trial.second()]
      const outcomes = await Promise.all(
        stores.map((s, i) =>
          s.commit(
            [{ guards: [{ guard: 'key', name: 'a', version: 0, now: start }], writes: [put('a', `${i}`)] }],
            'durable',
          ),
        ),
      )
      same(outcomes.filter(([o]) => o!.ok).length, 1)
      same(await get(stores[0]!, 'a'), { value: outcomes[0]![0]!.ok ? '0' : '1', version: 1 })
    },
  },
  {
    name: 'S110 the epoch of a lease rises with every owner',
    async run({ store }) {
      const first = await lease(store, 'w', null)
      await commit(store, { write: 'release', name: 'l', worker: 'w' })
      const second = await lease(store, 'v', null)
      const third = await lease(store, 'u', 'v')
      same([first > 0, second > first, third > second], [true, true, true])
      same(await held(store), [`l u ${third}`])
    },
  },
  {
    name: 'S111 a held lease is given only to who names its holder',
    async run({ store }) {
      const epoch = await lease(store, 'w', null)
      same([await lease(store, 'v', null), await lease(store, 'v', 'x'), await lease(store, 'v', 'v')], [0, 0, 0])
      same(await held(store), [`l w ${epoch}`])
      same((await lease(store, 'w', 'w')) > epoch, true)
      same((await lease(store, 'w', null, 'free')) > 0, true)
      same((await lease(store, 'v', 'nobody', 'free too')) > 0, true)
    },
  },
  {
    name: 'S112 releasing frees what one holds, not what another holds',
    async run({ store }) {
      const epoch = await lease(store, 'w', null)
      await commit(store, { write: 'release', name: 'l', worker: 'v' }, { write: 'release', name: 'm', worker: 'w' })
      same(await held(store), [`l w ${epoch}`])
      await commit(store, { write: 'release', name: 'l', worker: 'w' })
      same(await held(store), [])
    },
  },
  {
    name: 'S113 a worker that is gone leaves all its leases and the list of workers',
    async run({ store }) {
      const worker = { id: 'w', beat: 1, level: 1, host: 'h', pid: 7, started: start }
      await commit(store, { write: 'worker', worker }, { write: 'worker', worker: { ...worker, id: 'v' } })
      await lease(store, 'w', null, 'a')
      await lease(store, 'w', null, 'b')
      const kept = await lease(store, 'v', null, 'c')
      await commit(store, { write: 'gone', worker: 'w' }, { write: 'gone', worker: 'nobody' })
      same(await held(store), [`c v ${kept}`])
      same(
        (await store.read({ read: 'workers' })).map((w) => w.id),
        ['v'],
      )
      same((await lease(store, 'v', null, 'a')) > 1, true)
    },
  },
  {
    name: 'S114 a sign of life changes the beat of its worker',
    async run({ store }) {
      const worker = { id: 'w', beat: 1, level: 3, host: 'h', pid: 7, started: start }
      await commit(store, { write: 'worker', worker })
      await commit(store, { write: 'worker', worker: { ...worker, beat: 2 } })
      same(await store.read({ read: 'workers' }), [{ ...worker, beat: 2 }])
    },
  },
  {
    name: 'S115 a lease held by one process is refused to another',
    needs: 'second',
    async run(trial) {
      const other = await trial.second()
      const epoch = await lease(trial.store, 'w', null)
      same(await lease(other, 'v', 'v'), 0)
      await commit(other, { write: 'gone', worker: 'w' })
      same((await lease(other, 'v', null)) > epoch, true)
      same(await lease(trial.store, 'w', 'w'), 0)
    },
  },
]
