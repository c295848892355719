import { test, type TestContext } from 'node:test'
import { systemClock } from '#app/runtime.ts'
import { uuid7 } from '#kernel/id.ts'
import type { Runtime } from '#kernel/runtime.ts'
import { sql } from '#kernel/sql.ts'
import { faultProxy, type FaultProxy } from '#testing/proxy.ts'
import { seededRandom } from '#testing/random.ts'
import { append, commit, entry, log, refused, same, topic } from '../conformance/trial.ts'
import type { Store } from '../port.ts'
import { postgres, type PostgresOptions } from './index.ts'
import { ask, drop, newSchema, server } from './open.fixture.ts'

type World = { readonly store: Store; readonly proxy: FaultProxy; readonly schema: string; readonly t: number }

/** A store that reaches its server through a proxy. */
async function world(test: TestContext, options: PostgresOptions = {}): Promise<World> {
  const { port } = await server()
  const proxy = await faultProxy({ target: { port } })
  const schema = newSchema()
  const store = await open(`postgres://postgres@127.0.0.1:${proxy.port}/postgres`, schema, options)
  test.after(async () => {
    await proxy.heal()
    await store[Symbol.asyncDispose]()
    await proxy[Symbol.asyncDispose]()
    await drop(schema)
  })
  const t = await topic(store)
  await append(store, entry(t + 3, 'first')) // from now on it knows where the topic stands
  return { store, proxy, schema, t }
}

function open(url: string, schema: string, options: PostgresOptions = {}): Promise<Store> {
  const random = seededRandom(1)
  const clock = systemClock
  const runtime = { clock, random, ids: uuid7(clock, random), log: { write: () => {} } } as unknown as Omit<
    Runtime,
    'store'
  >
  return postgres(url, { schema, ...options }).open(runtime)
}

/** Asks the server itself, again and again, until it has come to be so. */
async function until(question: string): Promise<void> {
  for (;;) if ((await ask(`select (${question}) as so`))[0]?.['so'] === true) return
}

test('a message whose acknowledgement was lost on the way is found in the log, and is there once', async (t) => {
  const { store, proxy, schema, t: slot } = await world(t)
  await append(store, entry(slot, 'before'), entry(slot, 'known', { dedupe: 1_000 }))
  proxy.inject('down', { blackHole: true })
  const appended = append(
    store,
    entry(slot, 'a'),
    entry(slot, 'known', { dedupe: 1_000 }),
    entry(slot + 1, 'b', { dedupe: 9 }),
  )
  await until(`select next[1] = 3 from ${schema}.fl_heads`)
  await proxy.heal()
  proxy.reset()
  same(await appended, [
    { slot, offset: 2, duplicate: false },
    { slot, offset: 1, duplicate: true },
    { slot: slot + 1, offset: 0, duplicate: false },
  ])
  same(
    (await log(store, slot)).map((m) => m.id),
    ['before', 'known', 'a'],
  )
})

test('a message that never reached the server is sent again, and is there once', async (t) => {
  const { store, proxy, t: slot } = await world(t)
  proxy.inject('up', { blackHole: true })
  const appended = append(store, entry(slot, 'a'))
  await new Promise<void>((resolve) => setImmediate(resolve))
  await proxy.heal()
  proxy.reset()
  same(await appended, [{ slot, offset: 0, duplicate: false }])
  same((await log(store, slot)).length, 1)
})

test('several commits under way at once keep their order when the connection is cut', async (t) => {
  const { store, proxy, schema, t: slot } = await world(t)
  proxy.inject('down', { blackHole: true })
  const appended = ['a', 'b', 'c'].map((id) => append(store, entry(slot, id)))
  await until(`select next[1] = 3 from ${schema}.fl_heads`)
  await proxy.heal()
  proxy.reset()
  same(
    (await Promise.all(appended)).map(([a]) => a!.offset),
    [0, 1, 2],
  )
})

test('a key whose commit was not answered is not put twice: its version says once', async (t) => {
  const { store, proxy, schema } = await world(t)
  proxy.inject('down', { blackHole: true })
  const put = commit(store, { write: 'put', name: 'k', value: 'v', expires: null })
  await until(`select exists (select 1 from ${schema}.fl_keys)`)
  await proxy.heal()
  proxy.reset()
  same(await put, [1])
  same(await store.read({ read: 'key', name: 'k', now: 0 }), { value: 'v', version: 1 })
})

test('a transaction of a user whose commit was not answered: its rows and its message are there once, and it knows', async (t) => {
  const { store, proxy, schema, t: slot } = await world(t)
  const tx = await store.begin(60_000)
  await tx.query(sql`create table mine (name text)`)
  await tx.query(sql`insert into mine values ('a')`)
  proxy.inject('down', { blackHole: true })
  const outcome = tx.commit([{ writes: [{ write: 'append', entries: [entry(slot, 'a')] }] }])
  // The units are sent and answered before the commit is: let that answer through, and none after it.
  await until(
    `select exists (select 1 from pg_stat_activity where query like '%fl_commit%' and state = 'idle in transaction')`,
  )
  proxy.reset()
  await proxy.heal()
  await refused(outcome, 'store.unreachable')
  same(await log(store, slot), [])
  same((await ask(`select to_regclass('mine') is null as gone`))[0]?.['gone'], true)
  const again = await store.begin(60_000)
  await again.query(sql`create table mine (name text)`)
  same((await again.commit([{ writes: [{ write: 'append', entries: [entry(slot, 'a')] }] }]))[0]?.ok, true)
  same((await log(store, slot)).length, 1)
  same((await ask(`select count(*)::int as n from ${schema}.fl_sessions`))[0]?.['n'], 2)
})

test('work waits for a server that is away, and is refused when its patience ends: then nothing was applied', async (t) => {
  const { store, proxy, t: slot } = await world(t, { patience: '1s' })
  proxy.refuse()
  proxy.reset()
  // By then it has noticed that its connections are gone: what is handed in now never leaves.
  await refused(store.read({ read: 'topics' }), 'store.unreachable')
  await refused(append(store, entry(slot, 'a')), 'store.unreachable')
  await refused(store.begin(1_000), 'store.unreachable')
  await proxy.heal()
  same(await append(store, entry(slot, 'b')), [{ slot, offset: 0, duplicate: false }])
  same(
    (await log(store, slot)).map((m) => m.id),
    ['b'],
  )
})

test('a server that takes no writes any more is left, and work goes on when there is one that does', async (t) => {
  const { store, t: slot } = await world(t, { patience: '1s' })
  const readOnly = async (value: 'on' | 'off'): Promise<void> => {
    await ask(`alter system set default_transaction_read_only = ${value}`)
    await ask('select pg_reload_conf()')
  }
  const readOnlyIs = (value: string): string =>
    `select reset_val = '${value}' from pg_settings where name = 'default_transaction_read_only'`
  await readOnly('on')
  try {
    await until(readOnlyIs('on'))
    await refused(append(store, entry(slot, 'a')), 'store.unreachable')
  } finally {
    await readOnly('off')
  }
  await until(readOnlyIs('off'))
  same(await append(store, entry(slot, 'b')), [{ slot, offset: 0, duplicate: false }])
})

test('others hear which heads have moved, and of everything else that they should look around', async (t) => {
  const { store, schema, t: slot } = await world(t)
  const other = await open((await server()).url, schema)
  t.after(() => other[Symbol.asyncDispose]())
  // Nobody is told anything while nobody works here; who does is counted once a second.
  const worker = { id: 'w', beat: 1, level: 1, host: 'h', pid: 1, started: 0 }
  await commit(other, { write: 'worker', worker })
  let highest = 0
  let looks = 0
  other.watch((heads) => {
    if (!heads) looks++
    for (const h of heads ?? []) if (h.slot === slot + 1) highest = Math.max(highest, h.next)
  })
  for (let sent = 0; highest === 0; sent++) await append(store, entry(slot + 1, `m${sent}`))
  looks = 0
  await commit(store, { write: 'audit', time: 0, verb: 'pause', subject: 's', detail: '{}' })
  while (looks === 0) await until('true')
})

test('a connection that is cut without a word is left after some seconds, not after the longest statement', async (t) => {
  const { store, proxy, t: slot } = await world(t)
  proxy.inject('up', { blackHole: true })
  const appended = append(store, entry(slot, 'a'))
  while (proxy.counts.connections < 5) await until('true')
  await proxy.heal()
  same(await appended, [{ slot, offset: 0, duplicate: false }])
})
