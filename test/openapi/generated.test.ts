import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { inspect } from '#cli/add/file.ts'
import { compile, execute, print } from '../compile.ts'
import { descriptions, generate, made, text } from './descriptions.ts'
import { hostileFiles, randomFiles } from './hostile.ts'

/** Names that are words of the language, or of the file itself. */
const odd = ['import', 'default', 'z', 'open', 'Object', 'await', 'shop.eu-1', 'Order'].map((name) => {
  const schema = '{"type":"object","properties":{"a":{"enum":["x","y"]}}}'
  const content = `{"application/json":{"schema":{"$ref":"#/components/schemas/Order"}}}`
  const description = `{"openapi":"3.0.0","servers":[{"url":"https://a.test"}],"paths":{"/a":{"get":{"operationId":"delete","responses":{"200":{"content":${content}}}}}},"components":{"schemas":{"Order":${schema}}}}`
  return [`generated/odd-${name}.ts`, generate(name, description).code] as const
})

/** The two ways of OAuth that a connection has. */
const oauth = ['clientCredentials', 'authorizationCode'].map((flow) => {
  const flows = { [flow]: { authorizationUrl: 'https://a.test/allow', tokenUrl: 'https://a.test/token', scopes: {} } }
  const { code } = made({
    paths: { '/a': { get: { security: [{ o: ['read', "it's"] }] } } },
    components: { securitySchemes: { o: { type: 'oauth2', flows } } },
  })
  assert.match(code, new RegExp(`auth: ${flow}\\(`))
  return [`generated/${flow}.ts`, code] as const
})

const names = new Map(descriptions.map((file) => [file, file.replaceAll(/[^A-Za-z0-9]+/g, '-')]))
const files = new Map(
  descriptions.map((file) => [`generated/${names.get(file)!}.ts`, generate(names.get(file)!, text(file)).code]),
)

/** Recursion in every way that a document can have it: itself, each other, in lists, maps, unions, `allOf`, both directions. */
const recursive = made({
  paths: {
    '/nodes/{id}': {
      put: {
        operationId: 'putNode',
        requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Node' } } } },
        responses: { 200: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Node' } } } } },
      },
    },
    '/files': {
      get: {
        operationId: 'listFiles',
        responses: {
          200: {
            content: {
              'application/json': { schema: { type: 'array', items: { $ref: '#/components/schemas/Entry' } } },
            },
          },
        },
      },
    },
  },
  components: {
    schemas: {
      Node: {
        type: 'object',
        required: ['name', 'made'],
        properties: {
          name: { type: 'string' },
          made: { type: 'string', format: 'date-time', readOnly: true },
          secret: { type: 'string', writeOnly: true },
          parent: { oneOf: [{ $ref: '#/components/schemas/Node' }, { type: 'null' }] },
          children: { type: 'array', items: { $ref: '#/components/schemas/Node' } },
          named: { type: 'object', additionalProperties: { $ref: '#/components/schemas/Node' } },
          color: { enum: ['red', 'green'] },
        },
      },
      Entry: {
        oneOf: [{ $ref: '#/components/schemas/File' }, { $ref: '#/components/schemas/Folder' }],
        discriminator: { propertyName: 'kind' },
      },
      File: {
        allOf: [
          { $ref: '#/components/schemas/Named' },
          { type: 'object', required: ['kind'], properties: { kind: { const: 'File' }, size: { type: 'integer' } } },
        ],
      },
      Folder: {
        allOf: [
          { $ref: '#/components/schemas/Named' },
          {
            type: 'object',
            required: ['kind'],
            properties: {
              kind: { const: 'Folder' },
              entries: { type: 'array', items: { $ref: '#/components/schemas/Entry' } },
            },
          },
        ],
      },
      Named: {
        type: 'object',
        required: ['name'],
        properties: { name: { type: 'string' }, owner: { $ref: '#/components/schemas/Named' } },
      },
    },
  },
}).code

/** What users write with what was generated: right types, and mistakes that the compiler finds. */
const uses = `
import type { Context } from 'fairlead'
import { stripeJsonBr as stripe, type Charge } from './stripe-json-br.ts'
import { made } from './recursive.ts'

export async function handle(ctx: Context): Promise<void> {
  const charge = await ctx.call(stripe.postCharges, { amount: 5, currency: 'eur', metadata: { order: '1' } })
  const id: string = charge.id
  const same: Charge = charge
  const status: 'failed' | 'pending' | 'succeeded' | (string & {}) = charge.status
  const one = await ctx.call(stripe.getChargesCharge, { charge: id, expand: ['customer'] })
  // @ts-expect-error the path needs it
  await ctx.call(stripe.getChargesCharge, {})
  // @ts-expect-error there is no such field
  await ctx.call(stripe.postCharges, { amounts: 5 })
  // @ts-expect-error a number
  await ctx.call(stripe.postCharges, { amount: '5' })
  // @ts-expect-error may be absent
  const brand: string = one.payment_method_details.card.brand
  for await (const listed of ctx.each(stripe.getCharges, { limit: 100, created: { gte: 5 } })) void listed
  const node = await ctx.call(made.putNode, { id: '1', name: 'a', secret: 's', children: [{ name: 'b', parent: { name: 'c' } }] })
  const deep: string | undefined = node.children?.[0]?.parent?.children?.[0]?.made
  // @ts-expect-error theirs to say
  await ctx.call(made.putNode, { id: '1', name: 'a', made: 'now' })
  for (const entry of await ctx.call(made.listFiles, undefined)) if (entry.kind === 'Folder') void entry.entries?.[0]?.name
  void [same, status, brand, deep]
}
`

const check = `
import { isDeepStrictEqual } from 'node:util'
import { fairlead } from 'fairlead'
${descriptions.map((file, i) => `import * as d${i} from './${names.get(file)!}.ts'`).join('\n')}
import * as recursive from './recursive.ts'
import * as own from './clientCredentials.ts'
import * as person from './authorizationCode.ts'
const use = [${descriptions.map((_, i) => `d${i}`).join(', ')}]
for (const one of [...use, recursive, own, person]) {
  await using app = await fairlead({ use: [one], work: false })
}
const node = { name: 'a', made: 'm', more: 1, children: [{ name: 'b', made: 'm', parent: null }], color: 'blue' }
console.log(isDeepStrictEqual(recursive.Node.parse(node), node))
console.log(recursive.NodeInput.safeParse({ name: 'a', children: [{ name: 'b', typo: 1 }] }).success)
console.log(recursive.NodeInput.safeParse({ name: 'a', children: [{ name: 'b', color: 'red' }] }).success)
`

test('what is written compiles in a strict project, with the types that its users expect', async () => {
  assert.ok(files.size >= 14)
  // Hostile and random documents too: one run of the compiler for all.
  const strange = [...hostileFiles(), ...randomFiles().files]
  assert.ok(strange.length > 65)
  const all = new Map([
    ...files,
    ...odd,
    ...strange,
    ['generated/recursive.ts', recursive],
    ['generated/uses.ts', uses],
  ])
  const { diagnostics } = await compile(all)
  assert.equal(diagnostics.map(print).join('\n'), '')
})

test('what is written is loaded and starts: every definition is right, and recursive values are read', async () => {
  const all = new Map([...files, ...oauth, ['generated/recursive.ts', recursive], ['generated/check.ts', check]])
  assert.equal(await execute(all, 'generated/check.ts'), 'true\nfalse\ntrue\n')
})

test('the same description gives the same file, to the byte', () => {
  for (const [file, name] of names) assert.equal(generate(name, text(file)).code, files.get(`generated/${name}.ts`))
})

test('a file that a formatter went over still counts as it was written; one that was edited does not', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'formatted-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'stripe.ts')
  const written = files.get('generated/stripe-json-br.ts')!
  const oxfmt = fileURLToPath(new URL('../../node_modules/.bin/oxfmt', import.meta.url))
  for (const options of [
    { semi: true, printWidth: 80 },
    { singleQuote: true, trailingComma: 'none', printWidth: 140 },
  ]) {
    writeFileSync(path, written)
    writeFileSync(join(folder, '.oxfmtrc.json'), JSON.stringify(options))
    execFileSync(process.execPath, [oxfmt, 'stripe.ts'], { cwd: folder, stdio: 'ignore' })
    const formatted = readFileSync(path, 'utf8')
    assert.notEqual(formatted, written)
    assert.equal(inspect(formatted), 'unchanged')
  }
  assert.equal(inspect(written), 'unchanged')
  assert.equal(inspect(written.replace('postCharges', 'createCharge')), 'edited')
  assert.equal(inspect(written.replace("http: 'GET /v1/charges'", "http: 'GET /v2/charges'")), 'edited')
  assert.equal(inspect('export const stripe = 1\n'), 'foreign')
})
