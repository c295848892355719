import type { Parked, Store, SubscriptionRow, Write } from '#adapters/stores/port.ts'
import { fault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Journal } from '#journal/journal.ts'
import type { OpenConnection } from '#patterns/connections/run.ts'
import type { Certificates } from '../certificates.ts'
import type { Definitions } from '../collect.ts'
import type { HealthMonitor } from '../health.ts'
import type { ScopeUse } from '../scope-use.ts'
import { readable } from './damage.ts'

/** What the operations work on. They decide from the store, so they work beside a running app as well as inside it. */
export type OperationDeps = {
  readonly runtime: Runtime<Store>
  readonly journal: Journal
  readonly definitions: Definitions
  readonly connections: ReadonlyMap<string, OpenConnection>
  /** By connection; of those that open sockets of their own. */
  readonly certificates: ReadonlyMap<string, { state(): Certificates | undefined }>
  /** webhook → outcome → how often. */
  readonly counts: ReadonlyMap<string, ReadonlyMap<string, number>>
  /** door → outcome → how often. */
  readonly requests: ReadonlyMap<string, ReadonlyMap<string, number>>
  readonly health: HealthMonitor
  readonly scopeUse: ScopeUse
  /** Who acts: stands in every audit entry. */
  readonly by: string
}

/** Who changed what, when: written in the same commit as the change. */
export function audit(
  deps: OperationDeps,
  verb: string,
  subject: string,
  detail: Readonly<Record<string, unknown>> = {},
): Write {
  return {
    write: 'audit',
    time: deps.runtime.clock.now(),
    verb,
    subject,
    detail: JSON.stringify(deps.runtime.redact.value({ by: deps.by, ...detail })),
  }
}

export async function subscriptionRow(deps: OperationDeps, name: string): Promise<SubscriptionRow> {
  const rows = await deps.runtime.store.read({ read: 'subscriptions' })
  const row = rows.find((r) => r.name === name)
  if (!row)
    throw fault('subscription.unknown', {
      message: `there is no subscription "${name}"`,
      detail: { known: rows.map((r) => r.name).slice(0, 50) },
    })
  return row
}

export async function parkedRow(deps: OperationDeps, id: number): Promise<Parked & { readonly row: number }> {
  const [row] =
    Number.isSafeInteger(id) && id > 0 ? await deps.runtime.store.read({ read: 'parked', limit: 1, after: id - 1 }) : []
  if (row?.row !== id)
    throw fault('journal.missing', {
      message: `there is no parked message ${id}: it was handled, discarded, or never existed`,
      detail: { id },
    })
  return readable(row)
}

/** A reason as it is kept: at most 500 characters. */
export function reasonOf(given: string | undefined): string {
  return (given ?? '').slice(0, 500)
}
