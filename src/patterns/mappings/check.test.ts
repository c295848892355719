import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { isFault } from '#kernel/fault.ts'
import { checkMapping } from './check.ts'
import { mapping } from './define.ts'

const tables = { programme_codes: { CASH: 'cash' } }
const of = (document: string | object): string[] =>
  checkMapping(mapping('m', { document, tables })).map(({ path, message, fix }) => {
    assert.ok(fix.length > 3)
    return `${path}: ${message}`
  })

test('a right document has no problems', () => {
  assert.deepEqual(of('mappings:\n  - { source: a, target: b, note: "why" }\n'), [])
  assert.deepEqual(of({ name: 'x', version: 1, description: 'y', mappings: [{ source: 'a', target: 'b' }] }), [])
  assert.deepEqual(of('{"mappings":[{"source":"a","target":"b"}]}'), [])
})

test('reports all problems of a document at once, each with its line and column', () => {
  const document = `# registration
mappings:
  - { source: a, target: b.__proto__.x }
  - { source: a, target: c, transform: strin }
  - { source: a, target: d, transform: phone, format: "%Y" }
  - { source: a, target: e, transform: date, format: "%Q" }
  - { source: a, target: f, transform: lookup, lookup_table: nope }
  - { source: a, target: g, transform: lookup }
  - { source: a..b, target: h }
  - { source: a, target: i }
  - { source: a, target: i }
  - { source: a, target: i.j }
  - { source: a, target: "k[40]" }
  - { source: a, target: "l[0]" }
  - { source: a, target: l.m }
  - { source: a, target: o, transform: phone, default_country: XX }
  - { source: a, target: p, transform: datetime, zone: Mars }
  - { source: a, target: q, required: true, default: 1 }
  - { source: a, value: 1, target: r }
  - { source: a }
  - { target: s, value: 1, required: true }
  - { source: a, target: t, null: default }
  - { source: a, target: u, transform: number, default: "1" }
  - { source: a, target: v, required: yes }
  - { source: 5, target: w }
  - { source: a, target: x, default: [1] }
  - just text
`
  assert.deepEqual(of(document), [
    'mapping("m").mappings[24] (line 27, column 5): the entry is not an object',
    'mapping("m").mappings[0].target (line 3, column 26): "__proto__" could reach a prototype and is refused',
    'mapping("m").mappings[1].transform (line 4, column 40): the transform "strin" is not known',
    'mapping("m").mappings[2].format (line 5, column 55): unknown option of phone',
    'mapping("m").mappings[3].format (line 6, column 54): "%Q" is not known',
    'mapping("m").mappings[4].lookup_table (line 7, column 62): the table "nope" was not passed',
    'mapping("m").mappings[5] (line 8, column 5): lookup needs a table',
    'mapping("m").mappings[6].source (line 9, column 15): a segment is empty or a bracket is not closed',
    'mapping("m").mappings[13].default_country (line 16, column 64): there is no such country',
    'mapping("m").mappings[14].zone (line 17, column 56): there is no such zone',
    'mapping("m").mappings[15].default (line 18, column 54): a field with a default cannot be required',
    'mapping("m").mappings[16] (line 19, column 5): has both source and value',
    'mapping("m").mappings[17] (line 20, column 5): the entry has no target',
    'mapping("m").mappings[18].required (line 21, column 38): unknown option of a constant',
    'mapping("m").mappings[19].null (line 22, column 35): there is no default',
    'mapping("m").mappings[20].default (line 23, column 57): the default is not a number as it is written to the target',
    'mapping("m").mappings[21].required (line 24, column 39): is neither true nor false',
    'mapping("m").mappings[22].source (line 25, column 15): is not text',
    'mapping("m").mappings[23].default (line 26, column 38): is a list or an object',
    'mapping("m").mappings[8].target (line 11, column 26): i is already written by mappings[7]',
    'mapping("m").mappings[9].target (line 12, column 26): i.j lies inside the value of mappings[7]',
    'mapping("m").mappings[12].target (line 15, column 26): l.m writes a name into a list of mappings[11]',
    'mapping("m").mappings[10].target (line 13, column 26): k would hold 40 elements that no entry writes',
  ])
})

test('names the place of broken YAML and of keys written twice', () => {
  assert.match(of('mappings:\n  - { source: a, target: [ }\n')[0] ?? '', /\(line 2, column \d+\): not valid YAML/)
  assert.deepEqual(of('mappings:\n  - { source: a, source: b, target: c, transform: nope }\n'), [
    'mapping("m") (line 2, column 18): the key is written twice',
    'mapping("m").mappings[0].transform (line 2, column 51): the transform "nope" is not known',
  ])
  assert.match(of('a: 1\n---\nb: 2\n')[0] ?? '', /not valid YAML/)
  assert.match(of('mappings: !evil\n  - { source: a, target: b }\n')[0] ?? '', /not valid YAML/)
  assert.deepEqual(of('- 1\n'), ['mapping("m") (line 1, column 1): the document is not an object'])
  assert.match(of('mapping:\n  - 1\n').join(), /"mapping" is not known.*there is no list of entries/)
  assert.match(of('mappings: []\n').join(), /the list of entries is empty/)
})

test('bounds size, depth, entries and aliases of a document', () => {
  assert.match(of(`# ${'x'.repeat(1_048_576)}\nmappings: []`).join(), /larger than 1 MiB/)
  const deep = of(`mappings: ${'['.repeat(50_000)}\n`)
  assert.ok(deep.length > 0 && deep.length <= 20)
  const many = Array.from({ length: 1_001 }, (_, i) => ({ source: 'a', target: `t${i}` }))
  assert.match(of({ mappings: many }).join(), /more than 1000 entries/)
  const bomb = `a: &a [x]\nb: &b [${'*a,'.repeat(60)}]\nc: &c [${'*b,'.repeat(60)}]\nmappings: *c\n`
  assert.match(of(bomb).join(), /more than 100 aliases/)
  const laughs = Array.from(
    { length: 10 },
    (_, i) => `l${i}: &l${i} [${i === 0 ? 'x' : `*l${i - 1},`.repeat(9)}]`,
  ).join('\n')
  assert.ok(of(`${laughs}\nmappings: *l9\n`).length > 0)
  assert.deepEqual(of('x: &x { source: a, target: b }\nmappings:\n  - *x\n').length, 1, 'only the key x is unknown')
})

test('checks what stands around a document', () => {
  const wrong = (options: object): string =>
    checkMapping(mapping('m', options as { document: string }))
      .map((p) => `${p.path}: ${p.message}; ${p.fix}`)
      .join('\n')
  assert.match(wrong({ document: 'mappings: []', tabels: {} }), /tabels: unknown option; did you mean "tables"/)
  assert.match(
    wrong({
      document: { mappings: [{ source: 'a', target: 'b' }] },
      phone: 1,
      compile: 'fast',
      to: 2,
      tables: { t: 1 },
    }),
    /to: is not a Standard Schema[^]*phone[^]*compile[^]*tables\.t/,
  )
  assert.match(wrong({ document: 'mappings: []', fields: {} }), /both fields and a document/)
  assert.match(wrong({}), /neither fields nor a document/)
  assert.match(wrong({ fields: {} }), /there are no fields/)
  assert.match(
    wrong({ fields: { a: 1, ['__proto__']: () => 1 } }),
    /fields\.a: is not a function[^]*__proto__|__proto__[^]*fields\.a/,
  )
  assert.match(wrong({ document: 5 }), /neither text nor an object nor a path/)
  assert.equal(wrong({ fields: { a: () => 1 }, to: z.object({ a: z.number() }) }), '')
  assert.match(checkMapping(mapping('not a name', { fields: { a: () => 1 } }))[0]?.message ?? '', /durable address/)
})

test('calling a mapping with a wrong document throws a config fault with the problems', () => {
  const bad = mapping('bad', { document: 'mappings:\n  - { source: a, target: b, transform: nope }\n' })
  assert.throws(
    () => bad({}),
    (e) => isFault(e, 'mapping.document') && e.kind === 'config' && Array.isArray(e.detail['problems']),
  )
  assert.throws(
    () => bad.many([{}]),
    (e) => isFault(e, 'mapping.document'),
  )
})
