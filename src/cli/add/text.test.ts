import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { camel, Names, pascal } from './names.ts'
import { isLinear } from './pattern.ts'
import { firstSentence, key, oneLine, quoted } from './text.ts'

const anything = fc.string({ unit: 'binary', maxLength: 40 })
const hostile = fc.oneof(
  anything,
  fc
    .array(fc.constantFrom("'", '\\', '`', '${', '*/', '/*', '\n', '\r', '\u2028', '\u2029', '\ud800', '\u202e', 'a'), {
      maxLength: 20,
    })
    .map((a) => a.join('')),
)

test('a literal is read back as the text that it was made from', async () => {
  const texts = fc.sample(hostile, 2_000)
  const module = `export const texts = [${texts.map(quoted).join(',\n')}]\nexport const keys = [${texts.map((t) => `{${key(t)}: 1}`).join(',\n')}]`
  const loaded = (await import(`data:text/javascript,${encodeURIComponent(module)}`)) as {
    texts: string[]
    keys: object[]
  }
  assert.deepEqual(loaded.texts, texts)
  assert.deepEqual(
    loaded.keys.map((k) => Object.keys(k)[0]),
    texts,
  )
})

test('a literal holds nothing but what can be seen', () => {
  fc.assert(fc.property(hostile, (text) => /^'[\p{L}\p{N}\p{P}\p{S} ]*'$/u.test(quoted(text))))
})

test('text for a comment cannot end it, has no line of its own and no tag', () => {
  fc.assert(
    fc.property(hostile, fc.integer({ min: 1, max: 300 }), (text, most) => {
      for (const line of [oneLine(text, most), firstSentence(text, most)]) {
        assert.ok(line.length <= most + 1)
        assert.doesNotMatch(line, /\*\/|[\p{C}\p{Zl}\p{Zp}]|@[A-Za-z]/u)
      }
    }),
  )
  assert.equal(oneLine('<p>Lists\n <b>charges</b> */ x</p>'), 'Lists charges * / x')
  assert.equal(oneLine('**/'), '** /')
  assert.equal(firstSentence('First one. Second one.'), 'First one.')
  assert.equal(firstSentence('Costs 1.5 a piece, e.g. now. Then more.'), 'Costs 1.5 a piece, e.g. now.')
  assert.equal(oneLine('x'.repeat(10_000_000)).length, 200)
})

test('names are identifiers, and each is given once', () => {
  assert.deepEqual(
    [
      'GetCharges',
      'issues/list-for-repo',
      'post-get3dsAvailability',
      'HTTPSend',
      'ID',
      '2fa',
      'Ünï cödé',
      '注文',
      '',
    ].map(camel),
    [
      'getCharges',
      'issuesListForRepo',
      'postGet3dsAvailability',
      'httpSend',
      'id',
      'op2fa',
      'uniCode',
      undefined,
      undefined,
    ],
  )
  assert.equal(pascal('payment_intent.card'), 'PaymentIntentCard')
  fc.assert(
    fc.property(
      anything,
      (text) => /^[A-Za-z][A-Za-z0-9]*$/.test(camel(text) ?? 'a') && /^[A-Z][A-Za-z0-9]*$/.test(pascal(text) ?? 'A'),
    ),
  )
  const names = new Names()
  assert.deepEqual(
    ['Charge', 'charge', 'Charge', 'Object', 'z'].map((n) => names.take(n)),
    ['Charge', 'charge2', 'Charge3', 'Object2', 'z2'],
  )
})

test('only patterns that take linear time are run', () => {
  for (const pattern of [
    '^[a-z]{2}$',
    '^sk_(?',
    '^\\d+$',
    '^[A-Z0-9._-]+@x$',
    '^/v1/charges',
    '^a?b?c?$',
    '^[^\\]]*$',
    '^.{1,64}$',
  ]) {
    assert.equal(isLinear(pattern), pattern !== '^sk_(?', pattern)
  }
  const slow = [
    '^(a+)+$',
    '^(a|a)*$',
    '^a*a*b$',
    '(x+x+)+y',
    'a*$',
    '^\\s+|\\s+$',
    '^(?=a)',
    '^[a-z]{1,5000}[a-z]{1,5000}$',
    '^a+?$',
    '^\\1',
    '^x{2}{3}',
    '^[a',
    `^${'a?'.repeat(90)}`,
    `^${'a'.repeat(300)}`,
  ]
  for (const pattern of slow) assert.equal(isLinear(pattern), false, pattern)
  // Whatever is let through ends at once, on the text that is worst for it.
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', '.', '\\w', '[ab]', 'b', '*', '+', '?', '{0,3}', '{2,}', '$'), { maxLength: 12 }),
      (parts) => {
        const pattern = `^${parts.join('')}`
        if (isLinear(pattern)) assert.equal(typeof new RegExp(pattern, 'u').test('a'.repeat(20_000)), 'boolean')
      },
    ),
  )
})
