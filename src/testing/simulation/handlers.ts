import type { Context } from '#kernel/context.ts'
import type { Duration } from '#kernel/duration.ts'
import { Fault } from '#kernel/fault.ts'
import { sql } from '#kernel/sql.ts'
import { topic } from '#patterns/topics/define.ts'
import { subscription, type BatchContext } from '#patterns/topics/subscription.ts'
import type { Chance } from './decisions.ts'
import type { Ledger, Run } from './ledger.ts'
import type { Process } from './machine.ts'
import { calm, type Swarm } from './swarm.ts'

export type Data = { readonly u: string; readonly k: string | null; readonly edited?: boolean }

/** Milliseconds that a run may take in these worlds. */
export const timeout = 2_000
/** Milliseconds before the first retry, at least. */
export const backoff = 200
/** Known to the engine as a secret, and thrown about by handlers: must be masked wherever it would be seen. */
export const canary = 'canary-5f2c81d0'

type Outcome = 'ok' | 'throw' | 'throw-now' | 'rejected' | 'held' | 'hang' | 'late'
type Effect = 'none' | 'publish' | 'row' | 'row-publish' | 'row-delay'

/** What a handler does with one message, run after run: the same whichever process runs it. */
export type Plan = {
  readonly effect: Effect
  readonly outcomes: readonly Outcome[]
  readonly permanent: boolean
  readonly ms: readonly number[]
  runs: number
}

/** What the handlers of all processes share: the world outside. */
export class Handlers {
  readonly #swarm: Swarm
  readonly #chance: Chance
  readonly #ledger: Ledger
  readonly #plans = new Map<string, Plan>()
  /** The faults have stopped: nothing hangs, nothing fails that could succeed. */
  calm = false

  constructor(swarm: Swarm, chance: Chance, ledger: Ledger) {
    this.#swarm = swarm
    this.#chance = chance
    this.#ledger = ledger
  }

  plan(sub: string, u: string, edited = false): Plan {
    const name = `${sub} ${u} ${edited}`
    let plan = this.#plans.get(name)
    if (!plan) this.#plans.set(name, (plan = this.#draw(`${sub}/${u}${edited ? '/edited' : ''}`, sub, edited)))
    return plan
  }

  #draw(label: string, sub: string, edited: boolean): Plan {
    const c = this.#chance
    const s = this.#swarm
    const failures = c.likely(`${label} fails`, s.failing) ? c.whole(`${label} failures`, 1, 4) : 0
    const effects: Readonly<Record<string, readonly Effect[]>> = {
      main: ['none', 'none', 'none', 'publish', 'row', 'row-publish', 'row-delay'],
      batch: ['none', 'publish', 'row'],
    }
    return {
      effect: c.one(`${label} effect`, effects[sub] ?? ['none']),
      outcomes: Array.from({ length: failures }, () =>
        c.weighted(`${label} outcome`, { throw: 4, 'throw-now': 2, rejected: 1, held: 2, hang: 1, late: 1 }),
      ),
      permanent: c.likely(`${label} permanent`, edited ? 0 : s.permanent),
      ms: Array.from({ length: 3 }, () => c.one(`${label} ms`, [0, 0, 0, 1, 20, 300, 1_200])),
      runs: 0,
    }
  }

  #next(plan: Plan): Outcome {
    const drawn = plan.outcomes[plan.runs++] ?? 'ok'
    const outcome = plan.permanent ? 'rejected' : this.calm ? 'ok' : drawn
    if (outcome !== 'ok') this.#ledger.coverage.fault('handler failed')
    return outcome
  }

  definitions(process: Process): unknown[] {
    const s = this.#swarm
    const keep = s.retention ? '1h' : '7d'
    const orders = topic<never>('orders', {
      key: (d: Data) => d.k ?? undefined,
      partitions: s.partitions,
      keep,
      compact: s.compact,
    } as never)
    const out = topic<never>('out', { key: (d: Data) => d.k ?? undefined, partitions: 2, keep } as never)
    const common = {
      concurrency: s.concurrency,
      timeout: `${timeout}ms` as Duration,
      retry: { attempts: s.attempts, first: `${backoff}ms` as Duration, max: '2s' as Duration },
      parkedLimit: s.parkedLimit,
    }
    const one = (sub: string) => (data: Data, ctx: Context) => this.#one(process, out, sub, data, ctx)
    const uses: unknown[] = [
      orders,
      out,
      subscription('main', { to: orders, ...common, handle: one('main') }),
      subscription('follow', { to: out, ...common, parkedLimit: 10_000, handle: one('follow') }),
    ]
    if (s.batch > 0) {
      uses.push(
        subscription('batch', {
          to: orders,
          ...common,
          batch: s.batch,
          handleBatch: (batch: readonly { data: Data }[], ctx: BatchContext) =>
            this.#many(
              process,
              out,
              batch.map((b) => b.data),
              ctx,
            ),
        }),
      )
    }
    return uses
  }

  #begin(process: Process, sub: string, data: Data, attempt: number, batch = {}): Run {
    return this.#ledger.began({
      sub,
      batch,
      u: data.u,
      key: data.k,
      edited: data.edited === true,
      process,
      attempt,
    })
  }

  /** Not async: it may return and throw in the same turn, as a user's handler may. */
  #one(process: Process, out: unknown, sub: string, data: Data, ctx: Context): unknown {
    this.#checkBounds(process, sub, [data], ctx.attempt)
    const run = this.#begin(process, sub, data, ctx.attempt)
    const plan = this.plan(sub, data.u, data.edited)
    const outcome = this.#next(plan)
    if (outcome === 'throw-now') {
      this.#ledger.ended(run, false, outcome)
      throw new Error(`${outcome} ${canary}`)
    }
    if (outcome === 'ok' && plan.effect === 'none' && plan.ms[0] === 0) {
      this.#ledger.ended(run, true, 'ok, in the same turn')
      return undefined
    }
    return this.#act(process, out, run, plan, outcome, data, ctx)
  }

  async #act(
    process: Process,
    out: unknown,
    run: Run,
    plan: Plan,
    outcome: Outcome,
    data: Data,
    ctx: Context,
  ): Promise<void> {
    try {
      await pause(process, plan.ms[0])
      await this.#effect(process, out, run.sub, plan, data, ctx)
      await pause(process, plan.ms[2])
      if (outcome === 'hang') await new Promise(() => {})
      if (outcome === 'late') await process.sleep(timeout + 500)
      const fault = faultOf(outcome)
      if (fault) throw fault
    } catch (e) {
      this.#ledger.ended(run, false, howOf(e))
      throw e
    }
    this.#ledger.ended(run, true, 'ok')
  }

  async #effect(
    process: Process,
    out: unknown,
    sub: string,
    plan: Plan,
    data: Data,
    ctx: Pick<Context, 'tx' | 'publish'>,
  ): Promise<void> {
    if (plan.effect === 'none') return
    const made: Data = { u: `${data.u}>${sub}`, k: data.k }
    if (plan.effect === 'publish') {
      const fact = this.#ledger.fact({ u: made.u, topic: 'out', key: made.k, id: made.u, row: false })
      try {
        const position = await ctx.publish(out as never, made)
        // Within a transaction it is accepted when that commits, not before.
        if (position.offset < 0) fact.unknown = true
        else this.#ledger.accepted(fact, `${position.topic}/${position.partition}/${position.offset}`)
      } catch (e) {
        this.#ledger.refused(fact, e)
        throw e
      }
      return
    }
    await ctx.tx.query(sql`insert into mine (sub, u, edited) values (${sub}, ${data.u}, ${data.edited === true})`)
    await pause(process, plan.ms[1])
    if (plan.effect === 'row') return
    this.#ledger.fact({ u: made.u, topic: 'out', key: made.k, id: undefined, row: true }).unknown = true
    await ctx.tx.publish(out as never, made, plan.effect === 'row-delay' ? { delay: '3s' } : {})
  }

  async #many(process: Process, out: unknown, batch: readonly Data[], ctx: BatchContext): Promise<unknown> {
    this.#checkBounds(process, 'batch', batch, ctx.attempt)
    const together = {}
    const runs = batch.map((d) => this.#begin(process, 'batch', d, ctx.attempt, together))
    const failedKeys = new Set<string>()
    const results: (Fault | undefined)[] = []
    let slowest = 0
    let wrote = false
    try {
      for (const data of batch) {
        const plan = this.plan('batch', data.u, data.edited)
        slowest = Math.max(slowest, plan.ms[0]!)
        const outcome = data.k !== null && failedKeys.has(data.k) ? 'throw' : this.#next(plan)
        if (outcome === 'hang' || outcome === 'late') await process.sleep(timeout + 500)
        if (outcome === 'throw-now') throw new Error(`${outcome} ${canary}`)
        const fault = faultOf(outcome)
        if (fault && data.k !== null) failedKeys.add(data.k)
        results.push(fault)
        if (fault) continue
        wrote ||= plan.effect === 'row'
        await this.#effect(process, out, 'batch', plan, data, ctx)
      }
      await pause(process, slowest)
    } catch (e) {
      for (const r of runs) this.#ledger.ended(r, false, howOf(e))
      throw e
    }
    const failed = results.some(Boolean)
    // What one of them wrote is undone when another one fails: then none is done.
    runs.forEach((r, i) =>
      this.#ledger.ended(r, results[i] === undefined && !(failed && wrote), results[i]?.code ?? 'ok'),
    )
    return failed ? results : undefined
  }

  /** What is seen from inside: no second run of a key, no more runs at once, no larger batch, no more attempts than allowed. */
  #checkBounds(process: Process, sub: string, batch: readonly Data[], attempt: number): void {
    const { coverage } = this.#ledger
    const { attempts, concurrency } = this.#swarm
    const names = (): string => batch.map((d) => d.u).join()
    // What ran when its process ended is tried alone, whatever it has burned.
    const planned = attempts + (calm(this.#swarm) ? 0 : 2)
    coverage.check('I10', attempt >= 1 && attempt <= planned, () => `attempt ${attempt} of ${sub} at ${names()}`)
    const most = sub === 'batch' ? this.#swarm.batch : 1
    coverage.check('I15', batch.length <= most, () => `${sub} is given ${batch.length} messages, ${most} at most`)
    const now = process.clock.mono()
    if (now < process.wokenBy) return
    const active = this.#ledger.runs.filter(
      (r) =>
        r.process === process &&
        r.sub === sub &&
        r.ended === undefined &&
        now - r.began < timeout &&
        r.began >= process.wokenBy,
    )
    const keys = new Set(batch.map((d) => d.k).filter((k) => k !== null))
    // Of one that a person has discarded or edited meanwhile, the run is in vain.
    const twin = active.find((r) => r.key !== null && keys.has(r.key) && !this.#ledger.decided(r))
    coverage.check('I4', twin === undefined, () => `${sub} runs ${names()} while ${twin?.u} of its key runs`)
    const atOnce = new Set(active.map((r) => r.batch)).size + 1
    coverage.check('I15', atOnce <= concurrency, () => `${sub} has ${atOnce} runs at once, ${concurrency} at most`)
  }
}

function howOf(e: unknown): string {
  return (e as { code?: string }).code ?? (e as Error).message
}

async function pause(process: Process, ms: number | undefined): Promise<void> {
  if (ms) await process.sleep(ms)
}

function faultOf(outcome: Outcome): Fault | undefined {
  if (outcome === 'throw') return new Fault('test.failed', 'transient')
  if (outcome === 'rejected') return new Fault('test.rejected', 'rejected')
  if (outcome === 'held')
    return new Fault('connection.breaker_open', 'transient', { detail: { connection: 'api' }, retryAfter: 700 })
  return undefined
}
