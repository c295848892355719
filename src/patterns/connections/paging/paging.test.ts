import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isFault } from '#kernel/fault.ts'
import { pager, type Page, type Pages, type PageStep } from './paging.ts'

const origin = 'https://api.test'
const bytes = (v: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(v))
const page = (body: unknown, headers: Record<string, string> = {}, path = '/v2/items?x=1'): Page => ({
  body,
  headers,
  raw: bytes(body),
  path,
  items: Array.isArray(body)
    ? (body as unknown[])
    : ((Object.values(body as object).find(Array.isArray) as unknown[]) ?? []),
})
const after = (pages: Pages, body: unknown, headers?: Record<string, string>): PageStep | undefined => {
  const p = pager(pages, origin)
  p.first({})
  return p.after(page(body, headers))
}
const pagesFault = (reason: RegExp) => (e: unknown) =>
  isFault(e, 'connection.pages') && reason.test(String(e.detail['reason']))

test('an operation without pages has one', () => {
  const p = pager(undefined, origin)
  assert.deepEqual(p.first({}), {})
  assert.equal(p.after(page({ items: [1], next: 'more' })), undefined)
})

test('a cursor is looked for under the usual names, or where it was said to be', () => {
  assert.deepEqual(after('cursor', { items: [1], next: 'c2' }), { fields: { cursor: 'c2' } })
  assert.deepEqual(after('cursor', { items: [1], nextPageToken: 7 }), { fields: { cursor: 7 } })
  assert.deepEqual(
    after(
      { style: 'cursor', param: 'after', next: 'paging.next.after' },
      { results: [1], paging: { next: { after: 'c' } } },
    ),
    {
      fields: { after: 'c' },
    },
  )
  for (const body of [{ items: [] }, { items: [1], next: null }, { items: [1], next: '' }])
    assert.equal(after('cursor', body), undefined)
})

test('a cursor may be a field of the last item, as long as there is more', () => {
  const stripe: Pages = { style: 'cursor', param: 'starting_after', after: 'id', more: 'has_more' }
  assert.deepEqual(after(stripe, { data: [{ id: 'a' }, { id: 'b' }], has_more: true }), {
    fields: { starting_after: 'b' },
  })
  assert.equal(after(stripe, { data: [{ id: 'a' }], has_more: false }), undefined)
})

test('a cursor that is an address is followed on the same origin only', () => {
  assert.deepEqual(after('cursor', { items: [1], next: 'https://api.test/v2/items?page=2#x' }), {
    path: '/v2/items?page=2',
  })
  assert.deepEqual(after('cursor', { items: [1], next: '?page=2' }), { path: '/v2/items?page=2' })
  for (const next of [
    'https://evil.test/items',
    'http://api.test/items',
    '//evil.test/items',
    'https://api.test:444/',
  ]) {
    assert.throws(() => after('cursor', { items: [1], next }), pagesFault(/origin/), next)
  }
})

test('the Link field is followed on the same origin only', () => {
  assert.deepEqual(after('link', [1], { link: '<?page=2>; rel="next", </z>; rel="last"' }), {
    path: '/v2/items?page=2',
  })
  assert.deepEqual(after('link', [1], { link: '<https://user:pw@api.test/b>; rel=next' }), { path: '/b' })
  assert.equal(after('link', [1], {}), undefined)
  assert.throws(() => after('link', [1], { link: '<https://evil.test/>; rel=next' }), pagesFault(/origin/))
})

test('pages are counted from 1, offsets by what has come, until a page is empty', () => {
  const walk = (pages: Pages, input: unknown, sizes: number[]): unknown[] => {
    const p = pager(pages, origin)
    const steps: unknown[] = [p.first(input).fields]
    let n = 0
    for (const size of sizes) steps.push(p.after(page(Array.from({ length: size }, () => n++)))?.fields)
    return steps
  }
  assert.deepEqual(walk('page', {}, [2, 2, 0]), [{ page: 1 }, { page: 2 }, { page: 3 }, undefined])
  assert.deepEqual(walk({ style: 'page', first: 0, param: 'p' }, {}, [1]), [{ p: 0 }, { p: 1 }])
  assert.deepEqual(walk({ style: 'page', param: 'at.page' }, { at: { page: 3 } }, []), [{ 'at.page': 3 }])
  assert.deepEqual(walk('offset', { offset: 10 }, [3, 2, 0]), [
    { offset: 10 },
    { offset: 13 },
    { offset: 15 },
    undefined,
  ])
})

test('a server that goes in circles is not followed for ever, and not taken for the end', () => {
  const cursors = pager('cursor', origin)
  cursors.after(page({ items: [1], next: 'a' }))
  cursors.after(page({ items: [2], next: 'b' }))
  assert.throws(() => cursors.after(page({ items: [3], next: 'a' })), pagesFault(/twice/))
  const deaf = pager('page', origin)
  deaf.after(page([1, 2]))
  assert.throws(() => deaf.after(page([1, 2])), pagesFault(/twice/))
})

test('every walk ends within its limit of pages', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      fc.array(fc.oneof(fc.nat(), fc.string(), fc.constant(null)), { minLength: 40, maxLength: 40 }),
      (most, next) => {
        const p = pager({ style: 'cursor', most }, origin)
        let pages = 0
        try {
          for (const cursor of next) {
            pages++
            if (p.after(page({ items: [pages], next: cursor })) === undefined) break
          }
        } catch (e) {
          assert.ok(isFault(e, 'connection.pages'))
        }
        assert.ok(pages <= most)
      },
    ),
  )
})

test('items are the answer itself, its first list, or where they were said to be', () => {
  const items = (pages: Pages, output: unknown): unknown => pager(pages, origin).items(output)
  assert.deepEqual(items('page', [1]), [1])
  assert.deepEqual(items('page', { total: 2, rows: [1, 2] }), [1, 2])
  assert.deepEqual(items({ style: 'page', items: 'data.rows' }, { list: [9], data: { rows: [1] } }), [1])
  assert.throws(
    () => items('page', { rows: 'none' }),
    (e) => isFault(e, 'connection.response'),
  )
})
