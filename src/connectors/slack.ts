/**
 * Slack, the Web API: messages, conversations, users, reactions.
 *
 * Contract-tested: the requests say what those of Slack's own SDK say (npm `@slack/web-api`).
 * Sources: docs.slack.dev/apis/web-api, /apis/web-api/rate-limits, the pages of the methods.
 */
import * as z from 'zod'
import type { Secret } from '#kernel/secret.ts'
import type { Rule } from '#patterns/connections/answers/classify.ts'
import { bearer } from '#patterns/connections/auth/bearer.ts'
import { connection, type ConnectionOptions } from '#patterns/connections/define.ts'

export type SlackOptions = {
  /** A bot token (`xoxb-…`) or a user token. */
  readonly token: Secret
  /** Name of the connection, for several workspaces side by side. Default `slack`. */
  readonly name?: string
  /** Default none: each method has a tier of its own, and an answer of 429 says how long to wait. */
  readonly limit?: ConnectionOptions['limit']
  /** For a stand-in of a test. */
  readonly baseUrl?: string
}

const channel = z.string().min(1)
const ts = z.string().regex(/^\d+\.\d+$/)
const page = { limit: z.number().int().min(1).max(1_000).optional() }
const span = { oldest: z.string().optional(), latest: z.string().optional(), inclusive: z.boolean().optional() }

const Message = z.looseObject({
  ts: z.string(),
  type: z.string().optional(),
  text: z.string().optional(),
  user: z.string().optional(),
})
const Channel = z.looseObject({ id: z.string(), name: z.string().optional(), is_archived: z.boolean().optional() })
const User = z.looseObject({ id: z.string(), name: z.string().optional(), deleted: z.boolean().optional() })
const ok = z.literal(true)
const cursor = z.looseObject({ next_cursor: z.string().optional() }).optional()

const content = {
  text: z.string().optional(),
  blocks: z
    .array(z.looseObject({ type: z.string() }))
    .max(50)
    .optional(),
  attachments: z.array(z.looseObject({})).optional(),
  mrkdwn: z.boolean().optional(),
  unfurl_links: z.boolean().optional(),
  unfurl_media: z.boolean().optional(),
}

/** The cursor of the next page is empty on the last. */
const paged = (items: string) => ({ style: 'cursor', next: 'response_metadata.next_cursor', items }) as const

/**
 * Slack answers almost everything 200, and says `ok: false` with a word when it went wrong. The words here are those that a
 * program can do something about; all others are for whoever wrote the call.
 */
const rules: readonly Rule[] = [
  { body: (b) => says(b, 'ratelimited', 'rate_limited'), means: 'throttled' },
  {
    body: (b) =>
      says(b, 'invalid_auth', 'not_authed', 'token_revoked', 'token_expired', 'account_inactive', 'no_permission'),
    means: 'credential',
  },
  {
    body: (b) => says(b, 'missing_scope', 'not_allowed_token_type', 'ekm_access_denied', 'team_access_not_granted'),
    means: 'connection.forbidden',
  },
  { body: (b) => says(b, 'service_unavailable', 'team_added_to_org', 'accesslimited'), means: 'transient' },
  { body: (b) => says(b, 'internal_error', 'fatal_error', 'request_timeout'), means: 'ambiguous' },
  {
    body: (b) =>
      says(b, 'channel_not_found', 'message_not_found', 'user_not_found', 'users_not_found', 'thread_not_found'),
    means: 'connection.not_found',
  },
  { body: (b) => says(b, 'already_reacted', 'no_reaction', 'already_in_channel'), means: 'conflict' },
  { body: (b) => (b as { ok?: unknown } | undefined)?.ok === false, means: 'rejected' },
]

function says(body: unknown, ...words: readonly string[]): boolean {
  const { ok: went, error } = (body ?? {}) as { ok?: unknown; error?: unknown }
  return went === false && words.includes(error as string)
}

/**
 * Slack as a connection. Slack knows no idempotency keys: a message whose answer is lost is not posted again, but verified where it can be
 * found again (`postMessage` with `metadata` has no such read), or parked for a person.
 *
 * @example
 * export const chat = slack({ token: secret('SLACK_TOKEN') })
 * await ctx.call(chat.postMessage, { channel: 'C123', text: 'An order was paid.' })
 */
export function slack(options: SlackOptions) {
  const { token, name = 'slack', limit, baseUrl = 'https://slack.com/api' } = options
  // Reads take no JSON, writes take both.
  const read = { body: 'form', idempotent: 'natural' } as const
  return connection(name, {
    baseUrl,
    auth: bearer(token),
    ...(limit === undefined ? {} : { limit }),
    rules,
    operations: {
      authTest: {
        http: 'POST /auth.test',
        idempotent: 'natural',
        output: z.looseObject({ ok, team_id: z.string(), user_id: z.string() }),
      },

      postMessage: {
        http: 'POST /chat.postMessage',
        input: z.object({
          channel,
          thread_ts: ts.optional(),
          reply_broadcast: z.boolean().optional(),
          metadata: z.object({ event_type: z.string(), event_payload: z.looseObject({}) }).optional(),
          ...content,
        }),
        output: z.looseObject({ ok, channel: z.string(), ts: z.string(), message: Message.optional() }),
      },
      postEphemeral: {
        http: 'POST /chat.postEphemeral',
        input: z.object({ channel, user: z.string(), thread_ts: ts.optional(), ...content }),
        output: z.looseObject({ ok, message_ts: z.string() }),
      },
      updateMessage: {
        http: 'POST /chat.update',
        idempotent: 'natural',
        input: z.object({ channel, ts, ...content }),
        output: z.looseObject({ ok, channel: z.string(), ts: z.string() }),
      },
      deleteMessage: {
        http: 'POST /chat.delete',
        idempotent: 'natural',
        input: z.object({ channel, ts }),
        output: z.looseObject({ ok, ts: z.string() }),
      },
      scheduleMessage: {
        http: 'POST /chat.scheduleMessage',
        input: z.object({ channel, post_at: z.number().int(), thread_ts: ts.optional(), ...content }),
        output: z.looseObject({ ok, scheduled_message_id: z.string() }),
      },
      getPermalink: {
        http: 'POST /chat.getPermalink',
        ...read,
        input: z.object({ channel, message_ts: ts }),
        output: z.looseObject({ ok, permalink: z.string() }),
      },

      listConversations: {
        http: 'POST /conversations.list',
        ...read,
        pages: paged('channels'),
        input: z.object({ types: z.string().optional(), exclude_archived: z.boolean().optional(), ...page }),
        output: z.looseObject({ ok, channels: z.array(Channel), response_metadata: cursor }),
      },
      getConversation: {
        http: 'POST /conversations.info',
        ...read,
        input: z.object({ channel }),
        output: z.looseObject({ ok, channel: Channel }),
      },
      createConversation: {
        http: 'POST /conversations.create',
        input: z.object({ name: z.string().max(80), is_private: z.boolean().optional() }),
        output: z.looseObject({ ok, channel: Channel }),
      },
      joinConversation: {
        http: 'POST /conversations.join',
        idempotent: 'natural',
        input: z.object({ channel }),
        output: z.looseObject({ ok, channel: Channel }),
      },
      inviteToConversation: {
        http: 'POST /conversations.invite',
        idempotent: 'natural',
        input: z.object({ channel, users: z.string() }),
        output: z.looseObject({ ok }),
      },
      listMembers: {
        http: 'POST /conversations.members',
        ...read,
        pages: paged('members'),
        input: z.object({ channel, ...page }),
        output: z.looseObject({ ok, members: z.array(z.string()), response_metadata: cursor }),
      },
      listMessages: {
        http: 'POST /conversations.history',
        ...read,
        pages: paged('messages'),
        input: z.object({ channel, ...span, ...page }),
        output: z.looseObject({
          ok,
          messages: z.array(Message),
          has_more: z.boolean().optional(),
          response_metadata: cursor,
        }),
      },
      listReplies: {
        http: 'POST /conversations.replies',
        ...read,
        pages: paged('messages'),
        input: z.object({ channel, ts, ...span, ...page }),
        output: z.looseObject({ ok, messages: z.array(Message), response_metadata: cursor }),
      },

      listUsers: {
        http: 'POST /users.list',
        ...read,
        pages: paged('members'),
        input: z.object({ include_locale: z.boolean().optional(), ...page }),
        output: z.looseObject({ ok, members: z.array(User), response_metadata: cursor }),
      },
      getUser: {
        http: 'POST /users.info',
        ...read,
        input: z.object({ user: z.string() }),
        output: z.looseObject({ ok, user: User }),
      },
      findUserByEmail: {
        http: 'POST /users.lookupByEmail',
        ...read,
        input: z.object({ email: z.email() }),
        output: z.looseObject({ ok, user: User }),
      },
      openConversation: {
        http: 'POST /conversations.open',
        idempotent: 'natural',
        input: z.object({ users: z.string() }),
        output: z.looseObject({ ok, channel: z.looseObject({ id: z.string() }) }),
      },

      addReaction: {
        http: 'POST /reactions.add',
        idempotent: 'natural',
        input: z.object({ channel, timestamp: ts, name: z.string() }),
        output: z.looseObject({ ok }),
      },
      removeReaction: {
        http: 'POST /reactions.remove',
        idempotent: 'natural',
        input: z.object({ channel, timestamp: ts, name: z.string() }),
        output: z.looseObject({ ok }),
      },
    },
  })
}
