// `npm start`: two processes, a sender, a live view, an audit. See README.md.
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { readLedger } from './apis/ledger.ts'
import type { ApisReady, ApisStats } from './apis/main.ts'
import { audit } from './books.ts'
import { Child } from './child.ts'
import { EngineHost } from './engine-host.ts'
import { unsettled } from './engine-report.ts'
import { emptyFolder, release, type Folder } from './folder.ts'
import { help, options, type Options } from './options.ts'
import { plan } from './plan.ts'
import { Progress } from './progress.ts'
import { dice, seedOf } from './random.ts'
import { send } from './sender.ts'
import { statement } from './statement.ts'
import { View } from './view.ts'

/** Milliseconds after the start. The outage lies in the middle of the sending and ends before it does. */
const times = { spread: 48_000, outageAt: 15_000, outage: 20_000 } as const
/** After the last request the backlog is worked off. When nothing of it moves for so long, the books are closed as they are. */
const patience = 45_000

const asked = options(process.argv.slice(2))
if ('help' in asked) {
  process.stdout.write(help)
} else if ('wrong' in asked) {
  process.stderr.write(`${asked.wrong}\n\n${help}`)
  process.exitCode = 2
} else {
  process.exitCode = await main(asked)
}

async function main(opts: Options): Promise<number> {
  const stop = new AbortController()
  let stopped = 0
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.on(signal, () => {
      // The second Ctrl-C does not wait for anybody; children notice that their parent is gone.
      if (stopped > 0) process.exit(code)
      stopped = code
      stop.abort(new Error('stopped'))
    })
  }
  let folder: Folder
  try {
    folder = emptyFolder(process.cwd(), process.pid)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return 2
  }
  const secrets = newSecrets()
  const apis = new Child<ApisReady>(new URL('./apis/main.ts', import.meta.url), join(folder.path, 'apis.log'), {
    LEDGER: folder.ledger,
    SEED: String(opts.seed),
    API_KEY: secrets.apiKey,
  })
  let engine: EngineHost | undefined
  try {
    const urls = await apis.ready
    engine = new EngineHost(folder.log, {
      STORE: folder.store,
      API_KEY: secrets.apiKey,
      PAYMENTS_URL: urls.payments,
      CRM_URL: urls.crm,
      WAREHOUSE_URL: urls.warehouse,
      ...Object.fromEntries(
        Object.entries(secrets.hooks).map(([name, key]) => [`${name.toUpperCase()}_HOOK_KEY`, key]),
      ),
    })
    await engine.start()
    const balanced = await Promise.race([run(opts, folder, secrets.hooks, apis, engine, stop.signal), engine.failure])
    if (!opts.once) await Promise.race([stay(engine.url, folder, stop.signal), engine.failure])
    return balanced ? 0 : 1
  } catch (error) {
    if (stopped > 0) return stopped
    process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  } finally {
    stop.abort(new Error('stopped'))
    await Promise.all([engine?.stop(), apis.stop()])
    release(folder)
  }
}

type Hooks = ReturnType<typeof newSecrets>['hooks']

/** The run itself: true when the books balance. */
async function run(
  opts: Options,
  folder: Folder,
  secrets: Hooks,
  apis: Child<ApisReady>,
  engine: EngineHost,
  signal: AbortSignal,
): Promise<boolean> {
  const planned = plan({ seed: opts.seed, messages: opts.messages, spread: times.spread })
  const progress = new Progress(planned.length)
  const view = new View(process.stdout)
  const look = async (): Promise<void> => {
    const [report, stats] = await Promise.all([engine.report(), apis.ask('stats').catch(() => undefined)])
    progress.heard(report)
    progress.apis = (stats as ApisStats | undefined) ?? progress.apis
    view.draw(progress.snapshot())
  }
  const watching = new AbortController()
  const watch = repeat(look, 500, AbortSignal.any([signal, watching.signal]))

  await Promise.all([
    send(planned, { secrets, signal, address: () => engine.url, told: (answer) => progress.told.push(answer) }),
    wait(times.outageAt, undefined, { signal }).then(() => apis.ask('outage', times.outage, times.outage + 5_000)),
    opts.crash ? crashes(opts.seed, engine, progress, signal) : undefined,
  ])
  progress.phase = 'working off'
  await settled(engine, signal)
  progress.phase = 'done'
  watching.abort()
  await watch
  await look()

  const report = await engine.report()
  if (!report || !progress.apis) throw new Error('the engine or the stand-ins do not answer')
  const parked = await engine.parked()
  const effects = readLedger(folder.ledger)
  const books = audit({ planned: planned.length, told: progress.told, effects, engine: report, parked })
  if (opts.crash && progress.kills !== 3) throw new Error(`the engine was killed ${progress.kills} times, not 3`)
  process.stdout.write(`${statement(books, progress.apis, progress.peaks).join('\n')}\n`)
  writeFileSync(join(folder.path, 'books.json'), `${JSON.stringify(books, null, 2)}\n`)
  return books.problems.length === 0
}

/** Three kills, one in each third of the sending, the moment drawn from the seed. */
async function crashes(seed: number, engine: EngineHost, progress: Progress, signal: AbortSignal): Promise<void> {
  const d = dice(seedOf(seed, 'crash'))
  const third = times.spread / 3
  for (let i = 0; i < 3; i++) {
    const at = i * third + third * (0.15 + 0.8 * d.float())
    await wait(Math.max(0, at - progress.elapsed), undefined, { signal })
    progress.kills++
    progress.engineUp = false
    await engine.crash(() => wait(d.whole(300, 900), undefined, { signal }))
  }
}

/** Until nothing is waiting twice in a row, or nothing moves any more: then the audit says what is left. */
async function settled(engine: EngineHost, signal: AbortSignal): Promise<void> {
  let least = Number.POSITIVE_INFINITY
  let moved = performance.now()
  for (let quiet = 0; quiet < 2 && performance.now() - moved < patience;) {
    const report = await engine.report()
    const left = report ? unsettled(report) : Number.POSITIVE_INFINITY
    if (left < least) {
      least = left
      moved = performance.now()
    }
    quiet = left === 0 ? quiet + 1 : 0
    await wait(250, undefined, { signal })
  }
}

async function stay(url: string, folder: Folder, signal: AbortSignal): Promise<void> {
  process.stdout.write(`\nThe engine stays up at ${url} (store: ${folder.store}). Ctrl-C stops.\n`)
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

async function repeat(work: () => Promise<void>, every: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await work()
    await wait(every, undefined, { signal }).catch(() => {})
  }
}

/** New ones for every run: nothing that could be mistaken for a credential is in the repository. */
function newSecrets() {
  const whsec = (): string => `whsec_${randomBytes(32).toString('base64')}`
  const text = (): string => randomBytes(32).toString('hex')
  return {
    apiKey: text(),
    hooks: { stripe: whsec(), shopify: text(), slack: text(), github: text(), carrier: whsec() },
  }
}
