import { isFault } from '#kernel/fault.ts'
import { choose, lastCode, tally, type ParkedFilter, type ParkedRow, type Tally } from './choose.ts'
import { audit, reasonOf, type OperationDeps } from './deps.ts'

export type Purge = ParkedFilter & {
  /** Kept in the audit trail with each message. */
  readonly reason: string
  /** Counts what it would purge and touches nothing. */
  readonly dryRun?: boolean
  /** Ends it early; what was purged is gone. */
  readonly signal?: AbortSignal
}

export type Purged = {
  readonly found: Tally
  readonly purged: number
  /** Left alone: somebody else decided about them meanwhile. */
  readonly skipped: number
}

/**
 * Decides about many parked messages at once that their subscription will never handle them, as `discard` does about one: an audit
 * entry for each, in the commit that removes it, and the next of its key goes on. The log keeps the messages as long as it keeps
 * others; export them first if they may be wanted again. After a crash in the middle the same call goes on.
 */
export async function purge(deps: OperationDeps, query: Purge): Promise<Purged> {
  const chosen: Chosen[] = []
  const found = await tally(noted(choose(deps, query), chosen))
  let purged = 0
  let skipped = 0
  if (query.dryRun) return { found, purged, skipped }
  // The last one first: of a key that goes as a whole none is to become due because the one before it went.
  chosen.reverse()
  for (let i = 0; i < chosen.length && !query.signal?.aborted; i += atOnce) {
    const gone = await Promise.all(chosen.slice(i, i + atOnce).map((c) => remove(deps, c, query.reason)))
    purged += gone.filter(Boolean).length
    skipped += gone.filter((g) => !g).length
  }
  await deps.journal.refresh()
  return { found, purged, skipped }
}

const atOnce = 100

/** What is remembered of a message until its turn: not its body, there may be 100,000. */
type Chosen = Pick<ParkedRow, 'row' | 'subscription' | 'partition' | 'offset' | 'id' | 'state'> & {
  readonly code: string | undefined
}

async function* noted(
  pages: AsyncIterable<readonly ParkedRow[]>,
  into: Chosen[],
): AsyncGenerator<readonly ParkedRow[], void> {
  for await (const page of pages) {
    for (const row of page) {
      const { row: number, subscription, partition, offset, id, state } = row
      into.push({ row: number, subscription, partition, offset, id, state, code: lastCode(row) })
    }
    yield page
  }
}

/** False: it is not in the state any more in which it was found. */
async function remove(deps: OperationDeps, chosen: Chosen, reason: string): Promise<boolean> {
  const { row, id, state, code, subscription, partition, offset } = chosen
  const at = { subscription, partition, offset }
  const detail = { position: at, message: id, state, code, reason: reasonOf(reason) }
  try {
    await deps.journal.commit.add(
      {
        guards: [{ guard: 'parked', at, states: [state] }],
        writes: [{ write: 'unpark', at, now: deps.runtime.clock.now() }, audit(deps, 'purge', `parked/${row}`, detail)],
      },
      'durable',
    )
    return true
  } catch (e) {
    if (isFault(e, 'parked.state')) return false
    throw e
  }
}
