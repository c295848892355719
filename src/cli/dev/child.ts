/**
 * The app under `fairlead dev`: a process of its own, so that a changed module is loaded anew and a crash ends only this.
 * Runs until it is told to stop, or until `fairlead dev` is gone; Ctrl-C reaches it too and is left to its parent.
 */
import { resolve } from 'node:path'
import type { App, World } from '#app/fairlead.ts'
import type { ChaosRule } from '#app/http/chaos.ts'
import { milliseconds } from '#kernel/duration.ts'
import { fault } from '#kernel/fault.ts'
import { listenAt } from '../commands/start.ts'
import { report } from '../errors.ts'
import { loadProject } from '../project.ts'
import { processTerminal } from '../terminal.ts'
import { soundConfig } from '../with-app.ts'
import type { Order, Plan, Told } from './protocol.ts'

const statusEvery = 1_000
const plan = JSON.parse(process.argv[2] ?? '{}') as Plan
const tell = (told: Told): void => {
  if (process.connected) process.send!(told)
}
let app: App | undefined
let stopping = false

async function stop(): Promise<void> {
  if (stopping) return
  stopping = true
  try {
    await app?.[Symbol.asyncDispose]()
  } catch (e) {
    report(e, processTerminal(), { json: false, debug: process.env['FAIRLEAD_DEBUG'] === '1' })
  }
  process.exit(0)
}

process.on('SIGINT', () => {})
process.on('SIGTERM', () => void stop())
process.on('disconnect', () => void stop())
process.on('message', (order: Order) => {
  if (order.order === 'stop') void stop()
})

try {
  const { listen, ...options } = await soundConfig(await loadProject(plan.config))
  const { fairlead } = await import('#app/fairlead.ts')
  // Shorter than in production: whoever has saved a file waits for it.
  const grace = options.grace ?? '2s'
  const started = await fairlead({ ...options, grace }, plan.chaos === undefined ? {} : await chaosOf(plan.chaos))
  app = started
  for (const { connection } of plan.chaos ?? []) {
    if (connection === undefined || started.definitions.connections.has(connection)) continue
    throw fault('cli.usage', { message: `--chaos names the connection ${connection}, which is not defined` })
  }
  const at = listenAt(listen, plan)
  const bound = at && (await started.listen(at))
  const path = (options.store as { readonly path?: unknown } | undefined)?.path
  const written = typeof path === 'string' && path !== ':memory:' ? [resolve(path)] : []
  tell({ told: 'running', url: bound?.url ?? null, written, grace: milliseconds(grace) })
  if (plan.watched) void tellStatus(started)
} catch (e) {
  const code = report(e, processTerminal(), { json: false, debug: process.env['FAIRLEAD_DEBUG'] === '1' })
  await app?.[Symbol.asyncDispose]()
  process.exit(code)
}

async function chaosOf(rules: readonly ChaosRule[]): Promise<World> {
  const [{ ChaosHttp }, { systemClock, systemRandom }] = await Promise.all([
    import('#app/http/chaos.ts'),
    import('#app/runtime.ts'),
  ])
  return {
    around: (inner) => {
      const chaos = new ChaosHttp(inner, { clock: systemClock, random: systemRandom })
      chaos.set(rules)
      return chaos
    },
  }
}

async function tellStatus(started: App): Promise<void> {
  for (;;) {
    if (stopping) return
    try {
      tell({ told: 'status', status: await started.operations.status() })
    } catch {
      // The store is in trouble: the log says so, and the view shows what was last known.
    }
    await new Promise<void>((resolve) => setTimeout(resolve, statusEvery).unref())
  }
}
