import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client } from '@hubspot/api-client'
import { isFault } from '#kernel/fault.ts'
import { secret } from '#kernel/secret.ts'
import { cut, harness, reply } from '#testing/index.ts'
import { hubspot } from './hubspot.ts'
import { appWith, essence, standIn } from './stand-in.fixture.ts'

const token = 'pat-canary-5f3759df'
const contact = {
  id: '51',
  properties: { email: 'a@b.test', firstname: 'Ada', lastname: null },
  createdAt: '2026-01-01T00:00:00Z',
  updatedAt: '2026-01-01T00:00:00Z',
  archived: false,
}
const email = { email: 'a@b.test' }

test('sends what HubSpot’s own SDK sends', async (t) => {
  const api = await standIn(t)
  const h = hubspot({ token: secret('HUBSPOT_TOKEN'), baseUrl: api.origin })
  const app = await appWith(t, [h], { HUBSPOT_TOKEN: token })
  const sdk = new Client({ accessToken: token, basePath: api.origin, numberOfApiCallRetries: 0 })
  const { contacts, deals } = sdk.crm
  const page = { results: [contact], total: 1, paging: { next: { after: '52' } } }
  const find = {
    filterGroups: [{ filters: [{ propertyName: 'email', operator: 'EQ' as never, value: 'a@b.test' }] }],
    properties: ['email'],
    limit: 5,
  }
  const cases: readonly (readonly [unknown, () => Promise<unknown>, () => Promise<unknown>])[] = [
    [
      page,
      () => contacts.basicApi.getPage(5, '50', ['email', 'firstname'], undefined, undefined, false),
      () =>
        app.call(h.list, {
          objectType: 'contacts',
          limit: 5,
          after: '50',
          properties: ['email', 'firstname'],
          archived: false,
        }),
    ],
    [
      contact,
      () => contacts.basicApi.getById('51', ['email'], undefined, ['deals'], false),
      () =>
        app.call(h.get, {
          objectType: 'contacts',
          id: '51',
          properties: ['email'],
          associations: ['deals'],
          archived: false,
        }),
    ],
    [
      contact,
      () => contacts.basicApi.create({ properties: email, associations: [] }),
      () => app.call(h.create, { objectType: 'contacts', properties: email, associations: [] }),
    ],
    [
      contact,
      () => deals.basicApi.update('51', { properties: { amount: '5' } }),
      () => app.call(h.update, { objectType: 'deals', id: '51', properties: { amount: '5' } }),
    ],
    [undefined, () => contacts.basicApi.archive('51'), () => app.call(h.archive, { objectType: 'contacts', id: '51' })],
    [page, () => contacts.searchApi.doSearch(find), () => app.call(h.search, { objectType: 'contacts', ...find })],
    [
      { status: 'COMPLETE', results: [contact] },
      () => contacts.batchApi.read({ inputs: [{ id: '51' }], properties: ['email'], propertiesWithHistory: [] }),
      () =>
        app.call(h.readBatch, {
          objectType: 'contacts',
          inputs: [{ id: '51' }],
          properties: ['email'],
          propertiesWithHistory: [],
        }),
    ],
    [
      { status: 'COMPLETE', results: [{ ...contact, new: true }] },
      () => contacts.batchApi.upsert({ inputs: [{ id: 'a@b.test', idProperty: 'email', properties: email }] }),
      () =>
        app.call(h.upsert, {
          objectType: 'contacts',
          inputs: [{ id: 'a@b.test', idProperty: 'email', properties: email }],
        }),
    ],
    [
      contact,
      () => contacts.basicApi.getById('a+b@c.test', undefined, undefined, undefined, undefined, 'email'),
      () => app.call(h.getContactByEmail, { email: 'a+b@c.test' }),
    ],
    [
      {},
      () => sdk.crm.associations.v4.basicApi.createDefault('contacts', '51', 'companies', '7'),
      () => app.call(h.associate, { fromType: 'contacts', fromId: '51', toType: 'companies', toId: '7' }),
    ],
    [
      { results: [{ id: '1' }] },
      () => sdk.crm.owners.ownersApi.getPage('a@b.test', undefined, 10, false),
      () => app.call(h.listOwners, { email: 'a@b.test', limit: 10, archived: false }),
    ],
  ]
  for (const [body, theirs, ours] of cases) {
    api.answer = ({ method, path }) =>
      body === undefined
        ? { status: 204 }
        : { status: method === 'POST' && path.endsWith('/contacts') ? 201 : 200, body }
    await theirs()
    await ours()
    const [first, second] = api.seen.splice(0)
    assert.deepEqual(essence(second, ['authorization']), essence(first, ['authorization']))
  }
})

test('walks contacts by the cursor of the answer, in a search as well', async () => {
  const h = hubspot({ token: secret('HUBSPOT_TOKEN') })
  await using t = await harness({ use: [h] })
  const pages = (extra: object) => [
    { ...extra, results: [contact], paging: { next: { after: '52' } } },
    { ...extra, results: [{ ...contact, id: '52' }] },
  ]
  t.answer(h.list, ...pages({}))
  t.answer(h.search, ...pages({ total: 2 }))
  for (const walk of [
    t.app.each(h.list, { objectType: 'contacts' }),
    t.app.each(h.search, { objectType: 'contacts', query: 'ada' }),
  ]) {
    const ids: string[] = []
    for await (const c of walk) ids.push(c.id)
    assert.deepEqual(ids, ['51', '52'])
  }
  assert.equal(t.called(h.search)[1]?.['after'], '52')
})

test('a contact whose answer is lost is looked for by its address, not created twice', async () => {
  const h = hubspot({ token: secret('HUBSPOT_TOKEN') })
  await using t = await harness({ use: [h] })
  t.answer(h.createContact, cut)
  t.answer(h.getContactByEmail, contact)
  const made = t.call(h.createContact, { properties: email })
  await t.advance('1m')
  assert.equal((await made).id, '51')
  assert.equal(t.called(h.createContact).length, 1)
})

test('an object that another request holds is tried again, one that exists is a conflict', async () => {
  const h = hubspot({ token: secret('HUBSPOT_TOKEN') })
  await using t = await harness({ use: [h] })
  t.answer(h.update, reply(423, { category: 'RATE_LIMITS' }), contact)
  const done = t.call(h.update, { objectType: 'contacts', id: '51', properties: email })
  await t.advance('1m')
  assert.equal((await done).id, '51')
  t.answer(h.create, reply(409, { category: 'CONFLICT' }))
  await assert.rejects(t.call(h.create, { objectType: 'contacts', properties: email }), (e) =>
    isFault(e, 'connection.conflict'),
  )
})
