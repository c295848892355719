import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { medians } from './measure.ts'

export const about = [
  'one process with everything on; idle_pss: 3 s after the start, nothing sent; ready: after Node itself has started',
  'pss_after_*: proportional set size after so many messages of 250 bytes passed through',
]

async function once1<T>(child: ReturnType<typeof fork>): Promise<T> {
  return ((await once(child, 'message')) as [T])[0]
}

export async function run(): Promise<Record<string, number>> {
  const root = fileURLToPath(new URL('..', import.meta.url))
  execFileSync(process.execPath, ['tools/build.ts'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
  const rounds = []
  for (let i = 0; i < 3; i++) {
    const folder = mkdtempSync(join(tmpdir(), 'fairlead-bench-'))
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(join(root, 'dist'), join(folder, 'node_modules', 'fairlead'))
    copyFileSync(new URL('./footprint-app.mjs', import.meta.url), join(folder, 'app.mjs'))
    const child = fork(join(folder, 'app.mjs'), [join(folder, 'fairlead.db')], { execArgv: [] })
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
