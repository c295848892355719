import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import fc from 'fast-check'
import * as z from 'zod'
import type { Schema } from '#kernel/schema.ts'
import { coerce, type Coerced } from './coerce.ts'

const read = async (schema: Schema, json: string): Promise<Coerced | undefined> => {
  const body: unknown = JSON.parse(json)
  const result = await schema['~standard'].validate(body)
  assert.ok(result.issues, 'it fits as it is')
  const before = structuredClone(body)
  const coerced = await coerce(schema, body, result.issues, new TextEncoder().encode(json))
  assert.deepEqual(body, before, 'the answer itself is left as it came')
  return coerced
}
const value = async (schema: Schema, json: string): Promise<unknown> => (await read(schema, json))?.value

test('numbers and booleans that came as text become what the schema asks for, wherever they stand', async () => {
  const Order = z.object({
    id: z.int(),
    paid: z.boolean(),
    lines: z.array(z.object({ price: z.number(), n: z.int() })),
  })
  const coerced = await read(Order, '{"id":"7","paid":"true","lines":[{"price":"9.90","n":1},{"price":-1,"n":"2"}]}')
  assert.deepEqual(coerced?.value, {
    id: 7,
    paid: true,
    lines: [
      { price: 9.9, n: 1 },
      { price: -1, n: 2 },
    ],
  })
  assert.deepEqual(coerced.coercions, [
    { path: 'id', from: 'text', to: 'number' },
    { path: 'paid', from: 'text', to: 'boolean' },
    { path: 'lines[].price', from: 'text', to: 'number' },
    { path: 'lines[].n', from: 'text', to: 'number' },
  ])
})

test('what is one place is told once, however long the list', async () => {
  const coerced = await read(z.array(z.int()), JSON.stringify(Array.from({ length: 5_000 }, (_, i) => String(i))))
  assert.deepEqual(
    coerced?.value,
    Array.from({ length: 5_000 }, (_, i) => i),
  )
  assert.deepEqual(coerced.coercions, [{ path: '[]', from: 'text', to: 'number' }])
})

test('the digits of a number beyond 2^53 are kept where the schema asks for text or a bigint', async () => {
  const big = '9007199254740993'
  assert.deepEqual(await value(z.object({ id: z.string() }), `{"id":${big}}`), { id: big })
  assert.deepEqual(await value(z.object({ id: z.bigint() }), `{"id":${big}}`), { id: 9_007_199_254_740_993n })
  assert.deepEqual(await value(z.object({ id: z.bigint() }), `{"id":"${big}"}`), { id: 9_007_199_254_740_993n })
  assert.deepEqual(await value(z.array(z.string()), '[1.10, 1e3, -0]'), ['1.10', '1e3', '-0'])
  assert.deepEqual(
    (await read(z.object({ id: z.bigint() }), '{"id":5}'))?.coercions,
    [],
    'JSON has no other way to say it',
  )
})

test('nothing is coerced that would lose a digit', async () => {
  for (const text of ['9007199254740993', '0.1234567890123456', '1e400', '12345678901234567890.5'])
    assert.equal(await value(z.number(), JSON.stringify(text)), undefined, text)
  assert.equal(await value(z.number(), '"123456789.012345"'), 123_456_789.012345)
})

test('what is not a number is not taken for one', async () => {
  for (const text of [
    '',
    ' ',
    '1 ',
    '+1',
    '01',
    '.5',
    '5.',
    '0x10',
    '1_000',
    '1,000',
    'NaN',
    'Infinity',
    '1'.repeat(101),
  ])
    assert.equal(await value(z.number(), JSON.stringify(text)), undefined, JSON.stringify(text))
  for (const json of ['"yes"', '"1"', '"TRUE"', '1', '0', 'null'])
    assert.equal(await value(z.boolean(), json), undefined, json)
})

test('null is not missing, and missing is not null', async () => {
  assert.equal(await value(z.object({ a: z.string().optional() }), '{"a":null}'), undefined)
  assert.equal(await value(z.object({ a: z.string().nullable() }), '{}'), undefined)
})

test('one value that cannot be coerced refuses the whole, though others could', async () => {
  assert.equal(await value(z.object({ a: z.int(), b: z.int() }), '{"a":"1","b":"x"}'), undefined)
})

test('what is coerced must still pass every other rule of the schema', async () => {
  assert.deepEqual(await value(z.object({ n: z.int().max(10) }), '{"n":"10"}'), { n: 10 })
  assert.equal(await value(z.object({ n: z.int().max(10) }), '{"n":"11"}'), undefined)
  assert.equal(await value(z.object({ mail: z.email() }), '{"mail":"12"}'), undefined)
})

test('a discriminator that came as text is coerced, then what depends on it', async () => {
  const Either = z.discriminatedUnion('v', [
    z.object({ v: z.literal(1), a: z.int() }),
    z.object({ v: z.literal(2), b: z.int() }),
  ])
  assert.deepEqual(await value(Either, '{"v":"2","b":"3"}'), { v: 2, b: 3 })
})

test('a library that tells one issue at a time is asked again, a bounded number of times', async () => {
  let asked = 0
  const oneByOne: Schema = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (input): Promise<StandardSchemaV1.Result<unknown>> => {
        asked++
        const wrong = (input as unknown[]).findIndex((v) => typeof v !== 'number')
        return Promise.resolve(
          wrong < 0 ? { value: input } : { issues: [{ message: 'number', path: [{ key: wrong }] }] },
        )
      },
    },
  }
  assert.deepEqual(await value(oneByOne, '["1","2","3"]'), [1, 2, 3])
  asked = 0
  assert.equal(await value(oneByOne, JSON.stringify(Array.from({ length: 50 }, (_, i) => String(i)))), undefined)
  assert.equal(asked, 9)
})

test('a path that leads nowhere, or to a prototype, changes nothing', async () => {
  const hostile = (path: readonly PropertyKey[]): Schema => ({
    '~standard': { version: 1, vendor: 'test', validate: () => ({ issues: [{ message: 'no', path }] }) },
  })
  for (const path of [['__proto__', 'polluted'], ['constructor', 'prototype', 'x'], ['a', 'b', 'c'], [Symbol('s')]])
    assert.equal(await value(hostile(path), '{"a":"1"}'), undefined)
  assert.equal(({} as { polluted?: unknown }).polluted, undefined)
})

test('text made of a number is read back as exactly that number', async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.maxSafeInteger(), fc.double({ noNaN: true, noDefaultInfinity: true })), async (n) => {
      const got = await value(z.number(), JSON.stringify(JSON.stringify(n)))
      assert.ok(got === undefined || Object.is(got, JSON.parse(JSON.stringify(n))))
      if (Number.isSafeInteger(n)) assert.equal(got, n)
    }),
  )
})
