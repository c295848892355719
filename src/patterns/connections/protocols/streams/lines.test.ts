import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isFault } from '#kernel/fault.ts'
import { Lines } from './lines.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

function split(ends: 'lf' | 'any', chunks: readonly Uint8Array[], most = 1_000_000): string[] {
  const lines = new Lines(ends, most)
  const found = chunks.flatMap((chunk) => [...lines.feed(chunk)].map((line) => decoder.decode(line)))
  const rest = lines.rest()
  return rest ? [...found, decoder.decode(rest)] : found
}

/** The bytes, cut where `cuts` say. */
function cut(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = [0, ...cuts.map((c) => c % (bytes.byteLength + 1)).toSorted((a, b) => a - b), bytes.byteLength]
  return at.slice(1).map((end, i) => bytes.slice(at[i], end))
}

const someText = fc.string({ unit: fc.constantFrom('a', 'é', '漢', '😀', '\r', '\n', ' ') })
const cuts = fc.array(fc.nat({ max: 200 }), { maxLength: 8 })

test('finds the same lines wherever the chunks are cut, characters and CRLF included', () => {
  fc.assert(
    fc.property(someText, cuts, (text, at) => {
      const chunks = cut(encoder.encode(text), at)
      const any = text.split(/\r\n|\n|\r/)
      if (any.at(-1) === '') any.pop()
      assert.deepEqual(split('any', chunks), any)
      const lf = text.split('\n')
      if (lf.at(-1) === '') lf.pop()
      assert.deepEqual(split('lf', chunks), lf)
    }),
  )
})

test('gives a line at its CR, before it is known what follows', () => {
  const lines = new Lines('any', 100)
  assert.equal([...lines.feed(encoder.encode('a\r'))].length, 1)
  assert.deepEqual([...lines.feed(encoder.encode('\n'))], [])
  assert.equal([...lines.feed(encoder.encode('\n'))].length, 1)
})

test('takes a line of exactly the limit and refuses one byte more, in one chunk or in many, ended or not', () => {
  const tooLarge = (e: unknown): boolean => isFault(e, 'connection.response') && e.detail['reason'] === 'too-large'
  assert.deepEqual(split('lf', [encoder.encode('12345\n123'), encoder.encode('45\n')], 5), ['12345', '12345'])
  for (const chunks of [['123456\n'], ['123', '456\n'], ['123456'], ['1', '2', '3', '4', '5', '6']]) {
    assert.throws(
      () =>
        split(
          'lf',
          chunks.map((c) => encoder.encode(c)),
          5,
        ),
      tooLarge,
    )
  }
})
