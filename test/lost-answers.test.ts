import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lostAnswers } from './lost-answers.ts'

test('charges whose answers are lost, by a process that is killed, are made once each, whatever protects them', async () => {
  const { charges, duplicates, lost, unanswered, decided, kills } = await lostAnswers({
    charges: 300,
    kills: 2,
    seed: 7,
  })
  assert.deepEqual({ charges, duplicates, lost, kills }, { charges: 300, duplicates: 0, lost: 0, kills: 2 })
  assert.ok(unanswered >= 150, `only ${unanswered} answers were lost`)
  assert.ok(decided >= 30, `only ${decided} were left to a person`)
})
