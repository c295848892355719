import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { compile, print } from './compile.ts'

const folder = new URL('types/budget/', import.meta.url)

/**
 * Type instantiations that one more definition costs the compiler beyond reading its schemas, which is the library's
 * affair (zod: about 250 a schema). A connection brings three operations with it, one of which has a `verify`.
 */
const budgets: Readonly<Record<string, number>> = { connection: 500 }
const budget = 350

const copies = 20

/** Instantiations for so many copies of a source, each a module of its own. */
async function cost(source: string): Promise<number> {
  const modules = Array.from({ length: copies }, (_, i) => [`budget/${i}.ts`, source] as const)
  const { diagnostics, instantiations } = await compile(new Map(modules))
  assert.equal(diagnostics.map(print).join('\n'), '')
  return instantiations
}

/** The part of a sample that makes its schemas, each of them read once as our definitions read it. */
function schemasOnly(source: string): string {
  const head = source.slice(0, source.indexOf('\nexport const'))
  const schemas = [...head.matchAll(/^const (\w+) = z\./gm)].map((match) => match[1]!)
  return [
    "import type { StandardSchemaV1 } from '@standard-schema/spec'",
    'declare function read<I, O>(schema: StandardSchemaV1<I, O>): readonly [I, O]',
    head,
    ...schemas.map((s) => `const of${s} = read(${s})\nexport type Of${s} = keyof (typeof of${s})[1]`),
    ...schemas.map((s) => `declare const key${s}: Of${s}\nexport const text${s}: string = key${s}`),
  ].join('\n')
}

for (const file of readdirSync(folder)) {
  const name = file.replace(/\.ts$/, '')
  const limit = budgets[name] ?? budget
  test(`a ${name} costs the compiler at most ${limit} type instantiations`, async () => {
    const source = readFileSync(new URL(file, folder), 'utf8')
    const [whole, schemas] = [await cost(source), await cost(schemasOnly(source))]
    const own = (whole - schemas) / copies
    // Below zero where our own reading of a schema is cheaper than the one it is compared with.
    assert.ok(whole > 0 && schemas > 0 && own <= limit, `${name}: ${own} instantiations`)
  })
}
