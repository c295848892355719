import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileOf } from './file.ts'
import { modelOf } from './generate.ts'
import type { Model } from './model.ts'

const root = 'file:///x'

/** The model of a document with one operation, and what is written for it. */
function read(
  operation: unknown,
  more: Readonly<Record<string, unknown>> = {},
  method = 'post',
): { readonly model: Model; readonly code: string } {
  const doc = { openapi: '3.1.0', paths: { '/it': { [method]: operation } }, ...more }
  const model = modelOf({ root, all: new Map([[root, doc]]) }, 'x', {})
  return { model, code: fileOf('it', model, { source: 'x', sha256: '0', command: 'x' }) }
}

const json = (schema: unknown): unknown => ({ 'application/json': { schema } })

/** What is written for a schema, sent and received, without the lines around it. */
function both(
  schema: unknown,
  schemas: Readonly<Record<string, unknown>> = {},
): { readonly in: string; readonly out: string } {
  const wrapped = { type: 'object', required: ['it'], properties: { it: schema } }
  const { code } = read(
    { requestBody: { content: json(wrapped) }, responses: { 200: { content: json(wrapped) } } },
    { components: { schemas } },
  )
  const flat = code.replaceAll(/\s+/g, ' ')
  const found =
    /input: z\.strictObject\(\{ it: (.*?),? \}\), output: z\.looseObject\(\{ it: (.*?),? \}\),? \},? \},? \}\) ?$/.exec(
      flat,
    )
  assert.ok(found, code)
  return { in: found[1]!, out: found[2]! }
}

test('every kind of schema, as it is sent and as it comes back', () => {
  const same = (code: string): { in: string; out: string } => ({ in: code, out: code })
  for (const [schema, expected] of [
    [
      { type: 'string', minLength: 1, maxLength: 5, pattern: '^[a-z]+$' },
      { in: "z.string().min(1).max(5).regex(new RegExp('^[a-z]+$', 'u'))", out: 'z.string()' },
    ],
    [{ type: 'string', pattern: '^(a+)+$' }, same('z.string()')],
    [
      { type: 'string', format: 'date-time' },
      { in: 'z.iso.datetime({ offset: true })', out: 'z.string()' },
    ],
    [
      { type: 'string', format: 'date' },
      { in: 'z.iso.date()', out: 'z.string()' },
    ],
    [{ type: 'string', format: 'uuid' }, same('z.string()')],
    [
      { type: 'integer', minimum: 0, maximum: 9 },
      { in: 'z.int().min(0).max(9)', out: 'z.number()' },
    ],
    [
      { type: 'number', minimum: 0, exclusiveMinimum: true },
      { in: 'z.number().gt(0)', out: 'z.number()' },
    ],
    [
      { type: 'number', exclusiveMaximum: 5 },
      { in: 'z.number().lt(5)', out: 'z.number()' },
    ],
    [{ type: 'boolean' }, same('z.boolean()')],
    [{ type: 'string', nullable: true }, same('z.string().nullable()')],
    [{ type: ['string', 'null'] }, same('z.string().nullable()')],
    [{ anyOf: [{ type: 'string' }, { type: 'null' }] }, same('z.string().nullable()')],
    [{ enum: ['a', null] }, same("z.literal('a').nullable()")],
    [
      { type: ['string', 'integer'] },
      { in: 'z.union([z.string(), z.int()])', out: 'z.union([z.string(), z.number()])' },
    ],
    [{ enum: ['a', 'b'] }, { in: "z.enum(['a', 'b'])", out: "open(['a', 'b'])" }],
    [{ enum: [1, 2] }, { in: 'z.literal([1, 2])', out: 'z.number()' }],
    [{ const: true }, same('z.literal(true)')],
    [
      { type: 'array', items: { type: 'string' }, maxItems: 3 },
      { in: 'z.array(z.string()).max(3)', out: 'z.array(z.string())' },
    ],
    [
      { type: 'array', prefixItems: [{ type: 'string' }, { type: 'boolean' }], items: false },
      same('z.array(z.union([z.string(), z.boolean()]))'),
    ],
    [{ type: 'object' }, same('z.record(z.string(), z.unknown())')],
    [{ additionalProperties: { type: 'boolean' } }, same('z.record(z.string(), z.boolean())')],
    [{ patternProperties: { '^x-': { type: 'boolean' } } }, same('z.record(z.string(), z.boolean())')],
    [{ properties: { a: {} }, additionalProperties: true }, same('z.looseObject({ a: z.unknown().optional() })')],
    [
      { properties: { a: { type: 'boolean', readOnly: true }, b: { type: 'boolean', writeOnly: true } } },
      { in: 'z.strictObject({ b: z.boolean().optional() })', out: 'z.looseObject({ a: z.boolean().optional() })' },
    ],
    [
      {
        allOf: [
          { properties: { a: { type: 'boolean' } } },
          { properties: { b: { type: 'boolean' } }, required: ['a', 'b'] },
        ],
      },
      {
        in: 'z.strictObject({ a: z.boolean(), b: z.boolean() })',
        out: 'z.looseObject({ a: z.boolean(), b: z.boolean() })',
      },
    ],
    [{ allOf: [{ type: 'string' }], nullable: true }, same('z.string().nullable()')],
    [
      { properties: { a: { type: 'boolean' } }, anyOf: [{ required: ['a'] }, { required: ['b'] }] },
      { in: 'z.strictObject({ a: z.boolean().optional() })', out: 'z.looseObject({ a: z.boolean().optional() })' },
    ],
    [
      { properties: { constructor: { type: 'string' }, a: { type: 'boolean' } } },
      same('z.looseObject({ a: z.boolean().optional() })'),
    ],
    [true, same('z.unknown()')],
    [{}, same('z.unknown()')],
  ] as const) {
    assert.deepEqual(both(schema), expected, JSON.stringify(schema))
  }
})

test('named schemas keep their name, plain ones are written out, alternatives are told apart by their tag', () => {
  const schemas = {
    Id: { type: 'string' },
    Cat: {
      type: 'object',
      required: ['kind', 'id'],
      properties: { kind: { type: 'string' }, id: { $ref: '#/components/schemas/Id' } },
    },
    Dog: { type: 'object', required: ['kind'], properties: { kind: { const: 'dog' } } },
    Fish: { type: 'object', properties: { kind: { type: 'string' } } },
  }
  const ref = (name: string): unknown => ({ $ref: `#/components/schemas/${name}` })
  assert.deepEqual(both(ref('Cat'), schemas), { in: 'CatInput', out: 'Cat' })
  assert.deepEqual(both(ref('Id'), schemas), { in: 'z.string()', out: 'z.string()' })
  const told = {
    oneOf: [ref('Cat'), ref('Dog')],
    discriminator: { propertyName: 'kind', mapping: { cat: '#/components/schemas/Cat', dog: 'Dog' } },
  }
  assert.equal(both(told, schemas).out, "z.discriminatedUnion('kind', [Cat.extend({ kind: z.literal('cat') }), Dog])")
  // One that need not have the tag cannot be told by it.
  const untold = { oneOf: [ref('Cat'), ref('Fish')], discriminator: { propertyName: 'kind' } }
  assert.equal(both(untold, schemas).out, 'z.union([Cat, Fish])')
})

test('of several answers and content types those are taken that can be read', () => {
  const output = (responses: unknown): unknown => {
    const [o] = read({ responses }, {}, 'get').model.operations
    return [o!.answer ?? 'json', o!.output, o!.headers['accept']].filter((v) => v !== undefined)
  }
  const text = { type: 'string' }
  const flag = { type: 'boolean' }
  assert.deepEqual(output({ 200: { content: json(text) }, 404: { content: json(flag) } }), ['json', { is: 'string' }])
  assert.deepEqual(output({ 200: { content: json(text) }, 204: {} }), [
    'json',
    { is: 'optional', of: { is: 'string' } },
  ])
  assert.deepEqual(output({ 200: { content: json(text) }, 202: { content: json(flag) } }), [
    'json',
    { is: 'union', of: [{ is: 'string' }, { is: 'boolean' }] },
  ])
  assert.deepEqual(output({ default: { content: json(text) } }), ['json', { is: 'string' }])
  assert.deepEqual(output({ '2XX': { content: json(text) }, default: { content: json(flag) } }), [
    'json',
    { is: 'string' },
  ])
  assert.deepEqual(output({ 200: { content: { 'text/csv': {}, ...(json(text) as object) } } }), [
    'json',
    { is: 'string' },
  ])
  assert.deepEqual(output({ 200: { content: { 'application/vnd.api+json; v=1': { schema: text } } } }), [
    'json',
    { is: 'string' },
    'application/vnd.api+json',
  ])
  assert.deepEqual(output({ 200: { content: { 'text/csv': { schema: text } } } }), ['text', { is: 'string' }])
  assert.deepEqual(output({ 200: { content: { 'application/pdf': {} } } }), ['bytes', { is: 'bytes' }])
  assert.deepEqual(output({ 204: {} }), ['text'])
  assert.deepEqual(output(undefined), ['text'])
})

test('Swagger 2.0 says the same in its own words', () => {
  const doc = {
    swagger: '2.0',
    info: { title: 'Old', version: 1 },
    host: 'old.test',
    basePath: '/v1',
    schemes: ['http', 'https'],
    consumes: ['application/json'],
    produces: ['application/json'],
    securityDefinitions: { key: { type: 'apiKey', in: 'header', name: 'X-Key' } },
    security: [{ key: [] }],
    parameters: { limit: { name: 'limit', in: 'query', type: 'integer', maximum: 100 } },
    paths: {
      '/pets': {
        get: {
          operationId: 'pets',
          parameters: [
            { $ref: '#/parameters/limit' },
            { name: 'tags', in: 'query', type: 'array', items: { type: 'string' } },
          ],
          responses: { 200: { schema: { type: 'array', items: { $ref: '#/definitions/Pet' } } } },
        },
        post: {
          operationId: 'addPet',
          parameters: [{ name: 'pet', in: 'body', required: true, schema: { $ref: '#/definitions/Pet' } }],
          responses: { 201: {} },
        },
      },
      '/form': {
        post: {
          operationId: 'form',
          consumes: ['application/x-www-form-urlencoded'],
          parameters: [{ name: 'a', in: 'formData', type: 'string', required: true }],
        },
      },
      '/file': { post: { operationId: 'file', parameters: [{ name: 'f', in: 'formData', type: 'file' }] } },
    },
    definitions: {
      Pet: {
        type: 'object',
        required: ['name'],
        properties: { name: { type: 'string' }, age: { type: 'integer', 'x-nullable': true } },
      },
    },
  }
  const model = modelOf({ root, all: new Map([[root, doc]]) }, 'x', {})
  const code = fileOf('old', model, { source: 'x', sha256: '0', command: 'x' }).replaceAll(/\s+/g, ' ')
  assert.equal(model.baseUrl, 'https://old.test/v1')
  assert.match(code, /auth: apiKey\(secret\('OLD_KEY'\), \{ header: 'X-Key' \}\)/)
  assert.match(
    code,
    /limit: z\.int\(\)\.max\(100\)\.optional\(\), tags: z\.array\(z\.string\(\)\)\.transform\(\(list\) => list\.join\(','\)\)\.optional\(\)/,
  )
  assert.match(code, /addPet: \{ http: 'POST \/pets', input: PetInput, answer: 'text' \}/)
  assert.match(
    code,
    /form: \{ http: 'POST \/form', input: z\.strictObject\(\{ a: z\.string\(\) \}\), body: 'form', answer: 'text' \}/,
  )
  assert.match(code, /age: z\.number\(\)\.nullable\(\)\.optional\(\)/)
  assert.deepEqual(model.leftOut, [
    { line: 'POST /file', why: 'its body is multipart/form-data; JSON and forms can be sent' },
  ])
})
