import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRate, rateCheck } from './rate.ts'

test('reads a count and a time', () => {
  assert.deepEqual(parseRate('50/s'), { count: 50, span: 1_000, utcDay: false })
  assert.deepEqual(parseRate('20/m'), { count: 20, span: 60_000, utcDay: false })
  assert.deepEqual(parseRate('1000/h'), { count: 1_000, span: 3_600_000, utcDay: false })
  assert.deepEqual(parseRate('100/15m'), { count: 100, span: 900_000, utcDay: false })
  assert.deepEqual(parseRate('5/1.5s'), { count: 5, span: 1_500, utcDay: false })
  assert.deepEqual(parseRate('9/d'), { count: 9, span: 86_400_000, utcDay: false })
  assert.deepEqual(parseRate('100000/day'), { count: 100_000, span: 86_400_000, utcDay: true })
})

test('refuses everything else, saying what to write', () => {
  const wrong = [
    '',
    '50',
    '50/',
    '/s',
    '0/s',
    '-1/s',
    '1.5/s',
    '50/sec',
    '50 / s',
    '2000000000/s',
    '5/0s',
    '1/0.1ms',
    50,
  ]
  for (const text of [...wrong, null, undefined, {}]) assert.equal(parseRate(text), undefined, JSON.stringify(text))
  assert.match(rateCheck('50/sec')!, /'50\/s'/)
})
