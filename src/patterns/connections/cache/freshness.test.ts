import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { directives, span } from './directives.ts'
import { freshness, isStorable, use } from './freshness.ts'

const wall = Date.UTC(2026, 0, 1)
const rules = { heuristic: undefined, stale: 3_600_000 }
const of = (headers: Record<string, string>, status = 200, more: object = {}) =>
  freshness({ status, headers }, { wall, delay: 0 }, { ...rules, ...more })
const date = (seconds: number): string => new Date(wall + seconds * 1000).toUTCString()

test('reads directives as §5.2 has them, and in doubt the careful way', () => {
  const read = (field: string): object => Object.fromEntries(directives(field))
  assert.deepEqual(read(' No-Store ,max-age=5,, private="set-cookie, x"'), {
    'no-store': true,
    'max-age': '5',
    private: 'set-cookie, x',
  })
  assert.deepEqual(read('max-age="5", a="\\"no-store", b="no-cache, c'), {
    'max-age': '5',
    a: '"no-store',
    b: '',
    c: true,
  })
  assert.deepEqual(read('max-age=9, max-age=3, max-age=5'), { 'max-age': '3' })
  assert.deepEqual(read('max-age=9, max-age=x'), { 'max-age': 'x' })
  assert.deepEqual(read(';;max-age=1, =2, __proto__=3, no-cache x'), { ['__proto__']: '3', 'no-cache': true })
  assert.deepEqual(
    ['max-age=99999999999999999999', 'max-age=-1', 'max-age=1.5', 'max-age', 'x'].map((f) =>
      span(directives(f), 'max-age'),
    ),
    [2_147_483_648_000, 0, 0, 0, undefined],
  )
})

/** Section of RFC 9111, fields of the answer, its lifetime and age in seconds. */
const table: readonly [string, Record<string, string>, number, number][] = [
  ['§4.2.1 max-age', { 'cache-control': 'max-age=60' }, 60, 0],
  ['§4.2.1 max-age before Expires', { 'cache-control': 'max-age=60', expires: date(5) }, 60, 0],
  ['§4.2.1 Expires from Date', { date: date(-10), expires: date(50) }, 60, 10],
  ['§4.2.1 Expires without Date: from when it came', { expires: date(50) }, 50, 0],
  ['§5.3 Expires that is no date is past', { expires: '0' }, 0, 0],
  ['§5.3 Expires before Date', { date: date(0), expires: date(-50) }, 0, 0],
  ['§5.2.2.10 s-maxage is for shared caches', { 'cache-control': 's-maxage=60' }, 0, 0],
  ['§4.2.2 no heuristic unless asked for', { 'last-modified': date(-10_000) }, 0, 0],
  ['§4.2.3 Age', { 'cache-control': 'max-age=60', age: '20' }, 60, 20],
  ['§4.2.3 the larger of Age and Date', { 'cache-control': 'max-age=60', age: '20', date: date(-30) }, 60, 30],
  ['§4.2.3 a Date ahead of us', { 'cache-control': 'max-age=60', date: date(30) }, 60, 0],
  ['§5.1 the first Age', { 'cache-control': 'max-age=60', age: '20, 50' }, 60, 20],
  ['§5.1 an Age that is none', { 'cache-control': 'max-age=60', age: '-5' }, 60, 0],
]
for (const [section, headers, lifetime, age] of table) {
  test(`freshness by ${section}`, () => {
    const f = of(headers)
    assert.deepEqual([f.lifetime, f.age], [lifetime * 1000, age * 1000])
  })
}

test('a heuristic counts only where the answer says nothing, and of statuses that may be so treated', () => {
  const modified = { 'last-modified': date(-1_000), date: date(0) }
  assert.equal(of(modified, 200, { heuristic: '10%' }).lifetime, 100_000)
  assert.equal(of({ 'last-modified': date(-10_000_000) }, 200, { heuristic: '10%' }).lifetime, 86_400_000)
  assert.equal(of({ 'last-modified': date(50) }, 200, { heuristic: '10%' }).lifetime, 0)
  assert.equal(of(modified, 201, { heuristic: '10%' }).lifetime, 0)
  assert.equal(of({}, 200, { heuristic: 5_000 }).lifetime, 5_000)
  assert.equal(of({ expires: '-1' }, 200, { heuristic: 5_000 }).lifetime, 0)
  assert.equal(of({ 'cache-control': 'max-age=1' }, 200, { heuristic: 5_000 }).lifetime, 1_000)
})

test('time on the way is age (§4.2.3)', () => {
  const f = freshness({ status: 200, headers: { age: '3' } }, { wall, delay: 2_000 }, rules)
  assert.equal(f.age, 5_000)
})

test('must-revalidate and no-cache leave nothing stale (§5.2.2.2, §5.2.2.4), and our bound holds', () => {
  const both = 'max-age=1, stale-while-revalidate=60, stale-if-error=7200'
  const allowed = (cc: string): number[] => {
    const { whileRevalidate, ifError } = of({ 'cache-control': cc })
    return [whileRevalidate, ifError]
  }
  assert.deepEqual(allowed(both), [60_000, 3_600_000])
  assert.deepEqual(allowed(`${both}, must-revalidate`), [0, 0])
  assert.deepEqual(allowed(`${both}, no-cache="x"`), [0, 0])
})

test('what is kept (§3): whole answers that went well, may be kept, and can be of use', () => {
  const kept = (headers: Record<string, string>, status = 200): boolean =>
    isStorable({ status, headers }, of(headers, status))
  const fresh = { 'cache-control': 'max-age=60' }
  assert.ok([200, 201, 203, 204].every((status) => kept(fresh, status)))
  assert.ok([206, 301, 304, 404, 500].every((status) => !kept(fresh, status)))
  assert.ok(kept({ etag: '"1"', 'cache-control': 'no-cache' }) && kept({ 'last-modified': date(0) }))
  assert.ok(kept({ 'cache-control': 'max-age=0, stale-if-error=5' }))
  assert.ok(!kept({}) && !kept({ 'cache-control': 'max-age=60', age: '60' }))
  assert.ok(!kept({ ...fresh, vary: 'accept, *' }) && kept({ ...fresh, vary: 'accept, x-star*' }))
  assert.ok(!kept({ 'cache-control': 'max-age=60, no-store' }) && !kept({ 'cache-control': 'No-Store', etag: '"1"' }))
})

test('a request can only narrow what may be given (§5.2.1), and its max-age counts from the source', () => {
  const f = of({ 'cache-control': 'max-age=60, stale-while-revalidate=10' })
  const at = (seconds: number, asked = ''): string => use(f, seconds * 1000, directives(asked))
  assert.deepEqual([at(0), at(59), at(60), at(69), at(70)], ['fresh', 'fresh', 'stale', 'stale', 'ask'])
  assert.deepEqual(
    [at(1, 'no-cache'), at(10, 'max-age=10'), at(11, 'max-age=10'), at(50, 'min-fresh=11')],
    ['ask', 'fresh', 'ask', 'ask'],
  )
  assert.deepEqual([at(0, 'max-age=0'), at(65, 'max-age=1000')], ['fresh', 'ask'])
})

test('never fresh for longer than it says, whatever it says', () => {
  const seconds = fc.nat(100_000)
  const field = fc.oneof(seconds.map(String), fc.string({ maxLength: 8 }))
  fc.assert(
    fc.property(
      field,
      field,
      fc.option(seconds),
      fc.option(seconds),
      seconds,
      (maxAge, age, expires, before, later) => {
        const headers = {
          'cache-control': `max-age=${maxAge}`,
          age,
          ...(expires === null ? {} : { expires: date(expires) }),
          ...(before === null ? {} : { date: date(-before) }),
        }
        const f = of(headers)
        const now = f.age + later * 1000
        // Older than by either clock it cannot be made.
        assert.ok(f.age >= (before ?? 0) * 1000 && f.lifetime >= 0)
        if (use(f, now, directives('')) === 'fresh') assert.ok(later + (before ?? 0) < f.lifetime / 1000)
      },
    ),
  )
})

test('no field makes the reading fail, or slow', () => {
  fc.assert(fc.property(fc.string({ maxLength: 200 }), (field) => void directives(field)))
  for (const long of ['"'.repeat(50_000), 'a='.repeat(25_000), 'a="\\'.repeat(12_500), ', '.repeat(25_000)])
    directives(long)
})
