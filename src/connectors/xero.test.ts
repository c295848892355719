import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AccountingApi, Invoice, LineAmountTypes } from 'xero-node'
import { isFault } from '#kernel/fault.ts'
import { secret } from '#kernel/secret.ts'
import { bearer } from '#patterns/connections/auth/bearer.ts'
import { cut, harness, reply } from '#testing/index.ts'
import { appWith, essence, standIn, type Seen } from './stand-in.fixture.ts'
import { xero } from './xero.ts'

const token = 'canary-5f3759df'
const tenant = '0a1b2c3d-0000-4000-8000-000000000001'
const guid = '0a1b2c3d-0000-4000-8000-000000000002'
const other = '0a1b2c3d-0000-4000-8000-000000000003'
const auth = bearer(secret('XERO_TOKEN'))
const contact = { ContactID: guid, Name: 'Acme' }
const invoice = { InvoiceID: guid, InvoiceNumber: 'o-17', Type: 'ACCREC', Status: 'AUTHORISED', Total: 9.9 }
const payment = { PaymentID: guid, Amount: 9.9, Reference: 'p-17', Status: 'AUTHORISED' }
const newInvoice = {
  Type: 'ACCREC' as const,
  InvoiceNumber: 'o-17',
  Contact: { ContactID: guid },
  LineItems: [{ Description: 'Tea', Quantity: 1, UnitAmount: 9.9 }],
}
const newPayment = {
  Invoice: { InvoiceID: guid },
  Account: { Code: '090' },
  Amount: 9.9,
  Date: '2026-01-31',
  Reference: 'p-17',
}

/** Their SDK sends an empty object with every GET. */
const asked = (seen: Seen | undefined): object => {
  const bodied = seen?.method === 'GET' ? { ...seen, body: undefined } : seen
  return essence(bodied, ['authorization', 'xero-tenant-id', 'accept'])
}

test('sends what Xero’s own SDK sends', async (t) => {
  const api = await standIn(t)
  const x = xero({ auth, tenant, baseUrl: api.origin })
  const app = await appWith(t, [x], { XERO_TOKEN: token })
  const sdk = new AccountingApi(`${api.origin}/api.xro/2.0`)
  sdk.accessToken = token
  const where = 'Status=="AUTHORISED" AND UpdatedDateUTC>=DateTime(2026,01,31)'
  const cases: readonly (readonly [unknown, () => Promise<unknown>, () => Promise<unknown>])[] = [
    [
      { Organisations: [{ OrganisationID: guid, Name: 'Us' }] },
      () => sdk.getOrganisations(tenant),
      () => app.call(x.getOrganisation, undefined),
    ],
    [
      { Contacts: [contact] },
      () => sdk.getContacts(tenant, undefined, where, 'Name ASC', undefined, 2, true, undefined, 'Ac & me', 50),
      () =>
        app.call(x.listContacts, {
          where,
          order: 'Name ASC',
          includeArchived: true,
          searchTerm: 'Ac & me',
          pageSize: 50,
          page: 2,
        }),
    ],
    [
      { Contacts: [contact] },
      () => sdk.updateOrCreateContacts(tenant, { contacts: [{ name: 'Acme', contactNumber: 'c-1' }] }, undefined, 'k'),
      () => app.call(x.saveContacts, { Contacts: [{ Name: 'Acme', ContactNumber: 'c-1' }] }),
    ],
    [{ Invoices: [invoice] }, () => sdk.getInvoice(tenant, guid), () => app.call(x.getInvoice, { InvoiceID: guid })],
    [
      { Invoices: [invoice] },
      () =>
        sdk.createInvoices(tenant, {
          invoices: [
            {
              type: Invoice.TypeEnum.ACCREC,
              invoiceNumber: 'o-17',
              contact: { contactID: guid },
              lineItems: [{ description: 'Tea', quantity: 1, unitAmount: 9.9 }],
              lineAmountTypes: LineAmountTypes.Inclusive,
              dueDate: '2026-02-28',
              status: Invoice.StatusEnum.AUTHORISED,
            },
          ],
        }),
      () =>
        app.call(x.createInvoice, {
          ...newInvoice,
          LineAmountTypes: 'Inclusive',
          DueDate: '2026-02-28',
          Status: 'AUTHORISED',
        }),
    ],
    [
      { Invoices: [{ ...invoice, Status: 'VOIDED' }] },
      () => sdk.updateInvoice(tenant, guid, { invoices: [{ status: Invoice.StatusEnum.VOIDED }] }),
      () => app.call(x.updateInvoice, { InvoiceID: guid, Status: 'VOIDED' }),
    ],
    [
      { Payments: [payment] },
      () =>
        sdk.createPayment(tenant, {
          invoice: { invoiceID: guid },
          account: { code: '090' },
          amount: 9.9,
          date: '2026-01-31',
          reference: 'p-17',
        }),
      () => app.call(x.createPayment, newPayment),
    ],
    [
      { Payments: [payment] },
      () => sdk.getPayments(tenant, undefined, 'Reference=="p-17"', undefined, undefined, 10),
      () => app.call(x.listPayments, { where: 'Reference=="p-17"', pageSize: 10 }),
    ],
    [
      { Accounts: [{ AccountID: guid, Name: 'Bank' }] },
      () => sdk.getAccounts(tenant, undefined, 'Type=="BANK"'),
      () => app.call(x.listAccounts, { where: 'Type=="BANK"' }),
    ],
    [{ Items: [] }, () => sdk.getItems(tenant), () => app.call(x.listItems, {})],
    [{ TaxRates: [] }, () => sdk.getTaxRates(tenant), () => app.call(x.listTaxRates, {})],
    [{ BankTransactions: [] }, () => sdk.getBankTransactions(tenant), () => app.call(x.listBankTransactions, {})],
    ['%PDF', () => sdk.getInvoiceAsPdf(tenant, guid), () => app.call(x.getInvoicePdf, { InvoiceID: guid })],
  ]
  for (const [body, theirs, ours] of cases) {
    api.answer = () => ({ body })
    await theirs()
    await ours()
    const [first, second] = api.seen.splice(0)
    assert.deepEqual(asked(second), asked(first))
    const keyed = first?.method === 'GET' || second?.path.endsWith(guid) ? undefined : 'string'
    assert.equal(typeof second?.headers['idempotency-key'], String(keyed))
  }
})

test('lists are named with commas, as Xero’s description says, and walked until a page is empty', async (t) => {
  const api = await standIn(t)
  const x = xero({ auth, tenant, baseUrl: api.origin })
  const app = await appWith(t, [x], { XERO_TOKEN: token })
  api.answer = ({ query }) => {
    const page = Number(query.find((pair) => pair.startsWith('page='))?.slice(5))
    return { body: { Invoices: page > 2 ? [] : [{ ...invoice, InvoiceNumber: `o-${page}` }] } }
  }
  const found: unknown[] = []
  for await (const one of app.each(x.listInvoices, { Statuses: ['DRAFT', 'AUTHORISED'] })) found.push(one.InvoiceNumber)
  assert.deepEqual(found, ['o-1', 'o-2'])
  assert.deepEqual(
    api.seen.map((r) => r.query),
    ['1', '2', '3'].map((page) => ['Statuses=DRAFT,AUTHORISED', `page=${page}`]),
  )
})

test('an invoice whose answer is lost is found by its number, and not by one that was voided or is another’s', async () => {
  const x = xero({ auth, tenant })
  await using t = await harness({ use: [x] })
  t.answer(x.createInvoice, cut, { Invoices: [invoice] })
  t.answer(x.listInvoices, {
    Invoices: [
      { ...invoice, Status: 'VOIDED' },
      { ...invoice, Type: 'ACCPAY' },
    ],
  })
  const first = t.call(x.createInvoice, newInvoice)
  await t.advance('1m')
  assert.equal((await first).Invoices[0]?.Status, 'AUTHORISED')
  assert.equal(t.called(x.createInvoice).length, 2)
  assert.equal(new Set(t.keys(x.createInvoice)).size, 1)

  t.answer(x.createInvoice, cut)
  t.answer(x.listInvoices, { Invoices: [{ ...invoice, InvoiceID: other }] })
  const second = t.call(x.createInvoice, newInvoice)
  await t.advance('1m')
  assert.equal((await second).Invoices[0]?.InvoiceID, other)
  assert.equal(t.called(x.createInvoice).length, 3)
  assert.equal(t.called(x.listInvoices).at(-1)?.['InvoiceNumbers'], 'o-17')
})

test('a payment whose answer is lost is found by its reference', async () => {
  const x = xero({ auth, tenant })
  await using t = await harness({ use: [x] })
  t.answer(x.createPayment, cut)
  t.answer(x.listPayments, { Payments: [payment] })
  const paid = t.call(x.createPayment, newPayment)
  await t.advance('1m')
  assert.equal((await paid).Payments[0]?.PaymentID, guid)
  assert.equal(t.called(x.createPayment).length, 1)
  await assert.rejects(t.call(x.createPayment, { ...newPayment, Reference: 'x" OR 1==1' }), (e) =>
    isFault(e, 'schema.invalid'),
  )
})

test('waits as long as Xero says, and tells a mistake from an organisation that is not allowed', async () => {
  const x = xero({ auth, tenant })
  await using t = await harness({ use: [x] })
  const limited = { 'retry-after': '20', 'x-rate-limit-problem': 'minute', 'x-minlimit-remaining': '0' }
  t.answer(x.listItems, reply(429, {}, limited), { Items: [] })
  let done = false
  const got = t.call(x.listItems, {}).then(() => (done = true))
  await t.advance('19s')
  assert.equal(done, false)
  await t.advance('10s')
  await got
  for (const [status, body, code] of [
    [400, { Type: 'ValidationException', Elements: [] }, 'connection.rejected'],
    [403, { Title: 'Forbidden', Detail: 'AuthenticationUnsuccessful' }, 'connection.forbidden'],
    [401, { Title: 'Unauthorized', Detail: 'TokenExpired' }, 'connection.credential'],
  ] as const) {
    t.answer(x.saveContacts, reply(status, body))
    await assert.rejects(t.call(x.saveContacts, { Contacts: [{ Name: 'Acme' }] }), (e) => isFault(e, code), code)
  }
})

test('a web app is allowed by a person, a custom connection is itself', () => {
  const app = { clientId: 'us', secret: secret('XERO_SECRET'), scopes: ['accounting.contacts'] }
  const custom = xero({ auth: app }).options
  assert.equal(custom.headers, undefined)
  const web = xero({
    auth: { ...app, redirectUri: 'https://us.test/oauth/xero', tokenKey: secret('KEY') },
    tenant,
  }).options
  assert.deepEqual(web.headers, { 'xero-tenant-id': tenant })
  for (const [options, grant] of [
    [custom, 'client_credentials'],
    [web, 'authorization_code'],
  ] as const) {
    assert.ok(options.auth?.kind === 'oauth')
    assert.equal(options.auth.grant, grant)
    assert.equal(options.auth.issuer, 'https://identity.xero.com')
  }
})
