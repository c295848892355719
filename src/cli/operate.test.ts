import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { sqlite } from '#adapters/stores/sqlite/index.ts'
import { fairlead } from '#app/fairlead.ts'
import { fault, reject } from '#kernel/fault.ts'
import { connection } from '#patterns/connections/define.ts'
import { subscription } from '#patterns/topics/subscription.ts'
import { topic } from '#patterns/topics/define.ts'
import { errorOf, parsed, run, start, temporaryFolder } from './child.fixture.ts'

const project = {
  'fairlead.config.ts': `
    import { reject, subscription, topic } from 'fairlead'
    import { sqlite } from 'fairlead/sqlite'
    const orders = topic('orders', { key: (o) => o.customer })
    const billing = subscription('billing', {
      to: orders,
      handle: async (o) => {
        if (o.hangs) await new Promise(() => {})
        if (!(o.total > 0)) reject('order.total', { total: o.total })
        console.log('billed', o.id)
      },
    })
    export const use = [[orders, billing]]
    export const store = sqlite('./x.db')
    export const grace = '1m'`,
}

/** Handles orders as the project does; returns when all of them are done or dead. */
async function handled(folder: string, data: readonly object[]): Promise<void> {
  const orders = topic('orders', { key: (o) => (o as { customer: string }).customer })
  const billing = subscription('billing', {
    to: orders,
    handle: (o) => {
      if (!((o as { total: number }).total > 0)) reject('order.total')
    },
  })
  const log = { write: () => {} }
  await using app = await fairlead({ use: [[orders, billing]], store: sqlite(join(folder, 'x.db')), log })
  await app.publishMany(orders, data as never)
  for (;;) {
    const [status] = (await app.operations.status()).subscriptions
    if (status!.lag === 0 && status!.parked.dead + status!.done >= data.length) return
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
}

async function json<T>(t: TestContext, cwd: string, ...args: string[]): Promise<T> {
  return parsed(await run(t, [...args, '--json'], { cwd })) as T
}

type ParkedRow = { parked: number; state: string; key: string; fault?: { code: string }; data: { total: number } }

test('dead messages are shown, replayed with other data, discarded; a subscription is paused and goes on', async (t) => {
  const cwd = temporaryFolder(t, project)
  await handled(cwd, [
    { id: 'a', customer: 'c1\u001b[2J', total: 0 },
    { id: 'b', customer: 'c2', total: 5 },
    { id: 'c', customer: 'c3', total: -1 },
  ])
  const [dead, people] = await Promise.all([
    json<ParkedRow[]>(t, cwd, 'dead', '--subscription', 'billing'),
    run(t, ['dead'], { cwd }),
  ])
  assert.deepEqual(
    dead.map((m) => [m.state, m.fault?.code]),
    [
      ['dead', 'order.total'],
      ['dead', 'order.total'],
    ],
  )
  assert.ok(people.out.includes('c1\\x1b[2J') && !people.out.includes('\u001b'))
  const first = dead.find((m) => m.key.startsWith('c1'))!.parked
  const second = dead.find((m) => m.key === 'c3')!.parked

  writeFileSync(join(cwd, 'corrected.json'), JSON.stringify({ id: 'a', customer: 'c1', total: 7 }))
  writeFileSync(join(cwd, 'masked.json'), JSON.stringify({ id: 'a', card: '[masked]' }))
  const [one, masked, absent, paused] = await Promise.all([
    run(t, ['dead', String(first)], { cwd }),
    run(t, ['replay', String(first), '--data', 'masked.json', '--json'], { cwd }),
    run(t, ['discard', '999', '--reason', 'x', '--json'], { cwd }),
    run(t, ['pause', 'billing'], { cwd }),
  ])
  assert.match(one.out, /^number +\d+\nsubscription +billing\n[^]*order\.total \(rejected\)[^]*data\n {2}\{\n/)
  assert.deepEqual([masked.code, errorOf(masked).code], [2, 'cli.usage'])
  assert.deepEqual([absent.code, errorOf(absent).code], [1, 'journal.missing'])
  assert.deepEqual([paused.code, paused.out], [0, 'billing is paused. It goes on with: fairlead resume billing'])

  await json(t, cwd, 'replay', String(first), '--data', 'corrected.json')
  await json(t, cwd, 'discard', String(second), '--reason', 'a test order')
  type StatusRow = { subscriptions: { paused: boolean; parked: Record<string, number> }[] }
  const { subscriptions } = await json<StatusRow>(t, cwd, 'status')
  assert.deepEqual(
    [subscriptions[0]?.paused, subscriptions[0]?.parked],
    [true, { retry: 1, held: 0, behind: 0, dead: 0 }],
  )

  assert.equal((await run(t, ['resume', 'billing'], { cwd })).out, 'billing goes on.')
  const app = start(t, ['start'], { cwd })
  await app.line('billed a')
  app.signal('SIGTERM')
  assert.equal((await app.ended).code, 0)
  assert.equal((await run(t, ['dead', '--state', 'all'], { cwd })).out, 'Nothing is parked.')
})

test('all dead messages of a subscription are redriven by one command, counted first', async (t) => {
  const cwd = temporaryFolder(t, project)
  await handled(cwd, [
    { id: 'a', customer: 'c1', total: 0 },
    { id: 'b', customer: 'c2', total: 0 },
  ])
  const [unknown, dry] = await Promise.all([
    run(t, ['redrive', 'biling', '--json'], { cwd }),
    run(t, ['redrive', 'billing', '--dry-run'], { cwd }),
  ])
  assert.deepEqual([unknown.code, errorOf(unknown).code], [1, 'subscription.unknown'])
  assert.equal(dry.out, 'Dry run: 2 messages: 2 × order.total. Nothing was touched.')
  const all = await run(t, ['redrive', 'billing', '--rate', '100/s'], { cwd })
  assert.equal(
    all.out,
    'Found 2 messages: 2 × order.total.\n2 messages put on the way: 0 handled, 0 failed again, 2 not yet.',
  )
})

test('parked messages are exported, purged with consent, and imported again', async (t) => {
  const cwd = temporaryFolder(t, project)
  await handled(cwd, [
    { id: 'a', customer: 'c1', total: 0, password: 'hush' },
    { id: 'b', customer: 'c2', total: 0 },
  ])
  const [masked, raw] = await Promise.all([
    run(t, ['export', 'billing'], { cwd }),
    run(t, ['export', 'billing', '--raw', '--to', 'dead.ndjson'], { cwd }),
  ])
  assert.ok(masked.out.split('\n').length === 2 && !masked.out.includes('hush'))
  assert.match(raw.out, /^2 messages written to .*dead\.ndjson\.$/)
  assert.equal(statSync(join(cwd, 'dead.ndjson')).mode & 0o777, 0o600)
  assert.ok(readFileSync(join(cwd, 'dead.ndjson'), 'utf8').includes('hush'))
  writeFileSync(join(cwd, 'masked.ndjson'), masked.out)

  const [again, unconfirmed, dry] = await Promise.all([
    run(t, ['export', 'billing', '--to', 'dead.ndjson', '--json'], { cwd }),
    run(t, ['purge', 'billing', '--reason', 'test', '--json'], { cwd }),
    run(t, ['purge', 'billing', '--reason', 'test', '--dry-run'], { cwd }),
  ])
  assert.deepEqual([again.code, errorOf(again).code], [1, 'cli.exists'])
  assert.deepEqual([unconfirmed.code, errorOf(unconfirmed).code], [2, 'cli.unconfirmed'])
  assert.equal(dry.out, 'Dry run: 2 messages: 2 × order.total. Nothing was touched.')
  assert.equal((await run(t, ['purge', 'billing', '--reason', 'test', '--yes'], { cwd })).out, '2 messages purged.')
  assert.equal((await run(t, ['dead'], { cwd })).out, 'Nothing is dead.')

  const refused = await run(t, ['import', 'masked.ndjson'], { cwd })
  assert.deepEqual([refused.code, refused.out], [1, '0 messages imported, 0 here already, 2 refused.'])
  const imported = await run(t, ['import', 'dead.ndjson', '--reason', 'wanted after all'], { cwd })
  assert.equal(imported.out, '2 messages imported, 0 here already, 0 refused.')
  const [twice, dead, trail] = await Promise.all([
    run(t, ['import', 'dead.ndjson'], { cwd }),
    json<ParkedRow[]>(t, cwd, 'dead'),
    json<{ verb: string; by: string; reason?: string }[]>(t, cwd, 'audit'),
  ])
  assert.equal(twice.out, '0 messages imported, 2 here already, 0 refused.')
  assert.deepEqual(
    dead.map((m) => [m.state, m.fault?.code]),
    [
      ['dead', 'order.total'],
      ['dead', 'order.total'],
    ],
  )
  assert.deepEqual(
    trail.map((e) => e.verb),
    ['import', 'import', 'purge', 'purge', 'export', 'export'],
  )
  assert.ok(trail.every((e) => e.by.includes('@')))
})

test('a topic is paused, rehearsed, replayed into its subscription and goes on', async (t) => {
  const cwd = temporaryFolder(t, project)
  await handled(cwd, [
    { id: 'a', customer: 'c1', total: 1 },
    { id: 'b', customer: 'c2', total: 2 },
    { id: 'c', customer: 'c3', total: 0 },
  ])
  assert.equal(
    (await run(t, ['pause', '--topic', 'orders', '--reason', 'wrong prices'], { cwd })).out,
    'topic orders is paused. It goes on with: fairlead resume --topic orders',
  )
  const [status, rehearsed, dry, none] = await Promise.all([
    run(t, ['status'], { cwd }),
    run(t, ['rehearse', 'billing', '--from', '1h'], { cwd }),
    run(t, ['replay-topic', 'billing', '--from', '1h', '--dry-run'], { cwd }),
    run(t, ['replay-topic', 'billing', '--resume', '--json'], { cwd }),
  ])
  assert.match(status.out, /Paused: topic orders, by \S+@\S+ at .*: wrong prices/)
  assert.match(rehearsed.out, /^3 of 3 messages rehearsed: 2 the same, 0 different, 1 failed, 0 unanswered\./m)
  assert.equal(dry.out, 'Dry run: 3 messages. Nothing was touched.')
  assert.deepEqual([none.code, errorOf(none).code], [1, 'replay.state'])
  const replayed = await run(t, ['replay-topic', 'billing', '--from', '1h'], { cwd })
  assert.equal(
    replayed.out,
    '3 messages in the range.\n2 messages put on the way: 0 handled, 0 failed again, 2 not yet, 1 left alone (waiting already, or somebody was first).',
  )
  assert.equal((await run(t, ['resume', '--topic', 'orders'], { cwd })).out, 'topic orders goes on.')
  const app = start(t, ['start'], { cwd })
  await Promise.all([app.line('billed a'), app.line('billed b')])
  app.signal('SIGTERM')
  assert.equal((await app.ended).code, 0)
})

test('a second signal ends at once what a handler keeps from draining', async (t) => {
  const cwd = temporaryFolder(t, project)
  const orders = topic('orders', { key: (o) => (o as { customer: string }).customer })
  {
    await using app = await fairlead({ use: [[orders]], store: sqlite(join(cwd, 'x.db')), work: false })
    await app.publishMany(orders, [
      { id: 'a', customer: 'c', total: 1 },
      { id: 'b', customer: 'd', hangs: true },
    ] as never)
  }
  const app = start(t, ['start'], { cwd })
  await app.line('billed a')
  app.signal('SIGINT')
  // The first signal has been taken when its handler is gone: nothing tells us, so signals are sent until one ends it.
  const again = setInterval(() => app.signal('SIGINT'), 20)
  const ended = await app.ended
  clearInterval(again)
  assert.equal(ended.code, null)
})

test('a call that may have happened is shown and decided, with a reason', async (t) => {
  const cwd = temporaryFolder(t, {
    'fairlead.config.ts': `
      import { connection } from 'fairlead'
      import { sqlite } from 'fairlead/sqlite'
      const bank = connection('bank', { baseUrl: 'https://bank.test', operations: { pay: { http: 'POST /payments' } } })
      export const use = [[bank]]
      export const store = sqlite('./x.db')`,
  })
  const pay = connection('bank', {
    baseUrl: 'https://bank.test',
    retry: false,
    operations: { pay: { http: 'POST /payments' } },
  })
  {
    const cut = (): Promise<never> => Promise.reject(fault('connection.cut'))
    const http = { send: cut, stream: cut }
    const options = { use: [pay], store: sqlite(join(cwd, 'x.db')), log: { write: () => {} } }
    await using app = await fairlead(options, { http })
    for (const key of ['a', 'b'])
      await assert.rejects(app.call(pay.pay, { order: key, password: 'hunter2' }, { key }), {
        code: 'connection.unverified',
      })
  }
  const found = await json<{ intent: string; input: string }[]>(t, cwd, 'unresolved')
  assert.deepEqual(
    found.map((c) => c.intent),
    ['bank/pay/a', 'bank/pay/b'],
  )
  assert.doesNotMatch(JSON.stringify(found), /hunter2/)
  const shown = await run(t, ['unresolved', 'bank/pay/a'], { cwd })
  assert.match(shown.out, /sent +POST \/payments/)
  assert.match((await run(t, ['unresolved'], { cwd })).out, /bank\/pay\/b .*open/)
  for (const wrong of [[], ['--happened'], ['--happened', '--not-happened', '--reason', 'x'], ['--verify']]) {
    assert.notEqual((await run(t, ['resolve', 'bank/pay/a', ...wrong], { cwd })).code, 0)
  }
  const reason = ['--reason', 'their dashboard']
  const done = await run(t, ['resolve', 'bank/pay/a', '--happened', ...reason], { cwd })
  assert.match(done.out, /it happened/)
  assert.deepEqual(await json(t, cwd, 'resolve', 'bank/pay/b', '--not-happened', ...reason), {
    resolved: 'bank/pay/b',
    happened: false,
  })
  assert.match((await run(t, ['unresolved'], { cwd })).out, /Nothing is unresolved/)
  const trail = await json<{ verb: string; reason: string }[]>(t, cwd, 'audit')
  assert.deepEqual(
    trail.map((e) => [e.verb, e.reason]),
    [
      ['resolve', 'their dashboard'],
      ['resolve', 'their dashboard'],
    ],
  )
})
