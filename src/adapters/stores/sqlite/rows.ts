import { fault, type Fault } from '#kernel/fault.ts'
import type { Row } from './statements.ts'
import { fits, rowSum, type Column } from './sum.ts'

/** The columns that the checksum of a row is made of, by table: all those in which no message stands. */
const columns = {
  fl_topics: ['name', 'slot', 'partitions'],
  fl_subscriptions: ['id', 'name', 'topic'],
  fl_cursors: ['subscription', 'partition', 'low', 'done'],
  fl_slots: ['slot', 'head', 'removed', 'unchecked'],
  fl_keys: ['name', 'value', 'version', 'expires'],
  fl_seen_upto: ['slot', 'next'],
  // Not their number, which is given as they are written: which of two comes first is not covered.
  fl_calls: ['time', 'connection', 'operation', 'outcome', 'record'],
  fl_audit: ['time', 'verb', 'subject', 'detail'],
} as const satisfies Record<string, readonly string[]>

export type Table = keyof typeof columns

/** Nothing can be put in the place of a damaged row of these, so whoever needs it stops; and they are looked through at open. */
export const needed: readonly Table[] = [
  'fl_topics',
  'fl_subscriptions',
  'fl_cursors',
  'fl_slots',
  'fl_keys',
  'fl_seen_upto',
]

export const tables = Object.keys(columns) as readonly Table[]

/** The checksum that the row should have. */
export function sumOf(table: Table, row: Row): number {
  return rowSum(
    table,
    columns[table].map((c) => row[c] as Column),
  )
}

/** Whether the row, with all its columns, is as it was written. */
export function isSound(table: Table, row: Row): boolean {
  return fits(row['sum'] as Column, sumOf(table, row))
}

/** Rows that only people read: those that are damaged are marked. */
export function marked(table: 'fl_calls' | 'fl_audit', rows: readonly Row[]): Row[] {
  return rows.map((row) => {
    const { sum: _, ...rest } = row
    return isSound(table, row) ? rest : { ...rest, damage: { missing: 0 } }
  })
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
    message: `a row of ${table} is not as it was written (${where}): restore a backup; or correct it by hand, and set its sum to 0`,
    detail: { table, where },
  })
}
