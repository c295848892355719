import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { linkTo, parseLinks } from './link.ts'

test('reads several links, relations without case, in any form of quoting', () => {
  const field =
    '<https://api.test/items?page=2&a=1,2;3>; rel="next prefetch", </items?page=9>; title="a, \\"b\\"; c"; REL=Last'
  assert.deepEqual(parseLinks(field), [
    { uri: 'https://api.test/items?page=2&a=1,2;3', rel: ['next', 'prefetch'] },
    { uri: '/items?page=9', rel: ['last'] },
  ])
})

test('takes the first relation of a link, and leaves out a link about something else', () => {
  assert.equal(linkTo('</a>; rel=prev; rel=next, </b>; rel=next', 'next'), '/b')
  assert.equal(linkTo('</a>; rel=next; anchor="#foo", </b>; rel=next', 'next'), '/b')
  assert.equal(linkTo('</a>; rel=prev', 'next'), undefined)
  assert.equal(linkTo(undefined, 'next'), undefined)
})

test('stops at what it cannot read', () => {
  assert.deepEqual(parseLinks('https://x; rel=next'), [])
  assert.deepEqual(parseLinks('</a>; rel=a, <b; rel=next'), [{ uri: '/a', rel: ['a'] }])
})

test('reads back what was written, and ends on any text', () => {
  const uri = fc.webUrl()
  const title = fc.string({ unit: 'grapheme-ascii' })
  fc.assert(
    fc.property(fc.array(fc.tuple(uri, title)), (links) => {
      const quote = (t: string): string => `"${t.replace(/[\\"]/g, '\\$&')}"`
      const field = links.map(([u, t]) => `<${u}>; title=${quote(t)}; rel="next"`).join(', ')
      assert.deepEqual(
        parseLinks(field).map((l) => l.uri),
        links.map(([u]) => u),
      )
    }),
  )
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('<', '>', ';', ',', '=', '"', '\\', ' ', 'a', 'r', 'e', 'l') }),
      (text) => void parseLinks(text),
    ),
  )
})
