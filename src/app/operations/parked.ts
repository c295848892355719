import type { Parked, ParkedState } from '#adapters/stores/port.ts'
import type { FaultRecord } from '#kernel/fault.ts'
import { printPosition } from '#kernel/message.ts'
import { lastCode } from './choose.ts'
import { readable } from './damage.ts'
import { subscriptionRow, type OperationDeps } from './deps.ts'
import { shown, type ShownMessage } from './messages.ts'

export type ParkedMessage = ShownMessage & {
  /** What replay, edit and discard take. */
  readonly parked: number
  readonly subscription: string
  readonly state: ParkedState
  readonly attempts: number
  readonly since: string
  /** When it runs again; absent for `behind` and `dead`. */
  readonly due?: string
  readonly heldBy?: string
  /** The last fault, and up to nine before it. */
  readonly fault?: FaultRecord
  readonly history: readonly FaultRecord[]
}

export type ParkedQuery = {
  readonly subscription?: string
  readonly state?: ParkedState
  readonly limit?: number
  readonly after?: number
}

/** Parked messages in the order in which they were parked, with their reasons. Default 100, at most 1,000; page on with `after`. */
export async function parked(deps: OperationDeps, query: ParkedQuery = {}): Promise<readonly ParkedMessage[]> {
  const subscriptions = new Map((await deps.runtime.store.read({ read: 'subscriptions' })).map((s) => [s.id, s]))
  const rows = await deps.runtime.store.read({
    read: 'parked',
    limit: Math.min(1_000, query.limit ?? 100),
    ...(query.subscription === undefined ? {} : { subscription: (await subscriptionRow(deps, query.subscription)).id }),
    ...(query.state === undefined ? {} : { state: query.state }),
    ...(query.after === undefined ? {} : { after: query.after }),
  })
  return rows.map((row) => {
    const of = subscriptions.get(row.subscription)
    return show(deps, row, of?.name ?? `${row.subscription}`, of?.topic ?? '')
  })
}

function show(
  deps: OperationDeps,
  found: Parked & { readonly row: number },
  subscription: string,
  topic: string,
): ParkedMessage {
  const row = readable(found)
  const history = row.faults === null ? [] : (JSON.parse(row.faults) as FaultRecord[])
  const last = history.at(-1)
  return {
    parked: row.row,
    subscription,
    position: printPosition({ topic, partition: row.partition, offset: row.offset }),
    state: row.state,
    attempts: row.attempts,
    since: new Date(row.since).toISOString(),
    ...(row.state === 'retry' || row.state === 'held' ? { due: new Date(row.due).toISOString() } : {}),
    ...(row.heldBy === null ? {} : { heldBy: row.heldBy }),
    ...(last === undefined ? {} : { fault: last }),
    history,
    ...shown(deps, row),
    ...(lastCode(row) === 'message.damaged' ? { damaged: true } : {}),
  }
}
