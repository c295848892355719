import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { budget, halfCapacity, outage, toldToWait } from '#patterns/connections/fleet/outage.fixture.ts'
import { didOf, mostIn, upstream } from '../../test/limits.fixture.ts'

export const about = [
  'fleet_rate: calls a second that the processes sent together, all of them always wanting more; fleet_limit: what they may',
  'fleet_most: the most sends in any window of a second; fleet_writes: commits to the store a second, of the busiest process',
  'outage_*, recovery_*: ten minutes without an answer, then well; amplification is sends a call; peak is times the demand in a second',
  'budget_amplification: the same without a breaker; half_capacity_*: twice the load meets half the capacity for 30 s',
  'throttled_sends: sent more than a second after one process was told to wait; throttled_heard_ms: the last one sent',
]

export const options = { processes: '8', limit: '1000', seconds: '10' }

const worker = fileURLToPath(new URL('../../test/limits.fixture.ts', import.meta.url))

/** All figures of a fleet. */
export async function run(given: Partial<typeof options> = {}): Promise<Record<string, number>> {
  return { ...(await limitOverProcesses(given)), ...(await faults()) }
}

/** Their outages over eight processes in virtual time: the same figures on every machine. */
export async function faults(): Promise<Record<string, number>> {
  return { ...(await outage()), ...(await budget()), ...(await halfCapacity()), ...(await toldToWait()) }
}

/**
 * One limit over several processes on one SQLite file, calling a server on loopback as fast as they are let. An auditor sees
 * only the sends, each noted as it goes to the HTTP client, on this machine's monotonic clock. The first three seconds, in
 * which they find each other, count for `fleet_most` only.
 */
export async function limitOverProcesses(given: Partial<typeof options> = {}): Promise<Record<string, number>> {
  const { processes, limit, seconds } = { ...options, ...given }
  const server = await upstream()
  const folder = mkdtempSync(join(tmpdir(), 'bench-fleet-'))
  const children = Array.from({ length: Number(processes) }, () =>
    spawn(process.execPath, [worker, server.origin, `${limit}/s`, join(folder, 'fleet.db')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  )
  try {
    const printed = children.map(({ stdout }) => {
      const all: string[] = []
      stdout.setEncoding('utf8').on('data', (text: string) => void all.push(text))
      return all
    })
    while (!printed.every((all) => all.length > 0)) await pause(20)
    await pause(3_000)
    const from = Number(process.hrtime.bigint()) / 1e6
    await pause(Number(seconds) * 1_000)
    const to = Number(process.hrtime.bigint()) / 1e6
    const ended = children.map((child) => once(child, 'close'))
    for (const child of children) child.kill('SIGTERM')
    await Promise.all(ended)
    const did = printed.map((all) => didOf(all.join('')))
    const sends = did.flatMap((d) => d.sends).toSorted((a, b) => a - b)
    const within = sends.filter((at) => at >= from && at < to).length
    return {
      fleet_limit: Number(limit),
      fleet_rate: within / ((to - from) / 1_000),
      fleet_most: mostIn(sends, 1_000),
      fleet_writes: Math.max(...did.map((d) => d.commits ?? Infinity)),
    }
  } finally {
    for (const child of children) child.kill('SIGKILL')
    await server.close()
    rmSync(folder, { recursive: true })
  }
}
