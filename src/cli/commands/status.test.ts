import assert from 'node:assert/strict'
import { test } from 'node:test'
import { statusOf } from '../dev/status.fixture.ts'
import { unpainted } from '../terminal.ts'
import { lines, storeStatus } from './status.ts'

test('tells what the store knows, and no counts of its own process', () => {
  const status = statusOf({ topics: 1, subscriptions: 1, connections: 2, webhooks: 1, count: 7, dead: 1 })
  const calls = [
    { call: 3, connection: 'connection-0', outcome: 'connection.cut', time: '2026-01-02T03:04:05.000Z' },
    { call: 2, connection: 'connection-0', outcome: 'ok', time: '2026-01-02T03:04:04.000Z' },
    { call: 1, connection: 'connection-0', outcome: 'connection.failed', time: '2026-01-02T03:04:03.000Z' },
  ]
  const pause = { since: '2026-01-02T03:04:06.000Z', by: 'anna@host', reason: 'wrong \u001b[2Jprices' }
  const pauses = [{ ...pause, subscription: 'subscription-0', partition: 3 }]
  const shown = storeStatus({ ...status, pauses }, calls)
  assert.deepEqual(shown.connections, [
    {
      name: 'connection-0',
      calls: 3,
      failed: 2,
      lastFault: { code: 'connection.cut', time: '2026-01-02T03:04:05.000Z' },
    },
    { name: 'connection-1', calls: 0, failed: 0 },
  ])
  assert.deepEqual(lines(shown, { width: undefined, paint: unpainted }), [
    'TOPIC    ACCEPTED  KEPT',
    'topic-0         7     7',
    '',
    'SUBSCRIPTION    TOPIC    LAG  RETRY  HELD  BEHIND  DEAD',
    'subscription-0  topic-0    3      0     0       0     1',
    '',
    'WEBHOOK    ACCEPTED  PATH',
    'webhook-0         0  /webhook-0',
    '',
    'CONNECTION    CALLS  FAILED  LAST FAULT',
    'connection-0      3       2  connection.cut at 2026-01-02 03:04:05Z',
    'connection-1      0       0',
    '',
    'Nothing is running on this store.',
    'The store takes 2.0 KiB.',
    'Paused: partition 3 of subscription-0, by anna@host at 2026-01-02 03:04:06Z: wrong \\x1b[2Jprices',
    '1 message waits for a person: fairlead dead',
  ])
})
