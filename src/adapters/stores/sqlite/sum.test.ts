import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import fc from 'fast-check'
import { fits, messageSum, rowSum, unfit } from './sum.ts'

const message = [2 ** 38 * 5 + 77, 1_767_225_600_123, 'evt-1', 'customer-7', '{"source":"x"}', '{"total":12}'] as const

/** Every text and number that differs from it in one bit. */
function* flipped(value: string | number): Generator<string | number> {
  if (typeof value === 'number') {
    for (let bit = 0; bit < 53; bit++) yield Number(BigInt(value) ^ (1n << BigInt(bit)))
    return
  }
  for (let bit = 0; bit < value.length * 8; bit++) {
    const bytes = Buffer.from(value)
    bytes[bit >> 3]! ^= 1 << (bit & 7)
    yield bytes.toString('utf8')
  }
}

test('one flipped bit anywhere in a message, or its place, or its time, does not fit', () => {
  const sum = messageSum(...message)
  let flips = 0
  for (const [i, value] of message.entries()) {
    for (const other of flipped(value)) {
      const changed = (message as readonly (string | number)[]).with(i, other) as unknown as typeof message
      assert.notEqual(messageSum(...changed), sum, JSON.stringify(changed))
      flips++
    }
  }
  assert.equal(flips, 2 * 53 + 8 * (5 + 10 + 14 + 12))
})

test('what moves from one text into the next, or is nothing instead of empty, or bytes instead of text, does not fit', () => {
  const sums = [
    messageSum(1, 2, 'ab', 'c', null, 'd'),
    messageSum(1, 2, 'a', 'bc', null, 'd'),
    messageSum(1, 2, 'ab', 'c\0', null, 'd'),
    messageSum(1, 2, 'ab', 'cd', null, ''),
    messageSum(1, 2, 'ab', 'c', '', 'd'),
    messageSum(1, 2, 'ab', '', 'c', 'd'),
    messageSum(1, 2, 'ab', null, 'c', 'd'),
    messageSum(1, 2, 'ab', 'c', null, Buffer.from('d')),
    messageSum(2, 1, 'ab', 'c', null, 'd'),
  ]
  assert.equal(new Set(sums).size, sums.length)
})

test('half a surrogate pair gives what the replacement character gives, which is how it is stored', () => {
  assert.equal(
    messageSum(1, 2, 'a\uD83D', '\uDE00b', null, '\uD800'),
    messageSum(1, 2, 'a\uFFFD', '\uFFFDb', null, '\uFFFD'),
  )
})

test('a row fits its own columns and no others', () => {
  const column = fc.oneof(fc.string(), fc.maxSafeInteger(), fc.uint8Array(), fc.constant(null))
  const row = fc.array(column, { maxLength: 5 })
  fc.assert(
    fc.property(row, row, (a, b) => {
      const same = JSON.stringify(a.map(kinds)) === JSON.stringify(b.map(kinds))
      assert.equal(rowSum('t', a) === rowSum('t', b), same)
      assert.notEqual(rowSum('t', a), rowSum('u', a))
    }),
  )
})

function kinds(value: unknown): unknown {
  return value instanceof Uint8Array ? { bytes: [...value] } : value
}

test('a row without a checksum fits nothing, 0 everything: it is what a person sets, and no row has it of itself', () => {
  const sum = rowSum('t', ['a', 1])
  assert.ok(fits(0, sum))
  assert.ok(!fits(null, sum))
  assert.ok(fits(sum, sum))
  assert.ok(!fits(unfit(sum), sum))
  assert.ok(!fits(undefined, sum))
})
