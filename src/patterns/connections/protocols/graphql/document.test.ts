import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { getOperationAST, Kind, parse } from 'graphql'
import { readDocument } from './document.ts'

const problemOf = (source: unknown): string | undefined => {
  const read = readDocument(source)
  return 'problem' in read ? read.problem : undefined
}

test('finds kind, name and variables, past comments, strings, directives, defaults and fragments', () => {
  assert.deepEqual(
    readDocument(`
      # query Wrong { }
      fragment F on Order @a(b: "mutation { x") { id }
      query Orders(
        $first: Int! = 50, $after: String, $ids: [ID!]! @d(x: "$no") $tags: [String!] = ["{", """ } " \\""" """]
      ) @live { orders(first: $first, note: "}", text: """ { " """) { ...F } }
    `),
    {
      kind: 'query',
      name: 'Orders',
      variables: [
        { name: 'first', required: false },
        { name: 'after', required: false },
        { name: 'ids', required: true },
        { name: 'tags', required: false },
      ],
    },
  )
  assert.deepEqual(readDocument('\ufeff{ a }'), { kind: 'query', name: undefined, variables: [] })
  assert.deepEqual(readDocument('mutation query { a }'), { kind: 'mutation', name: 'query', variables: [] })
  assert.deepEqual(readDocument('query @live { a }'), { kind: 'query', name: undefined, variables: [] })
})

test('says what is wrong with what is no single query or mutation', () => {
  for (const [source, problem] of [
    [7, /not text/],
    ['', /0 operations/],
    ['fragment F on A { b }', /0 operations/],
    ['query A { a } query B { b }', /2 operations/],
    ['subscription { a }', /subscription/],
    ['type A { b: C }', /has type where/],
    ['query A { a ', /ends in the middle/],
    ['query A', /ends in the middle/],
    ['query A { a ) }', /nothing opened/],
    ['query A { a(b: "c) }', /does not know/],
    ['query A { a; }', /does not know/],
    ['x'.repeat(100_001), /longer/],
  ] as const) {
    assert.match(problemOf(source) ?? 'it was read', problem)
  }
})

test('reads what the parser of graphql-js reads, and agrees with it about operation and variables', () => {
  const name = fc.constantFrom('a', 'query', 'mutation', 'fragment', 'on', 'Orders')
  const value = fc.constantFrom('1', '-2.5e3', '"x{"', '"""y " } """', '[1, 2]', '{a: "b"}', '$v', 'ENUM', 'null')
  const type = fc.constantFrom('Int', 'Int!', '[Int!]', '[Int]!')
  const variable = fc
    .tuple(name, type, fc.constantFrom('', ' = 1', ' = [1]', ' @d(x: 1)'))
    .map(([n, t, d]) => `$${n}: ${t}${d}`)
  const field = fc
    .tuple(name, name, value)
    .map(([n, arg, v]) => `${n}(${arg}: ${v}) @include(if: true) { ...on T { b } } # }`)
  const operation = fc.record({
    kind: fc.constantFrom('query', 'mutation'),
    name: fc.option(name, { nil: '' }),
    variables: fc.uniqueArray(variable, { maxLength: 3, selector: (v) => v.split(':')[0] }),
    fields: fc.array(field, { minLength: 1, maxLength: 3 }),
    fragment: fc.boolean(),
  })
  fc.assert(
    fc.property(operation, (o) => {
      const head = o.variables.length === 0 ? '' : `(${o.variables.join(', ')})`
      const source = `${o.fragment ? 'fragment G on T { c }\n' : ''}${o.kind} ${o.name}${head} {\n${o.fields.join('\n')}\n}`
      const ast = getOperationAST(parse(source))
      assert.ok(ast)
      assert.deepEqual(readDocument(source), {
        kind: ast.operation,
        name: ast.name?.value,
        variables: (ast.variableDefinitions ?? []).map((v) => ({
          name: v.variable.name.value,
          required: v.type.kind === Kind.NON_NULL_TYPE && v.defaultValue === undefined,
        })),
      })
    }),
  )
})

test('does not throw and does not hang on any text', () => {
  const piece = fc.constantFrom('{', '}', '(', ')', '"', '"""', '\\', '#', '\n', 'query', ' ', '$a', ':', '!', '=')
  fc.assert(fc.property(fc.array(piece, { maxLength: 200 }), (pieces) => void readDocument(pieces.join(''))))
  assert.match(problemOf(`query { a(b: "${'\\"'.repeat(40_000)}`) ?? '', /does not know/)
})
