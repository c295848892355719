import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { mergeCursors } from './cursor.ts'
import type { CursorRow } from './port.ts'

type Cursor = Pick<CursorRow, 'low' | 'done'>

const cursors = fc.record({
  low: fc.nat(40),
  done: fc.option(fc.uint8Array({ maxLength: 6 }), { nil: null }),
})

/** The offsets below 200 that a cursor says are done. */
function doneOf(c: Cursor): number[] {
  return Array.from({ length: 200 }, (_, o) => o).filter(
    (o) =>
      o < c.low ||
      (c.done !== null &&
        o - c.low < c.done.length * 8 &&
        (c.done[(o - c.low) >> 3]! & (1 << ((o - c.low) & 7))) !== 0),
  )
}

test('a merged cursor knows exactly what either knew', () => {
  fc.assert(
    fc.property(cursors, cursors, (a, b) => {
      assert.deepEqual(
        doneOf(mergeCursors(a, b)),
        [...new Set([...doneOf(a), ...doneOf(b)])].sort((x, y) => x - y),
      )
    }),
  )
})

test('merging cursors is commutative, associative and idempotent', () => {
  fc.assert(
    fc.property(cursors, cursors, cursors, (a, b, c) => {
      const ab = mergeCursors(a, b)
      assert.deepEqual(ab, mergeCursors(b, a))
      assert.deepEqual(mergeCursors(ab, c), mergeCursors(a, mergeCursors(b, c)))
      assert.deepEqual(mergeCursors(ab, b), ab)
    }),
  )
})

test('a merged cursor has its mark as high as it can be', () => {
  fc.assert(
    fc.property(cursors, cursors, (a, b) => {
      const { low, done } = mergeCursors(a, b)
      assert.ok(done === null || (done[0]! & 1) === 0, `${low} is done`)
    }),
  )
})
