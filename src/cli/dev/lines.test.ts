import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { test } from 'node:test'
import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { eachLine } from './lines.ts'

test('finds the same lines however the bytes were cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: 'grapheme' }).map((s) => s.replaceAll('\n', ''))),
      fc.integer({ min: 1, max: 7 }),
      async (lines, size) => {
        const bytes = Buffer.from(lines.map((l) => `${l}\n`).join(''))
        const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
          bytes.subarray(i * size, (i + 1) * size),
        )
        const stream = Readable.from(chunks, { objectMode: false })
        const found: string[] = []
        eachLine(stream, (line) => found.push(line))
        await finished(stream)
        assert.deepEqual(found, lines)
      },
    ),
    { numRuns: 50 },
  )
})

test('tells the last line although it has no line feed', async () => {
  const stream = Readable.from([Buffer.from('a\nb')], { objectMode: false })
  const found: string[] = []
  eachLine(stream, (line) => found.push(line))
  await finished(stream)
  assert.deepEqual(found, ['a', 'b'])
})
