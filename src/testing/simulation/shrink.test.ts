import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Decisions } from './decisions.ts'
import { shrink } from './shrink.ts'

const many: Decisions = Object.fromEntries(
  Array.from({ length: 40 }, (_, i) => [`step/${i} what`, [i % 7, (i * 3) % 5, 1]]),
)
const at = (d: Decisions, label: string, i: number): number => d[label]?.[i] ?? 0

test('what a failure does not need is taken away, and what it needs is lowered', async () => {
  const fails = async (d: Decisions): Promise<boolean> => at(d, 'step/20 what', 0) >= 3 && at(d, 'step/33 what', 1) >= 2
  const { decisions, minimal } = await shrink(many, fails, () => true)
  assert.deepEqual(decisions, { 'step/20 what': [3], 'step/33 what': [0, 2] })
  assert.equal(minimal, true)
})

test('decisions that only together fail are both kept', async () => {
  const total = (d: Decisions): number =>
    Object.values(d)
      .flat()
      .filter((v) => v > 0).length
  const { decisions } = await shrink(
    many,
    async (d) => total(d) >= 5,
    () => true,
  )
  assert.equal(total(decisions), 5)
  assert.ok(
    Object.values(decisions)
      .flat()
      .every((v) => v <= 1),
  )
})

test('ends when the time is over, with the best so far', async () => {
  let left = 3
  const { runs, minimal, decisions } = await shrink(
    many,
    async () => true,
    () => left-- > 0,
  )
  assert.ok(runs <= 3)
  assert.equal(minimal, false)
  assert.ok(Object.keys(decisions).length < Object.keys(many).length)
})
