import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lostAnswers } from './lost-answers.ts'

test('10,000 charges whose answers are lost, and 12 kills: none twice, none missing', async (t) => {
  const found = await lostAnswers({ charges: 10_000, kills: 12, seed: 7 })
  t.diagnostic(JSON.stringify(found))
  assert.deepEqual([found.duplicates, found.lost, found.kills], [0, 0, 12])
  assert.ok(found.unanswered >= 5_000, `only ${found.unanswered} answers were lost`)
})
