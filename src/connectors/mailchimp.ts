/**
 * Mailchimp, the Marketing API 3.0: audiences, members, tags, segments, campaigns, batches.
 *
 * Contract-tested: the requests are those of Mailchimp's own SDK (npm `@mailchimp/mailchimp_marketing`).
 * Sources: mailchimp.com/developer/marketing/api, /docs/fundamentals (limits, errors), /docs/methods-parameters.
 */
import * as z from 'zod'
import type { Secret } from '#kernel/secret.ts'
import type { Rule } from '#patterns/connections/answers/classify.ts'
import { basic } from '#patterns/connections/auth/basic.ts'
import { connection, type ConnectionOptions } from '#patterns/connections/define.ts'

export type MailchimpOptions = {
  /** An API key (`…-us21`). */
  readonly key: Secret
  /** The data centre that the key ends with: `us21`. It is part of the address, and the address is no secret. */
  readonly server: string
  /** Name of the connection. Default `mailchimp`. */
  readonly name?: string
  /** Default none: Mailchimp limits how many requests run at once. */
  readonly limit?: ConnectionOptions['limit']
  /** For a stand-in of a test. */
  readonly baseUrl?: string
}

const list_id = z.string().min(1)
/** The address of the member, or the MD5 of it in lower case. */
const member = z.string().min(1)
const page = {
  count: z.number().int().min(1).max(1_000).optional(),
  fields: z.array(z.string()).optional(),
  exclude_fields: z.array(z.string()).optional(),
}
const status = z.enum(['subscribed', 'unsubscribed', 'cleaned', 'pending', 'transactional'])
const about = {
  email_type: z.enum(['html', 'text']).optional(),
  merge_fields: z.record(z.string(), z.unknown()).optional(),
  interests: z.record(z.string(), z.boolean()).optional(),
  language: z.string().optional(),
  vip: z.boolean().optional(),
}

const Audience = z.looseObject({ id: z.string(), name: z.string() })
const Member = z.looseObject({
  id: z.string(),
  email_address: z.string(),
  status: z.string(),
  list_id: z.string().optional(),
})
const Tag = z.looseObject({ id: z.number(), name: z.string() })
const Segment = z.looseObject({ id: z.number(), name: z.string(), member_count: z.number().optional() })
const Campaign = z.looseObject({ id: z.string(), type: z.string(), status: z.string() })
const Batch = z.looseObject({
  id: z.string(),
  status: z.string(),
  total_operations: z.number().optional(),
  errored_operations: z.number().optional(),
  response_body_url: z.string().optional(),
})
const many = <T extends z.ZodType, N extends string>(name: N, item: T) =>
  z.looseObject({ [name]: z.array(item), total_items: z.number() } as Record<N, z.ZodArray<T>> & {
    total_items: z.ZodNumber
  })

const paged = (items: string) => ({ style: 'offset', param: 'offset', items }) as const

/** 429 is ten requests at once, and comes without Retry-After. 400 with this title says that the address is one that they take no more. */
const rules: readonly Rule[] = [
  { status: 400, body: (b) => (b as { title?: unknown }).title === 'Member Exists', means: 'conflict' },
  { status: 403, body: (b) => /limit|too many/i.test(String((b as { detail?: unknown }).detail)), means: 'throttled' },
]

/**
 * Mailchimp as a connection. `putMember` adds or changes a member and may be repeated, which `addMember` may not: prefer it.
 *
 * @example
 * export const mail = mailchimp({ key: secret('MAILCHIMP_KEY'), server: 'us21' })
 * await ctx.call(mail.putMember, { list_id: 'a1b2', member: 'a@b.test', email_address: 'a@b.test', status_if_new: 'pending' })
 */
export function mailchimp(options: MailchimpOptions) {
  const { key, server, name = 'mailchimp', limit, baseUrl = `https://${server}.api.mailchimp.com/3.0` } = options
  return connection(name, {
    baseUrl,
    auth: basic('user', key),
    queryStyle: 'comma',
    bulkhead: { concurrent: 8, waiting: 100 },
    ...(limit === undefined ? {} : { limit }),
    timeout: '120s',
    rules,
    operations: {
      ping: { http: 'GET /ping', output: z.looseObject({ health_status: z.string() }) },

      listAudiences: {
        http: 'GET /lists',
        pages: paged('lists'),
        input: z.object(page),
        output: many('lists', Audience),
      },
      getAudience: { http: 'GET /lists/:list_id', input: z.object({ list_id }), output: Audience },

      listMembers: {
        http: 'GET /lists/:list_id/members',
        pages: paged('members'),
        input: z.object({
          list_id,
          status: status.optional(),
          since_last_changed: z.string().optional(),
          sort_field: z.string().optional(),
          sort_dir: z.enum(['ASC', 'DESC']).optional(),
          ...page,
        }),
        output: many('members', Member),
      },
      getMember: { http: 'GET /lists/:list_id/members/:member', input: z.object({ list_id, member }), output: Member },
      addMember: {
        http: 'POST /lists/:list_id/members',
        input: z.object({ list_id, email_address: z.email(), status, tags: z.array(z.string()).optional(), ...about }),
        output: Member,
        verify: {
          call: 'getMember',
          input: (m) => ({ list_id: m.list_id, member: m.email_address }),
          found: (found) => found,
        },
      },
      putMember: {
        http: 'PUT /lists/:list_id/members/:member',
        input: z.object({
          list_id,
          member,
          email_address: z.email(),
          status_if_new: status,
          status: status.optional(),
          ...about,
        }),
        output: Member,
      },
      updateMember: {
        http: 'PATCH /lists/:list_id/members/:member',
        idempotent: 'natural',
        input: z.object({ list_id, member, email_address: z.email().optional(), status: status.optional(), ...about }),
        output: Member,
      },
      /** Archives: the member can be added again. */
      archiveMember: { http: 'DELETE /lists/:list_id/members/:member', input: z.object({ list_id, member }) },
      /** For good, as a person may ask for: the address can never be added by the API again. */
      forgetMember: {
        http: 'POST /lists/:list_id/members/:member/actions/delete-permanent',
        idempotent: 'natural',
        input: z.object({ list_id, member }),
      },

      listTags: {
        http: 'GET /lists/:list_id/members/:member/tags',
        pages: paged('tags'),
        input: z.object({ list_id, member, ...page }),
        output: many('tags', Tag),
      },
      setTags: {
        http: 'POST /lists/:list_id/members/:member/tags',
        idempotent: 'natural',
        input: z.object({
          list_id,
          member,
          tags: z.array(z.object({ name: z.string(), status: z.enum(['active', 'inactive']) })).min(1),
        }),
      },
      listSegments: {
        http: 'GET /lists/:list_id/segments',
        pages: paged('segments'),
        input: z.object({ list_id, type: z.string().optional(), ...page }),
        output: many('segments', Segment),
      },

      listCampaigns: {
        http: 'GET /campaigns',
        pages: paged('campaigns'),
        input: z.object({
          type: z.string().optional(),
          status: z.string().optional(),
          list_id: z.string().optional(),
          ...page,
        }),
        output: many('campaigns', Campaign),
      },
      createCampaign: {
        http: 'POST /campaigns',
        input: z.object({
          type: z.enum(['regular', 'plaintext', 'rss', 'variate']),
          recipients: z.looseObject({ list_id }).optional(),
          settings: z
            .looseObject({
              subject_line: z.string().optional(),
              title: z.string().optional(),
              from_name: z.string().optional(),
              reply_to: z.string().optional(),
            })
            .optional(),
        }),
        output: Campaign,
      },
      setContent: {
        http: 'PUT /campaigns/:campaign_id/content',
        input: z.object({ campaign_id: z.string(), html: z.string().optional(), plain_text: z.string().optional() }),
        output: z.looseObject({}),
      },
      sendCampaign: { http: 'POST /campaigns/:campaign_id/actions/send', input: z.object({ campaign_id: z.string() }) },

      /** Many requests in one: up to 500 batches wait at a time. */
      startBatch: {
        http: 'POST /batches',
        input: z.object({
          operations: z
            .array(
              z.object({
                method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']),
                path: z.string(),
                body: z.string().optional(),
                params: z.record(z.string(), z.unknown()).optional(),
                operation_id: z.string().optional(),
              }),
            )
            .min(1),
        }),
        output: Batch,
      },
      getBatch: { http: 'GET /batches/:batch_id', input: z.object({ batch_id: z.string() }), output: Batch },
    },
  })
}
