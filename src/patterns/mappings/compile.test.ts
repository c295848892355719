import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as fc from 'fast-check'
import { closures } from './closures.ts'
import { compile } from './compile.ts'
import { documentEngine } from './engine.ts'
import { planDocument } from './entries.ts'
import { readDocument } from './document.ts'
import type { Plan } from './plan.ts'

const tables = new Map([
  [
    'codes',
    new Map<string, unknown>([
      ['a', 1],
      ['b', null],
      ['1', 'one'],
    ]),
  ],
])

const names = [
  'a',
  'b',
  'c',
  'toString',
  'length',
  'valueOf',
  'group/q',
  "it's",
  '`${x}`',
  '\\n"',
  '\u2028',
  '0',
  'then',
]
const quoted = (name: string): string => `[${JSON.stringify(name)}]`
const source = fc
  .tuple(fc.constantFrom(...names), fc.array(fc.oneof(fc.constantFrom(...names), fc.nat(2)), { maxLength: 3 }))
  .map(([first, rest]) => quoted(first) + rest.map((s) => (typeof s === 'number' ? `[${s}]` : quoted(s))).join(''))
/** Targets of one tree: names hold names, lists hold at most two more levels. */
const target = fc.oneof(
  fc.constantFrom(...names).map(quoted),
  fc.tuple(fc.constantFrom('x', 'y'), fc.constantFrom(...names)).map(([a, b]) => `${a}${quoted(b)}`),
  fc.tuple(fc.constantFrom('l', 'm'), fc.nat(3)).map(([a, i]) => `${a}[${i}]`),
  fc.tuple(fc.constantFrom('p', 'q'), fc.nat(2), fc.constantFrom('v', 'w')).map(([a, i, b]) => `${a}[${i}].${b}`),
)
const scalar = fc.oneof(fc.string({ maxLength: 3 }), fc.integer(), fc.boolean(), fc.constant(null))
const transform = fc.oneof(
  fc.constant({}),
  fc.constantFrom(
    { transform: 'string' },
    { transform: 'string', trim: true },
    { transform: 'number' },
    { transform: 'boolean' },
    { transform: 'date' },
  ),
  fc.constantFrom(
    { transform: 'datetime', zone: '+03:00' },
    { transform: 'phone', default_country: 'KE' },
    { transform: 'lookup', lookup_table: 'codes' },
  ),
  scalar.map((otherwise) => ({ transform: 'lookup', lookup_table: 'codes', otherwise })),
)
const outcome = fc.record(
  {
    required: fc.boolean(),
    null: fc.constantFrom('keep', 'reject', 'omit'),
    invalid: fc.constantFrom('reject', 'omit', 'null'),
    empty: fc.constantFrom('keep', 'missing', 'null'),
  },
  { requiredKeys: [] },
)
const withDefault = fc.record(
  { default: fc.constant(null), null: fc.constantFrom('default', 'keep'), invalid: fc.constant('default') },
  { requiredKeys: ['default'] },
)
const entry = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(source, target, transform, fc.oneof(outcome, withDefault))
      .map(([source, target, t, o]) => ({ source, target, ...t, ...o })),
  },
  { weight: 1, arbitrary: fc.tuple(target, scalar).map(([target, value]) => ({ target, value })) },
)

const leaf = fc.oneof(
  scalar,
  fc.constantFrom('2026-07-01', '2026-07-01T12:00:00', '0712345678', 'yes', '12.5', 'a', '', ' a '),
  fc.constantFrom<unknown>(undefined, Number.NaN, () => 1, Symbol('s'), 5n, new Date(0)),
)
const record = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, leaf, leaf, fc.array(tie('value'), { maxLength: 3 }), tie('object')),
  object: fc
    .dictionary(fc.constantFrom(...names, '__proto__', 'constructor'), tie('value'), { maxKeys: 8 })
    .chain((o) =>
      // What JSON.parse makes of a hostile body: __proto__ as an own key.
      fc
        .boolean()
        .map((hostile) =>
          hostile
            ? (Object.defineProperty({ ...o }, '__proto__', { value: { a: 'polluted' }, enumerable: true }) as object)
            : o,
        ),
    ),
})).object

/** The entries that do not collide with an earlier one. */
function planOf(entries: readonly object[]): Plan | undefined {
  const kept: object[] = []
  let plan: Plan | undefined
  for (const next of entries) {
    const tried = planDocument(readDocument({ mappings: [...kept, next] }), { tables, phone: undefined })
    if (!tried.plan) continue
    kept.push(next)
    plan = tried.plan
  }
  return plan
}

test('generated code and closures give the same for any document and any record', () => {
  const canary = Object.getOwnPropertyNames(Object.prototype).join()
  let mapped = 0
  let rejected = 0
  fc.assert(
    fc.property(
      fc.array(entry, { minLength: 1, maxLength: 6 }),
      fc.array(record, { minLength: 3, maxLength: 8 }),
      (entries, records) => {
        const plan = planOf(entries)
        if (!plan) return
        const engine = documentEngine(plan, 'auto')
        const [fast, safe] = [compile(plan), closures(plan)]
        for (const source of [...records, {}, null, 'text', []]) {
          const [a, b] = [fast(source), safe(source)]
          assert.deepStrictEqual(a, b)
          assert.deepStrictEqual(Object.keys(a ?? {}), Object.keys(b ?? {}), 'in the same order')
          if (a === undefined) rejected++
          else mapped++
          assert.equal(engine.explain(source, 0).length > 0, a === undefined, 'reasons exactly for the rejected')
        }
        assert.equal(({} as Record<string, unknown>)['a'], undefined)
        assert.equal(Object.getOwnPropertyNames(Object.prototype).join(), canary)
      },
    ),
    { numRuns: 400 },
  )
  assert.ok(mapped > 100 && rejected > 100, 'both ends were reached')
})

test('hostile names and values stay data', () => {
  const evil = '"]; globalThis.polluted = 1; //'
  const plan = planOf([
    { source: quoted(evil), target: quoted(evil) },
    { source: 'a', target: 'b', default: '${globalThis.polluted = 1}' },
    { target: 'c', value: "'; globalThis.polluted = 1; '" },
  ])
  assert.ok(plan)
  assert.deepEqual(compile(plan)({ [evil]: 1 }), {
    [evil]: 1,
    b: '${globalThis.polluted = 1}',
    c: "'; globalThis.polluted = 1; '",
  })
  assert.ok(!('polluted' in globalThis))
})

test('refuses a name that could reach a prototype even in a plan that was not checked', () => {
  const plan = planOf([{ source: 'a', target: 'b' }])
  assert.ok(plan)
  const step = plan.steps[0]!
  for (const name of ['__proto__', 'constructor', 'prototype']) {
    assert.throws(() => compile({ steps: [{ ...step, source: [name] }], root: plan.root }), TypeError)
    assert.throws(
      () =>
        compile({
          ...plan,
          root: { kind: 'object', may: false, parts: [[name, { kind: 'value', step: 0, may: false }]] },
        }),
      TypeError,
    )
  }
})

test('records have the keys of the document in its order, whatever the order of the source', () => {
  const plan = planOf([
    { source: 'a', target: 'x.a' },
    { source: 'b', target: 'x.b', transform: 'number' },
    { source: 'c', target: 'l[0].v' },
  ])
  assert.ok(plan)
  const keys = [
    { a: 1, b: 2, c: 3 },
    { c: 3, b: '2', a: 1 },
  ].map((s) => JSON.stringify(compile(plan)(s)))
  assert.deepEqual(keys, ['{"x":{"a":1,"b":2},"l":[{"v":3}]}', '{"x":{"a":1,"b":2},"l":[{"v":3}]}'])
})

test('runs where code generation is forbidden', () => {
  const script = `
    import { mapping } from ${JSON.stringify(new URL('./define.ts', import.meta.url).href)}
    const m = mapping('m', { document: 'mappings:\\n  - { source: a, target: "b[0].c", transform: number }' })
    try { new Function('return 1')(); process.exit(3) } catch {}
    process.stdout.write(JSON.stringify([m({ a: '5' }), m.many([{ a: 'x' }]).rejected]))`
  const run = spawnSync(
    process.execPath,
    ['--disallow-code-generation-from-strings', '--input-type=module', '-e', script],
    {
      encoding: 'utf8',
      cwd: fileURLToPath(new URL('.', import.meta.url)),
    },
  )
  assert.equal(run.stdout, '[{"b":[{"c":5}]},1]', run.stderr)
})
