import type { Chance } from './decisions.ts'

/** What goes wrong at the store at the moment: shares of the calls, and how long they take at most. */
export type Weather = {
  /** Refused as a whole, nothing applied. */
  full: number
  busy: number
  /** Applied, and reported as failed. */
  unknown: number
  /** A sync fails: from then on every process that has the file open is refused until it opens it again. */
  broken: number
  /** A read fails. */
  read: number
  /** Milliseconds that a call takes at most, half of it before it is applied. */
  slow: number
  /** Milliseconds that a sync takes at most. */
  sync: number
}

export const fair: Readonly<Weather> = { full: 0, busy: 0, unknown: 0, broken: 0, read: 0, slow: 0, sync: 0 }

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
  /** Share of messages whose first runs fail, and of those that never succeed. */
  readonly failing: number
  readonly permanent: number
  readonly weather: Weather
  /** Stretches in which the store takes nothing at all. */
  readonly periods: number
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
  /** Clients that send again what was not answered, later and through any process. */
  readonly insistent: boolean
}

export function swarm(c: Chance): Swarm {
  const some = (label: string, share: number, value: number): number => (c.likely(`swarm ${label}`, share) ? value : 0)
  const storm = c.likely('swarm storm', 0.55)
  const retention = c.likely('swarm retention', 0.05)
  return {
    processes: c.one('swarm processes', [1, 1, 2, 2, 3]),
    oneHost: !c.likely('swarm hosts', 0.5),
    partitions: c.one('swarm partitions', [1, 1, 2, 3]),
    keys: c.one('swarm keys', [1, 2, 4, 8]),
    keyless: c.one('swarm keyless', [0, 0.2, 1]),
    concurrency: c.one('swarm concurrency', [1, 2, 3, 8]),
    batch: c.one('swarm batch', [0, 0, 1, 2, 5]),
    attempts: c.one('swarm attempts', [1, 2, 3, 5]),
    parkedLimit: c.one('swarm parked', [10_000, 10_000, 10_000, 1, 3]),
    steps: c.whole('swarm steps', 10, 75),
    failing: c.one('swarm failing', [0, 0.1, 0.3, 0.6]),
    permanent: c.one('swarm permanent', [0, 0, 0.1]),
    weather: storm
      ? {
          full: some('full', 0.4, 0.1),
          busy: some('busy', 0.4, 0.1),
          unknown: some('unknown', 0.6, 0.1),
          broken: some('broken', 0.1, 0.01),
          read: some('read', 0.4, 0.1),
          slow: some('slow', 0.5, c.one('swarm slowness', [2, 20, 200])),
          sync: some('sync', 0.6, c.one('swarm syncing', [2, 20, 200])),
        }
      : fair,
    periods: storm ? some('periods', 0.3, 1) : 0,
    crash: some('crash', 0.5, 2),
    freeze: some('freeze', 0.4, 2),
    restart: some('restart', 0.3, 2),
    powerCut: retention ? 0 : some('power', 0.25, 1.5),
    jump: some('jump', 0.2, 1),
    operators: some('operators', 0.5, 4),
    retention,
    compact: retention && c.likely('swarm compact', 0.5),
    bursts: some('bursts', 0.5, 3),
    insistent: c.likely('swarm insistent', 0.5),
  }
}

/** Whether only processes end in this seed, and everything else goes well: then nothing that ended may run again. */
export function calmBut(s: Swarm): boolean {
  return s.weather === fair && s.freeze === 0 && s.powerCut === 0
}

/** Whether no process ends and nothing else goes wrong but handlers. */
export function calm(s: Swarm): boolean {
  return calmBut(s) && s.crash === 0 && s.restart === 0
}
