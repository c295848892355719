import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exportsOf } from './exports.ts'

test('lists the names of a door, values and types apart', () => {
  const source = `
    // export { commented } from './x.ts'
    export { b, type C, d as e } from './b.ts'
    export type { F, G as H } from './f.ts'
    export function a(): string { return 'export const text = 1' }
    export async function i() {}
    export const j = 1
    export class K {}
    export type L = { readonly m: 1 }
    export interface N { o: 1 }
    export type P = 1
    export const P = 1
  `
  assert.deepEqual(exportsOf(source), {
    C: 'type',
    F: 'type',
    H: 'type',
    K: 'value',
    L: 'type',
    N: 'type',
    P: 'value',
    a: 'value',
    b: 'value',
    e: 'value',
    i: 'value',
    j: 'value',
  })
})

test('refuses what would let names leave unseen', () => {
  assert.throws(() => exportsOf("export * from './a.ts'"), /export \*/)
  assert.throws(() => exportsOf("export * as a from './a.ts'"), /export \*/)
  assert.throws(() => exportsOf('export default 1'), /default/)
})
