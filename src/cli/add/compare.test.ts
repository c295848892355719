import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compare } from './compare.ts'
import { modelOf } from './generate.ts'
import { printState, readState, stateOf, type State } from './state.ts'

const root = 'file:///x'
/** What the API has now. */
const all = new Set(['POST /things', 'GET /new', 'GET /tree', 'GET /unchosen'])

/** The state after a run on an API of one operation, with this request body and answer. */
function state(body: unknown, answer: unknown, more: Readonly<Record<string, unknown>> = {}): State {
  const media = (schema: unknown): unknown => ({ 'application/json': { schema } })
  const operation = {
    operationId: 'make',
    requestBody: { content: media(body) },
    responses: { 200: { content: media(answer) } },
  }
  const doc = { openapi: '3.1.0', paths: { '/things': { post: operation }, ...more } }
  const model = modelOf({ root, all: new Map([[root, doc]]) }, 'x', {})
  // Through the file, as between two runs.
  return readState(printState(stateOf(model, { source: 'x', sha256: '0', chosen: {} })))!
}

const object = (properties: Readonly<Record<string, unknown>>, required: readonly string[] = []): unknown => ({
  type: 'object',
  properties,
  required,
})
const text = { type: 'string' }

/** What is told when both the request and the answer change like this: `breaking` in which of the two. */
function change(from: unknown, to: unknown): { readonly in: string; readonly out: string } {
  const told = (before: State, after: State): string => {
    const [found] = compare(before, after, all)
    return found ? `${found.breaking ? 'breaking: ' : ''}${found.what.join('; ')}` : 'same'
  }
  return { in: told(state(from, text), state(to, text)), out: told(state(object({}), from), state(object({}), to)) }
}

test('tells what changed, and for whom it breaks', () => {
  assert.deepEqual(change(object({ a: text }), object({ a: { ...text, description: 'new words' } })), {
    in: 'same',
    out: 'same',
  })
  assert.deepEqual(change(object({ a: text }), object({ a: text, b: text })), {
    in: 'input.b is new',
    out: 'output.b is new',
  })
  assert.deepEqual(change(object({}), object({ b: text }, ['b'])), {
    in: 'breaking: input.b is new and required',
    out: 'output.b is new',
  })
  assert.deepEqual(change(object({ a: text }), object({})), {
    in: 'breaking: input.a is gone',
    out: 'breaking: output.a is gone',
  })
  assert.deepEqual(change(object({ a: text }), object({ a: text }, ['a'])), {
    in: 'breaking: input.a is required now',
    out: 'output.a is required now',
  })
  assert.deepEqual(change(object({ a: text }, ['a']), object({ a: text })), {
    in: 'input.a is optional now',
    out: 'breaking: output.a is optional now',
  })
  assert.deepEqual(change(object({ a: text }), object({ a: { type: ['string', 'null'] } })), {
    in: 'input.a may be null',
    out: 'breaking: output.a may be null',
  })
  assert.deepEqual(change(object({ a: text }), object({ a: { type: 'integer' } })), {
    in: 'breaking: input.a is number, it was string',
    out: 'breaking: output.a is number, it was string',
  })
  assert.deepEqual(change(object({ a: { enum: ['x', 'y'] } }), object({ a: { enum: ['y', 'z'] } })), {
    in: 'breaking: input.a is no longer "x"; input.a may be "z"',
    out: 'output.a is no longer "x"; output.a may be "z"',
  })
  assert.deepEqual(change(object({ a: text }), object({ a: { ...text, maxLength: 5 } })), {
    in: 'breaking: input.a has narrower limits',
    out: 'same',
  })
  assert.deepEqual(
    change(
      object({ a: { type: 'array', items: object({ b: text }) } }),
      object({ a: { type: 'array', items: object({}) } }),
    ).out,
    'breaking: output.a[].b is gone',
  )
  assert.match(
    change({ oneOf: [text, { type: 'integer' }] }, { oneOf: [text, { type: 'boolean' }] }).out,
    /breaking: output has other alternatives/,
  )
})

test('tells of operations that came and went', () => {
  const gone = state(text, text, { '/old': { delete: {} }, '/unchosen': { get: {} } })
  const came = state(text, text, { '/new': { get: {} } })
  assert.deepEqual(compare(gone, came, all), [
    { line: 'DELETE /old', change: 'removed', breaking: true, what: [] },
    { line: 'GET /new', change: 'added', breaking: false, what: [] },
  ])
})

test('a schema that contains itself is compared once', () => {
  const tree = (leaf: unknown): State => {
    const doc = {
      openapi: '3.1.0',
      paths: {
        '/tree': {
          get: {
            responses: { 200: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Tree' } } } } },
          },
        },
      },
      components: { schemas: { Tree: object({ leaf, down: { $ref: '#/components/schemas/Tree' } }) } },
    }
    return stateOf(modelOf({ root, all: new Map([[root, doc]]) }, 'x', {}), { source: 'x', sha256: '0', chosen: {} })
  }
  assert.deepEqual(compare(tree(text), tree({ type: 'integer' }), all)[0]?.what, [
    'output.leaf is number, it was string',
  ])
})

test('a state that is none, or was made by hand, is no reason to fail', () => {
  for (const bad of [
    '',
    '{',
    '[]',
    '{"format":"fairlead add 2"}',
    '{"format":"fairlead add 1","operations":[]}',
    '{"format":"fairlead add 1","operations":{"a":1},"schemas":{},"chosen":{}}',
  ]) {
    assert.equal(readState(bad), undefined)
  }
  const odd = readState(
    '{"format":"fairlead add 1","operations":{"POST /things":{"name":"make","http":"x","input":{"is":"ref","to":"constructor"},"output":{"is":"object"}}},"schemas":{},"chosen":{}}',
  )!
  assert.equal(compare(odd, state(text, object({ a: text })), all)[0]?.change, 'changed')
})
