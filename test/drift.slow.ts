import assert from 'node:assert/strict'
import { test } from 'node:test'
import { watched } from '#patterns/connections/drift/months.fixture.ts'
import { devices, payment, tickets, world } from '#patterns/connections/drift/variation.fixture.ts'

/** Answers a day → seeds. Under six seeds each it was 54 years and 3,268,212 answers, without a false alarm either, in six minutes. */
const seeds = { 20: 6, 150: 6, 800: 2 }

test('a year of everyday variation is no change, at three rates and under several seeds', (t) => {
  const wrong: string[] = []
  let years = 0
  let answers = 0
  for (const [name, service] of Object.entries({ payment, tickets, devices })) {
    for (const [rate, most] of Object.entries(seeds)) {
      const perDay = Number(rate)
      for (let seed = 1; seed <= most; seed++) {
        const { told, shape } = watched(world({ seed, service, perDay }), 365)
        for (const c of told) wrong.push(`${name} ${perDay} ${seed}: ${c.path} ${c.what} on day ${c.day.toFixed(1)}`)
        years++
        answers += shape.answers
      }
    }
  }
  t.diagnostic(`false alarms: ${wrong.length} in ${years} years, ${answers} answers looked at`)
  assert.deepEqual(wrong, [])
})
