import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql, subscription, topic, type BatchContext, type Context } from 'fairlead'
import { harness, type Harness } from 'fairlead/testing'
import { z } from 'zod'

const Job = z.object({ id: z.string(), key: z.string() })
type Job = z.infer<typeof Job>
const jobs = topic('jobs', { schema: Job, key: (j) => j.key, partitions: 1 })
const out = topic('out', { schema: Job })

const retry = { attempts: 2, first: '1s', max: '1s' } as const

/** A world with one bad message among good ones of other keys; says which good ones were handled. */
async function beside(bad: (ctx: Context) => unknown): Promise<{ t: Harness; good: string[]; runs: () => number }> {
  const good: string[] = []
  let runs = 0
  const s = subscription('jobs', {
    to: jobs,
    timeout: '5s',
    retry,
    handle(job, ctx) {
      if (job.id === 'bad') {
        runs++
        return bad(ctx) as Promise<void>
      }
      good.push(job.id)
      return undefined
    },
  })
  const t = await harness({ use: [jobs, out, s] })
  for (const id of ['a', 'bad', 'b', 'c']) await t.publish(jobs, { id, key: id })
  return { t, good, runs: () => runs }
}

const throws = (value: unknown) => (): never => {
  throw value
}
/** Everything that somebody looks at throws. */
const hostile = new Proxy(
  {},
  {
    get: throws(new Error('get')),
    has: throws(new Error('has')),
    getPrototypeOf: throws(new Error('prototype')),
    ownKeys: throws(new Error('keys')),
  },
)
class Awkward extends Error {
  override get message(): string {
    throw new Error('no message')
  }
  override get name(): string {
    throw new Error('no name')
  }
}
const circular: Record<string, unknown> = { name: 'Fault', code: 'x.circular', kind: 'transient', message: 'm' }
circular['detail'] = circular

const fault = (more: object): unknown => ({
  name: 'Fault',
  code: 'x',
  kind: 'transient',
  message: 'm',
  detail: {},
  ...more,
})

const thrown: readonly (readonly [string, unknown])[] = [
  ['undefined', undefined],
  ['null', null],
  ['a string', 'text'],
  ['a frozen object', Object.freeze({ message: 'frozen' })],
  ['an error whose name and message throw', new Awkward()],
  ['something that throws whatever is asked of it', hostile],
  ['an error caused by that', new Error('outer', { cause: hostile })],
  ['what only calls itself a fault', { name: 'Fault', code: 'x.half' }],
  ['a fault of no known kind', fault({ kind: 'odd' })],
  ['a fault that contains itself', circular],
  ['a fault that asks for no time', fault({ retryAfter: Number.NaN })],
  ['a fault that asks for a text', fault({ retryAfter: 'soon' })],
  ['a fault of a connection that does not say which', { name: 'Fault', code: 'x', kind: 'throttled', message: 'm' }],
  ['a fault with a bigint', fault({ detail: { n: 1n } })],
  ['a fault with a getter that throws', fault({ detail: hostile })],
]

for (const [what, value] of thrown) {
  for (const way of ['throws', 'rejects with'] as const) {
    test(`a handler that ${way} ${what} is retried, then dead with a reason; the others are done`, async () => {
      const w = await beside(() => {
        if (way === 'throws') throw value
        // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- that is what is tested
        return Promise.reject(value)
      })
      await using t = w.t
      await t.advance('1m')
      assert.deepEqual(w.good, ['a', 'b', 'c'])
      const [parked, ...more] = await t.parked()
      assert.deepEqual([parked?.state, parked?.attempts, more], ['dead', 2, []])
      assert.equal(typeof parked?.fault?.code, 'string')
      assert.equal(w.runs(), 2)
    })
  }
}

test('a batch whose results cannot be looked at is parked message by message', async () => {
  const good: string[] = []
  const s = subscription('batches', {
    to: jobs,
    batch: 10,
    retry,
    handleBatch(batch, _ctx: BatchContext) {
      if (batch.some((b) => b.data.id === 'bad')) return Promise.resolve(batch.map(() => hostile)) as never
      good.push(...batch.map((b) => b.data.id))
      return Promise.resolve()
    },
  })
  await using t = await harness({ use: [jobs, s] })
  await t.app.publishMany(
    jobs,
    ['a', 'bad', 'b'].map((id) => ({ id, key: id })),
  )
  await t.advance('1m')
  assert.deepEqual(good.toSorted(), ['a', 'b'])
  assert.deepEqual(
    (await t.parked()).map((p) => [(p.data as Job).id, p.state]),
    [['bad', 'dead']],
  )
})

// oxlint-disable unicorn/no-thenable -- that is what is tested
test('a thenable that is no promise is waited for; one whose `then` throws has failed', async () => {
  const ends: (() => void)[] = []
  const w = await beside(() => ({ then: (resolve: () => void) => void ends.push(resolve) }))
  await using t = w.t
  await t.advance('1s')
  assert.equal(w.runs(), 1)
  assert.equal((await t.app.operations.status()).subscriptions[0]?.running, 1)
  for (const end of ends) end()
  await t.advance('10s')
  assert.deepEqual(await t.parked(), [])

  const v = await beside(() => ({
    then: throws(new Error('then')),
  }))
  await using u = v.t
  await u.advance('1m')
  assert.deepEqual([(await u.parked())[0]?.state, v.good], ['dead', ['a', 'b', 'c']])
})

// oxlint-enable unicorn/no-thenable

test('a handler that never ends is given up at its timeout, run after run, then dead', async () => {
  const w = await beside(() => new Promise(() => {}))
  await using t = w.t
  await t.settle()
  assert.deepEqual(w.good, ['a', 'b', 'c'], 'nobody waited for it')
  await t.advance('1m')
  const [parked] = await t.parked()
  assert.deepEqual([parked?.state, parked?.fault?.code, w.runs()], ['dead', 'subscription.timeout', 2])
})

test('what a handler does after its run has ended is refused where it would be half done, and does no harm', async () => {
  const late: string[] = []
  const note = (e: unknown): void => void late.push((e as { code: string }).code)
  let kept: Context | undefined
  const s = subscription('jobs', {
    to: jobs,
    async handle(_, ctx) {
      await ctx.tx.query(sql`insert into mine (id) values ('in time')`)
      kept = ctx
    },
  })
  await using t = await harness({ use: [jobs, out, s] })
  await t.app.transact((tx) => tx.query(sql`create table mine (id text)`))
  await t.publish(jobs, { id: 'a', key: 'a' })
  await t.settle()
  await kept!.tx.query(sql`insert into mine (id) values ('late')`).catch(note)
  await kept!.tx.publish(out, { id: 'late', key: 'k' }).catch(note)
  await kept!.publish(out, { id: 'late', key: 'k' }).catch(note)
  assert.deepEqual(late, ['store.transaction', 'store.transaction', 'store.transaction'])
  assert.equal(kept!.signal.aborted, true)
  assert.deepEqual(await t.messages(out), [])
  const rows = await t.app.transact((tx) => tx.query(sql`select id from mine`))
  assert.deepEqual(
    rows.map((r) => r['id']),
    ['in time'],
  )
  assert.deepEqual(await t.parked(), [])
})

test('a transaction that is first opened when the run has timed out is refused', async () => {
  const late: string[] = []
  const w = await beside(async (ctx) => {
    await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
    await ctx.tx.query(sql`select 1`).catch((e: unknown) => late.push((e as { code: string }).code))
  })
  await using t = w.t
  await t.advance('1m')
  assert.deepEqual(late, ['store.transaction', 'store.transaction'])
  assert.equal((await t.parked())[0]?.state, 'dead')
})
