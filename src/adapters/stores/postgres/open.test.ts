import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { virtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { uuid7 } from '#kernel/id.ts'
import { isFault, type Fault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import { migrations, schemaLevel } from '../migrations/index.ts'
import { append, entry, log, refused, same, topic } from '../conformance/trial.ts'
import type { Store } from '../port.ts'
import { Connector } from './connect.ts'
import { postgres, type PostgresOptions } from './index.ts'
import { ask, drop, newSchema, openStore, server } from './open.fixture.ts'
import { settings } from './options.ts'
import type { PgClient } from './session.ts'

const clock = virtualClock()
const random = seededRandom(1)
const runtime = { clock, random, ids: uuid7(clock, random), log: { write: () => {} } } as unknown as Omit<
  Runtime,
  'store'
>

function open(url: string, options: PostgresOptions = {}): Promise<Store> {
  return postgres(url, { patience: '0ms', ...options }).open(runtime)
}

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  try {
    await work
  } catch (e) {
    assert.ok(isFault(e), String(e))
    return e
  }
  return assert.fail('it was not refused')
}

async function made(t: TestContext): Promise<string> {
  const schema = newSchema()
  await (await openStore(schema, clock))[Symbol.asyncDispose]()
  t.after(() => drop(schema))
  return schema
}

test('all wrong options are told at once, before anything is opened', async () => {
  const wrong = { schema: 'Robert"; --', patience: '1y', transactions: 0, pool: 4 } as unknown as PostgresOptions
  const e = await faultOf((async () => postgres('mysql://here', wrong))())
  assert.equal(e.code, 'config.option')
  for (const name of ['url', 'schema', 'patience', 'transactions', 'pool'])
    assert.match(e.message, new RegExp(`postgres.${name} `))
})

test('certificates are always checked: options and addresses that would switch it off are refused', async () => {
  const url = 'postgres://here/db'
  for (const attempt of [
    () => postgres(url, { ssl: { rejectUnauthorized: false } }),
    () => postgres(`${url}?sslmode=no-verify`),
    () => postgres(url, { ssl: { checkServerIdentity: () => undefined } }),
  ])
    await refused((async () => attempt())(), 'config.option')
})

test('a server that is not there is store.unreachable, and says where without saying who', async () => {
  const e = await faultOf(open('postgres://user:secret@127.0.0.1:1/db'))
  assert.equal(e.code, 'store.unreachable')
  assert.match(e.message, /127\.0\.0\.1:1\/db/)
  assert.doesNotMatch(JSON.stringify(e), /secret/)
})

test('a database that is not there is store.open', async () => {
  const e = await faultOf(open((await server()).url.replace(/\/postgres$/, '/absent')))
  assert.equal(e.code, 'store.open')
  assert.match(e.message, /absent/)
})

test('a role that may not make the schema is store.rights, and one that owns a schema made for it may work', async (t) => {
  const schema = newSchema()
  await ask(`create role ${schema} login`)
  t.after(() => ask(`drop schema if exists ${schema} cascade; drop role ${schema}`))
  const url = (await server()).url.replace('postgres@', `${schema}@`)
  await refused(open(url, { schema }), 'store.rights')
  await ask(`create schema ${schema}`)
  await refused(open(url, { schema }), 'store.rights')
  await ask(`alter schema ${schema} owner to ${schema}`)
  const store = await open(url, { schema })
  same(await append(store, entry(await topic(store), 'a')), [{ slot: 0, offset: 0, duplicate: false }])
  await store[Symbol.asyncDispose]()
})

test('a server that is too old is refused by name', async () => {
  class Old implements Omit<PgClient, 'query'> {
    readonly processID = 1
    readonly connection = { stream: { destroy() {} } }
    connect = () => Promise.resolve()
    end = () => Promise.resolve()
    on = () => this
    query = () => Promise.resolve({ rows: [[130_011, false]], rowCount: 1, fields: [] })
  }
  const connector = new Connector(settings('postgres://here/db', {}), runtime, Old)
  const e = await faultOf(connector.connect('ours', 0))
  assert.equal(e.code, 'store.open')
  assert.match(e.message, /PostgreSQL 13/)
})

test('a schema of a newer version is left alone', async (t) => {
  const schema = await made(t)
  await ask(`update ${schema}.fl_meta set level = ${schemaLevel + 1}`)
  await refused(openStore(schema, clock), 'store.newer')
})

test('tables of others that are named like ours are left alone', async (t) => {
  const schema = newSchema()
  await ask(`create schema ${schema}; create table ${schema}.fl_topics (theirs int)`)
  t.after(() => drop(schema))
  await refused(openStore(schema, clock), 'store.foreign')
  same(
    await ask(
      `select count(*)::int as n from pg_class where relnamespace = '${schema}'::regnamespace and relkind = 'r'`,
    ),
    [{ n: 1 }],
  )
})

test('other tables in the schema do not disturb', async (t) => {
  const schema = newSchema()
  await ask(`create schema ${schema}; create table ${schema}.orders (id int)`)
  t.after(() => drop(schema))
  await (await openStore(schema, clock))[Symbol.asyncDispose]()
})

for (const [what, statement, difference] of [
  ['a column', 'alter table SCHEMA.fl_parked add column note text', /unexpected: column fl_parked\.note/],
  ['a type', 'alter table SCHEMA.fl_parked alter attempts type bigint', /missing: column fl_parked\.attempts integer/],
  ['an index', 'drop index SCHEMA.fl_parked_due', /missing: index on fl_parked partial/],
  [
    'a function',
    `create or replace function SCHEMA.fl_holds(g jsonb) returns boolean language sql as 'select true'`,
    /function fl_holds/,
  ],
] as const) {
  test(`a schema in which somebody has changed ${what} by hand is refused, with the difference`, async (t) => {
    const schema = await made(t)
    await ask(statement.replace('SCHEMA', schema))
    const e = await faultOf(openStore(schema, clock))
    assert.equal(e.code, 'store.altered')
    assert.match(e.message, difference)
  })
}

test('the ids seen and the segments of the log change places without being taken for a change by hand', async (t) => {
  const schema = await made(t)
  const store = await openStore(schema, clock)
  const slot = await topic(store, 't', 2)
  await append(store, entry(slot, 'a', { dedupe: 9 }))
  const now = clock.now()
  const shed = { write: 'shed', slot, now: now + 9, before: 0, span: 1, below: [0, 0] } as const
  await store.commit([{ writes: [{ write: 'trim', what: 'seen', before: now, limit: 9 }, shed] }], 'durable')
  await store[Symbol.asyncDispose]()
  const again = await openStore(schema, clock)
  same(await append(again, entry(slot, 'a', { dedupe: 9 })), [{ slot, offset: 0, duplicate: true }])
  same((await log(again, slot)).length, 1)
  await again[Symbol.asyncDispose]()
})

test('two processes that open an empty schema at once make one store', async (t) => {
  const schema = newSchema()
  t.after(() => drop(schema))
  const stores = await Promise.all([openStore(schema, clock), openStore(schema, clock), openStore(schema, clock)])
  same(await Promise.all(stores.map((s) => topic(s, 't'))), [0, 0, 0])
  for (const s of stores) await s[Symbol.asyncDispose]()
})

test('a migration that fails leaves everything as it was', async (t) => {
  const schema = newSchema()
  t.after(() => drop(schema))
  // A function that a migration is going to make, made by somebody before.
  const made = migrations.map((m) => m.postgres).join('\n')
  const name = [...made.matchAll(/create (?:or replace )?function (\w+)\(([^)]*)\)/g)].find(
    (m) => !m[2]!.includes('out '),
  )!
  await ask(
    `create schema ${schema}; create function ${schema}.${name[1]}(${name[2]}) returns text language sql as 'select null'`,
  )
  await refused(openStore(schema, clock), 'store.open')
  same(await ask(`select count(*)::int as n from pg_class where relnamespace = '${schema}'::regnamespace`), [{ n: 0 }])
})

test('closing leaves no connection behind', async (t) => {
  const schema = newSchema()
  t.after(() => drop(schema))
  const store = await openStore(schema, clock)
  const stop = store.watch(() => {})
  await topic(store)
  const tx = await store.begin(1_000)
  await tx.rollback()
  stop()
  await store[Symbol.asyncDispose]()
  while ((await ask(`select 1 from pg_stat_activity where application_name like 'fairlead%'`)).length > 0);
})
