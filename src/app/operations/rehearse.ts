import { fault } from '#kernel/fault.ts'
import { printPosition } from '#kernel/message.ts'
import { FirstCalls } from '../rehearsal/first-calls.ts'
import { firstPublishes } from '../rehearsal/first-publishes.ts'
import { Note, type RehearsedMessage } from '../rehearsal/note.ts'
import { rehearseOne } from '../rehearsal/run.ts'
import { NotingVerbs } from '../rehearsal/verbs.ts'
import { within } from './choose.ts'
import { firstSound } from './damage.ts'
import { audit, type OperationDeps } from './deps.ts'
import { rangesOf, type LogRange, type Range } from './log-range.ts'

export type Rehearse = LogRange & {
  /** Messages at most. Default 1,000, 1 to 10,000. */
  readonly limit?: number
  readonly signal?: AbortSignal
}

export type Rehearsed = {
  /** Messages in the range, and those that were rehearsed. */
  readonly messages: number
  readonly rehearsed: number
  readonly outcomes: Readonly<Record<RehearsedMessage['outcome'], number>>
  /** Those that are not the same, at most 1,000, in the order of their partitions. */
  readonly differing: readonly RehearsedMessage[]
}

const told = 1_000

/**
 * Runs the handler of a subscription over messages that it has handled before, and does nothing: calls and publishes are noted and compared
 * with what the first run did (its publishes stand in the log, its calls in the call records), what it writes through `ctx.tx` is rolled
 * back. Then decide: `replayTopic` does it, under the same ids and keys; or leave it.
 *
 * Runs in the operator's process with the definitions loaded there, so a corrected handler can be tried on yesterday's messages before it is
 * deployed. It keeps no state: after a crash begin again.
 *
 * Limits: a call is answered as the first run was, from call records (7 days); where the answer was masked, cut or is gone, the rehearsal of
 * that message ends there. What a handler does past its context is done. A handler that opens `ctx.tx` holds the writer of an embedded store
 * while it runs. Batches are refused: which messages were together is not known.
 */
export async function rehearse(deps: OperationDeps, query: Rehearse): Promise<Rehearsed> {
  const def = deps.definitions.subscriptions.get(query.subscription)
  if (!def)
    throw fault('subscription.unknown', {
      message: `there is no subscription "${query.subscription}" in these definitions`,
    })
  if (def.handle === undefined)
    throw fault('config.option', {
      message: `${def.name} handles batches: which messages were together the first time is not known`,
    })
  const limit = within('limit', query.limit ?? 1_000, 1, 10_000)
  const { row, topic, ranges: all } = await rangesOf(deps, query)
  const messages = all.reduce((sum, r) => sum + r.below - r.from, 0)
  const ranges = limited(all, limit)
  await deps.journal.commit.add(
    { writes: [audit(deps, 'rehearse', `subscription/${row.name}`, { ranges })] },
    'durable',
  )
  const earliest = await earliestOf(deps, topic.slot, ranges)
  const first = await FirstCalls.read(deps, topic.name, ranges, earliest)
  const readers = [...deps.definitions.subscriptions.values()].filter((s) => s.to.name === topic.name)
  const owner = { topic: topic.name, subscription: def.name, alone: readers.length === 1 }
  const notes: Note[] = []
  for (const { partition, from, below } of ranges) {
    const slot = topic.slot + partition
    for (let at = from; at < below && !query.signal?.aborted;) {
      const message = await firstSound(deps.runtime.store, slot, at, below)
      if (message === undefined) break
      at = message.offset + 1
      const verbs = new NotingVerbs(deps, first.at(topic.name, partition, message.offset))
      const ended = await rehearseOne(def, { topic, partition, message }, deps.runtime, verbs)
      const position = printPosition({ topic: topic.name, partition, offset: message.offset })
      notes.push(new Note(deps, owner, { position, message, verbs, ended, recorded: message.time >= first.since }))
    }
  }
  await lookUp(deps, notes, earliest)
  const outcomes = { same: 0, different: 0, failed: 0, unanswered: 0 }
  const differing: RehearsedMessage[] = []
  for (const note of notes) {
    const shown = note.shown()
    outcomes[shown.outcome]++
    if (shown.outcome !== 'same' && differing.length < told) differing.push(shown)
  }
  return { messages, rehearsed: notes.length, outcomes, differing }
}

/** The first `limit` messages, partition after partition. */
function limited(ranges: readonly Range[], limit: number): Range[] {
  const out: Range[] = []
  let left = limit
  for (const r of ranges) {
    const below = Math.min(r.below, r.from + left)
    if (below > r.from) out.push({ ...r, below })
    left -= below - r.from
  }
  return out
}

/** When the first message of the range was accepted. */
async function earliestOf(deps: OperationDeps, slot: number, ranges: readonly Range[]): Promise<number> {
  const { store, clock } = deps.runtime
  let earliest = clock.now()
  for (const { partition, from, below } of ranges) {
    const m = await firstSound(store, slot + partition, from, below)
    if (m !== undefined) earliest = Math.min(earliest, m.time)
  }
  return earliest
}

/** Tells each note what stands in the log of what it would publish, and of what its message has caused. */
async function lookUp(deps: OperationDeps, notes: readonly Note[], earliest: number): Promise<void> {
  const byId = new Map<string, Note[]>()
  const byCause = new Map(notes.map((n) => [n.id, n]))
  const name = (topic: string, id: string): string => `${topic}/${id}`
  for (const note of notes) {
    for (const { topic, id } of note.published) {
      const of = byId.get(name(topic, id))
      if (of) of.push(note)
      else byId.set(name(topic, id), [note])
    }
  }
  await firstPublishes(
    deps,
    earliest,
    { id: (topic, id) => byId.has(name(topic, id)), cause: (id) => byCause.has(id) },
    (topic, m, cause) => {
      const of = new Set(byId.get(name(topic, m.id)))
      const caused = cause === undefined ? undefined : byCause.get(cause)
      if (caused) of.add(caused)
      for (const note of of) note.found(topic, m)
    },
  )
}
