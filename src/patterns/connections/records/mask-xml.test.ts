import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { redactor } from '#kernel/redact.ts'
import { masking } from './masking.ts'
import { maskXml } from './mask-xml.ts'

const redact = redactor()
redact.learn('canary-7<1')
const all = masking({ redact, fields: ['Iban'] })

test('masks the content of sensitive elements, whatever is inside, and the values of sensitive attributes', () => {
  assert.equal(
    maskXml('<w:Password Type="t">a<Password>b</Password>c</w:Password><n>1</n><Iban/><x iban = \'DE1\' y="2"/>', all),
    '<w:Password Type="t">[masked]</w:Password><n>1</n><Iban/><x iban = \'[masked]\' y="2"/>',
  )
})

test('finds secrets spelled with references, in CDATA and in comments', () => {
  for (const text of [
    '<a>canary-7&lt;1</a>',
    '<a b="can&#97;ry-7&#x3c;1"/>',
    '<a><![CDATA[canary-7<1]]></a>',
    '<!-- canary-7<1 -->',
  ]) {
    const out = maskXml(text, all)
    assert.ok(out.includes('[masked]') && !/canary|can&#97;ry/.test(out), out)
  }
  assert.equal(maskXml('<a>1 &lt; 2 &amp; 3</a>', all), '<a>1 &lt; 2 &amp; 3</a>')
})

test('shows nothing of a sensitive element wherever the document is cut, and takes linear time', () => {
  const document = '<r><a>1</a><Iban kind="k">hunter2</Iban><b iban="hunter2">x</b><Iban><z>hunter2</z></Iban></r>'
  fc.assert(
    fc.property(fc.nat({ max: document.length }), (at) => {
      const shown = maskXml(document.slice(0, at), all)
      assert.ok(!shown.includes('hunt'), shown)
    }),
    { numRuns: 300 },
  )
  for (const slow of [
    '<a '.repeat(100_000),
    `<${'a'.repeat(300_000)}<`,
    `<a ${'b'.repeat(300_000)}>`,
    `<a ${' '.repeat(300_000)}<`,
  ]) {
    maskXml(slow, all)
  }
})
