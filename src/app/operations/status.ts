import type { ParkedState } from '#adapters/stores/port.ts'
import { agreedSkew, cardPrefix, readCard } from '#journal/card.ts'
import type { ConnectionState } from '#patterns/connections/run.ts'
import { fleetPrefix } from '#patterns/connections/fleet/peers.ts'
import { sharedState, type SharedState } from '#patterns/connections/fleet/shown.ts'
import { pausePrefix, Pauses, type Pause } from '#journal/pauses.ts'
import type { Certificates } from '../certificates.ts'
import type { Health } from '../health.ts'
import { authorizations, type AuthorizationStatus } from './authorize.ts'
import type { OperationDeps } from './deps.ts'
import { replays, type ReplayStatus } from './replay-state.ts'
import { topics, type TopicStatus } from './topics.ts'

export type SubscriptionStatus = {
  readonly name: string
  readonly topic: string
  /** Messages accepted and not yet finished by it, parked ones not counted. */
  readonly lag: number
  /** Itself, or its topic. Paused partitions stand in `pauses`. */
  readonly paused: boolean
  /** Why nothing is read at the moment; absent when messages flow, or another process works it. */
  readonly waiting?: string
  /** In this process: handlers running, messages done, runs failed, partitions leased. */
  readonly running: number
  readonly done: number
  readonly failed: number
  readonly partitions: number
  readonly parked: Readonly<Record<ParkedState, number>>
}

export type WebhookStatus = {
  readonly name: string
  readonly path: string
  readonly counts: Readonly<Record<string, number>>
}

export type Status = {
  readonly health: Health
  readonly store: { readonly bytes: number }
  readonly topics: readonly TopicStatus[]
  readonly subscriptions: readonly SubscriptionStatus[]
  /** Of this process and since it was started; `shared` is what the store says and holds in all. */
  readonly connections: readonly (ConnectionState & {
    readonly shared: SharedState
    readonly certificates?: Certificates
  })[]
  /** Of connections with OAuth, for all processes. */
  readonly authorizations: readonly AuthorizationStatus[]
  readonly webhooks: readonly WebhookStatus[]
  /** Topics, subscriptions and partitions that an operator has stopped: who, when, why. */
  readonly pauses: readonly Pause[]
  /** Replays of topics that have not come to their end. */
  readonly replays: readonly ReplayStatus[]
  /** Processes that work on this store; empty: nothing is running. `level`: the schema that they were built for. */
  readonly workers: readonly {
    readonly id: string
    readonly host: string
    readonly pid: number
    readonly level: number
    readonly started: string
    /** Partitions that it has, of all subscriptions. */
    readonly partitions: number
    /** A newer worker has changed the store: it hands over what it has and waits to be replaced. */
    readonly outdated: boolean
    /** Milliseconds by which its wall clock is ahead, as far as the others agree; 0 up to 5 s. */
    readonly skew: number
  }[]
  /** Requests by door and outcome (status, or code of the problem); `http` for those that reached no door. */
  readonly http: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** Call records that were dropped because more came than could be written. */
  readonly droppedCalls: number
}

/** Everything at a glance. Reads the store; `connections`, `webhooks` and the running counts are of this process. */
export async function status(deps: OperationDeps): Promise<Status> {
  const { runtime, journal, definitions } = deps
  // An append that was not answered may have moved heads that memory knows nothing of.
  await journal.log.refresh()
  const counts = await runtime.store.read({ read: 'parkedCounts' })
  const pauses = new Pauses(await journal.keys.list(pausePrefix))
  const shared = await journal.keys.list(fleetPrefix)
  const subscriptions: SubscriptionStatus[] = []
  for (const row of await runtime.store.read({ read: 'subscriptions' })) {
    const live = journal.subscriptions.get(row.name)
    const parked = { retry: 0, held: 0, behind: 0, dead: 0 }
    for (const c of counts) if (c.subscription === row.id) parked[c.state] = c.count
    subscriptions.push({
      name: row.name,
      topic: row.topic,
      lag: await lag(deps, row.id, row.topic),
      paused: pauses.whole(row.name, row.topic),
      ...(live?.waiting === undefined ? {} : { waiting: live.waiting }),
      running: live?.counts.running ?? 0,
      done: live?.counts.done ?? 0,
      failed: live?.counts.failed ?? 0,
      partitions: live?.partitions.size ?? 0,
      parked,
    })
  }
  return {
    health: deps.health.read(),
    store: await runtime.store.read({ read: 'size' }),
    topics: await topics(deps),
    subscriptions,
    connections: [...deps.connections].map(([name, c]) => {
      const certificates = deps.certificates.get(name)?.state()
      return {
        ...c.state(),
        shared: sharedState(name, shared, runtime.clock.now()),
        ...(certificates ? { certificates } : {}),
      }
    }),
    authorizations: await authorizations(deps),
    webhooks: [...definitions.webhooks.values()].map((w) => ({
      name: w.name,
      path: w.path,
      counts: Object.fromEntries(deps.counts.get(w.name) ?? []),
    })),
    pauses: pauses.all,
    replays: await replays(deps),
    workers: await workers(deps),
    http: Object.fromEntries([...deps.requests].map(([door, counts]) => [door, Object.fromEntries(counts)])),
    droppedCalls: journal.calls.dropped,
  }
}

async function workers({ runtime: { clock, store } }: OperationDeps): Promise<Status['workers']> {
  const keys = await store.read({ read: 'keys', prefix: cardPrefix, now: clock.now() })
  const cards = new Map(
    keys.flatMap((k) => {
      const card = readCard(k.value)
      return card ? [[k.name.slice(cardPrefix.length), card] as const] : []
    }),
  )
  const leases = Map.groupBy(await store.read({ read: 'leases' }), (l) => l.worker)
  return (await store.read({ read: 'workers' })).map(({ id, host, pid, level, started }) => ({
    id,
    host,
    pid,
    level,
    started: new Date(started).toISOString(),
    partitions: leases.get(id)?.length ?? 0,
    outdated: cards.get(id)?.outdated ?? false,
    skew: agreedSkew(id, cards),
  }))
}

async function lag(deps: OperationDeps, subscription: number, topicName: string): Promise<number> {
  const topic = deps.journal.log.topics.find((t) => t.name === topicName)
  if (!topic) return 0
  const cursors = await deps.runtime.store.read({ read: 'cursors', subscription })
  let behind = 0
  for (const c of cursors) {
    let done = c.low
    for (const byte of c.done ?? []) for (let b = byte; b !== 0; b &= b - 1) done++
    behind += Math.max(0, deps.journal.log.head(topic.slot + c.partition) - done)
  }
  return behind
}
