import type { Clock } from '#kernel/clock.ts'
import type { Fault } from '#kernel/fault.ts'
import type { HttpResponse } from '#kernel/http.ts'
import { isLasting } from '../answers/verdict.ts'
import type { Credential, Credentials } from '../auth/credential.ts'
import type { Request } from '../exchange.ts'
import type { Ready, Rendered } from '../operation.ts'
import type { Entry, HttpCache } from './cache.ts'
import { directives, type Directives } from './directives.ts'
import { freshness, isStorable, use } from './freshness.ts'

type Of = {
  readonly ready: Ready
  readonly rendered: Rendered
  readonly auth: Credentials | undefined
  readonly clock: Clock
  /** Monotonic milliseconds: waits no longer for another's answer. */
  readonly until: number
  readonly signal: AbortSignal | undefined
  /** Asks them, whatever is kept; called for what was given although it was stale. */
  readonly refreshes: boolean
  readonly refresh: () => Promise<unknown>
}

type Fields = Readonly<Record<string, string>>

/** How the answer came: at once, past its end, or asked about and still right. */
export type CacheUse = 'hit' | 'stale' | 'revalidated'

/** Conditions of the caller's own: what they mean, they must judge. */
const conditional = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range', 'range']

/** One call's way past the cache: what is kept, what may be asked, what is to be kept of the answer. */
export class Visit {
  readonly operation: string
  readonly path: string
  readonly rendered: Rendered
  /** Something changed since it was asked: the answer is this caller's alone. */
  outdated = false
  how: CacheUse | undefined
  readonly #cache: HttpCache
  readonly #of: Of
  readonly #asked: Directives
  readonly #name: string
  #own: string | undefined
  #identity = 0
  #entry: Entry | undefined
  #sentAs: number | undefined
  #sentAt = 0
  #credential: Credential | undefined
  #waiting: (() => void)[] | undefined

  /** Undefined where the caller asks for something that the cache should have no part in. */
  static of(cache: HttpCache, of: Of): Visit | undefined {
    const headers = { ...of.ready.headers, ...of.rendered.headers }
    const { body } = of.rendered
    // Bytes are sent by protocols that have rules of their own.
    if (typeof body === 'object' || conditional.some((name) => name in headers)) return undefined
    return new Visit(cache, of, cache.name(of.ready, of.rendered, body), directives(headers['cache-control']))
  }

  private constructor(cache: HttpCache, of: Of, name: string, asked: Directives) {
    this.#cache = cache
    this.#of = of
    this.#asked = asked
    this.operation = of.ready.name
    this.path = of.rendered.path
    this.rendered = of.rendered
    this.#name = name
  }

  /** The kept answer, if it may be given. Otherwise it is to be asked for, and `end` must follow. */
  async look(): Promise<HttpResponse | undefined> {
    const { auth, refreshes, until } = this.#of
    const cache = this.#cache
    let credential: Credential | undefined
    try {
      credential = auth && (await auth([], until))
    } catch {
      // Why there is none, the attempt will say.
    }
    if (auth !== undefined && credential === undefined) {
      cache.begin(undefined, this)
      return undefined
    }
    this.#identity = cache.identity(credential)
    const name = `${this.#identity} ${this.#name}`
    if (refreshes) {
      this.#entry = cache.get(name)
    } else {
      const kept = this.#kept(name)
      if (kept) return kept
      const leader = this.#asked.has('no-cache') || this.#asked.has('no-store') ? undefined : cache.leader(name)
      if (leader) {
        await leader.#ended(this.#of)
        // Whoever asks now asks alone: one after the other would wait for all before.
        const shared = this.#kept(name)
        if (shared) {
          cache.counts.shared++
          return shared
        }
      }
    }
    this.#own = name
    cache.begin(name, this)
    return undefined
  }

  #kept(name: string): HttpResponse | undefined {
    const entry = (this.#entry = this.#cache.get(name))
    if (entry === undefined) return undefined
    const how = use(entry, this.#age(entry), this.#asked)
    if (how === 'ask') return undefined
    this.how = how === 'fresh' ? 'hit' : 'stale'
    this.#cache.counts.hits++
    if (how === 'stale') {
      this.#cache.counts.stale++
      this.#cache.once(name, this.#of.refresh)
    }
    return this.#given(entry)
  }

  /** By the clock that has gone further: the monotonic one stands still while a machine sleeps, the other may be set back. */
  #age({ age, came, cameWall }: Entry): number {
    const { clock } = this.#of
    return age + Math.max(clock.mono() - came, clock.now() - cameWall)
  }

  /** The request as it goes out: with the validators of what is kept, but only under the credential that it was given to. */
  asked(request: Request, credential: Credential | undefined): Request {
    this.#sentAs = this.#cache.identity(credential)
    this.#credential = credential
    this.#sentAt = this.#of.clock.mono()
    const conditions =
      this.#sentAs === this.#identity && this.#entry ? conditionsOf(this.#entry.response.headers) : none
    if (conditions === none) return request
    const { rendered } = request
    return { ...request, validating: true, rendered: { ...rendered, headers: { ...rendered.headers, ...conditions } } }
  }

  /** What a 304 stands for (RFC 9111 §4.3.4); undefined where it is about another answer: then it is asked again without conditions. */
  whole({ headers, phases }: HttpResponse): HttpResponse | undefined {
    const { response } = this.#entry!
    const [theirs, ours] = [headers['etag'], response.headers['etag']]
    if (theirs !== undefined && ours !== undefined && opaque(theirs) !== opaque(ours)) {
      this.#entry = undefined
      return undefined
    }
    this.how = 'revalidated'
    // How old it was is over: it is as old as they say now.
    const { age: _age, date: _date, ...rest } = response.headers
    const merged: Record<string, string> = rest
    for (const name of Object.keys(headers)) if (!untouched.has(name)) merged[name] = headers[name]!
    return { ...this.#given(this.#entry!), headers: merged, phases }
  }

  /** After an answer that the caller gets: whether it is kept for the next. `sent`: the fields of the request, as they went out. */
  keep(response: HttpResponse, sent: Fields): void {
    const { clock, ready } = this.#of
    const { counts } = this.#cache
    if (this.how === 'revalidated') counts.revalidated++
    else counts.misses++
    const name = `${this.#sentAs} ${this.#name}`
    const came = clock.mono()
    const cameWall = clock.now()
    const f = freshness(response, { wall: cameWall, delay: came - this.#sentAt }, ready.cache!)
    if (this.#asked.has('no-store')) return
    if (!isStorable(response, f) || this.#variesBySignature(response, sent)) return this.#cache.pass(name)
    if (this.outdated || (!this.#sentAs && this.#of.auth !== undefined)) return
    const headers: Record<string, string> = {}
    const unkept = hops(response.headers['connection'])
    for (const field of Object.keys(response.headers)) if (!unkept.has(field)) headers[field] = response.headers[field]!
    const { operation, path } = this
    const { status, phases } = response
    // A copy: what the transport gave may be a part of something larger, and the caller may write into it.
    this.#cache.put(name, {
      ...f,
      operation,
      path,
      came,
      cameWall,
      response: { status, headers, body: own(response.body), phases },
    })
  }

  /** Whether what it fails with may be answered by what is kept, past its end (RFC 5861 §4). Then it need not be asked twice. */
  get mayStandIn(): boolean {
    const entry = this.#entry
    if (entry === undefined || this.outdated || this.#asked.size > 0 || this.#of.refreshes) return false
    // Another credential was tried meanwhile.
    if (this.#sentAs !== undefined && this.#sentAs !== this.#identity) return false
    return this.#age(entry) < entry.lifetime + entry.ifError
  }

  insteadOf(failure: Fault): HttpResponse | undefined {
    const away = failure.kind === 'transient' || (failure.kind === 'ambiguous' && !isLasting(failure))
    if (!away || !this.mayStandIn) return undefined
    this.how = 'stale'
    this.#cache.counts.hits++
    this.#cache.counts.stale++
    return this.#given(this.#entry!)
  }

  /** Nobody holds what another gets: bytes are copied, everything else is parsed anew. With its age now (§5.1). */
  #given(entry: Entry): HttpResponse {
    const { status, headers, body, phases } = entry.response
    return {
      status,
      headers: { ...headers, age: String(Math.floor(this.#age(entry) / 1000)) },
      body: this.#of.ready.answer === 'bytes' ? own(body) : body,
      phases,
    }
  }

  /** Whoever waited for the answer looks for it now. */
  end(): void {
    this.#cache.end(this.#own, this)
    for (const wake of this.#waiting?.splice(0) ?? []) wake()
  }

  #ended({ clock, until, signal }: Of): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const cancel = clock.after(Math.max(0, until - clock.mono()), done)
      if (signal?.aborted) return done()
      signal?.addEventListener('abort', done, { once: true })
      ;(this.#waiting ??= []).push(done)
    })
  }

  /** What a signature writes is another each time, and not known before it is sent. */
  #variesBySignature({ headers }: HttpResponse, sent: Fields): boolean {
    if (this.#credential?.sign === undefined || headers['vary'] === undefined) return false
    const known: Fields = { ...this.#of.ready.headers, ...this.#of.rendered.headers }
    return headers['vary'].split(',').some((field) => {
      const name = field.trim().toLowerCase()
      return (
        name !== 'authorization' &&
        name !== 'if-none-match' &&
        name !== 'if-modified-since' &&
        sent[name] !== known[name]
      )
    })
  }
}

function own(body: Uint8Array): Uint8Array {
  return new Uint8Array(body)
}

const none: Fields = {}

function conditionsOf({ etag, 'last-modified': modified }: HttpResponse['headers']): Fields {
  // Their own words sent back; a lone star would fit every answer.
  const tag = etag !== undefined && etag !== '*' && /^[\x21-\x7e\x80-\xff]{1,1000}$/.test(etag)
  const date = modified !== undefined && /^[\x20-\x7e]{1,100}$/.test(modified)
  if (!tag && !date) return none
  return { ...(tag ? { 'if-none-match': etag } : {}), ...(date ? { 'if-modified-since': modified } : {}) }
}

/** Weak comparison (RFC 9110 §8.8.3.2). */
function opaque(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag
}

const hop = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

/** Of a 304 these are about the message, or about bytes that it does not have (RFC 9111 §3.2). */
const untouched: ReadonlySet<string> = new Set([
  ...hop,
  'content-encoding',
  'content-length',
  'content-md5',
  'content-range',
  'etag',
])

/** About one message on one socket: not kept (RFC 9111 §3.1). */
function hops(connection: string | undefined): ReadonlySet<string> {
  return new Set([
    ...hop,
    ...(connection
      ?.toLowerCase()
      .split(',')
      .map((name) => name.trim()) ?? []),
  ])
}
