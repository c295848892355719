// One process of bench/scale.ts: reads `events` from the store in its first argument, 5 ms a message, until its parent goes.
import process from 'node:process'
import { fairlead, subscription, topic } from 'fairlead'
import { adapterAt } from './stores.ts'
import type { Event } from './workload.ts'

const log = topic<Event>('events', { key: (e) => e.key, id: (e) => e.id })
let handled = 0
const reader = subscription('reader', {
  to: log,
  concurrency: 10,
  async handle() {
    await new Promise((resolve) => setTimeout(resolve, 5))
    handled++
  },
})
const app = await fairlead({ store: adapterAt(process.argv[2]!), use: [log, reader] })
const tell = setInterval(() => process.send?.(handled), 50)
process.once('disconnect', () => {
  clearInterval(tell)
  void app[Symbol.asyncDispose]()
})
process.send?.('ready')
