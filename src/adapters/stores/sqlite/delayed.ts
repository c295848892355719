import type { Entry } from '../port.ts'
import type { Row } from './statements.ts'
import { bodyOf, fits, rowSum, textOf, type Column } from './sum.ts'

/** The checksum of a delayed message: all that it is, and when it is due. */
export function delayedSum(due: number, { slot, id, key, time, meta, body, dedupe }: Entry): number {
  return rowSum('fl_delayed', [due, slot, id, key, time, meta, body, dedupe])
}

const columns = ['due', 'slot', 'id', 'key', 'time', 'meta', 'body', 'dedupe']

/** The checksum that the row should have. */
export function delayedRowSum(r: Row): number {
  return rowSum(
    'fl_delayed',
    columns.map((c) => r[c] as Column),
  )
}

/** The message in a row, and whether it is as it was written. */
export function entryOf(r: Row): { readonly entry: Entry; readonly damaged: boolean } {
  return {
    entry: {
      slot: Number(r['slot']),
      id: String(r['id']),
      key: textOf(r['key'] as Column),
      time: Number(r['time']),
      meta: textOf(r['meta'] as Column),
      body: bodyOf(r['body'] as Column),
      dedupe: Number(r['dedupe']),
    },
    damaged: !fits(r['sum'] as Column, delayedRowSum(r)),
  }
}
