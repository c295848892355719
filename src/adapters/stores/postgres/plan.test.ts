import assert from 'node:assert/strict'
import { test } from 'node:test'
import { virtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { uuid7 } from '#kernel/id.ts'
import { append, entry, topic } from '../conformance/trial.ts'
import { Connector } from './connect.ts'
import { ask, drop, newSchema, openStore, server } from './open.fixture.ts'
import { settings } from './options.ts'
import { pageOf } from './read.ts'
import type { PgClientClass } from './session.ts'

// On statistics that are out of date the planner has been seen to read and sort a whole log for each page.
test('a page is read by the index alone, whatever the statistics say: of an empty table, of a huge one, of none', async (t) => {
  const clock = virtualClock()
  const random = seededRandom(1)
  const schema = newSchema()
  const store = await openStore(schema, clock)
  t.after(async () => {
    await store[Symbol.asyncDispose]()
    await drop(schema)
  })
  const slot = await topic(store, 't', 1)
  for (let i = 0; i < 5; i++)
    await append(store, ...Array.from({ length: 1_000 }, (_, n) => entry(slot, `${i}-${n}`, { body: 'x'.repeat(200) })))
  const { default: pg } = (await import('pg')) as unknown as { default: { Client: PgClientClass } }
  const connector = new Connector(
    settings((await server()).url, { schema }),
    { clock, random, ids: uuid7(clock, random) },
    pg.Client,
  )
  const session = await connector.connect('ours', 0)
  t.after(() => session.close())
  const table = `${schema}.fl_log_${slot}_1`
  const plan = async (): Promise<string> => {
    await session.query(`prepare page (bigint, bigint, bigint, bigint, boolean, bigint) as ${pageOf(slot, 1)}`)
    const rows = await session.query('explain execute page (100, 4000, 256, 100000, true, 0)')
    await session.query('deallocate page')
    return rows.map((r) => String(r[0])).join('\n')
  }
  const plans: string[] = []
  for (const [rows, pages] of [
    [0, 0],
    [-1, 0],
    [5_000, 200],
    [1e9, 1e7],
  ]) {
    await ask(`update pg_class set reltuples = ${rows}, relpages = ${pages} where oid = '${table}'::regclass`)
    plans.push(await plan())
  }
  await ask(`analyze ${table}`)
  plans.push(await plan())
  for (const p of plans) {
    assert.match(p, new RegExp(`Index Scan using fl_log_${slot}_1_pkey`), p)
    assert.doesNotMatch(p, /Seq Scan|Bitmap|Sort/, p)
  }
})
