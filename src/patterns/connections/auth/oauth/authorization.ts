import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { fault, toFault } from '#kernel/fault.ts'
import type { Door, Inbound, Reply } from '#kernel/http.ts'
import type { AuthorizationCode } from './define.ts'
import { button, headers, page } from './pages.ts'
import { Sealer } from './sealer.ts'
import type { TokenKeys } from './store.ts'
import type { TokenRuntime, Tokens } from './tokens.ts'

export type Link = {
  /** Works once. */
  readonly url: string
  /** RFC 3339 */
  readonly until: string
}

export type AuthorizationDeps = {
  readonly runtime: TokenRuntime
  readonly keys: TokenKeys
  readonly tokens: Tokens
  /** It was allowed, by the link that this operator made. */
  readonly allowed: (by: string) => Promise<void>
}

/** A link, and after it the way to their server and back, may take so long. */
const patience = 600_000

/** 32 random bytes in base64url. */
const secretShape = /^[\w-]{43}$/

type Pending = { readonly verifier: string; readonly browser: string; readonly by: string }

/**
 * How a person allows a connection: an operator makes a link, which works once; whoever opens it is sent to their server, and comes
 * back with a code. Two paths are served for it, and they do nothing without such a link:
 *
 * `<redirect path>/start` asks for one press of a button, then remembers, sealed and for 10 minutes, a random state and the
 * PKCE verifier, gives the browser a cookie, and sends it on. `<redirect path>` takes a state only once, only from the
 * browser that was sent, and only from the issuer that it was sent to (RFC 9207; and each connection has a path of its own).
 */
export class Authorization {
  readonly #auth: AuthorizationCode
  readonly #name: string
  readonly #deps: AuthorizationDeps
  readonly #sealer: Sealer
  readonly #redirect: URL
  readonly #learned: { readonly secret: string; readonly at: number }[] = []

  constructor(auth: AuthorizationCode, name: string, deps: AuthorizationDeps) {
    this.#auth = auth
    this.#name = name
    this.#deps = deps
    this.#sealer = new Sealer('authorization', name, auth.tokenKey, deps.runtime)
    this.#redirect = new URL(auth.redirectUri)
  }

  async link(by: string): Promise<Link> {
    const { clock } = this.#deps.runtime
    const ticket = this.#secret()
    await this.#keep(ticket, { by })
    const url = new URL(`${this.#redirect.pathname}/start`, this.#redirect)
    url.searchParams.set('ticket', ticket)
    return { url: url.href, until: new Date(clock.now() + patience).toISOString() }
  }

  doors(): readonly Door[] {
    const { pathname } = this.#redirect
    const name = `authorize ${this.#name}`
    const door = (path: string, methods: readonly string[], maxBytes: number, handle: Door['handle']): Door => ({
      name,
      path,
      methods,
      maxBytes,
      handle: (request) => handle(request).catch((e: unknown) => this.#failed(e)),
    })
    return [
      door(`${pathname}/start`, ['GET', 'POST'], 1_024, (r) => (r.method === 'GET' ? this.#ask(r) : this.#start(r))),
      door(pathname, ['GET'], 0, (r) => this.#back(r)),
    ]
  }

  #ask(request: Inbound): Promise<Reply> {
    const ticket = one(new URLSearchParams(request.query), 'ticket')
    if (ticket === undefined || !secretShape.test(ticket)) return Promise.resolve(this.#unknown())
    const text = `You will be asked to allow the connection "${this.#name}".`
    return Promise.resolve(page(200, 'Authorise', text, button(`${this.#redirect.pathname}/start`, ticket)))
  }

  async #start(request: Inbound): Promise<Reply> {
    const form = new URLSearchParams(Buffer.from(request.body).toString('utf8'))
    const ticket = await this.#taken<{ readonly by: string }>(one(form, 'ticket'))
    if (!ticket) return this.#unknown()
    const [state, verifier, browser] = [this.#secret(), this.#secret(), this.#secret()]
    await this.#keep(state, { verifier, browser: digest(browser), by: ticket.by } satisfies Pending)
    const endpoint = await this.#deps.tokens.endpoint()
    const location = await endpoint.authorizationUrl({
      ...this.#auth.parameters,
      redirect_uri: this.#auth.redirectUri,
      state,
      code_challenge: digest(verifier),
      code_challenge_method: 'S256',
    })
    const secure = this.#redirect.protocol === 'https:' ? '; Secure' : ''
    const cookie = `${this.#cookie}=${browser}; Path=${this.#redirect.pathname}; Max-Age=${patience / 1_000}; HttpOnly; SameSite=Lax${secure}`
    return { status: 303, headers: { ...headers, location, 'set-cookie': cookie } }
  }

  async #back(request: Inbound): Promise<Reply> {
    const query = new URLSearchParams(request.query)
    const state = one(query, 'state')
    const browser = cookieOf(request.headers['cookie'], this.#cookie)
    const code = one(query, 'code')
    if (code !== undefined) this.#learn(code)
    const pending = await this.#taken<Pending>(state, (p) => browser !== undefined && p.browser === digest(browser))
    if (!pending) return this.#unknown()
    await this.#deps.tokens.authorize((e) => e.code(query, state!, this.#auth.redirectUri, pending.verifier))
    await this.#deps.allowed(pending.by)
    const text = `The connection "${this.#name}" is authorised, and what waited for it goes on. You can close this page.`
    const cookie = `${this.#cookie}=; Path=${this.#redirect.pathname}; Max-Age=0; HttpOnly`
    const reply = page(200, 'Authorised', text)
    return { ...reply, headers: { ...reply.headers, 'set-cookie': cookie } }
  }

  #unknown(): Reply {
    const text = 'This link has ended, was used before, or was begun in another browser. Ask for a new one.'
    return page(400, 'Not authorised', text)
  }

  #failed(e: unknown): Reply {
    const f = toFault(e, 'bug')
    const { log } = this.#deps.runtime
    const error = f.detail['error']
    log.write('warn', 'connection.authorize', { connection: this.#name, code: f.code, ...(error ? { error } : {}) })
    if (f.code === 'connection.unauthorized')
      return page(400, 'Not authorised', 'It was not allowed, or their server refused. Ask for a new link.')
    return page(502, 'Not authorised', 'Their server could not be asked. Ask for a new link, and try again later.')
  }

  #secret(): string {
    const { random } = this.#deps.runtime
    const secret = Buffer.from(random.bytes(32)).toString('base64url')
    this.#learn(secret)
    return secret
  }

  /** Not for ever: what ended long ago is forgotten. */
  #learn(secret: string): void {
    const { redact, clock } = this.#deps.runtime
    redact.learn(secret)
    this.#learned.push({ secret, at: clock.mono() })
    while (this.#learned.length > 0 && clock.mono() - this.#learned[0]!.at > 2 * patience)
      redact.forget(this.#learned.shift()!.secret)
  }

  /** What is stored says nothing of the secret that it is found by. */
  async #keep(secret: string, value: unknown): Promise<void> {
    const kept = await this.#deps.keys.swap(this.#row(secret), 0, await this.#sealer.seal(value), patience)
    if (!kept) throw fault('bug', { message: 'a random value came twice' })
  }

  /** What belongs to the secret, once: whoever comes second gets nothing. */
  async #taken<T>(secret: string | undefined, fits: (value: T) => boolean = () => true): Promise<T | undefined> {
    if (secret === undefined || !secretShape.test(secret)) return undefined
    const row = await this.#deps.keys.get(this.#row(secret))
    const value = row?.value ? ((await this.#sealer.unseal(row.value)) as T | undefined) : undefined
    if (value === undefined || !fits(value)) return undefined
    return (await this.#deps.keys.swap(this.#row(secret), row!.version, '', 0)) ? value : undefined
  }

  #row(secret: string): string {
    return `authorize/${this.#name}/${digest(secret)}`
  }

  get #cookie(): string {
    return `fairlead-${this.#name}`
  }
}

/** The value of a parameter that comes once. */
function one(parameters: URLSearchParams, name: string): string | undefined {
  const values = parameters.getAll(name)
  return values.length === 1 ? values[0] : undefined
}

function cookieOf(header: string | undefined, name: string): string | undefined {
  for (const pair of (header ?? '').split(/[;,] */)) {
    const at = pair.indexOf('=')
    if (at > 0 && pair.slice(0, at) === name) return pair.slice(at + 1)
  }
  return undefined
}

/** base64url of SHA-256: the PKCE challenge of a verifier (RFC 7636 §4.2), and what a secret is found by. */
function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}
