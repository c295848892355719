import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guessAuth } from './auth.ts'
import { matches } from './choose.ts'
import { guessPages } from './paging.ts'
import { lineOf } from './path.ts'
import { Schemas } from './schemas.ts'
import { serverOf } from './servers.ts'

const root = 'file:///x'
const schemas = (): Schemas => new Schemas({ root, all: new Map([[root, {}]]) })

/** The guess for an answer with these properties, asked with these query parameters (name → default). */
function pages(query: Readonly<Record<string, unknown>>, answer: unknown, headers: readonly string[] = []): unknown {
  const all = schemas()
  return guessPages(new Map(Object.entries(query)), all.shape(answer, root), headers, all)
}

const text = { type: 'string' }
const items = { type: 'array', items: { type: 'object', properties: { id: text } } }
const answer = (properties: Readonly<Record<string, unknown>>): unknown => ({ type: 'object', properties })

test('guesses how a list goes on from what asks for the next page and what names it', () => {
  assert.deepEqual(pages({ page: 1 }, items, ['Link']), { style: 'link' })
  assert.deepEqual(pages({ cursor: undefined }, answer({ data: items, next_cursor: text })), {
    style: 'cursor',
    param: 'cursor',
    next: 'next_cursor',
    items: 'data',
  })
  assert.deepEqual(
    pages({ pageToken: undefined }, answer({ files: items, nextPageToken: { type: ['string', 'null'] } })),
    { style: 'cursor', param: 'pageToken', next: 'nextPageToken', items: 'files' },
  )
  assert.deepEqual(
    pages({ after: undefined }, answer({ results: items, paging: answer({ next: answer({ after: text }) }) })),
    { style: 'cursor', param: 'after', next: 'paging.next.after', items: 'results' },
  )
  assert.deepEqual(
    pages({ cursor: undefined }, answer({ messages: items, response_metadata: answer({ next_cursor: text }) })),
    { style: 'cursor', param: 'cursor', next: 'response_metadata.next_cursor', items: 'messages' },
  )
  assert.deepEqual(pages({ starting_after: undefined }, answer({ data: items, has_more: { type: 'boolean' } })), {
    style: 'cursor',
    param: 'starting_after',
    after: 'id',
    more: 'has_more',
    items: 'data',
  })
  assert.deepEqual(pages({}, answer({ value: items, next: text })), { style: 'cursor', next: 'next', items: 'value' })
  assert.deepEqual(pages({ page: 1 }, answer({ data: items })), { style: 'page', items: 'data' })
  assert.deepEqual(pages({ page: 0 }, items), { style: 'page', first: 0 })
  assert.deepEqual(pages({ 'page[number]': undefined }, answer({ data: items })), {
    style: 'page',
    param: 'page[number]',
    items: 'data',
  })
  assert.deepEqual(pages({ skip: undefined }, items), { style: 'offset', param: 'skip' })
})

test('guesses nothing where there is no list, or nothing to ask with', () => {
  for (const [query, shape] of [
    [{ page: 1 }, answer({ name: text })],
    [{ limit: 1 }, items],
    [{ cursor: undefined }, items],
    [{ page: 1 }, answer({ errors: items, warnings: items })],
    [{ page: 1 }, {}],
  ] as const)
    assert.equal(pages(query, shape), undefined)
})

test('takes the simplest credential that keeps the secret out of the address', () => {
  const schemes = {
    key: { type: 'apiKey', in: 'query', name: 'k' },
    head: { type: 'apiKey', in: 'header', name: 'X-Key' },
    user: { type: 'http', scheme: 'Basic' },
    token: { type: 'http', scheme: 'bearer' },
    flow: { type: 'oauth2', flows: { clientCredentials: { tokenUrl: 'https://a.test/token', scopes: { read: '' } } } },
    crumb: { type: 'apiKey', in: 'cookie', name: 'sid' },
  }
  const kind = (...asked: string[]): string => {
    const auth = guessAuth(schemes, [asked.map((name) => ({ [name]: [] }))])
    return auth.kind === 'api-key' ? `${auth.at} ${auth.field}` : auth.kind
  }
  assert.equal(kind('key', 'head', 'user', 'token'), 'bearer')
  assert.equal(kind('key', 'head', 'user'), 'header X-Key')
  assert.equal(kind('key', 'user'), 'basic')
  assert.equal(kind('key'), 'query k')
  assert.equal(kind('crumb'), 'none')
  assert.equal(kind('flow'), 'client-credentials')
  assert.deepEqual(guessAuth(schemes, [[{ flow: ['write'] }], [{ flow: ['read', 'no scope'] }]]), {
    kind: 'client-credentials',
    oauth: { tokenEndpoint: 'https://a.test/token', scopes: ['read', 'write'] },
    remarks: [],
  })
  const flow = (scheme: object): unknown => guessAuth({ s: { type: 'oauth2', ...scheme } }, [])
  const person = { authorizationUrl: 'https://a.test/allow', tokenUrl: 'https://a.test/token' }
  assert.deepEqual(flow({ flows: { authorizationCode: person } }), {
    kind: 'authorization-code',
    oauth: { authorizationEndpoint: person.authorizationUrl, tokenEndpoint: person.tokenUrl, scopes: [] },
    remarks: [],
  })
  const openid = guessAuth(
    { s: { type: 'openIdConnect', openIdConnectUrl: 'https://a.test/.well-known/openid-configuration' } },
    [],
  )
  assert.deepEqual('oauth' in openid && openid.oauth, { issuer: 'https://a.test', scopes: [] })
  // An address that a connection would refuse, or a flow that it does not have, is no reason to write a wrong one.
  for (const flows of [
    { implicit: person },
    { clientCredentials: { tokenUrl: 'http://a.test/token' } },
    { authorizationCode: { tokenUrl: '/token' } },
  ]) {
    assert.equal((flow({ flows }) as { kind: string }).kind, 'bearer')
  }
  assert.match(guessAuth(schemes, [[{ head: [], user: [] }]]).remarks.join(), /two credentials at once/)
  assert.equal(guessAuth({}, []).kind, 'none')
})

test('takes the first https server, variables at their defaults, and never plain http unasked', () => {
  const base = (servers: readonly unknown[], source = root, given?: string): string =>
    serverOf(servers, source, given).baseUrl
  const variables = { region: { default: 'eu' }, port: { enum: ['8443'] } }
  assert.equal(
    base([{ url: 'http://a.test' }, { url: 'https://{region}.a.test:{port}/v1/', variables }]),
    'https://eu.a.test:8443/v1',
  )
  assert.equal(base([{ url: 'http://a.test/v1' }]), 'https://a.test/v1')
  assert.equal(base([{ url: 'http://localhost:3000' }]), 'http://localhost:3000')
  assert.equal(base([{ url: '/v2' }], 'https://a.test/docs/openapi.json'), 'https://a.test/v2')
  for (const url of ['/v2', 'ftp://a.test', 'https://user:pw@a.test', 'javascript:alert(1)', '{x}', 7]) {
    assert.equal(base([{ url }]), 'https://replace-me.invalid')
  }
  assert.equal(base([{ url: 'https://a.test' }], root, 'https://b.test'), 'https://b.test')
})

test('writes paths as lines, and says which it cannot', () => {
  const line = (
    path: string,
    fixed: readonly (readonly [string, string])[] = [],
    taken: readonly string[] = [],
  ): string => {
    const found = lineOf('GET', path, new Map(fixed), new Map(), new Set(taken))
    return typeof found === 'string' ? `no: ${found}` : found.http
  }
  assert.equal(line('/v1/charges/{charge-id}/x.json'), 'GET /v1/charges/:charge_id/x.json')
  assert.equal(line('/compare/{base}...{head}'), 'GET /compare/:base...:head')
  assert.equal(line("/Products('{id}')/x"), "GET /Products(':id')/x")
  assert.equal(line('/books/{id}:batch'), 'GET /books/:id:batch')
  assert.equal(line('/a/:literal/b c/é'), 'GET /a/%3Aliteral/b%20c/%C3%A9')
  assert.equal(line('/a/{id}', [], ['id']), 'GET /a/:path_id')
  assert.equal(line('/a?action=x y'), 'GET /a?action=x%20y')
  assert.equal(line('/v{version}/a', [['version', '2']]), 'GET /v2/a')
  assert.match(line('/v{version}/a'), /directly beside/)
  assert.match(line('/{a}{b}'), /directly beside/)
  assert.match(line('/{a}/{a}'), /twice/)
  assert.match(line('/a/../b'), /"\.\."/)
  assert.match(line('/a#b'), /fragment/)
  assert.match(line(`/${'a'.repeat(2_000)}`), /longer/)
})

test('a pattern is text with * for any', () => {
  for (const [pattern, subject, fits] of [
    ['charges.*', 'charges.getCharges', true],
    ['get /v1/customers', 'GET /v1/customers', true],
    ['GET /v1/*', 'GET /v1/a/b', true],
    ['*', '', true],
    ['*ab*ab', 'ab', false],
    ['a*b*c', 'a-b-c', true],
    ['a*bb*c', 'a-b-c', false],
    ['.*', 'charges', false],
  ] as const)
    assert.equal(matches(pattern, subject), fits, `${pattern} ${subject}`)
})
