import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { virtualClock } from '#testing/clock.ts'
import { json, setup } from '../scripted.test.ts'
import { endingOf } from './headers.ts'
import { apiVersionProblems } from './version.ts'
import { EndingWatch } from './watch.ts'

const now = Date.UTC(2026, 0, 1)
const of = (headers: Record<string, string>): unknown => endingOf(headers, now)
const sunday = 'Sun, 30 Jun 2030 23:59:59 GMT'
const at = Date.UTC(2030, 5, 30, 23, 59, 59)

test('reads the Deprecation field as the standard has it, and as the drafts before it had', () => {
  assert.deepEqual(of({ deprecation: '@1688169599' }), { deprecated: 1_688_169_599_000 })
  assert.deepEqual(of({ deprecation: ' @1688169599;x=1 ' }), { deprecated: 1_688_169_599_000 })
  assert.deepEqual(of({ deprecation: 'true' }), { deprecated: true })
  assert.deepEqual(of({ deprecation: sunday }), { deprecated: at })
  assert.deepEqual(of({ deprecation: '@999999999999999' }), { deprecated: true }, 'a time beyond what can be shown')
  for (const field of ['', 'false', '@', '1688169599', 'soon', '@1e9'])
    assert.equal(of({ deprecation: field }), undefined, field)
})

test('reads Sunset, and the links of both relations without their query', () => {
  assert.deepEqual(of({ sunset: sunday }), { sunset: at })
  assert.equal(of({ sunset: 'soon' }), undefined)
  const link = '</items?page=2>; rel="next", <https://api.test/old?token=x#y>; rel="deprecation"; type="text/html"'
  assert.deepEqual(of({ link }), { link: 'https://api.test/old' })
  assert.deepEqual(of({ link: '<https://api.test/end>; rel=sunset' }), { link: 'https://api.test/end' })
  assert.equal(of({ link: '</items?page=2>; rel="next"' }), undefined)
  assert.equal(of({}), undefined)
})

test('any field gives a date that can be shown, or none', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.integer().map((n) => `@${n}`),
      ),
      fc.string(),
      fc.string(),
      (deprecation, sunset, link) => {
        const ending = endingOf({ deprecation, sunset, link }, now)
        if (typeof ending?.deprecated === 'number')
          assert.doesNotThrow(() => new Date(ending.deprecated as number).toISOString())
      },
    ),
  )
})

function watching(ends?: string) {
  const clock = virtualClock()
  const kept = new Map<string, { value: string; version: number }>()
  const logs: string[] = []
  let writes = 0
  const watch = new EndingWatch(
    'shop',
    ends === undefined ? undefined : { value: 'v1', header: 'x-v', ends },
    {
      clock,
      log: {
        write: (level, event, f = {}) =>
          void logs.push(`${level} ${event} ${JSON.stringify(f['days'] ?? '').replaceAll('"', '')}`.trim()),
      },
    },
    {
      get: async (name) => kept.get(name) ?? null,
      swap: async (name, version, value) => {
        writes++
        if ((kept.get(name)?.version ?? 0) !== version) return false
        kept.set(name, { value, version: version + 1 })
        return true
      },
    },
  )
  const days = async (n: number, headers: Record<string, string>): Promise<void> => {
    for (let i = 0; i < n; i++) {
      for (let call = 0; call < 5; call++) watch.look('order', headers, clock.mono())
      await watch.saved()
      await clock.advance(86_400_000)
    }
  }
  return {
    watch,
    kept,
    logs,
    days,
    writes: () => writes,
    stored: () => JSON.parse([...kept.values()][0]!.value) as unknown,
  }
}

test('is told once, kept with its first and last day, and written once a day however often it is said', async () => {
  const t = watching()
  await t.days(3, { deprecation: '@1688169599', sunset: sunday })
  assert.deepEqual(t.stored(), {
    connection: 'shop',
    operation: 'order',
    deprecated: '2023-06-30T23:59:59.000Z',
    sunset: '2030-06-30T23:59:59.000Z',
    first: '2026-01-01T00:00:00.000Z',
    last: '2026-01-03T00:00:00.000Z',
  })
  assert.deepEqual([t.logs, t.writes()], [['warn connection.deprecated'], 3])
  await t.days(1, { deprecation: '@1688169599', sunset: 'Mon, 01 Jul 2030 00:00:00 GMT' })
  assert.equal(t.logs.length, 2, 'a date that has moved is told again')
})

test('an end that comes near is told 90, 30, 7 and 1 days before, whoever said it', async () => {
  const steps = [
    'warn connection.ends 90',
    'warn connection.ends 30',
    'error connection.ends 7',
    'error connection.ends 1',
  ]
  const said = watching()
  await said.days(101, { sunset: 'Sat, 11 Apr 2026 00:00:00 GMT' })
  assert.deepEqual(
    said.logs.filter((l) => l.includes('ends')),
    steps,
  )
  const declared = watching('2026-04-11')
  await declared.days(101, {})
  assert.deepEqual(declared.logs, steps)
})

test('a pinned version goes into a header or the query of every request, and into the state', async () => {
  const header = setup({ apiVersion: { value: '2026-01-31', header: 'Payments-Version' } })
  header.reply(json(200, [1]))
  await header.open.call(header.api.linked, {})
  assert.equal(header.sent[0]!.headers['payments-version'], '2026-01-31')
  assert.equal(header.open.state().apiVersion, '2026-01-31')
  const query = setup({ apiVersion: { value: '2026-01-31', query: 'api-version' } })
  query.reply(json(200, { items: [] }))
  await query.open.call(query.api.list, { order: 'o1' })
  assert.equal(query.sent[0]!.path, '/v1/charges?api-version=2026-01-31&order=o1')
})

test('a version that is sent nowhere, twice, or ends on no day is refused', () => {
  const wrong = (version: unknown): string[] =>
    apiVersionProblems('v', version, 'https://x.test/api/v2').map((p) => p.path)
  for (const right of [
    undefined,
    { value: 'v2' },
    { value: '2026-01-31', header: 'x-v', ends: '2027-02-28' },
    { value: '7', query: 'v' },
  ])
    assert.deepEqual(wrong(right), [])
  assert.deepEqual(wrong({ value: 'v3' }), ['v'])
  assert.deepEqual(wrong({ value: 'v2', header: 'a', query: 'b' }), ['v'])
  assert.deepEqual(wrong({ value: 'a b', header: 'x y' }), ['v.value', 'v.header'])
  for (const ends of ['2027-02-30', 'soon', 7]) assert.deepEqual(wrong({ value: 'v2', ends }), ['v.ends'])
  assert.deepEqual(wrong({ value: 'v2', end: '2027-01-01' }), ['v.end'])
})
