/**
 * Salesforce, the REST API: records of any object, queries (SOQL), searches (SOSL), collections of records, what changed, limits.
 *
 * Contract-tested: the requests are those of the SDK that its users know (npm `jsforce`).
 * Sources: developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest (resources, errorcodes, headers),
 * help.salesforce.com (OAuth 2.0 JWT bearer flow, client credentials flow).
 */
import * as z from 'zod'
import type { Secret } from '#kernel/secret.ts'
import type { Rule } from '#patterns/connections/answers/classify.ts'
import type { Auth } from '#patterns/connections/auth/auth.ts'
import { clientCredentials, jwtBearer } from '#patterns/connections/auth/oauth/define.ts'
import { connection, type ConnectionOptions } from '#patterns/connections/define.ts'

type Kept = {
  /** Encrypts the token in the store, so that all processes share one: see `clientCredentials`. */
  readonly tokenKey?: Secret
}

/** A connected app. With `key` it signs for a user that has allowed it once; with `secret` it runs as the user that the app names. */
export type SalesforceApp =
  | (Kept & {
      /** The consumer key. */
      readonly clientId: string
      readonly username: string
      /** The private key whose certificate the app has. */
      readonly key: Secret
      /** `https://test.salesforce.com` for a sandbox. Default `https://login.salesforce.com`. */
      readonly loginUrl?: string
    })
  | (Kept & { readonly clientId: string; readonly secret: Secret })

export type SalesforceOptions = {
  /** Of the organisation: `https://acme.my.salesforce.com`. Not the address of its pages (`lightning.force.com`). */
  readonly instanceUrl: string
  readonly auth: SalesforceApp | Auth
  /** Name of the connection, for several organisations side by side. Default `salesforce`. */
  readonly name?: string
  /** Pinned in every path. */
  readonly version?: string
  /** Default 100,000 a day, what an organisation of the Enterprise edition has at least; what is left is said by `getLimits`. */
  readonly limit?: ConnectionOptions['limit']
}

/** The version that this connector was tested with; Salesforce keeps a version for three years at least. */
export const salesforceVersion = '62.0'

/** `Account`, `Order__c`. */
const sobject = z.string().regex(/^\w+$/)
const id = z.string().regex(/^[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?$/)
/** Of an external id, unique and indexed: `Order_Number__c`. */
const field = z.string().regex(/^\w+$/)
const fields = z.array(z.string()).min(1).optional()
const typed = { attributes: z.object({ type: sobject }) }
const allOrNone = z.boolean().default(true)

const Problem = z.looseObject({
  statusCode: z.string().optional(),
  errorCode: z.string().optional(),
  message: z.string(),
})
const Saved = z.looseObject({ id: z.string().nullish(), success: z.boolean(), errors: z.array(Problem) })
const Upserted = Saved.extend({ created: z.boolean().optional() })
const SObject = z.looseObject({
  attributes: z.looseObject({ type: z.string(), url: z.string().optional() }).optional(),
})
const Found = z.looseObject({
  totalSize: z.number(),
  done: z.boolean(),
  nextRecordsUrl: z.string().optional(),
  records: z.array(SObject),
})
const span = { start: z.iso.datetime({ offset: true }), end: z.iso.datetime({ offset: true }) }

/** 2,000 records a page; `nextRecordsUrl` serves for two days. */
const paged = { style: 'cursor', next: 'nextRecordsUrl', items: 'records' } as const

/** An error is a list of them; the first decides. A lock that another holds and a query that took too long have done nothing. */
const rules: readonly Rule[] = [
  { status: 403, body: (b) => says(b, 'REQUEST_LIMIT_EXCEEDED'), means: 'throttled' },
  { body: (b) => says(b, 'UNABLE_TO_LOCK_ROW', 'QUERY_TIMEOUT'), means: 'transient' },
  { body: (b) => says(b, 'SERVER_UNAVAILABLE'), means: 'transient' },
  { status: 400, body: (b) => says(b, 'DUPLICATE_VALUE', 'DUPLICATES_DETECTED'), means: 'conflict' },
  // Of an external id that several records have.
  { status: 300, means: 'conflict' },
]

function says(body: unknown, ...codes: readonly string[]): boolean {
  const [first] = body as readonly { errorCode?: string }[]
  return codes.includes(first?.errorCode ?? '')
}

/**
 * Salesforce as a connection. It knows no idempotency keys: `upsert` by an external id of yours is what may be repeated, `create` is
 * not. The fields of a record stand beside `sobject`.
 *
 * The collections (up to 200 records) are all or nothing by default; with `allOrNone: false` each record has a result of its own, and
 * a call in which some failed is a success.
 *
 * @example
 * export const crm = salesforce({
 *   instanceUrl: 'https://acme.my.salesforce.com',
 *   auth: { clientId: '3MVG…', username: 'integration@acme.test', key: secret('SALESFORCE_KEY') },
 * })
 * await ctx.call(crm.upsert, { sobject: 'Order__c', field: 'Number__c', value: 'o-17', Total__c: 9.9 })
 */
export function salesforce(options: SalesforceOptions) {
  const { instanceUrl, auth, name = 'salesforce', version = salesforceVersion, limit = '100000/day' } = options
  const collection = (record: z.ZodObject) => z.object({ allOrNone, records: z.array(record).min(1).max(200) })
  return connection(name, {
    baseUrl: `${instanceUrl}/services/data/v${version}`,
    auth: 'kind' in auth ? auth : appAuth(auth, instanceUrl),
    queryStyle: 'comma',
    limit,
    rules,
    timeout: '120s',
    operations: {
      /** `q`: SOQL. What comes from outside belongs into quotes, with its backslashes and apostrophes escaped: see `soqlText`. */
      query: { http: 'GET /query', pages: paged, input: z.object({ q: z.string().min(1) }), output: Found },
      /** Deleted and archived records as well. */
      queryAll: { http: 'GET /queryAll', pages: paged, input: z.object({ q: z.string().min(1) }), output: Found },
      /** `q`: SOSL. */
      search: {
        http: 'GET /search',
        input: z.object({ q: z.string().min(1) }),
        output: z.looseObject({ searchRecords: z.array(SObject) }),
      },

      get: { http: 'GET /sobjects/:sobject/:id', input: z.object({ sobject, id, fields }), output: SObject },
      getByExternalId: {
        http: 'GET /sobjects/:sobject/:field/:value',
        input: z.object({ sobject, field, value: z.string(), fields }),
        output: SObject,
      },
      create: { http: 'POST /sobjects/:sobject', input: z.looseObject({ sobject }), output: Saved },
      update: { http: 'PATCH /sobjects/:sobject/:id', idempotent: 'natural', input: z.looseObject({ sobject, id }) },
      upsert: {
        http: 'PATCH /sobjects/:sobject/:field/:value',
        idempotent: 'natural',
        input: z.looseObject({ sobject, field, value: z.string().min(1) }),
        output: Upserted,
      },
      delete: { http: 'DELETE /sobjects/:sobject/:id', input: z.object({ sobject, id }) },

      getMany: {
        http: 'POST /composite/sobjects/:sobject',
        idempotent: 'natural',
        input: z.object({ sobject, ids: z.array(id).min(1).max(2_000), fields: z.array(z.string()).min(1) }),
        output: z.array(SObject.nullable()),
      },
      createMany: { http: 'POST /composite/sobjects', input: collection(z.looseObject(typed)), output: z.array(Saved) },
      updateMany: {
        http: 'PATCH /composite/sobjects',
        idempotent: 'natural',
        input: collection(z.looseObject({ ...typed, id })),
        output: z.array(Saved),
      },
      /** Each record has the external id named by `field`. */
      upsertMany: {
        http: 'PATCH /composite/sobjects/:sobject/:field',
        idempotent: 'natural',
        input: collection(z.looseObject(typed)).extend({ sobject, field }),
        output: z.array(Upserted),
      },
      deleteMany: {
        http: 'DELETE /composite/sobjects',
        input: z.object({ allOrNone, ids: z.array(id).min(1).max(200) }),
        output: z.array(Saved),
      },

      /** Ids of what was created or changed, of at most the last 30 days. */
      listUpdated: {
        http: 'GET /sobjects/:sobject/updated',
        input: z.object({ sobject, ...span }),
        output: z.looseObject({ ids: z.array(z.string()), latestDateCovered: z.string() }),
      },
      /** At most of the last 15 days. */
      listDeleted: {
        http: 'GET /sobjects/:sobject/deleted',
        input: z.object({ sobject, ...span }),
        output: z.looseObject({
          deletedRecords: z.array(z.looseObject({ id: z.string(), deletedDate: z.string() })),
          latestDateCovered: z.string(),
        }),
      },
      describe: {
        http: 'GET /sobjects/:sobject/describe',
        input: z.object({ sobject }),
        output: z.looseObject({
          name: z.string(),
          fields: z.array(z.looseObject({ name: z.string(), type: z.string() })),
        }),
      },
      /** `DailyApiRequests` and many others. */
      getLimits: {
        http: 'GET /limits',
        output: z.record(z.string(), z.looseObject({ Max: z.number(), Remaining: z.number() })),
      },
    },
  })
}

/** A text in SOQL, with its quotes: `WHERE Name = ${soqlText(name)}`. Not for LIKE, in which `%` and `_` mean more. */
export function soqlText(text: string): string {
  const escapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\b': '\\b', '\f': '\\f' }
  return `'${text.replace(/[\\'"\n\r\t\b\f]/g, (c) => escapes[c] ?? `\\${c}`)}'`
}

function appAuth(app: SalesforceApp, instanceUrl: string): Auth {
  const { clientId, tokenKey } = app
  const kept = tokenKey === undefined ? {} : { tokenKey }
  if ('secret' in app) {
    const authenticate = { method: 'client_secret_post', secret: app.secret } as const
    return clientCredentials({ tokenEndpoint: `${instanceUrl}/services/oauth2/token`, clientId, authenticate, ...kept })
  }
  const { username, key, loginUrl = 'https://login.salesforce.com' } = app
  return jwtBearer({
    tokenEndpoint: `${loginUrl}/services/oauth2/token`,
    assertedBy: clientId,
    subject: username,
    assertedTo: loginUrl,
    key,
    algorithm: 'RS256',
    ...kept,
  })
}
