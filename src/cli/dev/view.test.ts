import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters, styleText } from 'node:util'
import fc from 'fast-check'
import { displayWidth } from '../width.ts'
import { unpainted } from '../terminal.ts'
import { share, tallest, view, type Seen } from './view.ts'
import { statusOf } from './status.fixture.ts'

const seen = (more: Partial<Seen> = {}): Seen => ({
  phase: 'running',
  url: 'http://127.0.0.1:8080',
  up: 61_000,
  restarts: 1,
  between: 0,
  faults: [],
  ...more,
})

const event = {
  time: '2026-01-01T12:03:04.000Z',
  level: 'warn',
  event: 'subscription.dead',
  fields: { subscription: 'x' },
}

test('shows head, topics with rates, subscriptions, connections, webhooks and the last faults', () => {
  const before = statusOf({ topics: 1, subscriptions: 1, connections: 1, webhooks: 1, count: 10 })
  const now = statusOf({
    topics: 1,
    subscriptions: 1,
    connections: 1,
    webhooks: 1,
    count: 40,
    dead: 2,
    breaker: 'open',
  })
  const lines = view(seen({ now, before, between: 2_000, faults: [event] }), { width: 100, rows: 40 }, unpainted)
  assert.deepEqual(lines, [
    'fairlead dev  http://127.0.0.1:8080  ·  up 00:01:01  ·  1 restart  ·  ready',
    'TOPIC    ACCEPTED    RATE',
    'topic-0        40  15.0/s',
    'SUBSCRIPTION    LAG  RUNNING    DONE  RETRY  HELD  BEHIND  DEAD',
    'subscription-0    3        1  15.0/s      0     0       0     2',
    'CONNECTION    BREAKER  CALLS  FAILED  RUNNING  WAITING  LAST FAULT',
    'connection-0  open        40       1        0        0  12:00:00 connection.cut',
    'WEBHOOK    PATH        ANSWERS',
    'webhook-0  /webhook-0  stored 40',
    'LAST FAULTS',
    '12:03:04 subscription.dead subscription=x',
  ])
})

test('says in its head what it waits for', () => {
  const head = (phase: Seen['phase']): string =>
    view(seen({ phase, url: null }), { width: 100, rows: 24 }, unpainted)[0]!
  assert.match(head('starting'), /starting …/)
  assert.match(head('stopped'), /stopped, waits for a change/)
  assert.match(head('stopping'), /stopping/)
  assert.match(head('running'), /listens nowhere/)
})

test('is never taller than 24 lines or the terminal, nor wider, and says how much it hides', () => {
  const few = statusOf({ topics: 30, subscriptions: 2, connections: 5, webhooks: 1, count: 1 })
  const lines = view(seen({ now: few }), { width: 80, rows: 60 }, unpainted)
  assert.equal(lines.length, tallest)
  assert.match(lines[1]!, /\+19$/)
  const sizes = fc.record({ width: fc.integer({ min: 10, max: 200 }), rows: fc.integer({ min: 5, max: 60 }) })
  const n = fc.nat({ max: 40 })
  fc.assert(
    fc.property(sizes, n, n, n, n, fc.nat({ max: 5 }), (size, topics, subscriptions, connections, webhooks, faults) => {
      const now = statusOf({ topics, subscriptions, connections, webhooks, count: 1 })
      const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
        styleText(style, text, { validateStream: false })
      const shown = view(seen({ now, faults: Array.from({ length: faults }, () => event) }), size, paint)
      assert.ok(shown.length <= Math.min(tallest, size.rows - 1), `${shown.length} lines`)
      for (const line of shown) assert.ok(displayWidth(stripVTControlCharacters(line)) <= size.width, line)
    }),
  )
})

test('room is shared so that nobody goes without while others have two', () => {
  assert.deepEqual(share([5, 1, 0, 9], 10), [5, 1, 0, 4])
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 30 })), fc.nat({ max: 40 }), (wanted, room) => {
      const given = share(wanted, room)
      const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0)
      assert.equal(sum(given), Math.min(room, sum(wanted)))
      for (const [i, g] of given.entries()) {
        assert.ok(g <= wanted[i]!)
        if (g < wanted[i]!) assert.ok(given.every((other) => other <= g + 1))
      }
    }),
  )
})
