import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { append, commit, entry, log, refused, same, topic, type Case } from './trial.ts'

/** Opening, watching, closing. */
export const lifeCases: readonly Case[] = [
  {
    name: 'S160 says what it can do',
    async run({ store }) {
      assert.equal(typeof store.can.durable, 'boolean')
      assert.ok(['process', 'machine', 'fleet'].includes(store.can.shared))
    },
  },
  {
    name: 'S161 closing again is nothing; after it every use is store.closed',
    async run({ store }) {
      await topic(store)
      await Promise.all([store[Symbol.asyncDispose](), store[Symbol.asyncDispose]()])
      await store[Symbol.asyncDispose]()
      await refused(store.commit([], 'durable'), 'store.closed')
      await refused(store.commit([{ writes: [] }], 'relaxed'), 'store.closed')
      await refused(store.read({ read: 'topics' }), 'store.closed')
      await refused(store.begin(1_000), 'store.closed')
      store.watch(() => assert.fail('nothing changes in a closed store'))()
    },
  },
  {
    name: 'S162 what was handed in before closing is committed',
    needs: 'reopen',
    async run(trial) {
      const t = await topic(trial.store)
      const durable = Array.from({ length: 5 }, (_, i) => append(trial.store, entry(t, `m${i}`)))
      const store = await trial.reopen()
      await Promise.all(durable)
      same(
        (await log(store, t)).map((m) => m.id),
        ['m0', 'm1', 'm2', 'm3', 'm4'],
      )
    },
  },
  {
    name: 'S163 closing waits for an open transaction, at most its limit',
    async run({ store, clock }) {
      const tx = await store.begin(1_000)
      let closed = false
      const closing = store[Symbol.asyncDispose]().then(() => (closed = true))
      await clock.advance(999)
      same(closed, false)
      await clock.advance(1)
      await closing
      await refused(tx.commit([]), 'store.transaction')
    },
  },
  {
    name: 'S164 tells of the commits of another process, until it is told to stop',
    needs: 'second',
    async run(trial) {
      const other = await trial.second()
      let calls = 0
      const stop = trial.store.watch(() => calls++)
      await trial.clock.advance(1_000)
      const quiet = calls
      await commit(other, { write: 'put', name: 'k', value: 'v', expires: null })
      await trial.until(() => calls > quiet)
      assert.ok(calls > quiet, 'the commit of the other was not noticed within a second')
      stop()
      stop()
      const before = calls
      await commit(other, { write: 'put', name: 'k', value: 'w', expires: null })
      await trial.clock.advance(5_000)
      same(calls, before)
    },
  },
  {
    name: 'S165 tells how much room it takes',
    async run({ store }) {
      const t = await topic(store)
      const { bytes } = await store.read({ read: 'size' })
      await append(store, ...Array.from({ length: 20 }, (_, i) => entry(t, `m${i}`, { body: randomBytes(100_000) })))
      const after = (await store.read({ read: 'size' })).bytes
      assert.ok(after - bytes > 1_500_000, `${after - bytes} bytes for 2,000,000`)
    },
  },
]
