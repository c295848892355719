import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fault } from '#kernel/fault.ts'
import { dataOf, journalWorld, reader } from './world.fixture.ts'

test('what is held for a connection is due at once when it is back, and what stands behind it is read', async () => {
  const done: unknown[] = []
  let closed = true
  const handle = async (run: Parameters<typeof dataOf>[0]) => {
    const n = dataOf(run)
    const connection = n === 1 ? 'other' : 'crm'
    const stays = n === 1
    if (closed || stays) return [fault('connection.unauthorized', { detail: { connection }, retryAfter: 60_000 })]
    done.push(n)
    return [undefined]
  }
  await using w = await journalWorld([reader(handle)])
  const all = Array.from({ length: 40 }, (_, n) => n)
  for (const n of all) {
    await w.publish(n)
    await w.settle()
  }
  const parked = await w.store.read({ read: 'parked', limit: 100 })
  assert.ok(parked.length >= 16 && parked.length < 40, `reading stopped after ${parked.length}`)
  closed = false
  assert.equal(await w.journal.release('nobody'), 0)
  assert.deepEqual(done, [])
  assert.equal(await w.journal.release('crm'), parked.length - 1)
  for (let i = 0; i < 20; i++) await w.settle()
  assert.deepEqual(
    done.toSorted((a, b) => Number(a) - Number(b)),
    all.filter((n) => n !== 1),
  )
  assert.equal(w.clock.mono(), 0)
  const [left] = await w.store.read({ read: 'parked', limit: 100 })
  assert.deepEqual([left!.heldBy, left!.attempts, left!.due - w.clock.now()], ['other', 0, 60_000])
})
