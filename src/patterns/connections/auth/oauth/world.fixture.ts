import type { Store } from '#adapters/stores/port.ts'
import { openStore } from '#adapters/stores/sqlite/open.fixture.ts'
import { fault } from '#kernel/fault.ts'
import type { HttpOut, HttpRequest, HttpResponse } from '#kernel/http.ts'
import { uuid7 } from '#kernel/id.ts'
import { redactor } from '#kernel/redact.ts'
import { secret, SecretValue } from '#kernel/secret.ts'
import { GroupCommit } from '#journal/commit.ts'
import { Keys } from '#journal/keys.ts'
import { virtualClock, type VirtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { authorizationCode, clientCredentials, type OAuth } from './define.ts'
import { Tokens } from './tokens.ts'
import type { TokenKeys } from './store.ts'

export const machine = clientCredentials({
  tokenEndpoint: 'https://id.test/token',
  clientId: 'us',
  authenticate: { method: 'client_secret_basic', secret: secret('CLIENT_SECRET') },
  scopes: ['orders.read'],
  tokenKey: secret('TOKEN_KEY'),
})

export const person = authorizationCode({
  issuer: 'https://id.test',
  tokenEndpoint: 'https://id.test/token',
  authorizationEndpoint: 'https://id.test/auth',
  clientId: 'us',
  authenticate: { method: 'client_secret_post', secret: secret('CLIENT_SECRET') },
  redirectUri: 'https://us.test/oauth/crm',
  tokenKey: secret('TOKEN_KEY'),
})

export const canary = 'canary-client-secret'

/** An authorization server behind the HTTP port that counts, rotates, and fails as it is told. */
export class AuthServer implements Pick<HttpOut, 'send'> {
  readonly asked: Record<string, string>[] = []
  readonly headers: Readonly<Record<string, string>>[] = []
  /** Seconds. */
  life: unknown = 3_600
  /** Instead of tokens: an answer, or no answer at all. */
  trouble: 'down' | 'hang' | number | { readonly status: number; readonly body: unknown } | undefined
  /** `strict`: a used refresh token ends the whole grant. `lenient`: it may be used again. `none`: it is not replaced. */
  rotation: 'strict' | 'lenient' | 'none' = 'strict'
  #refresh = new Map<string, 'fresh' | 'used'>([['rt-0', 'fresh']])
  #given = 0
  revoked = false

  async send(request: HttpRequest): Promise<HttpResponse> {
    const form = Object.fromEntries(new URLSearchParams(String(request.body)))
    this.asked.push(form)
    this.headers.push(request.headers)
    const { trouble } = this
    if (trouble === 'down') throw fault('connection.unreachable', { detail: { phase: 'connect' } })
    if (trouble === 'hang') return new Promise(() => undefined)
    if (typeof trouble === 'number') return answer(trouble, { error: 'server_error' })
    if (trouble) return answer(trouble.status, trouble.body)
    const used = form['refresh_token']
    if (used !== undefined) {
      const known = this.#refresh.get(used)
      if (this.revoked || known === undefined || (known === 'used' && this.rotation === 'strict')) {
        if (known === 'used') this.revoked = true
        return answer(400, { error: 'invalid_grant', error_description: `token ${used} has been revoked` })
      }
      if (this.rotation !== 'none') this.#refresh.set(used, 'used')
    }
    return answer(200, this.give(used !== undefined || form['grant_type'] === 'authorization_code'))
  }

  give(refreshable: boolean): Record<string, unknown> {
    const n = ++this.#given
    const renewed = refreshable && this.rotation !== 'none'
    if (renewed) this.#refresh.set(`rt-${n}-canary`, 'fresh')
    return {
      access_token: `at-${n}-canary`,
      token_type: 'Bearer',
      ...(this.life === undefined ? {} : { expires_in: this.life }),
      ...(renewed ? { refresh_token: `rt-${n}-canary` } : {}),
    }
  }
}

function answer(status: number, body: unknown): HttpResponse {
  return {
    status,
    headers: { 'content-type': 'application/json', 'www-authenticate': 'Basic realm="id"' },
    body: new TextEncoder().encode(JSON.stringify(body)),
    phases: { total: 1 },
  }
}

export type Process = {
  readonly tokens: Tokens
  /** The access token that a call would carry, `none` when there is nothing left to try. */
  get(refused?: readonly string[], patience?: number): Promise<string>
  readonly logged: { readonly level: string; readonly event: string; readonly fields: unknown }[]
  recovered: number
}

/** A store, a clock, a server, and as many processes as a test wants. */
export class World {
  readonly clock: VirtualClock = virtualClock()
  readonly server = new AuthServer()
  readonly redact = redactor()
  /** Current values, newest first. */
  readonly secrets: Record<string, string[]> = {
    CLIENT_SECRET: [canary],
    TOKEN_KEY: [Buffer.alloc(32, 1).toString('base64')],
  }
  readonly keys: Keys
  readonly #store: Store
  readonly #processes: Process[] = []

  private constructor(store: Store, clock: VirtualClock) {
    this.#store = store
    this.clock = clock
    this.keys = new Keys({ ...this.runtime(0), store } as never, new GroupCommit(store, clock))
  }

  static async open(): Promise<World> {
    const clock = virtualClock()
    return new World(await openStore(':memory:', clock), clock)
  }

  runtime(seed: number, http: Pick<HttpOut, 'send'> = this.server) {
    const random = seededRandom(seed)
    return {
      clock: this.clock,
      random,
      ids: uuid7(this.clock, random),
      http,
      redact: this.redact,
      secrets: {
        read: (name: string) => Promise.resolve((this.secrets[name] ?? []).map((v) => new SecretValue(name, v))),
      },
      log: { write: () => undefined },
    }
  }

  process(
    auth: OAuth = machine,
    {
      name = 'crm',
      keys = this.keys,
      http = this.server,
    }: { name?: string; keys?: TokenKeys | undefined; http?: Pick<HttpOut, 'send'> } = {},
  ): Process {
    const logged: Process['logged'] = []
    const log = {
      write: (level: string, event: string, fields?: unknown) =>
        void logged.push({ level, event, fields: fields ?? {} }),
    }
    const runtime = { ...this.runtime(this.#processes.length + 1, http), log }
    const process: Process = {
      tokens: new Tokens(auth, name, { runtime, keys, recovered: () => process.recovered++ }),
      get: async (refused = [], patience = 20_000) => {
        const c = await process.tokens.credential(refused, this.clock.mono() + patience)
        return c?.secret ?? 'none'
      },
      logged,
      recovered: 0,
    }
    this.#processes.push(process)
    return process
  }

  /** The row of the connection as it lies in the store. */
  async row(name = 'crm'): Promise<Record<string, unknown> | undefined> {
    const row = await this.keys.get(`token/${name}`)
    return row ? (JSON.parse(row.value) as Record<string, unknown>) : undefined
  }

  /** As a callback does: a person has allowed it. */
  allow(process: Process): Promise<void> {
    return process.tokens.authorize((endpoint) =>
      endpoint.code(
        new URLSearchParams({ code: 'code-canary', state: 's' }),
        's',
        'https://us.test/oauth/crm',
        'v'.repeat(43),
      ),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { tokens } of this.#processes) tokens.close()
    await this.#store[Symbol.asyncDispose]()
  }
}
