import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { isFault } from '#kernel/fault.ts'
import { readBody } from './body.ts'

const form = 'application/x-www-form-urlencoded; charset=utf-8'
const read = (text: string | Uint8Array, type = form, forms = true): unknown => readBody(type, Buffer.from(text), forms)
const fails = (code: string, work: () => unknown): void => assert.throws(work, (e) => isFault(e, code))

describe('readBody', () => {
  it('reads JSON under any content type', () => {
    for (const type of ['application/json', 'text/plain', '', 'application/vnd.x+json']) {
      assert.deepEqual(read('{"a":1}', type, false), { a: 1 })
    }
  })
  it('reads any form as URLSearchParams would', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' })), (fields) => {
        delete fields['payload']
        delete fields['__proto__']
        assert.deepEqual(read(new URLSearchParams(fields).toString()), { ...fields })
      }),
    )
  })
  it('reads the JSON in the field payload', () => {
    assert.deepEqual(read(`payload=${encodeURIComponent('{"type":"block_actions"}')}`), { type: 'block_actions' })
    fails('input.json', () => read('payload=nonsense'))
  })
  it('refuses a form where the scheme takes none', () => {
    fails('input.media_type', () => read('a=1', form, false))
  })
  it('refuses prototypes in JSON, in a form, and in the JSON of a form', () => {
    fails('input.prototype', () => read('{"__proto__":{"polluted":1}}', 'application/json'))
    fails('input.prototype', () => read('__proto__=1'))
    fails('input.prototype', () => read('%5F_proto__=1'))
    fails('input.prototype', () => read(`payload=${encodeURIComponent('{"a":{"\\u005f_proto__":1}}')}`))
    assert.deepEqual(read('constructor=1&toString=2'), { constructor: '1', toString: '2' })
    assert.equal('polluted' in {}, false)
  })
  it('refuses invalid UTF-8, raw and escaped, broken escapes and too many fields', () => {
    fails('input.form', () => read(Uint8Array.of(0x61, 0x3d, 0xff)))
    fails('input.form', () => read('a=%ff'))
    fails('input.form', () => read('a=%zz'))
    fails('input.form', () => read('a=1&'.repeat(1_001)))
    fails('input.json', () => read(Uint8Array.of(0x22, 0xff, 0x22), 'application/json'))
    fails('input.json', () => read('', 'application/json'))
  })
})
