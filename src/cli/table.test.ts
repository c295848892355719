import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters, styleText } from 'node:util'
import fc from 'fast-check'
import { fit, table, type Column } from './table.ts'
import { unpainted, type Paint } from './terminal.ts'
import { displayWidth } from './width.ts'

const coloured: Paint = (style, text) => styleText(style, text, { validateStream: false })

test('aligns columns by what they take on the terminal', () => {
  const lines = table(
    [{ title: 'name' }, { title: 'count', align: 'right' }, { title: 'note' }],
    [
      ['orders', 7, 'x'],
      ['注文', 1200, ''],
    ],
    { paint: unpainted },
  )
  assert.deepEqual(lines, ['NAME    COUNT  NOTE', 'orders      7  x', '注文     1200'])
})

test('a stored value cannot leave its cell', () => {
  const [, row] = table([{ title: 'key' }, { title: 'x' }], [['a\u001b[2J\nb', 1]], { paint: unpainted })
  assert.equal(row, 'a\\x1b[2J\\nb  1')
})

test('narrows the columns that allow it, the widest first, and cuts with …', () => {
  const columns: readonly Column[] = [{ title: 'id' }, { title: 'key', least: 4 }, { title: 'data', least: 6 }]
  const row = ['12345', 'k'.repeat(10), 'd'.repeat(30)]
  const [, line] = table(columns, [row], { width: 30, paint: unpainted })
  assert.equal(line, '12345  kkkkkkkkkk  dddddddddd…')
  const [, narrow] = table(columns, [row], { width: 20, paint: unpainted })
  assert.equal(narrow, '12345  kkkk…  ddddd…')
})

test('no line is wider than the terminal, coloured or not, down to one column', () => {
  const cell = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 30 }), fc.integer())
  const column = fc.record({
    title: fc.constantFrom('a', 'title', ''),
    least: fc.option(fc.nat({ max: 9 }), { nil: undefined }),
  })
  const input = fc
    .array(column, { minLength: 1, maxLength: 6 })
    .chain((columns) =>
      fc.tuple(
        fc.constant(columns),
        fc.array(fc.array(cell, { minLength: columns.length, maxLength: columns.length })),
      ),
    )
  fc.assert(
    fc.property(input, fc.integer({ min: 1, max: 120 }), ([columns, rows], width) => {
      const given = columns.map(({ title, least }): Column => ({ title, ...(least === undefined ? {} : { least }) }))
      for (const line of table(given, rows, { width, paint: coloured })) {
        assert.ok(displayWidth(stripVTControlCharacters(line)) <= width, JSON.stringify(line))
      }
    }),
  )
})

test('a table that fits is left as it is', () => {
  assert.deepEqual(
    fit(
      [
        { title: 'a', least: 1 },
        { title: 'b', least: 1 },
      ],
      [5, 7],
      14,
    ),
    [5, 7],
  )
  assert.deepEqual(
    fit(
      [
        { title: 'a', least: 1 },
        { title: 'b', least: 1 },
      ],
      [5, 7],
      13,
    ),
    [5, 6],
  )
})
