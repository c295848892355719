import { sqlite } from '#adapters/stores/sqlite/index.ts'
import { fairlead, type App } from '#app/fairlead.ts'
import { isFault } from '#kernel/fault.ts'
import { uuid7 } from '#kernel/id.ts'
import { redactor } from '#kernel/redact.ts'
import { seededRandom } from '../random.ts'
import type { Coverage, FaultKind } from './coverage.ts'
import type { Chance } from './decisions.ts'
import { Disk } from './disk.ts'
import { canary, type Handlers } from './handlers.ts'
import type { Ledger } from './ledger.ts'
import { Process } from './machine.ts'
import type { Scheduler } from './scheduler.ts'
import { UnreliableStore } from './store.ts'
import type { Swarm, Weather } from './swarm.ts'
import { Witness } from './witness.ts'

export type Engine = { readonly process: Process; store: UnreliableStore | undefined; app: App | undefined }

/** What all parts of a world share. */
export type World = {
  readonly time: Scheduler
  readonly chance: Chance
  readonly swarm: Swarm
  readonly weather: Weather
  readonly ledger: Ledger
  readonly coverage: Coverage
}

/** Milliseconds that a draining process gives to what runs. */
const grace = 1_000

/** The engines of a world: started, killed, drained, all on one disk. */
export class Fleet {
  readonly engines = new Set<Engine>()
  readonly disk: Disk
  /** What the wall clock of a process shows beside the truth when it starts. */
  skew = 0
  readonly #world: World
  readonly #handlers: Handlers
  readonly #witness: Witness
  #pids = 100

  constructor(world: World, handlers: Handlers) {
    this.#world = world
    this.#handlers = handlers
    this.#witness = new Witness(world.coverage)
    this.disk = new Disk({ ...world, volatile: world.swarm.powerCut > 0 })
  }

  start(): void {
    const pid = this.#pids++
    const process = new Process(this.#world.time, `p${pid}`, pid, this.#world.swarm.oneHost ? 'host' : `host-${pid}`)
    const engine: Engine = { process, store: undefined, app: undefined }
    this.engines.add(engine)
    process.skew = this.skew
    this.#world.ledger.note(`${process.name} starts`)
    const { clock } = process
    // What ids are made of decides nothing: the same for all seeds, another for each process.
    const ids = seededRandom(pid)
    const redact = redactor()
    redact.learn(canary)
    fairlead(
      {
        use: this.#handlers.definitions(process),
        grace: `${grace}ms`,
        store: { kind: 'simulated', open: () => this.#openStore(engine) },
      },
      {
        clock,
        random: { float: () => this.#world.chance.float(`${process.name} jitter`), bytes: (n) => ids.bytes(n) },
        ids: uuid7(clock, ids),
        http: { send: noNetwork, stream: noNetwork },
        files: { read: () => Promise.reject(new Error('no files')), stat: () => Promise.reject(new Error('no files')) },
        secrets: { read: () => Promise.reject(new Error('no secrets')) },
        redact,
        log: {
          write: (level, event, fields) => {
            this.#world.coverage.check(
              'I13',
              !shows(fields, canary),
              () => `${event} shows a secret that a handler has thrown`,
            )
            this.#world.ledger.note(`${process.name} ${level} ${event} ${brief(fields)}`)
          },
        },
        host: {
          name: process.host,
          pid,
          alive: (p) => [...this.engines].some((e) => e.process.pid === p && e.process.state !== 'dead'),
        },
      },
    ).then(
      (app) => {
        engine.app = app
        this.#world.ledger.note(`${process.name} is up`)
      },
      (e: unknown) => {
        this.#world.ledger.note(`${process.name} could not start: ${brief(e)}`)
        void this.kill(engine).then(() => this.later(1_000))
      },
    )
  }

  async #openStore(engine: Engine): Promise<UnreliableStore> {
    const { process } = engine
    const inner = await this.disk.open(process, () => sqlite(this.disk.path).open({ clock: process.clock } as never))
    const store = new UnreliableStore(inner, {
      process,
      disk: this.disk,
      weather: this.#world.weather,
      chance: this.#world.chance,
      witness: this.#witness,
      coverage: this.#world.coverage,
    })
    if (process.state === 'dead') {
      await store.kill()
      return new Promise(() => {})
    }
    engine.store = store
    return store
  }

  later(ms: number): void {
    this.#world.time.after(ms, () => this.start())
  }

  /** Counts a fault that meets a process, with everything that it has under way. */
  meets(kind: FaultKind, { process, store }: Engine): void {
    const handling = this.#world.ledger.runs.some((r) => r.process === process && r.ended === undefined)
    this.#world.coverage.fault(kind, [...(store?.underWay ?? []), ...(handling ? ['handler' as const] : [])])
  }

  async kill(engine: Engine): Promise<void> {
    if (!this.engines.delete(engine)) return
    this.#world.ledger.note(`${engine.process.name} dies`)
    for (const run of this.#world.ledger.runs)
      if (run.process === engine.process && run.ended === undefined) run.ended = this.#world.time.now
    engine.process.gone = Math.min(engine.process.gone, this.#savedUntil())
    engine.process.die()
    if (engine.store) await engine.store.kill()
    else this.disk.forget(engine.process)
  }

  /** What had ended before is saved: at once, or, where somebody's transactions held the writer, some time later. */
  #savedUntil(): number {
    const { now } = this.#world.time
    return this.disk.lock.busySince === undefined ? now : Math.min(this.disk.lock.busySince, now - 2_000)
  }

  live(label: string): Engine | undefined {
    const up = [...this.engines].filter((e) => e.app !== undefined && e.process.state === 'live')
    return up.length === 0 ? undefined : this.#world.chance.one(label, up)
  }

  /** SIGTERM: it drains, and another one is started. */
  restart(step: string, engine: Engine): void {
    const { app, process } = engine
    engine.app = undefined
    this.#world.ledger.note(`${process.name} drains`)
    process.gone = this.#world.time.now + grace
    this.#world.time.after(grace, () => (process.gone = Math.min(process.gone, this.#savedUntil())))
    app![Symbol.asyncDispose]().then(
      () => {
        this.#world.ledger.note(`${process.name} has ended`)
        void this.kill(engine).then(() => this.later(this.#world.chance.one(`${step} comes back`, [0, 1_000])))
      },
      (e: unknown) => {
        this.#world.ledger.note(`${process.name} has ended badly: ${brief(e)}`)
        void this.kill(engine).then(() => this.later(1_000))
      },
    )
  }

  async cutPower(): Promise<void> {
    this.#world.ledger.note('the power is cut')
    for (const e of this.engines) this.meets('power cut', e)
    const lose = this.disk.image()
    for (const e of this.engines) await this.kill(e)
    await this.#world.time.settle()
    lose()
    this.#witness.powerCut()
    this.later(1_000)
  }

  /** A supervisor: a process that can write nothing any more is started anew. */
  async replaceBroken(): Promise<void> {
    for (const e of this.engines) {
      if (!e.store?.broken) continue
      await this.kill(e)
      this.start()
    }
    await this.#world.time.advance(1_000)
  }
}

/** A fault on its way to the log is masked by whoever writes it: what counts is what the engine puts beside it. */
const noNetwork = (): Promise<never> => Promise.reject(new Error('no network'))

function shows(fields: unknown, secret: string): boolean {
  const text = JSON.stringify(fields ?? {}, (_, v: unknown) => (isFault(v) ? undefined : v))
  return text.includes(secret)
}

/** A fault by its code, anything else as it is. */
export function brief(value: unknown): string {
  const code = (value as { code?: string | number } | null)?.code
  if (code !== undefined) return `${code}`
  if (value instanceof Error) return value.stack ?? value.message
  const f = (value as { fault?: { code?: string; stack?: string } } | null)?.fault
  return f ? (f.code ?? String(f.stack)) : JSON.stringify(value ?? {})
}
