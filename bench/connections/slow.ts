import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { httpClient } from '#app/http/client.ts'
import { systemClock } from '#app/runtime.ts'
import { median, quantile } from '../measure.ts'
import { definition, ours } from './ours.ts'
import { upstream } from './upstream.ts'

export const about = [
  'others_p99: ten connections of one process, 100 calls a second each; milliseconds of the nine from the due moment to the answer,',
  'all ten well and then the tenth slow (2 s, its calls give up after 1 s), in turns; medians of the rounds. noise: how far two turns differ in which all are well',
]

const rate = 100
const milliseconds = 2_000

/** What one slow dependency of ten does to the others. */
export async function run(rounds = 9): Promise<Record<string, number>> {
  const server = await upstream(10)
  const http = httpClient({ clock: systemClock })
  const all = server.origins.map((origin, i) =>
    ours(http, definition(`bench${i}`, origin, 50, i === 9 ? { timeout: '1s' } : {})),
  )
  const seen = { before: [] as number[], slow: [] as number[], after: [] as number[] }
  let slowFailed = 0
  const part = async (): Promise<number> => {
    const taken: number[] = []
    await arrivals(async (n, due) => {
      const which = n % 10
      if (which === 9) return void (await all[9]!.call().catch(() => slowFailed++))
      await all[which]!.call()
      taken.push(performance.now() - due)
    })
    return quantile(taken, 0.99)
  }
  try {
    // The first round warms up and is not counted.
    for (let round = 0; round <= rounds; round++) {
      const before = await part()
      server.slow(2_000)
      const slow = await part()
      server.slow(0)
      // A person closes the breaker, so that the tenth is called again at once.
      all[9]!.open.breaker('closed')
      const after = await part()
      if (round === 0) continue
      seen.before.push(before)
      seen.slow.push(slow)
      seen.after.push(after)
    }
    if (slowFailed === 0) throw new Error('the tenth was not slow')
    // Against its neighbours in time: a busy minute of the machine changes all three alike.
    const changes = seen.slow.map((ms, i) => ms / Math.sqrt(seen.before[i]! * seen.after[i]!))
    const noise = seen.after.map((ms, i) => Math.max(ms / seen.before[i]!, seen.before[i]! / ms))
    return {
      others_p99_ms: median([...seen.before, ...seen.after]),
      others_p99_ms_one_slow: median(seen.slow),
      others_p99_change_percent: 100 * (median(changes) - 1),
      others_p99_noise_percent: 100 * (median(noise) - 1),
    }
  } finally {
    for (const { open } of all) open.close()
    await http.close()
    await server.close()
  }
}

/** Calls at fixed times, whether or not those before have been answered: no coordinated omission. */
async function arrivals(call: (n: number, due: number) => Promise<void>): Promise<void> {
  const gap = 1_000 / (rate * 10)
  const count = milliseconds / gap
  const calls: Promise<void>[] = []
  const begun = performance.now() + 10
  while (calls.length < count) {
    for (let due; (due = begun + calls.length * gap) <= performance.now() && calls.length < count;)
      calls.push(call(calls.length, due))
    await pause(1)
  }
  await Promise.all(calls)
}
