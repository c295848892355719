import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '#kernel/fault.ts'
import { settle } from '#testing/clock.ts'
import { clientCredentials } from './define.ts'
import { canary, machine, person, World, type Process } from './world.fixture.ts'

const hour = 3_600_000

async function failsWith(work: Promise<unknown>, code: string): Promise<Readonly<Record<string, unknown>>> {
  const e: unknown = await work.then(
    (v) => assert.fail(`expected ${code}, got ${String(v)}`),
    (error: unknown) => error,
  )
  assert.ok(isFault(e, code), String(e))
  return e as unknown as Readonly<Record<string, unknown>>
}

test('1,000 calls that wait for a token make one request, and those of another process none', async () => {
  await using w = await World.open()
  const one = w.process()
  const two = w.process()
  const all = Promise.all([
    ...Array.from({ length: 1_000 }, () => one.get()),
    ...Array.from({ length: 500 }, () => two.get()),
  ])
  await w.clock.advance(1_000)
  assert.deepEqual(new Set(await all), new Set(['at-1-canary']))
  assert.equal(w.server.asked.length, 1)
  assert.deepEqual(w.server.asked[0], { grant_type: 'client_credentials', scope: 'orders.read' })
  // RFC 6749 §2.3.1
  assert.equal(w.server.headers[0]!['authorization'], `Basic ${btoa(`us:${encodeURIComponent(canary)}`)}`)
})

test('a token is renewed when 80 % of its life have passed, once, while the old one serves', async () => {
  for (const [life, earliest, latest] of [
    [3_600, 2_736_000, 3_024_000],
    [300, 228_000, 252_000],
    [60, 45_600, 50_400],
  ] as const) {
    await using w = await World.open()
    w.server.life = life
    const p = w.process()
    await p.get()
    await w.clock.advance(earliest - 1)
    await p.get()
    await settle()
    assert.equal(w.server.asked.length, 1, `${life} s: not before 76 %`)
    await w.clock.advance(latest - earliest + 1)
    const many = await Promise.all(Array.from({ length: 1_000 }, () => p.get()))
    assert.deepEqual(new Set(many), new Set(['at-1-canary']), 'nobody waits')
    await settle()
    assert.equal(w.server.asked.length, 2)
    assert.equal(await p.get(), 'at-2-canary')
  }
})

test('a life is counted from the request, whatever the wall clock does', async () => {
  await using w = await World.open()
  const p = w.process()
  await p.get()
  w.clock.jump(10 * hour)
  await p.get()
  w.clock.jump(-20 * hour)
  assert.equal(await p.get(), 'at-1-canary')
  await settle()
  assert.equal(w.server.asked.length, 1)
})

test('a token that they do not date lives as long as it says itself, or an hour', async () => {
  await using w = await World.open()
  w.server.life = undefined
  const p = w.process()
  await p.get()
  await w.clock.advance(0.7 * hour)
  await p.get()
  await settle()
  assert.equal(w.server.asked.length, 1)
  await w.clock.advance(0.2 * hour)
  await p.get()
  await settle()
  assert.equal(w.server.asked.length, 2)
})

test('lenient where an answer can only be meant one way', async () => {
  await using w = await World.open()
  w.server.trouble = {
    status: 200,
    body: { access_token: 'at-x', expires_in: '60', refresh_token: null, id_token: 'not.a.token' },
  }
  const p = w.process()
  assert.equal(await p.get(), 'at-x')
  w.server.trouble = { status: 200, body: { error: 'invalid_client' } }
  const f = await failsWith(
    w.process(clientCredentials({ ...machine, tokenKey: undefined } as never)).get(),
    'connection.unauthorized',
  )
  assert.deepEqual(f['detail'], { connection: 'crm', error: 'invalid_client', status: 400 })
})

test('while the token endpoint is down the old token serves until it ends, then work is held', async () => {
  await using w = await World.open()
  const p = w.process()
  await p.get()
  w.server.trouble = 503
  await w.clock.advance(hour - 31_000)
  assert.equal(await p.get(), 'at-1-canary', '30 s before its end')
  await settle()
  const asked = w.server.asked.length
  assert.equal(asked, 2)
  await Promise.all(Array.from({ length: 100 }, () => p.get()))
  await settle()
  assert.equal(w.server.asked.length, asked, 'not once for every call')
  await w.clock.advance(2_000)
  const call = p.get([], 20_000).catch((e: unknown) => e)
  await w.clock.advance(21_000)
  const f = await call
  assert.ok(isFault(f, 'connection.token') && f.kind === 'credential')
  assert.ok(f.retryAfter !== undefined && f.retryAfter >= 1_000)
  assert.equal(f.detail['connection'], 'crm')
  assert.ok(w.server.asked.length <= asked + 5, `${w.server.asked.length} requests in 20 s`)
  w.server.trouble = undefined
  await w.clock.advance(60_000)
  assert.equal(p.recovered, 0)
  assert.equal(await p.get(), 'at-2-canary')
  assert.equal(p.recovered, 1, 'what was held may go on')
})

test('who waits for a token waits no longer than its own time', async () => {
  await using w = await World.open()
  w.server.trouble = 'hang'
  const p = w.process()
  const early = p.get([], 5_000).catch((e: unknown) => e)
  await w.clock.advance(5_000)
  assert.ok(isFault(await early, 'connection.token'))
})

test('a blip of the token endpoint fails no call that has time', async () => {
  await using w = await World.open()
  w.server.trouble = 'down'
  const p = w.process()
  const call = p.get()
  await w.clock.advance(900)
  w.server.trouble = undefined
  await w.clock.advance(2_000)
  assert.equal(await call, 'at-1-canary')
})

test('a 401 forces one renewal for all who got it; a second one within a minute none', async () => {
  await using w = await World.open()
  const p = w.process()
  await p.get()
  const all = await Promise.all(Array.from({ length: 100 }, () => p.get(['at-1-canary'])))
  assert.deepEqual(new Set(all), new Set(['at-2-canary']))
  assert.equal(w.server.asked.length, 2)
  assert.equal(await p.get(['at-1-canary', 'at-2-canary']), 'none')
  assert.equal(await p.get(['at-2-canary']), 'none')
  assert.equal(w.server.asked.length, 2)
  await w.clock.advance(60_000)
  assert.equal(await p.get(['at-2-canary']), 'at-3-canary')
})

test('a process that finds a newer token takes it instead of renewing', async () => {
  await using w = await World.open()
  const [one, two] = [w.process(), w.process()]
  await one.get()
  assert.equal(await two.get(), 'at-1-canary')
  assert.equal(await one.get(['at-1-canary']), 'at-2-canary')
  assert.equal(await two.get(['at-1-canary']), 'at-2-canary')
  await w.clock.advance(0.85 * hour)
  await Promise.all([one.get(), two.get()])
  await w.clock.advance(2_000)
  await Promise.all([one.get(), two.get()])
  await settle()
  assert.deepEqual([await one.get(), await two.get()], ['at-3-canary', 'at-3-canary'])
  await settle()
  assert.equal(w.server.asked.length, 3)
})

test('a restart goes on with the stored token', async () => {
  await using w = await World.open()
  await w.process().get()
  await w.clock.advance(0.5 * hour)
  const p = w.process()
  assert.equal(await p.get(), 'at-1-canary')
  assert.equal(w.server.asked.length, 1)
  assert.equal(p.tokens.state().state, 'valid')
  await w.clock.advance(0.6 * hour)
  assert.equal(await w.process().get(), 'at-2-canary')
})

test('without a key nothing is stored but a refusal, and each process has a token of its own', async () => {
  await using w = await World.open()
  const auth = clientCredentials({ ...machine, tokenKey: undefined } as never)
  assert.deepEqual([await w.process(auth).get(), await w.process(auth).get()], ['at-1-canary', 'at-2-canary'])
  assert.equal(await w.row(), undefined)
  w.server.trouble = { status: 401, body: { error: 'invalid_client' } }
  const p = w.process(auth)
  await failsWith(p.get(), 'connection.unauthorized')
  assert.deepEqual(Object.keys((await w.row())!), ['state', 'since', 'error'])
  const asked = w.server.asked.length
  const f = await failsWith(p.get(), 'connection.unauthorized')
  assert.equal(f['retryAfter'], 60_000)
  assert.equal(w.server.asked.length, asked, 'not asked again at once')
  w.server.trouble = undefined
  await w.clock.advance(60_000)
  assert.equal(await p.get(), 'at-3-canary')
  assert.equal((await w.row())!['state'], 'valid')
  assert.equal(p.recovered, 1)
})

test('the older of two client secrets serves where they do not know the newer', async () => {
  await using w = await World.open()
  w.secrets['CLIENT_SECRET'] = ['newest-secret', 'older-secret']
  const { server } = w
  const http = {
    send: async (r: Parameters<typeof server.send>[0]) => {
      const known = r.headers['authorization'] === `Basic ${btoa('us:older-secret')}`
      server.trouble = known ? undefined : { status: 401, body: { error: 'invalid_client' } }
      return server.send(r)
    },
  }
  assert.equal(await w.process(machine, { http }).get(), 'at-1-canary')
  assert.equal(server.asked.length, 2)
})

test('until somebody has authorised it nothing is asked for, and the owner is told once', async () => {
  await using w = await World.open()
  const p = w.process(person)
  for (let i = 0; i < 3; i++) {
    const f = await failsWith(p.get(), 'connection.unauthorized')
    assert.match(String(f['message']), /fairlead authorize crm/)
    await w.clock.advance(2_000)
  }
  assert.equal(w.server.asked.length, 0)
  assert.deepEqual(
    p.logged.map((l) => [l.level, l.event]),
    [['error', 'connection.unauthorized']],
  )
  await w.allow(p)
  assert.equal(await p.get(), 'at-1-canary')
  assert.equal(p.recovered, 1)
  assert.deepEqual(p.tokens.state().state, 'valid')
})

test('a rotated refresh token is on disk before the new token is used', async () => {
  await using w = await World.open()
  const p = w.process(person)
  await w.allow(p)
  const order: string[] = []
  const keys = {
    get: w.keys.get.bind(w.keys),
    swap: async (name: string, version: number, value: string, keep?: number) => {
      const done = await w.keys.swap(name, version, value, keep)
      if (name === 'token/crm') order.push('stored')
      return done
    },
  }
  const next = w.process(person, { keys })
  await w.clock.advance(hour)
  order.push(await next.get())
  assert.deepEqual(order, ['stored', 'at-2-canary'])
  assert.equal(w.server.asked.at(-1)!['refresh_token'], 'rt-1-canary')
  await w.clock.advance(hour)
  assert.equal(await next.get(), 'at-3-canary')
  assert.equal(w.server.asked.at(-1)!['refresh_token'], 'rt-2-canary')
})

test('what they gave and the store did not take is kept and stored later, never asked for again', async () => {
  await using w = await World.open()
  await w.allow(w.process(person))
  let broken = true
  const keys = {
    get: w.keys.get.bind(w.keys),
    swap: (name: string, version: number, value: string, keep?: number) =>
      broken && name === 'token/crm'
        ? Promise.reject(new Error('the disk is full'))
        : w.keys.swap(name, version, value, keep),
  }
  const p = w.process(person, { keys })
  await w.clock.advance(hour)
  const call = p.get([], 4_000).catch((e: unknown) => e)
  await w.clock.advance(4_000)
  assert.ok(isFault(await call, 'connection.token'))
  const asked = w.server.asked.length
  broken = false
  const later = p.get()
  await w.clock.advance(20_000)
  assert.equal(await later, 'at-2-canary')
  assert.equal(w.server.asked.length, asked)
})

test('withdrawn: held, told once, no loop; another process learns it from the store; both go on when it is authorised again', async () => {
  await using w = await World.open()
  const [one, two] = [w.process(person), w.process(person)]
  await w.allow(one)
  await two.get()
  w.server.revoked = true
  await w.clock.advance(hour)
  const f = await failsWith(one.get(), 'connection.unauthorized')
  assert.deepEqual([f['retryAfter'], (f['detail'] as { error: string }).error], [60_000, 'invalid_grant'])
  const asked = w.server.asked.length
  for (let i = 0; i < 20; i++) {
    await failsWith(one.get(), 'connection.unauthorized')
    await failsWith(two.get(), 'connection.unauthorized')
    await w.clock.advance(10_000)
  }
  assert.equal(w.server.asked.length, asked, 'a withdrawn refresh token is not tried again')
  assert.deepEqual(
    [one, two].map((p) => p.logged.filter((l) => l.level === 'error').length),
    [1, 1],
  )
  const row = (await w.row())!
  assert.deepEqual([row['state'], row['error'], row['sealed']], ['unauthorized', 'invalid_grant', undefined])
  w.server.revoked = false
  await w.allow(two)
  await w.clock.advance(1_000)
  const now = await two.get()
  assert.equal(await one.get(), now)
  // Once by its first authorisation, once by what the other process wrote.
  assert.deepEqual([one.recovered, two.recovered], [2, 1])
})

test('a frozen process that comes back does not overwrite what another has renewed meanwhile', async () => {
  await using w = await World.open()
  w.server.rotation = 'lenient'
  await w.allow(w.process(person))
  await w.clock.advance(hour)
  let thaw = (): void => {}
  const frozen = {
    send: async (r: Parameters<typeof w.server.send>[0]) => {
      const answer = await w.server.send(r)
      await new Promise<void>((resolve) => (thaw = resolve))
      return answer
    },
  }
  const slow = w.process(person, { http: frozen })
  const call = slow.get([], 120_000)
  await settle()
  await w.clock.advance(46_000)
  assert.equal(await w.process(person).get(), 'at-3-canary')
  thaw()
  assert.equal(await call, 'at-3-canary')
  assert.equal(await w.process(person).get(), 'at-3-canary')
})

/** Every step of a renewal that reaches outside, each followed by a crash before it, or after it and before its answer. */
async function crashAt(
  rotation: 'strict' | 'lenient',
  step: number,
  after: boolean,
): Promise<'over' | { got: string; asked: number; told: number }> {
  await using w = await World.open()
  w.server.rotation = rotation
  await w.allow(w.process(person))
  await w.clock.advance(hour)
  const asked = w.server.asked.length
  let steps = 0
  let dead = false
  const never = (): Promise<never> => new Promise(() => undefined)
  const risky = async <T>(go: () => Promise<T>): Promise<T> => {
    if (dead) return never()
    if (++steps !== step) return go()
    dead = true
    if (after) await go()
    return never()
  }
  const keys = {
    get: (name: string) => risky(() => w.keys.get(name)),
    swap: (...a: Parameters<typeof w.keys.swap>) => risky(() => w.keys.swap(...a)),
  }
  const http = { send: (r: Parameters<typeof w.server.send>[0]) => risky(() => w.server.send(r)) }
  const doomed = w.process(person, { keys, http })
  const got = doomed.get([], 1_000).catch(() => 'nothing')
  await w.clock.advance(1_000)
  await got
  if (!dead) return 'over'
  doomed.tokens.close()
  const next: Process = w.process(person)
  const call = next.get([], 60_000).catch((e: unknown) => (isFault(e) ? e.code : String(e)))
  await w.clock.advance(60_000)
  const result = await call
  for (let i = 0; i < 5; i++) {
    await next.get([], 100).catch(() => undefined)
    await w.clock.advance(5_000)
  }
  return {
    got: result,
    asked: w.server.asked.length - asked,
    told: next.logged.filter((l) => l.level === 'error').length,
  }
}

test('killed at each step of a renewal: the grant is never lost where they take the old token again, else it is held and told', async () => {
  const ends: Record<string, string[]> = { strict: [], lenient: [] }
  for (const rotation of ['strict', 'lenient'] as const) {
    for (const after of [false, true]) {
      for (let step = 1; ; step++) {
        const end = await crashAt(rotation, step, after)
        if (end === 'over') {
          assert.ok(step > 7, `${step} steps were tried`)
          break
        }
        ends[rotation]!.push(end.got)
        const where = `${rotation}, ${after ? 'after' : 'before'} step ${step}: ${JSON.stringify(end)}`
        if (end.got.startsWith('at-')) assert.equal(end.told, 0, where)
        else assert.deepEqual([end.got, end.told], ['connection.unauthorized', 1], where)
        assert.ok(end.asked <= 2, `no loop: ${where}`)
      }
    }
  }
  assert.ok(ends['lenient']!.every((got) => got.startsWith('at-')))
  const lost = ends['strict']!.filter((got) => !got.startsWith('at-')).length
  // Between their answer and our disk: the answer did not come, or came and was not yet written.
  assert.equal(lost, 2)
})
