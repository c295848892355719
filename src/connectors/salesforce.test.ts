import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { Connection } from 'jsforce'
import { decodeJwt } from 'jose'
import { isFault } from '#kernel/fault.ts'
import { secret } from '#kernel/secret.ts'
import { bearer } from '#patterns/connections/auth/bearer.ts'
import { cut, harness, reply } from '#testing/index.ts'
import { salesforce, salesforceVersion, soqlText } from './salesforce.ts'
import { appWith, essence, standIn } from './stand-in.fixture.ts'

const token = '00D-canary-5f3759df'
const id = '001000000000001AAA'
const at = { sobject: 'Account', id }
const saved = { id, success: true, errors: [] }
const instanceUrl = 'https://acme.my.salesforce.test'
const auth = bearer(secret('SALESFORCE_TOKEN'))
const account = { attributes: { type: 'Account', url: `/services/data/v62.0/sobjects/Account/${id}` }, Name: 'Acme' }
const named = { attributes: { type: 'Account' }, Name: 'Acme' }

test('sends what jsforce sends', async (t) => {
  const api = await standIn(t)
  const s = salesforce({ instanceUrl: api.origin, auth })
  const app = await appWith(t, [s], { SALESFORCE_TOKEN: token })
  const sdk = new Connection({ instanceUrl: api.origin, accessToken: token, version: salesforceVersion })
  const q = "SELECT Id, Name FROM Account WHERE Name = 'A & B'"
  const page = { totalSize: 1, done: true, records: [account] }
  const start = '2026-01-01T00:00:00+00:00'
  const end = '2026-01-02T00:00:00+00:00'
  const byNumber = { sobject: 'Account', field: 'Number__c', value: 'o/17 a' }
  const all = { allOrNone: true }
  const cases: readonly (readonly [unknown, () => Promise<unknown>, () => Promise<unknown>])[] = [
    [page, async () => sdk.query(q), () => app.call(s.query, { q })],
    [page, async () => sdk.query(q, { scanAll: true }), () => app.call(s.queryAll, { q })],
    [{ searchRecords: [account] }, async () => sdk.search('FIND {x}'), () => app.call(s.search, { q: 'FIND {x}' })],
    [
      account,
      () => sdk.retrieve('Account', id, { fields: ['Id', 'Name'] }),
      () => app.call(s.get, { ...at, fields: ['Id', 'Name'] }),
    ],
    [
      saved,
      () => sdk.create('Account', { Name: 'Acme' }),
      () => app.call(s.create, { sobject: 'Account', Name: 'Acme' }),
    ],
    [
      undefined,
      () => sdk.update('Account', { Id: id, Name: 'Acme' }),
      () => app.call(s.update, { ...at, Name: 'Acme' }),
    ],
    [
      { ...saved, created: false },
      () => sdk.upsert('Account', { Number__c: encodeURIComponent('o/17 a'), Name: 'Acme' }, 'Number__c'),
      () => app.call(s.upsert, { ...byNumber, Name: 'Acme' }),
    ],
    [undefined, () => sdk.destroy('Account', id), () => app.call(s.delete, at)],
    [
      [account, null],
      () => sdk.retrieve('Account', [id, '001000000000002'], { fields: ['Name'] }),
      () => app.call(s.getMany, { sobject: 'Account', ids: [id, '001000000000002'], fields: ['Name'] }),
    ],
    [[saved], () => sdk.create('Account', [{ Name: 'Acme' }], all), () => app.call(s.createMany, { records: [named] })],
    [
      [saved],
      () => sdk.update('Account', [{ Id: id, Name: 'Acme' }], { allOrNone: false }),
      () => app.call(s.updateMany, { allOrNone: false, records: [{ ...named, id }] }),
    ],
    [
      [{ ...saved, created: true }],
      () => sdk.upsert('Account', [{ Number__c: 'o-17', Name: 'Acme' }], 'Number__c', all),
      () =>
        app.call(s.upsertMany, { sobject: 'Account', field: 'Number__c', records: [{ ...named, Number__c: 'o-17' }] }),
    ],
    [[saved], () => sdk.destroy('Account', [id, id], all), () => app.call(s.deleteMany, { ids: [id, id] })],
    [
      { ids: [id], latestDateCovered: end },
      () => sdk.updated('Account', start, end),
      () => app.call(s.listUpdated, { sobject: 'Account', start, end }),
    ],
    [
      { deletedRecords: [{ id, deletedDate: start }], latestDateCovered: end },
      () => sdk.deleted('Account', start, end),
      () => app.call(s.listDeleted, { sobject: 'Account', start, end }),
    ],
    [
      { name: 'Account', fields: [{ name: 'Id', type: 'id' }] },
      () => sdk.describe('Account'),
      () => app.call(s.describe, { sobject: 'Account' }),
    ],
    [
      { DailyApiRequests: { Max: 100_000, Remaining: 99_000 } },
      () => sdk.limits(),
      () => app.call(s.getLimits, undefined),
    ],
  ]
  for (const [body, theirs, ours] of cases) {
    api.answer = () => (body === undefined ? { status: 204 } : { body })
    await theirs()
    await ours()
    const [first, second] = api.seen.splice(0)
    assert.deepEqual(essence(second, ['authorization']), essence(first, ['authorization']))
  }
})

test('walks a query by the address of the next page', async (t) => {
  const api = await standIn(t)
  const s = salesforce({ instanceUrl: api.origin, auth })
  const app = await appWith(t, [s], { SALESFORCE_TOKEN: token })
  const next = `/services/data/v${salesforceVersion}/query/01gxx-2000`
  api.answer = ({ path }) => {
    const done = path === next
    const record = { ...account, Name: done ? 'B' : 'A' }
    return { body: { totalSize: 2, done, ...(done ? {} : { nextRecordsUrl: next }), records: [record] } }
  }
  const found: unknown[] = []
  for await (const record of app.each(s.query, { q: 'SELECT Name FROM Account' })) found.push(record['Name'])
  assert.deepEqual(found, ['A', 'B'])
  assert.deepEqual(
    api.seen.map((r) => [r.path, r.query]),
    [
      [`/services/data/v${salesforceVersion}/query`, ['q=SELECT Name FROM Account']],
      [next, []],
    ],
  )
})

test('an app proves itself by a signature or by a secret, where each of them is asked for', async (t) => {
  const api = await standIn(t)
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const signing = salesforce({
    instanceUrl: api.origin,
    auth: { clientId: '3MVG', username: 'us@acme.test', key: secret('KEY'), loginUrl: api.origin },
  })
  const named = salesforce({
    name: 'named',
    instanceUrl: api.origin,
    auth: { clientId: '3MVG', secret: secret('SECRET') },
  })
  const app = await appWith(t, [signing, named], { KEY: privateKey, SECRET: 'canary-secret' })
  api.answer = ({ path }) => ({
    // Salesforce says nothing of how long a token lives.
    body: path.endsWith('/token') ? { access_token: token, token_type: 'Bearer', instance_url: api.origin } : account,
  })
  const form = async (connection: typeof signing): Promise<ReadonlyMap<string, string>> => {
    await app.call(connection.get, at)
    const [asked, read] = api.seen.splice(0)
    assert.equal(asked?.path, '/services/oauth2/token')
    assert.equal(read?.headers['authorization'], `Bearer ${token}`)
    return new Map((asked.body as string[]).map((pair) => pair.split('=') as [string, string]))
  }
  const { iss, sub, aud } = decodeJwt((await form(signing)).get('assertion')!)
  assert.deepEqual({ iss, sub, aud }, { iss: '3MVG', sub: 'us@acme.test', aud: api.origin })
  assert.deepEqual(Object.fromEntries(await form(named)), {
    client_id: '3MVG',
    client_secret: 'canary-secret',
    grant_type: 'client_credentials',
  })
})

test('an error is what the first of its list says', async () => {
  const s = salesforce({ instanceUrl, auth })
  await using t = await harness({ use: [s] })
  const error = (errorCode: string) => [{ errorCode, message: 'no', fields: [] }]
  const name = { sobject: 'Account', Name: 'Acme' }
  for (const [status, body, code] of [
    [400, error('DUPLICATE_VALUE'), 'connection.conflict'],
    [400, error('REQUIRED_FIELD_MISSING'), 'connection.rejected'],
    [401, error('INVALID_SESSION_ID'), 'connection.credential'],
    [403, error('INSUFFICIENT_ACCESS'), 'connection.forbidden'],
    [404, error('NOT_FOUND'), 'connection.not_found'],
    [300, ['/services/data/v62.0/sobjects/Account/1'], 'connection.conflict'],
  ] as const) {
    t.answer(s.create, reply(status, body))
    await assert.rejects(t.call(s.create, name), (e) => isFault(e, code), `${status} ${code}`)
  }
  t.answer(
    s.create,
    reply(400, error('UNABLE_TO_LOCK_ROW')),
    reply(403, error('REQUEST_LIMIT_EXCEEDED')),
    reply(503, error('SERVER_UNAVAILABLE')),
    saved,
  )
  const made = t.call(s.create, name)
  await t.advance('2m')
  assert.equal((await made).id, id)
})

test('what has a number of ours is sent again after a cut, what has none is not', async () => {
  const s = salesforce({ instanceUrl, auth })
  await using t = await harness({ use: [s] })
  t.answer(s.upsert, cut, { ...saved, created: false })
  const done = t.call(s.upsert, { sobject: 'Order__c', field: 'Number__c', value: 'o-17', Total__c: 9.9 })
  await t.advance('1m')
  assert.equal((await done).created, false)
  t.answer(s.create, cut)
  const lost = t.call(s.create, { sobject: 'Account', Name: 'Acme' }).catch((e: unknown) => e)
  await t.advance('1m')
  assert.ok(isFault(await lost, 'connection.unverified'))
  assert.equal(t.called(s.create).length, 1)
})

test('a text cannot leave its quotes in SOQL', () => {
  assert.equal(soqlText(`O'Brien \\' OR Name != '\n`), `'O\\'Brien \\\\\\' OR Name != \\'\\n'`)
})
