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
      shared: { breaker: 'closed' },
      lastFault: { code: 'connection.cut', time: '2026-01-02T03:04:05.000Z' },
    },
    { name: 'connection-1', calls: 0, failed: 0, shared: { breaker: 'closed' } },
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
    'CONNECTION    CALLS  FAILED  BREAKER  LAST FAULT',
    'connection-0      3       2  closed   connection.cut at 2026-01-02 03:04:05Z',
    'connection-1      0       0  closed',
    '',
    'Nothing is running on this store.',
    'The store takes 2.0 KiB.',
    'Paused: partition 3 of subscription-0, by anna@host at 2026-01-02 03:04:06Z: wrong \\x1b[2Jprices',
    '1 message waits for a person: fairlead dead',
  ])
})

test('tells who works, who waits to be replaced, and whose clock is off', () => {
  const worker = { id: 'w', host: 'here', level: 1, started: '2026-01-02T03:04:05.000Z', outdated: false, skew: 0 }
  const status = {
    ...statusOf({ topics: 0, subscriptions: 0, connections: 0, webhooks: 0, count: 0, dead: 0 }),
    workers: [
      { ...worker, pid: 7, partitions: 16 },
      { ...worker, pid: 8, partitions: 0, outdated: true },
      { ...worker, pid: 9, partitions: 1, skew: -61_400 },
    ],
  }
  assert.deepEqual(lines(storeStatus(status, []), { width: undefined, paint: unpainted }).slice(0, 3), [
    'Running: pid 7 on here since 2026-01-02 03:04:05Z (16 partitions), pid 8 on here since 2026-01-02 03:04:05Z (0 partitions), pid 9 on here since 2026-01-02 03:04:05Z (1 partition).',
    'pid 8 on here is older than the store: it has handed over its work and waits to be replaced.',
    'The clock of pid 9 on here is 61 s behind.',
  ])
})

test('tells which connections are stopped, in all processes or in one, and who asked us to wait', () => {
  const status = statusOf({ topics: 0, subscriptions: 0, connections: 4, webhooks: 0, count: 0, dead: 0 })
  const until = '2026-01-02T03:04:05.000Z'
  const shared = [
    { breaker: 'isolated', by: 'anna@host', reason: 'their migration' },
    { breaker: 'open', openUntil: until },
    { breaker: 'closed', alone: 1 },
    { breaker: 'closed', coolUntil: until },
  ] as const
  const connections = status.connections.map((c, i) => ({ ...c, shared: shared[i]! }))
  const shown = lines(storeStatus({ ...status, connections }, []), { width: undefined, paint: unpainted })
  assert.deepEqual(shown.slice(1, 5), [
    'connection-0      0       0  isolated',
    'connection-1      0       0  open',
    'connection-2      0       0  closed',
    'connection-3      0       0  closed',
  ])
  assert.deepEqual(shown.slice(-4), [
    'Nothing is sent to connection-0: isolated by anna@host: their migration. fairlead breaker close connection-0',
    'The breaker of connection-1 is open until 2026-01-02 03:04:05Z.',
    '1 process alone cannot reach connection-2, or is not answered: look at its network.',
    'connection-3 asked us to wait until 2026-01-02 03:04:05Z.',
  ])
})
