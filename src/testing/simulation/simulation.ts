import { createHash } from 'node:crypto'
import type { App } from '#app/fairlead.ts'
import { sql } from '#kernel/sql.ts'
import { audit } from './audit.ts'
import { Clients } from './clients.ts'
import { Coverage } from './coverage.ts'
import { Chance, type Decisions } from './decisions.ts'
import { brief, Fleet, type Engine, type World } from './fleet.ts'
import { guard } from './guards.ts'
import { Handlers } from './handlers.ts'
import { Ledger } from './ledger.ts'
import { operate, resume, subscriptions } from './operator.ts'
import { left } from './quiet.ts'
import { Scheduler } from './scheduler.ts'
import { fair, swarm, type Swarm } from './swarm.ts'

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
  const guards = guard({ fdatasync: s.fleet.disk.sync, opened: s.fleet.disk.opened })
  const { broken } = s.lived.coverage
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

/** What was there before somebody looked: how many runs, and of what. */
type Unasked = { readonly runs: number; readonly names: ReadonlySet<string> }

class Simulation {
  readonly fleet: Fleet
  readonly #world: World
  readonly #handlers: Handlers
  readonly #clients: Clients
  /** How far a wall clock has ever been ahead of the truth. */
  #ahead = 0
  #calm = false
  /** Nothing is paused, for certain. */
  #flowing = false
  #parkedSeen = 0

  constructor(chance: Chance) {
    const time = new Scheduler(chance)
    const drawn = swarm(chance)
    const coverage = new Coverage()
    const ledger = new Ledger(() => time.now, coverage, {
      forgetful: drawn.retention,
      hearing: drawn.weather === fair ? 3_000 : 60_000,
    })
    this.#world = { time, chance, swarm: drawn, weather: { ...fair }, ledger, coverage }
    this.#handlers = new Handlers(drawn, chance, ledger)
    this.fleet = new Fleet(this.#world, this.#handlers)
    this.#clients = new Clients(this.#world, (label) => this.fleet.live(label))
  }

  async run(): Promise<void> {
    this.fleet.start()
    await this.#world.time.settle()
    await this.#prepare()
    for (let i = 1; i < this.#world.swarm.processes; i++) this.fleet.start()
    Object.assign(this.#world.weather, this.#world.swarm.weather)
    for (let n = 0; n < this.#world.swarm.steps; n++) {
      const step = `step/${n}`
      await this.#world.time.advance(this.#world.chance.one(`${step} wait`, [0, 0, 1, 10, 50, 200, 1_000, 5_000]))
      await this.#act(step)
    }
    await this.#last()
    for (const l of await this.#quiet()) this.#world.coverage.check('I14', false, () => l)
    this.#world.coverage.check('I14', true, () => '')
    const app = this.fleet.live('audit')?.app
    if (app) await audit({ app, ...this.#world, handlers: this.#handlers, settled: this.#settled })
  }

  get lived(): Omit<Result, 'broken' | 'decisions' | 'told' | 'hash'> {
    return {
      timeline: this.#world.ledger.timeline,
      swarm: this.#world.swarm,
      coverage: this.#world.coverage,
      seen: {
        accepted: [...this.#world.ledger.facts.values()].filter((f) => f.accepted).length,
        runs: this.#world.ledger.runs.length,
        parked: this.#parkedSeen,
        ms: this.#world.time.now,
      },
    }
  }

  async end(): Promise<void> {
    for (const e of this.fleet.engines) await this.fleet.kill(e)
    await this.#world.time.settle()
    this.fleet.disk.remove()
  }

  /** Runs the world until the promise is settled. */
  readonly #settled = async <T>(promise: Promise<T>): Promise<T> => {
    let over = false
    const done = promise.finally(() => (over = true))
    done.catch(() => {})
    for (let i = 0; i < 10_000 && !over; i++) {
      await this.#world.time.settle()
      if (!over) await this.#world.time.advance(10)
    }
    if (!over) throw new Error('an operation never ends')
    return done
  }

  // processes

  async #prepare(): Promise<void> {
    const { app } = this.fleet.live('prepare')!
    await this.#settled(
      app!.transact(async (tx) => {
        await tx.query(sql`create table mine (sub text, u text, edited integer)`)
        await tx.query(sql`create table clients (u text)`)
      }),
    )
  }

  // what happens

  async #act(step: string): Promise<void> {
    const s = this.#world.swarm
    const what = this.#world.chance.weighted(`${step} what`, {
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
    const engine = this.fleet.live(`${step} through`)
    if (engine?.store?.broken && !this.#world.chance.likely(`${step} stays broken`, 0.7)) {
      await this.fleet.kill(engine)
      return this.fleet.later(this.#world.chance.whole(`${step} comes back`, 0, 5_000))
    }
    if (what === 'nothing') return
    if (what === 'later') return this.#world.time.advance(70 * 60_000)
    if (what === 'powerCut') {
      await this.#busy(step, this.fleet.live(`${step} busy through`))
      return this.fleet.cutPower()
    }
    if (what === 'period') return this.#period(step)
    if (what === 'crash') return this.#crash(step)
    if (!engine) return
    if (what === 'freeze') {
      await this.#busy(step, engine)
      this.fleet.meets('freeze', engine)
      this.#world.ledger.note(`${engine.process.name} freezes`)
      engine.process.freeze()
      const ms = this.#world.chance.one(`${step} for`, [500, 4_000, 18_000, 40_000])
      this.#world.time.after(ms, () => {
        this.#world.ledger.note(`${engine.process.name} goes on`)
        engine.process.thaw()
      })
    } else if (what === 'jump') {
      this.#world.coverage.fault('wall clock jump')
      const ms = this.#world.chance.one(`${step} by`, [5_000, -5_000, hour, -hour])
      this.#world.ledger.note(`the clock of ${engine.process.name} jumps by ${ms}`)
      engine.process.skew += ms
      this.#ahead = Math.max(this.#ahead, engine.process.skew)
    } else if (what === 'restart') this.fleet.restart(step, engine)
    else if (what === 'operate') {
      void operate(step, engine.app!, this.#world).catch((e: unknown) => this.#world.ledger.note(`refused ${brief(e)}`))
    } else if (what === 'transact') void this.#clients.transact(step, engine)
    else this.#clients[what](step, engine)
  }

  async #crash(step: string): Promise<void> {
    const up = [...this.fleet.engines]
    if (up.length === 0) return
    const victim = this.#world.chance.one(`${step} victim`, up)
    await this.#busy(step, victim)
    this.fleet.meets('crash', victim)
    await this.fleet.kill(victim)
    this.fleet.later(this.#world.chance.one(`${step} comes back`, [0, 100, 3_000, 20_000]))
  }

  /** What goes wrong with a process is of interest while it has something to do. */
  async #busy(step: string, engine: Engine | undefined): Promise<void> {
    if (engine?.app === undefined || engine.process.state !== 'live' || !this.#world.chance.likely(`${step} busy`, 0.6))
      return
    this.#clients.burst(step, engine)
    await this.#world.time.advance(this.#world.chance.one(`${step} into it`, [0, 1, 20, 200]))
  }

  /**
   * The faults stop in the middle of things: what is under way then has nobody after it who would set it right. A person
   * has seen to it before that nothing is paused.
   */
  async #last(): Promise<void> {
    const { chance, ledger, swarm, time, weather } = this.#world
    const app = this.fleet.live('last app')?.app
    if (!app || !chance.likely('last burst', 0.8)) return
    Object.assign(weather, fair)
    for (const sub of subscriptions(swarm)) await this.#settled(resume(app, sub, ledger)).catch(() => {})
    // Whatever is still to come, a delayed message for one, has everybody look again.
    if (chance.likely('last rest', 0.8)) await time.advance(Math.max(0, this.#clients.lastDue - time.now) + 20_000)
    const engine = this.fleet.live('last through')
    if (!engine) return
    // In bad weather the very last answers are lost, and nothing comes after them that would make up for it.
    if (swarm.weather !== fair) weather.unknown = chance.one('last answers', [0, 0.8, 0.8])
    this.#clients.many('step/last', engine)
    await time.advance(chance.one('last wait', [1_000, 5_000]))
    this.#flowing = !ledger.mayBePaused
  }

  /** For some seconds the store takes nothing. */
  #period(step: string): void {
    const what = this.#world.chance.one(`${step} period`, ['full', 'busy'] as const)
    this.#world.ledger.note(`the store is ${what}`)
    this.#world.weather[what] = 1
    this.#world.time.after(this.#world.chance.one(`${step} for`, [1_000, 5_000, 20_000]), () => {
      this.#world.weather[what] = this.#calm ? 0 : this.#world.swarm.weather[what]
      this.#world.ledger.note(`the store is ${what} no more`)
    })
  }

  // the end

  /** Stops the faults and waits until nothing is left to do. Says what never ended. */
  async #quiet(): Promise<readonly string[]> {
    this.#world.ledger.note('the faults stop')
    this.#calm = this.#handlers.calm = true
    this.fleet.skew = this.#ahead
    Object.assign(this.#world.weather, fair)
    for (const e of this.fleet.engines) {
      e.process.thaw()
      // What became due by a clock that was ahead is due now: nobody has to wait for the truth to catch up.
      e.process.skew = this.#ahead
    }
    if (this.fleet.engines.size === 0) this.fleet.later(0)
    await this.fleet.replaceBroken()
    // A clock that was moved is noticed within a minute.
    await this.#world.time.advance(Math.max(0, this.#clients.lastDue - this.#world.time.now) + lookedAgain)
    const from = this.#world.time.now
    const begun = await this.#unasked()
    for (let runs = -1; ;) {
      await this.fleet.replaceBroken()
      const engine = this.fleet.live('quiet')
      const open = engine ? await this.#left(engine.app!) : ['no process is up']
      for (const { sub, u } of begun ? this.#world.ledger.runs.slice(begun.runs) : [])
        this.#world.coverage.check(
          'I14',
          begun!.names.has(`${sub} ${u}`),
          () => `${sub} handles ${u} only because somebody has looked`,
        )
      // What is delayed is not seen: nothing may have begun for as long as handlers delay.
      if (open.length === 0 && runs === this.#world.ledger.runs.length) break
      runs = this.#world.ledger.runs.length
      if (this.#world.time.now - from > patience) return open
      await this.#world.time.advance(10_000)
    }
    const runs = this.#world.ledger.runs.length
    await this.#world.time.advance(lookedAgain)
    const more = this.#world.ledger.runs.slice(runs)
    return more.map((r) => `${r.sub} runs ${r.u} when all was done`)
  }

  /** An operator's look brings memory in line with the store: whatever is there must have been found before, without it. */
  async #unasked(): Promise<Unasked | undefined> {
    const { ledger, swarm, time } = this.#world
    const app = this.fleet.live('unasked')?.app
    if (!app || !this.#flowing) return undefined
    const until = time.now + patience
    for (let runs = -1; runs !== ledger.runs.length && time.now < until;) {
      runs = ledger.runs.length
      await time.advance(lookedAgain)
    }
    const parked = Map.groupBy(await this.#settled(app.operations.parked({ limit: 1_000 })), (p) => p.subscription)
    // What waits for room goes on when somebody makes some, and so does what it publishes.
    for (const list of parked.values()) if (list.length >= swarm.parkedLimit) return undefined
    return { runs: ledger.runs.length, names: new Set(ledger.runs.map((r) => `${r.sub} ${r.u}`)) }
  }

  async #left(app: App): Promise<string[]> {
    const found = await left(app, { ...this.#world, settled: this.#settled })
    const counts = await this.#settled(app.operations.parked({ limit: 1_000 }))
    this.#parkedSeen = Math.max(this.#parkedSeen, counts.length)
    return found
  }
}
