import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '#kernel/fault.ts'
import { redactor } from '#kernel/redact.ts'
import { secret } from '#kernel/secret.ts'
import { virtualClock } from '#testing/clock.ts'
import { azureSecrets, type AzureSecretsOptions } from './azure.ts'
import { secretsConformance } from './conformance.ts'
import { runtimeOf, StandIn, type Answer } from './world.fixture.ts'

type Version = { readonly value: string; readonly created: number; enabled: boolean; exp?: number }
const env = { AZURE_CLIENT_SECRET: 'unlock-client-secret' }
const options: AzureSecretsOptions = {
  vault: 'https://billing.vault.test',
  login: {
    method: 'client',
    tenant: 'contoso.test',
    clientId: 'client-id',
    clientSecret: secret('AZURE_CLIENT_SECRET'),
  },
}

/** The token endpoint, the metadata of a machine, Get Secret and Get Secret Versions, written from their published descriptions. */
class AzureStandIn extends StandIn {
  readonly secrets = new Map<string, Version[]>()
  readonly tokens = new Set<string>()
  /** Versions a page. */
  page = 25
  reads = 0
  logins = 0
  elsewhere = false

  constructor() {
    super((request): Answer => {
      const { host, pathname, searchParams } = new URL(request.origin + request.path)
      if (host === 'login.microsoftonline.com') {
        const form = new URLSearchParams(String(request.body))
        const right =
          form.get('client_secret') === 'unlock-client-secret' &&
          form.get('scope') === 'https://vault.azure.net/.default'
        return right && pathname === '/contoso.test/oauth2/v2.0/token'
          ? this.#issue(3_600)
          : { status: 401, body: { error: 'invalid_client' } }
      }
      if (host === '169.254.169.254') {
        return request.headers['metadata'] === 'true' ? this.#issue('86400') : { status: 400 }
      }
      assert.equal(host, 'billing.vault.test', 'the token went elsewhere')
      if (!this.tokens.has(request.headers['authorization'] ?? '')) return { status: 401, body: {} }
      assert.equal(searchParams.get('api-version'), '7.4')
      const [, , name = '', last] = pathname.split('/')
      const versions = this.secrets.get(name)
      if (!versions) return { status: 404, body: { error: { code: 'SecretNotFound' } } }
      const bundle = (v: Version, i: number) => ({
        id: `https://billing.vault.test/secrets/${name}/v${i}`,
        attributes: { enabled: v.enabled, created: Math.floor(v.created / 1_000), exp: v.exp },
      })
      if (last === 'versions') {
        const from = Number(searchParams.get('$skiptoken') ?? 0)
        const origin = this.elsewhere ? 'https://elsewhere.test' : 'https://billing.vault.test'
        const more = from + this.page < versions.length
        const nextLink = more
          ? `${origin}/secrets/${name}/versions?api-version=7.4&$skiptoken=${from + this.page}`
          : null
        return { status: 200, body: { value: versions.map(bundle).slice(from, from + this.page), nextLink } }
      }
      const at = last === undefined ? versions.length - 1 : Number(last.slice(1))
      if (last === undefined) this.reads++
      const found = versions[at]!
      if (!found.enabled) return { status: 403, body: { error: { innererror: { code: 'SecretDisabled' } } } }
      return { status: 200, body: { value: found.value, ...bundle(found, at) } }
    })
  }

  #issue(seconds: number | string): Answer {
    const token = `azure-token-${++this.logins}`
    this.tokens.add(`Bearer ${token}`)
    return { status: 200, body: { token_type: 'Bearer', access_token: token, expires_in: seconds } }
  }
}

secretsConformance('secrets of Azure', virtualClock, async (world) => {
  const azure = new AzureStandIn()
  return {
    secrets: await azureSecrets(options).open(runtimeOf(world, { http: azure, env })),
    refresh: 300_000,
    keep: 3_600_000,
    put: async (name, value, overlap) => {
      const versions = azure.secrets.get(name) ?? []
      const before = versions.at(-1)
      if (before && !overlap) before.enabled = false
      versions.push({ value, created: world.clock.now(), enabled: true })
      azure.secrets.set(name, versions)
    },
    remove: async (name) => void azure.secrets.delete(name),
    away: async (is) => void (azure.away = is),
    asked: () => azure.reads,
    close: async () => {},
  }
})

async function open(more: Partial<AzureSecretsOptions> = {}) {
  const clock = virtualClock()
  const redact = redactor()
  const azure = new AzureStandIn()
  const runtime = runtimeOf({ clock, redact, log: { write: () => undefined } }, { http: azure, env })
  const secrets = await azureSecrets({ ...options, ...more }).open(runtime)
  const values = async (name: string): Promise<string[]> => (await secrets.read(name)).map((v) => v.reveal())
  return { clock, azure, redact, values }
}

test('the version before is the newest enabled one, wherever it stands in the pages, and not longer than the overlap', async () => {
  const t = await open({ overlap: '1h', names: { TURNING: 'turning' } })
  t.azure.page = 2
  const created = t.clock.now()
  t.azure.secrets.set('turning', [
    { value: 'oldest', created: created - 9_000, enabled: true },
    { value: 'expired', created: created - 2_000, enabled: true, exp: created / 1_000 },
    { value: 'disabled', created: created - 3_000, enabled: false },
    { value: 'before', created: created - 5_000, enabled: true },
    { value: 'current', created, enabled: true },
  ])
  assert.deepEqual(await t.values('TURNING'), ['current', 'before'])
  await t.clock.advance(3_600_000)
  assert.deepEqual(await t.values('TURNING'), ['current'])
})

test('a link to the next page on another host is not followed with our token', async () => {
  const t = await open()
  t.azure.page = 1
  t.azure.elsewhere = true
  t.azure.secrets.set('a', [
    { value: 'old', created: t.clock.now() - 1_000, enabled: true },
    { value: 'new', created: t.clock.now(), enabled: true },
  ])
  assert.deepEqual(await t.values('a'), ['new', 'old'])
})

test('a token is used until shortly before its end, masked, and fetched anew when it is refused', async () => {
  const t = await open({ login: { method: 'managed' } })
  t.azure.secrets.set('a', [{ value: 'value-of-a', created: 0, enabled: true }])
  assert.deepEqual(await t.values('a'), ['value-of-a'])
  await t.clock.advance(80_000_000)
  await t.values('a')
  assert.equal(t.azure.logins, 1)
  t.azure.tokens.clear()
  await t.clock.advance(900_000)
  assert.deepEqual(await t.values('a'), ['value-of-a'])
  assert.equal(t.azure.logins, 2)
  assert.equal(t.redact.text('azure-token-1 azure-token-2'), '[masked] [masked]')
})

test('a secret that is disabled is config.secret', async () => {
  const t = await open()
  t.azure.secrets.set('a', [{ value: 'value-of-a', created: 0, enabled: false }])
  await assert.rejects(t.values('a'), (e) => isFault(e, 'config.secret') && e.message.includes('403'))
})
