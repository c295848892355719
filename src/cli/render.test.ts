import assert from 'node:assert/strict'
import { test } from 'node:test'
import { counted, fields, prettyJson, preview, shownBytes, shownTime } from './render.ts'
import { displayWidth } from './width.ts'

test('bytes and times are written for people', () => {
  assert.deepEqual([0, 1023, 1024, 1_572_864, 5e12].map(shownBytes), ['0 B', '1023 B', '1.0 KiB', '1.5 MiB', '4.5 TiB'])
  assert.equal(shownTime('2026-01-02T03:04:05.678Z'), '2026-01-02 03:04:05Z')
  assert.equal(shownTime(0), '1970-01-01 00:00:00Z')
  assert.deepEqual(
    [0, 1, 2].map((n) => counted(n, 'message')),
    ['0 messages', '1 message', '2 messages'],
  )
})

test('a preview is one escaped line of at most 200 columns', () => {
  assert.equal(preview({ a: 'x\u001b' }), '{"a":"x\\u001b"}')
  assert.equal(preview('bytes\u0000'), 'bytes\\x00')
  assert.equal(preview(undefined), '')
  assert.equal(displayWidth(preview('注'.repeat(500))), 199)
})

test('fields are aligned, blocks are indented, absent ones are left out', () => {
  const lines = fields([
    ['id', 'a\nb'],
    ['absent', undefined],
    ['subject', 's'],
    ['data', prettyJson({ n: 1 })],
  ])
  assert.deepEqual(lines, ['id       a\\nb', 'subject  s', 'data', '  {', '    "n": 1', '  }'])
})
