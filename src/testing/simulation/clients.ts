import type { TopicHandle } from '#kernel/handle.ts'
import { sql } from '#kernel/sql.ts'
import type { Data } from './handlers.ts'
import type { Fact } from './ledger.ts'
import type { Engine, World } from './fleet.ts'
import { calmBut } from './swarm.ts'

const orders: TopicHandle<Data> = { kind: 'topic', name: 'orders' }

/** Who hands in messages from outside, in doubt twice. Facts are named after the step they come from. */
export class Clients {
  /** When the last delayed message is due. */
  lastDue = 0
  readonly #world: World
  readonly #live: (label: string) => Engine | undefined

  /** `live`: one of the processes that are up. */
  constructor(world: World, live: (label: string) => Engine | undefined) {
    this.#world = world
    this.#live = live
  }

  publish(step: string, engine: Engine): void {
    this.#send(step, engine, this.#fact(step, 'maybe'))
  }

  /** From the same turn, without waiting for an answer. */
  burst(step: string, engine: Engine): void {
    for (let i = this.#world.chance.whole(`${step} burst`, 2, 12); i > 0; i--) this.publish(`${step}.${i}`, engine)
  }

  /** A client that is not sure, or a provider that delivers twice. */
  repeat(step: string, engine: Engine): void {
    const known = [...this.#world.ledger.facts.values()].filter((f) => f.topic === 'orders' && f.id !== undefined)
    if (known.length > 0) this.#send(step, engine, this.#world.chance.one(`${step} again`, known))
  }

  /** A provider that delivers the same event to two processes at once. */
  race(step: string, engine: Engine): void {
    const fact = this.#fact(step, 'own')
    this.#send(step, engine, fact)
    this.#send(step, this.#live(`${step} other`) ?? engine, fact)
  }

  many(step: string, engine: Engine): void {
    const facts = Array.from({ length: this.#world.chance.whole(`${step} many`, 2, 6) }, (_, i) =>
      this.#fact(`${step}.${i}`, 'none'),
    )
    const items = facts.map((f): Data => ({ u: f.u, k: f.key }))
    engine.app!.publishMany(orders, items).then(
      (ps) => ps.forEach((p, i) => this.#world.ledger.accepted(facts[i]!, `${p.topic}/${p.partition}/${p.offset}`)),
      (e: unknown) => facts.forEach((f) => this.#world.ledger.refused(f, e)),
    )
  }

  async transact(step: string, engine: Engine): Promise<void> {
    const fact = this.#fact(step, 'row')
    const changesMind = this.#world.chance.likely(`${step} changes mind`, 0.2)
    // A writer that is held for seconds is a fault like others: beats and cursors wait behind it.
    const ms = this.#world.chance.one(`${step} holds`, [0, 0, 100, calmBut(this.#world.swarm) ? 100 : 7_000])
    try {
      await engine.app!.transact(async (tx) => {
        await tx.query(sql`insert into clients (u) values (${fact.u})`)
        if (ms > 0) await engine.process.sleep(ms)
        await tx.publish(orders, { u: fact.u, k: fact.key })
        if (changesMind) throw new Error('changed my mind')
      })
      this.#world.ledger.accepted(fact, undefined)
    } catch (e) {
      this.#world.ledger.refused(fact, e)
      if (changesMind && (e as Error).message === 'changed my mind') fact.unknown = false
    }
  }

  #fact(step: string, id: 'own' | 'maybe' | 'none' | 'row'): Fact {
    const s = this.#world.swarm
    const key = this.#world.chance.likely(`${step} keyless`, s.keyless)
      ? null
      : `k${this.#world.chance.whole(`${step} key`, 1, s.keys)}`
    const u = `u${step.slice('step/'.length)}`
    const named = id === 'own' || (id === 'maybe' && !this.#world.chance.likely(`${step} nameless`, 0.4))
    const fact = this.#world.ledger.fact({
      u,
      topic: 'orders',
      key,
      id: named ? `id-${u}` : undefined,
      row: id === 'row',
    })
    fact.unknown = true
    return fact
  }

  #send(step: string, engine: Engine, fact: Fact): void {
    const delayed = this.#world.chance.likely(`${step} delayed`, 0.1)
    const delay = delayed ? this.#world.chance.one(`${step} delay`, [100, 2_000, 30_000]) : 0
    if (delay > 0) this.lastDue = Math.max(this.lastDue, this.#world.time.now + delay)
    const data: Data = { u: fact.u, k: fact.key }
    engine
      .app!.publish(orders, data, {
        ...(fact.id === undefined ? {} : { id: fact.id }),
        ...(delay === 0 ? {} : { delay: `${delay}ms` }),
      })
      .then(
        (p) => this.#world.ledger.accepted(fact, p.offset < 0 ? undefined : `${p.topic}/${p.partition}/${p.offset}`),
        (e: unknown) => {
          this.#world.ledger.refused(fact, e)
          this.#insist(step, fact)
        },
      )
  }

  /** Sends again what was not accepted, a little later, so that it overtakes or is overtaken. */
  #insist(step: string, fact: Fact): void {
    if (!this.#world.swarm.insistent || fact.id === undefined) return
    const ms = this.#world.chance.one(`${step} insists`, [100, 1_000, 5_000])
    this.lastDue = Math.max(this.lastDue, this.#world.time.now + ms)
    this.#world.time.after(ms, () => {
      const engine = this.#live(`${step} insists through`)
      if (engine) this.#send(`${step}'`, engine, fact)
    })
  }
}
