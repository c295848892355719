import { spawn } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { bugs } from './bugs.ts'

export type Found = {
  readonly bug: string
  readonly about: string
  /** Worlds that it took from each first seed; those that did not find it are absent. */
  readonly found: readonly number[]
  /** The invariants that were broken. */
  readonly by: readonly string[]
}

type Told = { readonly worlds: number; readonly failure?: { readonly broken: readonly string[] } }

/** First seeds are this far apart. */
const apart = 10_000

/**
 * Plays every planted mistake from several first seeds until it is found, each in a process of its own: what was planted
 * cannot be taken out again. Two at a time.
 */
export async function hunt(of: {
  readonly seeds: number
  readonly starts: number
  readonly told?: (line: string) => void
}): Promise<readonly Found[]> {
  const out: Found[] = []
  const waiting = [...bugs]
  const work = async (): Promise<void> => {
    for (let bug = waiting.shift(); bug; bug = waiting.shift()) {
      const found: number[] = []
      const by = new Set<string>()
      for (let start = 0; start < of.starts; start++) {
        const told = await play(bug.name, start * apart + 1, of.seeds)
        if (!told.failure) continue
        found.push(told.worlds)
        by.add(told.failure.broken[0]!.replace(/:[^]*/, ''))
      }
      out.push({ bug: bug.name, about: bug.about, found, by: [...by] })
      const worlds = found.length === 0 ? 'never' : `after ${found.join(', ')} worlds by ${[...by].join(', ')}`
      of.told?.(
        `${bug.name}: found ${worlds}${found.length < of.starts ? `, from ${found.length} of ${of.starts} first seeds` : ''}`,
      )
    }
  }
  await Promise.all([work(), work()])
  return bugs.map((b) => out.find((f) => f.bug === b.name)!)
}

/** In another process. */
function play(bug: string, from: number, seeds: number): Promise<Told> {
  const main = fileURLToPath(new URL('main.ts', import.meta.url))
  const args = [main, '--bug', bug, '--from', `${from}`, '--seeds', `${seeds}`, '--json']
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    let wrong = ''
    child.stdout.on('data', (d: Buffer) => (out += d.toString()))
    child.stderr.on('data', (d: Buffer) => (wrong += d.toString()))
    child.on('error', reject)
    child.on('close', () => {
      try {
        resolve(JSON.parse(out) as Told)
      } catch {
        reject(new Error(`${bug} could not be played: ${wrong || out}`))
      }
    })
  })
}

export function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b)
  const mid = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[mid]! : (sorted[mid - 1]! + sorted[mid]!) / 2
}

/** Bug, median number of worlds, invariants: a line each. */
export function table(all: readonly Found[]): string {
  const width = Math.max(...all.map((f) => f.bug.length))
  const line = (f: Found): string => {
    const worlds = f.found.length === 0 ? 'never' : `${median(f.found)}`
    return `${f.bug.padEnd(width)}  ${worlds.padStart(6)}  ${f.by.join(' ').padEnd(8)}  ${f.about}`
  }
  const medians = all.filter((f) => f.found.length > 0).map((f) => median(f.found))
  return [
    `${'mistake'.padEnd(width)}  worlds  found by`,
    ...all.map(line),
    `${medians.length} of ${all.length} found, in the median after ${median(medians)} worlds`,
  ].join('\n')
}
