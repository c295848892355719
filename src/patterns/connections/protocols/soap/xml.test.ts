import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { plainOf } from './plain.ts'
import { child, escapeXml, parseXml, textOf, XmlError, type Element } from './xml.ts'

const refused = (text: string, why: RegExp): void =>
  assert.throws(
    () => parseXml(text),
    (e) => e instanceof XmlError && why.test(e.message) && !e.message.includes('hunter2'),
    text.slice(0, 200),
  )

test('reads elements, namespaces, attributes, references, CDATA, comments, a BOM and ends of lines', () => {
  const root = parseXml(
    '\ufeff<?xml version="1.0" encoding="utf-8" standalone="yes"?>\r\n<!-- a - b -->\n' +
      `<a:r xmlns:a="urn:a" xmlns="urn:d" a:y='1' x="2&#9;&lt;\n3"><b>1 &amp; &#50;<![CDATA[<c>&amp;]]></b><a:c xmlns="" ><d/></a:c>\r\n</a:r>\n`,
  )
  assert.deepEqual(
    [root.name, root.space, [...root.attributes]],
    [
      'r',
      'urn:a',
      [
        ['y', '1'],
        ['x', '2\t< 3'],
      ],
    ],
  )
  const b = child(root, 'b')
  assert.deepEqual([b?.space, textOf(b)], ['urn:d', '1 & 2<c>&amp;'])
  assert.equal(child(child(root, 'c'), 'd')?.space, '')
  assert.equal(root.children.at(-1), '\n')
})

test('refuses what is not well-formed', () => {
  for (const [text, why] of [
    ['', /ends before/],
    ['hunter2', /outside/],
    ['<a>', /ends before/],
    ['<a></b>', /fits no start/],
    ['<a></a><b/>', /two roots/],
    ['<a/>hunter2', /outside/],
    ['</a>', /fits no start/],
    ['<a b="1" b="2"/>', /twice/],
    ['<a xmlns:p="u" xmlns:q="u" p:b="1" q:b="2"/>', /twice/],
    ['<a b=1/>', /does not end/],
    ['<a b="<"/>', /does not end/],
    ['<a b="1"c="2"/>', /does not end/],
    ['<a', /does not end/],
    ['< a/>', /tag that is none/],
    ['<1/>', /tag that is none/],
    ['<a:b:c/>', /does not end/],
    ['<p:a/>', /prefix/],
    ['<a p:b="1"/>', /prefix/],
    ['<a xmlns:p=""/>', /prefix/],
    ['<a>&nbsp;</a>', /entity/],
    ['<a>& </a>', /entity/],
    ['<a>&#0;</a>', /entity/],
    ['<a>&#x110000;</a>', /entity/],
    ['<a>&#xd800;</a>', /entity/],
    ['<a>]]></a>', /\]\]>/],
    ['<a><![CDATA[x</a>', /CDATA/],
    ['<![CDATA[x]]><a/>', /CDATA/],
    ['<a><!-- x -- y --></a>', /comment/],
    ['<a>\u0001</a>', /character/],
    ['<a>\ud800</a>', /character/],
    [' <?xml version="1.0"?><a/>', /processing/],
    ['<a><?php hunter2 ?></a>', /processing/],
  ] as const) {
    refused(text, why)
  }
})

test('has nothing to expand and nobody to ask: document types and entities are refused', () => {
  refused('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', /document type/)
  refused('<!DOCTYPE a [<!ENTITY a "hunter2"><!ENTITY b "&a;&a;">]><a>&b;</a>', /document type/)
  refused('<a><!ENTITY x "y"></a>', /document type/)
})

test('bounds depth and attributes, and takes linear time on what is made to be slow', () => {
  const deep = (n: number): string => '<a>'.repeat(n) + '</a>'.repeat(n)
  assert.equal(parseXml(deep(128)).name, 'a')
  refused(deep(129), /deeper/)
  refused(`<a ${Array.from({ length: 201 }, (_, i) => `b${i}="1"`).join(' ')}/>`, /attributes/)
  refused(`<a ${'b '.repeat(200_000)}/>`, /does not end/)
  refused(`<a>${'&'.repeat(200_000)}</a>`, /entity/)
  refused(`<a ${' '.repeat(500_000)}`, /does not end/)
  refused(`<${'a'.repeat(500_000)}`, /does not end/)
  const declared = `<a ${Array.from({ length: 199 }, (_, i) => `xmlns:p${i}="u"`).join(' ')}>`
  assert.equal(parseXml(`${declared}${'<b xmlns="v"/>'.repeat(50_000)}</a>`).children.length, 50_000)
})

test('gives back what was printed', () => {
  const name = fc.constantFrom('a', 'B', 'é', '_x-1', '漢.字')
  const text = fc.string({ unit: fc.constantFrom('<', '&', '>', '"', "'", ' ', '\n', '\t', '\r', 'é', '😀', ']', '{') })
  type Tree = { name: string; attributes: Record<string, string>; children: readonly (Tree | string)[] }
  const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
    tree: fc.record({
      name,
      attributes: fc.dictionary(name, text, { maxKeys: 3 }),
      children: fc.oneof(
        { maxDepth: 3 },
        fc.constant<readonly string[]>([]),
        text.map((t): readonly string[] => (t === '' ? [] : [t])),
        fc.array(tie('tree'), { maxLength: 3 }) as fc.Arbitrary<readonly Tree[]>,
      ),
    }),
  }))
  const print = (t: Tree): string =>
    `<${t.name}${Object.entries(t.attributes)
      .map(([n, v]) => ` ${n}="${escapeXml(v)}"`)
      .join('')}>${t.children.map((c) => (typeof c === 'string' ? escapeXml(c) : print(c))).join('')}</${t.name}>`
  const same = (e: Element): Tree => ({
    name: e.name,
    attributes: Object.fromEntries(e.attributes),
    children: e.children.map((c) => (typeof c === 'string' ? c : same(c))),
  })
  fc.assert(fc.property(tree, (t) => assert.equal(print(same(parseXml(print(t)))), print(t))))
})

test('never throws anything but its own error', () => {
  const piece = fc.constantFrom(
    '<',
    '>',
    '/',
    'a',
    ' ',
    '=',
    '"',
    "'",
    '&',
    ';',
    '#',
    'x',
    '!',
    '-',
    '[',
    ']',
    '?',
    'xmlns',
    ':',
    'CDATA',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      try {
        parseXml(pieces.join(''))
      } catch (e) {
        assert.ok(e instanceof XmlError, String(e))
      }
    }),
    { numRuns: 500 },
  )
})

test('makes plain data: text, fields, lists, nil, and no way to a prototype', () => {
  const plain = (text: string, lists: readonly string[] = []): unknown => plainOf(parseXml(text), new Set(lists))
  const xsi = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
  assert.equal(plain('<a> 1 </a>'), ' 1 ')
  assert.equal(plain(`<a ${xsi} i:nil="true"/>`), null)
  assert.deepEqual(plain(`<a ${xsi} i:type="t" x="1">2</a>`), { '@x': '1', '#text': '2' })
  assert.deepEqual(plain('<a> <b>1</b> <c><d/></c> <b>2</b> <b>3</b> </a>'), { b: ['1', '2', '3'], c: { d: '' } })
  assert.deepEqual(plain('<a><l><i>1</i></l></a>', ['l/i', 'n']), { n: [], l: { i: ['1'] } })
  assert.deepEqual(plain('<a><l/></a>', ['l/i']), { l: { i: [] } })
  assert.throws(() => plain('<a><__proto__><x>1</x></__proto__></a>'), XmlError)
  const odd = plain('<a><constructor>1</constructor></a>') as object
  assert.equal(Object.getPrototypeOf(odd), Object.prototype)
})
