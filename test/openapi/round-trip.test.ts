import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parse } from 'yaml'
import { fairlead, isFault } from 'fairlead'
import { generate, json, made, text, type Generated } from './descriptions.ts'

type Request = { readonly line: string; readonly headers: IncomingHttpHeaders; readonly body: string }
type Answer = { readonly status?: number; readonly json?: unknown; readonly headers?: Readonly<Record<string, string>> }
type Caller = {
  call(operation: string, input?: unknown): Promise<unknown>
  walk(operation: string, input?: unknown): Promise<unknown[]>
  readonly requests: Request[]
}

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The generated connection, loaded from its file and called against a server on this machine. */
async function connected(t: TestContext, { code }: Generated, answer: (request: Request) => Answer): Promise<Caller> {
  const requests: Request[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const one = {
        line: `${request.method!} ${request.url!}`,
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      }
      requests.push(one)
      const { status = 200, json: value, headers = {} } = answer(one)
      response.writeHead(status, { 'content-type': 'application/json', ...headers })
      response.end(value === undefined ? '' : JSON.stringify(value))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const folder = mkdtempSync(join(tmpdir(), 'generated-'))
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules/fairlead'))
  symlinkSync(join(root, 'node_modules/zod'), join(folder, 'node_modules/zod'))
  t.after(() => {
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const file = join(folder, 'api.ts')
  // As with SHOP_URL in the environment; the credential is somebody else's test.
  const local = code.replace(/process\.env\['\w+_URL'\] \?\? '[^']*'/, `'${origin}'`).replace(/^ {2}auth: .*\n/m, '')
  assert.notEqual(local, code)
  writeFileSync(file, local)
  const module = (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>
  const connection = Object.values(module).find((v) => (v as { kind?: unknown } | undefined)?.kind === 'connection')
  const app = await fairlead({ use: [module], work: false, log: { write: () => {} } })
  t.after(() => app[Symbol.asyncDispose]())
  const operation = (name: string): never => {
    const found = (connection as Readonly<Record<string, unknown>>)[name]
    assert.ok(found, `there is no operation ${name}`)
    return found as never
  }
  return {
    requests,
    call: (name, input) => app.call(operation(name), input),
    walk: (name, input) => Array.fromAsync(app.each(operation(name), input)),
  }
}

/** What an example of the museum's description says, by its name there. */
function examples(): Readonly<Record<string, unknown>> {
  const { components } = parse(text('museum.openapi-3.1.yaml')) as {
    components: { examples: Record<string, { value: unknown }> }
  }
  return Object.fromEntries(Object.entries(components.examples).map(([name, { value }]) => [name, value]))
}

test('answers that a description shows come through the connection made from it as they are', async (t) => {
  const all = examples()
  const answers: Readonly<Record<string, string>> = {
    'GET /museum-hours?page=1': 'GetMuseumHoursResponseExample',
    'POST /special-events': 'CreateSpecialEventResponseExample',
    'GET /special-events?page=1': 'ListSpecialEventsResponseExample',
    'GET /special-events/dad4bce8': 'GetSpecialEventResponseExample',
    'PATCH /special-events/dad4bce8': 'UpdateSpecialEventResponseExample',
    'POST /tickets': 'BuyEventTicketsResponseExample',
  }
  const api = await connected(t, generate('museum', text('museum.openapi-3.1.yaml')), ({ line }) => {
    if (line.startsWith('DELETE ')) return { status: 204 }
    return { json: all[answers[line.replace(/\?.*/, (query) => (query === '?page=1' ? query : ''))]!] }
  })
  const as = (name: string): unknown => {
    assert.ok(all[name], name)
    return all[name]
  }
  assert.deepEqual(
    await api.call('createSpecialEvent', all['CreateSpecialEventRequestExample']),
    as('CreateSpecialEventResponseExample'),
  )
  assert.deepEqual(JSON.parse(api.requests[0]!.body), all['CreateSpecialEventRequestExample'])
  assert.deepEqual(await api.call('getSpecialEvent', { eventId: 'dad4bce8' }), as('GetSpecialEventResponseExample'))
  assert.deepEqual(
    await api.call('updateSpecialEvent', {
      eventId: 'dad4bce8',
      ...(all['UpdateSpecialEventRequestExample'] as object),
    }),
    as('UpdateSpecialEventResponseExample'),
  )
  assert.deepEqual(
    await api.call('buyMuseumTickets', all['BuyEventTicketsRequestExample']),
    as('BuyEventTicketsResponseExample'),
  )
  assert.deepEqual(await api.call('deleteSpecialEvent', { eventId: 'dad4bce8' }), undefined)
  assert.deepEqual(await api.call('listSpecialEvents', { page: 1 }), as('ListSpecialEventsResponseExample'))
  assert.deepEqual(await api.call('getMuseumHours', { page: 1 }), as('GetMuseumHoursResponseExample'))
})

test("Stripe's fixtures pass, lists go on, forms and keys are sent as it wants them", async (t) => {
  const fixtures = json('stripe.fixtures.json') as Record<string, Record<string, unknown>>
  // The fixtures are of a later version than the excerpt of the description, which also names ids where they hold objects.
  for (const [name, field] of [
    ['charge', 'transfer_data'],
    ['payment_intent', 'transfer_data'],
    ['customer', 'discount'],
  ] as const) {
    assert.ok(fixtures[name]![field])
    fixtures[name] = { ...fixtures[name], [field]: null }
  }
  const made = generate('stripe', text('stripe.json.br'), { all: true, keyHeader: 'Idempotency-Key' })
  let broken = false
  const api = await connected(t, made, ({ line }) => {
    if (line === 'GET /v1/charges?limit=2') return { json: { ...page, has_more: true } }
    if (line.startsWith('GET /v1/charges?')) return { json: { ...page, has_more: false } }
    const name = /\/v1\/(\w+?)s?(?:\/|$)/.exec(line)![1]!
    return { json: broken ? { ...fixtures[name], id: undefined } : { ...fixtures[name], not_described_yet: { a: 1 } } }
  })
  const page = { object: 'list', url: '/v1/charges', data: [fixtures['charge'], { ...fixtures['charge'], id: 'ch_2' }] }
  for (const [operation, input] of [
    ['getChargesCharge', { charge: 'ch_1' }],
    ['getCustomersCustomer', { customer: 'cus_1' }],
    ['getPaymentIntentsIntent', { intent: 'pi_1' }],
    ['getRefundsRefund', { refund: 're_1' }],
    ['getEventsId', { id: 'evt_1' }],
    ['getProductsId', { id: 'prod_1' }],
    ['getPricesPrice', { price: 'price_1' }],
    ['getBalance', {}],
  ] as const) {
    const answer = (await api.call(operation, input)) as { object: string; not_described_yet: unknown }
    assert.deepEqual(answer.not_described_yet, { a: 1 }, operation)
  }
  await api.call('postCharges', { amount: 500, currency: 'eur', metadata: { order: 'o-1' }, expand: ['customer'] })
  const sent = api.requests.at(-1)!
  assert.equal(sent.body, 'amount=500&currency=eur&expand%5B%5D=customer&metadata%5Border%5D=o-1')
  assert.equal(sent.headers['content-type'], 'application/x-www-form-urlencoded')
  assert.ok(sent.headers['idempotency-key'])
  await api.call('getChargesCharge', { charge: 'ch_1', expand: ['customer', 'invoice'] })
  assert.equal(api.requests.at(-1)!.line, 'GET /v1/charges/ch_1?expand%5B%5D=customer&expand%5B%5D=invoice')
  assert.equal((await api.walk('getCharges', { limit: 2 })).length, 4)
  assert.equal(api.requests.at(-1)!.line, 'GET /v1/charges?limit=2&starting_after=ch_2')

  const before = api.requests.length
  await assert.rejects(api.call('postCharges', { amount: '500' }), (e) => isFault(e, 'schema.invalid'))
  await assert.rejects(api.call('postCharges', { amont: 500 }), (e) => isFault(e, 'schema.invalid'))
  assert.equal(api.requests.length, before)
  broken = true
  await assert.rejects(api.call('getChargesCharge', { charge: 'ch_1' }), (e) => isFault(e, 'connection.response'))
})

test('every place that a parameter can have is filled as its style says', async (t) => {
  const text = { type: 'string' }
  const list = { type: 'array', items: text }
  const parameter = (name: string, at: string, schema: unknown, more: object = {}): object => ({
    name,
    in: at,
    schema,
    required: at === 'path',
    ...more,
  })
  const body = (schema: unknown): object => ({ requestBody: { content: { 'application/json': { schema } } } })
  const made_ = made({
    paths: {
      '/a/{id}/{ids}{dot}{semi}': {
        get: {
          operationId: 'styles',
          parameters: [
            parameter('id', 'path', text),
            parameter('ids', 'path', list),
            parameter('dot', 'path', text, { style: 'label' }),
            parameter('semi', 'path', text, { style: 'matrix' }),
            parameter('many', 'query', list),
            parameter('csv', 'query', list, { explode: false }),
            parameter('pipes', 'query', list, { style: 'pipeDelimited', explode: false }),
            parameter('deep', 'query', { type: 'object', properties: { a: text, b: list } }, { style: 'deepObject' }),
            parameter('flat', 'query', { type: 'object', properties: { c: text } }),
            {
              name: 'filter',
              in: 'query',
              content: { 'application/json': { schema: { type: 'object', properties: { x: { type: 'integer' } } } } },
            },
            parameter('If-None-Match', 'header', text),
            parameter('X-Version', 'header', { const: '7' }, { required: true }),
            parameter('Authorization', 'header', text),
          ],
        },
      },
      '/labels/{id}': {
        put: {
          operationId: 'setLabels',
          parameters: [
            parameter('id', 'path', text),
            parameter('dry', 'query', { type: 'boolean' }),
            parameter('X-Idempotency-Key', 'header', text),
          ],
          ...body(list),
        },
        delete: {
          operationId: 'dropLabels',
          parameters: [parameter('id', 'path', text)],
          ...body({ type: 'object', properties: { names: list } }),
        },
        patch: {
          operationId: 'change',
          parameters: [parameter('id', 'path', text), parameter('note', 'query', text)],
          ...body({ type: 'object', properties: { id: text, note: text } }),
        },
      },
    },
  })
  assert.deepEqual(made_.model.operations.find((o) => o.name === 'change')?.remarks, [
    'left out: the query parameter note, because the body has a field of this name',
  ])
  const api = await connected(t, made_, () => ({}))
  await api.call('styles', {
    id: 'x/y',
    ids: ['1', '2'],
    dot: 'd',
    semi: 's',
    many: ['a', 'b'],
    csv: ['a', 'b'],
    pipes: ['a', 'b'],
    'deep[a]': 'z',
    c: 'w',
    filter: { x: 1 },
    ifNoneMatch: '"e"',
  })
  const [first] = api.requests
  assert.equal(
    first!.line,
    'GET /a/x%2Fy/1%2C2.d;semi=s?many=a&many=b&csv=a%2Cb&pipes=a%7Cb&deep%5Ba%5D=z&c=w&filter=%7B%22x%22%3A1%7D',
  )
  assert.deepEqual([first!.headers['if-none-match'], first!.headers['x-version']], ['"e"', '7'])
  await api.call('setLabels', { id: '1', dry: true, body: ['a'] })
  assert.deepEqual([api.requests[1]!.line, api.requests[1]!.body], ['PUT /labels/1?dry=true', '["a"]'])
  assert.ok(api.requests[1]!.headers['x-idempotency-key'])
  await api.call('dropLabels', { id: '1', names: ['a'] })
  assert.deepEqual([api.requests[2]!.line, api.requests[2]!.body], ['DELETE /labels/1', '{"names":["a"]}'])
  await api.call('change', { path_id: '1', id: '2', note: 'n' })
  assert.deepEqual([api.requests[3]!.line, api.requests[3]!.body], ['PATCH /labels/1', '{"id":"2","note":"n"}'])
})
