import type { Result } from './scenario.ts'

/** A value below which `share` of the values lie; undefined of none. */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
}

/** The figures of a scenario under stable names: recovery as p50 and p99 in whole milliseconds. */
export function figures(result: Result): Record<string, number | string> {
  const { recovery, more, broken: _, ...plain } = result
  const at = (share: number): number => Math.round(quantile(recovery ?? [], share) ?? 0)
  return {
    ...plain,
    ...(recovery === undefined || recovery.length === 0 ? {} : { recovery_ms_p50: at(0.5), recovery_ms_p99: at(0.99) }),
    ...more,
  }
}

/** One line of a scenario, and a line for each invariant that broke (at most 20). */
export function lines(name: string, result: Result, seconds: number): string {
  const shown = Object.entries(figures(result)).map(([k, v]) => `${k} ${v}`)
  const broken = result.broken.slice(0, 20).map((b) => `  BROKEN ${b}\n`)
  const rest = result.broken.length > 20 ? `  … and ${result.broken.length - 20} more\n` : ''
  const held = result.broken.length === 0 ? 'held  ' : 'BROKEN'
  return `${held} ${name.padEnd(12)} ${shown.join(' · ')} · ${seconds.toFixed(0)} s\n${broken.join('')}${rest}`
}
