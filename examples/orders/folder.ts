import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export type Folder = { readonly path: string; readonly store: string; readonly ledger: string; readonly log: string }

/**
 * `.fairlead/orders` below the working directory, emptied: the store, the ledgers and the log stay there after the run, to be
 * looked at. Throws when another run is using it.
 */
export function emptyFolder(cwd: string, pid: number): Folder {
  const path = join(cwd, '.fairlead', 'orders')
  const lock = join(path, 'run.pid')
  const other = Number(tryRead(lock))
  if (other > 0 && other !== pid && isRunning(other)) {
    throw new Error(`${path} is in use by process ${other}: stop it first, or start from another directory`)
  }
  rmSync(path, { recursive: true, force: true })
  mkdirSync(path, { recursive: true })
  writeFileSync(lock, `${pid}\n`)
  return { path, store: join(path, 'fairlead.db'), ledger: join(path, 'ledgers.ndjson'), log: join(path, 'engine.log') }
}

/** Lets the next run have the folder; what is in it stays. */
export function release(folder: Folder): void {
  rmSync(join(folder.path, 'run.pid'), { force: true })
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
