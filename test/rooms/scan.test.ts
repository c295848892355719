import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { blank, scan } from './scan.ts'

test('finds every form of import, with its line', () => {
  const source = [
    "import { a } from './a.ts'",
    "import type { B } from '#kernel/b.ts'",
    'import {',
    '  c,',
    "} from 'c'",
    "import './side.ts'",
    "export { d } from './d.ts'",
    "export type { E } from './e.ts'",
    "export * from './f.ts'",
    "export * as g from './g.ts'",
    "const h = await import('./h.ts')",
    "type I = import('./i.ts').I",
    "type J = typeof import('./j.ts')",
    "const k = import(`./k.ts`, { with: { type: 'json' } })",
  ].join('\n')
  assert.deepEqual(
    scan(source).imports.map((i) => [i.specifier, i.form, i.line]),
    [
      ['./a.ts', 'static', 1],
      ['#kernel/b.ts', 'static', 2],
      ['c', 'static', 5],
      ['./side.ts', 'static', 6],
      ['./d.ts', 'static', 7],
      ['./e.ts', 'static', 8],
      ['./f.ts', 'static', 9],
      ['./g.ts', 'static', 10],
      ['./h.ts', 'dynamic', 11],
      ['./i.ts', 'dynamic', 12],
      ['./j.ts', 'dynamic', 13],
      ['./k.ts', 'dynamic', 14],
    ],
  )
})

test('keeps the clause of an import, so that names can be judged', () => {
  assert.equal(scan("export const x = 1\nimport { a, type B } from 'c'").imports[0]?.clause, '{ a, type B }')
})

test('reports an import() that is computed', () => {
  assert.deepEqual(scan("const name = 'x'\nawait import(name)\nawait import(`./${name}.ts`)").computed, [2, 3])
})

test('is not misled by imports in comments, strings, templates and regular expressions', () => {
  const source = [
    "// import './no.ts'",
    "/* import './no.ts' */",
    `const a = "import './no.ts'"`,
    "const b = `import './no.ts' ${`from './no.ts' ${1}`} from './no.ts'`",
    "const c = /from 'no'/.test(a)",
    'const d = a / 2 / 1',
    "const e = { from: 'no', import: 'no' }",
    "Array.from('no')",
    "import { yes } from './yes.ts'",
  ].join('\n')
  assert.deepEqual(
    scan(source).imports.map((i) => i.specifier),
    ['./yes.ts'],
  )
})

test('keeps the code inside a template', () => {
  assert.match(
    blank('`text ${Date.now()} text ${{ a: `${Math.random()}` }.a} text`'),
    /Date\.now\(\).*Math\.random\(\)/,
  )
  assert.doesNotMatch(blank('`text ${1} fetch(`'), /fetch|text/)
})

test('a quote inside a regular expression does not swallow what follows', () => {
  assert.match(blank("const a = s.replace(/'/g, '')\nfetch('x')"), /fetch\(/)
  assert.match(blank('if (/[/"]/.test(s)) fetch(1)'), /fetch\(/)
  assert.match(blank('return /`/.exec(s) ?? fetch(1)'), /fetch\(/)
})

test('length and line breaks never change, whatever the source', () => {
  const pieces = fc.array(
    fc.constantFrom("'", '"', '`', '${', '}', '{', '/', '//', '/*', '*/', '\\', '\n', 'a', ' ', '(', ')'),
  )
  fc.assert(
    fc.property(pieces, (parts) => {
      const source = parts.join('')
      const code = blank(source)
      assert.equal(code.length, source.length)
      assert.deepEqual(breaks(code), breaks(source))
    }),
  )
})

function breaks(text: string): number[] {
  return text.split('\n').map((line) => line.length)
}
