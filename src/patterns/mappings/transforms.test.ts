import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parseFormat } from './format.ts'
import { copy, toBoolean, toDate, toDatetime, toNumber, toPhone, toRow, toText, type Transform } from './transforms.ts'
import { zoneToUtc } from './zone.ts'

function gives(transform: Transform, table: readonly (readonly [value: unknown, expected: unknown])[]): void {
  for (const [value, expected] of table) {
    assert.strictEqual(transform.convert(value), expected, `${transform.name} ${typeof value} ${String(value)}`)
    if (expected === undefined) assert.ok(transform.explain(value).length > 5)
  }
}

test('text comes from text, numbers and booleans', () => {
  gives(toText(false), [
    [' a ', ' a '],
    ['', ''],
    [12.5, '12.5'],
    [true, 'true'],
    [12n, '12'],
    [Number.NaN, undefined],
    [{}, undefined],
    [[], undefined],
  ])
  gives(toText(true), [
    [' a ', 'a'],
    ['\t', ''],
  ])
})

test('numbers come from decimal text, and lose no digit in silence', () => {
  gives(toNumber(false), [
    ['42', 42],
    ['-1.5', -1.5],
    ['007', 7],
    [' 12 ', 12],
    ['+3', 3],
    ['1e3', 1000],
    ['.5', 0.5],
    ['5.', 5],
    ['-0', 0],
    [3.25, 3.25],
    [10n, 10],
    ['', undefined],
    ['-', undefined],
    ['.', undefined],
    ['1,5', undefined],
    ['0x10', undefined],
    ['1_000', undefined],
    ['12a', undefined],
    ['١٢', undefined],
    ['NaN', undefined],
    ['Infinity', undefined],
    ['1e999', undefined],
    [Number.NaN, undefined],
    [Number.POSITIVE_INFINITY, undefined],
    [9_007_199_254_740_991, 9_007_199_254_740_991],
    ['9007199254740991', 9_007_199_254_740_991],
    ['9007199254740993', undefined],
    [2 ** 53, undefined],
    [2n ** 53n, undefined],
    ['-9007199254740992', undefined],
    ['1e20', undefined],
    [true, undefined],
    [null, undefined],
    [[1], undefined],
    ['1'.repeat(401), undefined],
  ])
  gives(toNumber(true), [
    ['5', 5],
    ['5.0', 5],
    ['5.5', undefined],
    [5.5, undefined],
  ])
  assert.match(toNumber(false).explain('9007199254740993'), /map it as string/)
  assert.match(toNumber(false).explain(Number.NaN), /NaN/)
})

test('any decimal text gives exactly what Number gives', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^-?\d{1,9}(\.\d{1,10})?$/), (text) => {
      assert.strictEqual(toNumber(false).convert(text), Number(text) === 0 ? 0 : Number(text))
    }),
    { numRuns: 2000 },
  )
})

test('booleans come from the declared set only', () => {
  gives(toBoolean, [
    [true, true],
    [false, false],
    ['true', true],
    ['FALSE', false],
    [' Yes ', true],
    ['no', false],
    ['1', true],
    ['0', false],
    [1, true],
    [0, false],
    ['y', undefined],
    ['on', undefined],
    ['', undefined],
    [2, undefined],
    ['2', undefined],
    [{}, undefined],
  ])
})

test('a date needs text: a Date object is an instant', () => {
  const format = parseFormat('%Y-%m-%d')
  assert.ok(!('reason' in format))
  gives(toDate(format, '%Y-%m-%d'), [
    ['2026-07-01', '2026-07-01'],
    ['2026-7-1', '2026-07-01'],
    ['2026-02-30', undefined],
    [new Date(0), undefined],
    [0, undefined],
    ['', undefined],
  ])
})

test('a datetime comes from text, Date objects and Unix times', () => {
  gives(toDatetime(undefined, zoneToUtc('+03:00')), [
    ['2026-07-01T12:00:00', '2026-07-01T09:00:00.000Z'],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [1_782_864_000, '2026-07-01T00:00:00.000Z'],
    [new Date(Number.NaN), undefined],
    [Number.NaN, undefined],
    [true, undefined],
    ['zone', undefined],
    ['', undefined],
  ])
  const format = parseFormat('%d/%m/%Y %H:%M')
  assert.ok(!('reason' in format))
  gives(toDatetime(format, zoneToUtc('Africa/Nairobi')), [
    ['01/07/2026 12:00', '2026-07-01T09:00:00.000Z'],
    ['2026-07-01T12:00:00Z', undefined],
    [0, undefined],
  ])
  assert.match(toDatetime(format, undefined).explain('01/07/2026 12:00'), /declare `zone`/)
})

test('an injected phone normaliser is asked with the region, and what is not E.164 is refused', () => {
  const asked: unknown[] = []
  const phone = toPhone(undefined, 'KE', (text, country) => {
    asked.push([text, country])
    return text === 'good' ? '+254712345678' : text
  })
  gives(phone, [
    ['good', '+254712345678'],
    ['0712', undefined],
    ['+0', undefined],
    [712_345_678, undefined],
    [{}, undefined],
  ])
  assert.deepEqual(asked.slice(0, 2), [
    ['good', 'KE'],
    ['0712', 'KE'],
  ])
})

test('a look-up sees the rows of its table and nothing that objects inherit', () => {
  const table = new Map<string, unknown>([
    ['CASH', 'cash'],
    ['1', 'one'],
    ['true', 'yes'],
    ['nothing', null],
  ])
  gives(toRow('codes', table, undefined), [
    ['CASH', 'cash'],
    [1, 'one'],
    [true, 'yes'],
    ['nothing', null],
    ['toString', undefined],
    ['__proto__', undefined],
    [{}, undefined],
  ])
  gives(toRow('codes', table, 'other'), [
    ['X', 'other'],
    [2, 'other'],
    [{}, undefined],
  ])
  gives(toRow('codes', table, null), [['X', null]])
})

test('a copy takes data as it is and refuses what is not data', () => {
  const value = { a: 1 }
  gives(copy, [
    [value, value],
    ['', ''],
    [0, 0],
    [() => 1, undefined],
    [Symbol('s'), undefined],
  ])
})

test('no reason holds the value', () => {
  const transforms = [
    toNumber(false),
    toBoolean,
    toDatetime(undefined, undefined),
    toPhone(undefined, undefined, undefined),
    toRow('t', new Map(), undefined),
  ]
  fc.assert(
    fc.property(fc.constantFrom(...transforms), fc.stringMatching(/^[a-z]{12,30}$/), (transform, value) => {
      assert.ok(!transform.explain(value).includes(value))
    }),
  )
})
