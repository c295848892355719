import { fork } from 'node:child_process'
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { fairlead, subscription, topic, type App } from 'fairlead'
import { cpuMicros } from './cpu.ts'
import { medians } from './measure.ts'
import { stores, type BenchStore, type Stores } from './stores.ts'
import { events, type Event } from './workload.ts'

export const about = [
  'workers_n: processes with a 5 ms handler, 10 at a time in each: 2,000/s at most; messages/s of all, and the largest share of one (even: 1/n)',
  'keys_n: one process, 5 ms handler, 100 at a time; a key is handled one by one, so 1 key is 200/s at most',
  'subscriptions_n: on one topic, no-op handlers; deliveries/s and CPU of one; idle: CPU ms a second of the waiting process',
  'backlog_n: with so many messages waiting: appends of 1,000; the lag report; ms to start with a new subscription, and to its first message',
]

export const options = { store: 'sqlite', backlog: '10000000', part: 'all' }

const log = topic<Event>('events', { key: (e) => e.key, id: (e) => e.id })

/** How cost grows with processes, keys, subscriptions and what waits. Nothing is repeated but the smallest: read the slope. */
export async function run(given: Readonly<Record<string, string>>): Promise<Record<string, number>> {
  await using from = await stores(given['store']!)
  const parts = {
    workers: () => grow([1, 2, 4, 8], (n) => workers(from, n)),
    keys: () => grow([1, 100, 10_000], (n) => keys(from, n)),
    subscriptions: () => grow([1, 4, 16, 64, 256], (n) => subscriptions(from, n)),
    backlog: () => backlog(from, Number(given['backlog'])),
  }
  const wanted = given['part']!
  const chosen = Object.entries(parts).filter(([name]) => wanted === 'all' || wanted === name)
  if (chosen.length === 0) throw new Error(`--part is ${wanted}: all, ${Object.keys(parts).join(', ')}`)
  const figures: Record<string, number> = {}
  for (const [, part] of chosen) Object.assign(figures, await part())
  return figures
}

async function grow(sizes: readonly number[], measure: (n: number) => Promise<Record<string, number>>) {
  const figures: Record<string, number> = {}
  for (const n of sizes) {
    Object.assign(figures, await measure(n))
    process.stderr.write(`${JSON.stringify(figures)}\n`)
  }
  return figures
}

async function fill(app: App, count: number, key?: (n: number) => string): Promise<void> {
  for (let n = 0; n < count; n += 1000) {
    await app.publishMany(
      log,
      events(Math.min(1000, count - n)).map((e) => (key ? { ...e, key: key(e.n) } : e)),
    )
  }
}

/** As many processes on one store; each says every 50 ms how many messages it has handled. */
async function workers(from: Stores, n: number): Promise<Record<string, number>> {
  await using store = await from.empty()
  await using app = await fairlead({ store: store.adapter, use: [log], work: false })
  const children = Array.from({ length: n }, () => fork(new URL('./scale-worker.ts', import.meta.url), [store.at]))
  const handled = children.map(() => 0)
  let changed: () => void = () => {}
  children.forEach((child, i) =>
    child.on('message', (m) => {
      if (typeof m === 'number') handled[i] = m
      changed()
    }),
  )
  const sum = (): number => handled.reduce((a, b) => a + b, 0)
  const until = async (count: number): Promise<void> => {
    while (sum() < count) await new Promise<void>((resolve) => (changed = resolve))
  }
  try {
    await Promise.all(children.map((child) => once(child, 'message')))
    // Time to share the partitions, with a little work to share them for.
    await fill(app, 1000, (i) => `k${i}`)
    await until(1000)
    await new Promise((resolve) => setTimeout(resolve, 5_000))
    const before = [...handled]
    const count = 10_000 + 5_000 * n
    await fill(app, count, (i) => `k${i}`)
    const begun = performance.now()
    const has = sum()
    await until(1000 + count)
    const seconds = (performance.now() - begun) / 1000
    const shares = handled.map((h, i) => (h - before[i]!) / count)
    return { [`workers_${n}`]: (1000 + count - has) / seconds, [`workers_${n}_largest_share`]: Math.max(...shares) }
  } finally {
    await Promise.all(
      children.map(async (child) => {
        const ended = once(child, 'exit')
        child.disconnect()
        await ended
      }),
    )
  }
}

async function keys(from: Stores, n: number): Promise<Record<string, number>> {
  const count = n === 1 ? 1_000 : 20_000
  await using store = await from.empty()
  await using world = await consumer(store, [5])
  const begun = performance.now()
  await fill(world.app, count, (i) => `k${i % n}`)
  await world.until(count)
  return { [`keys_${n}`]: count / ((performance.now() - begun) / 1000) }
}

async function subscriptions(from: Stores, n: number): Promise<Record<string, number>> {
  const count = Math.max(2_000, Math.ceil(200_000 / n / 1000) * 1000)
  await using store = await from.empty()
  await using world = await consumer(store, Array<number>(n).fill(0))
  await fill(world.app, 1000)
  await world.until(1000 * n)
  const cpu = cpuMicros(from.server)
  const begun = performance.now()
  await fill(world.app, count)
  await world.until((1000 + count) * n)
  const deliveries = count * n
  const figures = {
    [`subscriptions_${n}`]: deliveries / ((performance.now() - begun) / 1000),
    [`subscriptions_${n}_cpu_us`]: (cpuMicros(from.server) - cpu) / deliveries,
  }
  // Cursors that were moved are saved within this time.
  await new Promise((resolve) => setTimeout(resolve, 3_000))
  const idle = cpuMicros(from.server)
  await new Promise((resolve) => setTimeout(resolve, 5_000))
  return { ...figures, [`subscriptions_${n}_idle_cpu_ms`]: (cpuMicros(from.server) - idle) / 1000 / 5 }
}

interface Consumer extends AsyncDisposable {
  readonly app: App
  until(handled: number): Promise<void>
}

/** An app with a subscription for each entry; it says how many milliseconds its handler takes. */
async function consumer(store: BenchStore, handlers: readonly number[]): Promise<Consumer> {
  let handled = 0
  let target = Number.POSITIVE_INFINITY
  let reached: () => void = () => {}
  const readers = handlers.map((ms, i) =>
    subscription(`reader-${i}`, {
      to: log,
      concurrency: 100,
      async handle() {
        if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms))
        if (++handled >= target) reached()
      },
    }),
  )
  const app = await fairlead({ store: store.adapter, use: [log, ...readers] })
  return {
    app,
    async until(count) {
      target = count
      if (handled < count) await new Promise<void>((resolve) => (reached = resolve))
    },
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  }
}

/** The same few operations again and again while the log grows tenfold each time. */
async function backlog(from: Stores, most: number): Promise<Record<string, number>> {
  await using store = await from.empty()
  const figures: Record<string, number> = {}
  const waiter = subscription('waiter', { to: log, handle: () => Promise.resolve() })
  let there = 0
  for (let size = Math.max(1000, most / 1000); size <= most; size *= 10) {
    {
      await using app = await fairlead({ store: store.adapter, use: [log, waiter], work: false })
      await fill(app, size - there)
      there = size + 40_000
      const seen = []
      for (let round = 0; round < 5; round++) {
        const begun = performance.now()
        await fill(app, 8_000)
        const appended = performance.now()
        await app.operations.status()
        seen.push({
          [`backlog_${size}_append_1000`]: 8_000 / ((appended - begun) / 1000),
          [`backlog_${size}_status_ms`]: performance.now() - appended,
        })
      }
      Object.assign(figures, medians(seen), {
        [`backlog_${size}_bytes_each`]: (await app.operations.status()).store.bytes / there,
      })
    }
    const begun = performance.now()
    let first: (at: number) => void = () => {}
    const handled = new Promise<number>((resolve) => (first = resolve))
    const fresh = subscription(`fresh-${size}`, {
      to: log,
      handle() {
        first(performance.now())
        return Promise.resolve()
      },
    })
    await using _ = await fairlead({ store: store.adapter, use: [log, fresh] })
    const open = performance.now()
    figures[`backlog_${size}_open_ms`] = open - begun
    figures[`backlog_${size}_first_ms`] = (await handled) - begun
    process.stderr.write(`${JSON.stringify(figures)}\n`)
  }
  return figures
}
