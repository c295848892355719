import assert from 'node:assert/strict'
import { test } from 'node:test'
import { day, watched } from './months.fixture.ts'
import { devices, payment, tickets, world, type Edit, type Service } from './variation.fixture.ts'

type Answer = Record<string, unknown>
const customer = (a: Answer): Answer => a['customer'] as Answer
const items = (a: Answer): Answer[] => a['items'] as Answer[]

test('half a year of everyday variation is no change', (t) => {
  let answers = 0
  for (const [name, service] of Object.entries({ payment, tickets, devices })) {
    for (const [perDay, seed] of [
      [20, 11],
      [150, 12],
    ] as const) {
      const { told, shape } = watched(world({ seed, service, perDay }), 180)
      assert.deepEqual(told, [], `${name}, ${perDay} a day`)
      assert.ok(shape.settled)
      answers += shape.answers
    }
  }
  t.diagnostic(`false alarms: 0 in 6 × 180 days, ${answers} answers looked at`)
})

test('what has changed is told once, as what it is, and nothing else with it', (t) => {
  const table: readonly (readonly [expected: string, service: Service, edit: Edit])[] = [
    ['currency field-gone', payment, (a) => delete a['currency']],
    ['customer.phone field-gone', payment, (a) => delete customer(a)['phone']],
    ['amount type', payment, (a) => (a['amount'] = String(a['amount']))],
    ['customer type', payment, (a) => (a['customer'] = customer(a)['id'])],
    ['created type', payment, (a) => (a['created'] = Date.parse(String(a['created'])) / 1_000)],
    ['created format', payment, (a) => (a['created'] = String(Date.parse(String(a['created']))))],
    ['currency null', payment, (a, d) => d.chance(0.2) && (a['currency'] = null)],
    ['customer.email null-only', payment, (a) => (customer(a)['email'] = null)],
    ['customer.id field-optional', payment, (a, d) => d.chance(0.2) && delete customer(a)['id']],
    ['risk field-new', payment, (a) => (a['risk'] = { score: 7, level: 'low' })],
    ['risk field-new', payment, (a, d) => d.chance(0.2) && (a['risk'] = { score: 7, level: 'low' })],
    ['status value-new', payment, (a, d) => d.chance(0.1) && (a['status'] = 'partially_refunded')],
    ['items[].title field-gone', tickets, (a) => items(a).forEach((i) => delete i['title'])],
    ['items[].id type', tickets, (a) => items(a).forEach((i) => (i['id'] = String(i['id'])))],
    [
      'readings.*.t type',
      devices,
      (a) => Object.values(a['readings'] as Answer).forEach((r) => ((r as Answer)['t'] = 'warm')),
    ],
  ]
  for (const perDay of [150, 800]) {
    for (const [expected, service, edit] of table) {
      const { told } = watched(world({ seed: 3, service, perDay, drift: { from: 30, edit } }), 60)
      assert.deepEqual(
        told.map((c) => `${c.path} ${c.what}`),
        [expected],
        `${perDay} a day`,
      )
      const [change] = told
      assert.ok(change!.day > 30)
      t.diagnostic(
        `${perDay} a day: ${expected} (${change!.severity}) after ${change!.delay} answers, ${((change!.day - 30) * 24).toFixed(0)} h`,
      )
    }
  }
})

test('a rename is a field that has gone and one that has come', () => {
  const rename: Edit = (a) => {
    const c = customer(a)
    c['mail'] = c['email']
    delete c['email']
  }
  const { told } = watched(world({ seed: 3, service: payment, perDay: 150, drift: { from: 30, edit: rename } }), 60)
  assert.deepEqual(told.map((c) => `${c.path} ${c.what} ${c.severity}`).sort(), [
    'customer.email field-gone breaking',
    'customer.mail field-new info',
  ])
})

test('what was gone and is back is told, and is missed again only after longer', () => {
  let from = Number.POSITIVE_INFINITY
  const edit: Edit = (a) => {
    const at = Date.parse(String(a['created']))
    from = Math.min(from, at)
    if (at - from < 10 * day) delete a['currency']
  }
  const { told } = watched(world({ seed: 3, service: payment, perDay: 150, drift: { from: 30, edit } }), 60)
  assert.deepEqual(
    told.map((c) => `${c.path} ${c.what}`),
    ['currency field-gone', 'currency field-back'],
  )
})
