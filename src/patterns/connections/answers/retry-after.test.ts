import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { httpDate, longestWait, retryAfter } from './retry-after.ts'

const now = Date.UTC(2026, 10, 21, 2, 0, 0)

test('reads seconds, and never waits longer than an hour', () => {
  assert.equal(retryAfter('120', now), 120_000)
  assert.equal(retryAfter(' 0 ', now), 0)
  assert.equal(retryAfter('1.5', now), 1_500)
  assert.equal(retryAfter('3600', now), longestWait)
  assert.equal(retryAfter('99999999', now), longestWait)
})

test('reads the three forms of an HTTP date', () => {
  for (const date of ['Sun, 06 Nov 1994 08:49:37 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994']) {
    assert.equal(httpDate(date, now), 784_111_777_000, date)
  }
})

test('measures a date against their Date field, whatever our clock says', () => {
  const at = 'Sat, 21 Nov 2026 02:00:30 GMT'
  assert.equal(retryAfter(at, now), 30_000)
  assert.equal(retryAfter(at, now - 86_400_000, 'Sat, 21 Nov 2026 02:00:00 GMT'), 30_000)
  assert.equal(retryAfter(at, now, 'yesterday'), 30_000, 'an unreadable Date does not count')
})

test('the past is no wait', () => {
  assert.equal(retryAfter('Fri, 20 Nov 2026 02:00:00 GMT', now), 0)
})

test('garbage is no wait at all', () => {
  for (const text of [
    '',
    'soon',
    '-5',
    '1e3',
    '0x10',
    '5 minutes',
    'Sat, 31 Feb 2026 00:00:00 GMT',
    'Sat, 21 Nov 2026 25:00:00 GMT',
    '١٢',
  ]) {
    assert.equal(retryAfter(text, now), undefined, text)
  }
  assert.equal(retryAfter(undefined, now), undefined)
})

test('whatever the field says, the wait is nothing or between 0 and an hour', () => {
  const field = fc.oneof(
    fc.string(),
    fc.nat().map(String),
    fc.date({ noInvalidDate: true }).map((d) => d.toUTCString()),
  )
  fc.assert(
    fc.property(field, fc.option(field, { nil: undefined }), (text, date) => {
      const ms = retryAfter(text, now, date)
      assert.ok(ms === undefined || (ms >= 0 && ms <= longestWait))
    }),
  )
})

test('every date that a platform prints is read back', () => {
  const date = fc.date({ min: new Date('1900-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
  fc.assert(
    fc.property(date, (d) => {
      assert.equal(httpDate(d.toUTCString(), now), Math.floor(d.getTime() / 1000) * 1000)
    }),
  )
})
