import type { Parked, Stored } from '#adapters/stores/port.ts'
import { fault, isFault } from '#kernel/fault.ts'
import type { ReplayRange, ReplayState } from '#journal/replays.ts'
import { behind } from './damage.ts'
import { audit, reasonOf, subscriptionRow, type OperationDeps } from './deps.ts'
import { checkDrive, drive, type Driven, type DriveOptions, type Source, type Step } from './drive.ts'
import { rangesOf, type LogRange } from './log-range.ts'
import { lastReplay, saveReplay, unfinished } from './replay-state.ts'

export type ReplayTopic = LogRange &
  DriveOptions & {
    /** Counts what it would replay and touches nothing. */
    readonly dryRun?: boolean
    readonly reason?: string
  }

export type TopicReplayed = Driven & {
  /** Messages in the range; those that compaction took away are counted too. */
  readonly messages: number
}

const defaultRate = '100/s'
const bytesAtOnce = 8 * 1024 * 1024

/**
 * Has a subscription handle again what it has handled before: the messages of the log from a position or a moment on, in the
 * order of their keys, at a rate (default 100 a second).
 *
 * Each message is parked at its own place, as one that is to be tried now, and one of a key behind the earlier ones of that key.
 * Without `until` the subscription is set back: what is new in a partition waits until its old messages are on their way, and then behind
 * those of its key, so that old never overwrites new. (Of a message that was being handled when the replay began this cannot be said.)
 * With `until`, which may be `'0s'`, it is a repetition beside what goes on: later messages have been handled already, there is no order
 * left to keep among old and new ones.
 *
 * Effects repeat under the same ids and keys as the first time, so what was done is not done twice (P3): a publish is recognised within the
 * topic's `dedupe`, a call by its intent or its receiver. What it would do otherwise than the first time is shown by `rehearse`.
 *
 * Runs in the operator's process; how far it has come is moved on in the commit that parks. After a crash `resumeReplay` goes on where
 * it stopped, in any process; until then, or `cancelReplay`, what is new goes on waiting. One replay a subscription: `replay.state` while another is under way.
 *
 * Limits: a message that is parked still is left alone, as are those that the subscription has not come to, and those that are damaged. What retention removes before
 * its turn cannot be replayed. A subscription of batches handles them one by one.
 */
export async function replayTopic(deps: OperationDeps, query: ReplayTopic): Promise<TopicReplayed> {
  checkDrive({ ...query, rate: query.rate ?? defaultRate })
  const { row, topic, ranges } = await rangesOf(deps, query)
  const messages = ranges.reduce((sum, r) => sum + r.below - r.from, 0)
  if (query.dryRun || messages === 0) return { messages, started: 0, skipped: 0, handled: 0, failed: 0, waiting: 0 }
  const state: ReplayState = {
    subscription: row.name,
    topic: topic.name,
    by: deps.by,
    since: new Date(deps.runtime.clock.now()).toISOString(),
    reason: reasonOf(query.reason),
    live: query.until === undefined ? 'waits' : 'goes on',
    ranges: ranges.map((r) => ({ ...r, next: r.from })),
  }
  const { reason } = state
  const last = await lastReplay(deps, row.name)
  if (last.state !== undefined)
    throw fault('replay.state', {
      message: `a replay of ${row.name} that ${last.state.by} began at ${last.state.since} is not finished: resume or cancel it`,
      detail: { subscription: row.name },
    })
  const version = await saveReplay(deps, state, last.version, [
    audit(deps, 'replay-topic', `subscription/${row.name}`, { reason, messages, ranges }),
  ])
  return { messages, ...(await run(deps, row.id, state, version, query)) }
}

/** Goes on with a replay that stopped before its end; takes it over from an operator who is still at it. `replay.state` when there is none. */
export async function resumeReplay(
  deps: OperationDeps,
  subscription: string,
  options: DriveOptions = {},
): Promise<TopicReplayed> {
  checkDrive({ ...options, rate: options.rate ?? defaultRate })
  const { id } = await subscriptionRow(deps, subscription)
  const { state, version } = await unfinished(deps, subscription)
  const taken = await saveReplay(deps, state, version, [audit(deps, 'resume-replay', `subscription/${subscription}`)])
  const messages = state.ranges.reduce((sum, r) => sum + r.below - r.next, 0)
  return { messages, ...(await run(deps, id, state, taken, options)) }
}

/** Ends a replay where it is. What it has put on the way is handled, the rest is not. */
export async function cancelReplay(deps: OperationDeps, subscription: string): Promise<void> {
  const { state, version } = await unfinished(deps, subscription)
  await saveReplay(deps, { ...state, over: true }, version, [
    audit(deps, 'cancel-replay', `subscription/${subscription}`, { ranges: state.ranges }),
  ])
}

function run(
  deps: OperationDeps,
  id: number,
  state: ReplayState,
  version: number,
  options: DriveOptions,
): Promise<Driven> {
  // Not so many that the subscription stops reading because of them.
  const limit = deps.definitions.subscriptions.get(state.subscription)?.parkedLimit ?? 2_000
  const source = feed(deps, id, state, version)
  return drive(deps, source, { ...options, rate: options.rate ?? defaultRate, most: Math.floor(limit / 2) })
}

/** Parks the next messages of one partition after the other, and moves the state on in the same commit. */
function feed(deps: OperationDeps, id: number, begun: ReplayState, version: number): Source {
  const { store, clock } = deps.runtime
  const topic = deps.journal.log.topic(begun.topic)
  let state = begun
  let turn = 0
  return async (most, due): Promise<Step> => {
    const open = state.ranges.filter((r) => r.next < r.below)
    const range = open[turn++ % Math.max(1, open.length)]
    const started: Parked[] = []
    let skipped = 0
    if (range !== undefined) {
      const { partition, next, below } = range
      const slot = topic.slot + partition
      const rows = await store.read({ read: 'log', slot, from: next, below, limit: most, bytes: bytesAtOnce })
      const at = rows.map((m) => ({ subscription: id, partition, offset: m.offset }))
      const waiting = await Promise.all(at.map((place) => store.read({ read: 'parkedAt', at: place })))
      const fresh = rows.filter((m, i) => waiting[i] === null && m.damage === undefined)
      const now = clock.now()
      started.push(...fresh.map((m, n) => again(id, partition, m, now, due(n))))
      skipped = rows.length - fresh.length
      const after = rows.length === 0 ? below : behind(rows.at(-1)!)
      const moved = { ...range, next: after, below: await endOf(deps, id, state, { ...range, next: after }) }
      state = { ...state, ranges: state.ranges.map((r) => (r === range ? moved : r)) }
    }
    const done = state.ranges.every((r) => r.next >= r.below)
    const parks = started.map((parked) => ({ write: 'park', parked }) as const)
    try {
      version = await saveReplay(deps, done ? { ...state, over: true } : state, version, parks)
    } catch (e) {
      if (isFault(e, 'journal.conflict')) return { started: [], skipped: 0, done: false, taken: true }
      throw e
    }
    return { started, skipped, done }
  }
}

/** Where the range ends. When it was set back, what was read until that was heard of is part of it: it comes after the old ones again. */
async function endOf(deps: OperationDeps, id: number, { live }: ReplayState, range: ReplayRange): Promise<number> {
  if (live === 'goes on' || range.next < range.below) return range.below
  const cursors = await deps.runtime.store.read({ read: 'cursors', subscription: id })
  return Math.max(range.below, cursors.find((c) => c.partition === range.partition)?.low ?? 0)
}

/** With a key it waits behind the earlier ones of that key; the store makes the first of them due. */
function again(subscription: number, partition: number, m: Stored, now: number, due: number): Parked {
  const state = m.key === null ? 'retry' : 'behind'
  return { ...m, subscription, partition, state, attempts: 0, due, since: now, faults: null, heldBy: null }
}
