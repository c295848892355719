import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cut, displayWidth } from './width.ts'

test('counts columns, not code units', () => {
  const widths: readonly (readonly [string, number])[] = [
    ['', 0],
    ['abc', 3],
    ['é', 1],
    ['e\u0301', 1],
    ['注文', 4],
    ['한글', 4],
    ['ＡＢ', 4],
    ['😀', 2],
    ['👩‍👩‍👧', 2],
    ['❤️', 2],
    ['→…', 2],
  ]
  for (const [text, width] of widths) assert.equal(displayWidth(text), width, text)
})

test('what is cut fits, ends with …, and begins as the text does', () => {
  assert.equal(cut('abcdef', 4), 'abc…')
  assert.equal(cut('注文番号', 4), '注…')
  assert.equal(cut('abc', 0), '')
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.nat({ max: 20 }), (text, width) => {
      const shown = cut(text, width)
      assert.ok(displayWidth(shown) <= width)
      if (displayWidth(text) <= width) assert.equal(shown, text)
      else if (width > 0) assert.ok(shown.endsWith('…') && text.startsWith(shown.slice(0, -1)))
    }),
  )
})
