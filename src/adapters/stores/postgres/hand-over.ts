import type { Sql } from '#kernel/sql.ts'
import type { Entry } from '../port.ts'
import { escapeText } from './encode.ts'
import { hashOf } from './units.ts'

/**
 * A message for the log in a transaction of somebody else's: as a delayed one that is due at once. So no lock of ours is
 * held while their code runs, and the log is appended to by us, soon after they have committed.
 */
export function handingOver(schema: string, entry: Entry): Sql {
  const { slot, id, key, time, meta, body, dedupe } = entry
  const [text, bytes] = typeof body === 'string' ? [escapeText(body), null] : [null, body]
  const values = [
    slot,
    escapeText(id),
    key && escapeText(key),
    time,
    meta && escapeText(meta),
    text,
    bytes,
    dedupe,
    hashOf(entry),
  ]
  return {
    text: [
      `insert into "${schema}".fl_delayed (slot, id, key, time, meta, body, bytes, dedupe, hash, due) values (`,
      ...Array<string>(values.length - 1).fill(', '),
      ', 0)',
    ],
    values,
  }
}
