import type { Status } from '#app/operations/status.ts'

/** A status with so many of each kind. */
export function statusOf(given: {
  readonly topics?: number
  readonly subscriptions?: number
  readonly connections?: number
  readonly webhooks?: number
  readonly count: number
  readonly dead?: number
  readonly breaker?: 'closed' | 'open'
}): Status {
  const { count, dead = 0, breaker = 'closed' } = given
  const many = <T>(n: number | undefined, make: (i: number) => T): T[] =>
    Array.from({ length: n ?? 0 }, (_, i) => make(i))
  return {
    health: { live: true, ready: true, reasons: [], lateness: 0 },
    store: { bytes: 2048 },
    topics: many(given.topics, (i) => ({ name: `topic-${i}`, partitions: 16, accepted: count, messages: count })),
    subscriptions: many(given.subscriptions, (i) => ({
      name: `subscription-${i}`,
      topic: `topic-${i}`,
      lag: 3,
      paused: false,
      running: 1,
      done: count,
      failed: 0,
      partitions: 16,
      parked: { retry: 0, held: 0, behind: 0, dead },
    })),
    connections: many(given.connections, (i) => ({
      name: `connection-${i}`,
      breaker,
      shared: { breaker: 'closed' },
      credential: 'accepted' as const,
      running: 0,
      waiting: 0,
      counters: {
        calls: count,
        succeeded: count,
        failed: 1,
        refused: 0,
        attempts: count,
        retries: 0,
        verified: 0,
        fellBack: 0,
        coerced: 0,
      },
      lastFault: { code: 'connection.cut', time: '2026-01-01T12:00:00.000Z' },
    })),
    authorizations: [],
    webhooks: many(given.webhooks, (i) => ({ name: `webhook-${i}`, path: `/webhook-${i}`, counts: { stored: count } })),
    workers: [],
    http: {},
    pauses: [],
    replays: [],
    droppedCalls: 0,
  }
}
