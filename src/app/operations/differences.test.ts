import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Json } from '#kernel/json.ts'
import { differences } from './differences.ts'

test('tells each place where two values differ, and what is only on one side', () => {
  assert.deepEqual(
    differences({ a: 1, list: [1, { b: 2 }], gone: null }, { a: 1, list: [1, { b: 3 }, 4], came: 'x' }),
    [
      { path: 'list[1].b', before: 2, after: 3 },
      { path: 'list[2]', after: 4 },
      { path: 'gone', before: null },
      { path: 'came', after: 'x' },
    ],
  )
  assert.deepEqual(differences('a', { a: 1 }), [{ path: '', before: 'a', after: { a: 1 } }])
})

test('finds nothing between equal values and something between others, whatever they are', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      assert.deepEqual(differences(a as Json, structuredClone(a) as Json), [])
      assert.equal(
        differences(a as Json, b as Json).length === 0,
        JSON.stringify(a) === JSON.stringify(b) || equal(a, b),
      )
    }),
  )
})

test('tells at most 100 differences, and is not led by names of prototypes', () => {
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`n${i}`, i]))
  assert.equal(differences(many, {}).length, 100)
  assert.deepEqual(differences({ constructor: 1 }, {}), [{ path: 'constructor', before: 1 }])
})

function equal(a: unknown, b: unknown): boolean {
  try {
    assert.deepEqual(a, b)
    return true
  } catch {
    return false
  }
}
