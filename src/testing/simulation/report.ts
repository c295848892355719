import { invariants, type Invariant } from './coverage.ts'
import type { Totals } from './explore.ts'
import type { Result } from './simulation.ts'

export type Figures = ReturnType<typeof figuresOf>

/** What a run of many worlds has to say, as data. */
export function figuresOf(totals: Totals, seconds: number) {
  const { coverage } = totals
  return {
    worlds: totals.worlds,
    twice: totals.twice,
    seconds: round(seconds),
    worldsPerSecond: round(totals.worlds / seconds),
    simulatedHours: round(totals.simulatedMs / 3_600_000),
    simulatedToReal: Math.round(totals.simulatedMs / 1_000 / seconds),
    accepted: totals.accepted,
    runs: totals.runs,
    faults: Object.fromEntries([...coverage.faults].sort((a, b) => b[1] - a[1])),
    pairs: coverage.pairs,
    invariants: Object.fromEntries(
      Object.keys(invariants).flatMap((i) => {
        const n = coverage.checks.get(i as Invariant)
        return n === undefined ? [] : [[i, n]]
      }),
    ),
  }
}

export function summary(f: Figures): string {
  const faults = Object.entries(f.faults).map(([kind, n]) => `${kind} ${count(n)}`)
  const { covered, of, never } = f.pairs
  const lines = [
    `${count(f.worlds)} ${f.worlds === 1 ? 'world' : 'worlds'} in ${f.seconds} s, ${f.worldsPerSecond} a second; ${f.twice} of them played twice`,
    `${f.simulatedHours} simulated hours, ${count(f.simulatedToReal)} : 1; ${count(f.accepted)} messages accepted, ${count(f.runs)} runs of handlers`,
    `faults: ${faults.length === 0 ? 'none' : faults.join(', ')}`,
    `fault × operation: ${covered} of ${of} pairs${never.length > 0 && never.length <= 12 ? `; never ${never.join(', ')}` : ''}`,
    'checked:',
    ...Object.entries(f.invariants).map(
      ([i, n]) => `  ${i.padEnd(4)}${count(n).padStart(9)}  ${invariants[i as Invariant]}`,
    ),
  ]
  return lines.join('\n')
}

/** A broken world, for people: what broke, what was decided, what happened. `all`: the whole timeline, not its end. */
export function story(result: Result, all: boolean): string {
  const { timeline, told, broken } = result
  const shown = all ? timeline : timeline.slice(-80)
  return [
    ...(told.length > 0 ? ['decisions (all others are the dullest):', ...told.map((t) => `  ${t}`), ''] : []),
    ...(shown.length < timeline.length
      ? [`timeline, the last ${shown.length} of ${timeline.length} lines:`]
      : ['timeline:']),
    ...shown,
    '',
    ...(broken.length > 0 ? ['broken:', ...broken.slice(0, 20).map((b) => `  ${b}`)] : ['everything held']),
  ].join('\n')
}

function count(n: number): string {
  return n.toLocaleString('en')
}

function round(n: number): number {
  return Math.round(n * 10) / 10
}
