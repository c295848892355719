import { createHash } from 'node:crypto'
import { sqlite } from '#adapters/stores/sqlite/index.ts'
import { fairlead, type App } from '#app/fairlead.ts'
import { isFault } from '#kernel/fault.ts'
import { uuid7 } from '#kernel/id.ts'
import { redactor } from '#kernel/redact.ts'
import { sql } from '#kernel/sql.ts'
import { seededRandom } from '../random.ts'
import { audit } from './audit.ts'
import { Clients } from './clients.ts'
import { Coverage, type FaultKind } from './coverage.ts'
import { Chance, type Decisions } from './decisions.ts'
import { Disk } from './disk.ts'
import { guard } from './guards.ts'
import { canary, Handlers } from './handlers.ts'
import { Ledger } from './ledger.ts'
import { Process } from './machine.ts'
import { operate } from './operator.ts'
import { left } from './quiet.ts'
import { Scheduler } from './scheduler.ts'
import { UnreliableStore } from './store.ts'
import { fair, swarm, type Swarm, type Weather } from './swarm.ts'
import { Witness } from './witness.ts'

export type Engine = { readonly process: Process; store: UnreliableStore | undefined; app: App | undefined }

export type Result = {
  /** Broken invariants; empty when all held. */
  readonly broken: readonly string[]
  readonly timeline: readonly string[]
  readonly swarm: Swarm
  readonly coverage: Coverage
  /** What was decided: given to `simulate` it is the same run again. */
  readonly decisions: Decisions
  /** Of a replayed list: what each decision stood for. */
  readonly told: readonly string[]
  /** Of everything that was seen: two runs with the same hash were the same run. */
  readonly hash: string
  readonly seen: { readonly accepted: number; readonly runs: number; readonly parked: number; readonly ms: number }
}

/** Milliseconds that a draining process gives to what runs. */
const grace = 1_000
/** When the faults have stopped, everything has to be done after this long. */
const patience = 30 * 60_000
/** Nothing in the engine sleeps for longer than a minute when there is something to do. */
const lookedAgain = 65_000
const hour = 3_600_000

/**
 * One seed (or recorded list of decisions), one run: a world is built, lived through and audited. Nothing of it is left
 * behind. One at a time in a process: the globals of the host are taken away meanwhile.
 */
export async function simulate(from: number | Decisions): Promise<Result> {
  const chance = new Chance(from)
  const s = new Simulation(chance)
  const guards = guard({ fdatasync: s.disk.sync, opened: s.disk.opened })
  const { broken } = s.coverage
  try {
    await s.run()
  } catch (e) {
    broken.push(`I14: the world ended with ${(e as Error).stack}`)
  } finally {
    await s.end()
    guards.restore()
  }
  for (const breach of guards.breaches) broken.push(`I18: ${breach}`)
  const { timeline, ...lived } = s.lived
  const hash = createHash('sha256')
    .update(JSON.stringify([timeline, broken]))
    .digest('hex')
  return { ...lived, timeline, broken, decisions: chance.recorded, told: chance.told, hash }
}

class Simulation {
  readonly disk: Disk
  readonly coverage = new Coverage()
  readonly #swarm: Swarm
  readonly #chance: Chance
  readonly #world: Scheduler
  readonly #ledger: Ledger
  readonly #witness = new Witness(this.coverage)
  readonly #handlers: Handlers
  readonly #clients: Clients
  readonly #weather: Weather = { ...fair }
  readonly #engines = new Set<Engine>()
  #pids = 100
  /** How far a wall clock has ever been ahead of the truth. */
  #ahead = 0
  #calm = false
  #parkedSeen = 0

  constructor(chance: Chance) {
    this.#chance = chance
    this.#world = new Scheduler(chance)
    this.#swarm = swarm(chance)
    const { retention, weather } = this.#swarm
    this.#ledger = new Ledger(() => this.#world.now, this.coverage, {
      forgetful: retention,
      hearing: weather === fair ? 3_000 : 60_000,
    })
    this.#handlers = new Handlers(this.#swarm, chance, this.#ledger)
    const shared = { world: this.#world, chance, coverage: this.coverage, swarm: this.#swarm, ledger: this.#ledger }
    this.disk = new Disk({ ...shared, weather: this.#weather, volatile: this.#swarm.powerCut > 0 })
    this.#clients = new Clients({ ...shared, live: (label) => this.#live(label) })
  }

  async run(): Promise<void> {
    this.#start()
    await this.#world.settle()
    await this.#prepare()
    for (let i = 1; i < this.#swarm.processes; i++) this.#start()
    Object.assign(this.#weather, this.#swarm.weather)
    for (let n = 0; n < this.#swarm.steps; n++) {
      const step = `step/${n}`
      await this.#world.advance(this.#chance.one(`${step} wait`, [0, 0, 1, 10, 50, 200, 1_000, 5_000]))
      await this.#act(step)
    }
    // The faults stop in the middle of things: what is under way then has nobody after it who would set it right.
    const last = this.#live('last through')
    if (last && this.#chance.likely('last burst', 0.6)) {
      this.#clients.burst('step/last', last)
      await this.#world.advance(this.#chance.one('last wait', [1_000, 5_000]))
    }
    for (const l of await this.#quiet()) this.coverage.check('I14', false, () => l)
    this.coverage.check('I14', true, () => '')
    const app = this.#live('audit')?.app
    if (app)
      await audit({
        app,
        ledger: this.#ledger,
        handlers: this.#handlers,
        swarm: this.#swarm,
        coverage: this.coverage,
        settled: this.#settled,
      })
  }

  get lived(): Omit<Result, 'broken' | 'decisions' | 'told' | 'hash'> {
    return {
      timeline: this.#ledger.timeline,
      swarm: this.#swarm,
      coverage: this.coverage,
      seen: {
        accepted: [...this.#ledger.facts.values()].filter((f) => f.accepted).length,
        runs: this.#ledger.runs.length,
        parked: this.#parkedSeen,
        ms: this.#world.now,
      },
    }
  }

  async end(): Promise<void> {
    for (const e of this.#engines) await this.#kill(e)
    await this.#world.settle()
    this.disk.remove()
  }

  /** Runs the world until the promise is settled. */
  readonly #settled = async <T>(promise: Promise<T>): Promise<T> => {
    let over = false
    const done = promise.finally(() => (over = true))
    done.catch(() => {})
    for (let i = 0; i < 10_000 && !over; i++) {
      await this.#world.settle()
      if (!over) await this.#world.advance(10)
    }
    if (!over) throw new Error('an operation never ends')
    return done
  }

  // processes

  #start(): void {
    const pid = this.#pids++
    const process = new Process(this.#world, `p${pid}`, pid, this.#swarm.oneHost ? 'host' : `host-${pid}`)
    const engine: Engine = { process, store: undefined, app: undefined }
    this.#engines.add(engine)
    if (this.#calm) process.skew = this.#ahead
    this.#ledger.note(`${process.name} starts`)
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
        random: { float: () => this.#chance.float(`${process.name} jitter`), bytes: (n) => ids.bytes(n) },
        ids: uuid7(clock, ids),
        http: { send: () => Promise.reject(new Error('no network')) },
        files: { read: () => Promise.reject(new Error('no files')) },
        secrets: { read: () => Promise.reject(new Error('no secrets')) },
        redact,
        log: {
          write: (level, event, fields) => {
            this.coverage.check(
              'I13',
              !shows(fields, canary),
              () => `${event} shows a secret that a handler has thrown`,
            )
            this.#ledger.note(`${process.name} ${level} ${event} ${brief(fields)}`)
          },
        },
        host: {
          name: process.host,
          pid,
          alive: (p) => [...this.#engines].some((e) => e.process.pid === p && e.process.state !== 'dead'),
        },
      },
    ).then(
      (app) => {
        engine.app = app
        this.#ledger.note(`${process.name} is up`)
      },
      (e: unknown) => {
        this.#ledger.note(`${process.name} could not start: ${brief(e)}`)
        void this.#kill(engine).then(() => this.#later(1_000))
      },
    )
  }

  async #openStore(engine: Engine): Promise<UnreliableStore> {
    const { process } = engine
    const inner = await this.disk.open(process, () => sqlite(this.disk.path).open({ clock: process.clock } as never))
    const store = new UnreliableStore(inner, {
      process,
      disk: this.disk,
      weather: this.#weather,
      chance: this.#chance,
      witness: this.#witness,
      coverage: this.coverage,
    })
    if (process.state === 'dead') {
      await store.kill()
      return new Promise(() => {})
    }
    engine.store = store
    return store
  }

  #later(ms: number): void {
    this.#world.after(ms, () => this.#start())
  }

  /** Counts a fault that meets a process, with everything that it has under way. */
  #meets(kind: FaultKind, { process, store }: Engine): void {
    const handling = this.#ledger.runs.some((r) => r.process === process && r.ended === undefined)
    this.coverage.fault(kind, [...(store?.underWay ?? []), ...(handling ? ['handler' as const] : [])])
  }

  async #kill(engine: Engine): Promise<void> {
    if (!this.#engines.delete(engine)) return
    this.#ledger.note(`${engine.process.name} dies`)
    for (const run of this.#ledger.runs)
      if (run.process === engine.process && run.ended === undefined) run.ended = this.#world.now
    engine.process.gone = Math.min(engine.process.gone, this.#savedUntil())
    engine.process.die()
    if (engine.store) await engine.store.kill()
    else this.disk.forget(engine.process)
  }

  /** What had ended before is saved: at once, or, where somebody's transactions held the writer, some time later. */
  #savedUntil(): number {
    const { now } = this.#world
    return this.disk.lock.busySince === undefined ? now : Math.min(this.disk.lock.busySince, now - 2_000)
  }

  #live(label: string): Engine | undefined {
    const up = [...this.#engines].filter((e) => e.app !== undefined && e.process.state === 'live')
    return up.length === 0 ? undefined : this.#chance.one(label, up)
  }

  async #prepare(): Promise<void> {
    const { app } = this.#live('prepare')!
    await this.#settled(
      app!.transact(async (tx) => {
        await tx.query(sql`create table mine (sub text, u text, edited integer)`)
        await tx.query(sql`create table clients (u text)`)
      }),
    )
  }

  // what happens

  async #act(step: string): Promise<void> {
    const s = this.#swarm
    const what = this.#chance.weighted(`${step} what`, {
      nothing: 0.5,
      publish: 12,
      // Where time passes by the hour, an id may be taken anew.
      repeat: s.retention ? 0 : 3,
      race: s.retention ? 0 : 1,
      burst: s.bursts,
      many: 2,
      transact: 2,
      operate: s.operators,
      crash: s.crash,
      freeze: s.freeze,
      restart: s.restart,
      jump: s.jump,
      period: s.periods,
      powerCut: s.powerCut,
      later: s.retention ? 0.5 : 0,
    })
    const engine = this.#live(`${step} through`)
    if (engine?.store?.broken && !this.#chance.likely(`${step} stays broken`, 0.7)) {
      await this.#kill(engine)
      return this.#later(this.#chance.whole(`${step} comes back`, 0, 5_000))
    }
    if (what === 'nothing') return
    if (what === 'later') return this.#world.advance(70 * 60_000)
    if (what === 'powerCut') return this.#cutPower(step)
    if (what === 'period') return this.#period(step)
    if (what === 'crash') return this.#crash(step)
    if (!engine) return
    if (what === 'freeze') {
      await this.#busy(step, engine)
      this.#meets('freeze', engine)
      this.#ledger.note(`${engine.process.name} freezes`)
      engine.process.freeze()
      const ms = this.#chance.one(`${step} for`, [500, 4_000, 18_000, 40_000])
      this.#world.after(ms, () => {
        this.#ledger.note(`${engine.process.name} goes on`)
        engine.process.thaw()
      })
    } else if (what === 'jump') {
      this.coverage.fault('wall clock jump')
      const ms = this.#chance.one(`${step} by`, [5_000, -5_000, hour, -hour])
      this.#ledger.note(`the clock of ${engine.process.name} jumps by ${ms}`)
      engine.process.skew += ms
      this.#ahead = Math.max(this.#ahead, engine.process.skew)
    } else if (what === 'restart') this.#restart(step, engine)
    else if (what === 'operate') {
      void operate(step, engine.app!, { swarm: s, chance: this.#chance, ledger: this.#ledger }).catch((e: unknown) =>
        this.#ledger.note(`refused ${brief(e)}`),
      )
    } else if (what === 'transact') void this.#clients.transact(step, engine)
    else this.#clients[what](step, engine)
  }

  async #crash(step: string): Promise<void> {
    const up = [...this.#engines]
    if (up.length === 0) return
    const victim = this.#chance.one(`${step} victim`, up)
    await this.#busy(step, victim)
    this.#meets('crash', victim)
    await this.#kill(victim)
    this.#later(this.#chance.one(`${step} comes back`, [0, 100, 3_000, 20_000]))
  }

  /** What goes wrong with a process is of interest while it has something to do. */
  async #busy(step: string, engine: Engine | undefined): Promise<void> {
    if (engine?.app === undefined || engine.process.state !== 'live' || !this.#chance.likely(`${step} busy`, 0.6))
      return
    this.#clients.burst(step, engine)
    await this.#world.advance(this.#chance.one(`${step} into it`, [0, 1, 20, 200]))
  }

  /** For some seconds the store takes nothing. */
  #period(step: string): void {
    const what = this.#chance.one(`${step} period`, ['full', 'busy'] as const)
    this.#ledger.note(`the store is ${what}`)
    this.#weather[what] = 1
    this.#world.after(this.#chance.one(`${step} for`, [1_000, 5_000, 20_000]), () => {
      this.#weather[what] = this.#calm ? 0 : this.#swarm.weather[what]
      this.#ledger.note(`the store is ${what} no more`)
    })
  }

  /** SIGTERM: it drains, and another one is started. */
  #restart(step: string, engine: Engine): void {
    const { app, process } = engine
    engine.app = undefined
    this.#ledger.note(`${process.name} drains`)
    process.gone = this.#world.now + grace
    this.#world.after(grace, () => (process.gone = Math.min(process.gone, this.#savedUntil())))
    app![Symbol.asyncDispose]().then(
      () => {
        this.#ledger.note(`${process.name} has ended`)
        void this.#kill(engine).then(() => this.#later(this.#chance.one(`${step} comes back`, [0, 1_000])))
      },
      (e: unknown) => {
        this.#ledger.note(`${process.name} has ended badly: ${brief(e)}`)
        void this.#kill(engine).then(() => this.#later(1_000))
      },
    )
  }

  async #cutPower(step: string): Promise<void> {
    await this.#busy(step, this.#live(`${step} busy through`))
    this.#ledger.note('the power is cut')
    for (const e of this.#engines) this.#meets('power cut', e)
    const lose = this.disk.image()
    for (const e of this.#engines) await this.#kill(e)
    await this.#world.settle()
    lose()
    this.#witness.powerCut()
    this.#later(1_000)
  }

  // the end

  /** Stops the faults and waits until nothing is left to do. Says what never ended. */
  async #quiet(): Promise<readonly string[]> {
    this.#ledger.note('the faults stop')
    this.#calm = this.#handlers.calm = true
    Object.assign(this.#weather, fair)
    for (const e of this.#engines) {
      e.process.thaw()
      // What became due by a clock that was ahead is due now: nobody has to wait for the truth to catch up.
      e.process.skew = this.#ahead
    }
    if (this.#engines.size === 0) this.#later(0)
    await this.#replaceBroken()
    // A clock that was moved is noticed within a minute.
    await this.#world.advance(Math.max(0, this.#clients.lastDue - this.#world.now) + lookedAgain)
    const from = this.#world.now
    const begun = await this.#unasked()
    for (let runs = -1; ;) {
      await this.#replaceBroken()
      const engine = this.#live('quiet')
      const open = engine ? await this.#left(engine.app!) : ['no process is up']
      for (const { sub, u } of begun ? this.#ledger.runs.slice(begun.runs) : [])
        this.coverage.check(
          'I14',
          begun!.names.has(`${sub} ${u}`),
          () => `${sub} handles ${u} only because somebody has looked`,
        )
      // What is delayed is not seen: nothing may have begun for as long as handlers delay.
      if (open.length === 0 && runs === this.#ledger.runs.length) break
      runs = this.#ledger.runs.length
      if (this.#world.now - from > patience) return open
      await this.#world.advance(10_000)
    }
    const runs = this.#ledger.runs.length
    await this.#world.advance(lookedAgain)
    const more = this.#ledger.runs.slice(runs)
    return more.map((r) => `${r.sub} runs ${r.u} when all was done`)
  }

  /** An operator's look brings memory in line with the store: whatever is there must have been found before, without it. */
  async #unasked(): Promise<{ readonly runs: number; readonly names: ReadonlySet<string> } | undefined> {
    // A person may have paused something, or has to make room.
    if (this.#ledger.pauses > 0 || this.#swarm.parkedLimit < 10_000) return undefined
    const until = this.#world.now + patience
    for (let runs = -1; runs !== this.#ledger.runs.length && this.#world.now < until;) {
      runs = this.#ledger.runs.length
      await this.#world.advance(lookedAgain)
    }
    return { runs: this.#ledger.runs.length, names: new Set(this.#ledger.runs.map((r) => `${r.sub} ${r.u}`)) }
  }

  async #left(app: App): Promise<string[]> {
    const found = await left(app, { swarm: this.#swarm, ledger: this.#ledger, settled: this.#settled })
    const counts = await this.#settled(app.operations.parked({ limit: 1_000 }))
    this.#parkedSeen = Math.max(this.#parkedSeen, counts.length)
    return found
  }

  /** A supervisor: a process that can write nothing any more is started anew. */
  async #replaceBroken(): Promise<void> {
    for (const e of this.#engines) {
      if (!e.store?.broken) continue
      await this.#kill(e)
      this.#start()
    }
    await this.#world.advance(1_000)
  }
}

/** A fault on its way to the log is masked by whoever writes it: what counts is what the engine puts beside it. */
function shows(fields: unknown, secret: string): boolean {
  const text = JSON.stringify(fields ?? {}, (_, v: unknown) => (isFault(v) ? undefined : v))
  return text.includes(secret)
}

function brief(value: unknown): string {
  const code = (value as { code?: string | number } | null)?.code
  if (code !== undefined) return `${code}`
  if (value instanceof Error) return value.stack ?? value.message
  const f = (value as { fault?: { code?: string; stack?: string } } | null)?.fault
  return f ? (f.code ?? String(f.stack)) : JSON.stringify(value ?? {})
}
