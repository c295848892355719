import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '#kernel/fault.ts'
import { dataOf, gate, journalWorld, reader, type JournalWorld } from './world.fixture.ts'

/** As a person does who puts a message back among the parked ones: beside the running worker, which has not heard of it yet. */
async function putBackUnheard(w: JournalWorld, offset: number, key: string, data: unknown): Promise<void> {
  const { id } = w.journal.subscriptions.get('reader')!
  const now = w.clock.now()
  const at = { subscription: id, partition: 0, offset, key, id: `back-${offset}`, time: now, meta: null }
  const how = { state: 'retry', attempts: 0, due: now, since: now, faults: null, heldBy: null } as const
  const writes = [{ write: 'park', parked: { ...at, ...how, body: JSON.stringify(data) } }] as const
  await w.journal.commit.add({ writes }, 'durable')
}

async function putBack(w: JournalWorld, offset: number, key: string, data: unknown): Promise<void> {
  await putBackUnheard(w, offset, key, data)
  await w.journal.refresh()
}

for (const batch of [0, 10]) {
  test(`a message that is put back waits for the one of its key that runs, later ones wait for it (batch ${batch})`, async () => {
    const hold = gate()
    const seen: unknown[] = []
    let running = 0
    const handle = async (run: Parameters<typeof dataOf>[0]) => {
      assert.equal(++running, 1)
      seen.push(dataOf(run))
      if (dataOf(run) === 'first') await hold.opened
      running--
    }
    await using w = await journalWorld([reader(handle, { batch })])
    await w.publish('first', { key: 'k' })
    await w.settle()
    await w.publish('second', { key: 'k' })
    await w.settle()
    await putBack(w, -1, 'k', 'back')
    await w.clock.advance(1_000)
    assert.deepEqual(seen, ['first'])
    await w.publish('third', { key: 'k' })
    hold.open()
    await w.clock.advance(1_000)
    assert.deepEqual(seen, ['first', 'back', 'second', 'third'])
    assert.deepEqual(await w.store.read({ read: 'parked', limit: 1 }), [])
  })
}

test('two parked messages of one key that are both due run one after the other', async () => {
  const hold = gate()
  const seen: unknown[] = []
  await using w = await journalWorld([
    reader(async (run) => {
      seen.push(dataOf(run))
      if (seen.length === 1) await hold.opened
    }),
  ])
  await putBack(w, -2, 'k', 'one')
  await putBack(w, -1, 'k', 'two')
  await w.clock.advance(1_000)
  assert.deepEqual(seen, ['one'])
  hold.open()
  await w.clock.advance(1_000)
  assert.deepEqual(seen, ['one', 'two'])
})

test('a message of another key is not delayed by one that waits', async () => {
  const hold = gate()
  const seen: unknown[] = []
  await using w = await journalWorld([
    reader(async (run) => {
      seen.push(dataOf(run))
      if (dataOf(run) === 'k') await hold.opened
      if (dataOf(run) === 'bad') throw new Fault('no', 'rejected')
    }),
  ])
  await w.publish('k', { key: 'k' })
  await w.settle()
  await putBack(w, -1, 'k', 'k again')
  await putBack(w, -2, 'l', 'l')
  await w.publish('bad', { key: 'm' })
  await w.clock.advance(1_000)
  assert.deepEqual(seen.map(String).toSorted(), ['bad', 'k', 'l'])
  hold.open()
  await w.clock.advance(1_000)
  assert.equal(seen.at(-1), 'k again')
})

test('a message that was put back without a word, and found due while one of its key runs, runs after that', async () => {
  const hold = gate()
  const seen: unknown[] = []
  await using w = await journalWorld([
    reader(async (run) => {
      seen.push(dataOf(run))
      if (dataOf(run) === 'first') await hold.opened
      if (dataOf(run) === 'retried' && run.attempt === 1) throw new Fault('later', 'transient')
    }),
  ])
  await w.publish('first', { key: 'k' })
  await w.publish('retried', { key: 'l' })
  await w.settle()
  await putBackUnheard(w, -1, 'k', 'back')
  await w.clock.advance(1_500)
  assert.deepEqual(seen, ['first', 'retried', 'retried'])
  hold.open()
  await w.settle()
  assert.deepEqual(seen.at(-1), 'back')
})
