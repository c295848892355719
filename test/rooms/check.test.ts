import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkRooms, type Tree } from './check.ts'

/** Rules broken by a small made-up tree, as `file:line rule`. */
function broken(files: Record<string, string>, more: Partial<Tree> = {}): string[] {
  const exports = { '.': './src/index.ts', './sqlite': './src/adapters/stores/sqlite/index.ts' }
  const tree = { name: 'fairlead', exports, files: new Map(Object.entries(files)), ...more }
  return checkRooms(tree).map((v) => `${v.file}:${v.line} ${v.rule}`)
}

const line = (specifier: string): string => `import type { X } from '${specifier}'\n`

test('accepts arrows that point left', () => {
  assert.deepEqual(
    broken({
      'src/kernel/a.ts': line('./b.ts') + line('@standard-schema/spec'),
      'src/resilience/a.ts': line('#kernel/a.ts'),
      'src/adapters/stores/port.ts': line('#resilience/a.ts'),
      'src/adapters/stores/conformance.ts': line('./port.ts'),
      'src/adapters/stores/migrations/index.ts': line('../port.ts'),
      'src/adapters/stores/cursor.ts': line('./port.ts'),
      'src/adapters/stores/sqlite/index.ts': line('../port.ts') + line('./x.ts') + line('node:sqlite'),
      'src/journal/a.ts': line('#adapters/stores/port.ts'),
      'src/journal/deep/a.ts': line('../a.ts'),
      'src/patterns/topics/run.ts': line('#journal/a.ts') + line('./define.ts') + line('node:crypto'),
      'src/connectors/stripe.ts': line('#patterns/webhooks/define.ts'),
      'src/app/start.ts': line('#connectors/stripe.ts') + line('./http/server.ts') + line('fairlead/sqlite'),
      'src/app/defaults.ts': line('#adapters/stores/sqlite/index.ts') + line('#adapters/secrets/env.ts'),
      'src/cli/main.ts': line('#app/start.ts') + line('fairlead/sqlite') + line('commander'),
      'src/app/http/client.ts': line('undici') + line('@standard-schema/spec'),
      'src/testing/index.ts': line('#app/start.ts') + line('fairlead/sqlite'),
      'src/testing/harness.ts': line('#adapters/stores/sqlite/index.ts'),
      'src/index.ts': "// names\nexport { a,\n  type B } from '#app/start.ts'\nexport type { C } from '#kernel/a.ts'\n",
      'src/device/index.ts': line('#kernel/a.ts') + line('#patterns/mappings/define.ts'),
      'test/all.test.ts': line('#cli/main.ts') + line('fairlead') + line('./rooms/check.ts'),
      'examples/orders/main.ts': line('fairlead') + line('fairlead/sqlite') + line('../shared/x.ts'),
    }),
    [],
  )
})

const wrong: readonly (readonly [from: string, specifier: string, rule: string])[] = [
  ['src/kernel/a.ts', '#resilience/a.ts', 'arrow'],
  ['src/kernel/a.ts', 'node:buffer', 'pure'],
  ['src/kernel/a.ts', 'undici', 'package'],
  ['src/app/start.ts', 'undici', 'package'],
  ['src/app/http/client.ts', 'yaml', 'package'],
  ['src/cli/main.ts', 'undici/types/client.js', 'package'],
  ['src/connectors/stripe.ts', 'stripe', 'package'],
  ['src/kernel/a.ts', 'fairlead', 'arrow'],
  ['src/resilience/a.ts', '#adapters/stores/port.ts', 'arrow'],
  ['src/resilience/a.ts', '#journal/a.ts', 'arrow'],
  ['src/adapters/stores/port.ts', '#journal/a.ts', 'arrow'],
  ['src/adapters/stores/port.ts', '#adapters/brokers/port.ts', 'arrow'],
  ['src/adapters/stores/port.ts', './sqlite/index.ts', 'arrow'],
  ['src/adapters/stores/sqlite/index.ts', '../postgres/index.ts', 'arrow'],
  ['src/adapters/stores/sqlite/index.ts', '#adapters/brokers/port.ts', 'arrow'],
  ['src/adapters/stores/sqlite/index.ts', '#journal/a.ts', 'arrow'],
  ['src/journal/a.ts', '#adapters/stores/sqlite/index.ts', 'arrow'],
  ['src/journal/a.ts', 'fairlead/sqlite', 'arrow'],
  ['src/journal/a.ts', '#patterns/topics/define.ts', 'arrow'],
  ['src/journal/a.ts', '#testing/clock.ts', 'arrow'],
  ['src/journal/a.ts', 'node:fs', 'law'],
  ['src/patterns/topics/run.ts', '#patterns/webhooks/define.ts', 'arrow'],
  ['src/patterns/topics/run.ts', '#app/start.ts', 'arrow'],
  ['src/patterns/topics/run.ts', 'node:timers/promises', 'law'],
  ['src/connectors/stripe.ts', '#app/start.ts', 'arrow'],
  ['src/app/start.ts', '#adapters/stores/postgres/index.ts', 'arrow'],
  ['src/cli/main.ts', '#adapters/stores/sqlite/index.ts', 'arrow'],
  ['src/app/start.ts', '#cli/main.ts', 'arrow'],
  ['src/app/start.ts', '#index.ts', 'arrow'],
  ['src/app/start.ts', 'fairlead', 'arrow'],
  ['src/cli/main.ts', '#testing/clock.ts', 'arrow'],
  ['src/cli/main.ts', '#app/start.test.ts', 'arrow'],
  ['src/device/index.ts', '#patterns/topics/define.ts', 'arrow'],
  ['src/app/start.ts', '#elsewhere/a.ts', 'arrow'],
  ['src/app/start.ts', '#kernel/../../tools/build.ts', 'arrow'],
  ['src/journal/a.ts', '../kernel/a.ts', 'spelling'],
  ['src/journal/a.ts', '#journal/b.ts', 'spelling'],
  ['src/journal/a.test.ts', '../kernel/a.ts', 'spelling'],
  ['src/patterns/topics/a.ts', '#patterns/topics/b.ts', 'spelling'],
  ['test/a.test.ts', '../src/kernel/a.ts', 'spelling'],
  ['examples/orders/main.ts', '#kernel/fault.ts', 'spelling'],
  ['examples/orders/main.ts', '../../src/index.ts', 'spelling'],
  ['src/elsewhere/a.ts', './b.ts', 'room'],
]

for (const [from, specifier, rule] of wrong) {
  test(`refuses ${specifier} in ${from}`, () => {
    assert.deepEqual(broken({ [from]: `\n${line(specifier)}` }), [`${from}:${rule === 'room' ? 1 : 2} ${rule}`])
  })
}

test('judges every form of import', () => {
  for (const form of ["import '%'", "export { a } from '%'", "export type { A } from '%'", "export * from '%'"]) {
    assert.deepEqual(broken({ 'src/kernel/a.ts': form.replace('%', '#app/a.ts') }), ['src/kernel/a.ts:1 arrow'], form)
  }
  for (const form of ["await import('%')", "type A = import('%').A", "let a: typeof import('%')"]) {
    assert.deepEqual(broken({ 'src/kernel/a.ts': form.replace('%', '#app/a.ts') }), ['src/kernel/a.ts:1 arrow'], form)
  }
})

test('a test may import from anywhere, and nothing may import a test', () => {
  assert.deepEqual(broken({ 'src/kernel/a.test.ts': line('#testing/clock.ts') + line('node:test') }), [])
  assert.deepEqual(broken({ 'src/kernel/a.ts': line('./b.test.ts') }), ['src/kernel/a.ts:1 arrow'])
  assert.deepEqual(broken({ 'src/kernel/a.ts': line('./fixtures/b.ts') }), ['src/kernel/a.ts:1 arrow'])
})

test('only app, cli and testing may compute what they import', () => {
  assert.deepEqual(broken({ 'src/cli/load.ts': 'await import(path)' }), [])
  assert.deepEqual(broken({ 'src/patterns/topics/load.ts': 'await import(path)' }), [
    'src/patterns/topics/load.ts:1 computed',
  ])
})

const nondeterministic = [
  'Date.now()',
  'const now = Date.now',
  'new Date()',
  'new Date',
  'Date()',
  'setTimeout(f, 1)',
  'const arm = setInterval',
  'setImmediate(f)',
  'Math.random()',
  'performance.now()',
  'fetch(url)',
  'process.env',
  'crypto.randomUUID()',
  'globalThis.setTimeout(f)',
  '`${Date.now()}`',
]

test('in the simulated rooms nothing reads a clock, arms a timer or rolls dice', () => {
  for (const code of nondeterministic) {
    for (const file of ['src/kernel/a.ts', 'src/resilience/a.ts', 'src/journal/a.ts', 'src/patterns/topics/a.ts']) {
      assert.ok(broken({ [file]: code }).includes(`${file}:1 law`), `${file}: ${code}`)
    }
    assert.deepEqual(broken({ 'src/journal/a.test.ts': code, 'src/app/a.ts': code }), [], code)
  }
  assert.deepEqual(broken({ 'src/journal/a.ts': "import { createHash, randomBytes } from 'node:crypto'" }), [
    'src/journal/a.ts:1 law',
  ])
})

test('the law is about code, not about words', () => {
  const code = [
    '// Date.now() would be wrong here',
    "const a = 'process.env'",
    'new Date(clock.now())',
    "new Date('2026-01-01')",
    'clock.fetch(1)',
    'x.setTimeout(1)',
    'isDate(x)',
    'type T = { setTimeout?: number; process: string }',
  ]
  assert.deepEqual(broken({ 'src/journal/a.ts': code.join('\n') }), [])
})

test('doors name what leaves', () => {
  assert.deepEqual(broken({ 'src/adapters/stores/sqlite/index.ts': "export * from './a.ts'" }), [
    'src/adapters/stores/sqlite/index.ts:1 door',
  ])
  assert.deepEqual(broken({ 'src/index.ts': "export { a } from '#app/a.ts'\nexport const b = 1\n" }), [
    'src/index.ts:2 door',
  ])
  assert.deepEqual(broken({ 'src/index.ts': "export { a } from '#cli/a.ts'\n" }), ['src/index.ts:1 arrow'])
  assert.deepEqual(broken({ 'src/index.ts': "export { a } from '#adapters/stores/sqlite/index.ts'\n" }), [
    'src/index.ts:1 arrow',
  ])
})

test('files end before line 600 and folders have names that say something', () => {
  assert.deepEqual(broken({ 'src/app/a.ts': '\n'.repeat(600), 'src/app/b.ts': '\n'.repeat(601) }), [
    'src/app/b.ts:600 length',
  ])
  assert.deepEqual(broken({ 'src/app/utils/a.ts': '', 'src/app/helpers.test.ts': '' }), [
    'src/app/helpers.test.ts:1 name',
    'src/app/utils/a.ts:1 name',
  ])
  assert.deepEqual(broken({}, { emptyFolders: ['src/console'] }), ['src/console:0 empty'])
})
