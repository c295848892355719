import type { Chance } from './machine.ts'
import { fair, type Weather } from './store.ts'

/** What a seed plays: features are switched on and off as a whole, so that rare combinations get whole runs. */
export type Swarm = {
  readonly processes: number
  /** On one machine a dead process is known at once; on several its beat must stop first. */
  readonly oneHost: boolean
  readonly partitions: number
  readonly keys: number
  readonly keyless: number
  readonly concurrency: number
  /** 0: no subscription that takes batches. */
  readonly batch: number
  readonly attempts: number
  readonly parkedLimit: number
  readonly steps: number
  /** Share of runs that fail, of those the shares that throw, are rejected, held, hang, come too late. */
  readonly failing: number
  readonly permanent: number
  readonly weather: Weather
  readonly crash: number
  readonly freeze: number
  readonly restart: number
  readonly powerCut: number
  readonly jump: number
  readonly operators: number
  readonly retention: boolean
  readonly compact: boolean
  /** Clients that publish from the same turn, without waiting. */
  readonly bursts: number
}

export function swarm(c: Chance): Swarm {
  const some = (share: number, value: number): number => (c.likely(share) ? value : 0)
  const storm = c.likely(0.5)
  const retention = c.likely(0.05)
  return {
    processes: c.one([1, 1, 2, 2, 3]),
    oneHost: c.likely(0.5),
    partitions: c.one([1, 1, 2, 3]),
    keys: c.one([1, 2, 4, 8]),
    keyless: c.one([0, 0.2, 1]),
    concurrency: c.one([1, 2, 3, 8]),
    batch: c.one([0, 0, 1, 2, 5]),
    attempts: c.one([1, 2, 3, 5]),
    parkedLimit: c.one([10_000, 10_000, 10_000, 1, 3]),
    steps: c.whole(15, 70),
    failing: c.one([0, 0.1, 0.3, 0.6]),
    permanent: c.one([0, 0, 0.1]),
    weather: storm
      ? {
          full: some(0.4, 0.1),
          busy: some(0.4, 0.1),
          unknown: some(0.5, 0.1),
          broken: some(0.1, 0.02),
          read: some(0.4, 0.1),
          slow: some(0.5, c.one([2, 20, 200])),
        }
      : fair,
    crash: some(0.5, 2),
    freeze: some(0.3, 2),
    restart: some(0.3, 2),
    powerCut: retention ? 0 : some(0.15, 1),
    jump: some(0.2, 1),
    operators: some(0.5, 4),
    retention,
    compact: retention && c.likely(0.5),
    bursts: some(0.5, 3),
  }
}

/** Whether only processes end in this seed, and everything else goes well: then nothing that ended may run again. */
export function calmBut(s: Swarm): boolean {
  return s.weather === fair && s.freeze === 0 && s.powerCut === 0
}
