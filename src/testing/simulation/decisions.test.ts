import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Chance } from './decisions.ts'

const draws = (c: Chance): unknown[] => [
  c.likely('a', 0.5),
  c.whole('b', 3, 9),
  c.one('c', ['x', 'y', 'z']),
  c.weighted('d', { none: 1, some: 2, all: 3 }),
  c.float('e'),
  c.whole('b', 3, 9),
]

test('a recorded list draws what its seed drew', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const first = new Chance(seed)
    const drawn = draws(first)
    assert.deepEqual(draws(new Chance(seed)), drawn)
    assert.deepEqual(draws(new Chance(first.recorded)), drawn)
  }
})

test('what is absent is the dullest choice', () => {
  assert.deepEqual(draws(new Chance({})), [false, 3, 'x', 'none', 0, 3])
})

test('a draw more under one label changes nothing under another', () => {
  const one = new Chance(7)
  const other = new Chance(7)
  other.float('extra')
  other.float('extra')
  assert.deepEqual(draws(one), draws(other))
})

test('values beyond what can be drawn are taken for the last, and what has lost its weight does not happen', () => {
  const c = new Chance({ b: [99], d: [2, 2], a: [1] })
  assert.equal(c.whole('b', 3, 9), 9)
  assert.equal(c.weighted('d', { none: 1, some: 2, all: 3 }), 'all')
  assert.equal(c.weighted('d', { none: 1, some: 2, all: 0 }), 'none')
  assert.equal(c.likely('a', 0), false)
})

test('a replayed list tells what its decisions stood for', () => {
  const c = new Chance({ 'step/1 what': [2], n: [4] })
  c.weighted('step/1 what', { nothing: 1, publish: 1, crash: 1 })
  c.whole('n', 10, 20)
  c.one('quiet', [1, 2])
  assert.deepEqual(c.told, ['step/1 what: crash', 'n: 14'])
})
