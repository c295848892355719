import type { CallRow } from '#adapters/stores/port.ts'
import { fault } from '#kernel/fault.ts'
import type { CallRecord } from '#patterns/connections/records/record.ts'
import type { OperationDeps } from './deps.ts'

export type NumberedCall = { readonly call: number } & CallRecord

/** The record of one call. `journal.missing` when there is none of this number, `message.damaged` when it is not as it was written. */
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
  if (row.damage !== undefined)
    throw fault('message.damaged', {
      message: `call record ${call} is not as it was written: bits of the store have changed`,
      detail: { call },
    })
  return numbered(row)
}

/** Of a damaged one, whose text need not even be masked any more, only when and what was called. */
export function numbered(row: CallRow): NumberedCall {
  if (row.damage !== undefined) {
    const { id, time, connection, operation } = row
    const at = new Date(Number.isSafeInteger(time) && Math.abs(time) <= 8.64e15 ? time : 0).toISOString()
    const nothing = { id: '', method: '', path: '', attempts: [], ms: 0, request: { headers: {} } }
    return { call: id, ...nothing, time: at, connection, operation, outcome: 'message.damaged' }
  }
  return { call: row.id, ...(JSON.parse(row.record) as CallRecord) }
}
