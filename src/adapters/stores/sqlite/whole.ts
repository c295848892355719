import { statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { fault } from '#kernel/fault.ts'
import { migrations } from '../migrations/index.ts'
import { assertSound, needed } from './rows.ts'

/** A copy that broke off: SQLite finds whole pages missing, but reads zeros for the missing part of the last one. */
export function assertNotCut(db: DatabaseSync, path: string): void {
  const size = statSync(path).size
  const page = Number(db.prepare('pragma page_size').get()?.['page_size'])
  if (size % page !== 0) throw fault('store.corrupt', { detail: { path, size } })
}

/** A table with more rows than this is not looked through when the store is opened: 20,000 take about 50 ms. */
const most = 20_000

/** Others that are read by an index, which has no checksum of its own: what an index has lost nobody would ever look for. */
const indexed = ['fl_parked', 'fl_delayed', 'fl_leases', 'fl_workers'] as const

/**
 * SQLite has no checksum of its pages (decision 0014). Messages are checked when they are read; what says where they are is looked
 * through here: the schema, the small tables, and the indexes of those that are not too large. Throws `store.corrupt` or `store.altered`.
 */
export function assertWhole(db: DatabaseSync, path: string): void {
  assertSchema(db, path)
  for (const table of [...needed, ...indexed]) {
    const rows = db.prepare(`select count(*) n from (select 1 from ${table} limit ${most + 1})`).get()
    if (Number(rows?.['n']) > most) continue
    const said = Object.values(db.prepare(`pragma integrity_check(${table})`).get() ?? {})[0]
    if (said !== 'ok')
      throw fault('store.corrupt', {
        message: `the table ${table} is damaged: ${String(said)}`,
        detail: { path, table },
      })
    const sums = needed.find((t) => t === table)
    if (sums) assertSound(sums, db.prepare(`select * from ${table}`).all())
  }
}

type Made = { readonly name: string; readonly sql: string }

const ours = `select name, sql, rootpage from sqlite_schema where name like 'fl\\_%' escape '\\' order by name`
let made: readonly Made[] | undefined

/** Every table and index of ours as the migrations made it, each with a place of its own. What users have beside them is theirs. */
function assertSchema(db: DatabaseSync, path: string): void {
  made ??= freshSchema()
  const rows = db.prepare(ours).all()
  const found = new Map(rows.map((r) => [String(r['name']), r['sql']]))
  const other = made.filter(({ name, sql }) => found.get(name) !== sql).map(({ name }) => name)
  if (other.length > 0)
    throw fault('store.altered', {
      message: `not as its migrations made them: ${other.slice(0, 5).join(', ')}`,
      detail: { path, differences: other.slice(0, 50) },
    })
  if (new Set(rows.map((r) => r['rootpage'])).size !== rows.length)
    throw fault('store.corrupt', { message: 'two tables of the store stand in one place', detail: { path } })
}

function freshSchema(): readonly Made[] {
  const db = new DatabaseSync(':memory:')
  try {
    for (const m of migrations) db.exec(m.sqlite)
    return db
      .prepare(ours)
      .all()
      .map((r) => ({ name: String(r['name']), sql: String(r['sql']) }))
  } finally {
    db.close()
  }
}
