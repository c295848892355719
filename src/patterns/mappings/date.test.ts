import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isoDate, isoTime, noZone, unixTime } from './date.ts'
import { parseFormat, type DateFormat } from './format.ts'
import { zoneToUtc } from './zone.ts'

test('accepts days that exist and no others', () => {
  for (const day of ['2026-02-28', '2024-02-29', '2000-02-29', '0001-01-01', '9999-12-31'])
    assert.equal(isoDate(day), day)
  for (const day of [
    '2026-02-30',
    '2026-02-29',
    '1900-02-29',
    '2026-13-01',
    '2026-00-10',
    '2026-01-00',
    '2026-04-31',
    '0000-01-01',
  ]) {
    assert.equal(isoDate(day), undefined, day)
  }
  for (const text of ['', '2026-1-1', '2026/01/01', '20260101', '2026-01-01 ', '+026-01-01', '２０２６-01-01'])
    assert.equal(isoDate(text), undefined, text)
})

test('gives RFC 3339 in UTC with milliseconds', () => {
  const expected: Record<string, string> = {
    '2026-07-01T12:00:01.250Z': '2026-07-01T12:00:01.250Z',
    '2026-07-01t12:00:01z': '2026-07-01T12:00:01.000Z',
    '2026-07-01 12:00Z': '2026-07-01T12:00:00.000Z',
    '2026-07-01T11:50:00.000+03:00': '2026-07-01T08:50:00.000Z',
    '2026-07-01T01:50:00+0300': '2026-06-30T22:50:00.000Z',
    '2026-12-31T23:30:00-01': '2027-01-01T00:30:00.000Z',
    '2026-07-01T12:00:01.123456789Z': '2026-07-01T12:00:01.123Z',
    '2026-07-01T12:00:01,5Z': '2026-07-01T12:00:01.500Z',
    '2016-12-31T23:59:60Z': '2016-12-31T23:59:59.000Z',
    '2026-07-01T12:00:00-00:00': '2026-07-01T12:00:00.000Z',
    '0001-01-01T00:30:00-01:00': '0001-01-01T01:30:00.000Z',
  }
  for (const [text, time] of Object.entries(expected)) assert.equal(isoTime(text, undefined), time, text)
})

test('refuses times that do not exist or cannot be written', () => {
  const wrong = [
    '2026-02-30T00:00:00Z',
    '2026-07-01T24:00:00Z',
    '2026-07-01T12:60:00Z',
    '2026-07-01T12:00:61Z',
    '2026-07-01T12:00:00+24:00',
  ]
  const odd = [
    '2026-07-01',
    '2026-07-01T12Z',
    '2026-07-01T12:00:00.Z',
    '2026-07-01T12:00:00 Z',
    '2026-07-01X12:00:00Z',
    '2026-07-01T12:00:00+3',
  ]
  const years = ['9999-12-31T23:59:00-01:00', '0001-01-01T00:00:00+01:00']
  for (const text of [...wrong, ...odd, ...years]) assert.equal(isoTime(text, undefined), undefined, text)
})

test('needs a declared zone for a time without an offset', () => {
  assert.equal(isoTime('2026-07-01T12:00:00', undefined), noZone)
  assert.equal(isoTime('2026-07-01T12:00:00', zoneToUtc('UTC')), '2026-07-01T12:00:00.000Z')
  assert.equal(isoTime('2026-07-01T12:00:00', zoneToUtc('+03:00')), '2026-07-01T09:00:00.000Z')
  assert.equal(isoTime('2026-07-01T12:00:00', zoneToUtc('Africa/Nairobi')), '2026-07-01T09:00:00.000Z')
  assert.equal(isoTime('2026-07-01T12:00:00Z', zoneToUtc('Africa/Nairobi')), '2026-07-01T12:00:00.000Z')
  for (const zone of ['Mars/Olympus', '', '+25:00', '+03:60', 'local']) assert.equal(zoneToUtc(zone), undefined, zone)
})

test('takes the earlier of two local times and moves one that a change of clocks skips', () => {
  const berlin = zoneToUtc('Europe/Berlin')
  assert.equal(isoTime('2026-10-25T02:30:00', berlin), '2026-10-25T00:30:00.000Z')
  assert.equal(isoTime('2026-03-29T02:30:00', berlin), '2026-03-29T01:30:00.000Z')
  assert.equal(isoTime('2026-03-29T01:59:59', berlin), '2026-03-29T00:59:59.000Z')
  assert.equal(isoTime('2026-03-29T03:00:00', berlin), '2026-03-29T01:00:00.000Z')
  assert.equal(isoTime('1890-01-01T00:00:00', berlin), '1889-12-31T23:06:32.000Z')
})

test('agrees with Intl about every instant of a zone', () => {
  for (const zone of ['America/New_York', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'Africa/Casablanca']) {
    const toUtc = zoneToUtc(zone)!
    const print = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_102_444_800 }), (seconds) => {
        const written = print.format(seconds * 1000)
        const instant = toUtc(Date.parse(`${written.replace(' ', 'T')}Z`))
        assert.equal(print.format(instant), written)
        assert.ok(instant <= seconds * 1000, 'the earlier of two')
      }),
      { numRuns: 200 },
    )
  }
})

test('any offset gives what Date gives', () => {
  const two = (n: number): string => String(n).padStart(2, '0')
  const part = (max: number): fc.Arbitrary<string> => fc.integer({ min: 0, max }).map(two)
  fc.assert(
    fc.property(
      fc.date({ min: new Date(0), max: new Date('2200-01-01T00:00:00Z'), noInvalidDate: true }),
      part(23),
      part(59),
      fc.constantFrom('+', '-'),
      (date, h, m, sign) => {
        const text = `${date.toISOString().slice(0, 23)}${sign}${h}:${m}`
        assert.equal(isoTime(text, undefined), new Date(text).toISOString())
      },
    ),
  )
})

test('tells Unix seconds from milliseconds by size', () => {
  assert.equal(unixTime(1_782_864_000), '2026-07-01T00:00:00.000Z')
  assert.equal(unixTime(1_782_864_000_123), '2026-07-01T00:00:00.123Z')
  assert.equal(unixTime(0), '1970-01-01T00:00:00.000Z')
  assert.equal(unixTime(1e300), undefined)
})

function format(text: string): DateFormat {
  const parsed = parseFormat(text)
  assert.ok(!('reason' in parsed), text)
  return parsed
}

test('reads dates in every documented directive', () => {
  const expected: readonly [format: string, text: string, day: string | undefined][] = [
    ['%d/%m/%Y', '05/11/1990', '1990-11-05'],
    ['%d/%m/%Y', '5/1/1990', '1990-01-05'],
    ['%m/%d/%y', '11/05/68', '2068-11-05'],
    ['%m/%d/%y', '11/05/69', '1969-11-05'],
    ['%Y%m%d', '20260701', '2026-07-01'],
    ['%F', '2026-07-01', '2026-07-01'],
    ['%d %b %Y', '1  jul 2026', '2026-07-01'],
    ['%A, %e %B %Y', 'Wednesday, 1 JULY 2026', '2026-07-01'],
    ['%Y-%j', '2024-366', '2024-12-31'],
    ['%Y-%j', '2026-366', undefined],
    ['%Y-%j', '2026-000', undefined],
    ['%d.%m.%Y %H:%M', '01.07.2026 23:59', '2026-07-01'],
    ['%d.%m.%Y %H:%M', '01.07.2026 24:00', undefined],
    ['%Y%%%m%%%d', '2026%07%01', '2026-07-01'],
    ['%d/%m/%Y', '30/02/2026', undefined],
    ['%d/%m/%Y', '1990-11-05', undefined],
    ['%d/%m/%Y', '05/11/1990 ', undefined],
    ['%d/%m/%Y', '05/11/90', undefined],
    ['%d %b %Y', '1 foo 2026', undefined],
  ]
  for (const [pattern, text, day] of expected) assert.equal(format(pattern).date(text), day, `${pattern} ${text}`)
})

test('reads times with 12 hours, fractions and offsets', () => {
  const at = (pattern: string, text: string): string | undefined => {
    const time = format(pattern).time(text)
    return time && `${new Date(time.at).toISOString()} ${time.offset}`
  }
  assert.equal(at('%Y-%m-%dT%T.%f%z', '2026-07-01T11:50:00.5+03:00'), '2026-07-01T11:50:00.500Z 180')
  assert.equal(at('%d/%m/%Y %I:%M %p %z', '1/7/2026 12:05 AM Z'), '2026-07-01T00:05:00.000Z 0')
  assert.match(at('%d/%m/%Y %I:%M%p', '1/7/2026 12:05pm') ?? '', /^2026-07-01T12:05/)
  assert.equal(at('%d/%m/%Y %I:%M%p', '1/7/2026 13:05pm'), undefined)
  assert.equal(at('%d/%m/%Y %I:%M%p', '1/7/2026 0:05am'), undefined)
  assert.match(at('%F %H:%M:%S', '2016-12-31 23:59:60') ?? '', /23:59:59/)
})

test('refuses formats that cannot give a day', () => {
  for (const pattern of [
    '',
    '%Q',
    '%Y-%m',
    '%H:%M',
    '%d/%m/%Y %d',
    '%Y-%m-%d %I',
    '%Y-%m-%d %H %p',
    '%Y %j %m',
    '%Y-%m-%d %',
    '%y %Y %m %d',
    'x'.repeat(101),
  ]) {
    const parsed = parseFormat(pattern)
    assert.ok('reason' in parsed && parsed.reason !== '' && parsed.fix !== '', pattern)
  }
})

test('formats agree with the ISO reader on any day', () => {
  const ymd = format('%Y-%m-%d')
  const dmy = format('%d.%m.%Y')
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9999 }),
      fc.integer({ min: 0, max: 13 }),
      fc.integer({ min: 0, max: 32 }),
      (y, m, d) => {
        const [year, month, day] = [String(y).padStart(4, '0'), String(m).padStart(2, '0'), String(d).padStart(2, '0')]
        const expected = isoDate(`${year}-${month}-${day}`)
        assert.equal(ymd.date(`${year}-${month}-${day}`), expected)
        assert.equal(dmy.date(`${day}.${month}.${year}`), expected)
      },
    ),
  )
})
