import { wait } from '#kernel/clock.ts'
import { fault, isFault, toFault, type Fault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Credential } from '../credential.ts'
import type { OAuth } from './define.ts'
import type { Endpoint, EndpointRuntime, Granted } from './endpoint.ts'
import { currentOf, kept, usable, type Current } from './life.ts'
import type { Grant, TokenRow } from './row.ts'
import { TokenStore, type Seen, type TokenKeys } from './store.ts'

export type TokenRuntime = EndpointRuntime & Pick<Runtime, 'ids' | 'log'>

export type TokenDeps = {
  readonly runtime: TokenRuntime
  /** The journal's keys; absent: in memory alone. */
  readonly keys: TokenKeys | undefined
  /** They let us in again: what was held for this connection may go on. */
  readonly recovered: () => void
}

/** What a status screen shows. */
export type TokenState = {
  readonly state: 'none' | 'valid' | 'unauthorized'
  /** RFC 3339: until then it is used. */
  readonly ends?: string
  /** Their word for why not. */
  readonly error?: string
}

type Unsaved = {
  readonly grant: Grant
  readonly row: TokenRow
  /** Of the row that it replaces. */
  readonly version: number
  readonly from: number
  readonly write: boolean
}

/** One renewal forced by a 401 in this time: a second refusal is not about the age of the token. */
const forcedEvery = 60_000
/** After a refusal of ourselves they are asked again, and the work that waits is looked at again. */
const refusedFor = 60_000
/** Another process renews: how often we look whether it is done. */
const lookEvery = 250
const longestPause = 60_000

/**
 * The token of one connection over its life. Of all who wait in this process one renewal is made, of all processes one makes it;
 * those that find a newer token in the store take it. Times are counted on the monotonic clock from the moment of the request, less
 * 30 s or a tenth of the life, whichever is shorter: their clock and ours need not agree.
 */
export class Tokens {
  readonly #auth: OAuth
  readonly #name: string
  readonly #deps: TokenDeps
  readonly #store: TokenStore | undefined
  readonly #closed = new AbortController()
  #endpoint: Promise<Endpoint> | undefined
  #current: Current | undefined
  /** Taught to the redactor; the older ones are forgotten. */
  #taught: string[] = []
  /** Answered with 401: not to be taken from the store again. */
  #refused: string | undefined
  #forcedAt = Number.NEGATIVE_INFINITY
  #renewing: Promise<void> | undefined
  /** Somebody waits until then. */
  #wantedUntil = Number.NEGATIVE_INFINITY
  #failures = 0
  #failed: Fault | undefined
  #nextTry = Number.NEGATIVE_INFINITY
  /** Given by them and not yet on disk: never used before it is, never asked for again while it is here. */
  #unsaved: Unsaved | undefined
  #error: string | undefined
  /** Calls have failed for want of a token. */
  #missed = false
  /** Nothing is left that could be tried without a person. */
  #lost = false

  constructor(auth: OAuth, name: string, deps: TokenDeps) {
    this.#auth = auth
    this.#name = name
    this.#deps = deps
    this.#store = deps.keys && new TokenStore(name, auth.tokenKey, deps.keys, deps.runtime)
  }

  /** At once while a token is good; else when one could be had, at the latest at `deadline` (monotonic). */
  credential(refused: readonly string[], deadline: number): Credential | Promise<Credential | undefined> {
    const t = this.#current
    if (t === undefined || (refused.length > 0 && refused.includes(t.grant.access))) return this.#had(refused, deadline)
    const now = this.#deps.runtime.clock.mono()
    if (now < t.renewAt) return t.credential
    if (now >= t.endsAt) return this.#had(refused, deadline)
    // Nobody waits for it: a failure is told, and shows when the old token has ended.
    if (now >= this.#nextTry) this.#renew(now).catch(() => undefined)
    return t.credential
  }

  state(): TokenState {
    const { clock } = this.#deps.runtime
    if (this.#error !== undefined) return { state: 'unauthorized', error: this.#error }
    const left = (this.#current?.endsAt ?? 0) - clock.mono()
    if (!this.#current || left <= 0) return { state: 'none' }
    return { state: 'valid', ends: new Date(clock.now() + left).toISOString() }
  }

  /** A person has allowed it: `ask` exchanges what they brought. The token is on disk when this resolves. */
  async authorize(ask: (endpoint: Endpoint) => Promise<Granted>): Promise<void> {
    const { clock } = this.#deps.runtime
    const from = clock.mono()
    const obtained = clock.now()
    const granted = await ask(await this.endpoint())
    for (let tries = 0; tries < 10; tries++) {
      const seen = await this.#store!.read()
      // What they gave before is not theirs to keep: a new authorisation replaces it.
      const { grant, row } = kept(granted, obtained, nothing)
      if (!(await this.#store!.write(seen.version, row, grant))) continue
      this.#unsaved = undefined
      // Another process may have kept what waits for it.
      this.#missed = true
      this.#take(grant, from)
      this.#failures = 0
      this.#nextTry = Number.NEGATIVE_INFINITY
      return
    }
    throw this.#fault('the token was written by others again and again', 1_000)
  }

  endpoint(): Promise<Endpoint> {
    this.#endpoint ??= import('./endpoint.ts').then((m) => new m.Endpoint(this.#auth, this.#name, this.#deps.runtime))
    return this.#endpoint
  }

  close(): void {
    this.#closed.abort(fault('cancelled', { message: 'the connection is closed' }))
  }

  async #had(refused: readonly string[], deadline: number): Promise<Credential | undefined> {
    const { clock } = this.#deps.runtime
    const access = this.#current?.grant.access
    if (access !== undefined && refused.includes(access)) {
      if (clock.mono() - this.#forcedAt < forcedEvery) return undefined
      this.#forcedAt = clock.mono()
      this.#refused = access
      this.#current = undefined
      this.#nextTry = Number.NEGATIVE_INFINITY
    }
    try {
      await this.#within(this.#renew(deadline), deadline)
    } catch (e) {
      // Of a message that is held for it: to be told when there is a token again.
      this.#missed = true
      throw e
    }
    const t = this.#current
    return t && !refused.includes(t.grant.access) ? t.credential : undefined
  }

  #within(work: Promise<void>, deadline: number): Promise<void> {
    const { clock } = this.#deps.runtime
    return new Promise((resolve, reject) => {
      const late = (): void => reject(this.#fault('no token could be had in time', 1_000))
      const cancel = clock.after(Math.max(0, deadline - clock.mono()), late)
      void work.then(resolve, reject).finally(cancel)
    })
  }

  /** The one renewal under way, begun if there is none. It is repeated for as long as somebody waits for it. */
  #renew(deadline: number): Promise<void> {
    this.#wantedUntil = Math.max(this.#wantedUntil, deadline)
    this.#renewing ??= this.#persist().finally(() => {
      this.#renewing = undefined
      this.#wantedUntil = Number.NEGATIVE_INFINITY
    })
    return this.#renewing
  }

  async #persist(): Promise<void> {
    const { clock } = this.#deps.runtime
    for (;;) {
      const pause = this.#nextTry - clock.mono()
      if (pause > 0) {
        if (this.#usable()) return
        const f = this.#failed ?? this.#fault('no token could be had', pause)
        const told = f.code === 'connection.unauthorized' || f.kind === 'config'
        if (told || clock.mono() + pause >= this.#wantedUntil) throw f
        await wait(clock, pause, this.#closed.signal)
      }
      try {
        await this.#once()
        this.#failures = 0
        this.#failed = undefined
        return
      } catch (e) {
        if (this.#closed.signal.aborted) throw e
        this.#failedWith(toFault(e, 'bug'))
      }
    }
  }

  #failedWith(f: Fault): void {
    const { clock, random, log } = this.#deps.runtime
    this.#failures++
    const grows = Math.min(longestPause, 1_000 * 2 ** Math.min(6, this.#failures - 1)) * (1 + random.float() / 4)
    const refusal = f.code === 'connection.unauthorized'
    // Where only a person can help, the store alone is asked: cheap, and it shows at once when it has been done.
    const pause = refusal ? (this.#auth.grant === 'authorization_code' && this.#lost ? 1_000 : refusedFor) : grows
    const told = refusal ? refusedFor : Math.max(f.retryAfter ?? 0, pause)
    this.#nextTry = clock.mono() + (refusal ? pause : told)
    this.#failed = refusal || f.kind === 'config' ? again(f, told) : this.#fault(f.message, told, f)
    if (!refusal) log.write('warn', 'connection.token', { connection: this.#name, fault: f.message, again: told })
  }

  async #once(): Promise<void> {
    const { clock } = this.#deps.runtime
    const store = this.#store
    if (this.#unsaved && (await this.#saved())) return
    for (;;) {
      const seen = store ? await store.read() : nothing
      if (this.#adopt(seen)) return
      this.#assertAuthorised(seen)
      if (!store?.keeps) return this.#renewed(seen)
      await (await this.endpoint()).ready()
      const lease = await store.lease()
      if (lease) {
        try {
          // It may have been done between our look and the lease.
          const now = await store.read()
          if (!this.#adopt(now)) await this.#renewed(now)
          return
        } finally {
          await lease.release().catch(() => undefined)
        }
      }
      if (this.#usable()) {
        this.#nextTry = clock.mono() + 1_000
        return
      }
      if (clock.mono() + lookEvery >= this.#wantedUntil)
        throw this.#fault('another process is renewing the token', 1_000)
      await wait(clock, lookEvery, this.#closed.signal)
    }
  }

  async #renewed(seen: Seen): Promise<void> {
    const { clock } = this.#deps.runtime
    const from = clock.mono()
    const obtained = clock.now()
    let granted: Granted
    try {
      const refresh = this.#auth.grant === 'authorization_code' ? seen.grant?.refresh : undefined
      granted = await (await this.endpoint()).token(refresh)
    } catch (e) {
      if (isFault(e, 'connection.unauthorized')) await this.#refusedBy(e, seen)
      throw e
    }
    const { grant, row } = kept(granted, obtained, seen)
    // Without a key there is no secret that could be lost; only a change of the state is worth a write.
    const write = this.#store !== undefined && (this.#store.keeps || seen.row?.state === 'unauthorized')
    this.#unsaved = { grant, row, version: seen.version, from, write }
    await this.#saved()
  }

  /** Puts on disk what they gave. False when another process has written a token meanwhile that is no better for us. */
  async #saved(): Promise<boolean> {
    const { grant, row, version, from, write } = this.#unsaved!
    const store = this.#store
    if (store && write) {
      const written = await store.write(version, row, grant)
      if (!written) {
        const seen = await store.read()
        const theirs = seen.row?.state === 'valid' && seen.grant !== undefined && seen.grant.access !== grant.access
        if (theirs) {
          // Two have renewed: the later one knows the newer refresh token.
          this.#unsaved = undefined
          return this.#adopt(seen)
        }
        // A refusal by a token that ours has replaced, or our own write that was not answered: a success goes before it.
        this.#unsaved = { grant, row, version: seen.version, from, write }
        if (!(await store.write(seen.version, row, grant))) throw this.#fault('the token was written by another', 1_000)
      }
    }
    this.#unsaved = undefined
    this.#take(grant, from)
    return true
  }

  /** Takes the stored token if it is another than ours and still good. True when nothing needs to be renewed now. */
  #adopt(seen: Seen): boolean {
    const { grant, row } = seen
    if (!grant || grant.access === this.#refused) return false
    const { clock } = this.#deps.runtime
    if (grant.access !== this.#current?.grant.access) {
      // Of its age only the wall clocks know. Not older than they say, not younger than new.
      const age = Math.max(0, clock.now() - grant.obtained)
      if (age >= usable(grant.life)) return false
      this.#take(grant, clock.mono() - age, row?.state === 'valid')
    }
    return clock.mono() < this.#current!.renewAt
  }

  #take(grant: Grant, from: number, valid = true): void {
    const { random, redact, log } = this.#deps.runtime
    const fresh = [grant.access, ...(grant.refresh === undefined ? [] : [grant.refresh])]
    for (const token of fresh) redact.learn(token)
    // An answer that is being written down may still hold the one before.
    const known = [...this.#taught.filter((t) => !fresh.includes(t)), ...fresh]
    for (const old of known.slice(0, -4)) redact.forget(old)
    this.#taught = known.slice(-4)
    this.#current = currentOf(grant, from, random)
    this.#lost = false
    if (valid && this.#error !== undefined) {
      this.#error = undefined
      log.write('info', 'connection.authorized', { connection: this.#name })
    }
    if (this.#missed) this.#deps.recovered()
    this.#missed = false
  }

  /** Without a grant nothing can be asked for: a person has to allow it, for the first time or again. */
  #assertAuthorised({ grant, row }: Seen): void {
    if (this.#auth.grant !== 'authorization_code' || grant?.refresh !== undefined) return
    const error = row?.error ?? (row?.sealed === undefined ? (grant ? 'ended' : 'not_authorized') : 'unreadable')
    const why: Readonly<Record<string, string>> = {
      not_authorized: 'nobody has authorised it yet',
      ended: 'they have given no refresh token, and its token ends',
      unreadable: 'its token cannot be read with any current value of its key',
    }
    this.#lost = true
    const f = fault('connection.unauthorized', {
      message: `${this.#name}: ${why[error] ?? `the authorisation was withdrawn (${error})`}: fairlead authorize ${this.#name}`,
      detail: { connection: this.#name, error },
      retryAfter: refusedFor,
    })
    this.#tell(f)
    throw f
  }

  /** They refuse us, or the authorisation: written down, so that every process and every status knows. */
  async #refusedBy(f: Fault, { version, row, grant }: Seen): Promise<void> {
    const { clock } = this.#deps.runtime
    const error = String(f.detail['error'])
    const withdrawn = this.#auth.grant === 'authorization_code' && error === 'invalid_grant'
    if (this.#store && !(row?.state === 'unauthorized' && row.error === error)) {
      const said = row?.granted === undefined ? {} : { granted: row.granted }
      // The refresh token is of no use any more; in all other cases it is as good as before.
      const left = withdrawn ? undefined : grant
      const written = await this.#store.write(
        version,
        { state: 'unauthorized', since: clock.now(), error, ...said },
        left,
      )
      if (!written) throw this.#fault('the token was written by another', 1_000)
    }
    if (withdrawn) this.#current = undefined
    this.#lost = withdrawn
    this.#tell(f)
  }

  #tell(f: Fault): void {
    const error = String(f.detail['error'])
    if (this.#error === error) return
    this.#error = error
    const { log } = this.#deps.runtime
    log.write('error', 'connection.unauthorized', { connection: this.#name, error, fix: f.message })
  }

  #usable(): boolean {
    return this.#current !== undefined && this.#deps.runtime.clock.mono() < this.#current.endsAt
  }

  #fault(message: string, retryAfter: number, cause?: Fault): Fault {
    const said = message.startsWith(`${this.#name}: `) ? message : `${this.#name}: ${message}`
    return fault('connection.token', {
      message: said,
      detail: { connection: this.#name },
      retryAfter: Math.ceil(retryAfter),
      ...(cause === undefined ? {} : { cause }),
    })
  }
}

const nothing: Seen = { version: 0, row: undefined, grant: undefined }

function again(f: Fault, retryAfter: number): Fault {
  if (f.kind === 'config') return f
  return fault('connection.unauthorized', { message: f.message, detail: f.detail, retryAfter })
}
