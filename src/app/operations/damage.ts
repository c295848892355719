import type { Parked, Store, Stored } from '#adapters/stores/port.ts'
import { fault, faultRecord } from '#kernel/fault.ts'
import { leftOf } from '#journal/damage.ts'

/** A parked message as operations see it: of a damaged row what is left, with that as its only reason. */
export function readable<P extends Parked>(row: P): P {
  if (row.damage === undefined) return row
  const record = { at: row.due, ...faultRecord(fault('message.damaged')) }
  return { ...row, ...leftOf(row, row.due), faults: JSON.stringify([record]) }
}

/** The first message in [from, below) that is as it was written. Where one has been, only those before and after it can say. */
export async function firstSound(store: Store, slot: number, from: number, below: number): Promise<Stored | undefined> {
  for (let at = from; at < below;) {
    const [m] = await store.read({ read: 'log', slot, from: at, below, limit: 1, bytes: 1 })
    if (m === undefined || m.damage === undefined) return m
    at = behind(m)
  }
  return undefined
}

/** The offset behind it, and behind those that are missing with it. */
export function behind(m: Stored): number {
  return m.offset + Math.max(1, m.damage?.missing ?? 1)
}
