import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test, type TestContext } from 'node:test'
import { sql as drizzleSql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { fairlead, Fault, subscription, topic, type JoinStatement } from 'fairlead'
import { postgres } from 'fairlead/postgres'
import { sqlite } from 'fairlead/sqlite'
import { CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { ask, newSchema, server } from '#adapters/stores/postgres/open.fixture.ts'
import { scratch } from '#adapters/stores/sqlite/open.fixture.ts'

type Order = { readonly id: string; readonly customer: string }
const orders = topic<Order>('orders', { key: (o) => o.customer, id: (o) => o.id })
const billed = topic<{ readonly order: string }>('billed')
const quiet = { write: () => {} }

/** Resolves when `n` have been given, to all of them. */
function gathering<T>(n: number): { readonly all: Promise<readonly T[]>; take(value: T): void } {
  const values: T[] = []
  const { promise, resolve } = Promise.withResolvers<readonly T[]>()
  return {
    all: promise,
    take: (value) => {
      values.push(value)
      if (values.length === n) resolve(values)
    },
  }
}

type World = { readonly url: string; readonly schema: string; readonly rows: string }

/** A schema for the store, and a table of the user's own in another. */
async function world(t: TestContext): Promise<World> {
  const { url } = await server()
  const schema = newSchema()
  const rows = `${schema}_own.rows`
  await ask(`create schema ${schema}_own; create table ${rows} (id text)`)
  t.after(() => ask(`drop schema if exists ${schema} cascade; drop schema ${schema}_own cascade`))
  return { url, schema, rows }
}

async function idsIn(table: string): Promise<readonly unknown[]> {
  return (await ask(`select id from ${table} order by id`)).map((r) => r['id'])
}

test('the same definitions run on PostgreSQL: published, handled, written with the cursor, retried, parked, replayed', async (t) => {
  const { url, schema, rows } = await world(t)
  const first = gathering<string>(2)
  const last = gathering<string>(3)
  const died = Promise.withResolvers<void>()
  let failing = true
  const billing = subscription('billing', {
    to: orders,
    retry: { attempts: 2, first: '10ms' },
    async handle(order, ctx) {
      if (order.id === 'o-2' && failing) {
        if (ctx.attempt === 2) died.resolve()
        throw new Fault('test.no', 'transient')
      }
      await ctx.tx.query({ text: [`insert into ${rows} (id) values (`, ')'], values: [order.id] })
      await ctx.publish(billed, { order: order.id })
    },
  })
  const reader = subscription('reader', {
    to: billed,
    handle: ({ order }) => {
      first.take(order)
      last.take(order)
    },
  })
  await using app = await fairlead({
    use: [orders, billed, billing, reader],
    store: postgres(url, { schema }),
    log: quiet,
  })
  await app.publishMany(orders, [
    { id: 'o-1', customer: 'a' },
    { id: 'o-2', customer: 'b' },
    { id: 'o-3', customer: 'c' },
  ])
  const again = await app.publish(orders, { id: 'o-1', customer: 'a' })
  assert.equal(again.offset, 0)
  assert.deepEqual([...(await first.all)].toSorted(), ['o-1', 'o-3'])
  await died.promise
  let [dead] = await app.operations.parked({ state: 'dead' })
  while (!dead) [dead] = await app.operations.parked({ state: 'dead' })
  assert.equal((dead.data as Order).id, 'o-2')
  assert.deepEqual(await idsIn(rows), ['o-1', 'o-3'])
  failing = false
  await app.operations.replay(dead.parked)
  assert.equal((await last.all).at(-1), 'o-2')
  assert.deepEqual(await idsIn(rows), ['o-1', 'o-2', 'o-3'])
})

test('a message that one process has published is handled by another, and a pause is heard by all', async (t) => {
  const { url, schema } = await world(t)
  const handled = gathering<string>(1)
  const after = gathering<string>(2)
  const reader = subscription('reader', {
    to: orders,
    handle: ({ id }) => {
      handled.take(id)
      after.take(id)
    },
  })
  await using worker = await fairlead({ use: [orders, reader], store: postgres(url, { schema }), log: quiet })
  await using publisher = await fairlead({ use: [orders], store: postgres(url, { schema }), work: false, log: quiet })
  await publisher.publish(orders, { id: 'o-1', customer: 'a' })
  assert.deepEqual(await handled.all, ['o-1'])
  await publisher.operations.pause('reader')
  const paused = async (): Promise<string | undefined> =>
    (await worker.operations.status()).subscriptions.find((s) => s.name === 'reader')?.waiting
  while ((await paused()) !== 'paused');
  await publisher.publish(orders, { id: 'o-2', customer: 'a' })
  await publisher.operations.resume('reader')
  assert.deepEqual(await after.all, ['o-1', 'o-2'])
})

/** Rows and messages of two transactions of the user's own, one of which is rolled back. */
async function joined(
  t: TestContext,
  transact: (of: World, work: (run: (s: JoinStatement) => Promise<unknown>) => Promise<void>) => Promise<void>,
): Promise<void> {
  const of = await world(t)
  const handled = gathering<string>(2)
  const reader = subscription('reader', { to: orders, handle: ({ id }) => handled.take(id) })
  await using app = await fairlead({
    use: [orders, reader],
    store: postgres(of.url, { schema: of.schema }),
    log: quiet,
  })
  const order = (id: string, fails = false): Promise<void> =>
    transact(of, async (run) => {
      await run({
        text: `insert into ${of.rows} (id) values ($1)`,
        values: [id],
        parts: template([`insert into ${of.rows} (id) values (`, ')']),
      })
      await app.join(run).publish(orders, { id, customer: "it's \u0000 theirs" })
      if (fails) throw new Error('changed my mind')
    })
  await order('o-1')
  await assert.rejects(order('o-2', true), /changed my mind/)
  await order('o-3')
  await order('o-1') // the id is known in the log: one message, whatever was handed over
  assert.deepEqual([...(await handled.all)].toSorted(), ['o-1', 'o-3'])
  assert.deepEqual(await idsIn(of.rows), ['o-1', 'o-1', 'o-3'])
  assert.equal((await app.operations.messages({ topic: 'orders' })).length, 2)
}

function template(parts: readonly string[]): TemplateStringsArray {
  return Object.assign([...parts], { raw: [...parts] })
}

test("messages go with the user's own transaction or not at all: pg", (t) =>
  joined(t, async ({ url }, work) => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      await client.query('begin')
      await work((s) => client.query(s.text, [...s.values]))
      await client.query('commit')
    } finally {
      await client.end()
    }
  }))

test("messages go with the user's own transaction or not at all: Kysely", (t) =>
  joined(t, async ({ url }, work) => {
    const db = new Kysely({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url, max: 1 }) }) })
    try {
      await db.transaction().execute((trx) => work((s) => trx.executeQuery(CompiledQuery.raw(s.text, [...s.values]))))
    } finally {
      await db.destroy()
    }
  }))

test("messages go with the user's own transaction or not at all: Drizzle", (t) =>
  joined(t, async ({ url }, work) => {
    const pool = new pg.Pool({ connectionString: url, max: 1 })
    try {
      await drizzle(pool).transaction((tx) => work((s) => tx.execute(drizzleSql(s.parts, ...s.values))))
    } finally {
      await pool.end()
    }
  }))

test("messages go with the user's own transaction on the file of an embedded store, too", async (t) => {
  const { file, remove } = scratch()
  t.after(remove)
  const handled = gathering<string>(1)
  const reader = subscription('reader', { to: orders, handle: ({ id }) => handled.take(id) })
  await using app = await fairlead({ use: [orders, reader], store: sqlite(file), log: quiet })
  const db = new DatabaseSync(file)
  t.after(() => db.close())
  const run = (s: JoinStatement): unknown =>
    db.prepare(s.text).run(...s.values.map((v) => (typeof v === 'boolean' ? Number(v) : v)))
  db.exec('begin')
  await app.join(run).publish(orders, { id: 'o-0', customer: 'a' })
  db.exec('rollback')
  db.exec('begin')
  await app.join(run).publish(orders, { id: 'o-1', customer: 'a' })
  db.exec('commit')
  assert.deepEqual(await handled.all, ['o-1'])
})

test('nobody can join a transaction of a store in memory', async () => {
  await using app = await fairlead({ use: [orders], log: quiet })
  assert.throws(() => app.join(() => {}), { code: 'store.transaction' })
})
