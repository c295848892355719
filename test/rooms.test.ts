import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { checkRooms, print } from './rooms/check.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const tops = ['src', 'test', 'tools', 'bench', 'examples']

test('every import of the repository points the way ARCHITECTURE.md says', () => {
  const files = new Map<string, string>()
  const emptyFolders: string[] = []
  const walk = (folder: string): void => {
    const entries = readdirSync(folder, { withFileTypes: true })
    const name = relative(root, folder).replaceAll(sep, '/')
    if (entries.length === 0) emptyFolders.push(name)
    for (const entry of entries) {
      if (entry.name === 'node_modules') continue
      const path = join(folder, entry.name)
      if (entry.isDirectory()) walk(path)
      else if (/\.m?ts$/.test(entry.name)) files.set(`${name}/${entry.name}`, readFileSync(path, 'utf8'))
    }
  }
  const present = new Set(readdirSync(root))
  for (const top of tops) if (present.has(top)) walk(join(root, top))
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    name: string
    exports: Record<string, string>
  }
  assert.ok(files.has('src/kernel/fault.ts'), 'the walk found the sources')
  const violations = checkRooms({ files, emptyFolders, name: manifest.name, exports: manifest.exports })
  assert.equal(violations.map(print).join('\n'), '')
})
