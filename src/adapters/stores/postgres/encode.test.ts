import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bitmapOf, bitsOf, escapeText, unescapeText } from './encode.ts'

test('a text with any characters comes back from its escaped form, which has no U+0000', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('\u0000', '\u0001', '0', '1', 'a', '\u{1F600}')), (characters) => {
      const text = characters.join('')
      assert.equal(escapeText(text).includes('\u0000'), false)
      assert.equal(unescapeText(escapeText(text)), text)
    }),
  )
})

test('a bitmap comes back from its bits without the zeros at its end', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5 }), (bytes) => {
      const last = bytes.findLastIndex((b) => b !== 0)
      assert.deepEqual(bitmapOf(bitsOf(bytes)), last < 0 ? null : bytes.slice(0, last + 1))
    }),
  )
  assert.equal(bitmapOf(bitsOf(null)), null)
})
