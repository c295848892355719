import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { exportsOf, type Exported } from './rooms/exports.ts'

const root = new URL('../', import.meta.url)
const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
  name: string
  exports: Record<string, string>
}
const specifier = (subpath: string): string => manifest.name + subpath.slice(1)

const doors: Record<string, Exported> = Object.fromEntries(
  Object.entries(manifest.exports).map(([subpath, file]) => [
    specifier(subpath),
    exportsOf(readFileSync(new URL(file, root), 'utf8')),
  ]),
)

// To accept a change: npm run doors. The diff of doors.json is then the change of the public surface, for review.
test('the public subpaths and their names are those of test/doors.json', (t) => {
  t.assert.fileSnapshot(doors, fileURLToPath(new URL('doors.json', import.meta.url)), {
    serializers: [(value) => `${JSON.stringify(value, null, 2)}\n`],
  })
})

for (const [name, exported] of Object.entries(doors)) {
  test(`importing ${name} gives its listed values and no others`, async () => {
    const values = Object.keys(exported).filter((key) => exported[key] === 'value')
    const module = (await import(name)) as Record<string, unknown>
    assert.deepEqual(Object.keys(module).toSorted(), values.toSorted())
  })
}
