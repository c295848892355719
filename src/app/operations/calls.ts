import { numbered, type NumberedCall } from './call-record.ts'
import type { OperationDeps } from './deps.ts'

export type CallQuery = {
  readonly connection?: string
  /** `ok`, a fault code, or `failed` for all that are not ok. */
  readonly outcome?: string
  readonly limit?: number
  /** Only calls with a smaller number: the next page. */
  readonly before?: number
}

/** Call records, newest first, masked when they were written. Default 20, at most 1,000. */
export async function calls(deps: OperationDeps, query: CallQuery = {}): Promise<readonly NumberedCall[]> {
  await deps.journal.calls.flush()
  const rows = await deps.runtime.store.read({
    read: 'calls',
    limit: Math.min(1_000, query.limit ?? 20),
    ...(query.connection === undefined ? {} : { connection: query.connection }),
    ...(query.outcome === undefined ? {} : { outcome: query.outcome }),
    ...(query.before === undefined ? {} : { before: query.before }),
  })
  return rows.map(numbered)
}
