/**
 * KoboToolbox, the API v2: forms (assets), submissions, their validation, attachments, exports, REST services (hooks); and the
 * submission of data.
 *
 * Contract-tested: KoboToolbox has no SDK, so requests and answers are those of its published description and source.
 * Sources: support.kobotoolbox.org/api.html, kf.kobotoolbox.org/api/v2, github.com/kobotoolbox/kpi, docs.getodk.org/openrosa.
 */
import * as z from 'zod'
import type { Secret } from '#kernel/secret.ts'
import { apiKey } from '#patterns/connections/auth/api-key.ts'
import { connection, type ConnectionOptions } from '#patterns/connections/define.ts'

export type KoboOptions = {
  /** The API key of an account (account settings, security). It can do whatever the account can. */
  readonly token: Secret
  /** Name of the connection. Default `kobo`. */
  readonly name?: string
  /** Default none: no limit is published. */
  readonly limit?: ConnectionOptions['limit']
  /** `https://eu.kobotoolbox.org`, or a server of your own. Default `https://kf.kobotoolbox.org`. */
  readonly baseUrl?: string
}

export type KoboSubmissionsOptions = {
  readonly token: Secret
  /** Name of the connection. Default `kobo-submissions`. */
  readonly name?: string
  /** `https://kc-eu.kobotoolbox.org`, or a server of your own. Default `https://kc.kobotoolbox.org`. */
  readonly baseUrl?: string
}

const uid = z.string().min(1)
const id = z.number().int().positive()
/** What their database understands as a query or an order, as an object; it is sent as the JSON text that they want. */
const json = z.record(z.string(), z.unknown()).transform((value) => JSON.stringify(value))
const status = z.enum(['validation_status_approved', 'validation_status_not_approved', 'validation_status_on_hold'])

const page = { limit: z.number().int().min(1).max(1_000).optional() }
const paged = { style: 'cursor', next: 'next', items: 'results' } as const
const listOf = <T extends z.ZodType>(item: T) =>
  z.looseObject({ count: z.number(), next: z.string().nullable(), results: z.array(item) })

const Asset = z.looseObject({
  uid: z.string(),
  name: z.string(),
  asset_type: z.string(),
  has_deployment: z.boolean().optional(),
  deployment__active: z.boolean().optional(),
  deployment__submission_count: z.number().nullish(),
  date_modified: z.string().optional(),
})
const Attachment = z.looseObject({
  uid: z.string().optional(),
  mimetype: z.string().nullish(),
  filename: z.string(),
  question_xpath: z.string().optional(),
  download_url: z.string(),
})
/**
 * One submission, flat: `group/question`, a repeat is a list of objects whose names keep the whole path, numbers are text, and
 * `_submission_time` is UTC without a zone. `_id` stays when somebody edits it, `meta/instanceID` does not.
 */
const Submission = z.looseObject({
  _id: z.number(),
  _uuid: z.string(),
  _submission_time: z.string(),
  _xform_id_string: z.string().optional(),
  'meta/instanceID': z.string().optional(),
  _attachments: z.array(Attachment).optional(),
  _geolocation: z.array(z.number().nullable()).optional(),
  _validation_status: z.looseObject({ uid: z.string().optional() }).nullish(),
})
const Hook = z.looseObject({ uid: z.string(), name: z.string(), endpoint: z.string(), active: z.boolean().optional() })
const Export = z.looseObject({ uid: z.string(), status: z.string(), result: z.string().nullish() })

/**
 * KoboToolbox as a connection. It knows no idempotency keys; what changes a submission says what it shall be and may be repeated, a hook
 * is looked for by its address before it is created again.
 *
 * A list that is walked without `sort` goes by `_id`: the order of their database is not fixed, and a page would repeat or miss some.
 * Their own limit of a page is 1,000 (larger ones are cut in silence), so is ours.
 *
 * @example
 * export const surveys = kobo({ token: secret('KOBO_TOKEN') })
 * for await (const s of ctx.each(surveys.listSubmissions, { uid: 'aBcD', query: { _submission_time: { $gt: '2026-01-01T00:00:00' } } })) …
 */
export function kobo(options: KoboOptions) {
  const { token, name = 'kobo', limit, baseUrl = 'https://kf.kobotoolbox.org' } = options
  return connection(name, {
    baseUrl,
    auth: apiKey(token, { header: 'authorization', prefix: 'Token ' }),
    ...(limit === undefined ? {} : { limit }),
    bulkhead: { concurrent: 5, waiting: 100 },
    timeout: '120s',
    // 1,000 long submissions.
    maxBytes: 33_554_432,
    operations: {
      listAssets: {
        http: 'GET /api/v2/assets/?format=json',
        pages: paged,
        /** `q`: `asset_type:survey`. */
        input: z.object({ q: z.string().optional(), ordering: z.string().optional(), ...page }),
        output: listOf(Asset),
      },
      getAsset: { http: 'GET /api/v2/assets/:uid/?format=json', input: z.object({ uid }), output: Asset },

      listSubmissions: {
        http: 'GET /api/v2/assets/:uid/data/?format=json',
        pages: paged,
        input: z.object({
          uid,
          query: json.optional(),
          sort: json.default('{"_id":1}'),
          fields: z
            .array(z.string())
            .transform((names) => JSON.stringify(names))
            .optional(),
          start: z.number().int().min(0).optional(),
          ...page,
        }),
        output: listOf(Submission),
      },
      getSubmission: {
        http: 'GET /api/v2/assets/:uid/data/:id/?format=json',
        input: z.object({ uid, id }),
        output: Submission,
      },
      deleteSubmission: { http: 'DELETE /api/v2/assets/:uid/data/:id/', input: z.object({ uid, id }) },
      /** Sets answers: `{ 'group/question': 'value' }`. Each submission gets a new `meta/instanceID`, with a repetition another. */
      updateSubmissions: {
        http: 'PATCH /api/v2/assets/:uid/data/bulk/',
        idempotent: 'natural',
        input: z.object({
          uid,
          payload: z.object({ submission_ids: z.array(id).min(1), data: z.record(z.string(), z.string()) }),
        }),
        output: z.looseObject({
          count: z.number(),
          successes: z.number(),
          failures: z.number(),
          results: z.array(
            z.looseObject({ uuid: z.string(), status_code: z.number(), message: z.string().optional() }),
          ),
        }),
      },
      setValidationStatus: {
        http: 'PATCH /api/v2/assets/:uid/data/:id/validation_status/',
        idempotent: 'natural',
        input: z.object({ uid, id, 'validation_status.uid': status }),
        output: z.looseObject({ uid: z.string() }),
      },
      setValidationStatuses: {
        http: 'PATCH /api/v2/assets/:uid/data/validation_statuses/',
        idempotent: 'natural',
        input: z.object({
          uid,
          payload: z.object({ submission_ids: z.array(id).min(1), 'validation_status.uid': status }),
        }),
        output: z.looseObject({ detail: z.string() }),
      },
      getAttachment: {
        http: 'GET /api/v2/assets/:uid/data/:id/attachments/:attachment/',
        answer: 'bytes',
        input: z.object({ uid, id, attachment: z.string().min(1) }),
        output: z.instanceof(Uint8Array),
      },

      /** They make a file out of everything; `getExport` says when it is there. Asked twice, two are made. */
      createExport: {
        http: 'POST /api/v2/assets/:uid/exports/',
        input: z.object({
          uid,
          type: z.enum(['csv', 'xls', 'geojson', 'spss_labels']),
          lang: z.string(),
          fields_from_all_versions: z.boolean(),
          group_sep: z.string(),
          hierarchy_in_labels: z.boolean(),
          multiple_select: z.enum(['both', 'summary', 'details']),
          fields: z.array(z.string()).optional(),
        }),
        output: Export,
      },
      getExport: {
        http: 'GET /api/v2/assets/:uid/exports/:export_uid/?format=json',
        input: z.object({ uid, export_uid: uid }),
        output: Export,
      },

      /** REST services: each submission is posted to `endpoint`. They sign nothing: give them an address that nobody guesses. */
      listHooks: {
        http: 'GET /api/v2/assets/:uid/hooks/?format=json',
        pages: paged,
        input: z.object({ uid, ...page }),
        output: listOf(Hook),
      },
      createHook: {
        http: 'POST /api/v2/assets/:uid/hooks/',
        input: z.object({
          uid,
          name: z.string().min(1),
          endpoint: z.url(),
          active: z.boolean(),
          export_type: z.enum(['json', 'xml']),
          auth_level: z.enum(['no_auth', 'basic_auth']),
          subset_fields: z.array(z.string()),
          settings: z.object({
            custom_headers: z.record(z.string(), z.string()),
            username: z.string().optional(),
            password: z.string().meta({ sensitive: true }).optional(),
          }),
          email_notification: z.boolean().optional(),
        }),
        output: Hook,
        verify: {
          call: 'listHooks',
          input: ({ uid: asset }) => ({ uid: asset, limit: 1_000 }),
          found: (hooks, made) => hooks.results.find((h) => h.endpoint === made.endpoint && h.name === made.name),
        },
      },
      deleteHook: {
        http: 'DELETE /api/v2/assets/:uid/hooks/:hook_uid/',
        input: z.object({ uid, hook_uid: uid }),
      },
    },
  })
}

/**
 * Data into a form, as a phone would send it (OpenRosa), in JSON. A submission says who it is by `meta.instanceID`, which is required
 * here: they answer a second one 202 and keep the first, so it may be repeated. Make the id out of your own (`uuid:` and a UUID of
 * version 5), or once and keep it with the record.
 *
 * @example
 * export const field = koboSubmissions({ token: secret('KOBO_TOKEN') })
 * await ctx.call(field.submit, { id: 'aBcD', submission: { visit: { clinic: 'K-7' }, meta: { instanceID: `uuid:${visit.uuid}` } } })
 */
export function koboSubmissions(options: KoboSubmissionsOptions) {
  const { token, name = 'kobo-submissions', baseUrl = 'https://kc.kobotoolbox.org' } = options
  return connection(name, {
    baseUrl,
    auth: apiKey(token, { header: 'authorization', prefix: 'Token ' }),
    bulkhead: { concurrent: 5, waiting: 100 },
    timeout: '60s',
    operations: {
      submit: {
        http: 'POST /api/v1/submissions',
        idempotent: 'natural',
        input: z.object({
          /** Of the form: its uid. */
          id: z.string().min(1),
          submission: z.looseObject({
            meta: z.looseObject({ instanceID: z.string().regex(/^uuid:[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/) }),
          }),
        }),
        /** Of a second one: `error: 'Duplicate submission'`, and no `instanceID`. */
        output: z.looseObject({ instanceID: z.string().optional(), error: z.string().optional() }),
      },
    },
  })
}
