import type { ApisStats } from './apis/main.ts'
import type { EngineReport } from './engine-report.ts'
import type { Told } from './sender.ts'

/** Everything that the view shows, at one moment. */
export type Snapshot = {
  readonly elapsed: number
  readonly phase: 'sending' | 'working off' | 'done'
  readonly planned: number
  readonly answered: number
  readonly accepted: number
  readonly duplicate: number
  readonly refused: number
  /** Requests answered for good in the last 5 s, per second; likewise effects in the ledgers. */
  readonly answersPerSecond: number
  readonly effectsPerSecond: number
  /** Milliseconds from the last attempt to its answer, over the whole run: median and the 99th of 100. */
  readonly p50: number
  readonly p99: number
  readonly kills: number
  readonly engineUp: boolean
  readonly engine: EngineReport | undefined
  readonly apis: ApisStats | undefined
}

type Sample = { readonly at: number; readonly answered: number; readonly effects: number }

/** Gathers what the sender, the engine and the stand-ins tell, and turns it into snapshots. */
export class Progress {
  readonly told: Told[] = []
  readonly planned: number
  phase: Snapshot['phase'] = 'sending'
  kills = 0
  engineUp = true
  apis: ApisStats | undefined
  /** Per subscription: the most messages that were seen parked at once, waiting for another try. */
  readonly peaks = new Map<string, number>()
  #engine: EngineReport | undefined
  readonly #start = performance.now()
  #samples: Sample[] = []

  constructor(planned: number) {
    this.planned = planned
  }

  get engine(): EngineReport | undefined {
    return this.#engine
  }

  /** What the engine said last; undefined when it did not answer. */
  heard(report: EngineReport | undefined): void {
    this.engineUp = report !== undefined
    this.#engine = report ?? this.#engine
    for (const { name, parked } of report?.subscriptions ?? []) {
      this.peaks.set(name, Math.max(this.peaks.get(name) ?? 0, parked.retry + parked.held))
    }
  }

  get elapsed(): number {
    return performance.now() - this.#start
  }

  snapshot(): Snapshot {
    const elapsed = this.elapsed
    const now = { at: elapsed, answered: this.told.length, effects: this.apis?.effects ?? 0 }
    this.#samples = [...this.#samples.filter((s) => s.at > elapsed - 5_000), now]
    const then = this.#samples[0] ?? now
    const rate = (name: 'answered' | 'effects'): number =>
      now.at > then.at ? ((now[name] - then[name]) * 1000) / (now.at - then.at) : 0
    const n = (outcome: Told['outcome']): number => this.told.filter((t) => t.outcome === outcome).length
    const times = this.told.map((t) => t.ms).sort((a, b) => a - b)
    const { phase, planned, kills, engineUp, engine, apis } = this
    return {
      elapsed,
      phase,
      planned,
      answered: now.answered,
      accepted: n('accepted'),
      duplicate: n('duplicate'),
      refused: n('refused'),
      answersPerSecond: rate('answered'),
      effectsPerSecond: rate('effects'),
      p50: times[times.length >> 1] ?? 0,
      p99: times[Math.floor(times.length * 0.99)] ?? 0,
      kills,
      engineUp,
      engine,
      apis,
    }
  }
}
