import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Log } from '#kernel/log.ts'
import { virtualClock } from '#testing/clock.ts'
import { ask, drop, newSchema, openStore } from './open.fixture.ts'
import { warnOfPages } from './pages.ts'

function recorder(): { readonly log: Log; readonly events: readonly string[] } {
  const events: string[] = []
  return { events, log: { write: (level, event) => void events.push(`${level} ${event}`) } }
}

test('a server that does not check its pages is told of once, when the store is opened; one that does is not', async (t) => {
  for (const [setting, expected] of [
    ['off', ['warn store.pages_unchecked']],
    ['on', []],
  ] as const) {
    const { log, events } = recorder()
    await warnOfPages({ query: () => Promise.resolve([[setting]]) }, log)
    assert.deepEqual(events, expected)
  }
  const schema = newSchema()
  t.after(() => drop(schema))
  const { log, events } = recorder()
  await (await openStore(schema, virtualClock(), {}, log))[Symbol.asyncDispose]()
  const [row] = await ask('show data_checksums')
  assert.equal(events.length, row!['data_checksums'] === 'on' ? 0 : 1)
})
