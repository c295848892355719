import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { codingOf, decodable, decodeBody, type Decoded } from './client-decode.ts'

const decode = (coding: string, body: Uint8Array, maxBytes = 8_388_608): Promise<Decoded> =>
  new Promise((done) => decodeBody(coding, body, maxBytes, done))
const sizeOf = (d: Decoded): number | string => ('body' in d ? d.body.byteLength : d.reason)

/** Bytes that no compression makes less than half of. */
const noise = (i: number): number => {
  const mixed = Math.imul(i ^ (i >>> 7), 2_654_435_761)
  return Math.imul(mixed ^ (mixed >>> 13), 2_246_822_519) >>> 25
}

test('knows what it can undo: gzip and br, once', () => {
  assert.equal(codingOf({ 'content-encoding': ' GZIP ' }), 'gzip')
  for (const none of ['', 'identity']) assert.equal(codingOf({ 'content-encoding': none }), undefined)
  assert.equal(codingOf({}), undefined)
  assert.deepEqual(['gzip', 'x-gzip', 'br'].filter(decodable), ['gzip', 'x-gzip', 'br'])
  assert.deepEqual(['gzip, br', 'deflate', 'zstd', 'compress'].filter(decodable), [])
})

test('gives back what was compressed, short or long', async () => {
  for (const size of [0, 1, 5_000, 100_000]) {
    // Not so regular that it would be taken for a bomb.
    const text = Buffer.from(Array.from({ length: size }, (_, i) => noise(i)))
    for (const [coding, bytes] of [
      ['gzip', gzipSync(text)],
      ['x-gzip', gzipSync(text)],
      ['br', brotliCompressSync(text)],
    ] as const) {
      const decoded = await decode(coding, bytes)
      assert.ok('body' in decoded && Buffer.compare(decoded.body, text) === 0, `${coding} ${size}`)
    }
  }
})

test('takes a body of exactly the limit and refuses one byte more', async () => {
  for (const size of [1_000, 500_000]) {
    const text = Buffer.from(Array.from({ length: size }, (_, i) => noise(i)))
    assert.equal(sizeOf(await decode('gzip', gzipSync(text), size)), size)
    assert.equal(sizeOf(await decode('gzip', gzipSync(text), size - 1)), 'too-large')
  }
})

test('gives a bomb up at the bound, whatever the limit of the connection', async () => {
  const zeros = Buffer.alloc(64 * 1_048_576)
  const bombs = { gzip: gzipSync(zeros), br: brotliCompressSync(zeros, { params: { 0: 0, 1: 5 } }) }
  for (const [coding, bomb] of Object.entries(bombs)) {
    assert.ok(zeros.byteLength / bomb.byteLength > 900, coding)
    const before = process.memoryUsage().rss
    assert.equal(sizeOf(await decode(coding, bomb)), 'too-large')
    const grown = process.memoryUsage().rss - before
    assert.ok(grown < 64 * 1_048_576, `${coding}: ${grown} bytes`)
  }
  // A few hundred bytes may become 1 MiB, and no more, even where 2 GiB are allowed.
  assert.equal(sizeOf(await decode('br', brotliCompressSync(Buffer.alloc(1_048_576)), 2 ** 31)), 1_048_576)
  assert.equal(sizeOf(await decode('br', brotliCompressSync(Buffer.alloc(1_048_577)), 2 ** 31)), 'too-large')
})

test('refuses what is broken', async () => {
  const whole = gzipSync('{"id":"a"}')
  for (const bytes of [
    whole.subarray(0, 20),
    Buffer.from('no gzip'),
    Buffer.concat([whole.subarray(0, -4), Buffer.alloc(4)]),
  ])
    assert.equal(sizeOf(await decode('gzip', bytes)), 'encoding')
  assert.equal(sizeOf(await decode('br', whole)), 'encoding')
})
