import { fork, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { medians } from './measure.ts'

export const about = [
  'Stripe signature over about 1 KB, 100 connections; server and load generator in processes of their own',
  'stored: verified, deduplicated, on disk before the 200. nothing_stored: the same server with a store that does nothing',
]

const seconds = 3

function next<T>(child: ChildProcess, wanted: (m: unknown) => m is T): Promise<T> {
  return new Promise((resolve, reject) => {
    const got = (m: unknown): void => {
      if (!wanted(m)) return
      child.off('message', got)
      resolve(m)
    }
    child.on('message', got)
    child.once('exit', (code) => reject(new Error(`${child.spawnfile} ended with ${code}`)))
  })
}

const has =
  <K extends string>(name: K) =>
  (m: unknown): m is Record<K | 'perSecond' | 'p99' | 'done' | 'bad', number> =>
    typeof m === 'object' && m !== null && name in m

async function load(kind: string): Promise<{ perSecond: number; p99: number; cpu: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-bench-'))
  const server = fork(new URL('./webhook-server.ts', import.meta.url), [kind, folder])
  try {
    const { port } = await next(server, has('port'))
    const generator = fork(new URL('./webhook-load.ts', import.meta.url), [String(port), String(seconds)])
    await next(generator, (m): m is 'begin' => m === 'begin')
    server.send('begin')
    const result = await next(generator, has('perSecond'))
    server.send('end')
    const { cpu } = await next(server, has('cpu'))
    if (result.bad > 0) throw new Error(`${kind}: ${result.bad} of ${result.done} requests were refused`)
    return { perSecond: result.perSecond, p99: result.p99, cpu: cpu / result.done }
  } finally {
    const ended = new Promise((resolve) => server.once('exit', resolve))
    server.send('exit')
    await ended
    rmSync(folder, { recursive: true })
  }
}

export async function run(): Promise<Record<string, number>> {
  const rounds = []
  for (let i = 0; i < 3; i++) {
    const stored = await load('stored')
    const nothing = await load('nothing_stored')
    const routed = await load('routed')
    const naive = await load('naive_sqlite')
    rounds.push({
      stored: stored.perSecond,
      nothing_stored: nothing.perSecond,
      naive_sqlite: naive.perSecond,
      cpu_us: stored.cpu,
      p99_ms: stored.p99,
      nothing_stored_cpu_us: nothing.cpu,
      nothing_stored_p99_ms: nothing.p99,
      routed: routed.perSecond,
    })
  }
  return medians(rounds)
}
