import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { fault } from '#kernel/fault.ts'
import { settle } from '#testing/clock.ts'
import { topic } from '#patterns/topics/define.ts'
import type { Changes } from './cache.ts'
import { invalidatedBy } from './define.ts'
import { answer, shop } from './world.fixture.ts'

const fresh = { 'cache-control': 'max-age=60' }

test('an answer is given again while it is fresh, and asked for when it is not', async () => {
  const s = shop()
  s.t.server = () => answer(fresh)
  const first = await s.open.call(s.api.product, { id: 1 })
  await s.clock.advance(59_999)
  const second = await s.open.call(s.api.product, { id: 1 })
  assert.deepEqual(second, first)
  assert.notEqual(second, first)
  assert.equal(s.sends(), 1)
  await s.clock.advance(1)
  assert.notDeepEqual(await s.open.call(s.api.product, { id: 1 }), first)
  assert.equal(s.sends(), 1)
})

test('a machine that slept, and a clock that was set, make no answer younger', async () => {
  const s = shop()
  s.t.server = () => answer(fresh)
  await s.open.call(s.api.product, { id: 1 })
  s.clock.jump(-3_600_000)
  await s.clock.advance(59_000)
  await s.open.call(s.api.product, { id: 1 })
  assert.equal(s.sends(), 1)
  await s.clock.advance(1_000)
  await s.open.call(s.api.product, { id: 1 })
  assert.equal(s.sends(), 1)
  s.clock.jump(60_000)
  await s.open.call(s.api.product, { id: 1 })
  assert.equal(s.sends(), 1)
})

test('a hit takes nothing of limit, bulkhead and breaker', async () => {
  const s = shop({ limit: '1/h', bulkhead: { concurrent: 1, waiting: 0 }, retry: false })
  s.t.server = () => answer(fresh)
  await s.open.call(s.api.product, { id: 1 })
  s.open.breaker('isolated')
  await Promise.all(Array.from({ length: 50 }, () => s.open.call(s.api.product, { id: 1 })))
  assert.equal(s.sends(), 1)
  const { counters, cache, credential } = s.open.state()
  assert.deepEqual([counters.calls, counters.succeeded, counters.attempts, credential], [51, 51, 1, 'accepted'])
  assert.deepEqual([cache!.hits, cache!.misses, cache!.entries], [50, 1, 1])
  await s.fails(s.open.call(s.api.product, { id: 2 }), 'connection.breaker_open')
})

test('bytes that a caller writes into are nobody else’s', async () => {
  const s = shop()
  const theirs = answer(fresh, 200, [1])
  s.t.server = () => theirs
  const text = (bytes: unknown): string => Buffer.from(bytes as Uint8Array).toString()
  for (let i = 0; i < 3; i++) {
    const bytes = (await s.open.call(s.api.raw, { id: 1 })) as Uint8Array
    assert.equal(text(bytes), '[1]')
    bytes.fill(0)
    theirs.body.fill(0)
  }
  assert.equal(s.sends(), 1)
})

test('what one credential was given no other gets, also not by way of a 304', async () => {
  const s = shop()
  s.t.server = (r) =>
    r.headers['if-none-match'] === undefined
      ? answer({ ...fresh, etag: '"same"' }, 200, r.headers['authorization'])
      : answer({}, 304, '')
  assert.equal(await s.open.call(s.api.product, { id: 1 }), 'Bearer key-1')
  s.secrets[0] = 'key-2'
  assert.equal(await s.open.call(s.api.product, { id: 1 }), 'Bearer key-2')
  assert.equal(await s.open.call(s.api.product, { id: 1 }), 'Bearer key-2')
  assert.deepEqual(
    s.sent.map((r) => r.headers['if-none-match']),
    [undefined, undefined],
  )
  // The first one again: what it was given is still its own.
  s.secrets[0] = 'key-1'
  assert.equal(await s.open.call(s.api.product, { id: 1 }), 'Bearer key-1')
  assert.equal(s.sends(), 2)
})

test('a credential that is refused in mid-call leaves no condition and no answer to the next one', async () => {
  const s = shop()
  s.t.server = (r) => answer({ etag: '"same"' }, 200, r.headers['authorization'])
  await s.open.call(s.api.product, { id: 1 })
  s.secrets.push('key-2')
  s.t.server = (r) => {
    if (r.headers['authorization'] === 'Bearer key-1') return answer({}, 401)
    return r.headers['if-none-match'] === undefined ? answer({ etag: '"same"' }, 200, 'of key-2') : answer({}, 304)
  }
  assert.equal(await s.open.call(s.api.product, { id: 1 }), 'of key-2')
  assert.deepEqual(
    s.sent.slice(1).map((r) => r.headers['if-none-match']),
    ['"same"', undefined],
  )
})

test('everything that was sent is part of the name: a server that forgets Vary poisons nobody', async () => {
  const s = shop()
  s.t.server = (r) => answer(fresh, 200, `${r.path} ${r.headers['x-tenant']} ${String(r.body)}`)
  const a = await s.open.call(s.api.asked, { id: 1, tenant: 'a' })
  const b = await s.open.call(s.api.asked, { id: 1, tenant: 'b' })
  assert.notEqual(a, b)
  assert.equal(await s.open.call(s.api.asked, { id: 1, tenant: 'a' }), a)
  for (const id of ['a/../1', '1;x', '1%2f', 'A', 'a', '1?x', '__proto__']) {
    const path = `/v1/products/${encodeURIComponent(id)}`
    for (let i = 0; i < 2; i++)
      assert.match(String(await s.open.call(s.api.product, { id })), new RegExp(`^${path.replace('?', '\\?')} `))
  }
  // The same line is another operation, and other bodies are other questions.
  await s.open.call(s.api.again, { id: 'a' })
  const asked = await s.open.call(s.api.query, { text: 'a' })
  assert.notEqual(await s.open.call(s.api.query, { text: 'b' }), asked)
  assert.equal(await s.open.call(s.api.query, { text: 'a' }), asked)
  assert.equal(s.sends(), 2 + 7 + 1 + 2)
  s.t.server = () => answer({ ...fresh, vary: 'accept, *' })
  await s.open.call(s.api.product, { id: 'star' })
  await s.open.call(s.api.product, { id: 'star' })
  assert.equal(s.sends(), 2)
})

test('asks with validators, and takes a 304 for what is kept with its newer fields', async () => {
  const s = shop()
  const modified = 'Thu, 01 Jan 2026 00:00:00 GMT'
  s.t.server = () => answer({ 'cache-control': 'max-age=1', etag: 'W/"1"', 'last-modified': modified })
  const first = await s.open.call(s.api.product, { id: 1 })
  await s.clock.advance(1_000)
  s.t.server = () => answer({ 'cache-control': 'max-age=60', etag: '"1"' }, 304, '')
  assert.deepEqual(await s.open.call(s.api.product, { id: 1 }), first)
  const { headers } = s.sent[1]!
  assert.deepEqual([headers['if-none-match'], headers['if-modified-since']], ['W/"1"', modified])
  await s.clock.advance(59_999)
  assert.deepEqual(await s.open.call(s.api.product, { id: 1 }), first)
  assert.equal(s.sends(), 2)
  assert.deepEqual(
    [s.records[1]!.cache, s.records[1]!.status, s.open.state().cache!.revalidated],
    ['revalidated', 304, 1],
  )
})

test('what was validated is as new as the 304, whatever it was before', async () => {
  const s = shop()
  const date = new Date(s.clock.now()).toUTCString()
  s.t.server = () => answer({ ...fresh, etag: '"1"', age: '50', date })
  await s.open.call(s.api.product, { id: 1 })
  await s.clock.advance(10_000)
  s.t.server = () => answer({}, 304, '')
  await s.open.call(s.api.product, { id: 1 })
  await s.clock.advance(59_000)
  await s.open.call(s.api.product, { id: 1 })
  assert.equal(s.sends(), 2)
})

test('a 304 about another answer is not taken: it is asked again without conditions', async () => {
  const s = shop()
  s.t.server = () => answer({ etag: '"1"' })
  await s.open.call(s.api.product, { id: 1 })
  s.t.server = (r) => (r.headers['if-none-match'] ? answer({ etag: '"2"' }, 304, '') : answer({}, 200, 'new'))
  assert.equal(await s.open.call(s.api.product, { id: 1 }), 'new')
  assert.equal(s.sends(), 3)
  // Nobody asked whether: an answer like any other.
  s.t.server = () => answer({}, 304, '')
  await assert.rejects(s.open.call(s.api.product, { id: 1 }))
})

test('conditions of the caller go past the cache', async () => {
  const s = shop()
  s.t.server = () => answer(fresh)
  await s.open.call(s.api.asked, { id: 1, match: '"x"' })
  await s.open.call(s.api.asked, { id: 1, match: '"x"' })
  await s.open.call(s.api.live, { id: 1 })
  await s.open.call(s.api.live, { id: 1 })
  assert.equal(s.sends(), 4)
})

test('calls that ask the same at once share one request, where its answer may be given to them', async () => {
  const s = shop()
  s.t.hold = true
  s.t.server = () => answer(fresh)
  const calls = Array.from({ length: 20 }, () => s.open.call(s.api.product, { id: 1 }))
  await settle()
  assert.equal(s.sent.length, 1)
  s.held.splice(0).forEach((go) => go())
  const answers = await Promise.all(calls)
  assert.equal(new Set(answers).size, 20)
  assert.equal(new Set(answers.map((a) => JSON.stringify(a))).size, 1)
  assert.deepEqual([s.sends(), s.open.state().cache!.shared], [1, 19])
})

test('nobody waits twice for an answer that is not to be shared, and a failure is not shared at all', async () => {
  const s = shop({ retry: false })
  s.t.hold = true
  s.t.server = () => answer({ 'cache-control': 'no-store' })
  const calls = Array.from({ length: 3 }, () => s.open.call(s.api.product, { id: 1 }))
  await settle()
  assert.equal(s.sends(), 1)
  s.held.splice(0).forEach((go) => go())
  await settle()
  assert.equal(s.sends(), 2)
  s.held.splice(0).forEach((go) => go())
  assert.equal(new Set((await Promise.all(calls)).map((a) => JSON.stringify(a))).size, 3)
  const more = Array.from({ length: 3 }, () => s.open.call(s.api.product, { id: 1 }))
  await settle()
  assert.equal(s.sends(), 3)
  s.held.splice(0).forEach((go) => go())
  await Promise.all(more)

  const controller = new AbortController()
  s.t.server = () => (s.sent.length === 1 ? fault('connection.unreachable') : answer(fresh))
  const leader = s.fails(s.open.call(s.api.product, { id: 2 }), 'connection.unreachable')
  await settle()
  const follower = s.open.call(s.api.product, { id: 2 })
  const gone = s.fails(s.open.call(s.api.product, { id: 2 }, { signal: controller.signal }), 'cancelled')
  await s.fails(s.open.call(s.api.product, { id: 2 }, { signal: AbortSignal.abort() }), 'cancelled')
  const deadline = s.clock.mono() + 5
  const late = s.fails(s.open.call(s.api.product, { id: 2 }, { deadline }), 'connection.deadline')
  await settle()
  controller.abort()
  await gone
  await s.clock.advance(5)
  await late
  assert.equal(s.sent.length, 1)
  s.held.splice(0).forEach((go) => go())
  await leader
  await settle()
  s.held.splice(0).forEach((go) => go())
  await follower
  assert.equal(s.sends(), 2)
})

test('a stale answer is given while one request asks for the next, as long as the answer allows', async () => {
  const s = shop()
  s.t.server = () => answer({ 'cache-control': 'max-age=10, stale-while-revalidate=30' })
  const first = await s.open.call(s.api.product, { id: 1 })
  await s.clock.advance(39_999)
  s.t.hold = true
  const stale = await Promise.all(Array.from({ length: 5 }, () => s.open.call(s.api.product, { id: 1 })))
  await settle()
  assert.deepEqual(stale, Array(5).fill(first))
  assert.equal(s.sent.length, 2)
  s.held.splice(0).forEach((go) => go())
  await settle()
  s.t.hold = false
  const next = await s.open.call(s.api.product, { id: 1 })
  assert.notDeepEqual(next, first)
  assert.equal(s.sends(), 2)
  await s.clock.advance(40_000)
  assert.notDeepEqual(await s.open.call(s.api.product, { id: 1 }), next)
})

test('who asks behind the back of others keeps trying, and a failure of it is no answer', async () => {
  const s = shop()
  s.t.server = () => answer({ 'cache-control': 'max-age=10, stale-while-revalidate=600, stale-if-error=600' })
  const first = await s.open.call(s.api.product, { id: 1 })
  await s.clock.advance(20_000)
  s.t.server = () => answer({}, 503)
  assert.deepEqual(await s.open.call(s.api.product, { id: 1 }), first)
  await s.clock.advance(5_000)
  const { counters, cache } = s.open.state()
  assert.deepEqual([s.sends(), counters.failed, cache!.hits, cache!.stale], [3, 1, 1, 1])
})

test('a stale answer stands in for a failure at once, within its own bound and ours, and says so', async () => {
  const s = shop({ cache: { stale: '30s' } })
  s.t.server = () => answer({ 'cache-control': 'max-age=10, stale-if-error=3600' })
  const first = await s.open.call(s.api.product, { id: 1 })
  await s.clock.advance(20_000)
  for (const failing of [
    answer({}, 503),
    answer({}, 500),
    fault('connection.unreachable'),
    fault('connection.timeout'),
  ]) {
    s.t.server = () => failing
    assert.deepEqual(await s.open.call(s.api.product, { id: 1 }), first)
  }
  // No repetition where an answer is at hand.
  assert.equal(s.sends(), 5)
  const last = s.records.at(-1)!
  assert.deepEqual([last.outcome, last.cache, last.attempts[0]!.code], ['ok', 'stale', 'connection.timeout'])
  s.open.breaker('isolated')
  assert.deepEqual(await s.open.call(s.api.product, { id: 1 }), first)
  s.open.breaker('closed')
  s.t.server = () => answer({}, 404)
  await s.fails(s.open.call(s.api.product, { id: 1 }), 'connection.not_found')
  await s.clock.advance(20_000)
  s.t.server = () => fault('connection.unreachable')
  const late = s.fails(s.open.call(s.api.product, { id: 1 }), 'connection.unreachable')
  await s.clock.advance(2_000)
  await late
})

test('another credential’s stale answer does not stand in', async () => {
  const s = shop({ retry: false })
  s.t.server = () => answer({ 'cache-control': 'max-age=0, stale-if-error=3600' })
  await s.open.call(s.api.product, { id: 1 })
  s.secrets.push('key-2')
  s.t.server = (r) => answer({}, r.headers['authorization'] === 'Bearer key-1' ? 401 : 503)
  await s.fails(s.open.call(s.api.product, { id: 1 }), 'connection.unavailable')
})

test('what may have changed is forgotten: the path with any query, and where the answer says that it lies', async () => {
  const s = shop({ retry: false })
  const paths = ['/v1/products/1', '/v1/products?a=1', '/v1/products/7']
  const lost = async (): Promise<string[]> => {
    s.sends()
    s.t.server = () => answer(fresh)
    await s.open.call(s.api.product, { id: 1 })
    await s.open.call(s.api.search, { a: 1 })
    await s.open.call(s.api.product, { id: 7 })
    return s.sent.splice(0).map((r) => r.path)
  }
  assert.deepEqual(await lost(), paths)
  assert.deepEqual(await lost(), [])
  s.t.server = () => answer({}, 200)
  await s.open.call(s.api.rename, { id: 1 })
  assert.deepEqual(await lost(), [paths[0]])
  s.t.server = () => answer({ location: '/v1/products/7', 'content-location': 'https://evil.test/v1/products/1' }, 201)
  await s.open.call(s.api.create, {})
  assert.deepEqual(await lost(), [paths[1], paths[2]])
  s.t.server = () => answer({}, 400)
  await assert.rejects(s.open.call(s.api.rename, { id: 1 }))
  assert.deepEqual(await lost(), [])
  // Nobody knows whether it did.
  s.t.server = () => fault('connection.timeout')
  await assert.rejects(s.open.call(s.api.remove, { id: 1 }))
  assert.deepEqual(await lost(), [paths[0]])
})

test('what turns out to have happened is forgotten at the path of the call, not of the question whether', async () => {
  const s = shop({ retry: false })
  s.t.server = () => answer(fresh)
  await s.open.call(s.api.search, undefined)
  await s.open.call(s.api.product, { id: 'found' })
  s.t.server = (r) => (r.method === 'POST' ? answer({}, 500) : answer({}, 200, 'found'))
  assert.equal(await s.open.call(s.api.sure, {}), 'found')
  s.sends()
  s.t.server = () => answer(fresh)
  await s.open.call(s.api.search, undefined)
  await s.open.call(s.api.product, { id: 'found' })
  assert.deepEqual(
    s.sent.map((r) => r.path),
    ['/v1/products'],
  )
})

test('an answer that was under way when something changed is its caller’s alone', async () => {
  const s = shop()
  s.t.server = () => answer(fresh)
  s.t.hold = true
  const read = s.open.call(s.api.product, { id: 1 })
  await settle()
  s.t.hold = false
  await s.open.call(s.api.rename, { id: 1 })
  const after = s.open.call(s.api.product, { id: 1 })
  assert.notDeepEqual(await after, undefined)
  s.held.splice(0).forEach((go) => go())
  const old = await read
  assert.notDeepEqual(await s.open.call(s.api.product, { id: 1 }), old)
  assert.deepEqual(await s.open.call(s.api.product, { id: 1 }), await after)
})

/** Topics that a test tells of. */
function told() {
  const followed = new Map<string, (said: Promise<readonly unknown[]> | undefined) => void>()
  const changes: Changes = {
    follow(name, _reads, tell) {
      followed.set(name, tell)
      return () => followed.delete(name)
    },
  }
  return { changes, followed }
}

test('a topic says what has changed: everything, a path with what is below it, one question, or nothing', async () => {
  const { changes, followed } = told()
  const one = topic('one', {
    schema: z.object({ path: z.string().optional(), id: z.string().optional(), bad: z.boolean().optional() }),
  })
  const all = topic('all')
  const s = shop(
    {
      cache: {
        invalidate: [
          all,
          invalidatedBy(one, (d) => {
            if (d.bad) throw new Error('bad')
            return d.id === undefined ? d.path : { operation: s.api.product, input: { id: d.id } }
          }),
        ],
      },
    },
    { changes },
  )
  s.t.server = () => answer(fresh)
  const kept = async (): Promise<string> => {
    s.sends()
    for (const id of ['1', '17', '17/x']) await s.open.call(s.api.product, { id })
    await s.open.call(s.api.again, { id: '1' })
    return s.sent
      .splice(0)
      .map((r) => r.path.slice('/v1/products/'.length))
      .join(' ')
  }
  await kept()
  const say = async (...said: unknown[]): Promise<string> => {
    followed.get('one')!(Promise.resolve(said))
    await settle()
    return kept()
  }
  assert.equal(await say(), '')
  assert.equal(await say({}), '')
  assert.equal(await say({ path: '/products/1' }), '1 1')
  assert.equal(await say({ path: '/products/1' }, { path: '/products/17' }), '1 17 1')
  assert.equal(await say({ path: '/products/' }), '1 17 17%2Fx 1')
  assert.equal(await say({ id: '1' }), '1')
  assert.equal(await say({ bad: true }), '1 17 17%2Fx 1')
  followed.get('one')!(Promise.reject(new Error('the store is away')))
  await settle()
  assert.equal(await kept(), '1 17 17%2Fx 1')
  followed.get('all')!(undefined)
  assert.equal(await kept(), '1 17 17%2Fx 1')
  // While it is being read what has changed, nothing is given that might have.
  const { promise, resolve: read } = Promise.withResolvers<readonly unknown[]>()
  followed.get('one')!(promise)
  assert.equal(await kept(), '1 17 17%2Fx 1')
  read([])
  await settle()
  assert.equal(await kept(), '')
  s.open.close()
  assert.equal(followed.size, 0)
})

test('where nobody tells what has changed, nothing is kept', async () => {
  const s = shop({ cache: { invalidate: topic('all') } })
  s.t.server = () => answer(fresh)
  await s.open.call(s.api.product, { id: 1 })
  await s.open.call(s.api.product, { id: 1 })
  assert.deepEqual([s.sends(), s.open.state().cache], [2, undefined])
})

test('keeps 1,000 answers and 16 MiB, those that were needed last', async () => {
  const s = shop()
  s.t.server = () => answer(fresh)
  for (let id = 0; id < 1_000; id++) await s.open.call(s.api.product, { id })
  await s.open.call(s.api.product, { id: 0 })
  await s.open.call(s.api.product, { id: 1_000 })
  s.sends()
  await s.open.call(s.api.product, { id: 0 })
  assert.equal(s.sends(), 0)
  await s.open.call(s.api.product, { id: 1 })
  assert.equal(s.sends(), 1)
  s.t.server = () => answer(fresh, 200, 'x'.repeat(1_500_000))
  for (let id = 2_000; id < 2_020; id++) await s.open.call(s.api.product, { id })
  const { entries, bytes } = s.open.state().cache!
  assert.ok(bytes <= 16_777_216 && bytes > 14_000_000 && entries < 1_000, `${entries} ${bytes}`)
  s.sends()
  s.t.server = () => answer(fresh, 200, 'x'.repeat(2_200_000))
  await s.open.call(s.api.product, { id: 'big' })
  await s.open.call(s.api.product, { id: 'big' })
  assert.equal(s.sends(), 2)
})

test('a hundredth of the hits is recorded, with what was given and no attempt', async () => {
  const s = shop()
  s.t.server = () => answer(fresh)
  for (let i = 0; i < 2_000; i++) await s.open.call(s.api.product, { id: 1 })
  const hits = s.records.filter((r) => r.cache === 'hit')
  assert.ok(hits.length > 5 && hits.length < 60, `${hits.length}`)
  assert.deepEqual([hits[0]!.outcome, hits[0]!.attempts, hits[0]!.path], ['ok', [], '/v1/products/1'])
  assert.equal(hits[0]!.request.headers['authorization'], undefined)
})

test('walks through pages that are kept', async () => {
  const s = shop()
  s.t.server = (r) =>
    r.path.includes('page=2')
      ? answer(fresh, 200, [3])
      : answer({ ...fresh, link: '</v1/products?page=2>; rel="next"' }, 200, [1, 2])
  for (let i = 0; i < 2; i++)
    assert.deepEqual(await Array.fromAsync(s.open.each(s.api.search, undefined as never)), [1, 2, 3])
  assert.equal(s.sends(), 2)
})
