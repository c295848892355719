import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { compile, execute, print } from './compile.ts'
import { blocks, programs } from './docs/blocks.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

function pages(): string[] {
  const top = readdirSync(root).filter((name) => name.endsWith('.md'))
  const below = ['docs', 'examples'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))
      .map((name) => join(folder, name)),
  )
  return [...top, ...below].map((name) => name.replaceAll('\\', '/')).toSorted()
}

const read = (page: string): string => readFileSync(join(root, page), 'utf8')
const found = pages().flatMap((page) => blocks(page, read(page)))
const { files, prints } = programs(found)

test('every TypeScript block of the documentation compiles', async () => {
  assert.ok(files.size > 0)
  const { diagnostics } = await compile(files)
  assert.equal(diagnostics.map(print).join('\n'), '')
})

for (const [file, text] of prints) {
  test(`${file} prints what its page says`, async () => {
    assert.equal(await execute(files, file), text)
  })
}

test('a block that is not compiled says why', () => {
  const silent = found.filter((b) => b.skip === '').map((b) => `${b.page}:${b.line}`)
  assert.deepEqual(silent, [])
})

test('every relative link of the documentation leads to a file', () => {
  const broken = pages().flatMap((page) =>
    [...read(page).matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)]
      .filter((match) => !existsSync(join(root, page, '..', match[1]!)))
      .map((match) => `${page}: ${match[1]}`),
  )
  assert.deepEqual(broken, [])
})
