import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { medians } from './measure.ts'

export const about = [
  'one process with everything on; idle_pss: 3 s after the start, nothing sent; ready: after Node itself has started',
  'pss_after_*: proportional set size after so many messages of 250 bytes passed through',
]

async function once1<T>(child: ReturnType<typeof fork>): Promise<T> {
  return ((await once(child, 'message')) as [T])[0]
}

export async function run(): Promise<Record<string, number>> {
  const rounds = []
  for (let i = 0; i < 3; i++) {
    const folder = mkdtempSync(join(tmpdir(), 'fairlead-bench-'))
    const child = fork(new URL('./footprint-app.ts', import.meta.url), [join(folder, 'fairlead.db')])
    const { ready } = await once1<{ ready: number }>(child)
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    child.send('pss')
    const idle = await once1<{ pss: number }>(child)
    child.send(200_000)
    const some = await once1<{ pss: number }>(child)
    child.send(1_000_000)
    const million = await once1<{ pss: number }>(child)
    const ended = once(child, 'exit')
    child.send('exit')
    await ended
    rmSync(folder, { recursive: true })
    rounds.push({
      idle_pss_mib: idle.pss,
      ready_ms: ready,
      pss_after_200k_mib: some.pss,
      pss_after_1200k_mib: million.pss,
    })
  }
  return medians(rounds)
}
