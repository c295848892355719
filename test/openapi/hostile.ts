import assert from 'node:assert/strict'
import fc from 'fast-check'
import { isFault } from '#kernel/fault.ts'
import { made } from './descriptions.ts'

/** Text that would run, or end what it stands in, if any of it got into a file as it is. */
const evil = [
  "'+(globalThis.pwned=1)+'",
  '"+(globalThis.pwned=1)+"',
  '`+(globalThis.pwned=1)+`',
  '${globalThis.pwned=1}',
  '*/ globalThis.pwned=1 /*',
  '* /globalThis.pwned=1',
  '\n globalThis.pwned=1 //',
  '\r\nglobalThis.pwned=1//',
  '\u2028globalThis.pwned=1//',
  '\u2029globalThis.pwned=1//',
  "\\'+(globalThis.pwned=1)+'",
  "\\\\'+(globalThis.pwned=1)//",
  '</script><script>globalThis.pwned=1</script>',
  '] = globalThis.pwned = [',
  '}, x: (globalThis.pwned=1), y: {',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'valueOf',
  'then',
  '\u202e\u2066 reversed',
  '\ud800 half',
  '\u0000\u0007\u001b[31m',
  '@see {@link globalThis.pwned=1}',
  '$&$1$`',
  'a'.repeat(100_000),
] as const

/** A document that has `text` wherever a document may have text. */
function everywhere(text: string, i: number): Readonly<Record<string, unknown>> {
  const named = { [text === '__proto__' ? 'proto' : text]: { type: 'string', enum: [text, `${text}2`], default: text } }
  const about = { summary: text, description: text, title: text }
  const media = { schema: { $ref: '#/components/schemas/It' }, example: { [text === '__proto__' ? 'p' : text]: text } }
  return {
    info: { title: text, version: text, description: text, license: { name: text, url: text }, termsOfService: text },
    servers: [
      { url: text },
      { url: `https://api.test/${encodeURIComponent(text.toWellFormed()).slice(0, 50)}` },
      { url: 'https://{v}', variables: { v: { default: text } } },
    ],
    security: [{ [text === '__proto__' ? 'p' : text]: [text] }],
    paths: {
      [`/a/${text}`]: {
        get: {
          ...about,
          operationId: text,
          tags: [text],
          responses: { 200: { content: { 'application/json': media } } },
        },
      },
      [`/b/{${text}}`]: {
        get: {
          operationId: `x${text}`,
          parameters: [{ name: text, in: 'path', required: true, schema: { type: 'string' } }],
        },
      },
      '/c': {
        post: {
          ...about,
          operationId: `op${i}`,
          parameters: [
            ...['query', 'header', 'cookie'].map((at) => ({
              name: text,
              in: at,
              description: text,
              schema: { type: 'string', enum: [text], default: text },
            })),
            { name: text, in: 'query', style: 'deepObject', schema: { type: 'object', properties: named } },
            { name: 'x-fixed', in: 'header', required: true, schema: { const: text } },
          ],
          requestBody: { content: { 'application/json': media } },
          responses: { 200: { headers: { [`RateLimit-${text}`]: {} }, content: { 'application/json': media } } },
        },
        get: {
          operationId: `list${i}`,
          parameters: [{ name: 'page', in: 'query', schema: { default: text } }],
          responses: { default: { content: { [text === '__proto__' ? 'p' : text]: media } } },
        },
      },
    },
    webhooks: { [text === '__proto__' ? 'w' : text]: {} },
    components: {
      schemas: {
        It: {
          ...about,
          type: 'object',
          required: [text],
          properties: {
            ...named,
            pattern: { type: 'string', pattern: text },
            format: { type: 'string', format: text },
            const: { const: text },
            type: { type: text },
            self: { $ref: '#/components/schemas/It' },
            one: {
              oneOf: [{ $ref: '#/components/schemas/A' }, { $ref: '#/components/schemas/B' }],
              discriminator: {
                propertyName: text,
                mapping: { [text === '__proto__' ? 'm' : text]: '#/components/schemas/A' },
              },
            },
          },
        },
        A: { type: 'object', required: [text], properties: named },
        B: { type: 'object', required: [text], properties: named },
      },
      securitySchemes: { [text === '__proto__' ? 'p' : text]: { type: 'apiKey', in: 'query', name: text } },
    },
  }
}

/** Files of documents that have `evil` text everywhere, by path. */
export function hostileFiles(): ReadonlyMap<string, string> {
  return new Map(evil.map((text, i) => [`hostile/h${i}.ts`, made(everywhere(text, i)).code]))
}

/** Files of random documents, and how many documents were refused with a fault instead. */
export function randomFiles(): { readonly files: ReadonlyMap<string, string>; readonly refused: number } {
  const leaf = fc.oneof(
    fc.constantFrom(...evil.slice(0, -1).filter((t) => t !== '__proto__')),
    fc.constantFrom(
      'string',
      'object',
      'array',
      'integer',
      'null',
      '#/components/schemas/A',
      '#/components/schemas/B',
      '#/x',
    ),
    fc.constantFrom(0, -1, 1e308, 1.5, true, false, null),
  )
  const keyword = fc.constantFrom(
    'type',
    'properties',
    'items',
    'allOf',
    'oneOf',
    'anyOf',
    'enum',
    'const',
    'required',
    '$ref',
    'nullable',
    'readOnly',
    'additionalProperties',
    'patternProperties',
    'prefixItems',
    'minimum',
    'exclusiveMinimum',
    'maxLength',
    'pattern',
    'format',
    'discriminator',
    'a',
    "b'c",
  )
  const { schema } = fc.letrec<{ schema: unknown }>((tie) => ({
    schema: fc.oneof(
      { depthSize: 'medium' },
      leaf,
      fc.dictionary(keyword, tie('schema'), { maxKeys: 5 }),
      fc.array(tie('schema'), { maxLength: 3 }),
      fc.record({
        type: fc.constantFrom('object', ['object', 'null']),
        properties: fc.dictionary(keyword, tie('schema'), { maxKeys: 4 }),
      }),
      fc.record({ $ref: fc.constantFrom('#/components/schemas/A', '#/components/schemas/B') }),
      fc.record({ allOf: fc.array(tie('schema'), { maxLength: 3 }) }),
      fc.record({ oneOf: fc.array(tie('schema'), { maxLength: 3 }) }),
    ),
  }))
  const document = fc.record({ A: schema, B: schema, query: schema, path: schema, body: schema })
  const files = new Map<string, string>()
  let refused = 0
  for (const [i, { A, B, query, path, body }] of fc.sample(document, { numRuns: 100, seed: 7 }).entries()) {
    const content = { 'application/json': { schema: body } }
    const paths = {
      '/a/{id}': {
        put: {
          parameters: [
            { name: 'id', in: 'path', schema: path },
            { name: 'q', in: 'query', schema: query },
            { name: 'd', in: 'query', style: 'deepObject', schema: query },
          ],
          requestBody: { content },
          responses: { 200: { content } },
        },
      },
      '/b': {
        post: {
          requestBody: { content },
          responses: { 200: { content: { 'application/json': { schema: { $ref: '#/components/schemas/A' } } } } },
        },
      },
      '/c': { get: { responses: { 204: {} } } },
    }
    try {
      files.set(`any/f${i}.ts`, made({ paths, components: { schemas: { A, B } } }).code)
    } catch (e) {
      assert.ok(isFault(e) && e.kind !== 'bug', String(e instanceof Error ? e.stack : e))
      refused++
    }
  }
  return { files, refused }
}
