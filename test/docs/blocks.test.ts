import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compile, execute, print } from '../compile.ts'
import { blocks, programs } from './blocks.ts'

const page = [
  '# Title',
  '```ts file=a.ts',
  'export const a: number = 1',
  '```',
  'text',
  '```ts continues',
  'export const b: string = a',
  '```',
  '  ```ts',
  "  import { b } from './a.ts'",
  '  const c: boolean = b',
  '  console.log(c)',
  '  ```',
  '```sh',
  'npm test',
  '```',
  '```ts skip: a sketch, not a program',
  '…',
  '```',
  '```ts skip',
  '…',
  '```',
].join('\n')

test('finds TypeScript blocks with their lines, names and reasons', () => {
  assert.deepEqual(
    blocks('x.md', page).map(({ line, file, continues, skip }) => [line, file, continues, skip]),
    [
      [3, 'a.ts', false, undefined],
      [7, undefined, true, undefined],
      [10, undefined, false, undefined],
      [18, undefined, false, 'a sketch, not a program'],
      [21, undefined, false, ''],
    ],
  )
})

test('reports a mistake in a block at its line on the page', async () => {
  const { diagnostics } = await compile(programs(blocks('x.md', page)).files)
  assert.deepEqual(
    diagnostics.map((d) => `${d.file}:${d.line} ${d.code}`),
    ['pages/x.md/a.ts:7 TS2322', 'pages/x.md/line-10.ts:11 TS2322'],
    diagnostics.map(print).join('\n'),
  )
})

test('keeps the names of separate blocks apart', async () => {
  const twice = [
    '```ts',
    'const same = 1',
    'console.log(same)',
    '```',
    '```ts',
    "const same = 'x'",
    'console.log(same)',
    '```',
  ]
  const { diagnostics } = await compile(programs(blocks('x.md', twice.join('\n'))).files)
  assert.equal(diagnostics.map(print).join('\n'), '')
})

test('runs a block that prints, in the repository that it is written for', async () => {
  const md = [
    '```ts prints',
    "import { isFault } from 'fairlead'",
    "console.log('fault:', isFault(1))",
    '```',
    'prints',
    '```text',
  ]
  const { files, prints } = programs(blocks('x.md', [...md, 'fault: false', '```'].join('\n')))
  for (const [file, text] of prints) assert.equal(await execute(files, file), text)
  assert.deepEqual([...prints.values()], ['fault: false\n'])
  assert.throws(() => blocks('x.md', '```ts prints\n1\n```\n```sh\nls\n```\n'), /x\.md:2 prints/)
})
