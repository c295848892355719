import { fault } from '#kernel/fault.ts'
import type { TopicHandle } from '#kernel/handle.ts'
import { inboxTopic, type Arrival } from './arrival.ts'
import { readBody } from './body.ts'
import type { EventInfo, Webhook } from './define.ts'

export type Routed = {
  readonly topic: TopicHandle
  readonly data: unknown
  /** The same for every replay of this arrival, and unlike any other webhook's: the topic drops the second one. */
  readonly id: string
  readonly key?: string
}

/**
 * Where an arrival goes, and as what. Pure: run by a durable subscription to the inbox, and again after a mapping was
 * corrected. `ignored` for a type without a route (kept in the inbox only). Rejects with what the mapping throws, or
 * with `webhook.unrouted` where `otherwise` is `refuse`: a route that was removed while arrivals of it were waiting.
 */
export async function routeArrival(def: Webhook, arrival: Arrival): Promise<Routed | 'ignored'> {
  if (!Object.hasOwn(def.deliver, arrival.type)) {
    if (def.otherwise !== 'refuse') return 'ignored'
    throw fault('webhook.unrouted', { detail: { webhook: def.name, type: arrival.type } })
  }
  const route = def.deliver[arrival.type]!
  const body = readBody(arrival.contentType, arrival.body, def.verify.form === true)
  const id = `${inboxTopic(def)}/${arrival.id}`
  if ('kind' in route) return { topic: route, data: body, id }
  const info: EventInfo = { id: arrival.id, type: arrival.type, time: arrival.time, headers: arrival.headers }
  const data = route.map ? await route.map(body, info) : body
  return { topic: route.to, data, id, ...(route.key ? { key: route.key(body, info) } : {}) }
}
