import process from 'node:process'
import { connection, reject, subscription, topic, type App, type Context, sql } from 'fairlead'
import { z } from 'zod'

/**
 * What the engine under fire runs. One message has three effects: a row through `ctx.tx` (and a message published with
 * it), a charge at an outside API under an idempotency key, and the row of who follows. Each must happen once.
 */
export type Fact = {
  /** Its id: the client repeats it until it is told that the fact is accepted. */
  readonly u: string
  readonly key: string | null
  /**
   * `retry` fails on its first run in every subscription, `dead` is rejected by each, `late` is published with a delay. The call
   * of a `stubborn` one is a plain fetch: the engine cannot abort it, so its handler goes on whatever has happened.
   */
  readonly manner: 'ok' | 'retry' | 'dead' | 'late' | 'stubborn'
  readonly filler?: string
}

/** How late a `late` fact is. */
export const delay = '300ms'
/** Handlers at once of each subscription: what a kill may repeat. */
export const concurrency = 8

export const orders = topic<Fact>('orders', { partitions: 4, key: (f) => f.key ?? undefined, id: (f) => f.u })
export const shipped = topic<Fact>('shipped', { partitions: 4, key: (f) => f.key ?? undefined, id: (f) => f.u })

const outside = connection('outside', {
  baseUrl: process.env['CHAOS_OUTSIDE'] ?? 'http://127.0.0.1:1',
  timeout: { connect: '5s', firstByte: '2m', total: '2m' },
  operations: {
    charge: {
      http: 'POST /charges',
      input: z.object({ u: z.string() }),
      output: z.object({ ok: z.boolean() }),
      idempotent: 'key',
    },
  },
})

const patience = { concurrency, timeout: '5m', retry: { attempts: 20, first: '50ms', max: '500ms' } } as const

const rows = subscription('rows', {
  to: orders,
  ...patience,
  async handle(fact, ctx) {
    misbehave(fact, ctx)
    await write(fact, 'rows', ctx)
    await ctx.tx.publish(shipped, fact)
  },
})

const calls = subscription('calls', {
  to: orders,
  ...patience,
  async handle(fact, ctx) {
    misbehave(fact, ctx)
    if (fact.manner === 'stubborn') await plainly(fact)
    else await ctx.call(outside.charge, { u: fact.u })
    await write(fact, 'calls', ctx)
    tell(`calls ${fact.u}`)
  },
})

const follow = subscription('follow', {
  to: shipped,
  ...patience,
  handle: (fact, ctx) => write(fact, 'follow', ctx),
})

let tell: (name: string) => void = () => {}
/** Called as `<subscription> <u>` each time that a handler with a call has done its part, before its commit. */
export function onRun(listener: typeof tell): void {
  tell = listener
}

export const definitions = [orders, shipped, outside, rows, calls, follow]
/** Every accepted fact ends once in each of these, and so does what follows from it. */
export const subscriptions = ['rows', 'calls', 'follow'] as const

async function plainly({ u }: Fact): Promise<void> {
  const response = await fetch(`${process.env['CHAOS_OUTSIDE']}/charges`, {
    method: 'POST',
    headers: { 'idempotency-key': `plain/${u}` },
    body: JSON.stringify({ u }),
  })
  await response.arrayBuffer()
}

function misbehave(fact: Fact, ctx: Context): void {
  if (fact.manner === 'dead') reject('chaos.dead')
  if (fact.manner === 'retry' && ctx.attempt === 1) throw new Error('the first run fails')
}

async function write(fact: Fact, sub: string, ctx: Context): Promise<void> {
  await ctx.tx.query(sql`insert into chaos_effects (sub, u, pid) values (${sub}, ${fact.u}, ${process.pid})`)
}

/** The table of effects: no key but its order, so that a double effect is a second row and not a refusal. */
export async function createEffects(app: App, store: 'sqlite' | 'postgres'): Promise<void> {
  const create = (): Promise<unknown> =>
    app.transact((tx) =>
      tx.query(
        store === 'sqlite'
          ? sql`create table if not exists chaos_effects (id integer primary key, sub text, u text, pid integer)`
          : sql`create table if not exists chaos_effects (id bigint generated always as identity primary key, sub text, u text, pid integer)`,
      ),
    )
  // PostgreSQL refuses one of two that create it at the same moment, "if not exists" or not.
  await create().catch(create)
}
