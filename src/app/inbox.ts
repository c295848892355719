import { Buffer } from 'node:buffer'
import type { Store } from '#adapters/stores/port.ts'
import { milliseconds } from '#kernel/duration.ts'
import { isFault, toFault, type Fault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Journal } from '#journal/journal.ts'
import type { Run } from '#journal/run.ts'
import type { SubscriptionOptions } from '#journal/subscription.ts'
import { inboxTopic, type Arrival } from '#patterns/webhooks/arrival.ts'
import type { Webhook } from '#patterns/webhooks/define.ts'
import { routeArrival } from '#patterns/webhooks/route.ts'
import { webhookDoor, type WebhookDoor } from '#patterns/webhooks/run.ts'
import { dataOf, packAttributes } from '#patterns/topics/envelope.ts'
import { draft } from '#patterns/topics/publish.ts'
import type { Stored } from '#adapters/stores/port.ts'
import { backoff, retry } from '#resilience/retry.ts'
import type { Verbs } from './verbs.ts'

/** An inbox has one partition: what arrives first is routed first. */
export function inbox(def: Webhook): {
  readonly topic: string
  readonly partitions: number
  readonly age: number
  readonly compact: boolean
} {
  return { topic: inboxTopic(def), partitions: 1, age: milliseconds(def.keep), compact: false }
}

/** The door of a webhook: what it stores goes into the inbox as the bytes that came, deduplicated by the event id. */
export function inboxDoor(
  def: Webhook,
  runtime: Runtime<Store>,
  journal: Journal,
  count: (outcome: string) => void,
): WebhookDoor {
  const dedupe = milliseconds(def.dedupe)
  const name = inboxTopic(def)
  return webhookDoor(def, {
    clock: runtime.clock,
    secrets: runtime.secrets,
    count,
    store: async ({ id, type, contentType, headers, body }) => {
      const meta = packAttributes({ type, source: `/webhooks/${def.name}`, datacontenttype: contentType, headers })
      const [appended] = await journal.log.append([
        journal.log.entry(journal.log.topic(name), { id, key: null, meta, body, dedupe }),
      ])
      return appended!.duplicate ? 'duplicate' : 'stored'
    },
  })
}

/** The durable subscription that routes arrivals to their topics: what cannot be routed is parked with its reason. */
export function routing(
  def: Webhook,
  runtime: Pick<Runtime, 'ids'>,
  journal: () => Journal,
  verbs: () => Verbs,
): SubscriptionOptions {
  const plan = retry({ attempts: 10, first: '1s', max: '10m', budget: 'none' })
  return {
    name: inboxTopic(def),
    topic: inboxTopic(def),
    from: 'beginning',
    concurrency: 1,
    batch: 100,
    timeout: 30_000,
    parkedLimit: 10_000,
    retry: { attempts: plan.attempts, delay: (n, random) => backoff(plan, n, random) },
    handle: async (run: Run) => {
      const { log } = journal()
      const results = await Promise.all(
        run.messages.map(async (stored) => {
          try {
            const arrival = arrivalOf(stored)
            const routed = await routeArrival(def, arrival)
            if (routed === 'ignored') return undefined
            const topic = verbs().definition(routed.topic)
            const options = { id: routed.id, ...(routed.key === undefined ? {} : { key: routed.key }) }
            const trace = arrival.headers['traceparent']
            const attributes = {
              type: arrival.type,
              source: `/webhooks/${def.name}`,
              correlationid: stored.id,
              causationid: stored.id,
              ...(trace ? { traceparent: trace } : {}),
            }
            return log.entry(
              log.topic(topic.name),
              await draft(topic, routed.data, options, { attributes }, runtime.ids),
            )
          } catch (e) {
            return toFault(e, 'subscription.thrown')
          }
        }),
      )
      const entries = results.filter((r) => r !== undefined && !isFault(r))
      if (entries.length > 0) await log.append(entries as Exclude<(typeof results)[number], Fault | undefined>[])
      return results.map((r) => (isFault(r) ? r : undefined))
    },
  }
}

/** An arrival as it was stored: the message's own attributes, and the raw bytes. An edited one may be JSON text. */
function arrivalOf(stored: Stored): Arrival {
  const meta = (stored.meta === null ? {} : JSON.parse(stored.meta)) as {
    type?: string
    datacontenttype?: string
    headers?: Record<string, string>
  }
  const data = dataOf(stored)
  return {
    id: stored.id,
    type: meta.type ?? '',
    time: stored.time,
    contentType: meta.datacontenttype ?? 'application/json',
    headers: meta.headers ?? {},
    body: data instanceof Uint8Array ? data : Buffer.from(String(stored.body), 'utf8'),
  }
}
