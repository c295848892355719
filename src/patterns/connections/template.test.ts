import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isFault } from '#kernel/fault.ts'
import {
  expandPath,
  formString,
  parseTemplate,
  pathShape,
  printTemplate,
  queryString,
  without,
  type Template,
} from './template.ts'

test('a line gives its method, literals, parameters and fixed query', () => {
  const t = parsed('GET /shops/:shop/orders/:id.json?status=any')
  assert.deepEqual(t, {
    method: 'GET',
    texts: ['/shops/', '/orders/', '.json'],
    params: ['shop', 'id'],
    query: 'status=any',
  })
  assert.equal(pathShape(t), '/shops/:shop/orders/:id.json')
})

test('a colon behind a letter or digit is literal', () => {
  assert.deepEqual(parsed('POST /v1/books:batchGet').params, [])
  assert.deepEqual(parsed('POST /v1/:book:cancel').params, ['book'])
})

test('a line that is not one is refused with its reason', () => {
  const wrong: [unknown, RegExp][] = [
    [undefined, /is not a method/],
    ['/charges', /is not a method/],
    ['get /charges', /is not a method/],
    ['GET charges', /is not a method/],
    ['GET  /charges', /is not a method/],
    ['GET /charges#top', /is not a method/],
    ['TRACE /charges', /unknown method TRACE/],
    ['CONNECT /charges', /unknown method CONNECT/],
    ['GET /a b', /is not a method/],
    ['GET /é', /must be encoded/],
    ['GET /a%zz', /must be encoded/],
    ['GET /a?q=é', /must be encoded/],
    ['GET /a/../b', /segment/],
    ['GET /a/%2e%2E', /segment/],
    ['GET /:id/:id', /twice/],
    ['GET /:__proto__', /prototype/],
  ]
  for (const [line, reason] of wrong) {
    const t = parseTemplate(line)
    assert.ok('problem' in t && reason.test(t.problem), `${String(line)}: ${JSON.stringify(t)}`)
  }
})

test('printing a template and parsing it again gives the same', () => {
  const segment = fc.stringMatching(/^[a-z0-9._-]{1,8}$/).filter((s) => s !== '.' && s !== '..')
  const name = fc.stringMatching(/^[a-z_][a-z0-9_]{0,6}$/).filter((n) => n !== '__proto__')
  const line = fc
    .tuple(
      fc.constantFrom('GET', 'POST', 'DELETE'),
      fc.array(segment, { maxLength: 4 }),
      fc.uniqueArray(name, { maxLength: 3 }),
    )
    .map(([method, literals, names]) => `${method} /${[...literals, ...names.map((n) => `:${n}`)].join('/')}`)
  fc.assert(
    fc.property(line, (text) => {
      const t = parsed(text)
      assert.equal(printTemplate(t), text)
      assert.deepEqual(parseTemplate(printTemplate(t)), t)
    }),
  )
})

test('no value of a parameter leaves its segment, and the receiver decodes the same value', () => {
  const t = parsed('GET /charges/:id/refunds')
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), (id) => {
      if (id === '.' || id === '..' || !id.isWellFormed()) return assert.throws(() => expandPath(t, { id }))
      const path = expandPath(t, { id })
      assert.match(path, /^[\x21-\x7e]+$/)
      const url = new URL(`https://api.test${path}`)
      assert.equal(url.pathname, path, 'nothing is normalised away')
      assert.deepEqual(path.split('/').length, 4)
      assert.equal(decodeURIComponent(path.split('/')[2]!), id)
      return undefined
    }),
  )
})

test('a parameter that is missing, empty, a dot segment or an object is refused before anything is sent', () => {
  const t = parsed('GET /charges/:id')
  for (const id of ['', '.', '..', undefined, null, {}, [], Number.NaN, '\ud800']) {
    assert.throws(
      () => expandPath(t, { id }),
      (e) => isFault(e, 'schema.invalid') && e.message.startsWith('id: '),
    )
  }
  assert.throws(
    () => expandPath(parsed('GET /:toString'), {}),
    (e) => isFault(e, 'schema.invalid'),
  )
  assert.equal(expandPath(t, { id: 12n }), '/charges/12')
  assert.equal(expandPath(t, { id: 'a/b?c#d%' }), '/charges/a%2Fb%3Fc%23d%25')
})

test('a query reads back as it was given', () => {
  const value = fc.oneof(fc.string({ unit: 'grapheme' }), fc.integer(), fc.boolean())
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: 'grapheme', minLength: 1 }), fc.oneof(value, fc.array(value))),
      (input) => {
        const back = new URLSearchParams(queryString(input))
        for (const [name, given] of Object.entries(input)) {
          assert.deepEqual(back.getAll(name), [given].flat().map(String))
        }
      },
    ),
  )
})

test('a query leaves out what is absent, repeats lists, writes dates as ISO and refuses objects', () => {
  assert.equal(
    queryString({ a: undefined, b: null, c: [1, 2], d: new Date(0), e: '' }),
    'c=1&c=2&d=1970-01-01T00%3A00%3A00.000Z&e=',
  )
  assert.throws(
    () => queryString({ filter: { a: 1 } }),
    (e) => isFault(e, 'schema.invalid'),
  )
  assert.throws(
    () => queryString({ at: Number.POSITIVE_INFINITY }),
    (e) => isFault(e, 'schema.invalid'),
  )
})

test('a form writes objects with brackets', () => {
  assert.equal(
    formString({ amount: 5, card: { exp: { m: 1 } }, items: ['a', 'b'] }),
    'amount=5&card%5Bexp%5D%5Bm%5D=1&items%5B%5D=a&items%5B%5D=b',
  )
})

test('taking fields out leaves the input as it was', () => {
  const input = { id: 1, rest: 2 }
  assert.deepEqual(without(input, new Set(['id'])), { rest: 2 })
  assert.deepEqual(input, { id: 1, rest: 2 })
  assert.equal(without(input, new Set()), input)
})

function parsed(line: string): Template {
  const t = parseTemplate(line)
  assert.ok(!('problem' in t), JSON.stringify(t))
  return t
}

test('a list of objects in a form tells their places, and a query may be spelled like a form or with commas', () => {
  const input = { items: [{ price: 'p1', n: 1 }, { price: 'p2' }], expand: ['a', 'b'], created: { gte: 5 } }
  const form = 'items[0][price]=p1&items[0][n]=1&items[1][price]=p2&expand[]=a&expand[]=b&created[gte]=5'
  assert.equal(decodeURIComponent(formString(input)), form)
  assert.equal(decodeURIComponent(queryString(input, 'brackets')), form)
  assert.equal(queryString({ ids: ['a,b', 'c'], n: 1, none: [] }, 'comma'), 'ids=a%2Cb,c&n=1')
  assert.throws(
    () => queryString(input, 'comma'),
    (e) => isFault(e, 'schema.invalid'),
  )
})
