import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StoreAdapter } from 'fairlead'
import { postgres } from 'fairlead/postgres'
import { sqlite } from 'fairlead/sqlite'

/** Where a store is: a name that fits into a command line, so that every process of a run opens the same one. */
export type Place = {
  readonly kind: 'sqlite' | 'postgres'
  readonly address: string
  readonly folder: string
  readonly remove: () => void
}

/** A fresh SQLite file in a folder of its own. */
export function sqlitePlace(): Place {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'fairlead-chaos-')))
  return {
    kind: 'sqlite',
    address: join(folder, 'x.db'),
    folder,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

export function storeAt({ kind, address }: Pick<Place, 'kind' | 'address'>): StoreAdapter {
  if (kind === 'sqlite') return sqlite(address)
  const url = new URL(address)
  const schema = url.hash.slice(1)
  url.hash = ''
  return postgres(url.href, { schema })
}
