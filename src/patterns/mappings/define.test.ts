import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { expectTypeOf } from 'expect-type'
import { parsePhoneNumberFromString, type CountryCode } from 'libphonenumber-js/max'
import { z } from 'zod'
import { isDefinition } from '#kernel/definition.ts'
import { isFault } from '#kernel/fault.ts'
import type { Files } from '#kernel/runtime.ts'
import { checkMapping, lineage, loadMapping, mapping, printLineage, type Mapping } from './define.ts'
import type { Reject } from './reject.ts'

const Order = z.object({ id: z.string(), total: z.number(), email: z.string(), note: z.string().optional() })
const Invoice = z.object({
  number: z.string(),
  cents: z.number().int(),
  contact: z.email(),
  note: z.string().optional(),
})
const toInvoice = mapping('order-to-invoice', {
  from: Order,
  to: Invoice,
  fields: {
    number: (o) => `ORD-${o.id}`,
    cents: (o) => Math.round(o.total * 100),
    contact: (o) => o.email,
    note: (o) => o.note?.trim(),
  },
})
const order = { id: 'o1', total: 9.9, email: 'a@example.com' }

const yaml = `
mappings:
  - { source: reg_id,         target: external_id,             transform: string }
  - { source: dob,            target: date_of_birth,           transform: date, format: "%Y-%m-%d" }
  - { source: mobile,         target: "phone_numbers[0].value", transform: phone, default_country: +254 }
  - { source: reg_date,       target: registration.date,       transform: datetime }
  - { source: programme_code, target: registration.programme,  transform: lookup, lookup_table: programme_codes }
`
const tables = { programme_codes: { CASH: 'cash-transfer', WASH: 'water-sanitation' } }
const beneficiary = mapping('beneficiary', { document: yaml, tables })
const registration = {
  reg_id: 17,
  dob: '1990-02-28',
  mobile: '0712 345 678',
  reg_date: '2026-07-01T11:50:00+03:00',
  programme_code: 'CASH',
}

function rejectsOf(run: () => unknown): readonly Reject[] {
  let rejects: readonly Reject[] = []
  assert.throws(run, (e) => {
    if (!isFault(e, 'mapping.rejected')) return false
    rejects = e.detail['rejects'] as readonly Reject[]
    return e.kind === 'invalid'
  })
  return rejects
}

test('arrows map one record, and the target schema has the last word', () => {
  assert.deepEqual(toInvoice(order), { number: 'ORD-o1', cents: 990, contact: 'a@example.com' })
  assert.deepEqual(toInvoice({ ...order, note: ' hi ' }), {
    number: 'ORD-o1',
    cents: 990,
    contact: 'a@example.com',
    note: 'hi',
  })
  assert.deepEqual(
    rejectsOf(() => toInvoice({ ...order, email: 'nobody' })),
    [{ index: 0, field: 'contact', path: '', value: 'nobody', rule: 'schema', reason: 'Invalid email address' }],
  )
})

test('types are inferred from the schemas, the arrows, or both', () => {
  expectTypeOf(toInvoice).parameters.toEqualTypeOf<[z.infer<typeof Order>]>()
  expectTypeOf(toInvoice).returns.toEqualTypeOf<z.infer<typeof Invoice>>()
  expectTypeOf(toInvoice.many([order]).mapped).toEqualTypeOf<z.infer<typeof Invoice>[]>()
  const half = mapping('half', { from: Order, fields: { double: (o) => o.total * 2 } })
  expectTypeOf(half).returns.toEqualTypeOf<{ double: number }>()
  const bare = mapping('bare', { fields: { id: (o: { key: string }) => o.key } })
  expectTypeOf(bare).parameters.toEqualTypeOf<[{ key: string }]>()
  expectTypeOf(bare).returns.toEqualTypeOf<{ id: string }>()
  const into = mapping('into', { to: z.object({ id: z.string() }), fields: { id: (o: { key: string }) => o.key } })
  expectTypeOf(into).parameters.toEqualTypeOf<[{ key: string }]>()
  expectTypeOf(beneficiary).returns.toEqualTypeOf<Record<string, unknown>>()
  const checked = mapping('checked', { document: yaml, tables, to: z.object({ external_id: z.string() }) })
  expectTypeOf(checked).returns.toEqualTypeOf<{ external_id: string }>()
  expectTypeOf(toInvoice).toExtend<Mapping>()
  const number = (o: z.infer<typeof Order>): string => o.id
  const cents = (o: z.infer<typeof Order>): number => o.total
  // @ts-expect-error `contact` is missing
  mapping('x', { from: Order, to: Invoice, fields: { number, cents } })
  // @ts-expect-error `contact` must be text
  mapping('x', { from: Order, to: Invoice, fields: { number, cents, contact: cents } })
  // @ts-expect-error the target has no `extra`
  mapping('x', { from: Order, to: Invoice, fields: { number, cents, contact: number, extra: number } })
  // @ts-expect-error the target has no `extra`, also without `from`
  mapping('x', { to: Invoice, fields: { number, cents, contact: number, extra: number } })
  // @ts-expect-error arrows and a document exclude each other
  mapping('x', { fields: { number }, document: yaml })
  // @ts-expect-error the source has no such field
  half({ total: 1 })
  assert.deepEqual([half(order), bare({ key: 'k' }), into({ key: 'k' })], [{ double: 19.8 }, { id: 'k' }, { id: 'k' }])
})

test('a mapping is a frozen definition and a function', () => {
  assert.ok(isDefinition(toInvoice) && Object.isFrozen(toInvoice) && typeof toInvoice === 'function')
  assert.equal(toInvoice.kind, 'mapping')
  assert.equal(toInvoice.name, 'order-to-invoice')
  assert.equal(toInvoice.to, Invoice)
  assert.deepEqual(checkMapping(toInvoice), [])
  assert.deepEqual([order].map(toInvoice), [toInvoice(order)])
})

test('an arrow that throws rejects its record, and its reason holds no payload', () => {
  const risky = mapping('risky', {
    fields: {
      a: (o: { text: string }) => JSON.parse(o.text) as unknown,
      b: (o: { text: string }) => (o as unknown as { deep: { x: string } }).deep.x,
    },
  })
  const { mapped, rejects, rejected } = risky.many([{ text: 'hunter2 {' }])
  assert.deepEqual([mapped, rejected], [[], 1])
  assert.deepEqual(
    rejects.map(({ field, rule, reason }) => [field, rule, reason]),
    [
      ['a', 'arrow', 'the arrow threw SyntaxError'],
      ['b', 'arrow', "the arrow threw: Cannot read properties of undefined (reading 'x')"],
    ],
  )
})

test('the document of the manual maps a registration', () => {
  assert.deepEqual(beneficiary(registration), {
    external_id: '17',
    date_of_birth: '1990-02-28',
    phone_numbers: [{ value: '+254712345678' }],
    registration: { date: '2026-07-01T08:50:00.000Z', programme: 'cash-transfer' },
  })
})

test('missing is not null: what is absent stays absent, null stays null', () => {
  assert.deepEqual(beneficiary({}), {})
  assert.deepEqual(beneficiary({ mobile: null, reg_date: null }), {
    phone_numbers: [{ value: null }],
    registration: { date: null },
  })
  assert.deepEqual(Object.keys(beneficiary({ dob: undefined })), [])
  const nulls = (options: string, record: object): unknown => {
    const m = mapping('n', { document: `mappings:\n  - { source: a, target: b, ${options} }` })
    assert.deepEqual(checkMapping(m), [])
    const { mapped, rejects } = m.many([record])
    return mapped[0] ?? rejects[0]?.rule
  }
  assert.deepEqual(nulls('null: reject', { a: null }), 'null')
  assert.deepEqual(nulls('null: omit', { a: null }), {})
  assert.deepEqual(nulls('null: default, default: 5', { a: null }), { b: 5 })
  assert.deepEqual(nulls('default: 5', { a: null }), { b: null })
  assert.deepEqual(nulls('default: 5', {}), { b: 5 })
  assert.deepEqual(nulls('required: true', {}), 'required')
  assert.deepEqual(nulls('required: true', { a: null }), 'null')
  assert.deepEqual(nulls('required: true, null: keep', { a: null }), { b: null })
  assert.deepEqual(nulls('transform: number, invalid: omit', { a: 'x' }), {})
  assert.deepEqual(nulls('transform: number, invalid: null', { a: 'x' }), { b: null })
  assert.deepEqual(nulls('transform: number, invalid: default, default: 0', { a: 'x' }), { b: 0 })
  assert.deepEqual(nulls('transform: number', { a: '' }), 'number')
  assert.deepEqual(nulls('transform: number, empty: missing', { a: '' }), {})
  assert.deepEqual(nulls('transform: number, empty: missing, required: true', { a: '' }), 'required')
  assert.deepEqual(nulls('transform: number, empty: null', { a: '' }), { b: null })
})

test('list elements keep their places', () => {
  const m = mapping('m', {
    document: {
      mappings: [
        { source: 'lat', target: 'at[0]' },
        { source: 'lon', target: 'at[1]' },
        { source: 'z', target: 'gap[2].v' },
      ],
    },
  })
  assert.deepEqual(m({ lat: 1, lon: 2 }), { at: [1, 2] })
  assert.deepEqual(m({ lon: 2 }), { at: [null, 2] })
  assert.deepEqual(m({ lat: 1 }), { at: [1] })
  assert.deepEqual(m({ z: 3 }), { gap: [null, null, { v: 3 }] })
})

test('of 1,000 records 997 are mapped and 3 rejected, each with field, path, value, rule and reason', () => {
  const records = Array.from({ length: 1000 }, (_, i) => ({
    ...registration,
    reg_id: `R${i}`,
    mobile: `07${String(12_000_000 + i)}`,
  }))
  Object.assign(records[41]!, { dob: '1990-02-30' })
  Object.assign(records[500]!, { mobile: 'not known' })
  Object.assign(records[999]!, { programme_code: 'XXXX' })
  for (const compile of ['auto', 'closures'] as const) {
    const { mapped, rejects, rejected } = mapping('b', { document: yaml, tables, compile }).many(records)
    assert.deepEqual([mapped.length, rejected], [997, 3])
    assert.deepEqual(rejects, [
      {
        index: 41,
        field: 'date_of_birth',
        path: 'dob',
        value: '1990-02-30',
        rule: 'date',
        reason: 'does not fit %Y-%m-%d, or there is no such day',
      },
      {
        index: 500,
        field: 'phone_numbers[0].value',
        path: 'mobile',
        value: 'not known',
        rule: 'phone',
        reason: 'is not a phone number, read in KE',
      },
      {
        index: 999,
        field: 'registration.programme',
        path: 'programme_code',
        value: 'XXXX',
        rule: 'lookup',
        reason: 'the table programme_codes has no such key',
      },
    ])
    assert.equal(mapped[41]?.['external_id'], 'R42', 'the others keep their order')
  }
})

test('one record with several bad fields has one row for each', () => {
  const rejects = rejectsOf(() =>
    beneficiary({ ...registration, dob: 'x', mobile: 'y', reg_date: '2026-07-01T00:00:00' }),
  )
  assert.deepEqual(
    rejects.map((r) => r.rule),
    ['date', 'phone', 'datetime'],
  )
  for (const record of [null, 5, 'text', undefined])
    assert.equal(rejectsOf(() => beneficiary(record))[0]?.rule, 'record')
})

test('rejects mask sensitive fields and bound long values', () => {
  const m = mapping('m', {
    document: `mappings:
  - { source: login/pin, target: a, transform: number }
  - { source: x, target: card.cvc, transform: number }
  - { source: y, target: b, transform: number, sensitive: true }
  - { source: z, target: c, transform: number }
  - { source: n, target: d, transform: number }
`,
  })
  const secret = 'hunter2-hunter2'
  const { rejects } = m.many([
    { 'login/pin': secret, x: secret, y: secret, z: 'z'.repeat(500), n: '4111 1111 1111 1111' },
  ])
  assert.deepEqual(
    rejects.map((r) => r.value),
    ['[masked]', '[masked]', '[masked]', `${'z'.repeat(80)}…`, '[masked]'],
  )
  assert.ok(!JSON.stringify(rejects).includes('hunter2'))
})

test('issues of the target schema name the field and the source that filled it', () => {
  const Target = z.object({
    contact: z.object({ mail: z.email() }),
    secret: z.string().max(3),
    ages: z.array(z.number().max(120)),
  })
  const m = mapping('m', {
    to: Target,
    document: {
      mappings: [
        { source: 'e', target: 'contact.mail' },
        { source: 's', target: 'secret' },
        { source: 'list', target: 'ages' },
      ],
    },
  })
  const { mapped, rejects } = m.many([
    { e: 'a@example.com', s: 'abc', list: [1] },
    { e: 'x', s: 'hunter2', list: [1, 200] },
    {},
  ])
  assert.equal(mapped.length, 1)
  assert.deepEqual(
    rejects.map(({ index, field, path, value, rule }) => [index, field, path, value, rule]),
    [
      [1, 'contact.mail', 'e', 'x', 'schema'],
      [1, 'secret', 's', '[masked]', 'schema'],
      [1, 'ages[1]', 'list', 200, 'schema'],
      [2, 'contact', 'e', undefined, 'schema'],
      [2, 'secret', 's', undefined, 'schema'],
      [2, 'ages', 'list', undefined, 'schema'],
    ],
  )
  const later = mapping('later', { to: z.object({ a: z.string().refine(async () => true) }), fields: { a: () => 'x' } })
  assert.throws(
    () => later(null),
    (e) => isFault(e, 'config.option'),
  )
})

test('what an injected normaliser or a getter throws rejects the record only', () => {
  const m = mapping('m', {
    document:
      'mappings:\n  - { source: p, target: q, transform: phone, default_country: KE }\n  - { source: g, target: h }',
    phone: (text) => {
      if (text === 'boom') throw new Error(`cannot parse ${text}`)
      return '+254712345678'
    },
  })
  const getter = Object.defineProperty({}, 'g', {
    get: () => {
      throw new RangeError('secret')
    },
    enumerable: true,
  })
  const { mapped, rejects } = m.many([{ p: 'boom' }, { p: 'x' }, getter])
  assert.deepEqual(mapped, [{ q: '+254712345678' }])
  assert.deepEqual(
    rejects.map((r) => [r.index, r.field, r.reason]),
    [
      [0, 'q', 'thrown while it was mapped: Error'],
      [2, 'h', 'thrown while it was mapped: RangeError'],
    ],
  )
})

test('libphonenumber fits as the injected normaliser', () => {
  const strict = mapping('strict', {
    document: 'mappings:\n  - { source: p, target: q, transform: phone, default_country: "+254" }',
    phone: (text, country) => {
      const number = parsePhoneNumberFromString(text, country as CountryCode)
      return number?.isValid() ? number.number : undefined
    },
  })
  const { mapped, rejected } = strict.many([{ p: '0712345678' }, { p: '0312345678' }])
  assert.deepEqual([mapped, rejected], [[{ q: '+254712345678' }], 1])
})

test('Kobo submissions map by their flat keys, and bad answers are named', () => {
  const file = readFileSync(new URL('./fixtures/kobo-submissions.synthetic.json', import.meta.url), 'utf8')
  const { results } = JSON.parse(file) as { results: object[] }
  const kobo = mapping('kobo', {
    document: `mappings:
  - { source: _uuid,                    target: external_id, required: true }
  - { source: _submission_time,         target: submitted, transform: datetime, zone: UTC, required: true }
  - { source: household/head_name,      target: head.name, transform: string, empty: missing, required: true }
  - { source: household/phone,          target: head.phone, transform: phone, default_country: KE }
  - { source: household/dob,            target: head.born, transform: date }
  - { source: household/programme_code, target: programme, transform: lookup, lookup_table: codes }
  - { source: household/members_count,  target: members.count, transform: number, integer: true, default: 0 }
  - { source: "household/member[0].household/member/name", target: "members.list[0].name" }
  - { source: "household/member[0].household/member/age",  target: "members.list[0].age", transform: number }
  - { source: "_geolocation[0]",        target: "at[0]" }
  - { source: "_geolocation[1]",        target: "at[1]" }
  - { source: consent,                  target: consent, transform: boolean }
  - { source: "_attachments[0].question_xpath", target: photo }
  - { target: system, value: kobo }
`,
    tables: { codes: { CASH: 1, WASH: 2 } },
  })
  assert.deepEqual(checkMapping(kobo), [])
  const { mapped, rejects } = kobo.many(results)
  assert.deepEqual(mapped, [
    {
      external_id: '00000000-0000-4000-8000-000000000002',
      submitted: '2026-07-01T12:00:02.000Z',
      head: { name: 'Bashir Sample', phone: '+254712345678', born: '1990-11-05' },
      programme: 2,
      members: { count: 0 },
      at: [null, null],
      consent: true,
      system: 'kobo',
    },
    {
      external_id: '00000000-0000-4000-8000-000000000009',
      submitted: '2026-07-01T12:30:00.000Z',
      head: { name: 'Amina Sample (edited)', phone: '+254712345678' },
      members: { count: 0 },
      at: [null, null],
      system: 'kobo',
    },
  ])
  assert.deepEqual(
    rejects.map(({ index, path, value, rule }) => [index, path, value, rule]),
    [
      [0, 'household/dob', '1987-02-29', 'date'],
      [2, 'household/head_name', '', 'required'],
      [2, 'household/phone', 'not known', 'phone'],
      [2, 'household/dob', '05/11/1990', 'date'],
      [2, 'household/programme_code', 'XXXX', 'lookup'],
    ],
  )
})

test('a document in a file is read through the port, checked then, and called only after that', async () => {
  const texts = new Map([['./b.yaml', yaml]])
  const files: Pick<Files, 'read'> = {
    read: async (path) => {
      const text = texts.get(String(path))
      if (text === undefined) throw new Error('ENOENT')
      return text
    },
  }
  const m = mapping('b', { document: './b.yaml', tables })
  assert.deepEqual(checkMapping(m), [])
  assert.deepEqual(lineage(m), [])
  assert.throws(
    () => m(registration),
    (e) => isFault(e, 'mapping.unloaded') && e.kind === 'config' && e.message.includes('./b.yaml'),
  )
  await loadMapping(m, files)
  assert.deepEqual(checkMapping(m), [])
  assert.equal(m(registration)['external_id'], '17')
  texts.set('./b.yaml', 'mappings:\n  - { source: a, target: b, transform: nope }')
  await loadMapping(m, files)
  assert.match(checkMapping(m)[0]?.path ?? '', /transform \(\.\/b\.yaml line 2, column 40\)/)
  texts.clear()
  await assert.rejects(loadMapping(m, files), (e) => isFault(e, 'mapping.document'))
  await loadMapping(beneficiary, files)
  const url = mapping('u', { document: new URL('file:///x/b.yaml'), tables })
  texts.set('file:///x/b.yaml', yaml)
  await loadMapping(url, files)
  assert.equal(url(registration)['external_id'], '17')
})

test('lineage is exact for documents and recorded for arrows', () => {
  assert.equal(printLineage(lineage(toInvoice)), 'number ← id\ncents ← total\ncontact ← email\nnote ← note')
  assert.deepEqual(lineage(beneficiary)[2], {
    target: 'phone_numbers[0].value',
    sources: ['mobile'],
    via: 'phone',
    known: true,
  })
  assert.equal(
    printLineage(lineage(mapping('c', { document: { mappings: [{ target: 'a', value: 1 }] } }))),
    'a ← constant',
  )
})

test('no record, however it is made, changes a prototype', () => {
  const before = Object.getOwnPropertyNames(Object.prototype).join()
  const bodies = ['{"__proto__":{"x":1}}', '{"a":{"__proto__":{"x":1}}}', '{"constructor":{"prototype":{"x":1}}}'].map(
    (t) => JSON.parse(t) as object,
  )
  const m = mapping('m', { document: 'mappings:\n  - { source: a, target: b.c }\n  - { source: x, target: d }' })
  assert.deepEqual(
    m.many(bodies).mapped.map((o) => Object.keys(o)),
    [[], ['b'], []],
  )
  assert.equal(Object.getOwnPropertyNames(Object.prototype).join(), before)
  assert.equal(({} as Record<string, unknown>)['x'], undefined)
})

test('the room imports nothing of Node, so that it runs in a browser', () => {
  const room = new URL('.', import.meta.url)
  const sources = readdirSync(room).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  assert.ok(sources.length > 20)
  for (const name of sources)
    assert.doesNotMatch(readFileSync(new URL(name, room), 'utf8'), /from 'node:|\bprocess\.|\bBuffer\b/, name)
})
