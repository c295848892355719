import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as z from 'zod'
import type { WalkedPage } from '#kernel/context.ts'
import { isFault } from '#kernel/fault.ts'
import { secret } from '#kernel/secret.ts'
import { harness } from '#testing/harness.ts'
import { hang, reply } from '#testing/reply.ts'
import { apiKey } from '../auth/api-key.ts'
import { bearer } from '../auth/bearer.ts'
import { connection } from '../define.ts'
import { subscription, topic } from 'fairlead'
import { longestMark, markOf, readMark, walked } from './resume.ts'

const rows = z.object({ rows: z.array(z.number()) })
const all = [1, 2, 3, 4, 5, 6, 7]
const size = 2

/** Lists of seven, two a page, in every style. */
const shop = connection('shop', {
  baseUrl: 'https://shop.test/v1',
  auth: bearer(secret('SHOP_KEY')),
  retry: false,
  operations: {
    page: { http: 'GET /page', input: z.object({ q: z.string() }), output: rows, pages: 'page' },
    offset: { http: 'GET /offset', input: z.object({ q: z.string() }), output: rows, pages: 'offset' },
    cursor: { http: 'GET /cursor', input: z.object({ q: z.string() }), output: rows, pages: 'cursor' },
    address: { http: 'GET /address', input: z.object({ q: z.string() }), output: rows, pages: 'cursor' },
    link: { http: 'GET /link', input: z.object({ q: z.string() }), output: rows, pages: 'link' },
    body: {
      http: 'POST /body',
      idempotent: 'natural',
      input: z.object({ q: z.string(), at: z.object({ size: z.number() }).optional() }),
      output: rows,
      pages: { style: 'cursor', param: 'at.token', next: 'at.next' },
    },
  },
})

type Style = 'page' | 'offset' | 'cursor' | 'address' | 'link' | 'body'
const styles: readonly Style[] = ['page', 'offset', 'cursor', 'address', 'link', 'body']

/** What the shop answers to a request for a page. */
function answer(style: Style, input: Readonly<Record<string, unknown>>): unknown {
  const within = input['at'] as { token?: string } | undefined
  const asked = input['page'] ?? input['offset'] ?? input['cursor'] ?? input['from'] ?? within?.token
  const from = asked === undefined ? 0 : style === 'page' ? (Number(asked) - 1) * size : Number(asked)
  const found = all.slice(from, from + size)
  const next = from + size < all.length ? String(from + size) : undefined
  if (style === 'cursor') return { rows: found, next }
  if (style === 'address') return { rows: found, next: next && `https://shop.test/v1/address?q=x&from=${next}` }
  if (style === 'body') return { rows: found, at: { next } }
  if (style !== 'link') return { rows: found }
  return reply(200, { rows: found }, next === undefined ? {} : { link: `<?q=x&from=${next}>; rel="next"` })
}

const refused = (reason: RegExp) => (e: unknown) =>
  isFault(e, 'connection.pages') && reason.test(String(e.detail['reason']))

test('a walk that broke goes on with the page in which it broke, in every style of paging', async () => {
  await using t = await harness({ use: [shop] })
  for (const style of styles) {
    const operation = shop[style]
    t.answer(operation, (input: Record<string, unknown>) => answer(style, input))
    for (let breakAt = 0; breakAt <= all.length; breakAt++) {
      const seen: number[] = []
      let kept: string | undefined
      const keep = ({ resume }: WalkedPage): void => void (kept = resume && JSON.stringify(resume))
      for await (const row of t.app.each(operation, { q: 'x' }, { onPage: keep })) {
        if (seen.length === breakAt) break
        seen.push(row)
      }
      const before = seen.length
      const from = kept === undefined ? undefined : (JSON.parse(kept) as unknown)
      if (before < all.length)
        for await (const row of t.app.each(operation, { q: 'x' }, { resume: from, onPage: keep })) seen.push(row)
      // None is left out, and only those of the page in which it broke come twice.
      assert.deepEqual([...new Set(seen)], all, `${style} ${breakAt}`)
      assert.ok(seen.length - all.length < size, `${style} ${breakAt}: ${seen.join()}`)
      assert.equal(kept, undefined)
    }
  }
})

test('pages are told when their items are used up, numbered over all walks, with their items', async () => {
  await using t = await harness({ use: [shop] })
  t.answer(shop.cursor, (input: Record<string, unknown>) => answer('cursor', input))
  const told: unknown[] = []
  let kept: unknown
  const used: number[] = []
  const onPage = async ({ resume, page, items }: WalkedPage<number>): Promise<void> => {
    told.push([page, items, used.at(-1), resume === undefined])
    kept = resume
    await t.settle()
    if (page === 2) throw new Error('disk full')
  }
  const walk = async (resume?: unknown): Promise<void> => {
    for await (const row of t.app.each(shop.cursor, { q: 'x' }, { resume, onPage })) used.push(row)
  }
  await assert.rejects(walk(), /disk full/)
  assert.equal(t.called(shop.cursor).length, 2)
  await walk(kept)
  assert.deepEqual(told, [
    [1, [1, 2], 2, false],
    [2, [3, 4], 4, false],
    [3, [5, 6], 6, false],
    [4, [7], 7, true],
  ])
  assert.deepEqual(used, all)
})

test('a fault, a time limit or an abort in the middle loses nothing', async () => {
  await using t = await harness({ use: [shop] })
  for (const [broken, code] of [
    [reply(503), 'connection.unavailable'],
    [hang, 'connection.timeout'],
    ['abort', 'cancelled'],
  ] as const) {
    const stop = new AbortController()
    let kept: unknown
    const seen: number[] = []
    const walk = async (resume?: unknown): Promise<void> => {
      const { signal } = stop
      const options = resume === undefined ? { signal } : { resume }
      for await (const row of t.app.each(
        shop.cursor,
        { q: 'x' },
        { ...options, onPage: (p) => void (kept = p.resume) },
      ))
        seen.push(row)
    }
    const answers = (input: Record<string, unknown>): unknown => answer('cursor', input)
    t.answer(shop.cursor, answers, answers, broken === 'abort' ? hang : broken)
    const first = assert.rejects(walk(), (e) => isFault(e, code))
    await t.settle()
    if (broken === 'abort') stop.abort()
    await t.advance('30s')
    await first
    assert.deepEqual(seen, [1, 2, 3, 4])
    t.answer(shop.cursor, answers)
    await walk(kept)
    assert.deepEqual(seen, all)
  }
})

test('in handlers a walk goes on page by page, a message each, over faults and redeliveries', async () => {
  const found = topic('found', { schema: z.object({ row: z.number() }) })
  const walks = topic('walks', { schema: z.object({ q: z.string(), resume: z.unknown() }), partitions: 1 })
  const walker = subscription('walker', {
    to: walks,
    handle: async ({ q, resume }, ctx) => {
      const onPage = async (page: WalkedPage<number>): Promise<false> => {
        if (page.resume) await ctx.publish(walks, { q, resume: page.resume })
        return false
      }
      for await (const row of ctx.each(shop.cursor, { q }, { resume, onPage }))
        await ctx.publish(found, { row }, { id: `${q}/${row}` })
    },
  })
  await using t = await harness({ use: [shop, found, walks, walker] })
  const answers = (input: Record<string, unknown>): unknown => answer('cursor', input)
  t.answer(shop.cursor, answers, answers, reply(503), answers)
  await t.publish(walks, { q: 'x', resume: null })
  await t.advance('5m')
  const rows = (await t.messages(found)).map((m) => (m as { row: number }).row)
  assert.deepEqual(new Set(rows), new Set(all))
  assert.equal(rows.length, all.length)
  assert.deepEqual(
    [(await t.messages(walks)).length, t.called(shop.cursor).length, (await t.parked()).length],
    [4, 5, 0],
  )
})

test('a mark of another operation, input, style or shape is refused before anything is sent', async () => {
  await using t = await harness({ use: [shop] })
  const marks: Record<string, object> = {}
  for (const style of styles) {
    t.answer(shop[style], (input: Record<string, unknown>) => answer(style, input))
    for await (const _ of t.app.each(shop[style], { q: 'x' }, { onPage: (p) => void (marks[style] ??= p.resume!) }));
  }
  const calls = (): number => styles.reduce((n, style) => n + t.called(shop[style]).length, 0)
  const before = calls()
  const fails = async (resume: unknown, reason: RegExp, q = 'x', style: Style = 'cursor'): Promise<void> => {
    await assert.rejects(async () => {
      for await (const _ of t.app.each(shop[style], { q }, { resume }));
    }, refused(reason))
  }
  await fails(marks['page'], /another operation/)
  await fails(marks['cursor'], /another input/, 'y')
  for (const style of styles) {
    const at = style === 'page' || style === 'offset' ? 'c' : style === 'link' ? 7 : '//evil.test/v1'
    await fails({ ...marks[style], at }, /style of paging|origin/, 'x', style)
    await fails({ ...marks[style], page: 10_000 }, /more than 10000 pages/, 'x', style)
  }
  const mark = marks['cursor']!
  for (const not of [
    'c',
    7,
    true,
    [],
    {},
    [mark],
    { ...mark, v: 2 },
    { ...mark, page: 0 },
    { ...mark, page: '1' },
    { ...mark, at: '' },
    { ...mark, at: null },
    { ...mark, at: Number.NaN },
    { ...mark, at: 'x'.repeat(longestMark + 1) },
  ])
    await fails(not, /not a mark/)
  assert.equal(calls(), before)
})

test('a mark holds no credential, and what cannot be kept without a secret stops the walk', async () => {
  const keyed = connection('keyed', {
    baseUrl: 'https://keyed.test',
    auth: apiKey(secret('SHOP_KEY'), { query: 'api key' }),
    operations: { list: { http: 'GET /list', output: z.array(z.number()), pages: 'link' } },
  })
  await using t = await harness({ use: [keyed], secrets: { SHOP_KEY: 'hunter2+hunter2' } })
  const links = (second: string): void =>
    t.answer(
      keyed.list,
      reply(200, [1], { link: '</list?a=1%2B&api%20key=hunter2%2Bhunter2&page=2>; rel=next' }),
      reply(200, [2], { link: second }),
      reply(200, [3]),
    )
  const marks: unknown[] = []
  const walk = async (): Promise<number[]> => {
    const seen: number[] = []
    for await (const row of t.app.each(keyed.list, undefined, { onPage: (p) => void marks.push(p.resume) }))
      seen.push(row)
    return seen
  }
  links('</list?api+key=hunter2%2Bhunter2>; rel=next')
  assert.deepEqual(await walk(), [1, 2, 3])
  assert.deepEqual(
    marks.map((m) => (m as { at: string } | undefined)?.at),
    ['/list?a=1%2B&page=2', '/list', undefined],
  )
  assert.ok(!JSON.stringify(marks).includes('hunter2'))
  links('</list?other=hunter2%2Bhunter2>; rel=next')
  await assert.rejects(walk(), refused(/holds a secret/))
  assert.ok(!JSON.stringify(marks).includes('hunter2'))
})

test('a mark is bounded, of any input, and read back as it was kept', () => {
  const of = walked('shop.list', 'GET /list', 'https://shop.test', {})
  assert.throws(() => markOf(of, 1, 'x'.repeat(longestMark), () => false), refused(/longer than 8192/))
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 1_000 }), fc.integer({ min: 1, max: 9_999 }), (at, page) => {
      const mark = markOf(of, page, at, () => false)
      assert.deepEqual(readMark(of, JSON.parse(JSON.stringify(mark))), mark)
    }),
  )
  const one = (input: unknown): string => walked('shop.list', 'GET /list', 'https://shop.test', input).for
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      const shuffled = (v: unknown): unknown =>
        typeof v !== 'object' || v === null || Array.isArray(v) ? v : Object.fromEntries(Object.entries(v).toReversed())
      assert.equal(one(shuffled(a)), one(a))
      if (JSON.stringify(a).length !== JSON.stringify(b).length) assert.notEqual(one(a), one(b))
    }),
  )
  assert.notEqual(one({ n: 1n }), one({ n: 1 }))
  assert.equal(one({ at: new Date(0) }), one({ at: '1970-01-01T00:00:00.000Z' }))
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  assert.throws(
    () => one(circle),
    (e) => isFault(e, 'schema.invalid'),
  )
})
