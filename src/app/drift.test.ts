import assert from 'node:assert/strict'
import { test } from 'node:test'
import { topic } from '#patterns/topics/define.ts'
import type { Drift } from '#patterns/connections/drift/watch.ts'
import type { Journal } from '#journal/journal.ts'
import { driftKeep, driftKey } from './drift.ts'

const drift: Drift = {
  id: 'abc',
  connection: 'shop',
  operation: 'order',
  status: 200,
  path: 'total',
  what: 'field-gone',
  severity: 'breaking',
  first: '2026-01-01T00:00:00.000Z',
  time: '2026-01-01T00:05:00.000Z',
  count: 5,
  delay: 5,
}

function setup() {
  const kept = new Map<string, { value: string; version: number }>()
  const logged: string[] = []
  const published: Drift[] = []
  const broken = { store: false }
  const keys = {
    get: async (name: string) => kept.get(name) ?? null,
    list: async (prefix: string) =>
      [...kept].filter(([name]) => name.startsWith(prefix)).map(([name, k]) => ({ name, ...k })),
    swap: async (name: string, version: number, value: string) => {
      if (broken.store) throw new Error('the store is away')
      if ((kept.get(name)?.version ?? 0) !== version) return false
      kept.set(name, { value, version: version + 1 })
      return true
    },
  }
  const log = { write: (level: string, event: string) => void logged.push(`${level} ${event}`) }
  const keep = driftKeep({ keys } as unknown as Journal, { log }, async (_, d) => void published.push(d))
  return { keep, kept, logged, published, broken }
}

const to = topic('changes')

test('a change is told by one of those who see it, and again when it happens after it was accepted', async () => {
  const t = setup()
  await Promise.all([t.keep.announce(drift, to), t.keep.announce(drift, to)])
  await t.keep.announce(drift, to)
  assert.deepEqual([t.logged, t.published], [['warn connection.drift'], [drift]])
  const accepted = { ...drift, accepted: { by: 'anna', time: drift.time } }
  t.kept.set(driftKey(drift), { value: JSON.stringify(accepted), version: 7 })
  await t.keep.announce({ ...drift, count: 9 }, to)
  assert.equal(t.published.length, 2)
  assert.deepEqual(JSON.parse(t.kept.get(driftKey(drift))!.value), { ...drift, count: 9 })
})

test('keeps 200 changes of a connection', async () => {
  const t = setup()
  for (let i = 0; i < 250; i++) await t.keep.announce({ ...drift, id: `c${i}` }, undefined)
  assert.deepEqual([t.kept.size, t.published.length], [200, 0])
})

test('a store that is away is told of, and harms no call', async () => {
  const t = setup()
  t.broken.store = true
  await t.keep.announce(drift, to)
  assert.deepEqual([t.logged, t.published], [['warn connection.drift_unsaved'], []])
})
