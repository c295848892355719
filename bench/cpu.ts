import { readdirSync, readFileSync } from 'node:fs'
import process from 'node:process'

/** Of Linux on all machines that Node runs on. */
const ticksPerSecond = 100

/**
 * CPU microseconds of this process, and of the tree of processes at `server`, those that ended and were waited for
 * included. A server's CPU is counted in ticks of 10 ms: measure seconds, not milliseconds.
 */
export function cpuMicros(server?: number): number {
  const { user, system } = process.cpuUsage()
  return user + system + (server === undefined ? 0 : (treeTicks(server) / ticksPerSecond) * 1e6)
}

function treeTicks(root: number): number {
  const children = new Map<number, number[]>()
  const ticks = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid)) continue
    const stat = read(`/proc/${name}/stat`)
    if (stat === undefined) continue
    // The name of the program stands in brackets and may hold anything; behind it: state, parent, …
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const parent = Number(fields[1])
    children.set(parent, [...(children.get(parent) ?? []), pid])
    // utime, stime, and those of children that were waited for.
    ticks.set(
      pid,
      fields.slice(11, 15).reduce((sum, f) => sum + Number(f), 0),
    )
  }
  let sum = 0
  const open = [root]
  for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
    sum += ticks.get(pid) ?? 0
    open.push(...(children.get(pid) ?? []))
  }
  return sum
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}
