import process from 'node:process'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { fairlead, subscription, topic } from 'fairlead'
import type { Clock } from '#kernel/clock.ts'
import { systemClock } from '#app/runtime.ts'
import { stores } from './stores.ts'
import { events, type Event } from './workload.ts'

export const about = [
  'messages published a thousand at a time and consumed by the same process; the clock runs faster, so that messages age',
  'heap after a full collection and rss: MiB, and MiB a million messages over the second half; wal and store: the most, and at half time',
]

export const options = { store: 'sqlite', messages: '10000000', speed: '240' }

const log = topic<Event>('events', { key: (e) => e.key, id: (e) => e.id, keep: '1h' })
const samplesWanted = 40

type Sample = Readonly<Record<'millions' | 'heap' | 'rss' | 'wal' | 'store', number>>

/** Whether memory, log and tables stay as they are while messages pass through and age out. */
export async function run(given: Readonly<Record<string, string>>): Promise<Record<string, number>> {
  const messages = Number(given['messages'])
  const speed = Number(given['speed'])
  await using from = await stores(given['store']!)
  await using store = await from.empty()
  let handled = 0
  let wake: () => void = () => {}
  const reader = subscription('reader', {
    to: log,
    concurrency: 100,
    timeout: '1h',
    handle() {
      handled++
      wake()
      return Promise.resolve()
    },
  })
  await using app = await fairlead({ store: store.adapter, use: [log, reader] }, { clock: faster(speed) })
  const samples: Sample[] = []
  const begun = performance.now()
  for (let sent = 0; sent < messages;) {
    const next = Math.min(messages, sent + Math.ceil(messages / samplesWanted / 1000) * 1000)
    for (; sent < next; sent += 1000) {
      await app.publishMany(log, events(1000))
      // Nothing may wait for long: this is about what stays, not about what queues up.
      while (sent - handled > 20_000) await new Promise<void>((resolve) => (wake = resolve))
    }
    while (handled < sent) await new Promise<void>((resolve) => (wake = resolve))
    samples.push(await sample())
    process.stderr.write(`${JSON.stringify(samples.at(-1))}\n`)
  }
  const seconds = (performance.now() - begun) / 1000
  const last = samples.at(-1)!
  const half = samples.slice(Math.floor(samples.length / 2))
  const middle = half[0]!
  return {
    messages,
    through: messages / seconds,
    /** Times the hour that messages are kept. */
    ages: (seconds * speed) / 3_600,
    heap_mib: last.heap,
    heap_slope_mib: slope(half, 'heap'),
    rss_mib: last.rss,
    rss_slope_mib: slope(half, 'rss'),
    wal_half_mib: middle.wal,
    wal_most_mib: Math.max(...samples.map((s) => s.wal)),
    store_half_mib: middle.store,
    store_most_mib: Math.max(...samples.map((s) => s.store)),
    store_mib: last.store,
  }

  async function sample(): Promise<Sample> {
    collect()
    const { heapUsed, rss } = process.memoryUsage()
    const { bytes } = (await app.operations.status()).store
    return {
      millions: handled / 1e6,
      heap: mib(heapUsed),
      rss: mib(rss),
      wal: mib(await store.wal()),
      store: mib(bytes),
    }
  }
}

/** All of time, timers included: an hour in so many seconds. */
function faster(speed: number): Clock {
  const began = systemClock.now()
  return {
    now: () => began + Math.round((systemClock.now() - began) * speed),
    mono: () => systemClock.mono() * speed,
    after: (ms, fn) => systemClock.after(ms / speed, fn),
    soon: (fn) => systemClock.soon(fn),
  }
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function mib(bytes: number): number {
  return bytes / 2 ** 20
}

/** Least squares: how much of it a million messages leave behind. */
function slope(samples: readonly Sample[], of: 'heap' | 'rss'): number {
  const n = samples.length
  const x = samples.reduce((sum, s) => sum + s.millions, 0) / n
  const y = samples.reduce((sum, s) => sum + s[of], 0) / n
  const over = samples.reduce((sum, s) => sum + (s.millions - x) * (s[of] - y), 0)
  return over / samples.reduce((sum, s) => sum + (s.millions - x) ** 2, 0)
}
