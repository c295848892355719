import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '#kernel/fault.ts'
import { SecretValue } from '#kernel/secret.ts'
import { seededRandom } from '#testing/random.ts'
import { keyRing, seal, unseal } from './seal.ts'
import { canary, machine, person, World } from './world.fixture.ts'

const value = (byte: number): string => Buffer.alloc(32, byte).toString('base64')
const ring = (...bytes: number[]) => keyRing(bytes.map((b) => new SecretValue('TOKEN_KEY', value(b))))
const random = seededRandom(1)

test('what is sealed opens with its key and for its purpose, and with nothing else', () => {
  const sealed = seal(ring(1), 'token of a', 'secret text ü', random)
  assert.equal(unseal(ring(1), 'token of a', sealed), 'secret text ü')
  assert.equal(unseal(ring(2, 1), 'token of a', sealed), 'secret text ü')
  assert.equal(unseal(ring(2), 'token of a', sealed), undefined)
  assert.equal(unseal(ring(1), 'token of b', sealed), undefined)
  assert.equal(unseal([], 'token of a', sealed), undefined)
  assert.notEqual(seal(ring(1), 'token of a', 'secret text ü', random), sealed, 'each has a nonce of its own')
})

test('not one changed character passes', () => {
  const sealed = seal(ring(1), 'a', 'text', random)
  for (let i = 0; i < sealed.length; i++) {
    const other = sealed[i] === 'A' ? 'B' : 'A'
    const changed = sealed.slice(0, i) + other + sealed.slice(i + 1)
    // The last character of base64url may hold bits that nothing is made of.
    if (i === sealed.length - 1 && Buffer.from(changed, 'base64url').equals(Buffer.from(sealed, 'base64url'))) continue
    assert.equal(unseal(ring(1), 'a', changed), undefined, `character ${i}`)
  }
  for (const broken of ['', '.', sealed.slice(0, 20), 'x'.repeat(500)])
    assert.equal(unseal(ring(1), 'a', broken), undefined)
})

test('a key is 32 bytes in base64 or hex; another one is refused without being repeated', () => {
  assert.equal(keyRing([new SecretValue('K', '00'.repeat(32))])[0]!.bytes.length, 32)
  for (const wrong of ['', 'canary', 'canary'.repeat(20)]) {
    assert.throws(
      () => keyRing([new SecretValue('K', wrong)]),
      (e) => isFault(e, 'config.secret') && (wrong === '' || !JSON.stringify(e).includes(wrong)),
    )
  }
})

test('the newest key encrypts what the older one wrote, at the next renewal', async () => {
  await using w = await World.open()
  const p = w.process()
  await p.get()
  const [old] = String((await w.row())!['sealed']).split('.')
  w.secrets['TOKEN_KEY']!.unshift(value(2))
  assert.equal(await w.process().get(), 'at-1-canary')
  await p.get(['at-1-canary'])
  const [now] = String((await w.row())!['sealed']).split('.')
  assert.notEqual(now, old)
  w.secrets['TOKEN_KEY']!.pop()
  assert.equal(await w.process().get(), 'at-2-canary')
})

test('a row that was moved to another connection is not its token', async () => {
  await using w = await World.open()
  await w.allow(w.process(person))
  const row = await w.keys.get('token/crm')
  await w.keys.put('token/shop', row!.value)
  const other = w.process(person, { name: 'shop' })
  await assert.rejects(other.get(), (e) => isFault(e, 'connection.unauthorized') && e.detail['error'] === 'unreadable')
  // What cannot be read is not destroyed: the key may come back.
  assert.equal((await w.keys.get('token/shop'))!.value, row!.value)
})

test('a token whose key is gone is fetched anew where no person is needed', async () => {
  await using w = await World.open()
  await w.process().get()
  w.secrets['TOKEN_KEY'] = [value(9)]
  assert.equal(await w.process().get(), 'at-2-canary')
})

test('no token and no secret lies in the store, stands in a log line, a fault or the state in the clear', async () => {
  await using w = await World.open()
  const shown: unknown[] = []
  for (const auth of [machine, person]) {
    const p = w.process(auth)
    if (auth === person) await w.allow(p)
    await p.get()
    await p.get(['at-1-canary', 'at-2-canary'])
    for (const trouble of [
      { status: 200, body: { access_token: 'canary token with spaces', token_type: 'Bearer' } },
      { status: 200, body: { access_token: 'canary', token_type: 'canary' } },
      { status: 200, body: { access_token: 'canary', token_type: 'Bearer', expires_in: 'canary' } },
      { status: 400, body: { error: 'canary!', error_description: canary } },
      { status: 400, body: { error: 'invalid_grant', error_description: canary } },
      { status: 302, body: 'canary' },
    ]) {
      w.server.trouble = trouble
      await w.clock.advance(3_700_000)
      const call = p.get([], 2_000).catch((e: unknown) => e)
      await w.clock.advance(2_000)
      const f = await call
      assert.ok(isFault(f), JSON.stringify(trouble))
      shown.push(f, String(f), f.stack, (f.cause as Error | undefined)?.stack, p.tokens.state())
    }
    w.server.trouble = undefined
    shown.push(p.logged, await w.keys.list(''))
  }
  const text = JSON.stringify(shown)
  assert.match(text, /sealed|unauthorized/)
  assert.ok(!text.includes('canary'), /.{80}canary.{40}/.exec(text)?.[0] ?? '')
})

test('the redactor knows every token, and forgets those that have ended', async () => {
  await using w = await World.open()
  const p = w.process(person)
  await w.allow(p)
  assert.equal(w.redact.text('at-1-canary rt-1-canary'), '[masked] [masked]')
  for (let i = 0; i < 4; i++) {
    await w.clock.advance(3_700_000)
    await p.get()
  }
  assert.equal(w.redact.text('at-5-canary rt-5-canary at-4-canary'), '[masked] [masked] [masked]')
  assert.equal(w.redact.text('at-1-canary'), 'at-1-canary')
})
