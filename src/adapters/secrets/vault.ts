import { isSecret, type Secret } from '#kernel/secret.ts'
import { fault } from '#kernel/fault.ts'
import type { Problem } from '#kernel/definition.ts'
import { milliseconds, isDuration, type Duration } from '#kernel/duration.ts'
import type { HttpResponse } from '#kernel/http.ts'
import { ask, inside, objectOf, textIn } from './ask.ts'
import { placeOf, SecretCache, type Document, type Source } from './cache.ts'
import { Login, type Pass } from './login.ts'
import { addressProblems, commonOptions, type CommonOptions } from './options.ts'
import type { SecretsAdapter, SecretsRuntime } from './port.ts'
import { unlocking } from './unlock.ts'

export type VaultSecretsOptions = CommonOptions & {
  /** `https://vault.internal:8200` */
  readonly address: string
  /** How we get in. The secrets of it are environment variables, or what `unlock` reads. */
  readonly login: VaultLogin
  /** Where what unlocks the vault is read instead of the environment: `fileSecrets('/run/secrets')`. */
  readonly unlock?: SecretsAdapter
  /** Of Vault Enterprise, HCP and OpenBao: `admin/billing`. Default none. */
  readonly namespace?: string
  /** Where the KV engine, version 2, is mounted. Default `secret`. */
  readonly mount?: string
  /** How long the version before the current one counts as valid, from the writing of the current one. Default 24 h; `'0s'`: never. */
  readonly overlap?: Duration
  /** Certificates trusted in addition to the system's, PEM. */
  readonly ca?: readonly string[]
  readonly insecure?: 'allow-http'
}

export type VaultLogin =
  | { readonly method: 'approle'; readonly roleId: string | Secret; readonly secretId: Secret; readonly mount?: string }
  /** The token of the pod's service account. Default `jwt` file: where Kubernetes mounts it. */
  | { readonly method: 'kubernetes'; readonly role: string; readonly file?: string; readonly mount?: string }
  /** For trying out: a token that nobody renews but we. */
  | { readonly method: 'token'; readonly token: Secret }

const kind = 'vault'
const own = ['address', 'login', 'unlock', 'namespace', 'mount', 'overlap', 'ca', 'insecure']
const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount/token'

/**
 * Secrets from HashiCorp Vault or OpenBao: the KV engine, version 2. `secret('billing/payments#key')` is the field `key` of
 * that path; without `#` the field `value`. `names` maps the names of definitions to such addresses.
 *
 * All fields of a path are one request, made again every `refresh` (default 1 min). The version before the current one counts for
 * `overlap` after the change, so that both sides of a rotation work. While Vault is away the last good values serve for
 * `keep` (default 1 h). The token is renewed at two thirds of its life, logged in for anew when that ends, and revoked at the end.
 *
 * Rejects with `config.secret` (not there, or the policy says no) or `secret.unavailable` (away, sealed, standby without a way on).
 * The policy needs `read` on `<mount>/data/<path>`. Sources: developer.hashicorp.com, "KV secrets engine - version 2 (API)", "AppRole
 * auth method (API)", "Token auth method (API)".
 *
 * @example
 * vaultSecrets({
 *   address: 'https://vault.internal:8200',
 *   login: { method: 'approle', roleId: secret('VAULT_ROLE_ID'), secretId: secret('VAULT_SECRET_ID') },
 *   names: { PAYMENTS_KEY: 'billing/payments#key' },
 * })
 */
export function vaultSecrets(options: VaultSecretsOptions): SecretsAdapter {
  const common = commonOptions('vaultSecrets', options, { refresh: '1m', keep: '1h' }, own, problemsOf(options))
  const base = options.address.replace(/\/+$/, '')
  const overlap = milliseconds(options.overlap ?? '24h')
  return Object.freeze({
    kind,
    ...(options.ca ? { tls: { ca: options.ca } } : {}),
    async open(runtime) {
      const unlock = await unlocking(options.unlock, runtime)
      const vault = new Vault(base, options, runtime, unlock.read)
      const source: Source = {
        kind,
        locate: (address) => {
          const { item, field = 'value' } = placeOf(address)
          return isPath(item) && field !== '' ? { item, field } : undefined
        },
        fetch: (item) => vault.fetch(options.mount ?? 'secret', item, overlap),
      }
      const cache = new SecretCache(source, common, runtime)
      let closed: Promise<void> | undefined
      return {
        read: (name) => cache.read(name),
        [Symbol.asyncDispose]: () => (closed ??= Promise.all([vault.close(), unlock.close()]).then(() => undefined)),
      }
    },
  } satisfies SecretsAdapter)
}

class Vault {
  readonly #base: string
  readonly #options: VaultSecretsOptions
  readonly #runtime: SecretsRuntime
  readonly #unlock: (secret: Secret | string) => Promise<string>
  readonly #login: Login<string>

  constructor(
    base: string,
    options: VaultSecretsOptions,
    runtime: SecretsRuntime,
    unlock: (secret: Secret | string) => Promise<string>,
  ) {
    this.#base = base
    this.#options = options
    this.#runtime = runtime
    this.#unlock = unlock
    this.#login = new Login({ kind, login: () => this.#enter(), renew: (token) => this.#renew(token) }, runtime)
  }

  async fetch(mount: string, path: string, overlap: number): Promise<readonly Document[]> {
    const at = `/v1/${encoded(mount)}/data/${encoded(path)}`
    const current = versionOf(await this.#read(at, path))
    if (!current) throw fault('config.secret', { message: `Vault has nothing at ${mount}/${path}`, detail: { path } })
    const young = this.#runtime.clock.now() - current.created < overlap
    if (!young || current.version < 2) return [current.data]
    const before = versionOf(await this.#read(`${at}?version=${current.version - 1}`, path))
    return before ? [current.data, before.data] : [current.data]
  }

  /** Gives the token back; a vault that is away forgets it by itself. */
  async close(): Promise<void> {
    const token = this.#login.close()
    if (token === undefined || this.#options.login.method === 'token') return
    await this.#send('POST', '/v1/auth/token/revoke-self', token, {}, 1).catch(() => undefined)
  }

  /** Undefined when there is nothing (404). A token that lost its rights is told from a policy by one new login. */
  async #read(at: string, path: string): Promise<HttpResponse | undefined> {
    let token = await this.#login.get()
    let answer = await this.#send('GET', at, token)
    if (answer.status === 403) {
      token = await this.#login.get(token)
      answer = await this.#send('GET', at, token)
    }
    if (answer.status === 200) return answer
    // A deleted version is 404 too.
    if (answer.status === 404) return undefined
    throw fault('config.secret', {
      message: `Vault refuses ${path} with status ${answer.status}: the policy of the role needs read on it`,
      detail: { path, status: answer.status },
    })
  }

  async #enter(): Promise<Pass<string>> {
    const { login } = this.#options
    if (login.method === 'token') {
      const token = await this.#unlock(login.token)
      const data = inside(await this.#object('GET', '/v1/auth/token/lookup-self', token), 'data')
      return { pass: token, life: seconds(data['ttl']), renewable: data['renewable'] === true }
    }
    const mount = encoded(login.mount ?? login.method)
    const body =
      login.method === 'approle'
        ? { role_id: await this.#unlock(login.roleId), secret_id: await this.#unlock(login.secretId) }
        : { role: login.role, jwt: await this.#jwt(login.file ?? serviceAccount) }
    return this.#pass(await this.#object('POST', `/v1/auth/${mount}/login`, undefined, body))
  }

  async #jwt(file: string): Promise<string> {
    try {
      const jwt = (await this.#runtime.files.read(file)).trim()
      this.#runtime.redact.learn(jwt)
      return jwt
    } catch (cause) {
      throw fault('config.secret', { message: `the service account token at ${file} cannot be read`, cause })
    }
  }

  async #renew(token: string): Promise<Pass<string>> {
    return this.#pass(await this.#object('POST', '/v1/auth/token/renew-self', token, {}))
  }

  #pass(answer: Readonly<Record<string, unknown>>): Pass<string> {
    const auth = inside(answer, 'auth')
    const pass = textIn(kind, auth, 'client_token')
    this.#runtime.redact.learn(pass)
    return { pass, life: seconds(auth['lease_duration']), renewable: auth['renewable'] === true }
  }

  async #object(
    method: 'GET' | 'POST',
    path: string,
    token: string | undefined,
    body?: object,
  ): Promise<Readonly<Record<string, unknown>>> {
    const answer = await this.#send(method, path, token, body)
    if (answer.status === 200) return objectOf(kind, answer)
    throw fault('config.secret', {
      message: `Vault refuses ${path} with status ${answer.status}: what unlocks it is wrong, or has ended`,
      detail: { path, status: answer.status },
    })
  }

  #send(
    method: 'GET' | 'POST',
    path: string,
    token: string | undefined,
    body?: object,
    attempts = 3,
  ): Promise<HttpResponse> {
    const { namespace } = this.#options
    return ask(this.#runtime, kind, {
      method,
      url: this.#base + path,
      headers: {
        // Asked for by a proxy or agent that refuses what a browser was tricked into.
        'x-vault-request': 'true',
        ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
        ...(token === undefined ? {} : { 'x-vault-token': token }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      attempts,
    })
  }
}

type Version = { readonly data: Readonly<Record<string, unknown>>; readonly version: number; readonly created: number }

function versionOf(answer: HttpResponse | undefined): Version | undefined {
  if (!answer) return undefined
  const outer = inside(objectOf(kind, answer), 'data')
  const metadata = inside(outer, 'metadata')
  const { version, created_time: created, destroyed } = metadata
  if (typeof version !== 'number' || typeof created !== 'string') {
    throw fault('secret.unavailable', { message: 'the answer is not one of a KV engine of version 2: check `mount`' })
  }
  if (destroyed === true || typeof outer['data'] !== 'object' || outer['data'] === null) return undefined
  return { data: inside(outer, 'data'), version, created: Date.parse(created) }
}

/** 0: a root token, which does not end. */
function seconds(value: unknown): number {
  return typeof value === 'number' && value > 0 ? value * 1_000 : Number.POSITIVE_INFINITY
}

function encoded(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

/** Segments without `.` and `..`, which a URL would resolve: the policy is for the path that was meant. */
function isPath(path: unknown): path is string {
  return (
    typeof path === 'string' &&
    path.length <= 512 &&
    /^[^/?#%\\\0-\x20]+(?:\/[^/?#%\\\0-\x20]+)*$/.test(path) &&
    !/(?:^|\/)\.{1,2}(?:\/|$)/.test(path)
  )
}

function problemsOf(options: VaultSecretsOptions): Problem[] {
  const at = (name: string): string => `vaultSecrets.${name}`
  const problems = addressProblems(at('address'), options?.address, options?.insecure)
  const add = (name: string, message: string, fix: string): void => void problems.push({ path: at(name), message, fix })
  const login = options?.login as unknown as Readonly<Record<string, unknown>> | undefined
  const right =
    (login?.['method'] === 'approle' &&
      isSecret(login['secretId']) &&
      (isSecret(login['roleId']) || typeof login['roleId'] === 'string')) ||
    (login?.['method'] === 'kubernetes' && typeof login['role'] === 'string') ||
    (login?.['method'] === 'token' && isSecret(login['token']))
  if (!right)
    add(
      'login',
      'is not a way in',
      "use { method: 'approle', roleId: secret('VAULT_ROLE_ID'), secretId: secret('VAULT_SECRET_ID') }",
    )
  for (const [name, value] of [
    ['mount', options?.mount],
    ['login.mount', login?.['mount']],
  ] as const) {
    if (value !== undefined && !isPath(value)) add(name, 'is not a path', "use 'secret'")
  }
  const { namespace, overlap, ca } = options ?? {}
  if (namespace !== undefined && !isPath(namespace)) add('namespace', 'is not a namespace', "use 'admin/billing'")
  if (overlap !== undefined && !isDuration(overlap)) add('overlap', 'is not a time', "use a duration: '24h'")
  if (
    ca !== undefined &&
    !(Array.isArray(ca) && ca.every((c) => typeof c === 'string' && c.includes('-----BEGIN CERTIFICATE-----')))
  )
    add('ca', 'is not a list of certificates', 'use PEM text, one entry a certificate')
  return problems
}
