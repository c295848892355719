/**
 * HubSpot, the CRM API v3: contacts, companies, deals, tickets and any other object, their associations, owners.
 *
 * Contract-tested: the requests are those of HubSpot's own SDK (npm `@hubspot/api-client`).
 * Sources: developers.hubspot.com/docs/api/crm, /docs/api/usage-details (limits), /docs/api/error-handling.
 */
import * as z from 'zod'
import type { Secret } from '#kernel/secret.ts'
import type { Rule } from '#patterns/connections/answers/classify.ts'
import { bearer } from '#patterns/connections/auth/bearer.ts'
import { connection, type ConnectionOptions } from '#patterns/connections/define.ts'

export type HubSpotOptions = {
  /** The access token of a private app. */
  readonly token: Secret
  /** Name of the connection, for several portals side by side. Default `hubspot`. */
  readonly name?: string
  /** Default 100 in 10 seconds and 250,000 a day, what a private app of the smallest portal has; searches have 5 a second of their own. */
  readonly limit?: ConnectionOptions['limit']
  /** For a stand-in of a test. */
  readonly baseUrl?: string
}

const id = z.string().min(1)
/** `contacts`, `companies`, `deals`, `tickets`, `products`, `line_items` … or the id of a custom object (`2-123`). */
const objectType = z.string().min(1)
/** Values are text, whatever they mean; an empty one clears the property. */
const properties = z.record(z.string(), z.string())
const page = { limit: z.number().int().min(1).max(100).optional(), after: z.string().optional() }
const asked = {
  properties: z.array(z.string()).optional(),
  associations: z.array(z.string()).optional(),
  archived: z.boolean().optional(),
}
const associations = z
  .array(
    z.object({
      to: z.object({ id }),
      types: z.array(
        z.object({
          associationCategory: z.enum(['HUBSPOT_DEFINED', 'USER_DEFINED', 'INTEGRATOR_DEFINED']),
          associationTypeId: z.number().int(),
        }),
      ),
    }),
  )
  .optional()

const CrmObject = z.looseObject({
  id: z.string(),
  properties: z.record(z.string(), z.string().nullable()),
  createdAt: z.string().optional(),
  updatedAt: z.string().optional(),
  archived: z.boolean().optional(),
})
const next = z.looseObject({ next: z.looseObject({ after: z.string() }).optional() }).optional()
const CrmPage = z.looseObject({ results: z.array(CrmObject), paging: next })
const Owner = z.looseObject({ id: z.string(), email: z.string().nullish() })

const paged = { style: 'cursor', param: 'after', next: 'paging.next.after', items: 'results' } as const
const filter = z.object({
  propertyName: z.string(),
  operator: z.string(),
  value: z.string().optional(),
  values: z.array(z.string()).optional(),
  highValue: z.string().optional(),
})

/** 423: the object is locked by another request; 477: the portal is being moved; 502 and 504 come from in front of it. */
const rules: readonly Rule[] = [
  { status: [423, 477], means: 'transient' },
  {
    status: 403,
    body: (b) => (b as { category?: unknown }).category === 'MISSING_SCOPES',
    means: 'connection.forbidden',
  },
]

/**
 * HubSpot as a connection. It knows no idempotency keys; `upsert` by a property that is unique (`email`) is what may be repeated, and
 * `createContact` is verified by its address before it is repeated.
 *
 * @example
 * export const crm = hubspot({ token: secret('HUBSPOT_TOKEN') })
 * await ctx.call(crm.upsert, { objectType: 'contacts', inputs: [{ id: 'a@b.test', idProperty: 'email', properties: { firstname: 'Ada' } }] })
 */
export function hubspot(options: HubSpotOptions) {
  const { token, name = 'hubspot', limit = ['100/10s', '250000/day'], baseUrl = 'https://api.hubapi.com' } = options
  return connection(name, {
    baseUrl,
    auth: bearer(token),
    limit,
    rules,
    operations: {
      list: {
        http: 'GET /crm/v3/objects/:objectType',
        pages: paged,
        input: z.object({ objectType, ...asked, ...page }),
        output: CrmPage,
      },
      get: {
        http: 'GET /crm/v3/objects/:objectType/:id',
        input: z.object({ objectType, id, idProperty: z.string().optional(), ...asked }),
        output: CrmObject,
      },
      create: {
        http: 'POST /crm/v3/objects/:objectType',
        input: z.object({ objectType, properties, associations }),
        output: CrmObject,
      },
      update: {
        http: 'PATCH /crm/v3/objects/:objectType/:id',
        idempotent: 'natural',
        input: z.object({ objectType, id, properties }),
        output: CrmObject,
      },
      /** Archives it: it can be restored for 90 days. */
      archive: { http: 'DELETE /crm/v3/objects/:objectType/:id', input: z.object({ objectType, id }) },
      search: {
        http: 'POST /crm/v3/objects/:objectType/search',
        idempotent: 'natural',
        pages: paged,
        input: z.object({
          objectType,
          query: z.string().optional(),
          filterGroups: z
            .array(z.object({ filters: z.array(filter).max(6) }))
            .max(5)
            .optional(),
          sorts: z
            .array(z.object({ propertyName: z.string(), direction: z.enum(['ASCENDING', 'DESCENDING']) }))
            .optional(),
          properties: z.array(z.string()).optional(),
          limit: z.number().int().min(1).max(200).optional(),
          after: z.string().optional(),
        }),
        output: CrmPage.extend({ total: z.number() }),
      },
      readBatch: {
        http: 'POST /crm/v3/objects/:objectType/batch/read',
        idempotent: 'natural',
        input: z.object({
          objectType,
          inputs: z.array(z.object({ id })).max(100),
          properties: z.array(z.string()),
          propertiesWithHistory: z.array(z.string()),
          idProperty: z.string().optional(),
        }),
        output: z.looseObject({ status: z.string(), results: z.array(CrmObject) }),
      },
      upsert: {
        http: 'POST /crm/v3/objects/:objectType/batch/upsert',
        idempotent: 'natural',
        input: z.object({
          objectType,
          inputs: z
            .array(z.object({ id, idProperty: z.string(), properties }))
            .min(1)
            .max(100),
        }),
        output: z.looseObject({
          status: z.string(),
          results: z.array(CrmObject.extend({ new: z.boolean().optional() })),
        }),
      },

      getContactByEmail: {
        http: 'GET /crm/v3/objects/contacts/:email?idProperty=email',
        input: z.object({ email: z.string() }),
        output: CrmObject,
      },
      createContact: {
        http: 'POST /crm/v3/objects/contacts',
        input: z.object({ properties: z.intersection(properties, z.object({ email: z.string() })) }),
        output: CrmObject,
        verify: {
          call: 'getContactByEmail',
          input: (c) => ({ email: c.properties.email }),
          found: (contact) => contact,
        },
      },

      associate: {
        http: 'PUT /crm/v4/objects/:fromType/:fromId/associations/default/:toType/:toId',
        input: z.object({ fromType: objectType, fromId: id, toType: objectType, toId: id }),
      },
      listOwners: {
        http: 'GET /crm/v3/owners/',
        pages: paged,
        input: z.object({ email: z.string().optional(), archived: z.boolean().optional(), ...page }),
        output: z.looseObject({ results: z.array(Owner), paging: next }),
      },
    },
  })
}
