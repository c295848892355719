import { createRequire } from 'node:module'
import {
  bulkhead as cockatielBulkhead,
  circuitBreaker,
  ConsecutiveBreaker,
  ExponentialBackoff,
  handleAll,
  retry as cockatielRetry,
  timeout as cockatielTimeout,
  TimeoutStrategy,
  wrap,
} from 'cockatiel'
import type { Clock } from '#kernel/clock.ts'
import { breaker } from '#resilience/breaker.ts'
import { bulkhead } from '#resilience/bulkhead.ts'
import { compose, type Pipeline } from '#resilience/compose.ts'
import { LeasedWindow } from '#resilience/leased.ts'
import { limit } from '#resilience/limiter.ts'
import { Quotas } from '#resilience/quotas.ts'
import { retry } from '#resilience/retry.ts'
import { timeout } from '#resilience/timeout.ts'

/**
 * What it costs to put policies around work that does nothing: nanoseconds a call, sequential awaits, all candidates in
 * one process, one after the other in each round so that a busy minute hits them alike; the median of the rounds.
 *
 * - `noop_ns` the bare work; `pipeline_ns` retry, breaker, timeout, bulkhead and limiter of ours
 * - `shared_ns` the same with a limit and a breaker that are shared with other processes, a permit at hand
 * - `cockatiel_ns` retry, breaker, timeout and bulkhead of cockatiel: the better of its two timeout strategies
 * - `opossum_ns` breaker, timeout and capacity of opossum
 */
export async function run(): Promise<Record<string, number>> {
  return { ...(await pipelines()) }
}

const rounds = 9

/** The work of all candidates. */
const noop = async (): Promise<number> => 1

async function pipelines(): Promise<Record<string, number>> {
  const ours = compose(
    { clock: real, random: { float: () => Math.random(), bytes: (n) => new Uint8Array(n) } },
    ...five,
  )
  const shared = sharedPipeline()
  const cooperative = cockatiel(TimeoutStrategy.Cooperative)
  const aggressive = cockatiel(TimeoutStrategy.Aggressive)
  const opossum = new Opossum(noop, { timeout: 30_000, capacity: 20, errorThresholdPercentage: 50 })
  const candidates: readonly Candidate[] = [
    { name: 'noop', calls: 400_000, call: noop },
    { name: 'pipeline', calls: 200_000, call: () => ours.run(noop) },
    { name: 'shared', calls: 200_000, call: () => shared.run(noop) },
    { name: 'cooperative', calls: 20_000, call: () => cooperative.execute(noop) },
    { name: 'aggressive', calls: 20_000, call: () => aggressive.execute(noop) },
    { name: 'opossum', calls: 60_000, call: () => opossum.fire() },
  ]
  const taken = new Map<string, number[]>(candidates.map((c) => [c.name, []]))
  // The first round warms up and is not counted.
  for (let round = 0; round <= rounds; round++) {
    for (const candidate of candidates) {
      const ns = await measure(candidate)
      if (round > 0) taken.get(candidate.name)!.push(ns)
    }
  }
  ours.close()
  shared.close()
  opossum.shutdown()
  const of = (name: string): number => Math.round(median(taken.get(name)!))
  return {
    noop_ns: of('noop'),
    pipeline_ns: of('pipeline'),
    shared_ns: of('shared'),
    cockatiel_ns: Math.min(of('cooperative'), of('aggressive')),
    opossum_ns: of('opossum'),
  }
}

type Candidate = { readonly name: string; readonly calls: number; readonly call: () => Promise<unknown> }

/** Limits that are never reached here: what is measured is passing them. */
const five = [retry(), breaker(), timeout('30s'), bulkhead(), limit('100000000/s')]

/** As a connection has it in a fleet. */
function sharedPipeline(): Pipeline {
  const quota = new LeasedWindow('100000000/s', 100_000_000, 1_000)
  quota.grant({ share: 100_000_000, fair: 100_000_000, hope: 100_000_000, until: Infinity, alone: Infinity })
  const random = { float: () => Math.random(), bytes: (n: number) => new Uint8Array(n) }
  const pipeline = compose({ clock: real, random, quotas: () => new Quotas([quota]) }, ...five)
  pipeline.breaker!.join({ claim: (decided) => decided(true), judged() {}, answered() {} })
  return pipeline
}

/** The clock that `app/` builds for a real process. */
const real: Clock = {
  now: () => Date.now(),
  mono: () => performance.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms)
    return () => clearTimeout(timer)
  },
  soon: (fn) => setImmediate(fn),
}

function cockatiel(strategy: TimeoutStrategy): { execute: (work: () => Promise<number>) => Promise<number> } {
  return wrap(
    cockatielRetry(handleAll, { maxAttempts: 4, backoff: new ExponentialBackoff() }),
    circuitBreaker(handleAll, { halfOpenAfter: 30_000, breaker: new ConsecutiveBreaker(5) }),
    cockatielTimeout(30_000, strategy),
    cockatielBulkhead(20, 100),
  )
}

type OpossumBreaker = { fire(): Promise<unknown>; shutdown(): void }
/** It ships no types. */
const Opossum = createRequire(import.meta.url)('opossum') as new (
  work: () => Promise<unknown>,
  options: { readonly timeout: number; readonly capacity: number; readonly errorThresholdPercentage: number },
) => OpossumBreaker

async function measure({ calls, call }: Candidate): Promise<number> {
  const start = process.hrtime.bigint()
  for (let i = 0; i < calls; i++) await call()
  return Number(process.hrtime.bigint() - start) / calls
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!
}
