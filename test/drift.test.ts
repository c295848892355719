import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { connection, topic } from 'fairlead'
import { harness, reply, type Harness } from 'fairlead/testing'
import { z } from 'zod'
import { watched } from '#patterns/connections/drift/months.fixture.ts'
import { dice } from '#patterns/connections/drift/variation.fixture.ts'

const Change = z.object({ connection: z.string(), path: z.string(), what: z.string(), severity: z.string() })
const changes = topic('changes', { schema: Change })
const api = connection('shop', {
  baseUrl: 'https://shop.test',
  drift: { every: '1m', learn: '1h', to: changes },
  operations: { order: { http: 'GET /orders/:id', input: z.object({ id: z.string() }) } },
})

async function minutes(t: Harness, n: number): Promise<void> {
  for (let i = 0; i < n; i++) {
    await t.call(api.order, { id: '1' })
    await t.advance('1m')
  }
}

test('a change is logged, listed and published once, and accepted by an operator', async () => {
  await using t = await harness({ use: [api, changes] })
  t.answer(api.order, { id: 1, total: 9.9, state: 'paid' })
  await minutes(t, 70)
  assert.deepEqual(await t.app.operations.drifts(), [])
  t.answer(api.order, { id: 1, state: 'paid', sum: { net: 9, gross: 9.9 } })
  await minutes(t, 20)

  const listed = await t.app.operations.drifts({ connection: 'shop' })
  assert.deepEqual(
    listed.map((d) => `${d.path} ${d.what} ${d.severity} ${d.sample}`),
    ['total field-gone breaking undefined', 'sum field-new info {"net":9,"gross":9.9}'],
  )
  assert.deepEqual(
    t.logged
      .filter((l) => l.event === 'connection.drift')
      .map((l) => `${l.level} ${String(l.fields['path'])}`)
      .sort(),
    ['info sum', 'warn total'],
  )
  assert.deepEqual((await t.messages(changes)).map((m) => (m as z.infer<typeof Change>).path).sort(), ['sum', 'total'])

  const [gone] = listed
  await t.app.operations.as('anna').acceptDrift(gone!.id, { reason: 'mapping corrected' })
  assert.deepEqual(
    (await t.app.operations.drifts()).map((d) => d.path),
    ['sum'],
  )
  const all = await t.app.operations.drifts({ accepted: true })
  assert.equal(all.find((d) => d.id === gone!.id)?.accepted?.by, 'anna')
  const [entry] = await t.app.operations.trail(1)
  assert.deepEqual(
    [entry?.verb, entry?.subject, entry?.['reason']],
    ['accept-drift', 'shop.order total', 'mapping corrected'],
  )
  await assert.rejects(t.app.operations.acceptDrift('nobody'), { code: 'journal.missing' })

  t.answer(api.order, { id: 1, total: 9.9, state: 'paid', sum: { net: 9, gross: 9.9 } })
  await minutes(t, 1)
  assert.deepEqual(
    (await t.app.operations.drifts()).map((d) => `${d.path} ${d.what}`),
    ['total field-back', 'sum field-new'],
  )
})

test('what answers say about their own end is listed, the nearest end first, beside what was declared', async () => {
  const ending = connection('old', {
    baseUrl: 'https://old.test/v1',
    apiVersion: { value: 'v1', ends: '2026-06-30' },
    operations: { list: { http: 'GET /list' } },
  })
  await using t = await harness({ use: [ending] })
  t.answer(ending.list, reply(200, [], { sunset: 'Sat, 31 Jan 2026 00:00:00 GMT', deprecation: '@1767225600' }))
  await t.call(ending.list, {})
  await t.advance('1s')
  const listed = (await t.app.operations.endings()).map((e) => [e.operation ?? e.version, e.sunset, e.days])
  assert.deepEqual(listed, [
    ['list', '2026-01-31T00:00:00.000Z', 30],
    ['v1', '2026-06-30T00:00:00.000Z', 180],
  ])
  assert.deepEqual(
    t.logged.filter((l) => l.event.startsWith('connection.')).map((l) => l.event),
    ['connection.ends', 'connection.deprecated'],
  )
})

test('a topic that is not there is refused at the start', async () => {
  await assert.rejects(harness({ use: [api] }), /connection\(shop\)\.drift\.to: the topic "changes" was not passed/)
})

test('a year of real payloads, in any order and in bursts, is no change; one field of them gone is', (t) => {
  const lines = (name: string): unknown[] =>
    readFileSync(new URL(`../examples/orders/data/${name}`, import.meta.url), 'utf8')
      .trim()
      .split('\n')
      .map((l) => JSON.parse(l) as unknown)
  const whole = (name: string): unknown =>
    JSON.parse(readFileSync(new URL(`../examples/orders/data/${name}`, import.meta.url), 'utf8'))
  const sets: Readonly<Record<string, readonly unknown[]>> = {
    stripe: lines('stripe.events.ndjson'),
    slack: lines('slack.events.ndjson'),
    mixed: [
      whole('github.issues.opened.json'),
      whole('shopify.order.json'),
      ...lines('slack.events.ndjson').slice(0, 2),
    ],
  }
  let answers = 0
  for (const [name, payloads] of Object.entries(sets)) {
    const play = (edit: (at: number, answer: Record<string, unknown>) => void): ReturnType<typeof watched> => {
      const d = dice(name.length)
      let at = Date.UTC(2026, 0, 1)
      let kind = 0
      const next = () => {
        at += 60_000 * (1 + d.below(240))
        if (d.chance(0.2)) kind = d.below(payloads.length)
        const answer = structuredClone(payloads[kind]) as Record<string, unknown>
        edit(at, answer)
        return { at, answer }
      }
      return watched({ next }, 365)
    }
    const calm = play(() => undefined)
    assert.deepEqual(calm.told, [], name)
    answers += calm.shape.answers
    if (name !== 'stripe') continue
    const { told } = play((at, answer) => at > Date.UTC(2026, 5, 1) && delete answer['livemode'])
    assert.deepEqual(
      told.map((c) => `${c.path} ${c.what}`),
      ['livemode field-gone'],
    )
  }
  t.diagnostic(`real payloads: false alarms 0 in ${answers} answers of 3 × 365 days`)
})
