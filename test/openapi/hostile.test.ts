import assert from 'node:assert/strict'
import { test } from 'node:test'
import { execute } from '../compile.ts'
import { hostileFiles, randomFiles } from './hostile.ts'

// That all of these compile is a matter of generated.test.ts: one run of the compiler for all.

/** A program that loads the files, starts an app with each, and does `more` to each. */
function program(folder: string, files: ReadonlyMap<string, string>, more: string): string {
  const names = [...files.keys()].map((path) => path.slice(folder.length + 1))
  return `
${names.map((name, i) => `import * as m${i} from './${name}'`).join('\n')}
import { fairlead } from 'fairlead'
for (const one of [${names.map((_, i) => `m${i}`).join(', ')}]) {
  await using app = await fairlead({ use: [one], work: false })
  ${more}
}
console.log('pwned' in globalThis, Object.getOwnPropertyNames(Object.prototype).length)
`
}

const untouched = `false ${Object.getOwnPropertyNames(Object.prototype).length}\n`

test('nothing of a hostile document is run: it loads, it starts, and its text is text', async () => {
  const files = hostileFiles()
  assert.ok(files.size > 25)
  const main = program('hostile', files, 'for (const value of Object.values(one)) value?.safeParse?.({ a: 1 })')
  assert.equal(await execute(new Map([...files, ['hostile/main.ts', main]]), 'hostile/main.ts'), untouched)
  // No control, separator or direction mark is in a file, so it reads as it runs.
  for (const code of files.values()) assert.doesNotMatch(code, /[^\P{C}\n]|[\u2028\u2029]/u)
})

test('documents of any shape become a file that loads and starts, or a fault with a code', async () => {
  const { files, refused } = randomFiles()
  assert.ok(files.size > 40, `${files.size} written, ${refused} refused`)
  const main = program('any', files, '')
  assert.equal(await execute(new Map([...files, ['any/main.ts', main]]), 'any/main.ts'), untouched)
})
