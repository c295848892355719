import type { Problem } from '#kernel/definition.ts'
import { isDuration, milliseconds, type Duration } from '#kernel/duration.ts'
import { fault } from '#kernel/fault.ts'
import type { HttpResponse } from '#kernel/http.ts'
import { isSecret, type Secret } from '#kernel/secret.ts'
import { ask, inside, objectOf, textIn } from './ask.ts'
import { placeOf, SecretCache, type Document, type Source } from './cache.ts'
import { Login, type Pass } from './login.ts'
import { addressProblems, commonOptions, type CommonOptions } from './options.ts'
import type { SecretsAdapter, SecretsRuntime } from './port.ts'
import { unlocking } from './unlock.ts'

export type AzureSecretsOptions = CommonOptions & {
  /** `https://billing.vault.azure.net` */
  readonly vault: string
  readonly login: AzureLogin
  /** How long the version before the current one counts as valid, from the making of the current one. Default 24 h; `'0s'`: never. */
  readonly overlap?: Duration
  /** Where the secrets of `login` are read instead of the environment. */
  readonly unlock?: SecretsAdapter
  readonly insecure?: 'allow-http'
}

export type AzureLogin =
  | {
      readonly method: 'client'
      readonly tenant: string
      readonly clientId: string | Secret
      readonly clientSecret: Secret
      /** Of a national cloud. Default `https://login.microsoftonline.com`. */
      readonly authority?: string
    }
  /** The identity of the machine. `clientId` where it has several. */
  | { readonly method: 'managed'; readonly clientId?: string }

const kind = 'azure'
const own = ['vault', 'login', 'overlap', 'unlock', 'insecure']
const version = 'api-version=7.4'
/** Most pages of versions that are read: 25 versions each. */
const mostPages = 20
/** A token is given up this long before it ends, milliseconds. */
const early = 300_000

/**
 * Secrets from Azure Key Vault, over its REST API and without the SDK. `secret('payments-key')` is the current version of that secret,
 * `secret('payments#key')` a field where the text is JSON. Key Vault knows letters, digits and `-` only: `names` maps the names
 * of definitions.
 *
 * The current version is asked for every `refresh` (default 5 min), and, while it is younger than `overlap`, the newest enabled one
 * before it: both sides of a rotation work. While Azure is away the last good values serve for `keep` (default 1 h). A version
 * that is disabled, not valid yet or expired is not used.
 *
 * Rejects with `config.secret` (not there, disabled, not allowed) or `secret.unavailable`. The identity needs the permissions get and
 * list of secrets (role Key Vault Secrets User). Source: Key Vault REST API 7.4, "Get Secret", "Get Secret Versions"; Microsoft
 * identity platform, "client credentials flow". Tested against a stand-in written from them.
 *
 * @example
 * azureSecrets({
 *   vault: 'https://billing.vault.azure.net',
 *   login: { method: 'client', tenant: 'contoso.example', clientId: '7c1…', clientSecret: secret('AZURE_CLIENT_SECRET') },
 *   names: { PAYMENTS_KEY: 'payments-key' },
 * })
 */
export function azureSecrets(options: AzureSecretsOptions): SecretsAdapter {
  const common = commonOptions('azureSecrets', options, { refresh: '5m', keep: '1h' }, own, problemsOf(options))
  const overlap = milliseconds(options.overlap ?? '24h')
  return Object.freeze({
    kind,
    async open(runtime) {
      const unlock = await unlocking(options.unlock, runtime)
      const login = new Login({ kind, login: () => enter(options, runtime, unlock.read) }, runtime)
      const vault = new KeyVault(new URL(options.vault).origin, runtime, login)
      const source: Source = {
        kind,
        locate: (address) => {
          const place = placeOf(address)
          return /^[0-9A-Za-z-]{1,127}$/.test(place.item) && place.field !== '' ? place : undefined
        },
        fetch: (name) => vault.fetch(name, overlap),
      }
      const cache = new SecretCache(source, common, runtime)
      return {
        read: (name) => cache.read(name),
        [Symbol.asyncDispose]: async () => {
          login.close()
          await unlock.close()
        },
      }
    },
  } satisfies SecretsAdapter)
}

type Version = { readonly id: string; readonly created: number; readonly usable: boolean }

class KeyVault {
  readonly #origin: string
  readonly #runtime: SecretsRuntime
  readonly #login: Login<string>

  constructor(origin: string, runtime: SecretsRuntime, login: Login<string>) {
    this.#origin = origin
    this.#runtime = runtime
    this.#login = login
  }

  async fetch(name: string, overlap: number): Promise<readonly Document[]> {
    const found = await this.#get(`${this.#origin}/secrets/${name}?${version}`, name)
    if (!found) throw fault('config.secret', { message: `the key vault has no secret ${name}`, detail: { name } })
    const current = this.#version(found)
    if (!current.usable)
      throw fault('config.secret', { message: `the secret ${name} is disabled or not valid now`, detail: { name } })
    const values = [textIn(kind, found, 'value')]
    if (this.#runtime.clock.now() - current.created < overlap) {
      const before = await this.#before(name, current)
      if (before !== undefined) values.push(before)
    }
    return values
  }

  async #before(name: string, current: Version): Promise<string | undefined> {
    let newest: Version | undefined
    let next: string | undefined = `${this.#origin}/secrets/${name}/versions?${version}`
    for (let page = 0; next !== undefined && page < mostPages; page++) {
      const list: Readonly<Record<string, unknown>> = (await this.#get(next, name)) ?? {}
      for (const entry of Array.isArray(list['value']) ? (list['value'] as unknown[]) : []) {
        const found = this.#version(
          typeof entry === 'object' && entry !== null ? (entry as Record<string, unknown>) : {},
        )
        const older = found.id !== current.id && found.created <= current.created
        if (found.usable && older && found.created > (newest?.created ?? Number.NEGATIVE_INFINITY)) newest = found
      }
      const link: unknown = list['nextLink']
      // A token goes to the vault it is for, whatever the link says.
      next = typeof link === 'string' && URL.parse(link)?.origin === this.#origin ? link : undefined
    }
    if (!newest) return undefined
    const found = await this.#get(`${this.#origin}/secrets/${name}/${newest.id}?${version}`, name)
    return found && textIn(kind, found, 'value')
  }

  #version(entry: Readonly<Record<string, unknown>>): Version {
    const { id } = entry
    const attributes = inside(entry, 'attributes')
    const { enabled, created, nbf, exp } = attributes
    const now = this.#runtime.clock.now() / 1_000
    const last = typeof id === 'string' ? (id.split('/').at(-1) ?? '') : ''
    const valid =
      enabled !== false && !(typeof nbf === 'number' && nbf > now) && !(typeof exp === 'number' && exp <= now)
    return {
      id: last,
      created: typeof created === 'number' ? created * 1_000 : Number.NEGATIVE_INFINITY,
      usable: valid && /^[0-9a-zA-Z]{1,64}$/.test(last),
    }
  }

  /** Undefined for 404. */
  async #get(url: string, name: string): Promise<Readonly<Record<string, unknown>> | undefined> {
    let token = await this.#login.get()
    let answer = await this.#send(url, token)
    if (answer.status === 401) {
      token = await this.#login.get(token)
      answer = await this.#send(url, token)
    }
    if (answer.status === 200) return objectOf(kind, answer)
    if (answer.status === 404) return undefined
    // 403 is the answer to a disabled secret, a missing permission, and a firewall.
    throw fault(answer.status === 401 ? 'secret.unavailable' : 'config.secret', {
      message: `the key vault refuses ${name} with status ${answer.status}: disabled, or the identity may not get and list secrets`,
      detail: { name, status: answer.status },
    })
  }

  #send(url: string, token: string): Promise<HttpResponse> {
    return ask(this.#runtime, kind, { method: 'GET', url, headers: { authorization: `Bearer ${token}` } })
  }
}

async function enter(
  { login }: AzureSecretsOptions,
  runtime: SecretsRuntime,
  unlock: (secret: Secret | string) => Promise<string>,
): Promise<Pass<string>> {
  const answer =
    login.method === 'client'
      ? await ask(runtime, kind, {
          method: 'POST',
          url: `${login.authority ?? 'https://login.microsoftonline.com'}/${encodeURIComponent(login.tenant)}/oauth2/v2.0/token`,
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({
            grant_type: 'client_credentials',
            client_id: await unlock(login.clientId),
            client_secret: await unlock(login.clientSecret),
            scope: 'https://vault.azure.net/.default',
          }).toString(),
        })
      : await ask(runtime, kind, {
          method: 'GET',
          url: `http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=${encodeURIComponent('https://vault.azure.net')}${login.clientId === undefined ? '' : `&client_id=${encodeURIComponent(login.clientId)}`}`,
          headers: { metadata: 'true' },
          total: 1_000,
        })
  if (answer.status !== 200) {
    throw fault('config.secret', {
      message: `Azure gives us no token: status ${answer.status}`,
      detail: { status: answer.status },
    })
  }
  const given = objectOf(kind, answer)
  const pass = textIn(kind, given, 'access_token')
  runtime.redact.learn(pass)
  // The metadata service writes the number as text.
  const life = Number(given['expires_in']) * 1_000
  return { pass, life: life > 0 ? Math.max(life - early, life / 2) : 60_000, renewable: false }
}

function problemsOf(options: AzureSecretsOptions): Problem[] {
  const at = (name: string): string => `azureSecrets.${name}`
  const problems = addressProblems(at('vault'), options?.vault, options?.insecure)
  const login = options?.login as unknown as Readonly<Record<string, unknown>> | undefined
  const right =
    login?.['method'] === 'managed' ||
    (login?.['method'] === 'client' &&
      typeof login['tenant'] === 'string' &&
      (typeof login['clientId'] === 'string' || isSecret(login['clientId'])) &&
      isSecret(login['clientSecret']))
  if (!right) {
    const fix =
      "use { method: 'client', tenant, clientId, clientSecret: secret('AZURE_CLIENT_SECRET') } or { method: 'managed' }"
    problems.push({ path: at('login'), message: 'is not a way in', fix })
  }
  if (login?.['authority'] !== undefined)
    problems.push(...addressProblems(at('login.authority'), login['authority'], options?.insecure))
  if (options?.overlap !== undefined && !isDuration(options.overlap)) {
    problems.push({ path: at('overlap'), message: 'is not a time', fix: "use a duration: '24h'" })
  }
  return problems
}
