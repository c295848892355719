/**
 * Google Sheets, the API v4: values of ranges, spreadsheets and their sheets.
 *
 * Contract-tested: the requests are those of Google's own SDK (npm `@googleapis/sheets`).
 * Sources: developers.google.com/workspace/sheets/api/reference/rest, /api/limits, /identity/protocols/oauth2/service-account.
 */
import * as z from 'zod'
import type { Duration } from '#kernel/duration.ts'
import type { Secret } from '#kernel/secret.ts'
import type { Rule } from '#patterns/connections/answers/classify.ts'
import type { Auth } from '#patterns/connections/auth/auth.ts'
import { jwtBearer } from '#patterns/connections/auth/oauth/define.ts'
import { connection, type ConnectionOptions } from '#patterns/connections/define.ts'

/** A program that is known to Google by a key of its own; share the spreadsheet with its address, as with a person. */
export type GoogleServiceAccount = {
  /** `client_email` of its key file. */
  readonly email: string
  /** `private_key` of its key file. */
  readonly key: Secret
  /** `private_key_id` of its key file. */
  readonly keyId?: string
  /** The person on whose behalf it acts, where an administrator of the domain has allowed that. */
  readonly subject?: string
  /** Encrypts its token in the store, so that all processes share one: see `clientCredentials`. */
  readonly tokenKey?: Secret
  /** For a stand-in of a test. */
  readonly tokenEndpoint?: string
}

export type GoogleSheetsOptions = {
  /** A service account, or `authorizationCode` for the sheets of a person (with `parameters: { access_type: 'offline', prompt: 'consent' }`). */
  readonly auth: GoogleServiceAccount | Auth
  /** Name of the connection. Default `google-sheets`. */
  readonly name?: string
  /** Default reads alone are asked for by `https://www.googleapis.com/auth/spreadsheets.readonly`. */
  readonly access?: 'read' | 'write'
  /** Default 60 a minute: Google counts reads and writes apart, 60 a minute each for a user and 300 for a project. */
  readonly limit?: ConnectionOptions['limit']
  /** Default 60 s; Google gives up after 180 s. */
  readonly timeout?: Duration
  /** For a stand-in of a test. */
  readonly baseUrl?: string
}

const spreadsheetId = z.string().min(1)
/** A1 notation: `Orders!A1:C9`, `Orders!A:C`, `Orders`. */
const range = z.string().min(1)
const cell = z.union([z.string(), z.number(), z.boolean(), z.null()])
const values = z.array(z.array(cell))
const dimension = z.enum(['ROWS', 'COLUMNS'])
const renders = {
  valueRenderOption: z.enum(['FORMATTED_VALUE', 'UNFORMATTED_VALUE', 'FORMULA']).optional(),
  dateTimeRenderOption: z.enum(['SERIAL_NUMBER', 'FORMATTED_STRING']).optional(),
}
/** `RAW`: as it is. `USER_ENTERED`: as if somebody typed it, so `=…` becomes a formula: never for what others may have written. */
const valueInputOption = z.enum(['RAW', 'USER_ENTERED'])
const fields = z.string().optional()

/** Rows end at their last filled cell, and the list at its last filled row: with nothing in the range, `values` is absent. */
const ValueRange = z.looseObject({ range: z.string(), values: values.optional() })
const Updated = z.looseObject({
  spreadsheetId: z.string(),
  updatedRange: z.string(),
  updatedRows: z.number().optional(),
  updatedCells: z.number().optional(),
})
const Appended = z.looseObject({ spreadsheetId: z.string(), tableRange: z.string().optional(), updates: Updated })
const Spreadsheet = z.looseObject({
  spreadsheetId: z.string(),
  spreadsheetUrl: z.string().optional(),
  properties: z.looseObject({ title: z.string().optional() }).optional(),
  sheets: z.array(z.looseObject({ properties: z.looseObject({ sheetId: z.number(), title: z.string() }) })).optional(),
})

/**
 * Two writers of one spreadsheet at once: 409 ABORTED, nothing happened. Google speaks of limits by 429 RESOURCE_EXHAUSTED without
 * Retry-After, in some projects by 403.
 */
const rules: readonly Rule[] = [
  { status: 409, body: (b) => statusOf(b) === 'ABORTED', means: 'transient' },
  { status: 403, body: (b) => /rate.?limit|quota/i.test(String(errorOf(b)['message'])), means: 'throttled' },
]

function errorOf(body: unknown): Readonly<Record<string, unknown>> {
  return (body as { error: Readonly<Record<string, unknown>> }).error
}

function statusOf(body: unknown): unknown {
  return errorOf(body)['status']
}

/**
 * Google Sheets as a connection. Writing values to a place may be repeated; `append` is not, since it would be a second row. For a row
 * that must be there once use `appendRow`: its first cell is its name, by which it is looked for before it is appended again.
 *
 * @example
 * export const sheets = googleSheets({ auth: { email: 'robot@project.iam.gserviceaccount.com', key: secret('ROBOT_KEY') }, access: 'write' })
 * await ctx.call(sheets.appendRow, { spreadsheetId: '1aB…', range: 'Orders!A:C', row: ['o-17', 990, 'eur'] })
 */
export function googleSheets(options: GoogleSheetsOptions) {
  const { auth, access = 'read', name = 'google-sheets', limit = '60/m', timeout = '60s' } = options
  const { baseUrl = 'https://sheets.googleapis.com' } = options
  return connection(name, {
    baseUrl,
    auth: 'kind' in auth ? auth : serviceAccount(auth, access),
    limit,
    rules,
    timeout,
    operations: {
      getSpreadsheet: {
        http: 'GET /v4/spreadsheets/:spreadsheetId',
        input: z.object({
          spreadsheetId,
          ranges: z.array(range).optional(),
          includeGridData: z.boolean().optional(),
          fields,
        }),
        output: Spreadsheet,
      },
      /** Made twice, there are two of the same title. */
      createSpreadsheet: {
        http: 'POST /v4/spreadsheets',
        input: z.object({
          properties: z.looseObject({
            title: z.string(),
            locale: z.string().optional(),
            timeZone: z.string().optional(),
          }),
          sheets: z.array(z.looseObject({ properties: z.looseObject({ title: z.string() }) })).optional(),
        }),
        output: Spreadsheet,
      },

      getValues: {
        http: 'GET /v4/spreadsheets/:spreadsheetId/values/:range',
        input: z.object({ spreadsheetId, range, majorDimension: dimension.optional(), ...renders }),
        output: ValueRange,
      },
      batchGetValues: {
        http: 'GET /v4/spreadsheets/:spreadsheetId/values:batchGet',
        input: z.object({
          spreadsheetId,
          ranges: z.array(range).min(1),
          majorDimension: dimension.optional(),
          ...renders,
        }),
        output: z.looseObject({ spreadsheetId: z.string(), valueRanges: z.array(ValueRange) }),
      },
      /** `null` leaves a cell as it is, `''` empties it. */
      updateValues: {
        http: 'PUT /v4/spreadsheets/:spreadsheetId/values/:range',
        query: ['valueInputOption'],
        input: z.object({ spreadsheetId, range, valueInputOption, majorDimension: dimension.optional(), values }),
        output: Updated,
      },
      batchUpdateValues: {
        http: 'POST /v4/spreadsheets/:spreadsheetId/values:batchUpdate',
        idempotent: 'natural',
        input: z.object({
          spreadsheetId,
          valueInputOption,
          data: z.array(z.object({ range, majorDimension: dimension.optional(), values })).min(1),
        }),
        output: z.looseObject({ spreadsheetId: z.string(), totalUpdatedCells: z.number().optional() }),
      },
      clearValues: {
        http: 'POST /v4/spreadsheets/:spreadsheetId/values/:range:clear',
        idempotent: 'natural',
        input: z.object({ spreadsheetId, range }),
        output: z.looseObject({ spreadsheetId: z.string(), clearedRange: z.string().optional() }),
      },
      /** Below the table that is found in `range`. `INSERT_ROWS` moves what stands there down, `OVERWRITE` (their default) does not. */
      appendValues: {
        http: 'POST /v4/spreadsheets/:spreadsheetId/values/:range:append',
        query: ['valueInputOption', 'insertDataOption'],
        input: z.object({
          spreadsheetId,
          range,
          valueInputOption,
          insertDataOption: z.enum(['OVERWRITE', 'INSERT_ROWS']).optional(),
          majorDimension: dimension.optional(),
          values,
        }),
        output: Appended,
      },
      /**
       * One row, its first cell text that no other row of the table begins with. Whether it has arrived is seen in the first column of
       * `range`, which is read whole then: for tables up to some 10,000 rows.
       */
      appendRow: {
        http: 'POST /v4/spreadsheets/:spreadsheetId/values/:range:append?valueInputOption=RAW&insertDataOption=INSERT_ROWS',
        input: z
          .object({
            spreadsheetId,
            range: range.refine(hasColumn, 'begins with no column, as Orders!A:C does'),
            row: z.tuple([z.string().min(1)], cell),
          })
          .transform(({ row, ...at }) => ({ ...at, values: [row] })),
        output: Appended,
        verify: {
          call: 'getValues',
          input: (i) => ({
            spreadsheetId: i.spreadsheetId,
            range: firstColumn(i.range),
            majorDimension: 'COLUMNS' as const,
          }),
          found: (column, { spreadsheetId: sheet, range: at, row }) => {
            const place = (column.values?.[0] ?? []).indexOf(row[0])
            if (place < 0) return undefined
            const updatedRange = firstColumn(at).replace(/:.*$/, String(place + 1))
            return { spreadsheetId: sheet, updates: { spreadsheetId: sheet, updatedRange } }
          },
        },
      },

      /** Anything else (formats, sheets, charts), all or nothing. Most of it does more when it is done twice. */
      batchUpdate: {
        http: 'POST /v4/spreadsheets/:spreadsheetId:batchUpdate',
        input: z.object({
          spreadsheetId,
          requests: z.array(z.record(z.string(), z.looseObject({}))).min(1),
          includeSpreadsheetInResponse: z.boolean().optional(),
        }),
        output: z.looseObject({ spreadsheetId: z.string(), replies: z.array(z.looseObject({})).optional() }),
      },
    },
  })
}

function serviceAccount(account: GoogleServiceAccount, access: 'read' | 'write'): Auth {
  const { email, key, keyId, subject, tokenKey, tokenEndpoint = 'https://oauth2.googleapis.com/token' } = account
  return jwtBearer({
    tokenEndpoint,
    assertedBy: email,
    key,
    algorithm: 'RS256',
    scopes: [`https://www.googleapis.com/auth/spreadsheets${access === 'read' ? '.readonly' : ''}`],
    scopesIn: 'assertion',
    ...(keyId === undefined ? {} : { keyId }),
    ...(subject === undefined ? {} : { subject }),
    ...(tokenKey === undefined ? {} : { tokenKey }),
  })
}

/** A name of a sheet may hold anything, and is then in apostrophes. */
const columns = /^((?:'(?:[^']|'')*'|[^'!]+)!)\$?([A-Z]{1,3})(?:\$?\d+)?(?=:|$)/

function hasColumn(at: string): boolean {
  return columns.test(at)
}

/** `Orders!A:A` of `Orders!A2:C`. */
function firstColumn(at: string): string {
  const [, sheet, column] = columns.exec(at)!
  return `${sheet}${column}:${column}`
}
