/**
 * Xero, the accounting API 2.0: contacts, invoices, payments, accounts, items, bank transactions; and which organisations are connected.
 *
 * Contract-tested: the requests are those of Xero's own SDK (npm `xero-node`).
 * Sources: developer.xero.com/documentation/api/accounting, /guides/oauth2/limits, /guides/idempotent-requests, /guides/oauth2/auth-flow,
 * /guides/oauth2/custom-connections.
 */
import * as z from 'zod'
import type { Secret } from '#kernel/secret.ts'
import type { Auth } from '#patterns/connections/auth/auth.ts'
import { authorizationCode, clientCredentials } from '#patterns/connections/auth/oauth/define.ts'
import { connection, type ConnectionOptions } from '#patterns/connections/define.ts'

/** A web app, which a person allows once (`redirectUri`); without, a custom connection, which belongs to one organisation. */
export type XeroApp = {
  readonly clientId: string
  readonly secret: Secret
  /** `['accounting.contacts', 'accounting.transactions']`; of a web app with `offline_access`. */
  readonly scopes: readonly string[]
  /** For a stand-in of a test. */
  readonly issuer?: string
} & (
  | { readonly redirectUri: string; readonly tokenKey: Secret }
  | { readonly redirectUri?: never; readonly tokenKey?: Secret }
)

export type XeroOptions = {
  readonly auth: XeroApp | Auth
  /** The organisation (`tenantId` of `listConnections`). A custom connection needs none. */
  readonly tenant?: string
  /** Name of the connection, for several organisations side by side. Default `xero`. */
  readonly name?: string
  /** Default 60 a minute and 5,000 a day, Xero's limit of an app for an organisation. */
  readonly limit?: ConnectionOptions['limit']
  /** For a stand-in of a test. */
  readonly baseUrl?: string
}

const guid = z.guid()
const list = z.array(z.string()).min(1).optional()
const filter = { where: z.string().optional(), order: z.string().optional() }
const page = {
  /** The first that is wanted. */
  page: z.number().int().min(1).optional(),
  pageSize: z.number().int().min(1).max(1_000).optional(),
}
/** `2026-01-31` */
const day = z.iso.date()

const Contact = z.looseObject({
  ContactID: z.string(),
  Name: z.string(),
  ContactNumber: z.string().optional(),
  EmailAddress: z.string().optional(),
  ContactStatus: z.string().optional(),
})
/** Times are `/Date(1518685950940+0000)/`. */
const Invoice = z.looseObject({
  InvoiceID: z.string(),
  InvoiceNumber: z.string().optional(),
  Type: z.string(),
  Status: z.string(),
  Contact: z.looseObject({ ContactID: z.string().optional() }).optional(),
  Total: z.number().optional(),
  AmountDue: z.number().optional(),
  CurrencyCode: z.string().optional(),
  UpdatedDateUTC: z.string().optional(),
})
const Payment = z.looseObject({
  PaymentID: z.string(),
  Amount: z.number(),
  Reference: z.string().optional(),
  Status: z.string().optional(),
})
const newContact = z.looseObject({
  ContactID: guid.optional(),
  Name: z.string().min(1).max(255),
  ContactNumber: z.string().max(50).optional(),
  EmailAddress: z.email().optional(),
})
const line = z.looseObject({
  Description: z.string(),
  Quantity: z.number().optional(),
  UnitAmount: z.number().optional(),
  ItemCode: z.string().optional(),
  AccountCode: z.string().optional(),
  TaxType: z.string().optional(),
})
const aboutInvoice = {
  Date: day.optional(),
  DueDate: day.optional(),
  LineAmountTypes: z.enum(['Exclusive', 'Inclusive', 'NoTax']).optional(),
  Reference: z.string().max(255).optional(),
  CurrencyCode: z.string().length(3).optional(),
  Status: z.enum(['DRAFT', 'SUBMITTED', 'AUTHORISED', 'DELETED', 'VOIDED']).optional(),
}
/** In a filter it stands in quotes. */
const reference = z
  .string()
  .max(255)
  .regex(/^[^"\\]+$/)

const paged = (items: string) => ({ style: 'page', items }) as const

/**
 * Xero as a connection. What creates carries an idempotency key, but Xero keeps it for 6 minutes only; so an invoice is also looked for by
 * its number, and a payment by its reference, before a later repetition, and both must have one.
 *
 * Lists are read by pages of 100 (`pageSize` up to 1,000). What has changed since: `where: 'UpdatedDateUTC>=DateTime(2026,01,31,12,00,00)'`.
 *
 * @example
 * export const books = xero({
 *   auth: { clientId: 'ABC', secret: secret('XERO_SECRET'), scopes: ['accounting.transactions', 'offline_access'],
 *     redirectUri: 'https://hooks.example.org/oauth/xero', tokenKey: secret('TOKEN_KEY') },
 *   tenant: '0a1b…',
 * })
 * await ctx.call(books.createInvoice, { Type: 'ACCREC', InvoiceNumber: 'o-17', Contact: { ContactID }, LineItems })
 */
export function xero(options: XeroOptions) {
  const { auth, tenant, name = 'xero', limit = ['60/m', '5000/day'], baseUrl = 'https://api.xero.com' } = options
  const create = { idempotent: 'key' } as const
  return connection(name, {
    baseUrl,
    auth: 'kind' in auth ? auth : appAuth(auth),
    ...(tenant === undefined ? {} : { headers: { 'xero-tenant-id': tenant } }),
    queryStyle: 'comma',
    limit,
    bulkhead: { concurrent: 5, waiting: 100 },
    timeout: '60s',
    operations: {
      /** The organisations that were allowed, of all who have allowed this app. */
      listConnections: {
        http: 'GET /connections',
        output: z.array(
          z.looseObject({ tenantId: z.string(), tenantType: z.string(), tenantName: z.string().nullish() }),
        ),
      },
      getOrganisation: {
        http: 'GET /api.xro/2.0/Organisation',
        output: z.looseObject({
          Organisations: z.array(z.looseObject({ OrganisationID: z.string(), Name: z.string() })),
        }),
      },

      listContacts: {
        http: 'GET /api.xro/2.0/Contacts',
        pages: paged('Contacts'),
        input: z.object({
          IDs: list,
          searchTerm: z.string().optional(),
          includeArchived: z.boolean().optional(),
          summaryOnly: z.boolean().optional(),
          ...filter,
          ...page,
        }),
        output: z.looseObject({ Contacts: z.array(Contact) }),
      },
      /** Creates them or, by `ContactID`, `ContactNumber` or else the name, changes them. Up to 50. */
      saveContacts: {
        http: 'POST /api.xro/2.0/Contacts',
        ...create,
        input: z.object({ Contacts: z.array(newContact).min(1).max(50) }),
        output: z.looseObject({ Contacts: z.array(Contact) }),
      },

      listInvoices: {
        http: 'GET /api.xro/2.0/Invoices',
        pages: paged('Invoices'),
        input: z.object({
          IDs: list,
          InvoiceNumbers: list,
          ContactIDs: list,
          Statuses: list,
          summaryOnly: z.boolean().optional(),
          ...filter,
          ...page,
        }),
        output: z.looseObject({ Invoices: z.array(Invoice) }),
      },
      getInvoice: {
        http: 'GET /api.xro/2.0/Invoices/:InvoiceID',
        input: z.object({ InvoiceID: z.string().min(1) }),
        output: z.looseObject({ Invoices: z.array(Invoice) }),
      },
      getInvoicePdf: {
        http: 'GET /api.xro/2.0/Invoices/:InvoiceID',
        headers: { accept: 'application/pdf' },
        answer: 'bytes',
        input: z.object({ InvoiceID: guid }),
        output: z.instanceof(Uint8Array),
      },
      /** The number of a sales invoice (`ACCREC`) is unique with them; that of a bill (`ACCPAY`) must be so for its contact. */
      createInvoice: {
        http: 'PUT /api.xro/2.0/Invoices',
        ...create,
        input: z
          .looseObject({
            Type: z.enum(['ACCREC', 'ACCPAY']),
            InvoiceNumber: z.string().min(1).max(255),
            Contact: z.object({ ContactID: guid }),
            LineItems: z.array(line).min(1),
            ...aboutInvoice,
          })
          .transform((invoice) => ({ Invoices: [invoice] })),
        output: z.looseObject({ Invoices: z.array(Invoice) }),
        verify: {
          call: 'listInvoices',
          input: (i) => ({ InvoiceNumbers: [i.InvoiceNumber], ContactIDs: [i.Contact.ContactID] }),
          found: ({ Invoices }, i) => {
            const there = Invoices.filter(
              (n) => n.InvoiceNumber === i.InvoiceNumber && n.Type === i.Type && !gone.has(n.Status),
            )
            return there.length === 0 ? undefined : { Invoices: there }
          },
        },
      },
      /** Also how one is voided: `Status: 'VOIDED'`. Lines that are given replace those that are there. */
      updateInvoice: {
        http: 'POST /api.xro/2.0/Invoices/:InvoiceID',
        idempotent: 'natural',
        input: z
          .looseObject({ InvoiceID: guid, LineItems: z.array(line).optional(), ...aboutInvoice })
          .transform(({ InvoiceID, ...invoice }) => ({ InvoiceID, Invoices: [invoice] })),
        output: z.looseObject({ Invoices: z.array(Invoice) }),
      },

      listPayments: {
        http: 'GET /api.xro/2.0/Payments',
        pages: paged('Payments'),
        input: z.object({ ...filter, ...page }),
        output: z.looseObject({ Payments: z.array(Payment) }),
      },
      createPayment: {
        http: 'POST /api.xro/2.0/Payments',
        ...create,
        input: z.looseObject({
          Invoice: z.object({ InvoiceID: guid }),
          Account: z.union([z.object({ AccountID: guid }), z.object({ Code: z.string() })]),
          Amount: z.number().positive(),
          Date: day,
          /** A name of yours for it, that no other payment has. */
          Reference: reference,
        }),
        output: z.looseObject({ Payments: z.array(Payment) }),
        verify: {
          call: 'listPayments',
          input: (p) => ({ where: `Reference=="${p.Reference}"` }),
          found: ({ Payments }, p) => {
            const there = Payments.filter(
              (n) => n.Reference === p.Reference && n.Amount === p.Amount && !gone.has(n.Status ?? ''),
            )
            return there.length === 0 ? undefined : { Payments: there }
          },
        },
      },

      listAccounts: {
        http: 'GET /api.xro/2.0/Accounts',
        input: z.object(filter),
        output: z.looseObject({
          Accounts: z.array(z.looseObject({ AccountID: z.string(), Name: z.string(), Code: z.string().optional() })),
        }),
      },
      listItems: {
        http: 'GET /api.xro/2.0/Items',
        input: z.object(filter),
        output: z.looseObject({ Items: z.array(z.looseObject({ ItemID: z.string(), Code: z.string() })) }),
      },
      listTaxRates: {
        http: 'GET /api.xro/2.0/TaxRates',
        input: z.object(filter),
        output: z.looseObject({ TaxRates: z.array(z.looseObject({ Name: z.string(), TaxType: z.string() })) }),
      },
      listBankTransactions: {
        http: 'GET /api.xro/2.0/BankTransactions',
        pages: paged('BankTransactions'),
        input: z.object({ ...filter, ...page }),
        output: z.looseObject({
          BankTransactions: z.array(z.looseObject({ BankTransactionID: z.string(), Type: z.string() })),
        }),
      },
    },
  })
}

const gone: ReadonlySet<string> = new Set(['DELETED', 'VOIDED'])

function appAuth(app: XeroApp): Auth {
  const { clientId, secret, scopes, issuer = 'https://identity.xero.com' } = app
  const common = { issuer, clientId, authenticate: { method: 'client_secret_basic', secret }, scopes } as const
  if (app.redirectUri !== undefined)
    return authorizationCode({ ...common, redirectUri: app.redirectUri, tokenKey: app.tokenKey })
  return clientCredentials({ ...common, ...(app.tokenKey === undefined ? {} : { tokenKey: app.tokenKey }) })
}
