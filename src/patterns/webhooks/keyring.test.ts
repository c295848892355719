import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { describe, it } from 'node:test'
import { fault, isFault } from '#kernel/fault.ts'
import { secret, SecretValue } from '#kernel/secret.ts'
import { virtualClock } from '#testing/clock.ts'
import { keyring } from './keyring.ts'
import { githubSignature } from './signatures/github.ts'
import type { Verify } from './signatures/scheme.ts'

const first = 'the first secret of all'
const second = 'the second secret of all'
const scheme = githubSignature(secret('HOOK'))
const body = Buffer.from('{}')

function setup() {
  const clock = virtualClock()
  const vault = { values: [first], reads: 0, down: false, gate: undefined as Promise<void> | undefined }
  const ring = keyring(scheme, {
    clock,
    secrets: {
      async read(name) {
        vault.reads++
        const values = vault.values.map((v) => new SecretValue(name, v))
        await vault.gate
        if (vault.down) throw fault('config.secret')
        return values
      },
    },
  })
  return { clock, vault, ring }
}

function accepts(verify: Verify, key: string): boolean {
  const outgoing = { id: 'd', type: 'push', body, now: 0 }
  const headers = scheme.sign!(outgoing, [new SecretValue('HOOK', key)])
  try {
    return verify({ headers, body, now: 0, tolerance: 0 }).ok
  } catch {
    return false
  }
}

describe('a keyring', () => {
  it('reads once for all that ask at the same time, then not at all while the keys are fresh', async () => {
    const { vault, ring, clock } = setup()
    const [a, b] = await Promise.all([ring.current(), ring.current()])
    assert.equal(a, b)
    await clock.advance(29_000)
    assert.equal(ring.current(), a)
    assert.equal(vault.reads, 1)
  })
  it('reads again after 30 s without letting a request wait, so a revoked secret stops verifying', async () => {
    const { vault, ring, clock } = setup()
    await ring.current()
    vault.values = [second]
    await clock.advance(31_000)
    const meanwhile = ring.current()
    assert.ok(typeof meanwhile === 'function' && accepts(meanwhile, first))
    await clock.advance(0)
    const renewed = await ring.current()
    assert.deepEqual([accepts(renewed, first), accepts(renewed, second)], [false, true])
  })
  it('reads anew after a refusal, at most once a second however many are refused', async () => {
    const { vault, ring, clock } = setup()
    await ring.current()
    assert.equal(ring.reread(), undefined)
    await clock.advance(1_000)
    vault.values = [second, first]
    const renewed = await Promise.all(Array.from({ length: 100 }, async () => ring.reread()))
    assert.ok(renewed.every((v) => v !== undefined && accepts(v, second) && accepts(v, first)))
    assert.equal(vault.reads, 2)
    assert.equal(ring.reread(), undefined)
  })
  it('stops verifying with a revoked secret at once when told, even while an older read is under way', async () => {
    const { vault, ring } = setup()
    let open: () => void = () => undefined
    vault.gate = new Promise((resolve) => (open = resolve))
    const old = ring.current()
    vault.values = [second]
    const told = ring.refresh()
    open()
    await old
    assert.equal(accepts(await told, first), false)
    assert.equal(accepts(await ring.current(), first), false)
  })
  it('keeps the last good keys for 10 minutes of failing reads, then verifies nothing', async () => {
    const { vault, ring, clock } = setup()
    await ring.current()
    vault.down = true
    for (let minute = 0; minute < 9; minute++) {
      await clock.advance(60_000)
      assert.equal(accepts(await ring.current(), first), true)
    }
    await clock.advance(120_000)
    await assert.rejects(
      async () => ring.current(),
      (e) => isFault(e, 'config.secret'),
    )
    vault.down = false
    assert.equal(accepts(await ring.current(), first), true)
  })
  it('refuses to start with a secret that is too short', async () => {
    const { vault, ring } = setup()
    vault.values = ['short']
    await assert.rejects(ring.refresh(), (e) => isFault(e, 'config.secret'))
  })
})
