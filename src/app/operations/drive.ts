import type { Parked, ParkedAt } from '#adapters/stores/port.ts'
import { milliseconds, type Duration } from '#kernel/duration.ts'
import { fault } from '#kernel/fault.ts'
import { parseRate, type Rate } from '#resilience/rate.ts'
import { lastCrash } from '#journal/history.ts'
import type { OperationDeps } from './deps.ts'

/** How messages are put on their way again. */
export type DriveOptions = {
  /** How fast. `'50/s'`, `'100/15m'`; at most 1,000 a second. */
  readonly rate?: Rate
  /**
   * Stops as soon as this share of the last 20 that ended has failed again (at least 10 of them): then the cause persists.
   * Default 0.5; above 0, and 1 at most: all of them.
   */
  readonly stopAt?: number
  /** How long the result is waited for when everything is on its way. Default 5 s, at most 1 h; not at all when no process runs. */
  readonly wait?: Duration
  /** Ends it early; what is on its way stays so. */
  readonly signal?: AbortSignal
  /** Told after each step. */
  readonly progress?: (so: Driven) => void
}

export type Driven = {
  /** Put on their way. */
  readonly started: number
  /** Left alone: somebody else was first, or they were waiting already. */
  readonly skipped: number
  /** Of those that were started: handled, failed again, neither yet. What waits behind one that failed is not handled before that one is. */
  readonly handled: number
  readonly failed: number
  readonly waiting: number
  /**
   * Why it ended before its end. `failing`: the cause persists. `idle`: nothing was handled for a minute, no process works or
   * the subscription is paused. `aborted`: by the signal. `taken`: another operator has taken it over.
   */
  readonly stopped?: 'failing' | 'idle' | 'aborted' | 'taken'
}

/** What a source has put on its way in one step; `done`: nothing is left, or somebody else goes on with it. */
export type Step = {
  readonly started: readonly ParkedAt[]
  readonly skipped: number
  readonly done: boolean
  readonly taken?: boolean
}

/** Commits the next messages, at most `most`; the nth is to be due at `due(n)`. */
export type Source = (most: number, due: (n: number) => number) => Promise<Step>

/** Started and not ended at most at once: what a crash of the engine would find waiting, and what we have to watch. */
const ahead = 1_000
const perStep = 100
const watchedAtOnce = 100
/** Milliseconds between two looks when there is nothing else to do. */
const tick = 200
const idleLimit = 60_000
const judged = 20
const leastJudged = 10

/**
 * Puts messages on their way at a rate, watches what becomes of them and stops when they fail again. It runs in the
 * operator's process and keeps nothing that a crash could lose: what was started is started, the rest is where it was.
 */
export async function drive(
  deps: OperationDeps,
  source: Source,
  options: DriveOptions & { readonly rate: Rate; readonly most?: number },
): Promise<Driven> {
  const { clock, store } = deps.runtime
  const { rate, stopAt, wait } = checkDrive(options)
  const gap = rate.span / rate.count
  const atOnce = Math.max(1, Math.min(perStep, Math.floor(1_000 / gap)))
  const roomFor = Math.max(1, Math.min(ahead, options.most ?? ahead))
  const watch = new Watch(deps)
  let skipped = 0
  let moved = clock.mono()
  const so = (stopped?: Driven['stopped']): Driven => ({
    started: watch.started,
    skipped,
    handled: watch.handled,
    failed: watch.failed,
    waiting: watch.waiting,
    ...(stopped === undefined ? {} : { stopped }),
  })
  for (;;) {
    if (await watch.look()) moved = clock.mono()
    options.progress?.(so())
    if (options.signal?.aborted) return so('aborted')
    if (watch.failing(stopAt)) return so('failing')
    const room = Math.min(atOnce, roomFor - watch.watched)
    if (room <= 0) {
      if (clock.mono() - moved >= idleLimit) return so('idle')
      await pause(deps, tick, options.signal)
      continue
    }
    const now = clock.now()
    const step = await source(room, (n) => now + Math.floor(n * gap))
    watch.add(step.started)
    skipped += step.skipped
    await deps.journal.refresh()
    if (step.taken) return so('taken')
    if (step.done) break
    await pause(deps, step.started.length * gap, options.signal)
    moved = Math.max(moved, clock.mono() - tick)
  }
  const until = clock.mono() + wait
  const anybody = (await store.read({ read: 'workers' })).length > 0
  for (;;) {
    await watch.look()
    options.progress?.(so())
    if (watch.watched === 0 || !anybody || clock.mono() >= until || options.signal?.aborted) return so()
    await pause(deps, tick, options.signal)
  }
}

/** The options, checked: `config.option` before anything is touched. */
export function checkDrive({ rate, stopAt = 0.5, wait = '5s' }: DriveOptions & { readonly rate: Rate }): {
  readonly rate: { readonly count: number; readonly span: number }
  readonly stopAt: number
  readonly wait: number
} {
  const parsed = parseRate(rate)
  if (!parsed || parsed.utcDay || parsed.count / parsed.span > 1)
    throw fault('config.option', {
      message: `rate is ${JSON.stringify(rate)}: write '50/s' or '100/15m', at most 1,000 a second`,
      detail: { option: 'rate' },
    })
  if (!(stopAt > 0 && stopAt <= 1))
    throw fault('config.option', {
      message: `stopAt is ${stopAt}: pass a share above 0 and up to 1`,
      detail: { option: 'stopAt' },
    })
  const ms = milliseconds(wait)
  if (ms > 3_600_000)
    throw fault('config.option', { message: `wait is ${wait}: at most 1h`, detail: { option: 'wait' } })
  return { rate: parsed, stopAt, wait: ms }
}

/** What became of those that were started. Remembers only those of which that is still open. */
class Watch {
  readonly #deps: OperationDeps
  #watched: ParkedAt[] = []
  readonly #recent: boolean[] = []
  started = 0
  handled = 0
  failed = 0

  constructor(deps: OperationDeps) {
    this.#deps = deps
  }

  /** Those that will end without a person: not the ones behind a message that has failed again. */
  get watched(): number {
    return this.#watched.length
  }

  get waiting(): number {
    return this.started - this.handled - this.failed
  }

  add(started: readonly ParkedAt[]): void {
    this.#watched.push(...started)
    this.started += started.length
  }

  /** Looks at those that were not looked at for longest. Returns whether something has become of one. */
  async look(): Promise<boolean> {
    const looked = this.#watched.splice(0, watchedAtOnce)
    const { store } = this.#deps.runtime
    const found = await Promise.all(looked.map((at) => store.read({ read: 'parkedAt', at })))
    const stuck = await this.#stuck(found)
    const open = looked.filter((_at, i) => {
      const parked = found[i] ?? null
      if (parked === null) this.#end(false)
      else if (failedAgain(parked)) this.#end(true)
      else return !(parked.state === 'behind' && stuck.has(keyName(parked)))
      return false
    })
    this.#watched.push(...open)
    return open.length < looked.length
  }

  /** Keys whose first message has failed: a poisoned key must not take the room of the others. */
  async #stuck(found: readonly (Parked | null)[]): Promise<ReadonlySet<string>> {
    const behind = found.filter((p) => p?.state === 'behind') as readonly Parked[]
    const one = new Map(behind.map((p) => [keyName(p), p]))
    const { store } = this.#deps.runtime
    const first = await Promise.all(
      [...one.values()].map(({ subscription, partition, key }) =>
        store.read({ read: 'parkedFirst', subscription, partition, key: key! }),
      ),
    )
    return new Set(first.flatMap((p) => (p !== null && failedAgain(p) ? [keyName(p)] : [])))
  }

  #end(failed: boolean): void {
    if (failed) this.failed++
    else this.handled++
    this.#recent.push(failed)
    if (this.#recent.length > judged) this.#recent.shift()
  }

  failing(share: number): boolean {
    if (this.#recent.length < leastJudged) return false
    return this.#recent.filter(Boolean).length / this.#recent.length >= share
  }
}

function keyName({ partition, key }: Parked): string {
  return `${partition}/${key}`
}

/**
 * Its first run since it was started has failed: there is no need to wait until its last one has. Of one whose run has begun and
 * not ended that is open: attempts are counted before they begin.
 */
function failedAgain({ state, attempts, faults, damage }: Parked): boolean {
  if (damage !== undefined) return true
  return state === 'dead' || state === 'held' || (state === 'retry' && attempts > 0 && lastCrash(faults) === undefined)
}

function pause(deps: OperationDeps, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      cancel()
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const cancel = deps.runtime.clock.after(ms, end)
    signal?.addEventListener('abort', end, { once: true })
    if (signal?.aborted) end()
  })
}
