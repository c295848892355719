import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test, type TestContext } from 'node:test'
import type { App } from '#app/fairlead.ts'
import { isFault } from '#kernel/fault.ts'
import { secret } from '#kernel/secret.ts'
import { cut, harness, reply } from '#testing/index.ts'
import { kobo, koboSubmissions } from './kobo.ts'
import { appWith, essence, standIn, type StandIn } from './stand-in.fixture.ts'

const token = '0123456789abcdef0123456789abcdefcanary'
const uid = 'aTESTFORMUID00000000001'
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`fixtures/${name}`, import.meta.url), 'utf8'))
const { results: submissions } = read('kobo-submissions.json') as { results: { _id: number; _uuid: string }[] }
const transport = read('kobo-transport.json') as {
  id: string
  submission: { meta: { instanceID: string } }
}
const hook = { name: 'Us', endpoint: 'https://us.test/kobo/x', active: true }
const newHook = {
  ...hook,
  export_type: 'json' as const,
  auth_level: 'no_auth' as const,
  subset_fields: [] as string[],
  settings: { custom_headers: {} },
}

/** Their server as it is described: a token, paths that end in a slash, pages by `start` and `limit`, one submission of an instance. */
async function server(t: TestContext): Promise<StandIn> {
  const api = await standIn(t)
  const instances = new Set<string>()
  api.answer = ({ method, path, query, headers, body }) => {
    if (headers['authorization'] !== `Token ${token}`) return { status: 401, body: { detail: 'Invalid token.' } }
    const asked = new Map(query.map((pair) => [pair.split('=')[0], pair.slice(pair.indexOf('=') + 1)]))
    if (path === '/api/v1/submissions') {
      const { instanceID } = (body as typeof transport).submission.meta
      if (instances.has(instanceID)) return { status: 202, body: { error: 'Duplicate submission' } }
      instances.add(instanceID)
      return { status: 201, body: { message: 'Successful submission.', instanceID, formid: 'transportation' } }
    }
    if (path !== `/api/v2/assets/${uid}/data/` || method !== 'GET')
      return { status: 404, body: { detail: 'Not found.' } }
    const after = /"\$gt":(\d+)/.exec(asked.get('query') ?? '')?.[1] ?? 0
    const rows = submissions.filter((s) => s._id > Number(after))
    const limit = Math.min(1_000, Number(asked.get('limit') ?? 1_000))
    const start = Number(asked.get('start') ?? 0)
    const next = new URL(path, api.origin)
    for (const [name, value] of asked) next.searchParams.set(name!, value)
    next.searchParams.set('limit', String(limit))
    next.searchParams.set('start', String(start + limit))
    return {
      body: {
        count: rows.length,
        next: start + limit < rows.length ? next.href : null,
        previous: null,
        results: rows.slice(start, start + limit),
      },
    }
  }
  return api
}

const both = async (t: TestContext, api: StandIn) => {
  const k = kobo({ token: secret('KOBO_TOKEN'), baseUrl: api.origin })
  const field = koboSubmissions({ token: secret('KOBO_TOKEN'), baseUrl: api.origin })
  return { k, field, app: await appWith(t, [k, field], { KOBO_TOKEN: token }) }
}
const walked = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

test('walks the submissions of a form by the address of the next page, in a fixed order', async (t) => {
  const api = await server(t)
  const { k, app } = await both(t, api)
  const query = { _id: { $gt: 4001 } }
  const found = await walked(app.each(k.listSubmissions, { uid, limit: 2, query }))
  assert.deepEqual(
    found,
    submissions.filter((s) => s._id > 4001),
  )
  assert.deepEqual(
    api.seen.map((r) => r.query),
    [
      ['format=json', 'limit=2', 'query={"_id":{"$gt":4001}}', 'sort={"_id":1}'],
      ['format=json', 'limit=2', 'query={"_id":{"$gt":4001}}', 'sort={"_id":1}', 'start=2'],
    ],
  )
})

test('a submission keeps what it has: groups, repeats, text that is a number, attachments', async (t) => {
  const { k, app } = await both(t, await server(t))
  const [first] = await walked(app.each(k.listSubmissions, { uid, fields: ['_id'], sort: { _submission_time: -1 } }))
  assert.deepEqual(first, submissions[0])
  assert.equal(first?.['household/members_count'], '2')
  assert.equal(first?._attachments?.[0]?.question_xpath, 'photo')
})

test('a submission is taken once, however often it is sent', async (t) => {
  const api = await server(t)
  const { field, app } = await both(t, api)
  assert.equal((await app.call(field.submit, transport)).instanceID, transport.submission.meta.instanceID)
  assert.equal((await app.call(field.submit, transport)).error, 'Duplicate submission')
  const { id, submission } = transport
  assert.deepEqual(api.seen[0]?.body, { id, submission })
  assert.equal(api.seen[0]?.headers['authorization'], `Token ${token}`)
  await assert.rejects(app.call(field.submit, { id: 'x', submission: { meta: { instanceID: 'mine' } } }), (e) =>
    isFault(e, 'schema.invalid'),
  )
})

test('sends what the description says', async (t) => {
  const api = await standIn(t)
  const { k, app } = await both(t, api)
  const at = `/api/v2/assets/${uid}`
  const approved = 'validation_status_approved'
  const cases: readonly (readonly [unknown, (app: App) => Promise<unknown>, string, string, unknown])[] = [
    [{ uid, name: 'Visits', asset_type: 'survey' }, () => app.call(k.getAsset, { uid }), 'GET', `${at}/`, undefined],
    [submissions[0], () => app.call(k.getSubmission, { uid, id: 4001 }), 'GET', `${at}/data/4001/`, undefined],
    [undefined, () => app.call(k.deleteSubmission, { uid, id: 4001 }), 'DELETE', `${at}/data/4001/`, undefined],
    [
      { count: 1, successes: 1, failures: 0, results: [{ uuid: submissions[0]!._uuid, status_code: 201 }] },
      () => app.call(k.updateSubmissions, { uid, payload: { submission_ids: [4001], data: { 'household/dob': '' } } }),
      'PATCH',
      `${at}/data/bulk/`,
      { payload: { submission_ids: [4001], data: { 'household/dob': '' } } },
    ],
    [
      { uid: approved },
      () => app.call(k.setValidationStatus, { uid, id: 4001, 'validation_status.uid': approved }),
      'PATCH',
      `${at}/data/4001/validation_status/`,
      { 'validation_status.uid': approved },
    ],
    [
      { detail: '2 submissions have been updated' },
      () =>
        app.call(k.setValidationStatuses, {
          uid,
          payload: { submission_ids: [4001, 4002], 'validation_status.uid': approved },
        }),
      'PATCH',
      `${at}/data/validation_statuses/`,
      { payload: { submission_ids: [4001, 4002], 'validation_status.uid': approved } },
    ],
    [{ uid: 'h1', ...hook }, () => app.call(k.createHook, { uid, ...newHook }), 'POST', `${at}/hooks/`, newHook],
    [undefined, () => app.call(k.deleteHook, { uid, hook_uid: 'h1' }), 'DELETE', `${at}/hooks/h1/`, undefined],
  ]
  for (const [answer, ask, method, path, body] of cases) {
    api.answer = () => (answer === undefined ? { status: 204 } : { body: answer })
    await ask(app)
    const [seen] = api.seen.splice(0)
    const query = method === 'GET' ? ['format=json'] : []
    const headers = { authorization: `Token ${token}` }
    assert.deepEqual(essence(seen, ['authorization']), { method, path, query, body, headers })
  }
})

test('a hook whose answer is lost is looked for by its address, not made twice', async () => {
  const k = kobo({ token: secret('KOBO_TOKEN') })
  await using t = await harness({ use: [k] })
  t.answer(k.createHook, cut)
  t.answer(k.listHooks, {
    count: 2,
    next: null,
    results: [
      { ...hook, uid: 'h0', name: 'Other' },
      { ...hook, uid: 'h1' },
    ],
  })
  const made = t.call(k.createHook, { uid, ...newHook })
  await t.advance('1m')
  assert.equal((await made).uid, 'h1')
  assert.equal(t.called(k.createHook).length, 1)
})

test('a gateway that gives up is asked again, a form that is not ours is not found', async () => {
  const k = kobo({ token: secret('KOBO_TOKEN') })
  await using t = await harness({ use: [k] })
  t.answer(k.getSubmission, reply(504, '<html>'), submissions[0])
  const got = t.call(k.getSubmission, { uid, id: 4001 })
  await t.advance('1m')
  assert.equal((await got)._id, 4001)
  t.answer(k.getSubmission, reply(404, { detail: 'Not found.' }))
  await assert.rejects(t.call(k.getSubmission, { uid, id: 1 }), (e) => isFault(e, 'connection.not_found'))
})
