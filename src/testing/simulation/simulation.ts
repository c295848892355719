import { sqlite } from '#adapters/stores/sqlite/index.ts'
import { fairlead, type App } from '#app/fairlead.ts'
import { sql } from '#kernel/sql.ts'
import { uuid7 } from '#kernel/id.ts'
import { redactor } from '#kernel/redact.ts'
import { seededRandom } from '#testing/random.ts'
import { audit } from './audit.ts'
import { Disk } from './disk.ts'
import { Handlers, type Data } from './handlers.ts'
import { Ledger, type Fact } from './ledger.ts'
import { Chance, Process } from './machine.ts'
import { Scheduler } from './scheduler.ts'
import { fair, UnreliableStore, type Weather } from './store.ts'
import { calmBut, swarm, type Swarm } from './swarm.ts'
import { Witness } from './witness.ts'

export type Engine = { readonly process: Process; store: UnreliableStore | undefined; app: App | undefined }

export type Result = {
  readonly broken: readonly string[]
  readonly timeline: readonly string[]
  readonly swarm: Swarm
  /** What was seen, to know that something was played at all. */
  readonly seen: { readonly accepted: number; readonly runs: number; readonly parked: number; readonly time: number }
}

/** Milliseconds that a draining process gives to what runs. */
const grace = 1_000
/** When the faults have stopped, everything has to be done after this long. */
const patience = 30 * 60_000

/** One seed, one run: a world is built, lived through and audited. Nothing of it is left behind. */
export async function simulate(seed: number): Promise<Result> {
  const s = new Simulation(seed)
  try {
    return await s.run()
  } finally {
    await s.end()
  }
}

class Simulation {
  readonly #swarm: Swarm
  readonly #chance: Chance
  readonly #faults: Chance
  readonly #engineRandom
  readonly #world: Scheduler
  readonly #disk: Disk
  readonly #ledger: Ledger
  readonly #witness = new Witness()
  readonly #handlers: Handlers
  readonly #weather: Weather = { ...fair }
  readonly #engines = new Set<Engine>()
  #pids = 100
  #facts = 0
  #lastDue = 0
  /** How far a wall clock has ever been ahead of the truth. */
  #ahead = 0
  #calm = false
  #parkedSeen = 0

  constructor(seed: number) {
    const random = (part: number): Chance => new Chance(seededRandom(seed * 31 + part))
    this.#chance = random(1)
    this.#faults = random(2)
    this.#engineRandom = seededRandom(seed * 31 + 3)
    this.#world = new Scheduler(seededRandom(seed * 31 + 4))
    this.#swarm = swarm(random(5))
    this.#ledger = new Ledger(() => this.#world.now, this.#swarm.retention)
    this.#handlers = new Handlers(this.#swarm, random(6), this.#ledger)
    this.#disk = new Disk(this.#world, this.#swarm.powerCut > 0)
  }

  async run(): Promise<Result> {
    this.#start()
    await this.#world.settle()
    await this.#prepare()
    for (let i = 1; i < this.#swarm.processes; i++) this.#start()
    Object.assign(this.#weather, this.#swarm.weather)
    for (let step = 0; step < this.#swarm.steps; step++) {
      await this.#world.advance(this.#chance.one([0, 0, 1, 10, 50, 200, 1_000, 5_000]))
      await this.#act()
    }
    const stuck = await this.#quiet()
    const app = this.#live()!.app!
    const result = await audit({
      app,
      ledger: this.#ledger,
      handlers: this.#handlers,
      swarm: this.#swarm,
      settled: <T>(p: Promise<T>) => this.#wait(p),
    })
    return {
      broken: [...this.#witness.broken, ...this.#ledger.broken, ...stuck, ...result],
      timeline: this.#ledger.timeline,
      swarm: this.#swarm,
      seen: {
        accepted: [...this.#ledger.facts.values()].filter((f) => f.accepted).length,
        runs: this.#ledger.runs.length,
        parked: this.#parkedSeen,
        time: this.#world.now,
      },
    }
  }

  async end(): Promise<void> {
    for (const e of this.#engines) await this.#kill(e)
    await this.#world.settle()
    this.#disk.remove()
  }

  /** Runs the world until the promise is settled. */
  async #wait<T>(promise: Promise<T>): Promise<T> {
    let over = false
    const done = promise.finally(() => (over = true))
    done.catch(() => {})
    for (let i = 0; i < 10_000 && !over; i++) {
      await this.#world.settle()
      if (!over) await this.#world.advance(10)
    }
    if (!over) throw new Error('L7: an operation never ends')
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
    fairlead(
      {
        use: this.#handlers.definitions(process),
        grace: `${grace}ms`,
        store: {
          kind: 'simulated',
          open: async () => {
            const inner = await this.#disk.open(process, () => sqlite(this.#disk.path).open({ clock } as never))
            if (process.state === 'dead') {
              await inner[Symbol.asyncDispose]()
              return new Promise(() => {})
            }
            engine.store = new UnreliableStore(inner, {
              process,
              world: this.#world,
              disk: this.#disk,
              weather: this.#weather,
              chance: this.#faults,
              witness: this.#witness,
            })
            return engine.store
          },
        },
      },
      {
        clock,
        random: this.#engineRandom,
        ids: uuid7(clock, this.#engineRandom),
        http: { send: () => Promise.reject(new Error('no network')) },
        secrets: { read: () => Promise.reject(new Error('no secrets')) },
        redact: redactor(),
        log: {
          write: (level, event, fields) => this.#ledger.note(`${process.name} ${level} ${event} ${brief(fields)}`),
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

  #later(ms: number): void {
    this.#world.after(ms, () => this.#start())
  }

  async #kill(engine: Engine): Promise<void> {
    if (!this.#engines.delete(engine)) return
    this.#ledger.note(`${engine.process.name} dies`)
    for (const run of this.#ledger.runs)
      if (run.process === engine.process && run.ended === undefined) run.ended = this.#world.now
    engine.process.gone = Math.min(engine.process.gone, this.#savedUntil())
    engine.process.die()
    if (engine.store) await engine.store.kill()
    else this.#disk.forget(engine.process)
  }

  /** What had ended before is saved: at once, or, where somebody's transactions held the writer, some time later. */
  #savedUntil(): number {
    const { now } = this.#world
    return this.#disk.lock.busySince === undefined ? now : Math.min(this.#disk.lock.busySince, now - 2_000)
  }

  #live(): Engine | undefined {
    const up = [...this.#engines].filter((e) => e.app !== undefined && e.process.state === 'live')
    return up.length === 0 ? undefined : this.#chance.one(up)
  }

  async #prepare(): Promise<void> {
    const { app } = this.#live()!
    await this.#wait(
      app!.transact(async (tx) => {
        await tx.query(sql`create table mine (sub text, u text, edited integer)`)
        await tx.query(sql`create table clients (u text)`)
      }),
    )
  }

  // what happens

  async #act(): Promise<void> {
    const s = this.#swarm
    const what = this.#chance.weighted({
      publish: 12,
      // Where time passes by the hour, an id may be taken anew.
      repeat: s.retention ? 0 : 3,
      burst: s.bursts,
      many: 2,
      transact: 2,
      crash: s.crash,
      freeze: s.freeze,
      restart: s.restart,
      powerCut: s.powerCut,
      jump: s.jump,
      operate: s.operators,
      later: s.retention ? 0.5 : 0,
    })
    const engine = this.#live()
    if (engine?.store?.broken && this.#chance.likely(0.3)) {
      await this.#kill(engine)
      return this.#later(this.#chance.whole(0, 5_000))
    }
    if (what === 'later') return this.#world.advance(70 * 60_000)
    if (what === 'powerCut') return this.#cutPower()
    if (what === 'crash') {
      const victim = [...this.#engines].at(this.#chance.whole(0, this.#engines.size) - 1)
      if (!victim) return
      await this.#kill(victim)
      return this.#later(this.#chance.one([0, 100, 3_000, 20_000]))
    }
    if (!engine) return
    if (what === 'freeze') {
      this.#ledger.note(`${engine.process.name} freezes`)
      engine.process.freeze()
      this.#world.after(this.#chance.one([500, 4_000, 18_000, 40_000]), () => engine.process.thaw())
    } else if (what === 'jump') {
      engine.process.skew += this.#chance.one([-3_600_000, -5_000, 5_000, 3_600_000])
      this.#ahead = Math.max(this.#ahead, engine.process.skew)
    } else if (what === 'restart') this.#restart(engine)
    else if (what === 'operate')
      void this.#operate(engine.app!).catch((e: unknown) => this.#ledger.note(`refused ${brief(e)}`))
    else if (what === 'burst') for (let i = this.#chance.whole(2, 12); i > 0; i--) this.#publish(engine)
    else if (what === 'many') this.#many(engine)
    else if (what === 'transact') void this.#transact(engine)
    else if (what === 'repeat') this.#repeat(engine)
    else this.#publish(engine)
  }

  /** SIGTERM: it drains, and another one is started. */
  #restart(engine: Engine): void {
    const { app, process } = engine
    engine.app = undefined
    this.#ledger.note(`${process.name} drains`)
    process.gone = this.#world.now + grace
    this.#world.after(grace, () => (process.gone = Math.min(process.gone, this.#savedUntil())))
    app![Symbol.asyncDispose]().then(
      () => {
        this.#ledger.note(`${process.name} has ended`)
        void this.#kill(engine).then(() => this.#later(this.#chance.one([0, 1_000])))
      },
      (e: unknown) => {
        this.#ledger.note(`${process.name} has ended badly: ${brief(e)}`)
        void this.#kill(engine).then(() => this.#later(1_000))
      },
    )
  }

  async #cutPower(): Promise<void> {
    this.#ledger.note('the power is cut')
    for (const e of this.#engines) await this.#kill(e)
    await this.#world.settle()
    this.#disk.lose()
    this.#witness.powerCut()
    this.#later(1_000)
  }

  // clients

  #newFact(row = false): Fact {
    const s = this.#swarm
    const key = this.#chance.likely(s.keyless) ? null : `k${this.#chance.whole(1, s.keys)}`
    const u = `u${++this.#facts}`
    const id = !row && this.#chance.likely(0.6) ? `id-${u}` : undefined
    return this.#ledger.fact({ u, topic: 'orders', key, id, row })
  }

  #publish(engine: Engine): void {
    this.#send(engine, this.#newFact())
  }

  /** A client that is not sure, or a provider that delivers twice. */
  #repeat(engine: Engine): void {
    const known = [...this.#ledger.facts.values()].filter((f) => f.topic === 'orders' && f.id !== undefined)
    if (known.length > 0) this.#send(engine, this.#chance.one(known))
  }

  #send(engine: Engine, fact: Fact): void {
    const delay = this.#chance.likely(0.1) ? this.#chance.one([100, 2_000, 30_000]) : 0
    if (delay > 0) this.#lastDue = Math.max(this.#lastDue, this.#world.now + delay)
    const data: Data = { u: fact.u, k: fact.key }
    fact.unknown = true
    engine
      .app!.publish({ kind: 'topic', name: 'orders' } as never, data as never, {
        ...(fact.id === undefined ? {} : { id: fact.id }),
        ...(delay === 0 ? {} : { delay: `${delay}ms` }),
      })
      .then(
        (p) => this.#ledger.accepted(fact, p.offset < 0 ? undefined : `${p.topic}/${p.partition}/${p.offset}`),
        (e: unknown) => this.#ledger.refused(fact, e),
      )
  }

  #many(engine: Engine): void {
    const facts = Array.from({ length: this.#chance.whole(2, 6) }, () => {
      const fact = this.#newFact(true)
      fact.unknown = true
      return fact
    })
    const items = facts.map((f): Data => ({ u: f.u, k: f.key }))
    engine.app!.publishMany({ kind: 'topic', name: 'orders' } as never, items as never[]).then(
      (ps) => ps.forEach((p, i) => this.#ledger.accepted(facts[i]!, `${p.topic}/${p.partition}/${p.offset}`)),
      (e: unknown) => facts.forEach((f) => this.#ledger.refused(f, e)),
    )
  }

  async #transact(engine: Engine): Promise<void> {
    const fact = this.#newFact(true)
    fact.unknown = true
    const changesMind = this.#chance.likely(0.2)
    // A writer that is held for seconds is a fault like others: beats and cursors wait behind it.
    const ms = this.#chance.one([0, 0, 100, calmBut(this.#swarm) ? 100 : 7_000])
    try {
      await engine.app!.transact(async (tx) => {
        await tx.query(sql`insert into clients (u) values (${fact.u})`)
        if (ms > 0) await engine.process.sleep(ms)
        await tx.publish({ kind: 'topic', name: 'orders' } as never, { u: fact.u, k: fact.key })
        if (changesMind) throw new Error('changed my mind')
      })
      this.#ledger.accepted(fact, undefined)
    } catch (e) {
      this.#ledger.refused(fact, e)
      if (changesMind && (e as Error).message === 'changed my mind') fact.unknown = false
    }
  }

  // operators

  async #operate(app: App): Promise<void> {
    const { operations } = app
    const subs = this.#swarm.batch > 0 ? ['main', 'batch', 'follow'] : ['main', 'follow']
    const sub = this.#chance.one(subs)
    const verb = this.#chance.weighted({ pause: 1, resume: 3, replay: 4, edit: 2, discard: 3, redrive: 1 })
    if (verb === 'pause' || verb === 'resume') {
      this.#ledger.note(`${verb} ${sub}`)
      return operations[verb](sub)
    }
    if (verb === 'redrive') return void (await operations.redrive({ subscription: sub, rate: '1000/s', wait: '1ms' }))
    const drawn = this.#chance.whole(0, 1_000)
    const parked = await operations.parked({ limit: 1_000 })
    const one = parked[drawn % Math.max(1, parked.length)]
    if (!one) return
    const data = one.data as Data
    const name = `${one.subscription} ${data.u}`
    this.#ledger.note(`${verb} ${name} (${one.state})`)
    if (verb === 'replay') return operations.replay(one.parked)
    if (verb === 'edit') {
      if (one.state === 'behind') return
      this.#ledger.edited.add(name)
      return operations.editAndReplay(one.parked, { ...data, edited: true })
    }
    this.#ledger.discarded.add(name)
    return operations.discard(one.parked, 'by the simulation')
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
    // A clock that was moved is noticed within a minute.
    await this.#world.advance(Math.max(0, this.#lastDue - this.#world.now) + 61_000)
    const from = this.#world.now
    let left: string[] = ['not begun']
    for (let runs = -1; ;) {
      await this.#replaceBroken()
      const engine = this.#live()
      left = engine ? await this.#left(engine.app!) : ['no process is up']
      // What is delayed is not seen: nothing may have begun for as long as handlers delay.
      if (left.length === 0 && runs === this.#ledger.runs.length) break
      runs = this.#ledger.runs.length
      if (this.#world.now - from > patience) return left.map((l) => `L7: ${l}`)
      await this.#world.advance(10_000)
    }
    const runs = this.#ledger.runs.length
    await this.#world.advance(130_000)
    const more = this.#ledger.runs.slice(runs)
    return more.map((r) => `L7: ${r.sub} runs ${r.u} when all was done`)
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

  /** What is not done yet. */
  async #left(app: App): Promise<string[]> {
    const { operations } = app
    const subs = this.#swarm.batch > 0 ? ['main', 'batch', 'follow'] : ['main', 'follow']
    for (const s of subs) await this.#wait(operations.resume(s))
    const status = await this.#wait(operations.status())
    const parked = await this.#wait(operations.parked({ limit: 1_000 }))
    this.#parkedSeen = Math.max(this.#parkedSeen, parked.length)
    const full = (name: string): boolean =>
      parked.filter((p) => p.subscription === name).length >= (name === 'follow' ? 10_000 : this.#swarm.parkedLimit)
    const left = status.subscriptions
      .filter((s) => s.lag > 0 && !full(s.name))
      .map((s) => `${s.name} has ${s.lag} messages that it does not handle (${s.waiting ?? 'flowing'})`)
    for (const s of status.subscriptions)
      if (
        full(s.name) &&
        !parked.some((p) => p.subscription === s.name && p.state !== 'dead' && p.state !== 'behind')
      ) {
        const dead = parked.find((p) => p.subscription === s.name && p.state === 'dead')
        // A person makes room.
        if (s.lag > 0 && dead) {
          this.#ledger.discarded.add(`${s.name} ${(dead.data as Data).u}`)
          await this.#wait(operations.discard(dead.parked, 'to make room'))
          left.push(`${s.name} was full`)
        }
      }
    for (const p of parked) {
      const before = parked.some(
        (o) =>
          o.subscription === p.subscription &&
          o.key === p.key &&
          p.key !== null &&
          o.state === 'dead' &&
          samePartitionBefore(o.position, p.position),
      )
      if (p.state !== 'dead' && !(p.state === 'behind' && before))
        left.push(`${p.subscription} ${(p.data as Data).u} stays parked as ${p.state}, due ${p.due ?? 'never'}`)
    }
    return left
  }
}

function samePartitionBefore(a: string, b: string): boolean {
  const [ta, pa, oa] = a.split('/')
  const [tb, pb, ob] = b.split('/')
  return ta === tb && pa === pb && Number(oa) < Number(ob)
}

function brief(value: unknown): string {
  const code = (value as { code?: string | number } | null)?.code
  if (code !== undefined) return `${code}`
  if (value instanceof Error) return value.stack ?? value.message
  const f = (value as { fault?: { code?: string; stack?: string } } | null)?.fault
  return f ? (f.code ?? String(f.stack)) : JSON.stringify(value ?? {})
}
