import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { DatabaseSync } from 'node:sqlite'
import { fairlead, subscription, topic, type App } from 'fairlead'
import { sqlite } from 'fairlead/sqlite'
import { measure, medians, quantile } from './measure.ts'

export const about = [
  'embedded, one process, 250-byte JSON with key and dedupe id, 16 partitions; WAL, acknowledged after fdatasync',
  'limits: fdatasync of 4 KiB written in place (sync API); bare multi-row insert of the same rows, synchronous=full',
]

type Event = { id: string; key: string; text: string; n: number }

const text = 'x'.repeat(180)
let count = 0
/** Ids as providers make them: random, so that the dedupe index gets no help from order. */
function event(): Event {
  const n = count++
  return { id: `evt_${Math.imul(n, 2654435761).toString(36)}${n}`, key: `k${n % 1000}`, text, n }
}

const events = topic<Event>('events', { key: (e) => e.key, id: (e) => e.id })

type World = {
  readonly app: App
  readonly handled: (n: number) => Promise<void>
  readonly sent: Map<number, number>
  readonly latencies: number[]
  /** Resolves when the messages that were there before are handled. */
  readonly preloaded: Promise<void>
}

async function world(
  folder: string,
  work: boolean,
  first = Number.POSITIVE_INFINITY,
): Promise<World & AsyncDisposable> {
  let done = 0
  let target = first
  let reached: () => void = () => {}
  const preloaded = new Promise<void>((resolve) => (reached = resolve))
  const sent = new Map<number, number>()
  const latencies: number[] = []
  const reader = subscription('reader', {
    to: events,
    concurrency: 100,
    handle(e) {
      const at = sent.get(e.n)
      if (at !== undefined) {
        latencies.push(performance.now() - at)
        sent.delete(e.n)
      }
      if (++done === target) reached()
      return Promise.resolve()
    },
  })
  const app = await fairlead({ store: sqlite(join(folder, 'fairlead.db')), use: [events, reader], work })
  return {
    app,
    sent,
    latencies,
    preloaded,
    handled: (n) => {
      done = 0
      target = n
      return new Promise((resolve) => (reached = resolve))
    },
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  }
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-bench-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function limits(folder: string): Record<string, number> {
  const fd = openSync(join(folder, 'sync'), 'w')
  const page = Buffer.alloc(4096, 1)
  for (let i = 0; i < 2000; i++) writeSync(fd, page)
  fdatasyncSync(fd)
  let begun = performance.now()
  for (let i = 0; i < 2000; i++) {
    writeSync(fd, page, 0, 4096, i * 4096)
    fdatasyncSync(fd)
  }
  const fdatasync = 2000 / ((performance.now() - begun) / 1000)
  closeSync(fd)
  const db = new DatabaseSync(join(folder, 'bare.db'))
  db.exec(
    'pragma journal_mode=wal; pragma synchronous=full; create table log (seq integer primary key, id text, key text, body text)',
  )
  const insert = db.prepare('insert into log (id, key, body) values (?, ?, ?)')
  begun = performance.now()
  for (let b = 0; b < 200; b++) {
    db.exec('begin immediate')
    for (let i = 0; i < 1000; i++) {
      const e = event()
      insert.run(e.id, e.key, JSON.stringify(e))
    }
    db.exec('commit')
  }
  const inserted = 200_000 / ((performance.now() - begun) / 1000)
  db.close()
  return { limit_fdatasync: fdatasync, limit_insert_1000: inserted }
}

async function enqueue(folder: string): Promise<Record<string, number>> {
  await using w = await world(folder, false)
  const batches = async (n: number): Promise<void> => {
    for (let i = 0; i < n; i++) await w.app.publishMany(events, Array.from({ length: 1000 }, event))
  }
  // The WAL grows to its length once; afterwards it is written in place, which is what a running process sees.
  await batches(100)
  const many = await measure(200_000, () => batches(200))
  const lanes = await measure(100_000, async () => {
    let left = 100_000
    const lane = async (): Promise<void> => {
      while (left-- > 0) await w.app.publish(events, event())
    }
    await Promise.all(Array.from({ length: 64 }, lane))
  })
  const one = await measure(2_000, async () => {
    for (let i = 0; i < 2_000; i++) await w.app.publish(events, event())
  })
  return { enqueue_1000: many.perSecond, enqueue_64: lanes.perSecond, enqueue_1: one.perSecond }
}

async function consume(folder: string): Promise<Record<string, number>> {
  {
    await using w = await world(folder, false)
    for (let i = 0; i < 300; i++) await w.app.publishMany(events, Array.from({ length: 1000 }, event))
  }
  const begun = performance.now()
  await using w = await world(folder, true, 300_000)
  await w.preloaded
  const process = 300_000 / ((performance.now() - begun) / 1000)
  const through = await measure(300_000, async () => {
    const all = w.handled(300_000)
    for (let i = 0; i < 300; i++) await w.app.publishMany(events, Array.from({ length: 1000 }, event))
    await all
  })
  return { process, through: through.perSecond, cpu_us: through.cpuMicros }
}

/** Arrivals at fixed times, whatever the engine does: no coordinated omission. Time from the due moment to the handler's first line. */
async function latency(w: World, rate: number, seconds: number): Promise<number[]> {
  w.latencies.length = 0
  const total = rate * seconds
  const all = w.handled(total)
  const begun = performance.now() + 50
  let next = 0
  await new Promise<void>((resolve) => {
    const tick = (): void => {
      const now = performance.now()
      while (next < total && begun + (next * 1000) / rate <= now) {
        const e = event()
        w.sent.set(e.n, begun + (next * 1000) / rate)
        void w.app.publish(events, e)
        next++
      }
      if (next < total) setImmediate(tick)
      else resolve()
    }
    tick()
  })
  await all
  return [...w.latencies]
}

async function latencies(folder: string): Promise<Record<string, number>> {
  await using w = await world(folder, true)
  await latency(w, 2_000, 1)
  const slow = await latency(w, 500, 6)
  await latency(w, 50_000, 2)
  const fast = await latency(w, 50_000, 4)
  return { p50_ms_500: quantile(slow, 0.5), p99_ms_500: quantile(slow, 0.99), p99_ms_50000: quantile(fast, 0.99) }
}

export async function run(): Promise<Record<string, number>> {
  const rounds = []
  for (let i = 0; i < 3; i++) {
    rounds.push({
      ...(await inFolder(enqueue)),
      ...(await inFolder(consume)),
      ...(await inFolder(latencies)),
      ...(await inFolder((f) => Promise.resolve(limits(f)))),
    })
  }
  return medians(rounds)
}
