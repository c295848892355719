import type { CallRow } from '#adapters/stores/port.ts'
import { fault } from '#kernel/fault.ts'
import type { CallRecord } from '#patterns/connections/records/record.ts'
import type { OperationDeps } from './deps.ts'

export type NumberedCall = { readonly call: number } & CallRecord

/** The record of one call. `journal.missing` when there is none of this number. */
export async function callRecord(deps: OperationDeps, call: number): Promise<NumberedCall> {
  await deps.journal.calls.flush()
  const [row] =
    Number.isSafeInteger(call) && call > 0
      ? await deps.runtime.store.read({ read: 'calls', before: call + 1, limit: 1 })
      : []
  if (row?.id !== call) {
    throw fault('journal.missing', {
      message: `there is no call record ${call}: retention removed it, or it never existed`,
      detail: { call },
    })
  }
  return numbered(row)
}

export function numbered(row: CallRow): NumberedCall {
  return { call: row.id, ...(JSON.parse(row.record) as CallRecord) }
}
