import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { rateLimitOf } from './rate-limit.ts'

const at = Date.UTC(2026, 10, 21)
const clock = { now: () => at }
const left = (headers: Record<string, string>): unknown => rateLimitOf(headers, clock)

test('reads the draft field and keeps its tightest policy', () => {
  assert.deepEqual(left({ ratelimit: '"burst";r=20;t=23, "daily";r=1;t=40000' }), { remaining: 1, reset: 40_000_000 })
  assert.deepEqual(left({ ratelimit: 'limit=100, remaining=50, reset=5' }), { remaining: 50, reset: 5_000 })
})

test('reads pairs whose reset is to go, in Unix seconds or in Unix milliseconds', () => {
  assert.deepEqual(left({ 'x-ratelimit-remaining': '3', 'x-ratelimit-reset': '30' }), { remaining: 3, reset: 30_000 })
  assert.deepEqual(left({ 'x-ratelimit-remaining': '3', 'x-ratelimit-reset': String(at / 1000 + 30) }), {
    remaining: 3,
    reset: 30_000,
  })
  assert.deepEqual(left({ 'x-rate-limit-remaining': '3', 'x-rate-limit-reset': String(at + 30) }), {
    remaining: 3,
    reset: 30,
  })
  assert.deepEqual(left({ 'ratelimit-remaining': '0', 'ratelimit-reset': '1' }), { remaining: 0, reset: 1_000 })
})

test('ignores what is malformed, incomplete or out of a cache', () => {
  assert.equal(left({}), undefined)
  assert.equal(left({ 'x-ratelimit-remaining': '3' }), undefined)
  assert.equal(left({ 'x-ratelimit-remaining': 'many', 'x-ratelimit-reset': '3' }), undefined)
  assert.equal(left({ ratelimit: '"a";r=-1;t=5' }), undefined)
  assert.equal(left({ ratelimit: '"a";r=1;t=5', age: '7' }), undefined)
})

test('gives numbers that are not negative, whatever the fields say', () => {
  const field = fc.oneof(fc.string(), fc.integer().map(String), fc.double().map(String))
  fc.assert(
    fc.property(field, field, field, (ratelimit, remaining, reset) => {
      const told = rateLimitOf({ ratelimit, 'x-ratelimit-remaining': remaining, 'x-ratelimit-reset': reset }, clock)
      assert.ok(told === undefined || (told.remaining >= 0 && told.reset >= 0 && Number.isFinite(told.reset)))
    }),
  )
})
