import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import fc from 'fast-check'
import { escapeControls, escapeLines } from './escape.ts'
import { jsonLine } from './render.ts'

const anything = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom('\u001b', '\r', '\n', '\u009b', '[', '2', 'J', 'é', '\u202e', '\ud83d', '😀', ' '),
  }),
)

test('what is shown holds nothing that drives a terminal', () => {
  assert.equal(escapeControls('a\u001b[2J\rb\n\tc\u009b1m\u202e'), 'a\\x1b[2J\\rb\\n\\tc\\x9b1m\\u202e')
  fc.assert(
    fc.property(anything, (text) => {
      const shown = escapeControls(text)
      assert.doesNotMatch(shown, /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u)
      assert.equal(stripVTControlCharacters(shown), shown)
      assert.ok(shown.isWellFormed())
    }),
  )
})

test('printable text of any script is unchanged, and escaping twice is escaping once', () => {
  for (const text of ['plain', 'Größe', '注文 №1', 'ქართული', '👩‍👩‍👧 family', 'a\\nb'])
    assert.equal(escapeControls(text), text)
  fc.assert(fc.property(anything, (text) => assert.equal(escapeControls(escapeControls(text)), escapeControls(text))))
})

test('text of several lines keeps its lines and nothing else', () => {
  assert.equal(escapeLines('one\u001b[1A\ntwo\r\nthree'), 'one\\x1b[1A\ntwo\\r\nthree')
})

test('JSON for programs is one line without raw controls, and means the same', () => {
  fc.assert(
    fc.property(anything, (text) => {
      const line = jsonLine({ text })
      assert.doesNotMatch(line, /[\p{Cc}\u202a-\u202e]/u)
      assert.deepEqual(JSON.parse(line), { text })
    }),
  )
})
