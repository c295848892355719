import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { bugs } from './bugs.ts'
import { mutated } from './plant.ts'

const source = new URL('../../', import.meta.url)

for (const bug of bugs) {
  test(`the mistake ${bug.name} still has its place in the source`, () => {
    for (const { file } of bug.edits) {
      const text = readFileSync(new URL(file, source), 'utf8')
      assert.notEqual(mutated(text, bug.edits, file), text)
    }
  })
}

test('a place that is not there, or there twice, is refused: a mistake must not silently not be planted', () => {
  const edits = [{ file: 'a.ts', from: 'x', to: 'y' }]
  assert.equal(mutated('1 x', edits, 'a.ts'), '1 y')
  assert.equal(mutated('1 x', edits, 'b.ts'), '1 x')
  assert.throws(() => mutated('1', edits, 'a.ts'), /0 places/)
  assert.throws(() => mutated('x x', edits, 'a.ts'), /2 places/)
})

test('mistakes have names of their own, and there are at least twenty', () => {
  assert.equal(new Set(bugs.map((b) => b.name)).size, bugs.length)
  assert.ok(bugs.length >= 20)
})
