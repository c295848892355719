import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { fault } from '#kernel/fault.ts'
import { migrations, schemaLevel } from '../migrations/index.ts'
import { storeFault } from './errors.ts'
import { seal } from './seal.ts'
import { assertNotCut, assertWhole } from './whole.ts'

/** "FLD1": lets us refuse to touch a database of another program. */
const applicationId = 0x464c4431

/** SQLITE_READONLY_ROLLBACK: cannot be read before a journal is rolled back. */
const rollbackNeeded = 776

/**
 * Opens the file, checks that it is ours, whole and not newer, and migrates it. Nothing is written before every check has
 * passed. SQLite below 3.51.3 is refused with WAL: two connections can corrupt the file there (WAL-reset bug).
 */
export function openFile(path: string): DatabaseSync {
  const settled = lookFirst(path)
  let db: DatabaseSync
  try {
    db = new DatabaseSync(path, { timeout: 20 })
  } catch (e) {
    throw storeFault(e, path, 'store.open')
  }
  try {
    check(db, path)
    const memory = path === ':memory:'
    if (settled && !memory) assertNotCut(db, path)
    // NORMAL never syncs at commit: durability comes from our own fdatasync of the WAL before anyone is answered (sync.ts).
    db.exec(`pragma journal_mode = wal; pragma synchronous = normal; pragma wal_autocheckpoint = 0;
      pragma cache_size = -16384; pragma temp_store = memory; pragma cell_size_check = on; pragma foreign_keys = on;
      pragma trusted_schema = off`)
    migrate(db, path)
    if (!memory) assertWhole(db, path)
    return db
  } catch (e) {
    db.close()
    throw storeFault(e, path, 'store.open')
  }
}

/**
 * Where a program has died, opening for writing finishes its work: its log is written back into the file. A file that is
 * not ours, or newer than us, must not be changed even by that, so it is looked at read-only before. True: nothing is
 * left to be finished.
 */
function lookFirst(path: string): boolean {
  if (!existsSync(`${path}-wal`)) return true
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(path, { timeout: 20, readOnly: true })
    check(db, path)
    return false
  } catch (e) {
    // Died on the way from a rollback journal to a log, as only a file that is being created does: nothing is lost by going on.
    if ((e as { errcode?: unknown }).errcode === rollbackNeeded) return false
    throw storeFault(e, path, 'store.open')
  } finally {
    db?.close()
  }
}

function check(db: DatabaseSync, path: string): void {
  const version = String(db.prepare('select sqlite_version() v').get()?.['v'])
  if (older(version, '3.51.3')) {
    throw fault('store.open', {
      message: `SQLite ${version} is too old: 3.51.3 is the first without the WAL-reset bug`,
      detail: { path },
    })
  }
  const level = numberOf(db, 'pragma user_version')
  const id = numberOf(db, 'pragma application_id')
  const tables = numberOf(db, 'select count(*) from sqlite_schema')
  if (id !== applicationId && (tables > 0 || id !== 0)) throw fault('store.foreign', { detail: { path } })
  if (level > schemaLevel) {
    throw fault('store.newer', {
      message: `the store has schema level ${level}, this version knows ${schemaLevel}`,
      detail: { path, level, known: schemaLevel },
    })
  }
}

function migrate(db: DatabaseSync, path: string): void {
  db.exec('begin immediate')
  try {
    check(db, path) // again under the lock: another process may have been first
    const level = numberOf(db, 'pragma user_version')
    for (const m of migrations) if (m.level > level) db.exec(m.sqlite)
    if (level > 0 && level < 2) seal(db)
    if (level < schemaLevel) db.exec(`pragma application_id = ${applicationId}; pragma user_version = ${schemaLevel}`)
    db.exec('commit')
  } catch (e) {
    if (db.isTransaction) db.exec('rollback') // SQLite has done it where the disk is full
    throw e
  }
}

function numberOf(db: DatabaseSync, query: string): number {
  return Number(Object.values(db.prepare(query).get() ?? { v: 0 })[0])
}

function older(version: string, than: string): boolean {
  const [a, b] = [version, than].map((v) => v.split('.').map(Number))
  for (let i = 0; i < 3; i++) if (a![i] !== b![i]) return (a![i] ?? 0) < (b![i] ?? 0)
  return false
}
