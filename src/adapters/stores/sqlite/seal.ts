import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import { delayedRowSum } from './delayed.ts'
import { parkedRowSum } from './parked.ts'
import { sumOf, tables, type Table } from './rows.ts'
import { bloomSum, runSum } from './seen.ts'
import type { Row } from './statements.ts'

/** What finds a row of each table again. */
const keys: Readonly<Record<Table, readonly string[]>> = {
  fl_topics: ['name'],
  fl_subscriptions: ['id'],
  fl_cursors: ['subscription', 'partition'],
  fl_slots: ['slot'],
  fl_keys: ['name'],
  fl_seen_upto: ['slot'],
  fl_calls: ['id'],
  fl_audit: ['id'],
}

/**
 * Gives every row of a store that had no checksums its own, but for the log: that would keep a large store closed for a minute. About
 * 4 µs a row. Inside the transaction of the migration.
 */
export function seal(db: DatabaseSync): void {
  for (const table of tables) sealTable(db, table, keys[table], (row) => sumOf(table, row))
  sealTable(db, 'fl_parked', ['row'], parkedRowSum)
  sealTable(db, 'fl_delayed', ['row'], delayedRowSum)
  const update = db.prepare('update fl_seen set bloom_sum = ?, sum = ? where run = ?')
  const run = db.prepare('select * from fl_seen where run = ?')
  for (const { run: number } of db.prepare('select run from fl_seen').all()) {
    const r = run.get(number!) as Parameters<typeof bloomSum>[0] & { hashes: Uint8Array; positions: Uint8Array }
    update.run(bloomSum(r), runSum(r.run, r.hashes, r.positions), r.run)
  }
}

function sealTable(db: DatabaseSync, table: string, key: readonly string[], sum: (row: Row) => number): void {
  const where = key.map((k) => `${k} = ?`).join(' and ')
  const update = db.prepare(`update ${table} set sum = ? where ${where}`)
  const one = db.prepare(`select * from ${table} where ${where}`)
  // The keys of all, and one row after the other: each may carry a body of 1 MiB.
  for (const row of db.prepare(`select ${key.join(', ')} from ${table}`).all()) {
    const at = key.map((k) => row[k] as SQLInputValue)
    update.run(sum(one.get(...at)!), ...at)
  }
}
