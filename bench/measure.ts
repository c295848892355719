import { performance } from 'node:perf_hooks'
import process from 'node:process'

export type Measured = { readonly perSecond: number; readonly cpuMicros: number }

/** Runs `work` over `n` operations; rate and CPU (user + system of this process) per operation. */
export async function measure(n: number, work: () => Promise<void>): Promise<Measured> {
  const cpu = process.cpuUsage()
  const begun = performance.now()
  await work()
  const ms = performance.now() - begun
  const used = process.cpuUsage(cpu)
  return { perSecond: (n / ms) * 1000, cpuMicros: (used.user + used.system) / n }
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

/** The median of each named figure over the rounds that have it. */
export function medians(rounds: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const names = [...new Set(rounds.flatMap((r) => Object.keys(r)))]
  return Object.fromEntries(names.map((name) => [name, median(rounds.flatMap((r) => r[name] ?? []))]))
}
