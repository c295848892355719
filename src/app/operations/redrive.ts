import type { ParkedAt } from '#adapters/stores/port.ts'
import { isFault } from '#kernel/fault.ts'
import { choose, lastCode, tally, type ParkedFilter, type ParkedRow, type Tally } from './choose.ts'
import { readable } from './damage.ts'
import { audit, reasonOf, type OperationDeps } from './deps.ts'
import { checkDrive, drive, type Driven, type DriveOptions, type Source } from './drive.ts'

export type Redrive = Omit<ParkedFilter, 'state'> &
  DriveOptions & {
    /** Counts what it would redrive and touches nothing. */
    readonly dryRun?: boolean
    readonly reason?: string
  }

export type Redriven = Driven & { readonly found: Tally }

const defaultRate = '10/s'

/**
 * Puts dead messages of a subscription on their way again, with their attempts counted anew and their history kept: at a
 * rate (default 10 a second), each at most once, never past the next of its key. Stops when they only die again, so it is no faster
 * loop than its rate, whatever the cause.
 *
 * Runs in the operator's process. If that ends in the middle, what was redriven is redriven and the rest is still dead: the same
 * call goes on. Of two operators at once each message has one: the other counts it as `skipped`.
 *
 * Limit: the rate is that of the dead ones. Those that wait behind one follow it as fast as they are handled, one after the other.
 */
export async function redrive(deps: OperationDeps, query: Redrive): Promise<Redriven> {
  const options = { ...query, rate: query.rate ?? defaultRate }
  checkDrive(options)
  // From here on: one that dies later was redriven by somebody else.
  const begun = deps.runtime.clock.now()
  const filter = { ...query, until: query.until ?? new Date(begun) }
  const found = await tally(choose(deps, filter))
  if (query.dryRun || found.messages === 0) return { found, started: 0, skipped: 0, handled: 0, failed: 0, waiting: 0 }
  const { subscription, code, key, reason } = query
  await deps.journal.commit.add(
    {
      writes: [
        audit(deps, 'redrive', `subscription/${subscription}`, {
          reason: reasonOf(reason),
          rate: options.rate,
          found,
          ...(code === undefined ? {} : { code }),
          ...(key === undefined ? {} : { key }),
        }),
      ],
    },
    'durable',
  )
  return { found, ...(await drive(deps, dead(deps, filter, begun), options)) }
}

function dead(deps: OperationDeps, filter: ParkedFilter, begun: number): Source {
  const pages = choose(deps, filter)
  let rows: ParkedRow[] = []
  let done = false
  return async (most, due) => {
    while (rows.length < most && !done) {
      const next = await pages.next()
      if (next.done) done = true
      else rows.push(...next.value)
    }
    const chosen = rows.slice(0, most)
    rows = rows.slice(most)
    const taken = await Promise.all(chosen.map((row, n) => again(deps, row, due(n), begun)))
    const started = taken.filter((at) => at !== undefined)
    return { started, skipped: chosen.length - started.length, done: done && rows.length === 0 }
  }
}

/** Undefined: a person, or another redrive, was first; or nobody but a person knows what it said. */
async function again(
  deps: OperationDeps,
  { row, subscription, partition, offset }: ParkedRow,
  due: number,
  begun: number,
): Promise<ParkedAt | undefined> {
  const at = { subscription, partition, offset }
  // A page may be read long before its turn comes: what counts, its history too, is how it is now.
  const now = await deps.runtime.store.read({ read: 'parkedAt', at })
  if (now?.state !== 'dead' || now.due > begun || lastCode(readable(now)) === 'message.damaged') return undefined
  const { faults, id } = now
  try {
    await deps.journal.commit.add(
      {
        guards: [{ guard: 'parked', at, states: ['dead'], body: now.body }],
        writes: [
          { write: 'repark', at, state: 'retry', attempts: 0, due, faults, heldBy: null },
          audit(deps, 'redrive', `parked/${row}`, { position: at, message: id, code: lastCode(now) }),
        ],
      },
      'durable',
    )
    return at
  } catch (e) {
    if (isFault(e, 'parked.state')) return undefined
    throw e
  }
}
