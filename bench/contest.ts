import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { cpuMicros } from './cpu.ts'
import { quantile } from './measure.ts'
import { event, events, type Contender, type Handle, type Place, type Queue } from './workload.ts'

/** Milliseconds of one measurement, and of what runs before it and is thrown away. */
const span = 2_000
const warm = 1_000
/** A consumer that needs longer than this for what it was given is measured by what it has done until then. */
const patience = 6_000

/**
 * One round of one contender, each part in an empty place of its own:
 *
 * - `enqueue_1000`, `enqueue_64`, `enqueue_1`: a thousand at a time; single sends, 64 in flight, and one at a time
 * - `process`: what waits there, from the first message handled to the last
 * - `through`: a thousand at a time, while the same process consumes, until all are handled
 * - `p50_ms_500`, `p99_ms_500`: from the moment a message was due to be sent to the handler's first line
 * - `…_cpu_us`: CPU a message, of this process and the server
 */
export async function contest(contender: Contender): Promise<Record<string, number>> {
  const part = async <T>(work: (place: Place) => Promise<T>): Promise<T> => {
    await using place = await contender.place()
    await place.rest?.()
    return await work(place)
  }
  const server = (): number | undefined => contender.server?.()
  return {
    ...(await part((place) => enqueue(place, server))),
    ...(await part((place) => preloaded(place, contender.preload, server))),
    ...(await part((place) => through(place, server))),
    ...(await part(async (place) => {
      const seen = await latencies(place, 500, 6)
      return { p50_ms_500: quantile(seen, 0.5), p99_ms_500: quantile(seen, 0.99) }
    })),
  }
}

type Server = () => number | undefined

async function enqueue(place: Place, server: Server): Promise<Record<string, number>> {
  await using queue = await place.open()
  const many = async (): Promise<number> => {
    await queue.sendMany(events(1000))
    return 1000
  }
  const one = async (): Promise<number> => {
    await queue.send(event())
    return 1
  }
  // What grows once (a log file to its length) has grown before.
  await repeat(1, warm, many, server)
  const batches = await repeat(1, span, many, server)
  await place.rest?.()
  const lanes = await repeat(64, span, one, server)
  const alone = await repeat(1, span / 2, one, server)
  return {
    enqueue_1000: batches.perSecond,
    enqueue_64: lanes.perSecond,
    enqueue_1: alone.perSecond,
    enqueue_1000_cpu_us: batches.cpuMicros,
    enqueue_64_cpu_us: lanes.cpuMicros,
  }
}

async function preloaded(place: Place, preload: number, server: Server): Promise<Record<string, number>> {
  {
    await using queue = await place.open()
    for (let n = 0; n < preload; n += 1000) await queue.sendMany(events(1000))
  }
  await place.settle?.()
  await place.rest?.()
  const handled = new Handled(preload, server)
  await using _ = await place.open(handled.handle)
  await handled.all(patience)
  return { process: handled.perSecond, process_cpu_us: handled.cpuMicros }
}

async function through(place: Place, server: Server): Promise<Record<string, number>> {
  let handled = 0
  let wake: () => void = () => {}
  await using queue = await place.open(() => {
    handled++
    wake()
  })
  const run = async (ms: number): Promise<Measured> => {
    handled = 0
    let sent = 0
    const cpu = cpuMicros(server())
    const begun = performance.now()
    while (performance.now() - begun < ms) {
      await queue.sendMany(events(1000))
      sent += 1000
    }
    // What it cannot handle in time waits: it is measured by what came out.
    const cut = setTimeout(() => wake(), Math.max(0, begun + patience - performance.now()))
    while (handled < sent && performance.now() - begun < patience)
      await new Promise<void>((resolve) => (wake = resolve))
    clearTimeout(cut)
    return per(handled, performance.now() - begun, cpuMicros(server()) - cpu)
  }
  await run(warm)
  const { perSecond, cpuMicros: cpu } = await run(span)
  return { through: perSecond, through_cpu_us: cpu }
}

/**
 * Arrivals at fixed times, whatever the engine does: no coordinated omission. Milliseconds from the due moment to the
 * handler's first line; a message that has not come when all patience is gone counts as it is then.
 */
export async function latencies(place: Place, rate: number, seconds: number): Promise<number[]> {
  const due = new Map<number, number>()
  const seen: number[] = []
  let wake: () => void = () => {}
  await using queue = await place.open((e) => {
    const at = due.get(e.n)
    if (at === undefined || !due.delete(e.n)) return
    seen.push(performance.now() - at)
    if (due.size === 0) wake()
  })
  await arrivals(queue, due, rate, 1)
  await allHandled()
  seen.length = 0
  due.clear()
  await arrivals(queue, due, rate, seconds)
  await allHandled()
  const now = performance.now()
  return [...seen, ...[...due.values()].map((at) => now - at)]

  async function allHandled(): Promise<void> {
    if (due.size === 0) return
    const cut = setTimeout(() => wake(), patience)
    await new Promise<void>((resolve) => (wake = resolve))
    clearTimeout(cut)
  }
}

async function arrivals(queue: Queue, due: Map<number, number>, rate: number, seconds: number): Promise<void> {
  let refused = 0
  const sends: Promise<unknown>[] = []
  const begun = performance.now() + 50
  for (let next = 0; next < rate * seconds;) {
    for (; next < rate * seconds && begun + (next * 1000) / rate <= performance.now(); next++) {
      const e = event()
      due.set(e.n, begun + (next * 1000) / rate)
      // One that is refused never comes: it counts as late as our patience lasts.
      sends.push(queue.send(e).catch(() => refused++))
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  await Promise.all(sends)
  if (refused > 0) process.stderr.write(`${refused} of ${sends.length} sends at ${rate}/s were refused\n`)
}

type Measured = { readonly perSecond: number; readonly cpuMicros: number }

function per(count: number, ms: number, cpu: number): Measured {
  return { perSecond: (count / ms) * 1000, cpuMicros: cpu / Math.max(1, count) }
}

/** `work` again and again in so many lanes for `ms`; it says how many messages each time was. */
async function repeat(lanes: number, ms: number, work: () => Promise<number>, server: Server): Promise<Measured> {
  let count = 0
  const cpu = cpuMicros(server())
  const begun = performance.now()
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      while (performance.now() - begun < ms) {
        const done = await work()
        count += done // not `+= await`: that adds to what it was before the wait
      }
    }),
  )
  return per(count, performance.now() - begun, cpuMicros(server()) - cpu)
}

/** Counts what is handled, from the first to the one that was waited for: starting up is not measured. */
class Handled {
  readonly #target: number
  readonly #server: Server
  #done = 0
  #first = { at: 0, cpu: 0 }
  #last = { at: 0, cpu: 0 }
  #reached: () => void = () => {}

  constructor(target: number, server: Server) {
    this.#target = target
    this.#server = server
  }

  readonly handle: Handle = () => {
    if (++this.#done === 1) this.#first = this.#now()
    if (this.#done === this.#target) this.#reached()
  }

  async all(patience: number): Promise<void> {
    if (this.#done < this.#target) {
      const cut = setTimeout(() => this.#reached(), patience)
      await new Promise<void>((resolve) => (this.#reached = resolve))
      clearTimeout(cut)
    }
    this.#last = this.#now()
  }

  get perSecond(): number {
    return this.#measured.perSecond
  }

  get cpuMicros(): number {
    return this.#measured.cpuMicros
  }

  get #measured(): Measured {
    return per(this.#done, this.#last.at - this.#first.at, this.#last.cpu - this.#first.cpu)
  }

  #now(): { at: number; cpu: number } {
    return { at: performance.now(), cpu: cpuMicros(this.#server()) }
  }
}

/**
 * Rounds of all contenders, each round in another order so that no one always follows the same one. Returns each round's
 * figures under the contender's prefix, and `besides`: what else to measure in each.
 */
export async function rounds(
  contenders: readonly Contender[],
  count: number,
  besides: () => Promise<Record<string, number>> = () => Promise.resolve({}),
): Promise<Record<string, number>[]> {
  const all: Record<string, number>[] = []
  for (let round = 0; round < count; round++) {
    const figures = await besides()
    for (let i = 0; i < contenders.length; i++) {
      const contender = contenders[(i + round) % contenders.length]!
      const seen = await contest(contender)
      for (const [name, value] of Object.entries(seen)) figures[named(contender.name, name)] = value
    }
    all.push(figures)
  }
  return all
}

/** `pgboss_default` and `process` make `pgboss_process_default`. */
function named(contender: string, figure: string): string {
  const [prefix, suffix] = contender.split('_')
  return [prefix, figure, suffix].filter((part) => part !== undefined && part !== '').join('_')
}
