import assert from 'node:assert/strict'
import { test } from 'node:test'
import { virtualClock } from '#testing/clock.ts'
import { commit, parkedMessage, start } from '../conformance/trial.ts'
import { inSchema } from './open.fixture.ts'

test('a message that is parked behind one that leaves at the same moment is woken', async (t) => {
  const subject = await inSchema(virtualClock())
  t.after(() => subject.close())
  const { store } = subject
  // Two transactions on two connections: which is first is decided anew each time, and neither order may leave one asleep.
  for (let i = 0; i < 200; i++) {
    const [first, second] = [2 * i, 2 * i + 1]
    const key = `k${i}`
    await commit(store, { write: 'park', parked: parkedMessage(first, { key, state: 'retry' }) })
    const transaction = await store.begin(5_000)
    await Promise.all([
      transaction.commit([
        { writes: [{ write: 'unpark', at: { subscription: 1, partition: 0, offset: first }, now: start }] },
      ]),
      commit(store, { write: 'park', parked: parkedMessage(second, { key, state: 'behind' }) }),
    ])
  }
  const parked = await store.read({ read: 'parked', limit: 1_000 })
  assert.equal(parked.length, 200)
  assert.deepEqual(
    parked.filter((p) => p.state === 'behind').map((p) => p.offset),
    [],
  )
})
