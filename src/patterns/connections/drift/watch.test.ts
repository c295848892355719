import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HttpResponse } from '#kernel/http.ts'
import { redactor } from '#kernel/redact.ts'
import { settle, virtualClock } from '#testing/clock.ts'
import { DriftWatch, type Drift, type DriftKeep, type DriftOptions } from './watch.ts'

type Kept = Map<string, { value: string; version: number }>

function setup(kept: Kept = new Map(), options: DriftOptions = { learn: '1h' }) {
  const clock = virtualClock()
  const told: Drift[] = []
  const logs: string[] = []
  const counts = { reads: 0, writes: 0, broken: false }
  const keep: DriftKeep = {
    get: async (name) => {
      counts.reads++
      if (counts.broken) throw new Error('the store is away')
      return kept.get(name) ?? null
    },
    swap: async (name, version, value) => {
      counts.writes++
      if (counts.broken) throw new Error('the store is away')
      if ((kept.get(name)?.version ?? 0) !== version) return false
      kept.set(name, { value, version: version + 1 })
      return true
    },
    announce: async (drift) => void told.push(drift),
  }
  const log = { write: (_: string, event: string) => void logs.push(event) }
  const watch = new DriftWatch('payments', options, { clock, log, redact: redactor() }, keep)
  return {
    clock,
    told,
    logs,
    counts,
    kept,
    watch,
    async minutes(n: number, body: unknown, status = 200) {
      for (let i = 0; i < n; i++) {
        watch.look('charge', answer(body, status), clock.mono())
        await clock.advance(60_000)
      }
    },
  }
}

function answer(body: unknown, status = 200): HttpResponse {
  return { status, headers: {}, body: new TextEncoder().encode(JSON.stringify(body)), phases: { total: 1 } }
}

const charge = { id: 1, amount: 990, state: 'paid', owner: { mail: 'a@b.ch' } }

test('tells of a change once, with what an operator needs and no value', async () => {
  const t = setup()
  await t.minutes(100, charge)
  assert.equal(t.told.length, 0)
  await t.minutes(20, { ...charge, amount: '990', owner: { mail: 'c@d.ch', pin: 4_711 } })
  assert.equal(t.told.length, 2)
  const { id, first, time, ...rest } = t.told.find((d) => d.path === 'amount')!
  assert.match(id, /^[0-9a-z]{8,}$/)
  assert.ok(Date.parse(first) < Date.parse(time))
  assert.deepEqual(rest, {
    connection: 'payments',
    operation: 'charge',
    status: 200,
    path: 'amount',
    what: 'type',
    severity: 'breaking',
    before: 'number',
    now: 'digits',
    sample: '"<digits>"',
    count: rest.count,
    delay: rest.delay,
  })
  assert.equal(t.told.find((d) => d.path === 'owner.pin')?.sample, '"<hidden>"')
})

test('looks at one answer a minute of each status, and at none that is no JSON or longer than 1 MiB', async () => {
  const t = setup()
  t.watch.look('charge', answer(charge), 0)
  await settle()
  const at = (body: unknown, mono: number): void => t.watch.look('charge', answer(body), mono)
  for (let second = 0; second < 600; second++) at(charge, second * 1_000)
  for (const body of ['<html>', '', `"${'x'.repeat(1_048_576)}"`])
    t.watch.look('charge', { ...answer(charge), body: new TextEncoder().encode(body) }, 600_000)
  await t.watch.save()
  const [, , answers] = JSON.parse([...t.kept.values()][0]!.value) as number[]
  assert.equal(answers, 10)
})

test('learns each status for itself, and at most eight of an operation', async () => {
  const t = setup()
  for (let status = 200; status < 220; status++) await t.minutes(2, charge, status)
  await t.watch.save()
  assert.equal(t.kept.size, 8)
  assert.ok(t.kept.has('drift/shape/payments/charge/200'))
})

test('what was learned is there after a restart', async () => {
  const first = setup()
  await first.minutes(100, charge)
  await first.watch.save()
  const second = setup(first.kept)
  await second.minutes(10, { ...charge, state: undefined })
  assert.deepEqual(
    second.told.map((d) => `${d.path} ${d.what}`),
    ['state field-gone'],
  )
})

test('two processes keep one shape: who saves second goes on with what the first has saved', async () => {
  const a = setup()
  await a.minutes(30, charge)
  await a.watch.save()
  const b = setup(a.kept)
  await b.minutes(40, charge)
  await b.watch.save()
  await a.minutes(5, charge)
  await a.watch.save()
  await a.watch.save()
  const [, , answers] = JSON.parse([...a.kept.values()][0]!.value) as number[]
  // The first answer of each process was spent on reading.
  assert.equal(answers, 29 + 39)
})

test('goes on without the store, says so, and saves when it is back', async () => {
  const t = setup()
  t.counts.broken = true
  await t.minutes(5, charge)
  await t.watch.save()
  assert.ok(t.logs.length > 0 && t.logs.every((event) => event === 'connection.drift_unsaved'))
  t.counts.broken = false
  await t.minutes(5, charge)
  await t.watch.save()
  assert.equal(t.kept.size, 1)
})

test('writes every ten minutes, not with every answer', async () => {
  const t = setup()
  await t.minutes(61, charge)
  assert.ok(t.counts.writes >= 5 && t.counts.writes <= 6, `${t.counts.writes} writes`)
  assert.equal(t.counts.reads, 1)
})
