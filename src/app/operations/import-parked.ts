import { offsetCount, type CursorRow, type ParkedAt } from '#adapters/stores/port.ts'
import { fault, faultRecord, isFault, type FaultRecord } from '#kernel/fault.ts'
import { partitionOf, type Topic } from '#journal/log.ts'
import { audit, reasonOf, subscriptionRow, type OperationDeps } from './deps.ts'
import { parseLine, type ParkedLine } from './parked-line.ts'
import { storeId } from './store-id.ts'

export type ImportParked = {
  readonly reason?: string
  /** Checks every line and says what it would import, and touches nothing. */
  readonly dryRun?: boolean
  readonly signal?: AbortSignal
}

export type Imported = {
  /** Lines that are not empty. */
  readonly lines: number
  readonly imported: number
  /** They are parked at their place already, or the subscription has not come to them yet and will. */
  readonly present: number
  readonly refused: number
  /** The first 100 that were refused: the number of the line, and why. */
  readonly faults: readonly (FaultRecord & { readonly line: number })[]
}

const faultsTold = 100
/** Lines checked before the next commit. */
const together = 100

/**
 * Parks the messages of a raw export again, with state, attempts and history as they were. The same lines again change nothing while the
 * messages are parked. A line that is wrong is refused and told; the others are imported.
 *
 * In the store that they come from they go to their old place. In another one, or where the log has come to hold another message
 * there, they go before everything of the log, in their old order, into the partition of their key. Of a key that has an earlier one
 * parked, they wait behind it. What happened meanwhile is not undone: of a key whose later messages were handled after a purge, the
 * imported one comes late. A message that was handled after it was exported is handled once more, under the same ids and keys.
 *
 * Limit: the subscription stops reading when more than its `parkedLimit` are parked.
 */
export async function importParked(
  deps: OperationDeps,
  lines: AsyncIterable<string> | Iterable<string>,
  options: ImportParked = {},
): Promise<Imported> {
  const here = await storeId(deps)
  const places = new Map<string, Promise<Place>>()
  const so = { lines: 0, imported: 0, present: 0, refused: 0, faults: [] as (FaultRecord & { line: number })[] }
  let number = 0
  // One after the other: of a key the order of the lines decides who waits behind whom.
  for await (const text of lines) {
    number++
    if (options.signal?.aborted) break
    if (text.trim() === '') continue
    so.lines++
    try {
      const line = parseLine(text)
      const name = `${line.subscription} of ${line.topic}`
      const known = places.get(name) ?? placeOf(deps, line)
      places.set(name, known)
      const outcome = await one(deps, line, await known, here, options)
      so[outcome]++
    } catch (e) {
      if (!isFault(e) || (e.kind !== 'invalid' && e.kind !== 'conflict')) throw e
      so.refused++
      if (so.faults.length < faultsTold) so.faults.push({ line: number, ...faultRecord(e) })
    }
    if (number % together === 0) await deps.journal.refresh()
  }
  await deps.journal.refresh()
  return so
}

type Place = { readonly id: number; readonly topic: Topic; readonly cursors: ReadonlyMap<number, CursorRow> }

async function placeOf(deps: OperationDeps, line: ParkedLine): Promise<Place> {
  const row = await subscriptionRow(deps, line.subscription)
  if (row.topic !== line.topic)
    throw fault('import.line', {
      message: `the line is of ${line.topic}, and ${row.name} reads ${row.topic} in this store`,
      detail: { subscription: row.name, topic: line.topic },
    })
  const cursors = await deps.runtime.store.read({ read: 'cursors', subscription: row.id })
  return {
    id: row.id,
    topic: deps.journal.log.topic(row.topic),
    cursors: new Map(cursors.map((c) => [c.partition, c])),
  }
}

async function one(
  deps: OperationDeps,
  line: ParkedLine,
  place: Place,
  here: string,
  options: ImportParked,
): Promise<'imported' | 'present'> {
  const { store } = deps.runtime
  const at = await whereTo(deps, line, place, here)
  if (at === 'to come') return 'present'
  const { key, id, state } = line.parked
  const there = await store.read({ read: 'parkedAt', at })
  if (there !== null) {
    if (there.id === id) return 'present'
    throw fault('import.occupied', { detail: { ...at, message: id, there: there.id } })
  }
  if (options.dryRun) return 'imported'
  const first = key === null ? null : await store.read({ read: 'parkedFirst', ...at, key })
  const waits = first !== null && first.offset < at.offset
  const parked = { ...line.parked, ...at, ...(waits ? ({ state: 'behind', heldBy: null } as const) : {}) }
  const detail = { position: at, message: id, state, from: line.store, reason: reasonOf(options.reason) }
  await deps.journal.commit.add(
    { writes: [{ write: 'park', parked }, audit(deps, 'import', `subscription/${line.subscription}`, detail)] },
    'durable',
  )
  return 'imported'
}

/** Its old place, if that is certain to be its own and to stay so; otherwise one below all of the log. */
async function whereTo(
  deps: OperationDeps,
  line: ParkedLine,
  { id, topic, cursors }: Place,
  here: string,
): Promise<ParkedAt | 'to come'> {
  const { partition, offset, key } = line.parked
  if (line.store === here && partition < topic.partitions && offset >= 0) {
    const slot = topic.slot + partition
    const [found] = await deps.runtime.store.read({
      read: 'log',
      slot,
      from: offset,
      below: offset + 1,
      limit: 1,
      bytes: 1,
    })
    const there = found?.damage === undefined ? found : undefined
    const passed = isDone(cursors.get(partition), offset)
    if (there?.id === line.parked.id && !passed) return 'to come'
    // What retention has removed cannot be compared; that the cursor has passed the place is enough, nobody else comes there.
    if (passed && (there === undefined || there.id === line.parked.id)) return { subscription: id, partition, offset }
  }
  return {
    subscription: id,
    partition: key === null ? partition % topic.partitions : partitionOf(key, topic),
    offset: offset < 0 ? offset : offset - (partition + 1) * offsetCount,
  }
}

function isDone(cursor: CursorRow | undefined, offset: number): boolean {
  if (cursor === undefined) return false
  const bit = offset - cursor.low
  return bit < 0 || ((cursor.done?.[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0
}
