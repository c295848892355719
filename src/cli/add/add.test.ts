import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { run } from '../program.ts'
import { fakeTerminal } from '../terminal.fixture.ts'

function folder(t: TestContext, files: Readonly<Record<string, string>> = {}): string {
  const path = mkdtempSync(join(tmpdir(), 'add-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text)
  return path
}

type Ran = { readonly code: number; readonly out: string; readonly err: string }

async function fairlead(...args: string[]): Promise<Ran> {
  const terminal = fakeTerminal()
  const code = await run(args, terminal)
  return { code, out: terminal.lines.join('\n'), err: terminal.errors.join('\n') }
}

/** Adds `text` as an API named `shop`; the file that is written. */
async function added(path: string, text: string, ...more: string[]): Promise<Ran & { readonly file: string }> {
  writeFileSync(join(path, 'api.json'), text)
  const file = join(path, 'shop.ts')
  return { ...(await fairlead('add', join(path, 'api.json'), '--name', 'shop', '--out', file, ...more)), file }
}

const answer = (schema: unknown): unknown => ({ 200: { description: '', content: { 'application/json': { schema } } } })
const item = { type: 'object', required: ['id'], properties: { id: { type: 'string' }, size: { type: 'integer' } } }
const api = (paths: Readonly<Record<string, unknown>>): string =>
  JSON.stringify({
    openapi: '3.0.3',
    info: { title: 'Shop', version: '1' },
    servers: [{ url: 'https://shop.test' }],
    paths,
  })
const one = api({ '/items/{id}': { get: { operationId: 'getItem', tags: ['items'], responses: answer(item) } } })

test('writes a file and what the next run needs, and names the secrets', async (t) => {
  const path = folder(t)
  const ran = await added(path, one)
  assert.equal(ran.code, 0, ran.err)
  assert.match(ran.out, /shop\.ts: 1 operation, from Shop 1\.\nNext: /)
  assert.deepEqual(readdirSync(path).toSorted(), ['api.json', 'shop.api.json', 'shop.ts'])
  assert.match(readFileSync(ran.file, 'utf8'), /getItem: \{\n\s+http: 'GET \/items\/:id'/)
  const again = await added(path, one, '--json')
  assert.deepEqual(((x: { written: boolean; changes: unknown[] }) => [x.written, x.changes])(JSON.parse(again.out)), [
    false,
    [],
  ])
})

test('a second run tells what changed and replaces what it wrote', async (t) => {
  const path = folder(t)
  await added(path, one)
  const changed = { ...item, required: [], properties: { id: item.properties.id } }
  const two = api({
    '/items/{id}': { get: { operationId: 'getItem', responses: answer(changed) } },
    '/items': { get: { operationId: 'listItems', responses: answer({ type: 'array', items: item }) } },
  })
  const dry = await added(path, two, '--dry-run')
  assert.match(dry.out, /Dry run/)
  assert.ok(!readFileSync(dry.file, 'utf8').includes('listItems'))
  const ran = await added(path, two)
  assert.equal(ran.code, 0)
  assert.match(ran.out, /^2 operations changed, 1 of them breaking:\n {2}BREAKING changed: GET \/items\/\{id\}\n/)
  assert.match(ran.out, /output\.id is optional now\n {4}output\.size is gone\n {2}added: GET \/items\n/)
  assert.ok(readFileSync(ran.file, 'utf8').includes('listItems'))
})

test('an edit by hand is kept: told what would change, nothing is written without --force', async (t) => {
  const path = folder(t)
  const { file } = await added(path, one)
  const edited = readFileSync(file, 'utf8').replace("baseUrl: process.env['SHOP_URL'] ??", 'baseUrl:')
  writeFileSync(file, edited)
  const two = api({ '/things': { get: { operationId: 'listThings', responses: answer(item) } } })
  const ran = await added(path, two)
  assert.equal(ran.code, 1)
  assert.match(ran.err, /add\.edited/)
  assert.match(ran.out, /BREAKING removed: GET \/items\/\{id\}/)
  assert.equal(readFileSync(file, 'utf8'), edited)
  assert.equal((await added(path, two, '--force')).code, 0)
  assert.ok(readFileSync(file, 'utf8').includes('listThings'))
})

test('a file of somebody else is not touched', async (t) => {
  const path = folder(t, { 'shop.ts': 'export const shop = 1\n' })
  const ran = await added(path, one)
  assert.equal(ran.code, 1)
  assert.match(ran.err, /cli\.exists/)
  assert.equal(readFileSync(ran.file, 'utf8'), 'export const shop = 1\n')
  assert.ok(!existsSync(join(path, 'shop.api.json')))
  rmSync(ran.file)
  writeFileSync(join(path, 'shop.api.json'), '{"mine":1}')
  assert.match((await added(path, one)).err, /cli\.exists/)
  assert.deepEqual(readdirSync(path).toSorted(), ['api.json', 'shop.api.json'])
})

test('of many operations some have to be chosen, and the choice is kept for the next run', async (t) => {
  const path = folder(t)
  const paths = Object.fromEntries(
    Array.from({ length: 120 }, (_, i) => {
      const group = i < 3 ? 'refunds' : 'charges'
      return [`/v1/${group}/${i}`, { get: { operationId: `${group}Get${i}`, tags: [group], responses: answer(item) } }]
    }),
  )
  const refused = await added(path, api(paths))
  assert.equal(refused.code, 2)
  assert.match(
    refused.err,
    /120 operations: charges \(117\), refunds \(3\)[\s\S]*--tag charges, --only 'charges\.\*,GET \/…', or --all/,
  )
  assert.equal((await added(path, api(paths), '--only', 'refunds.*, GET /v1/charges/7')).code, 0)
  const names = (): string[] =>
    [...readFileSync(join(path, 'shop.ts'), 'utf8').matchAll(/^ {4}(\w+): \{/gm)].map((m) => m[1]!)
  const chosen = ['chargesGet7', 'refundsGet0', 'refundsGet1', 'refundsGet2']
  assert.deepEqual(names().toSorted(), chosen)
  assert.match((await added(path, api(paths))).out, /up to date: 4 operations/)
  assert.match((await added(path, api(paths), '--tag', 'Refunds')).out, /^Nothing changed in the operations/)
  assert.deepEqual(names().toSorted(), chosen.slice(1))
  assert.match((await added(path, api(paths), '--only', 'nothing.*')).err, /no operation fits "nothing\.\*"/)
  assert.match((await added(path, api(paths), '--tag', 'nothing')).err, /no operation has the tag/)
  assert.equal((await added(path, api(paths), '--all')).code, 0)
  assert.equal(names().length, 120)
  const list = await fairlead('add', join(path, 'api.json'), '--list')
  assert.equal(list.out.split('\n').length, 121)
  assert.match(list.out, /charges +chargesGet7 +GET \/v1\/charges\/7/)
})

test('says what was named instead of an OpenAPI document', async (t) => {
  const path = folder(t)
  const cases: readonly (readonly [text: string, says: RegExp])[] = [
    ['', /is empty/],
    ['<!DOCTYPE html><html></html>', /is an HTML page/],
    ['<?xml version="1.0"?><a/>', /is an XML document/],
    ['{"openapi": "3.1.0", "paths": ', /is not valid JSON/],
    ['openapi: 3.1.0\n  paths: - : x\n', /is neither JSON nor valid YAML \(line 1\)/],
    ['just text', /is not an object/],
    ['[1]', /is not an object/],
    ['PK\u0003\u0004xx', /is not text/],
    [
      '{"info":{"_postman_id":"1","schema":"https://schema.getpostman.com/json/collection/v2.1.0/"},"item":[]}',
      /is a Postman collection/,
    ],
    ['asyncapi: 3.0.0\nchannels: {}\n', /is an AsyncAPI document/],
    ['{"arazzo":"1.0.0"}', /is an Arazzo document/],
    ['{"$schema":"https://json-schema.org/draft/2020-12/schema"}', /is a JSON Schema/],
    ['{"error":"unauthorized"}', /is an answer of an API/],
    ['{"a":1}', /is not an OpenAPI document/],
    ['{"openapi":"4.0.0"}', /says that it is OpenAPI "4\.0\.0"/],
    ['{"swagger":"1.2"}', /says that it is OpenAPI "1\.2"/],
    ['{"openapi":"3.1.0"}', /describes no operation/],
    ['{"openapi":"3.1.0","webhooks":{"paid":{}}}', /but 1 webhook \(paid\)/],
    ['{"openapi":"3.1.0","__proto__":{"a":1}}', /has a key `__proto__`/],
    [
      '{"openapi":"3.1.0","paths":{"/a":{"get":{"parameters":[{"$ref":"#/nowhere"}]}}}}',
      /#\/nowhere.*nothing at this place/,
    ],
    ['{"openapi":"3.1.0","paths":{"/a":{"$ref":"#/paths/~1b"},"/b":{"$ref":"#/paths/~1a"}}}', /without end/],
    ['{"openapi":"3.1.0","paths":{"/a":{"$ref":"other.json#/a"}}}', /refers to another one[\s\S]*--allow-refs/],
    ['{"openapi":"3.1.0","paths":{"/a{b}":{"get":{}}}}', /none of the 1 operations can be written/],
  ]
  for (const [text, says] of cases) {
    const ran = await added(path, text)
    assert.equal(ran.code, 2, text)
    assert.match(ran.err, says)
    assert.match(ran.err, /^ {2}fix /m)
    assert.ok(!existsSync(ran.file))
  }
  assert.match((await fairlead('add', join(path, 'nope.json'), '--name', 'x')).err, /does not exist/)
  assert.match((await fairlead('add', path, '--name', 'x')).err, /is not a file/)
})

test('a wrong command line is refused before anything is read', async (t) => {
  const path = join(folder(t), 'nope.json')
  const wrong = async (...args: string[]): Promise<string> => {
    const ran = await fairlead('add', path, ...args)
    assert.equal(ran.code, 2)
    assert.match(ran.err, /cli\.usage/)
    return ran.err
  }
  assert.match(await wrong(), /has no name/)
  assert.match(await wrong('--name', '../x'), /is not a name/)
  assert.match(await wrong('--name', 'x', '--out', 'x.js'), /is not a \.ts file/)
  assert.match(await wrong('--name', 'x', '--server', 'ftp://a'), /is not a base address/)
  assert.match(await wrong('--name', 'x', '--key-header', 'a b'), /is not a field name/)
})

/** A host that answers with `handle`; what it was asked for. */
async function host(
  t: TestContext,
  handle: RequestListener,
): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url!)
    handle(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

test('fetches the address that was typed, and no other', async (t) => {
  const path = folder(t)
  const relative = JSON.stringify({ ...JSON.parse(one), servers: [{ url: '/v2' }] })
  const { url, asked } = await host(t, (request, response) => {
    if (request.url === '/moved') response.writeHead(302, { location: '/openapi.json' }).end()
    else if (request.url === '/login') response.writeHead(401).end('{}')
    else if (request.url === '/broken') response.writeHead(500).end()
    else if (request.url === '/cut')
      response.writeHead(200, { 'content-length': '100' }).write('{', () => response.destroy())
    else if (request.url === '/latin') response.end(Buffer.from([0x7b, 0xff, 0xfe]))
    else if (request.url === '/refs.json')
      response.end(api({ '/a': { $ref: `http://localhost:${request.headers.host!.split(':')[1]!}/other.json` } }))
    else response.end(relative)
  })
  const add = (at: string, ...more: string[]): Promise<Ran> =>
    fairlead('add', `${url}${at}`, '--name', 'shop', '--out', join(path, 'shop.ts'), ...more)
  assert.match((await add('/moved')).err, /leads to http:\/\/127\.0\.0\.1:\d+\/openapi\.json[\s\S]*if you trust it/)
  assert.match((await add('/login')).err, /asks for a login \(401\)/)
  assert.match((await add('/broken')).err, /the answer is 500/)
  assert.match((await add('/cut')).err, /could not be fetched/)
  assert.match((await add('/latin')).err, /is not UTF-8/)
  assert.match((await add('/refs.json', '--allow-refs')).err, /is not beside it/)
  assert.ok(!existsSync(join(path, 'shop.ts')))
  assert.equal((await add('/openapi.json')).code, 0)
  assert.match(readFileSync(join(path, 'shop.ts'), 'utf8'), /\?\? 'http:\/\/127\.0\.0\.1:\d+\/v2'/)
  assert.deepEqual(asked, ['/moved', '/login', '/broken', '/cut', '/latin', '/refs.json', '/openapi.json'])
  for (const far of [
    'http://example.com/a.json',
    'ftp://example.com/a',
    'https://me:pw@example.com/a.json',
    'data://a',
  ]) {
    assert.match((await fairlead('add', far, '--name', 'x')).err, /cli\.usage/)
  }
  const gone = await fairlead('add', 'http://127.0.0.1:1/a.json', '--name', 'x')
  assert.deepEqual([gone.code, /add\.fetch/.test(gone.err)], [1, true])
})

test('reads other documents when it may, and none that is not below its folder', async (t) => {
  const path = folder(t, { 'secret.json': '{"a":{"get":{}}}' })
  const inside = join(path, 'api')
  mkdirSync(inside)
  const write = (name: string, value: unknown): void => writeFileSync(join(inside, name), JSON.stringify(value))
  write('item.json', { Item: { ...item, properties: { ...item.properties, next: { $ref: '#/Item' } } } })
  writeFileSync(
    join(inside, 'paths.yaml'),
    'items:\n  get:\n    operationId: listItems\n    responses:\n      200: { content: { application/json: { schema: { $ref: "item.json#/Item" } } } }\n',
  )
  symlinkSync(join(path, 'secret.json'), join(inside, 'link.json'))
  const add = (ref: string, ...more: string[]): Promise<Ran> => {
    writeFileSync(join(inside, 'api.json'), api({ '/items': { $ref: ref } }))
    return fairlead('add', join(inside, 'api.json'), '--name', 'shop', '--out', join(inside, 'shop.ts'), ...more)
  }
  assert.match((await add('paths.yaml#/items')).err, /--allow-refs/)
  for (const far of [
    '../secret.json#/a',
    'link.json#/a',
    `file://${path}/secret.json#/a`,
    'https://example.com/x.json#/a',
  ]) {
    assert.match((await add(far, '--allow-refs')).err, /is not beside it/, far)
  }
  const ran = await add('paths.yaml#/items', '--allow-refs')
  assert.equal(ran.code, 0, ran.err)
  assert.match(readFileSync(join(inside, 'shop.ts'), 'utf8'), /export const Item: z\.ZodType<Item, Item> = z\.lazy/)
})

test('bombs end soon, and as a fault or a small file', async (t) => {
  const path = folder(t)
  const schemas = (all: Readonly<Record<string, unknown>>): string => {
    const { paths, ...rest } = JSON.parse(
      api({ '/a': { get: { operationId: 'a', responses: answer({ $ref: '#/components/schemas/A0' }) } } }),
    ) as Record<string, unknown>
    return JSON.stringify({ ...rest, paths, components: { schemas: all } })
  }
  const ref = (n: number): unknown => ({ $ref: `#/components/schemas/A${n}` })
  const chain = (n: number, of: (next: unknown, i: number) => unknown): Record<string, unknown> =>
    Object.fromEntries(Array.from({ length: n }, (_, i) => [`A${i}`, i === n - 1 ? item : of(ref(i + 1), i)]))
  const deep = (n: number): unknown => JSON.parse(`${'{"items":'.repeat(n)}{}${'}'.repeat(n)}`)
  const files: Readonly<Record<string, string>> = {
    'a chain of references': schemas(chain(20_000, (next) => next)),
    'twice the next, each time': schemas(chain(60, (next) => ({ properties: { a: next, b: next } }))),
    'all of the next, twice': schemas(
      chain(60, (next, i) => ({ allOf: [next, { properties: { [`p${i}`]: next } }, next] })),
    ),
    'alternatives of alternatives': schemas(
      chain(12, (next, i) => ({
        allOf: [
          { properties: { [`q${i}`]: {} } },
          { oneOf: Array.from({ length: 20 }, (_, j) => ({ allOf: [next, { properties: { [`r${i}${j}`]: {} } }] })) },
        ],
      })),
    ),
    'a chain of fields': schemas(chain(5_000, (next) => ({ properties: { next } }))),
    deep: schemas({ A0: deep(100) }),
    'a long text': schemas({
      A0: {
        type: 'object',
        description: 'x'.repeat(10_000_000),
        properties: { ['y'.repeat(1_000_000)]: {}, ok: { enum: ['z'.repeat(1_000_000)] } },
      },
    }),
    'many values': schemas({ A0: { enum: Array.from({ length: 100_000 }, (_, i) => i) } }),
  }
  for (const [name, text] of Object.entries(files)) {
    const ran = await added(path, text, '--force')
    assert.ok(ran.code === 0 || /add\.(?:limit|reference|document)/.test(ran.err), `${name}: ${ran.err}`)
    if (ran.code === 0) assert.ok(readFileSync(ran.file).length < 4_000_000, name)
  }
  writeFileSync(join(path, 'deep.json'), `{"openapi":"3.1.0","x":${'['.repeat(100_000)}`)
  assert.match((await fairlead('add', join(path, 'deep.json'), '--name', 'x')).err, /nests deeper than 128/)
  const laughs = [
    'a: &a0 [x, x]',
    ...Array.from({ length: 40 }, (_, i) => `b${i}: &a${i + 1} [*a${i}, *a${i}, *a${i}, *a${i}]`),
  ].join('\n')
  writeFileSync(join(path, 'laughs.yaml'), `openapi: 3.1.0\n${laughs}\n`)
  assert.match((await fairlead('add', join(path, 'laughs.yaml'), '--name', 'x')).err, /aliases/)
})
