import type { Weather } from './apis/server.ts'
import type { Snapshot } from './progress.ts'
import { bar, clock, table } from './table.ts'

const weathers: Readonly<Record<Weather, string>> = {
  up: 'all three APIs are up: slow, and failing one time in four',
  refusing: 'OUTAGE: all three APIs refuse connections',
  resetting: 'OUTAGE: all three APIs take connections and reset them',
}

/** The live view as at most 20 lines. Pure. */
export function block(s: Snapshot): string[] {
  const engine = s.engineUp ? 'up' : 'DOWN'
  const killed = s.kills > 0 ? `, killed ${s.kills} times` : ''
  return [
    `Fairlead · examples/orders   ${clock(s.elapsed)}  ${s.phase}   engine ${engine}${killed}`,
    `requests  ${bar(s.answered, s.planned, 24)} ${s.answered}/${s.planned}  ${s.answersPerSecond.toFixed(1)}/s  ` +
      `accepted ${s.accepted}  duplicate ${s.duplicate}  refused ${s.refused}`,
    `answers   median ${s.p50.toFixed(1)} ms, 99 % within ${s.p99.toFixed(1)} ms`,
    `effects   ${s.apis?.effects ?? 0} in the ledgers of the others  ${s.effectsPerSecond.toFixed(1)}/s`,
    s.apis ? weathers[s.apis.weather] : '',
    '',
    ...connections(s),
    '',
    ...subscriptions(s),
  ].slice(0, 20)
}

/** The same as one line, for logs and pipes. Pure. */
export function line(s: Snapshot): string {
  const breakers = (s.engine?.connections ?? []).map((c) => `${c.name} ${c.breaker}`).join(', ')
  const parked = sum(s)
  return [
    clock(s.elapsed),
    s.phase,
    `${s.answered}/${s.planned} answered (${s.answersPerSecond.toFixed(1)}/s)`,
    `${s.apis?.effects ?? 0} effects (${s.effectsPerSecond.toFixed(1)}/s)`,
    `waiting ${parked.lag} retry ${parked.retry} held ${parked.held} behind ${parked.behind} dead ${parked.dead}`,
    breakers,
    s.apis && s.apis.weather !== 'up' ? 'OUTAGE' : '',
    s.engineUp ? '' : 'engine DOWN',
  ]
    .filter((part) => part !== '')
    .join(' · ')
}

/** Draws while the run lasts: in place on a terminal, a line every 2 s elsewhere. */
export class View {
  readonly #out: NodeJS.WriteStream
  #drawn = 0
  #last = Number.NEGATIVE_INFINITY

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
  }

  draw(s: Snapshot): void {
    if (this.#out.isTTY) return this.#redraw(block(s))
    if (s.phase !== 'done' && s.elapsed - this.#last < 1_950) return
    this.#last = s.elapsed
    this.#out.write(`${line(s)}\n`)
  }

  #redraw(lines: readonly string[]): void {
    const width = this.#out.columns || 80
    // A line that wraps would be two, and the next drawing one too low.
    const cut = lines.map((text) => `${text.slice(0, width - 1)}\u001b[K\n`)
    const up = this.#drawn > 0 ? `\u001b[${this.#drawn}A` : ''
    this.#out.write(`${up}${cut.join('')}\u001b[J`)
    this.#drawn = cut.length
  }
}

function connections(s: Snapshot): string[] {
  const rows = (['payments', 'crm', 'warehouse'] as const).map((name) => {
    const mine = s.engine?.connections.find((c) => c.name === name)
    const theirs = s.apis?.apis[name]
    const t = theirs?.troubles ?? { '429': 0, '500': 0, cut: 0, truncated: 0, hang: 0 }
    const engine = [mine?.breaker ?? '?', mine?.running ?? 0]
    return [
      name,
      ...engine,
      theirs?.requests ?? 0,
      t['429'],
      t['500'],
      t.cut + t.truncated,
      t.hang,
      theirs?.hidden ?? 0,
    ]
  })
  return table(
    ['connection', 'breaker', 'running', 'requests', '429', '500', 'cut', 'no answer', 'of these done all the same'],
    rows,
  )
}

function subscriptions(s: Snapshot): string[] {
  const list = (s.engine?.subscriptions ?? []).filter((x) => !x.name.startsWith('webhook.'))
  const rows = list.map((x) => [x.name, x.lag, x.parked.retry, x.parked.held, x.parked.behind, x.parked.dead])
  return table(['subscription', 'waiting', 'retry', 'held', 'behind', 'dead'], rows)
}

function sum(s: Snapshot): { lag: number; retry: number; held: number; behind: number; dead: number } {
  const total = { lag: 0, retry: 0, held: 0, behind: 0, dead: 0 }
  for (const { lag, parked } of s.engine?.subscriptions ?? []) {
    total.lag += lag
    for (const state of ['retry', 'held', 'behind', 'dead'] as const) total[state] += parked[state]
  }
  return total
}
