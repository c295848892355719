import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expectTypeOf } from 'expect-type'
import * as z from 'zod'
import type { Call, Each } from '#kernel/context.ts'
import { isDefinition } from '#kernel/definition.ts'
import { manifest } from '#kernel/manifest.ts'
import { secret } from '#kernel/secret.ts'
import { bearer } from './auth/bearer.ts'
import { checkConnection } from './check/connection.ts'
import { connection, operationsOf, type ConnectionDefinition } from './define.ts'

const NewCharge = z.object({ order: z.string(), amount: z.number() })
const Charge = z.object({ id: z.string(), amount: z.number(), status: z.enum(['paid', 'failed']) })

// The example of API.md, word for word but for its formatting.
const payments = connection('payments', {
  baseUrl: 'https://api.payments.test',
  auth: bearer(secret('PAYMENTS_KEY')),
  timeout: '10s',
  retry: { attempts: 4, first: '200ms', max: '5s' },
  breaker: { failures: 5, within: '60s', openFor: '30s' },
  limit: ['50/s', '100000/day'],
  operations: {
    charge: {
      http: 'POST /charges',
      input: NewCharge,
      output: Charge,
      idempotent: 'key',
      verify: {
        call: 'list',
        input: (c) => ({ order: c.order }),
        found: (page, c) => page.items.find((x) => x.amount === c.amount),
      },
    },
    refund: {
      http: 'POST /charges/:id/refunds',
      input: z.object({ id: z.string() }),
      output: Charge,
      idempotent: 'key',
    },
    list: {
      http: 'GET /charges',
      input: z.object({ order: z.string().optional(), since: z.string().optional() }),
      pages: 'cursor',
      output: z.object({ items: z.array(Charge), next: z.string().optional() }),
    },
    ping: { http: 'GET /ping' },
  },
})

test('a definition is frozen, plain and has its operations as properties', () => {
  assert.ok(isDefinition(payments) && Object.isFrozen(payments) && Object.isFrozen(payments.options))
  assert.equal(payments.kind, 'connection')
  assert.deepEqual(
    [payments.charge.kind, payments.charge.connection, payments.charge.name],
    ['operation', 'payments', 'charge'],
  )
  assert.deepEqual(
    operationsOf(payments).map((o) => o.name),
    ['charge', 'refund', 'list', 'ping'],
  )
  const printed = JSON.stringify(manifest(payments))
  assert.ok(printed.includes('"http":"POST /charges"') && printed.includes('"secret":"PAYMENTS_KEY"'))
  assert.deepEqual(checkConnection(payments), [])
})

test('types come from the schemas, with no annotation', () => {
  type Sent<T> = T extends {
    readonly '~types'?: { readonly input: (value: infer I) => void; readonly output: infer O }
  }
    ? [I, O]
    : never
  type Paid = { id: string; amount: number; status: 'paid' | 'failed' }
  expectTypeOf<Sent<typeof payments.charge>>().toEqualTypeOf<[{ order: string; amount: number }, Paid]>()
  expectTypeOf<Sent<typeof payments.refund>[0]>().toEqualTypeOf<{ id: string }>()
  expectTypeOf<Sent<typeof payments.ping>>().toEqualTypeOf<[unknown, unknown]>()
  const use = async (call: Call, each: Each): Promise<void> => {
    expectTypeOf(await call(payments.charge, { order: 'o1', amount: 990 })).toEqualTypeOf<Paid>()
    for await (const item of each(payments.list, {})) expectTypeOf(item).toEqualTypeOf<Paid>()
    // @ts-expect-error amount is missing
    await call(payments.charge, { order: 'o1' })
    // @ts-expect-error there is no such operation
    await call(payments.nothing, {})
  }
  assert.equal(typeof use, 'function')
})

test('what is sent may differ from what is given, and what is returned from what came', () => {
  const At = z.object({ at: z.string().transform((text) => new Date(text)) })
  const c = connection('c', {
    baseUrl: 'https://a.test',
    operations: { at: { http: 'POST /', input: At, output: At } },
  })
  expectTypeOf<NonNullable<(typeof c.at)['~types']>>().toEqualTypeOf<{
    readonly input: (value: { at: string }) => void
    readonly output: { at: Date }
  }>()
  assert.equal(c.at.name, 'at')
})

test('the compiler refuses what is not declared', () => {
  const wrong = () => {
    connection('c', {
      baseUrl: 'https://a.test',
      operations: {
        a: {
          http: 'POST /',
          output: Charge,
          // @ts-expect-error there is no operation b
          verify: { call: 'b', input: () => ({}), found: () => undefined },
        },
      },
    })
    connection('c', {
      baseUrl: 'https://a.test',
      // @ts-expect-error misspelled
      operations: { a: { http: 'POST /', idempotentt: 'key' } },
    })
    // @ts-expect-error a number has no unit
    connection('c', { baseUrl: 'https://a.test', timeout: 10, operations: { a: { http: 'GET /' } } })
  }
  assert.equal(typeof wrong, 'function')
})

test('base address and operations alone are enough', () => {
  assert.deepEqual(
    checkConnection(connection('c', { baseUrl: 'https://a.test', operations: { a: { http: 'GET /' } } })),
    [],
  )
})

test('reports everything wrong at once, each with its path and a fix', () => {
  const wrong = connection('pay ments', {
    baseUrl: 'http://user:pw@api.test',
    auth: { kind: 'bearer', secret: 'sk_live_canary' },
    headers: { 'bad name': 'x', host: 'x', Authorization: 'Bearer x', 'x-line': 'a\r\nb' },
    timeout: '0s',
    retry: { attempts: -1, firs: '1s' },
    breaker: { failures: 0 },
    bulkhead: { concurrent: 0 },
    limit: ['50/s', 'many'],
    rules: [{ means: 'ok' }, { status: 99, means: 'later' }],
    maxBytes: 0,
    tls: { pins: ['abc'], key: 'key in the clear' },
    retires: 3,
    operations: {
      kind: { http: 'GET /' },
      a: {
        http: 'POST /x/:missing',
        input: z.object({ id: z.string() }),
        query: ['nope'],
        idempotent: 'yes',
        keyHeader: 'x y',
        body: 'xml',
        bodyField: 7,
        headerFields: { nope: 'x-a', id: 'host', key: 'a b' },
        answer: 'html',
        timeout: '5 s',
        pages: { style: 'spiral', most: 0 },
        verify: { call: 'b', input: 1 },
        inputt: 1,
      },
      b: { http: 'POST charges', idempotent: 'natural' },
      c: { http: 'GET /', idempotent: 'key', verify: { call: 'd', input: () => 1, found: () => 1 } },
      d: { http: 'POST /' },
    },
  } as never) as unknown as ConnectionDefinition
  const problems = checkConnection(wrong)
  const paths = problems.map((p) => p.path.replace('connection(pay ments)', ''))
  for (const path of [
    'connection("pay ments")',
    '.baseUrl',
    '.auth',
    '.headers.bad name',
    '.headers.host',
    '.headers.Authorization',
    '.headers.x-line',
    '.timeout',
    '.retry.firs',
    '.breaker.failures',
    '.bulkhead.concurrent',
    '.limit[1]',
    '.rules[0]',
    '.rules[1].status',
    '.rules[1].means',
    '.maxBytes',
    '.tls.pins',
    '.tls.key',
    '.tls.cert',
    '.retires',
    '.operations.kind',
    '.operations.a.http',
    '.operations.a.query',
    '.operations.a.idempotent',
    '.operations.a.keyHeader',
    '.operations.a.body',
    '.operations.a.bodyField',
    '.operations.a.headerFields.nope',
    '.operations.a.headerFields.id',
    '.operations.a.headerFields.key',
    '.operations.a.answer',
    '.operations.a.timeout',
    '.operations.a.pages',
    '.operations.a.pages.most',
    '.operations.a.verify.input',
    '.operations.a.verify.found',
    '.operations.a.inputt',
    '.operations.b.http',
    '.operations.c.idempotent',
    '.operations.c.verify.call',
  ]) {
    assert.ok(paths.includes(path), `${path} is not among\n${paths.join('\n')}`)
  }
  assert.ok(problems.every((p) => p.fix !== '' && p.message !== ''))
  assert.ok(
    !JSON.stringify(problems).includes('sk_live_canary'),
    'a secret written where its name belongs is not repeated',
  )
})

test('asks for encryption except on this machine, and for a bare address', () => {
  const problem = (baseUrl: string, insecure?: string): string | undefined =>
    checkConnection(
      connection('c', {
        baseUrl,
        ...(insecure ? { insecure } : {}),
        operations: { a: { http: 'GET /' } },
      } as never),
    )[0]?.message
  for (const fine of [
    'https://api.test',
    'https://api.test:8443/v1/',
    'http://localhost:3000',
    'http://127.0.0.1',
    'http://[::1]:80',
  ]) {
    assert.equal(problem(fine), undefined, fine)
  }
  assert.equal(problem('http://api.test', 'allow-http'), undefined)
  assert.match(problem('http://api.test')!, /not encrypted/)
  assert.match(problem('http://127.0.0.1.evil.test')!, /not encrypted/)
  assert.match(problem('https://a@api.test')!, /user/)
  for (const bare of ['https://api.test?x=1', 'https://api.test#x', 'https://api.test/?'])
    assert.match(problem(bare)!, /query/)
  for (const odd of ['api.test', 'ftp://api.test', '/v1', 'https:/api.test', ''])
    assert.match(problem(odd)!, /not an http address/, odd)
  assert.match(problem('https://api.test/../x')!, /segment/)
  assert.match(problem('https://api.test', 'yes')!, /unknown value/)
})

test('a definition without operations, or with nothing at all, is reported and does not throw', () => {
  for (const options of [{ baseUrl: 'https://a.test', operations: {} }, { baseUrl: 'https://a.test' }, {}]) {
    assert.ok(checkConnection(connection('c', options as never)).some((p) => p.path.endsWith('.operations')))
  }
})
