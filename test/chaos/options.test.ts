import assert from 'node:assert/strict'
import { test } from 'node:test'
import { options } from './options.ts'

const known = ['kills', 'freeze']
const plain = { scenarios: known, kills: undefined, every: undefined, seed: 1, json: false }

test('runs every scenario once when none is named', () => {
  assert.deepEqual(options([], known), plain)
})

test('takes the named scenarios, how often, and what to draw from', () => {
  assert.deepEqual(options(['freeze', 'freeze', '--kills', '1000', '--every', '1', '--seed', '7', '--json'], known), {
    scenarios: ['freeze'],
    kills: 1_000,
    every: 1,
    seed: 7,
    json: true,
  })
})

test('help goes before everything else', () => {
  assert.deepEqual(options(['--help', 'freeze'], known), { help: true })
})

for (const args of [
  ['frieze'],
  ['--kill', '3'],
  ['--kills', '0'],
  ['--kills', 'x'],
  ['--every', '-1'],
  ['--seed', '1.5'],
]) {
  test(`refuses ${args.join(' ')}`, () => {
    const asked = options(args, known)
    assert.ok('wrong' in asked && asked.wrong.length > 0)
  })
}
