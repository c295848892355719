import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compile, execute, print } from '../compile.ts'
import { generate, json, text } from './descriptions.ts'

/** GitHub's whole description: 13 MB, 1,223 operations, 969 schemas, 270 webhooks. */
const github = generate('github', text('github.json.br'))

test('the whole of GitHub becomes a connection that compiles in a strict project', async () => {
  const { operations, leftOut, lines, webhooks } = github.model
  assert.deepEqual(
    [operations.length, lines.length, webhooks.length, leftOut.map((l) => l.line)],
    [1222, 1223, 270, ['POST /repos/{owner}/{repo}/releases/{release_id}/assets']],
  )
  const uses = `
import type { Context } from 'fairlead'
import { github, type Issue } from './github.ts'
export async function handle(ctx: Context): Promise<void> {
  const issue: Issue = await ctx.call(github.issuesCreate, { owner: 'o', repo: 'r', title: 't', labels: ['bug'] })
  for await (const one of ctx.each(github.issuesListForRepo, { owner: 'o', repo: 'r', state: 'open' })) void one
  // @ts-expect-error the path needs it
  await ctx.call(github.issuesGet, { owner: 'o', repo: 'r' })
  const state: string = issue.state
  void state
}
`
  const { diagnostics, instantiations } = await compile(
    new Map([
      ['github.ts', github.code],
      ['uses.ts', uses],
    ]),
  )
  assert.equal(diagnostics.map(print).join('\n'), '')
  // 1.7 million when this was written: 609 schemas, their types, `src` and the uses above included.
  assert.ok(instantiations < 2_500_000, `${instantiations} instantiations`)
})

type Media = { readonly examples?: Readonly<Record<string, { readonly $ref?: string; readonly value?: unknown }>> }
type Response = { readonly $ref?: string; readonly content?: Readonly<Record<string, Media>> }
type Document = {
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, { readonly responses: Readonly<Record<string, Response>> }>>>
  >
  readonly components: {
    readonly examples: Readonly<Record<string, { readonly value: unknown }>>
    readonly responses: Readonly<Record<string, Response>>
  }
}

test('its own examples are read by the schemas that were made, as often as they fit the description', async () => {
  const { paths, components } = json('github.json.br') as Document
  const last = (ref: string): string => ref.split('/').at(-1)!
  const examples: [name: string, value: unknown][] = []
  const names = new Map(github.model.operations.map((o) => [o.line, o]))
  for (const [path, item] of Object.entries(paths)) {
    for (const [method, { responses }] of Object.entries(item)) {
      const operation = names.get(`${method.toUpperCase()} ${path}`)
      if (operation?.output === undefined || operation.answer !== undefined) continue
      for (const [status, given] of Object.entries(responses)) {
        if (!status.startsWith('2')) continue
        const response = given.$ref === undefined ? given : components.responses[last(given.$ref)]!
        for (const one of Object.values(response.content?.['application/json']?.examples ?? {})) {
          const value = one.$ref === undefined ? one.value : components.examples[last(one.$ref)]!.value
          examples.push([operation.name, value])
        }
      }
    }
  }
  const program = `
import { readFileSync } from 'node:fs'
import { fairlead } from 'fairlead'
import * as module from './github.ts'
await using app = await fairlead({ use: [module], work: false })
const examples = JSON.parse(readFileSync(new URL('examples.json', import.meta.url), 'utf8'))
const fit = examples.filter(([name, value]) => module.github[name].spec.output.safeParse(value).success)
console.log(examples.length, fit.length)
`
  const files = new Map([
    ['github.ts', github.code],
    ['main.ts', program],
    ['examples.json', JSON.stringify(examples)],
  ])
  // Ajv on the description itself, made strict about \`nullable\`, accepts 786; the other 212 break what it says. We take 11
  // of these all the same (a value that a list does not have), and none less.
  assert.equal(await execute(files, 'main.ts'), '1009 797\n')
})
