/**
 * PagerDuty: events (alerts in), and the REST API (incidents, services, users, schedules).
 *
 * Contract-tested: REST requests are those of PagerDuty's own SDK (npm `@pagerduty/pdjs`), events those of its published description.
 * Sources: developer.pagerduty.com/docs/events-api-v2, /docs/rest-api-v2 (pagination, rate limits, errors).
 */
import * as z from 'zod'
import type { Secret } from '#kernel/secret.ts'
import { apiKey } from '#patterns/connections/auth/api-key.ts'
import { connection, type ConnectionOptions } from '#patterns/connections/define.ts'

export type PagerDutyOptions = {
  /** A REST API key. */
  readonly token: Secret
  /** Name of the connection. Default `pagerduty`. */
  readonly name?: string
  /** Who acts, an e-mail address of the account: PagerDuty wants it with what changes an incident under an account's key. */
  readonly from?: string
  /** Default 900 a minute, PagerDuty's limit of a key is 960. */
  readonly limit?: ConnectionOptions['limit']
  /** `https://api.eu.pagerduty.com` in the EU. */
  readonly baseUrl?: string
}

export type PagerDutyEventsOptions = {
  /** The integration key of a service, 32 characters. */
  readonly routingKey: Secret
  /** Name of the connection. Default `pagerduty-events`. */
  readonly name?: string
  /** `https://events.eu.pagerduty.com/v2` in the EU. */
  readonly baseUrl?: string
}

const dedup = z.string().min(1).max(255)
const link = z.object({ href: z.string(), text: z.string().optional() })
const Accepted = z.looseObject({ status: z.literal('success'), dedup_key: z.string() })

/**
 * Alerts. An event with a `dedup_key` of its own may be repeated: PagerDuty makes one alert of all that carry it. Without one each
 * would be an alert, so here it is required.
 *
 * @example
 * export const pager = pagerdutyEvents({ routingKey: secret('PAGERDUTY_ROUTING_KEY') })
 * await ctx.call(pager.trigger, { dedup_key: 'orders/stuck', payload: { summary: 'Orders are stuck', source: 'orders', severity: 'error' } })
 */
export function pagerdutyEvents(options: PagerDutyEventsOptions) {
  const { routingKey, name = 'pagerduty-events', baseUrl = 'https://events.pagerduty.com/v2' } = options
  const close = (action: 'acknowledge' | 'resolve') =>
    ({
      http: 'POST /enqueue',
      idempotent: 'natural',
      input: z.object({ dedup_key: dedup }).transform((event) => ({ ...event, event_action: action })),
      output: Accepted,
    }) as const
  return connection(name, {
    baseUrl,
    auth: apiKey(routingKey, { field: 'routing_key' }),
    operations: {
      trigger: {
        http: 'POST /enqueue',
        idempotent: 'natural',
        input: z
          .object({
            dedup_key: dedup,
            payload: z.object({
              summary: z.string().min(1).max(1_024),
              source: z.string().min(1),
              severity: z.enum(['critical', 'error', 'warning', 'info']),
              timestamp: z.string().optional(),
              component: z.string().optional(),
              group: z.string().optional(),
              class: z.string().optional(),
              custom_details: z.record(z.string(), z.unknown()).optional(),
            }),
            client: z.string().optional(),
            client_url: z.string().optional(),
            links: z.array(link).optional(),
          })
          .transform((event) => ({ ...event, event_action: 'trigger' })),
        output: Accepted,
      },
      acknowledge: close('acknowledge'),
      resolve: close('resolve'),
      /** A deployment or another change, shown beside the incidents. Has no key: repeated, it is shown twice. */
      change: {
        http: 'POST /change/enqueue',
        input: z.object({
          payload: z.object({
            summary: z.string().min(1).max(1_024),
            source: z.string().optional(),
            timestamp: z.string().optional(),
            custom_details: z.record(z.string(), z.unknown()).optional(),
          }),
          links: z.array(link).optional(),
        }),
        output: z.looseObject({ status: z.literal('success') }),
      },
    },
  })
}

const id = z.string().min(1)
const page = { limit: z.number().int().min(1).max(100).optional() }
const reference = z.object({ id, type: z.string() })
const Reference = z.looseObject({ id: z.string(), type: z.string(), summary: z.string().nullish() })
const Incident = Reference.extend({
  incident_number: z.number().optional(),
  title: z.string().nullish(),
  status: z.string(),
  urgency: z.string().optional(),
  incident_key: z.string().nullish(),
})
const Service = Reference.extend({ name: z.string(), status: z.string().optional() })
const User = Reference.extend({ name: z.string(), email: z.string() })
const many = <T extends z.ZodType, N extends string>(name: N, item: T) =>
  z.looseObject({ [name]: z.array(item), more: z.boolean().optional() } as Record<N, z.ZodArray<T>> & {
    more: z.ZodOptional<z.ZodBoolean>
  })

const paged = (items: string) => ({ style: 'offset', param: 'offset', items, more: 'more' }) as const

/**
 * The REST API. An incident that is created with an `incident_key` is not created a second time while the first is open; the answer is
 * then 400 with code 2002, which is told as a conflict.
 */
export function pagerduty(options: PagerDutyOptions) {
  const { token, name = 'pagerduty', from, limit = '900/m', baseUrl = 'https://api.pagerduty.com' } = options
  return connection(name, {
    baseUrl,
    auth: apiKey(token, { header: 'authorization', prefix: 'Token token=' }),
    headers: { accept: 'application/vnd.pagerduty+json;version=2', ...(from === undefined ? {} : { from }) },
    queryStyle: 'brackets',
    limit,
    rules: [
      { status: 400, body: (b) => (b as { error?: { code?: unknown } }).error?.code === 2002, means: 'conflict' },
    ],
    operations: {
      listIncidents: {
        http: 'GET /incidents',
        pages: paged('incidents'),
        input: z.object({
          statuses: z.array(z.enum(['triggered', 'acknowledged', 'resolved'])).optional(),
          service_ids: z.array(z.string()).optional(),
          since: z.string().optional(),
          until: z.string().optional(),
          incident_key: z.string().optional(),
          sort_by: z.string().optional(),
          ...page,
        }),
        output: many('incidents', Incident),
      },
      getIncident: {
        http: 'GET /incidents/:id',
        input: z.object({ id }),
        output: z.looseObject({ incident: Incident }),
      },
      createIncident: {
        http: 'POST /incidents',
        idempotent: 'natural',
        input: z.object({
          incident: z.looseObject({
            type: z.literal('incident'),
            title: z.string().min(1),
            service: reference,
            incident_key: z.string().min(1),
            urgency: z.enum(['high', 'low']).optional(),
            body: z.object({ type: z.literal('incident_body'), details: z.string() }).optional(),
          }),
        }),
        output: z.looseObject({ incident: Incident }),
      },
      updateIncident: {
        http: 'PUT /incidents/:id',
        input: z.object({
          id,
          incident: z.looseObject({
            type: z.literal('incident_reference'),
            status: z.enum(['acknowledged', 'resolved']).optional(),
            title: z.string().optional(),
            resolution: z.string().optional(),
          }),
        }),
        output: z.looseObject({ incident: Incident }),
      },
      addNote: {
        http: 'POST /incidents/:id/notes',
        input: z.object({ id, note: z.object({ content: z.string().min(1) }) }),
        output: z.looseObject({ note: z.looseObject({ id: z.string() }) }),
      },
      listServices: {
        http: 'GET /services',
        pages: paged('services'),
        input: z.object({ query: z.string().optional(), team_ids: z.array(z.string()).optional(), ...page }),
        output: many('services', Service),
      },
      listUsers: {
        http: 'GET /users',
        pages: paged('users'),
        input: z.object({ query: z.string().optional(), ...page }),
        output: many('users', User),
      },
      listOnCalls: {
        http: 'GET /oncalls',
        pages: paged('oncalls'),
        input: z.object({
          schedule_ids: z.array(z.string()).optional(),
          escalation_policy_ids: z.array(z.string()).optional(),
          earliest: z.boolean().optional(),
          since: z.string().optional(),
          until: z.string().optional(),
          ...page,
        }),
        output: many('oncalls', z.looseObject({ user: Reference, escalation_level: z.number() })),
      },
    },
  })
}
