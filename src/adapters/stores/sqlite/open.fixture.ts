import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '#kernel/clock.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Subject } from '../conformance/trial.ts'
import type { Store } from '../port.ts'
import { sqlite } from './index.ts'

/** Opens a store that runs on this clock: of the runtime it needs nothing else. */
export function openStore(path: string, clock: Clock): Promise<Store> {
  return sqlite(path).open({ clock } as Omit<Runtime, 'store'>)
}

/** A folder for one test, and how to remove it. */
export function scratch(): { readonly path: string; readonly file: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'store-'))
  return { path, file: join(path, 'x.db'), remove: () => rmSync(path, { recursive: true, force: true }) }
}

export async function inMemory(clock: Clock): Promise<Subject> {
  const store = await openStore(':memory:', clock)
  return { store, close: () => store[Symbol.asyncDispose]() }
}

/** A store in a file: it can be opened again, and by a second connection, which is all that SQLite sees of another process. */
export async function inFile(clock: Clock): Promise<Subject> {
  const folder = scratch()
  const open: Store[] = []
  const opened = async (): Promise<Store> => {
    open.push(await openStore(folder.file, clock))
    return open.at(-1)!
  }
  return {
    store: await opened(),
    second: opened,
    async reopen() {
      await open[0]![Symbol.asyncDispose]()
      return opened()
    },
    async close() {
      for (const store of open) await store[Symbol.asyncDispose]()
      folder.remove()
    },
  }
}
