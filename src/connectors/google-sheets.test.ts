import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { auth as googleAuth, sheets as googleSdk } from '@googleapis/sheets'
import { decodeJwt } from 'jose'
import { isFault } from '#kernel/fault.ts'
import { secret } from '#kernel/secret.ts'
import { bearer } from '#patterns/connections/auth/bearer.ts'
import { cut, harness, reply } from '#testing/index.ts'
import { googleSheets } from './google-sheets.ts'
import { appWith, essence, standIn, type Seen } from './stand-in.fixture.ts'

const token = 'ya29.canary-5f3759df'
const spreadsheetId = '1aB-c_D'
const range = "'Orders ä'!A1:C9"
const values = [
  ['o-1', 990, true],
  ['=1+1', null, ''],
]
const updated = { spreadsheetId, updatedRange: 'Orders!A2:C2', updatedCells: 3 }
const appended = { spreadsheetId, tableRange: 'Orders!A1:C1', updates: updated }

/** Which characters of a path are escaped without need is no matter of contract. */
const plain = (seen: Seen | undefined): object =>
  essence(seen && { ...seen, path: decodeURIComponent(seen.path) }, ['authorization'])

test('sends what Google’s own SDK sends', async (t) => {
  const api = await standIn(t)
  const g = googleSheets({ auth: bearer(secret('GOOGLE_TOKEN')), baseUrl: api.origin })
  const app = await appWith(t, [g], { GOOGLE_TOKEN: token })
  const credentials = new googleAuth.OAuth2()
  credentials.setCredentials({ access_token: token, expiry_date: Number.MAX_SAFE_INTEGER })
  const { spreadsheets } = googleSdk({ version: 'v4', auth: credentials, rootUrl: api.origin })
  const at = { spreadsheetId }
  const valueInputOption = 'RAW'
  const title = { properties: { title: 'Orders' } }
  const add = [{ addSheet: { properties: { title: 'May' } } }]
  const cases: readonly (readonly [unknown, () => Promise<unknown>, () => Promise<unknown>])[] = [
    [
      { spreadsheetId, sheets: [{ properties: { sheetId: 0, title: 'Orders' } }] },
      () => spreadsheets.get({ ...at, ranges: ['A!A1', 'B!B2'], includeGridData: false, fields: 'sheets.properties' }),
      () =>
        app.call(g.getSpreadsheet, {
          ...at,
          ranges: ['A!A1', 'B!B2'],
          includeGridData: false,
          fields: 'sheets.properties',
        }),
    ],
    [{ spreadsheetId }, () => spreadsheets.create({ requestBody: title }), () => app.call(g.createSpreadsheet, title)],
    [
      { range, values },
      () => spreadsheets.values.get({ ...at, range, valueRenderOption: 'UNFORMATTED_VALUE' }),
      () => app.call(g.getValues, { ...at, range, valueRenderOption: 'UNFORMATTED_VALUE' }),
    ],
    [
      { spreadsheetId, valueRanges: [{ range, values }, { range: 'B!A1' }] },
      () => spreadsheets.values.batchGet({ ...at, ranges: [range, 'B!A1'], majorDimension: 'COLUMNS' }),
      () => app.call(g.batchGetValues, { ...at, ranges: [range, 'B!A1'], majorDimension: 'COLUMNS' }),
    ],
    [
      updated,
      () => spreadsheets.values.update({ ...at, range, valueInputOption, requestBody: { values } }),
      () => app.call(g.updateValues, { ...at, range, valueInputOption, values }),
    ],
    [
      { spreadsheetId, totalUpdatedCells: 6 },
      () => spreadsheets.values.batchUpdate({ ...at, requestBody: { valueInputOption, data: [{ range, values }] } }),
      () => app.call(g.batchUpdateValues, { ...at, valueInputOption, data: [{ range, values }] }),
    ],
    [
      { spreadsheetId, clearedRange: range },
      () => spreadsheets.values.clear({ ...at, range }),
      () => app.call(g.clearValues, { ...at, range }),
    ],
    [
      appended,
      () =>
        spreadsheets.values.append({
          ...at,
          range,
          valueInputOption,
          insertDataOption: 'INSERT_ROWS',
          requestBody: { values: [['o-1', 990]] },
        }),
      () => app.call(g.appendRow, { ...at, range, row: ['o-1', 990] }),
    ],
    [
      appended,
      () => spreadsheets.values.append({ ...at, range, valueInputOption: 'USER_ENTERED', requestBody: { values } }),
      () => app.call(g.appendValues, { ...at, range, valueInputOption: 'USER_ENTERED', values }),
    ],
    [
      { spreadsheetId, replies: [{}] },
      () => spreadsheets.batchUpdate({ ...at, requestBody: { requests: add } }),
      () => app.call(g.batchUpdate, { ...at, requests: add }),
    ],
  ]
  for (const [body, theirs, ours] of cases) {
    api.answer = () => ({ body })
    await theirs()
    await ours()
    const [first, second] = api.seen.splice(0)
    assert.deepEqual(plain(second), plain(first))
  }
})

test('a service account asks for its own token, for reading alone unless it is to write', async (t) => {
  const api = await standIn(t)
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const tokenEndpoint = `${api.origin}/token`
  const account = { email: 'robot@p.test', key: secret('ROBOT_KEY'), keyId: 'k1', tokenEndpoint }
  const reading = googleSheets({ auth: account, baseUrl: api.origin })
  const writing = googleSheets({ auth: account, baseUrl: api.origin, name: 'writing', access: 'write' })
  const app = await appWith(t, [reading, writing], { ROBOT_KEY: privateKey })
  api.answer = ({ path }) => ({
    body: path === '/token' ? { access_token: token, token_type: 'Bearer', expires_in: 3_599 } : { range, values },
  })
  for (const [sheets, scope] of [
    [reading, 'https://www.googleapis.com/auth/spreadsheets.readonly'],
    [writing, 'https://www.googleapis.com/auth/spreadsheets'],
  ] as const) {
    await app.call(sheets.getValues, { spreadsheetId, range })
    const [asked, read] = api.seen.splice(0)
    const form = new Map((asked!.body as string[]).map((pair) => pair.split('=') as [string, string]))
    const { iss, aud, scope: given } = decodeJwt(form.get('assertion')!)
    assert.deepEqual({ iss, aud, given }, { iss: account.email, aud: tokenEndpoint, given: scope })
    assert.equal(read?.headers['authorization'], `Bearer ${token}`)
  }
})

test('a row whose answer is lost is looked for by its first cell, and appended again only where it is not', async () => {
  const g = googleSheets({ auth: bearer(secret('GOOGLE_TOKEN')) })
  await using t = await harness({ use: [g] })
  const append = async (row: [string, ...(string | number)[]]) => {
    const work = t.call(g.appendRow, { spreadsheetId, range: "'It''s'!$B$2:D", row })
    await t.advance('1m')
    return work
  }
  t.answer(g.getValues, { range: 'x', values: [['id', 'o-1', 'o-2']] })
  t.answer(g.appendRow, cut)
  assert.equal((await append(['o-2', 5])).updates.updatedRange, "'It''s'!B3")
  assert.equal(t.called(g.appendRow).length, 1)
  assert.equal(t.called(g.getValues)[0]?.['range'], "'It''s'!B:B")

  t.answer(g.getValues, { range: 'x' })
  t.answer(g.appendRow, cut, appended)
  assert.equal((await append(['o-3', 5])).updates.updatedRange, updated.updatedRange)
  assert.equal(t.called(g.appendRow).length, 3)
  await assert.rejects(t.call(g.appendRow, { spreadsheetId, range: 'Orders', row: ['o-4'] }), (e) =>
    isFault(e, 'schema.invalid'),
  )
})

test('values without a name are not appended again', async () => {
  const g = googleSheets({ auth: bearer(secret('GOOGLE_TOKEN')) })
  await using t = await harness({ use: [g] })
  t.answer(g.appendValues, cut)
  const work = t
    .call(g.appendValues, { spreadsheetId, range, valueInputOption: 'RAW', values })
    .catch((e: unknown) => e)
  await t.advance('1m')
  assert.ok(isFault(await work, 'connection.unverified'))
  assert.equal(t.called(g.appendValues).length, 1)
})

test('waits when there were too many in a minute, and repeats what another writer has stopped', async () => {
  const g = googleSheets({ auth: bearer(secret('GOOGLE_TOKEN')) })
  await using t = await harness({ use: [g] })
  const error = (status: string, message = 'no') => ({ error: { code: 0, status, message } })
  t.answer(
    g.getValues,
    reply(429, error('RESOURCE_EXHAUSTED')),
    reply(403, error('PERMISSION_DENIED', 'User Rate Limit Exceeded')),
    { range, values },
  )
  const got = t.call(g.getValues, { spreadsheetId, range })
  await t.advance('1m')
  assert.deepEqual((await got).values, values)
  t.answer(g.batchUpdate, reply(409, error('ABORTED')), { spreadsheetId })
  const done = t.call(g.batchUpdate, { spreadsheetId, requests: [{ addSheet: {} }] })
  await t.advance('1m')
  await done
  t.answer(g.getValues, reply(403, error('PERMISSION_DENIED', 'The caller does not have permission')))
  await assert.rejects(t.call(g.getValues, { spreadsheetId, range }), (e) => isFault(e, 'connection.forbidden'))
})
