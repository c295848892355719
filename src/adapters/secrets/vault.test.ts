import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '#kernel/fault.ts'
import { redactor } from '#kernel/redact.ts'
import { secret } from '#kernel/secret.ts'
import { settle, virtualClock } from '#testing/clock.ts'
import { secretsConformance } from './conformance.ts'
import { vaultSecrets, type VaultSecretsOptions } from './vault.ts'
import { VaultStandIn } from './vault.fixture.ts'
import { runtimeOf } from './world.fixture.ts'

const options: VaultSecretsOptions = {
  address: 'https://vault.test:8200',
  login: { method: 'approle', roleId: secret('VAULT_ROLE_ID'), secretId: secret('VAULT_SECRET_ID') },
}
const env = { VAULT_ROLE_ID: 'unlock-role-id', VAULT_SECRET_ID: 'unlock-secret-id' }

secretsConformance('secrets of Vault', virtualClock, async (world) => {
  const vault = new VaultStandIn(world.clock)
  const secrets = await vaultSecrets(options).open(runtimeOf(world, { http: vault, env }))
  return {
    secrets,
    refresh: 60_000,
    keep: 3_600_000,
    put: async (name, value, overlap) => {
      const before = vault.paths.get(name)?.at(-1)
      if (before && !overlap) before.destroyed = true
      vault.write(name, { value })
    },
    remove: async (name) => void vault.paths.delete(name),
    away: async (is) => void (vault.away = is),
    asked: () => vault.reads,
    close: async () => {},
  }
})

async function open(more: Partial<VaultSecretsOptions> = {}, files: Readonly<Record<string, string>> = {}) {
  const clock = virtualClock()
  const vault = new VaultStandIn(clock)
  const logged: string[] = []
  const redact = redactor()
  const log = {
    write: (level: string, event: string, fields?: object) =>
      void logged.push(`${level} ${event} ${JSON.stringify(fields)}`),
  }
  const read = async (path: string | URL): Promise<string> => files[String(path)] ?? Promise.reject(new Error('ENOENT'))
  const runtime = runtimeOf(
    { clock, log, redact },
    { http: vault, env, files: { read, stat: () => Promise.reject(new Error('ENOENT')) } },
  )
  const secrets = await vaultSecrets({ ...options, ...more }).open(runtime)
  const values = async (name: string): Promise<string[]> => (await secrets.read(name)).map((v) => v.reveal())
  return { clock, vault, logged, redact, secrets, values }
}

test('fields of one path are one request; names of definitions lead to their addresses', async () => {
  const t = await open({ names: { PAYMENTS_KEY: 'billing/payments#key', PAYMENTS_HOOK: 'billing/payments#hook' } })
  t.vault.write('billing/payments', { key: 'sk-of-payments', hook: 'whsec-of-payments', value: 'by default' })
  const all = await Promise.all(['PAYMENTS_KEY', 'PAYMENTS_HOOK', 'billing/payments'].map(t.values))
  assert.deepEqual(all, [['sk-of-payments'], ['whsec-of-payments'], ['by default']])
  assert.equal(t.vault.reads, 1)
  assert.equal(t.vault.logins, 1)
  await t.secrets[Symbol.asyncDispose]()
})

test('the version before counts for the overlap after the change, and is not asked for later', async () => {
  const t = await open({ overlap: '1h', refresh: '1m' })
  t.vault.write('turning', { value: 'old-value' })
  await t.clock.advance(86_400_000)
  t.vault.write('turning', { value: 'new-value' })
  assert.deepEqual(await t.values('turning'), ['new-value', 'old-value'])
  await t.clock.advance(3_599_999)
  assert.deepEqual(await t.values('turning'), ['new-value', 'old-value'])
  const before = t.vault.reads
  await t.clock.advance(120_000)
  assert.deepEqual(await t.values('turning'), ['new-value'])
  assert.equal(t.vault.reads - before, 1)
  await t.secrets[Symbol.asyncDispose]()
})

test('the token is renewed at two thirds of its life without a reader, and logged in for anew when renewing ends', async () => {
  const t = await open()
  t.vault.write('a', { value: 'value-of-a' })
  await t.values('a')
  await t.clock.advance(799_000)
  const [token] = t.vault.tokens.values()
  assert.equal(token?.renewals, 0)
  await t.clock.advance(60_000)
  assert.equal(token?.renewals, 1)
  for (let minute = 0; minute < 300; minute++) await t.clock.advance(60_000)
  assert.ok(t.vault.logins >= 2, 'renewing came to its end')
  assert.ok(t.vault.logins <= 5, `${t.vault.logins} logins in five hours`)
  const { logins } = t.vault
  assert.deepEqual(await t.values('a'), ['value-of-a'])
  assert.equal(t.vault.logins, logins, 'a valid token was at hand')
  await t.secrets[Symbol.asyncDispose]()
  assert.equal(t.vault.revoked, 1)
})

test('a token that was revoked on their side costs one login and no failed read', async () => {
  const t = await open()
  t.vault.write('a', { value: 'value-of-a' })
  await t.values('a')
  t.vault.tokens.clear()
  await t.clock.advance(120_000)
  assert.deepEqual(await t.values('a'), ['value-of-a'])
  assert.equal(t.vault.logins, 2)
  await t.secrets[Symbol.asyncDispose]()
})

test('a path that the policy closes is config.secret, at once', async () => {
  const t = await open()
  t.vault.write('a', { value: 'value-of-a' })
  await t.values('a')
  t.vault.closed.add('a')
  await t.clock.advance(120_000)
  await assert.rejects(t.values('a'), (e) => isFault(e, 'config.secret') && e.message.includes('403'))
  await t.secrets[Symbol.asyncDispose]()
})

test('a login that is refused leaves the last good values in place, is logged, and tried again', async () => {
  const t = await open()
  t.vault.write('a', { value: 'value-of-a' })
  await t.values('a')
  t.vault.tokens.clear()
  t.vault.secretId = 'another-secret-id'
  await t.clock.advance(90_000)
  assert.deepEqual(await t.values('a'), ['value-of-a'])
  await settle()
  assert.match(t.logged.join('\n'), /warn secrets\.failed .*status 400/)
  t.vault.secretId = 'unlock-secret-id'
  await t.clock.advance(120_000)
  await t.values('a')
  await settle()
  assert.match(t.logged.join('\n'), /info secrets\.back/)
  await t.secrets[Symbol.asyncDispose]()
})

test('a namespace goes with every request; what unlocks the vault and its tokens are masked', async () => {
  const t = await open({ namespace: 'admin/billing' })
  t.vault.namespace = 'admin/billing'
  t.vault.write('a', { value: 'value-of-a' })
  assert.deepEqual(await t.values('a'), ['value-of-a'])
  assert.ok(t.vault.seen.every((r) => r.headers['x-vault-namespace'] === 'admin/billing'))
  assert.equal(t.redact.text('unlock-secret-id hvs.token-1 value-of-a'), '[masked] [masked] [masked]')
  await t.secrets[Symbol.asyncDispose]()
})

test('a pod logs in with the token of its service account, read anew each time', async () => {
  const files = { '/pod/token': 'pod-token-canary\n' }
  const t = await open({ login: { method: 'kubernetes', role: 'billing', file: '/pod/token' } }, files)
  t.vault.write('a', { value: 'value-of-a' })
  assert.deepEqual(await t.values('a'), ['value-of-a'])
  assert.equal(t.redact.text('pod-token-canary'), '[masked]')
  await t.secrets[Symbol.asyncDispose]()
})

test('everything wrong in the options is reported at once, before anything is opened', () => {
  assert.throws(
    () =>
      vaultSecrets({
        address: 'http://vault.test:8200',
        login: { method: 'approle' } as never,
        mount: '../secret',
        refresh: 'soon' as never,
        nmaes: {},
      } as never),
    (e) => {
      assert.ok(isFault(e, 'config.option'))
      const paths = (e.detail['problems'] as { path: string }[]).map((p) => p.path)
      assert.deepEqual(paths.sort(), [
        'vaultSecrets.address',
        'vaultSecrets.login',
        'vaultSecrets.mount',
        'vaultSecrets.nmaes',
        'vaultSecrets.refresh',
      ])
      return true
    },
  )
})
