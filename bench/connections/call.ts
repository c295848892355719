import { httpClient } from '#app/http/client.ts'
import { systemClock } from '#app/runtime.ts'
import { measure, median, quantile } from '../measure.ts'
import { clients, type Client } from './clients.ts'
import { definition, ours, token } from './ours.ts'
import { upstream } from './upstream.ts'

export const about = [
  'a GET of 1 KB of JSON on loopback, CPU of this process a call, medians of rounds in which all take turns; 50 calls at once, _500: 500',
  'ours: credential, retry, bulkhead, limit, breaker, deadlines, schemas of input and output, drift, endings, a record handed over',
  'dispatch, request (undici), fetch, got, axios, ky: bare, their JSON parsed; record_cpu_us: masking and writing a record, later',
  '_to_: how many times the CPU of the other, median of the rounds; _spread: the middle half of the rounds lies within so many percent',
]

export const options = { ways: 'ours,dispatch,request,fetch,got,axios,ky', rounds: '9', concurrency: '50,500' }

/** Calls of one turn: so many that it takes a tenth of a second or more. */
const turn = 4_000
const dear = 1_000
const cheap: ReadonlySet<string> = new Set(['ours', 'dispatch', 'request'])

/** What a whole outbound call costs, beside others. Each round has another order, so that no one always follows the same one. */
export async function run(given: Partial<typeof options> = {}): Promise<Record<string, number>> {
  const { ways, rounds, concurrency } = { ...options, ...given }
  const figures: Record<string, number> = {}
  for (const [i, at] of concurrency.split(',').map(Number).entries()) {
    const seen = await contest(ways.split(','), Number(rounds), at)
    for (const [name, value] of Object.entries(seen)) figures[i === 0 ? name : `${name}_${at}`] = value
  }
  return figures
}

async function contest(names: readonly string[], rounds: number, at: number): Promise<Record<string, number>> {
  const server = await upstream()
  const origin = server.origins[0]!
  const http = httpClient({ clock: systemClock, sockets: at })
  const mine = ours(http, definition('bench', origin, at))
  const headers = { accept: 'application/json', authorization: `Bearer ${token}` }
  const all: Readonly<Record<string, Client>> = {
    ours: { call: mine.call, close: () => http.close() },
    ...clients(`${origin}/charges?since=2026-01-01`, headers, at),
  }
  const ways = names.filter((name) => Object.hasOwn(all, name))
  const cpu: Record<string, number[]> = {}
  const rate: Record<string, number[]> = {}
  const record: number[] = []
  try {
    // The first round warms up and is not counted.
    for (let round = 0; round <= rounds; round++) {
      for (let i = 0; i < ways.length; i++) {
        const way = ways[(i + round) % ways.length]!
        const { call } = all[way]!
        const count = cheap.has(way) ? turn : dear
        // Sockets that fell idle meanwhile are opened, and what others left behind is swept, outside the measurement. No gc() here: it
        // throws compiled code away, and doubles what a call costs.
        await lanes(call, count / 4, at)
        const seen = await measure(count, () => lanes(call, count, at))
        if (round === 0) continue
        ;(cpu[way] ??= []).push(seen.cpuMicros)
        ;(rate[way] ??= []).push(seen.perSecond)
      }
      const last = mine.last()
      if (last.length === 0) continue
      const written = await measure(turn, async () => {
        for (let i = 0; i < turn; i++) JSON.stringify(last[i % last.length])
      })
      if (round > 0) record.push(written.cpuMicros)
    }
    const figures: Record<string, number> = {}
    for (const way of ways) {
      figures[`${way}_cpu_us`] = median(cpu[way]!)
      figures[`${way}_per_s`] = median(rate[way]!)
      figures[`${way}_spread`] = spread(cpu[way]!)
    }
    for (const way of ways) {
      if (way === 'ours' || !ways.includes('ours')) continue
      const [name, one, other] = cheap.has(way) ? [`ours_to_${way}`, 'ours', way] : [`${way}_to_ours`, way, 'ours']
      figures[name] = median(cpu[one]!.map((us, round) => us / cpu[other]![round]!))
    }
    if (record.length > 0) figures['record_cpu_us'] = median(record)
    return figures
  } finally {
    mine.open.close()
    await Promise.all(Object.values(all).map((client) => client.close()))
    await server.close()
  }
}

/** The work so many times, so many at once. */
async function lanes(work: () => Promise<unknown>, count: number, at: number): Promise<void> {
  let left = count
  const lane = async (): Promise<void> => {
    while (left-- > 0) await work()
  }
  await Promise.all(Array.from({ length: at }, lane))
}

function spread(values: readonly number[]): number {
  return (100 * (quantile(values, 0.75) - quantile(values, 0.25))) / median(values)
}
