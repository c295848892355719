import type { Place } from './world/place.ts'

export type Env = {
  readonly seed: number
  /** How often a process is killed (or whatever a scenario repeats); each scenario says what it makes of it. */
  readonly kills: number
  /** Every n-th point of a sweep; 1: all of them. */
  readonly every: number
  readonly fresh: () => Place
  /** Tells a person that something goes on. */
  readonly say: (text: string) => void
}

/** What a scenario prints. Figures that it does not measure are absent. */
export type Figures = {
  readonly injected: number
  readonly acknowledged: number
  readonly lost: number
  readonly doubled: number
  /** Handlers run again after a kill, at most. */
  readonly duplicates?: number
  /** Milliseconds from the fault to the next acknowledgement. */
  readonly recovery?: readonly number[]
  /** Anything else worth a number. */
  readonly more?: Readonly<Record<string, number | string>>
}

export type Result = Figures & {
  /** Every invariant that broke, a sentence each, with what is needed to see it again. Empty: all held. */
  readonly broken: readonly string[]
}

export type Scenario = {
  readonly name: string
  /** One line: what is injected, and how often by default. */
  readonly about: string
  /** Its small numbers, for a run of everything in a few minutes. */
  readonly kills: number
  readonly every: number
  /** Why it cannot run here; undefined when it can. */
  readonly lacking?: () => string | undefined
  readonly run: (env: Env) => Promise<Result>
}
