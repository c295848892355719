import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hunt } from '#testing/simulation/planted.ts'

/** Worlds in which each mistake has to be found. */
const most = 600

test('the simulation finds every planted mistake', { timeout: 1_200_000 }, async (t) => {
  const all = await hunt({ seeds: most, starts: 1 })
  for (const f of all)
    t.diagnostic(
      `${f.bug}: ${f.found[0] ?? 'not found in'} ${f.found[0] === undefined ? most : 'worlds'}, ${f.by.join()}`,
    )
  assert.deepEqual(
    all.filter((f) => f.found.length === 0).map((f) => f.bug),
    [],
  )
})
