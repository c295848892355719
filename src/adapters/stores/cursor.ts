import type { CursorRow } from './port.ts'

type Cursor = Pick<CursorRow, 'low' | 'done'>

/**
 * Two states of one cursor united: what either knows to be done is done. Associative, commutative and idempotent, so
 * saves may arrive in any order and more than once. Pure; every store applies `advance` with it.
 */
export function mergeCursors(a: Cursor, b: Cursor): Cursor {
  const low = Math.max(a.low, b.low)
  const end = Math.max(endOf(a), endOf(b))
  if (end <= low) return { low, done: null }
  let from = low
  while (from < end && (isDone(a, from) || isDone(b, from))) from++
  if (from === end) return { low: from, done: null }
  const done = new Uint8Array(Math.ceil((end - from) / 8))
  for (let o = from; o < end; o++) if (isDone(a, o) || isDone(b, o)) done[(o - from) >> 3]! |= 1 << ((o - from) & 7)
  return { low: from, done }
}

function isDone(c: Cursor, offset: number): boolean {
  const bit = offset - c.low
  return bit < 0 || (c.done !== null && bit < c.done.length * 8 && (c.done[bit >> 3]! & (1 << (bit & 7))) !== 0)
}

/** One past the highest offset known to be done. */
function endOf(c: Cursor): number {
  for (let bit = (c.done?.length ?? 0) * 8 - 1; bit >= 0; bit--)
    if ((c.done![bit >> 3]! & (1 << (bit & 7))) !== 0) return c.low + bit + 1
  return c.low
}
