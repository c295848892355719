import assert from 'node:assert/strict'
import { test } from 'node:test'
import { audit, type Evidence } from './books.ts'
import type { Planned } from './plan.ts'
import type { Told } from './sender.ts'

const planned = (over: Partial<Planned> & { readonly json: object }): Planned => {
  const { json, ...rest } = over
  const base = { at: 0, provider: 'stripe', type: 'payment_intent.succeeded', id: 'evt_1', manner: 'first' } as const
  return { ...base, body: Buffer.from(JSON.stringify(json)), ...rest }
}
const told = (planned: Planned, over: Partial<Told> = {}): Told => ({
  planned,
  outcome: 'accepted',
  status: 200,
  code: undefined,
  attempts: 1,
  ms: 2,
  ...over,
})
const order = (sku: string): object => ({
  id: 1,
  line_items: [{ sku, quantity: 1 }],
  customer: { id: 7, email: 'ada@example.com' },
})
const shop = { provider: 'shopify', type: 'orders/create' } as const
const paid = planned({ json: { data: { object: { metadata: { order_id: '1' } } } } })
const words = (id: string, text: string): Planned =>
  planned({ provider: 'slack', type: 'message', id, json: { event_id: id, event: { channel: 'C1', text } } })
const counts = { retry: 0, held: 0, behind: 0, dead: 0 }
const subscription = (name: string, topic: string): Evidence['engine']['subscriptions'][number] => ({
  name,
  topic,
  lag: 0,
  parked: counts,
})

/** One payment, delivered twice, and one wrong request: it balances. */
const fair: Evidence = {
  planned: 3,
  told: [
    told(paid),
    told({ ...paid, manner: 'again' }, { outcome: 'duplicate' }),
    told({ ...paid, manner: 'wrong-secret' }, { outcome: 'refused', status: 400, code: 'webhook.refused' }),
  ],
  effects: [
    { api: 'payments', effect: 'transfer', key: '1' },
    { api: 'warehouse', effect: 'shipment', key: '1' },
    { api: 'crm', effect: 'stage', key: '1/packed' },
    { api: 'crm', effect: 'stage', key: '1/paid' },
  ],
  engine: {
    topics: [
      { name: 'webhook.stripe', messages: 1 },
      { name: 'orders.paid', messages: 1 },
      { name: 'orders.settled', messages: 1 },
    ],
    subscriptions: [
      subscription('pay-seller', 'orders.paid'),
      subscription('ship-order', 'orders.paid'),
      subscription('note-settlement', 'orders.settled'),
    ],
    connections: [],
  },
  parked: [],
}

/** One order with an article that nobody has: it balances with one message parked as dead. */
const dead: Evidence = {
  planned: 1,
  told: [told(planned({ ...shop, json: order('XX-1') }))],
  effects: [{ api: 'crm', effect: 'contact', key: '7' }],
  engine: {
    topics: [
      { name: 'webhook.shopify', messages: 1 },
      { name: 'orders.placed', messages: 1 },
    ],
    subscriptions: [
      { ...subscription('reserve-stock', 'orders.placed'), parked: { ...counts, dead: 1 } },
      subscription('know-customer', 'orders.placed'),
    ],
    connections: [],
  },
  parked: [
    {
      subscription: 'reserve-stock',
      key: '1',
      state: 'dead',
      attempts: 1,
      code: 'connection.rejected',
      message: 'no such article',
    },
  ],
}

const notes = (effects: Evidence['effects']): Evidence => ({
  planned: 2,
  told: [told(words('Ev1', 'first')), told(words('Ev2', 'second'))],
  effects,
  engine: {
    topics: [
      { name: 'webhook.slack', messages: 2 },
      { name: 'notes', messages: 2 },
    ],
    subscriptions: [subscription('take-note', 'notes')],
    connections: [],
  },
  parked: [],
})
const note = (key: string): Evidence['effects'][number] => ({ api: 'crm', effect: 'note', key, lane: 'C1' })

const problems = (evidence: Evidence): readonly string[] => audit(evidence).problems

test('a payment with a repetition and a refused forgery balances, and the table accounts for all three', () => {
  const books = audit(fair)
  assert.deepEqual(books.problems, [])
  assert.deepEqual(books.sent.at(-1), {
    what: 'total',
    requests: 3,
    accepted: 1,
    duplicate: 1,
    refused: 1,
    unanswered: 0,
    retried: 0,
  })
  assert.deepEqual(
    books.effects.map((row) => [row.effect, row.expected, row.once]),
    [
      ['crm stage', 2, 2],
      ['payments transfer', 1, 1],
      ['warehouse shipment', 1, 1],
    ],
  )
})

test('a missing effect unbalances the books', () => {
  assert.deepEqual(problems({ ...fair, effects: fair.effects.slice(1) }), ['payments transfer 1: missing'])
})

test('an effect that happened twice unbalances the books', () => {
  assert.deepEqual(problems({ ...fair, effects: [...fair.effects, ...fair.effects.slice(0, 1)] }), [
    'payments transfer 1: repeated, 2 times',
  ])
})

test('an effect that nobody asked for unbalances the books', () => {
  const effects = [...fair.effects, { api: 'payments', effect: 'transfer', key: '2' } as const]
  assert.deepEqual(problems({ ...fair, effects }), ['payments transfer 2: unexpected, 1 times'])
})

test('a correct request that was refused unbalances the books', () => {
  const refused = told({ ...paid, manner: 'again' }, { outcome: 'refused', status: 400, code: 'webhook.refused' })
  assert.match(problems({ ...fair, told: fair.told.with(1, refused) }).join(), /it was correct/)
})

test('a wrong request that was accepted, or refused for another reason, unbalances the books', () => {
  const forged = { ...paid, manner: 'wrong-secret' } as const
  assert.match(problems({ ...fair, told: fair.told.with(2, told(forged)) }).join(), /should have been refused/)
  const other = told(forged, { outcome: 'refused', status: 500, code: 'bug' })
  assert.match(problems({ ...fair, told: fair.told.with(2, other) }).join(), /not as 400 webhook.refused/)
})

test('a request without an outcome, or without an answer, unbalances the books', () => {
  assert.match(problems({ ...fair, planned: 4 }).join(), /4 requests were planned, 3 have an outcome/)
  const never = told({ ...paid, manner: 'again' }, { outcome: 'unanswered', status: undefined })
  assert.match(problems({ ...fair, told: fair.told.with(1, never) }).join(), /never answered/)
})

test('an event that was accepted twice as new unbalances the books', () => {
  const twice = told({ ...paid, manner: 'again' })
  assert.match(problems({ ...fair, told: fair.told.with(1, twice) }).join(), /stripe evt_1: accepted 2 times/)
})

test('a message that the engine lost, or holds unfinished, unbalances the books', () => {
  const { engine } = fair
  const topics = engine.topics.with(1, { name: 'orders.paid', messages: 0 })
  assert.match(problems({ ...fair, engine: { ...engine, topics } }).join(), /orders.paid: 1 messages were accepted/)
  const inbox = engine.topics.with(0, { name: 'webhook.stripe', messages: 0 })
  assert.match(problems({ ...fair, engine: { ...engine, topics: inbox } }).join(), /its inbox holds 0/)
  const waiting = { ...subscription('pay-seller', 'orders.paid'), parked: { ...counts, retry: 1 } }
  const subscriptions = [waiting, ...engine.subscriptions.slice(1)]
  assert.match(problems({ ...fair, engine: { ...engine, subscriptions } }).join(), /pay-seller: 1 messages are neither/)
})

test('a message that is rightly dead balances; without its reason, alive, or another one dead, it does not', () => {
  assert.deepEqual(problems(dead), [])
  assert.deepEqual(audit(dead).work[0]?.reasons, ['1 × connection.rejected'])
  assert.match(
    problems({ ...dead, parked: [] }).join(),
    /reserve-stock 1 connection.rejected: dead 0 times, expected 1/,
  )
  const [entry] = dead.parked
  assert.ok(entry)
  assert.match(problems({ ...dead, parked: [{ ...entry, message: '' }] }).join(), /dead without a reason/)
  assert.match(problems({ ...dead, parked: [{ ...entry, code: 'bug' }] }).join(), /reserve-stock 1 bug: dead 1 times/)
  const stranger = { ...entry, subscription: 'nobody' }
  assert.match(problems({ ...dead, parked: [entry, stranger] }).join(), /nobody 1 connection.rejected: dead 1 times/)
})

test('notes of one channel that changed places unbalance the books', () => {
  assert.deepEqual(problems(notes([note('Ev1'), note('Ev2')])), [])
  assert.deepEqual(problems(notes([note('Ev2'), note('Ev1')])), ['crm note Ev1: overtaken by a later one of C1'])
})

test('what follows a dead message of its key is owed no effect: it must stand behind it', () => {
  const told_ = [told(words('Ev1', 'x'.repeat(501))), told(words('Ev2', 'second'))]
  const entry = { subscription: 'take-note', key: 'C1', attempts: 1, code: 'connection.rejected', message: 'too long' }
  const evidence: Evidence = {
    ...notes([]),
    told: told_,
    engine: {
      topics: [
        { name: 'webhook.slack', messages: 2 },
        { name: 'notes', messages: 2 },
      ],
      subscriptions: [{ ...subscription('take-note', 'notes'), parked: { ...counts, dead: 1, behind: 1 } }],
      connections: [],
    },
    parked: [
      { ...entry, state: 'dead' },
      { ...entry, state: 'behind' },
    ],
  }
  assert.deepEqual(problems(evidence), [])
  assert.match(problems({ ...evidence, effects: [note('Ev2')] }).join(), /crm note Ev2: unexpected/)
})
