import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { compile, print } from './compile.ts'

const folder = new URL('types/', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, folder), 'utf8')
const suites = new Map(
  readdirSync(folder)
    .filter((name) => name.endsWith('.types.ts'))
    .map((name) => [`test/types/${name}`, read(name)] as const),
)
const directive = /^\s*\/\/ @ts-expect-error (?:(TS\d+) \S.*)?/

test('what users should be able to write compiles, with the types that they expect', async () => {
  assert.ok(suites.size > 0)
  const { diagnostics } = await compile(suites)
  assert.equal(diagnostics.map(print).join('\n'), '')
})

test('what users should not write is refused, for the reason that is named', async () => {
  const expected: string[] = []
  const bare = [...suites].map(([name, source]) => {
    const lines = source.split('\n').map((line, i) => {
      const match = directive.exec(line)
      if (!match) return line
      assert.ok(match[1], `${name}:${i + 1} names a TS code and says why`)
      expected.push(`${name}:${i + 2} ${match[1]}`)
      return line.replace('@ts-expect-error', '')
    })
    return [name, lines.join('\n')] as const
  })
  const { diagnostics } = await compile(new Map(bare))
  assert.deepEqual(
    diagnostics.map((d) => `${d.file}:${d.line} ${d.code}`).toSorted(),
    expected.toSorted(),
    diagnostics.map(print).join('\n'),
  )
})
