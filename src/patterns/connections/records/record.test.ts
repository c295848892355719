import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'
import fc from 'fast-check'
import * as z from 'zod'
import { redactor } from '#kernel/redact.ts'
import { looked, maskForm, maskJson, shown, shownBody } from './mask-body.ts'
import { masking, markedFields } from './masking.ts'
import { EndedCall, keptBody, type CallRecord, type Wire } from './record.ts'

const canary = 'sk_canary_5f3759df'
const redact = redactor({ fields: ['dob'] })
redact.learn(canary)
const kept = masking({ redact, personal: 'keep' })

test('masks sensitive names in JSON, whatever their value is', () => {
  const text = '{"id":1,"password":"x\\"y","card":{"cvc":123,"token":{"a":["}"]}},"pin":null,"dob" : [1,2],"ok":"yes"}'
  assert.equal(
    maskJson(text, kept),
    '{"id":1,"password":"[masked]","card":{"cvc":"[masked]","token":"[masked]"},"pin":null,"dob" : "[masked]","ok":"yes"}',
  )
  assert.equal(maskJson('{"p\\u0061ssword":"x"}', kept), '{"p\\u0061ssword":"[masked]"}')
})

test('agrees with the redactor on every JSON value', () => {
  const name = fc.oneof(
    fc.constantFrom('password', 'apiKey', 'token', 'dob', 'x-api-key', 'id', 'note'),
    fc.string({ unit: 'grapheme' }),
  )
  const leaf = fc.oneof(
    fc.integer({ min: 0, max: 9999 }),
    fc.boolean(),
    fc.constant(null),
    fc.string({ unit: 'grapheme' }),
    fc.constant(canary),
  )
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie('value')),
      fc.dictionary(
        name.filter((n) => n !== '__proto__'),
        tie('value'),
      ),
    ),
  }))
  fc.assert(
    fc.property(value, fc.constantFrom(undefined, 2), (v, indent) => {
      const text = JSON.stringify(v, null, indent)
      assert.deepEqual(JSON.parse(redact.text(maskJson(text, kept))), redact.value(JSON.parse(text)))
    }),
  )
})

test('finds a secret that is spelled with escapes', () => {
  const spelled = `"${Array.from(canary, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`
  assert.equal(shownBody(`{"note":${spelled}}`, 'application/json', 10, kept), '{"note":"[masked]"}')
})

test('masks a form by names, nested ones too, and secrets spelled with percent signs', () => {
  redact.learn('a secret/value')
  assert.equal(
    maskForm('user=me&password=x&card%5Bcvc%5D=123&note=a+secret%2Fvalue&flag', kept),
    'user=me&password=[masked]&card%5Bcvc%5D=[masked]&note=[masked]&flag',
  )
})

test('shows at most 4,096 characters, and never half a secret at the cut', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 12_000 }), fc.boolean(), (before, json) => {
      const body = json
        ? JSON.stringify({ a: 'x'.repeat(before), b: canary, c: 'y'.repeat(9_000) })
        : 'x'.repeat(before) + canary
      const out = shownBody(new TextEncoder().encode(body), json ? 'application/json' : 'text/plain', body.length, kept)
      assert.ok(out.length <= shown + 40)
      for (let length = 6; length <= canary.length; length++)
        assert.ok(!out.includes(canary.slice(0, length)), out.slice(-60))
    }),
  )
})

test('shows binary as its size', () => {
  assert.equal(shownBody(new Uint8Array([0, 1, 2]), 'image/png', 3, kept), '[3 bytes]')
  assert.equal(shownBody(new Uint8Array(9_000).fill(0xff), '', 9_000, kept), '[9000 bytes]')
})

test('does not keep a large body alive', () => {
  const large = new Uint8Array(1_000_000)
  assert.ok(keptBody(large).buffer.byteLength <= looked + 1)
})

test('a record has everything masked, and there is no other way to what the call held', () => {
  const call = new EndedCall(wire)
  const record = call.record()
  assert.deepEqual(record, JSON.parse(JSON.stringify(call)))
  for (const text of [
    JSON.stringify(call),
    inspect(call, { depth: 9, showHidden: true }),
    JSON.stringify(Object.entries(call)),
  ]) {
    assert.ok(!text.includes(canary), text)
    assert.ok(!text.includes('hunter2'))
    assert.ok(!text.includes('4242 4242'))
  }
  assert.deepEqual(record satisfies CallRecord, {
    id: 'id-1',
    time: '2026-01-01T00:00:00.000Z',
    connection: 'payments',
    operation: 'charge',
    method: 'POST',
    path: '/charges/ch_1?key=[masked]&order=o1',
    status: 201,
    outcome: 'ok',
    attempts: [{ at: 0.123, ms: 7, status: 201, phases: { connect: 1.235, total: 7 } }],
    ms: 8,
    key: 'k-1',
    correlation: 'c-1',
    request: {
      headers: { authorization: '[masked]', 'x-shop': '[masked]', 'content-type': 'application/json' },
      body: '{"password":"[masked]","card":"[masked]"}',
    },
    response: { headers: { location: '/next?token=[masked]', 'set-cookie': '[masked]' }, body: '{"echo":"[masked]"}' },
  })
})

const wire: Wire = {
  id: 'id-1',
  time: Date.UTC(2026, 0, 1),
  connection: 'payments',
  operation: 'charge',
  method: 'POST',
  path: `/charges/ch_1?key=${canary}&order=o1`,
  status: 201,
  outcome: 'ok',
  fellBack: undefined,
  cache: undefined,
  attempts: [
    { at: 0.1234, ms: 7, status: 201, code: undefined, verifying: false, phases: { connect: 1.2345678, total: 7 } },
  ],
  ms: 8,
  key: 'k-1',
  correlation: 'c-1',
  message: undefined,
  requestHeaders: { authorization: `Bearer ${canary}`, 'x-shop': 'hunter2', 'content-type': 'application/json' },
  requestBody: '{"password":"hunter2","card":"4242 4242 4242 4242"}',
  responseHeaders: { location: '/next?token=hunter2', 'set-cookie': 'a=hunter2' },
  responseBody: new TextEncoder().encode(`{"echo":"${canary}"}`),
  shape: '/charges/:id',
  theirs: false,
  spec: { http: 'POST /charges/:id' },
  recorder: { credentialName: 'x-shop', masking: () => masking({ redact }) },
  signature: undefined,
}

const masked = masking({ redact })

test('masks e-mail addresses and phone numbers by name and wherever they stand in a text, and nothing that only looks like one', () => {
  for (const name of [
    'email',
    'e_mail',
    'customerEmail',
    'billing-email',
    'phone',
    'phoneNumber',
    'mobile_number',
    'MSISDN',
    'fax',
  ])
    assert.ok(masked.hides(name), name)
  for (const name of ['mailbox', 'emailed', 'phonetic', 'order', 'immobile', 'headphones'])
    assert.ok(!masked.hides(name), name)
  assert.equal(
    masked.text('from Ada <ada.l+x@mail.example.com>, call +44 20 7946 0958.'),
    'from Ada <[masked]>, call [masked].',
  )
  assert.equal(masked.text('/users/ada%40example.com/orders'), '/users/[masked]/orders')
  for (const text of [
    '2026-01-01T00:00:00+01:00',
    '1+1=2',
    'a@',
    '@scope/package',
    '+12',
    'cus_12345678901234',
    '+123 456',
  ])
    assert.equal(masked.text(text), text)
  assert.equal(kept.text('ada@example.com +442079460958'), 'ada@example.com +442079460958')
})

test('finds the fields that a schema marks, through references, choices and lists', () => {
  const Card = z.object({ holder: z.string().meta({ sensitive: true }), brand: z.string() })
  const Secret = z.string().meta({ id: 'MarkedSecret', 'x-sensitive': true })
  const schema = z.object({
    cards: z.array(Card),
    birthday: z.date().optional().meta({ sensitive: true }),
    either: z.union([z.number(), Secret]),
    note: z.string(),
  })
  assert.deepEqual([...markedFields(schema, 'input')].sort(), ['birthday', 'either', 'holder'])
  assert.deepEqual([...markedFields(undefined, 'output')], [])
  const cyclic: z.ZodType = z.lazy(() =>
    z.object({ pass: z.string().meta({ format: 'password' }), next: cyclic.optional() }),
  )
  assert.deepEqual([...markedFields(cyclic, 'output')], ['pass'])
})

test('a parameter of the path whose name is hidden is not shown, and of an address of theirs no value of the query is', () => {
  const recorder = { credentialName: 'api_key', masking: () => masking({ redact, fields: ['person'] }) }
  const at = (path: string, shape: string, theirs = false): string =>
    new EndedCall({ ...wire, path, shape, theirs, recorder }).record().path
  assert.equal(
    at('/v1/people/ada/orders/7?api_key=x1&page=2', '/people/:person/orders/:id'),
    '/v1/people/[masked]/orders/7?api_key=[masked]&page=2',
  )
  assert.equal(at('/v1/books:batchGet?ids=1', '/v1/books:batchGet'), '/v1/books:batchGet?ids=1')
  assert.equal(at('/next?sig=abc&page=2', '/people', true), '/next?sig=[masked]&page=[masked]')
})
