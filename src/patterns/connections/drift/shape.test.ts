import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeShape, encodeShape } from './codec.ts'
import { isWord, kindOf } from './kinds.ts'
import { sampleAt } from './sample.ts'
import { bounds, Shape, type Place } from './shape.ts'

const learned = (answers: readonly unknown[], hidden: (name: string) => boolean = () => false): Shape => {
  const shape = new Shape(0, hidden)
  for (const [i, answer] of answers.entries()) shape.learn(answer, i)
  return shape
}
const at = (shape: Shape, ...names: string[]): Place => {
  let p: Place | undefined = shape.root
  for (const name of names) p = name === '[]' ? p?.items : name === '*' ? p?.rest : p?.fields?.get(name)
  assert.ok(p, names.join('.'))
  return p
}

test('tells kinds apart: types, and formats of text', () => {
  const table: Record<string, unknown[]> = {
    null: [null],
    boolean: [true],
    number: [0, -1.5],
    object: [{}],
    list: [[]],
    text: ['', 'Anna', '1,5', '2026-1-1', 'a@b', '1e9', '12:30', 'x'.repeat(301)],
    digits: ['0', '-12', '007'],
    decimal: ['1.50', '-0.5'],
    date: ['2026-01-31'],
    'date-time': ['2026-01-31T12:00:00Z', '2026-01-31T12:00:00.123+02:00', '2026-01-31 12:00'],
    uuid: ['0190b0f2-7a7c-7cc0-8f3b-2f1f6c6f1f6c'],
    email: ['anna@example.com'],
    url: ['https://example.com/x'],
  }
  for (const [kind, values] of Object.entries(table))
    for (const value of values) assert.equal(kindOf(value), kind, JSON.stringify(value))
})

test('keeps fixed words, and no text that people wrote', () => {
  for (const word of ['paid', 'partially_refunded', 'EUR', 'application/json', 'v1.2']) assert.ok(isWord(word), word)
  for (const text of ['Anna', 'two words', 'anna@example.com', '42', 'x'.repeat(41), '']) assert.ok(!isWord(text), text)
  const secret = learned([{ name: 'Anna Muster', token: 'abc', state: 'open' }], (n) => n === 'token')
  const text = encodeShape(secret)
  assert.ok(text.includes('open') && !text.includes('Muster') && !text.includes('abc'))
})

test('counts an answer once, however many elements of a list have a field', () => {
  const shape = learned([{ items: [{ a: 1 }, { a: 2, b: null }] }, { items: [] }, { items: [{ a: 'x' }] }])
  const [a, b] = [at(shape, 'items', '[]', 'a'), at(shape, 'items', '[]', 'b')]
  assert.deepEqual([a.trials, a.present?.count, a.missing], [2, 2, undefined])
  assert.deepEqual([b.trials, b.present?.count, b.missing?.count], [2, 1, 1])
  assert.deepEqual([...a.kinds.keys()], ['number', 'text'])
})

test('an object whose names are data becomes a map, and gives its places back', () => {
  const shape = learned(Array.from({ length: 200 }, (_, i) => ({ users: { [`u${i}`]: { n: i } } })))
  assert.equal(at(shape, 'users').fields, undefined)
  assert.ok(at(shape, 'users', '*', 'n').kinds.has('number'))
  assert.ok(shape.places <= 4, `${shape.places} places`)
})

test('stays within its bounds, whatever comes', () => {
  const wide = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`f${i}`, { a: { b: 1 } }]))
  let deep: unknown = 1
  for (let i = 0; i < 100; i++) deep = { a: deep, b: [deep] }
  const shape = learned([wide, { deep, list: Array.from({ length: 100_000 }, (_, i) => i) }, [], 1, null, 'x', wide])
  assert.ok(shape.places <= bounds.places)
  const hostile: unknown = JSON.parse(
    '{"constructor":{"prototype":{"polluted":1}},"toString":1,"hasOwnProperty":{"call":1}}',
  )
  const odd = learned([hostile, hostile])
  assert.equal(at(odd, 'constructor', 'prototype', 'polluted').trials, 2)
  assert.equal(({} as { polluted?: unknown }).polluted, undefined)
})

test('comes back out of the store as it was, and goes on as if it had never been there', () => {
  fc.assert(
    fc.property(
      fc.array(fc.jsonValue({ maxDepth: 4 }), { maxLength: 12 }),
      fc.jsonValue({ maxDepth: 4 }),
      (answers, next) => {
        const shape = learned(answers)
        const back = decodeShape(encodeShape(shape), () => false)
        assert.ok(back)
        assert.equal(encodeShape(back), encodeShape(shape))
        for (const s of [shape, back]) s.learn(next, 99)
        assert.equal(encodeShape(back), encodeShape(shape))
      },
    ),
  )
  for (const text of ['', '[]', '{}', '[99]', 'null', '[1,2,3,4,5]'])
    assert.equal(
      decodeShape(text, () => false),
      undefined,
    )
})

test('a sample shows names, words and small numbers, and of everything else only what it is', () => {
  const answer = {
    items: [
      { id: 1 },
      { id: 2, who: { name: 'Anna Muster', mail: 'a@b.ch', state: 'new', pin: 1234, account: 93_000_762_011 } },
    ],
  }
  const hidden = (n: string): boolean => n === 'pin'
  assert.equal(
    sampleAt(answer, 'items[].who', hidden),
    '{"name":"<text>","mail":"<email>","state":"new","pin":"<hidden>","account":"<number>"}',
  )
  assert.equal(sampleAt(answer, 'items[].who.pin', hidden), '"<hidden>"')
  assert.equal(sampleAt(answer, 'items[].nobody', hidden), undefined)
  assert.equal(sampleAt({ a: { x: 'y' } }, 'a.*', hidden), '"y"')
})
