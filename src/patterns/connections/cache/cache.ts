import { toFault } from '#kernel/fault.ts'
import type { HttpResponse } from '#kernel/http.ts'
import type { Runtime } from '#kernel/runtime.ts'
import { parse } from '#kernel/schema.ts'
import type { Credential } from '../auth/credential.ts'
import type { Ready, Rendered } from '../operation.ts'
import type { Changed, Invalidation } from './define.ts'
import type { Freshness } from './freshness.ts'
import { Kept } from './kept.ts'
import type { Visit } from './visit.ts'

/** An answer that is kept. */
export type Entry = Freshness & {
  readonly operation: string
  readonly path: string
  readonly response: HttpResponse
  /** Monotonic milliseconds, and since the epoch. */
  readonly came: number
  readonly cameWall: number
}

/** Tells of what is appended to topics, by whichever process. */
export type Changes = {
  /**
   * Calls `told` at once when there are messages in the topic that were not there when this was called: a message is told of before its
   * handler in this process gets it. With `read` what they say follows; it rejects when it cannot be read. Returns the way to stop.
   */
  follow(topic: string, read: boolean, told: (said: Promise<readonly unknown[]> | undefined) => void): () => void
}

/** A topic, and what its messages are about: an operation, or (undefined) all. */
export type Followed = Invalidation & { readonly operation: string | undefined }

/** What the cache of one connection has done, since it was opened, and what it holds. */
export type CacheState = {
  readonly entries: number
  readonly bytes: number
  /** Answered at once. Of these `stale`: past their end, as the answer allows. */
  readonly hits: number
  readonly stale: number
  /** Asked about, and still right. */
  readonly revalidated: number
  /** Answered by them. */
  readonly misses: number
  /** Of the hits, those that waited for another call that had asked already. */
  readonly shared: number
  /** Forgotten because something changed over there. */
  readonly invalidated: number
}

type Where = (of: { readonly operation: string; readonly path: string }) => boolean

type Deps = {
  readonly origin: string
  readonly operations: ReadonlyMap<string, Ready>
  readonly runtime: Pick<Runtime, 'clock' | 'log'>
  readonly changes: Changes | undefined
}

/** Credentials told apart at one time; the entries of those before are never found again. */
const mostCredentials = 100

/**
 * The answers of one connection that may be given again. An answer is found by the identity of the credential that it was given to, the
 * operation, and everything that was sent: path, body, and each field of the input that is a header. That is more than `Vary` would ask for,
 * on purpose: a server that forgets to name a field in it cannot make one customer see what is another's.
 */
export class HttpCache {
  readonly #connection: string
  readonly #base: string
  readonly #deps: Deps
  readonly #followed: readonly Followed[]
  readonly #entries = new Kept<Entry>(1_000, 16_777_216)
  /** What was not kept when it was last asked for: nobody waits for another's answer to it. */
  readonly #alone = new Kept<true>(1_000, 1_048_576)
  readonly #identities = new Map<string, number>()
  /** Those that have asked and have no answer yet, and which of them others may wait for. */
  readonly #underway = new Set<Visit>()
  readonly #leading = new Map<string, Visit>()
  readonly #refreshing = new Set<string>()
  readonly #stops: (() => void)[] = []
  readonly counts = { hits: 0, stale: 0, revalidated: 0, misses: 0, shared: 0, invalidated: 0 }
  #next = 1
  #reading = 0
  #following = false

  /** `base`: the path of the connection's address. */
  constructor(connection: string, base: string, followed: readonly Followed[], deps: Deps) {
    this.#connection = connection
    this.#base = base
    this.#followed = followed
    this.#deps = deps
  }

  /** What an answer is found by, without the credential: its identity is put in front. */
  name(ready: Ready, rendered: Rendered, body: string | undefined): string {
    const { headers } = rendered
    const sent =
      headers === undefined ? '' : JSON.stringify(Object.entries(headers).filter(([n]) => n !== 'cache-control'))
    return `${ready.name} ${rendered.path}\n${sent}\n${body ?? ''}`
  }

  /** A number for a credential, never used for another. */
  identity(credential: Credential | undefined): number {
    if (credential === undefined) return 0
    const known = this.#identities.get(credential.secret)
    if (known !== undefined) return known
    const [oldest] = this.#identities.keys()
    if (this.#identities.size >= mostCredentials && oldest !== undefined) this.#identities.delete(oldest)
    this.#identities.set(credential.secret, this.#next)
    return this.#next++
  }

  /** They do not accept this credential any more: what it was given is not given again. */
  refused(credential: Credential): void {
    this.#identities.delete(credential.secret)
  }

  /** Nothing while it is not known what has just changed. */
  get(name: string): Entry | undefined {
    return this.#reading > 0 ? undefined : this.#entries.get(name)
  }

  put(name: string, entry: Entry): void {
    const { response } = entry
    let bytes = response.body.byteLength + 2 * name.length + 300
    for (const field of Object.keys(response.headers)) bytes += 2 * (field.length + response.headers[field]!.length)
    this.#alone.drop(name)
    this.#entries.put(name, entry, bytes)
  }

  /** Asks behind the back of those who got what is stale: once at a time. `refresh` does not reject. */
  once(name: string, refresh: () => Promise<unknown>): void {
    if (this.#refreshing.has(name)) return
    this.#refreshing.add(name)
    void refresh().finally(() => this.#refreshing.delete(name))
  }

  /** Not to be kept: what was kept before is not right any more either. */
  pass(name: string): void {
    this.#entries.drop(name)
    this.#alone.put(name, true, 2 * name.length)
  }

  /** The one that has asked the same already, if its answer may be everybody's. */
  leader(name: string): Visit | undefined {
    return this.#alone.get(name) ? undefined : this.#leading.get(name)
  }

  begin(name: string | undefined, visit: Visit): void {
    // From now on, not from the start of the app: before its first question it knows nothing that could be wrong.
    this.#follow()
    this.#underway.add(visit)
    if (name !== undefined && !this.#leading.has(name)) this.#leading.set(name, visit)
  }

  end(name: string | undefined, visit: Visit): void {
    this.#underway.delete(visit)
    if (name !== undefined && this.#leading.get(name) === visit) this.#leading.delete(name)
  }

  /**
   * After a call that may have changed something (RFC 9111 §4.4): forgets what is at its path, whatever the query, and at the Location and
   * Content-Location of its answer, where they are of the same origin.
   */
  changed(path: string, headers: HttpResponse['headers'] | undefined): void {
    const here = `${this.#deps.origin}${path}`
    const paths = new Set([pathOf(path)])
    for (const address of [headers?.['location'], headers?.['content-location']]) {
      const url = address === undefined ? null : URL.parse(address, here)
      if (url?.origin === this.#deps.origin) paths.add(url.pathname)
    }
    this.#drop((of) => paths.has(pathOf(of.path)))
  }

  state(): CacheState {
    return { entries: this.#entries.size, bytes: this.#entries.bytes, ...this.counts }
  }

  close(): void {
    for (const stop of this.#stops.splice(0)) stop()
  }

  #drop(where: Where): void {
    this.counts.invalidated += this.#entries.dropWhere(where)
    // What was asked for before the change may be an answer from before it: neither kept nor shared.
    for (const visit of this.#underway) if (where(visit)) visit.outdated = true
    for (const [name, visit] of this.#leading) if (visit.outdated) this.#leading.delete(name)
  }

  #follow(): void {
    if (this.#following) return
    for (const f of this.#followed)
      this.#stops.push(this.#deps.changes!.follow(f.on.name, f.key !== undefined, (said) => this.#told(f, said)))
    this.#following = true
  }

  #told(f: Followed, said: Promise<readonly unknown[]> | undefined): void {
    if (said === undefined) return this.#dropAll(f)
    this.#reading++
    void this.#apply(f, said).finally(() => this.#reading--)
  }

  async #apply(f: Followed, said: Promise<readonly unknown[]>): Promise<void> {
    try {
      for (const data of await said) {
        const where = await this.#where((f.key as (data: unknown) => Changed)(data))
        if (where) this.#drop((of) => about(f, of) && where(of))
      }
    } catch (error) {
      // Too much is forgotten rather than too little.
      this.#dropAll(f)
      const fault = toFault(error, 'bug').message
      const { log } = this.#deps.runtime
      log.write('warn', 'connection.cache_key', { connection: this.#connection, topic: f.on.name, fault })
    }
  }

  #dropAll(f: Followed): void {
    this.#drop((of) => about(f, of))
  }

  async #where(changed: Changed): Promise<Where | undefined> {
    if (changed === undefined) return undefined
    if (typeof changed === 'string') {
      const whole = this.#base + changed
      if (whole.endsWith('/')) return (of) => of.path.startsWith(whole)
      return (of) =>
        of.path.startsWith(whole) && (of.path.length === whole.length || '/?'.includes(of.path[whole.length]!))
    }
    const { operation, input } = changed
    const ready = operation.connection === this.#connection ? this.#deps.operations.get(operation.name) : undefined
    if (ready === undefined) throw new Error(`${operation.connection}.${operation.name} is not of this connection`)
    const { path } = ready.render(ready.spec.input === undefined ? input : await parse(ready.spec.input, input))
    return (of) => of.operation === ready.name && of.path === path
  }
}

function about(f: Followed, of: { readonly operation: string }): boolean {
  return f.operation === undefined || f.operation === of.operation
}

function pathOf(path: string): string {
  const query = path.indexOf('?')
  return query < 0 ? path : path.slice(0, query)
}
