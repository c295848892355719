import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '#kernel/fault.ts'
import type { ConnectionOptions, OperationSpec } from './define.ts'
import type { PageStep } from './paging/paging.ts'
import { prepare, type Ready, type Rendered } from './operation.ts'

const ready = (spec: OperationSpec, options: Partial<ConnectionOptions> = {}): Ready =>
  prepare({ kind: 'operation', connection: 'c', name: 'o', spec }, { baseUrl: 'https://api.test/v2/', ...options })
const render = (spec: OperationSpec, input: unknown, step?: PageStep): Rendered => ready(spec).render(input, step)
const refused = (e: unknown): boolean => isFault(e, 'schema.invalid')

test('what is not in the path goes into the query where the method has no body', () => {
  for (const method of ['GET', 'HEAD', 'DELETE']) {
    assert.deepEqual(
      render({ http: `${method} /charges/:id?expand=all` }, { id: 'a/b', since: '2026', tag: ['x', 'y'] }),
      {
        path: '/v2/charges/a%2Fb?expand=all&since=2026&tag=x&tag=y',
        body: undefined,
      },
    )
  }
  assert.deepEqual(render({ http: 'GET /charges' }, {}), { path: '/v2/charges', body: undefined })
  assert.deepEqual(render({ http: 'GET /charges' }, undefined), { path: '/v2/charges', body: undefined })
})

test('what is not in the path goes into the body where the method has one, but for named query fields', () => {
  assert.deepEqual(render({ http: 'POST /charges/:id', query: ['dry'] }, { id: 1, dry: true, amount: 5 }), {
    path: '/v2/charges/1?dry=true',
    body: '{"amount":5}',
  })
  assert.equal(render({ http: 'POST /charges', body: 'form' }, { a: { b: 1 } }).body, 'a%5Bb%5D=1')
  assert.equal(render({ http: 'POST /charges' }, [1, 2]).body, '[1,2]')
  assert.equal(render({ http: 'POST /charges' }, {}).body, '{}')
})

test('no body is sent when nothing is left for it', () => {
  assert.equal(render({ http: 'POST /charges/:id/refunds' }, { id: 1 }).body, undefined)
  assert.equal(render({ http: 'POST /charges' }, undefined).body, undefined)
})

test('input that has no place is refused', () => {
  assert.throws(() => render({ http: 'GET /charges' }, [1]), refused)
  assert.throws(() => render({ http: 'GET /charges' }, 'x'), refused)
  assert.throws(() => render({ http: 'GET /charges/:id' }, undefined), refused)
  assert.throws(() => render({ http: 'POST /charges/:id' }, [1]), refused)
  assert.throws(() => render({ http: 'POST /charges' }, { n: 1n }), refused)
  assert.throws(() => render({ http: 'POST /charges', body: 'form' }, [1]), refused)
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  assert.throws(() => render({ http: 'POST /charges' }, circle), refused)
})

test('a page asks with its own fields instead of those of the input, wherever these go', () => {
  const paged = (spec: OperationSpec, input: unknown, name: string): Rendered =>
    render({ pages: 'cursor', ...spec }, input, { fields: { [name]: 'c' } })
  assert.equal(paged({ http: 'GET /items' }, { page: 1, q: 'x' }, 'page').path, '/v2/items?page=c&q=x')
  assert.equal(paged({ http: 'GET /items' }, undefined, 'page').path, '/v2/items?page=c')
  assert.equal(paged({ http: 'GET /items/:page' }, { q: 'x' }, 'page').path, '/v2/items/c?q=x')
  assert.equal(paged({ http: 'POST /search' }, { q: 'x' }, 'cursor').body, '{"q":"x","cursor":"c"}')
  assert.deepEqual(paged({ http: 'POST /search', query: ['cursor'] }, { q: 'x' }, 'cursor'), {
    path: '/v2/search?cursor=c',
    body: '{"q":"x"}',
  })
  assert.deepEqual(paged({ http: 'GET /items', headerFields: { cursor: 'x-cursor' } }, {}, 'cursor').headers, {
    'x-cursor': 'c',
  })
  assert.equal(render({ http: 'GET /items', pages: 'link' }, {}, { path: '/v2/items?c=1' }).path, '/v2/items?c=1')
})

test('in a body the dots of a page field are steps, in a query letters', () => {
  const body = (input: unknown, spec: Partial<OperationSpec> = {}): unknown =>
    render({ http: 'POST /search', pages: 'cursor', ...spec }, input, { fields: { 'page.after': 'c' } }).body
  const input = Object.freeze({ q: 'x', page: Object.freeze({ size: 9, after: 'b' }) })
  assert.equal(body(input), '{"q":"x","page":{"size":9,"after":"c"}}')
  assert.equal(body({ q: 'x' }), '{"q":"x","page":{"after":"c"}}')
  assert.equal(body(undefined), '{"page":{"after":"c"}}')
  assert.equal(body({ page: null }), '{"page":{"after":"c"}}')
  assert.equal(body({ 'page.after': 'b' }), '{"page.after":"c"}')
  assert.equal(body({ q: 'x' }, { body: 'form' }), 'q=x&page%5Bafter%5D=c')
  assert.equal(body({ page: { size: 9 } }, { bodyField: 'page' }), '{"size":9,"after":"c"}')
  for (const page of ['x', 7, [1]]) assert.throws(() => body({ page }), refused)
  assert.equal(
    render({ http: 'GET /items', pages: 'page' }, {}, { fields: { 'page.number': 2 } }).path,
    '/v2/items?page.number=2',
  )
  const proto = render({ http: 'POST /search', pages: 'cursor' }, {}, { fields: { '__proto__.polluted': 'c' } })
  assert.equal(proto.body, '{"__proto__":{"polluted":"c"}}')
  assert.equal(({} as { polluted?: unknown }).polluted, undefined)
})

test('may be repeated: by method, by declaration, by key', () => {
  const may = (spec: OperationSpec): unknown[] => {
    const r = ready(spec)
    return [r.natural, r.keyed, r.repeatable]
  }
  assert.deepEqual(may({ http: 'GET /x' }), [true, false, true])
  assert.deepEqual(may({ http: 'PUT /x' }), [true, false, true])
  assert.deepEqual(may({ http: 'PUT /x', idempotent: false }), [false, false, false])
  assert.deepEqual(may({ http: 'POST /x' }), [false, false, false])
  assert.deepEqual(may({ http: 'PATCH /x' }), [false, false, false])
  assert.deepEqual(may({ http: 'POST /x', idempotent: 'natural' }), [true, false, true])
  assert.deepEqual(may({ http: 'POST /x', idempotent: 'key' }), [false, true, true])
})

test('times: 3 s to connect, 10 s to the first byte and between two, 30 s in all, each bounded by the whole', () => {
  assert.deepEqual(ready({ http: 'GET /x' }).timeouts, {
    connect: 3_000,
    firstByte: 10_000,
    idle: 10_000,
    total: 30_000,
  })
  assert.deepEqual(ready({ http: 'GET /x', timeout: '2s' }).timeouts, {
    connect: 2_000,
    firstByte: 2_000,
    idle: 2_000,
    total: 2_000,
  })
  assert.deepEqual(ready({ http: 'GET /x' }, { timeout: '5m' }).timeouts, {
    connect: 3_000,
    firstByte: 300_000,
    idle: 300_000,
    total: 300_000,
  })
  assert.equal(ready({ http: 'GET /x' }, { timeout: { idle: '3s' } }).timeouts.idle, 3_000)
  assert.deepEqual(ready({ http: 'GET /x' }, { timeout: { connect: '1s', total: '4s' } }).timeouts, {
    connect: 1_000,
    firstByte: 4_000,
    idle: 4_000,
    total: 4_000,
  })
})

test('headers: the operation over the connection over ours, names in lower case', () => {
  const { headers } = ready(
    { http: 'POST /x', headers: { 'X-B': '2', Accept: 'application/vnd.x+json' } },
    { headers: { 'x-a': '1', 'X-B': '1' } },
  )
  assert.deepEqual(headers, {
    accept: 'application/vnd.x+json',
    'accept-encoding': 'identity',
    'user-agent': 'fairlead',
    'content-type': 'application/json',
    'x-a': '1',
    'x-b': '2',
  })
})

test('named fields go into headers, and one field can be the whole body', () => {
  const spec: OperationSpec = {
    http: 'PUT /repos/:repo/labels',
    bodyField: 'labels',
    headerFields: { ifMatch: 'If-Match' },
  }
  assert.deepEqual(render(spec, { repo: 'a', labels: ['x'], ifMatch: '"1"' }), {
    path: '/v2/repos/a/labels',
    body: '["x"]',
    headers: { 'if-match': '"1"' },
  })
  assert.deepEqual(render(spec, { repo: 'a', labels: [] }).headers, {})
  assert.equal(render({ http: 'POST /labels', bodyField: 'labels' }, { labels: 'x' }).body, '"x"')
  assert.deepEqual(render({ http: 'GET /items', headerFields: { tenant: 'x-tenant' } }, { tenant: 7, page: 2 }), {
    path: '/v2/items?page=2',
    body: undefined,
    headers: { 'x-tenant': '7' },
  })
  assert.equal(render({ http: 'POST /ping', headerFields: { tenant: 'x-tenant' } }, { tenant: 7 }).body, undefined)
  for (const ifMatch of ['a\r\nx-evil: 1', ' a', 'ü\u2028', ['a'], {}]) {
    assert.throws(() => render(spec, { repo: 'a', labels: [], ifMatch }), refused)
  }
  assert.throws(() => render(spec, { repo: 'a', labels: [], more: 1 }), refused)
})

test('DELETE has a body where one was asked for', () => {
  assert.deepEqual(render({ http: 'DELETE /labels/:id', body: 'json' }, { id: 1, names: ['x'] }), {
    path: '/v2/labels/1',
    body: '{"names":["x"]}',
  })
  assert.equal(ready({ http: 'DELETE /labels', body: 'json' }).headers['content-type'], 'application/json')
  assert.equal(ready({ http: 'DELETE /labels' }).headers['content-type'], undefined)
})
