import { Coverage } from './coverage.ts'
import type { Decisions } from './decisions.ts'
import { shrink, type Shrunk } from './shrink.ts'
import { simulate } from './simulation.ts'
import { stored } from './stored.ts'

/** A world that broke an invariant. */
export type Failure = {
  /** Its seed, or the name of the stored list. */
  readonly world: string
  readonly broken: readonly string[]
  readonly decisions: Decisions
}

export type Totals = {
  worlds: number
  /** Of these, played twice to see whether a seed is one run. */
  twice: number
  accepted: number
  runs: number
  simulatedMs: number
  readonly coverage: Coverage
  failure: Failure | undefined
}

/** One world in so many is played twice. */
const twiceEvery = 100

/** Plays stored lists and then seeds, until one fails, all are played or `more` says no. */
export async function explore(of: {
  readonly from: number
  readonly seeds: number
  /** Without the stored lists, to measure how soon seeds find something. */
  readonly seedsOnly?: boolean
  readonly more: () => boolean
  readonly playing?: (world: string) => void
}): Promise<Totals> {
  const totals: Totals = {
    worlds: 0,
    twice: 0,
    accepted: 0,
    runs: 0,
    simulatedMs: 0,
    coverage: new Coverage(),
    failure: undefined,
  }
  const play = async (world: string, what: number | Decisions): Promise<void> => {
    of.playing?.(world)
    const result = await simulate(what)
    totals.worlds++
    totals.accepted += result.seen.accepted
    totals.runs += result.seen.runs
    totals.simulatedMs += result.seen.ms
    totals.coverage.add(result.coverage)
    let { broken } = result
    if (broken.length === 0 && totals.worlds % twiceEvery === 0) {
      totals.twice++
      if ((await simulate(what)).hash !== result.hash)
        broken = [`I18: ${world} was played twice, and was not the same run`]
    }
    if (broken.length > 0) totals.failure = { world, broken, decisions: result.decisions }
  }
  for (const s of of.seedsOnly === true ? [] : stored) {
    if (!of.more() || totals.failure) return totals
    await play(s.name, s.decisions)
  }
  for (let seed = of.from; seed < of.from + of.seeds && of.more() && !totals.failure; seed++)
    await play(`${seed}`, seed)
  return totals
}

/** The shortest list of decisions under which the same invariant is broken. */
export function shortest(failure: Failure, more: () => boolean): Promise<Shrunk> {
  const kinds = new Set(failure.broken.map(invariantOf))
  const fails = async (decisions: Decisions): Promise<boolean> =>
    (await simulate(decisions)).broken.some((b) => kinds.has(invariantOf(b)))
  return shrink(failure.decisions, fails, more)
}

export function invariantOf(broken: string): string {
  return broken.slice(0, broken.indexOf(':'))
}
