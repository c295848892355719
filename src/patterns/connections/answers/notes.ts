import type { Log } from '#kernel/log.ts'
import type { Ready } from '../operation.ts'
import type { Coercion } from './coerce.ts'

/** Places that one connection tells of; further ones are counted only. */
const most = 100

/** Counts answers with coerced values, and tells of each place once while the process runs: names and types, never the value. */
export function coercionNotes(log: Log, count: () => void): (ready: Ready, coercions: readonly Coercion[]) => void {
  const told = new Set<string>()
  return ({ connection, name: operation }, coercions) => {
    count()
    for (const { path, from, to } of coercions) {
      const place = `${operation} ${path} ${to}`
      if (told.has(place) || told.size >= most) continue
      told.add(place)
      log.write('warn', 'connection.coerced', { connection, operation, path, from, to })
    }
  }
}
