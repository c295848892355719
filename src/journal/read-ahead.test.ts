import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gate, journalWorld, reader } from './world.fixture.ts'

const MiB = 1024 * 1024

test('a hundred lagging partitions hold 16 MiB together, and each goes on', async () => {
  const hold = gate()
  let done = 0
  const slow = reader(
    async () => {
      await hold.opened
      done++
    },
    { concurrency: 1, timeout: 3_600_000 },
  )
  await using w = await journalWorld([slow], { partitions: 64 })
  const body = `"${'x'.repeat(MiB - 1_000)}"`
  for (let i = 0; i < 128; i++) await w.publish(null, { body, key: `k${i}` })
  await w.settle()
  const held = w.journal.log.ahead.bytes
  // Each of the 64 that had nothing could take one message, whatever its size.
  assert.ok(held >= 16 * MiB - MiB && held <= (16 + 64) * MiB, `${held}`)
  hold.open()
  await w.clock.advance(1_000)
  assert.equal(done, 128)
  assert.equal(w.journal.log.ahead.bytes, 0)
})

test('what a partition held that is stopped is given back', async () => {
  const hold = gate()
  const w = await journalWorld([reader(() => hold.opened, { concurrency: 1 })], { partitions: 4 })
  for (let i = 0; i < 40; i++) await w.publish(i, { key: `k${i}` })
  await w.settle()
  assert.ok(w.journal.log.ahead.bytes > 0)
  const stopped = w[Symbol.asyncDispose]()
  hold.open()
  await stopped
  assert.equal(w.journal.log.ahead.bytes, 0)
})
