import { fairlead, subscription, topic } from 'fairlead'
import type { BenchStore } from '../stores.ts'
import type { Contender, Event, Place } from '../workload.ts'

const log = topic<Event>('events', { key: (e) => e.key, id: (e) => e.id })

/** Each message with a key and a dedupe id, 16 partitions, default settings but for 100 handlers at a time. */
export function ours(name: string, empty: () => Promise<BenchStore>, server?: () => number): Contender {
  return {
    name,
    preload: 200_000,
    ...(server ? { server } : {}),
    async place(): Promise<Place> {
      const at = await empty()
      const { adapter: store } = at
      return {
        async open(handle) {
          const reader = subscription('reader', {
            to: log,
            concurrency: 100,
            handle(e) {
              handle?.(e)
              return Promise.resolve()
            },
          })
          const app = await fairlead({ store, use: [log, reader], work: handle !== undefined })
          return {
            send: (e) => app.publish(log, e),
            sendMany: (events) => app.publishMany(log, events),
            [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
          }
        },
        ...(at.rest ? { rest: () => at.rest!() } : {}),
        [Symbol.asyncDispose]: () => at[Symbol.asyncDispose](),
      }
    },
  }
}
