import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { agreedSkew, readCard, skewLimit, skewOf, type Card } from './card.ts'

test('a clock is called wrong only when no way of the beat explains it, and then by no more than it is', () => {
  const skew = fc.integer({ min: -60_000, max: 60_000 })
  const waits = fc.integer({ min: 0, max: 20_000 })
  fc.assert(
    fc.property(skew, waits, fc.double({ min: 0, max: 1, noNaN: true }), (off, since, part) => {
      // Written at some time since the look before, by a clock that is off.
      const now = 1_000_000
      const said = skewOf(now - since * part + off, now, since)
      if (Math.abs(off) <= skewLimit) assert.equal(said, 0)
      assert.ok(Math.abs(said) <= Math.abs(off) + 1e-6)
      assert.ok(said === 0 || Math.sign(said) === Math.sign(off))
      if (Math.abs(off) > skewLimit + since) assert.notEqual(said, 0)
    }),
  )
})

test('who is wrong is what most say; of two that differ both are', () => {
  const card = (skew: Record<string, number>): Card => ({ beat: 1, works: [], wall: 0, outdated: false, skew })
  const three = new Map([
    ['a', card({ c: 9_000 })],
    ['b', card({ c: 9_100 })],
    ['c', card({ a: -9_000, b: -9_100 })],
  ])
  assert.deepEqual(
    ['a', 'b', 'c'].map((id) => agreedSkew(id, three)),
    [0, 0, 9_000],
  )
  const two = new Map([
    ['a', card({ b: 7_000 })],
    ['b', card({ a: -7_000 })],
  ])
  assert.deepEqual(
    ['a', 'b'].map((id) => agreedSkew(id, two)),
    [-7_000, 7_000],
  )
  assert.equal(agreedSkew('a', new Map([['a', card({})]])), 0)
})

test('a card that cannot be read is none', () => {
  for (const text of ['', 'null', '{}', '[]', '{"works":"all","wall":1,"beat":1}'])
    assert.equal(readCard(text), undefined)
})
