import { fault, type Fault } from '#kernel/fault.ts'
import type { Row } from './statements.ts'
import { fits, rowSum, type Column } from './sum.ts'

/**
 * The columns that the checksum of a row is made of, by table. These are rows that no message stands in: nothing can be put in
 * the place of a damaged one, so whoever needs it stops.
 */
const columns = {
  fl_topics: ['name', 'slot', 'partitions'],
  fl_subscriptions: ['id', 'name', 'topic'],
  fl_cursors: ['subscription', 'partition', 'low', 'done'],
  fl_slots: ['slot', 'head', 'removed'],
  fl_keys: ['name', 'value', 'version', 'expires'],
  fl_seen_upto: ['slot', 'next'],
} as const satisfies Record<string, readonly string[]>

export type Table = keyof typeof columns

export const tables = Object.keys(columns) as readonly Table[]

/** Whether the row, with all its columns, is as it was written. */
export function isSound(table: Table, row: Row): boolean {
  const sum = rowSum(
    table,
    columns[table].map((c) => row[c] as Column),
  )
  return fits(row['sum'] as Column, sum)
}

/** The rows without their checksums. Throws `store.corrupt` with the place of the first that is damaged. */
export function assertSound(table: Table, rows: readonly Row[]): Row[] {
  return rows.map((row) => {
    if (!isSound(table, row)) throw damagedRow(table, row)
    const { sum: _, ...rest } = row
    return rest
  })
}

function damagedRow(table: Table, row: Row): Fault {
  const [first, second] = columns[table]
  const place = table === 'fl_cursors' ? [first, second] : [first]
  const where = place.map((c) => `${c} = ${JSON.stringify(row[c])}`).join(' and ')
  return fault('store.corrupt', {
    message: `a row of ${table} is not as it was written (${where}): restore a backup; or correct it by hand, and set its sum to null`,
    detail: { table, where },
  })
}
