import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api as sdk } from '@pagerduty/pdjs'
import { isFault } from '#kernel/fault.ts'
import { secret } from '#kernel/secret.ts'
import { harness, reply } from '#testing/index.ts'
import { pagerduty, pagerdutyEvents } from './pagerduty.ts'
import { appWith, essence, standIn } from './stand-in.fixture.ts'

const token = 'canary5f3759dfabcdef'
const routing = '0123456789abcdef0123456789abcdef'
const incident = { id: 'P1', type: 'incident', summary: 'x', status: 'triggered', title: 'Orders are stuck' }
const reference = { id: 'P2', type: 'service_reference' }

test('sends what PagerDuty’s own SDK sends', async (t) => {
  const server = await standIn(t)
  const p = pagerduty({ token: secret('PAGERDUTY_TOKEN'), from: 'ops@example.test', baseUrl: server.origin })
  const app = await appWith(t, [p], { PAGERDUTY_TOKEN: token })
  const theirs = (method: 'get' | 'post' | 'put', path: string, data?: object): Promise<unknown> =>
    sdk({
      method,
      url: `${server.origin}${path}`,
      token,
      headers: { From: 'ops@example.test' },
      ...(data === undefined ? {} : { data }),
    })
  const made = {
    incident: { type: 'incident', title: 'Orders are stuck', service: reference, incident_key: 'orders/stuck' },
  } as const
  const resolved = { incident: { type: 'incident_reference', status: 'resolved' } } as const
  const cases: readonly (readonly [object, () => Promise<unknown>, () => Promise<unknown>])[] = [
    [
      { incidents: [incident] },
      () => theirs('get', '/incidents?statuses[]=triggered&statuses[]=acknowledged&limit=5'),
      () => app.call(p.listIncidents, { statuses: ['triggered', 'acknowledged'], limit: 5 }),
    ],
    [{ incident }, () => theirs('get', '/incidents/P1'), () => app.call(p.getIncident, { id: 'P1' })],
    [{ incident }, () => theirs('post', '/incidents', made), () => app.call(p.createIncident, made)],
    [
      { incident },
      () => theirs('put', '/incidents/P1', resolved),
      () => app.call(p.updateIncident, { id: 'P1', ...resolved }),
    ],
    [
      { oncalls: [] },
      () => theirs('get', '/oncalls?earliest=true&schedule_ids[]=S1'),
      () => app.call(p.listOnCalls, { earliest: true, schedule_ids: ['S1'] }),
    ],
  ]
  for (const [body, sdkCall, ours] of cases) {
    server.answer = () => ({ body })
    await sdkCall()
    await ours()
    const [first, second] = server.seen.splice(0)
    const told = ['authorization', 'accept', 'from']
    assert.deepEqual(essence(second, told), essence(first, told))
  }
})

test('an event carries the routing key in its body, and no record does', async (t) => {
  const server = await standIn(t)
  const e = pagerdutyEvents({ routingKey: secret('PAGERDUTY_ROUTING_KEY'), baseUrl: `${server.origin}/v2` })
  const app = await appWith(t, [e], { PAGERDUTY_ROUTING_KEY: routing })
  server.answer = () => ({
    status: 202,
    body: { status: 'success', message: 'Event processed', dedup_key: 'orders/stuck' },
  })
  const payload = { summary: 'Orders are stuck', source: 'orders', severity: 'error' } as const
  await app.call(e.trigger, { dedup_key: 'orders/stuck', payload })
  await app.call(e.resolve, { dedup_key: 'orders/stuck' })
  assert.deepEqual(
    server.seen.map((r) => [r.path, r.body]),
    [
      ['/v2/enqueue', { routing_key: routing, event_action: 'trigger', dedup_key: 'orders/stuck', payload }],
      ['/v2/enqueue', { routing_key: routing, event_action: 'resolve', dedup_key: 'orders/stuck' }],
    ],
  )
  const records = JSON.stringify(await app.operations.calls())
  assert.ok(records.includes('orders/stuck') && !records.includes(routing))
})

test('an alert is repeated, a change is not, an open incident is a conflict', async () => {
  const e = pagerdutyEvents({ routingKey: secret('PAGERDUTY_ROUTING_KEY') })
  const p = pagerduty({ token: secret('PAGERDUTY_TOKEN') })
  await using t = await harness({ use: [e, p] })
  const payload = { summary: 'x', source: 'y', severity: 'info' } as const
  t.answer(e.trigger, reply(500), reply(202, { status: 'success', dedup_key: 'k' }))
  const sent = t.call(e.trigger, { dedup_key: 'k', payload })
  await t.advance('1m')
  assert.equal((await sent).dedup_key, 'k')
  t.answer(e.change, reply(500))
  await assert.rejects(t.call(e.change, { payload }), (error) => isFault(error, 'connection.unverified'))
  t.answer(p.createIncident, reply(400, { error: { code: 2002, message: 'Incident Already Exists' } }))
  await assert.rejects(
    t.call(p.createIncident, { incident: { type: 'incident', title: 'x', service: reference, incident_key: 'k' } }),
    (error) => isFault(error, 'connection.conflict'),
  )
})

test('walks a list while there is more', async () => {
  const p = pagerduty({ token: secret('PAGERDUTY_TOKEN') })
  await using t = await harness({ use: [p] })
  t.answer(p.listIncidents, { incidents: [incident, incident], more: true }, { incidents: [incident], more: false })
  const found: string[] = []
  for await (const one of t.app.each(p.listIncidents, { limit: 2 })) found.push(one.id)
  assert.equal(found.length, 3)
  assert.deepEqual(
    t.called(p.listIncidents).map((c) => c['offset']),
    ['0', '2'],
  )
})
