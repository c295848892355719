import { fault } from '#kernel/fault.ts'
import { driftKept, driftKey, driftPrefix, type StoredDrift } from '../drift.ts'
import { audit, reasonOf, type OperationDeps } from './deps.ts'

export type { StoredDrift } from '../drift.ts'

export type DriftQuery = {
  readonly connection?: string
  /** Also those that somebody has accepted. Default false. */
  readonly accepted?: boolean
}

/** Changes in what others answer, breaking ones first, then the latest. Kept half a year, at most 200 a connection. */
export async function drifts(deps: OperationDeps, query: DriftQuery = {}): Promise<readonly StoredDrift[]> {
  const prefix = query.connection === undefined ? driftPrefix : `${driftPrefix}${query.connection}/`
  const found = (await deps.journal.keys.list(prefix)).map((k) => JSON.parse(k.value) as StoredDrift)
  const rank = { breaking: 0, warn: 1, info: 2 }
  return found
    .filter((d) => query.accepted === true || d.accepted === undefined)
    .sort((a, b) => rank[a.severity] - rank[b.severity] || b.time.localeCompare(a.time))
}

/**
 * Somebody has seen to a change: it is no longer listed, and told again if it happens once more. What is usual now was learned when
 * it was told, so nothing else has to be done. `journal.missing` for an id that is not there.
 */
export async function acceptDrift(
  deps: OperationDeps,
  id: string,
  options: { readonly reason?: string } = {},
): Promise<void> {
  const drift = (await drifts(deps, { accepted: true })).find((d) => d.id === id)
  if (!drift) throw fault('journal.missing', { message: `there is no change "${id}"`, detail: { id } })
  const { connection, operation, path, what } = drift
  const now = deps.runtime.clock.now()
  const accepted: StoredDrift = { ...drift, accepted: { by: deps.by, time: new Date(now).toISOString() } }
  await deps.journal.commit.add(
    {
      writes: [
        { write: 'put', name: driftKey(drift), value: JSON.stringify(accepted), expires: now + driftKept },
        audit(deps, 'accept-drift', `${connection}.${operation} ${path}`, {
          id,
          what,
          reason: reasonOf(options.reason),
        }),
      ],
    },
    'durable',
  )
}
