import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parsePath, printPath, readPath } from './path.ts'

test('reads names, indexes, quoted names and Kobo paths', () => {
  assert.deepEqual(parsePath('a.b[0].c'), ['a', 'b', 0, 'c'])
  assert.deepEqual(parsePath('household/member[1].household/member/name'), [
    'household/member',
    1,
    'household/member/name',
  ])
  assert.deepEqual(parsePath('["a.b"]["c[0]"].d'), ['a.b', 'c[0]', 'd'])
  assert.deepEqual(parsePath('a[0][1]'), ['a', 0, 1])
  assert.deepEqual(parsePath('First name'), ['First name'])
})

test('refuses what is not a path, with a reason and a fix', () => {
  const wrong = [
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    'a[',
    'a[]',
    'a[-1]',
    'a[1000]',
    'a[x]',
    'a.[0]',
    '[0].a',
    'a[0]b',
    '[""]',
    '["\\x"]',
    'a]b',
  ]
  for (const text of [...wrong, 'x'.repeat(513), Array.from({ length: 33 }, () => 'a').join('.')]) {
    const path = parsePath(text)
    assert.ok('reason' in path && path.reason !== '' && path.fix !== '', text)
  }
})

test('refuses names that could reach a prototype, however they are spelled', () => {
  for (const name of ['__proto__', 'constructor', 'prototype']) {
    for (const text of [
      name,
      `a.${name}`,
      `a[0].${name}.b`,
      `["${name}"]`,
      `a["\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${name.slice(1)}"]`,
    ]) {
      assert.ok('reason' in parsePath(text), text)
    }
  }
})

test('printing is the inverse of parsing', () => {
  const name = fc
    .string({ minLength: 1, maxLength: 8 })
    .filter((n) => !['__proto__', 'constructor', 'prototype'].includes(n))
  const path = fc
    .tuple(name, fc.array(fc.oneof(name, fc.nat(999)), { maxLength: 6 }))
    .map(([first, rest]) => [first, ...rest])
  fc.assert(fc.property(path, (path) => assert.deepEqual(parsePath(printPath(path)), path)))
})

test('reads own data only', () => {
  const source = JSON.parse('{"a":{"toString":"mine","b":[{"c":1}]},"text":"abc","list":[1]}') as unknown
  assert.equal(readPath(source, ['a', 'b', 0, 'c']), 1)
  assert.equal(readPath(source, ['a', 'toString']), 'mine')
  for (const path of [
    ['toString'],
    ['a', 'valueOf'],
    ['text', 'length'],
    ['list', 'length'],
    ['list', 'map'],
    ['text', 0],
    ['a', 0],
    ['x', 'y'],
  ]) {
    assert.equal(readPath(source, path), undefined, path.join())
  }
})
