import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import type { Cancel } from '#kernel/clock.ts'
import type { Problem } from '#kernel/definition.ts'
import { fault, isFault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Secret } from '#kernel/secret.ts'
import { configFault, type Definitions } from './collect.ts'
import type { Trust, Trusting } from './http/client-socket.ts'

/** As a connection declares it. */
type Declared = {
  readonly ca?: readonly (string | Secret)[]
  readonly pins?: readonly string[]
  readonly cert?: string | Secret
  readonly key?: Secret
}

export type CertificateState = {
  /** RFC 3339 */
  readonly expires: string
  /** Whole days left; negative when it has expired. */
  readonly days: number
  /** In less than 14 days, or already. */
  readonly expiring: boolean
}

/** What a status screen shows of the certificates of a connection. */
export type Certificates = {
  /** The one that we show them. */
  readonly ours?: CertificateState
  /** The one of theirs that ends first, of those seen by this process. */
  readonly theirs?: CertificateState
}

const day = 86_400_000
const soon = 14 * day
/** How often secrets are compared with what is in use, milliseconds. Their adapter caches: most comparisons ask nobody. */
const every = 30_000
/** Most origins of one connection whose certificates are remembered. */
const mostOrigins = 16

/**
 * What the sockets of one connection trust and show, out of its secrets, and how long it lasts. A rotation replaces `current`:
 * new sockets use the new one, and one that was opened under the old one is closed when its answer has come, so that no request
 * fails of it. While secrets cannot be read, or key and certificate do not belong together yet, the last good ones stay.
 */
export class ConnectionTls implements Trusting {
  current: Trust
  /**
   * For the server that gives the connection its tokens (`<name>/token`): another one, which may have a certificate of the same
   * authority and ask for ours (RFC 8705), never the pinned key.
   */
  readonly tokens: { current: Trust } & Trusting
  readonly #name: string
  readonly #declared: Declared
  readonly #runtime: Pick<Runtime, 'clock' | 'secrets' | 'log' | 'redact'>
  readonly #secret: boolean
  readonly #theirs = new Map<string, number>()
  readonly #alarms = new Map<string, number>()
  #ours: number | undefined
  #timer: Cancel | undefined
  #troubled = false
  #closed = false

  constructor(name: string, declared: Declared, runtime: Pick<Runtime, 'clock' | 'secrets' | 'log' | 'redact'>) {
    this.#name = name
    this.#declared = declared
    this.#runtime = runtime
    const { ca = [], pins = [], cert, key } = declared
    this.#secret = key !== undefined || [...ca, cert].some((t) => typeof t === 'object')
    this.current = { ca: ca.filter((c) => typeof c === 'string'), pins }
    this.tokens = { current: unpinned(this.current), peer: (origin, expires) => this.peer(origin, expires) }
  }

  /** Reads what is declared by secrets. Rejects with `config.secret` or `secret.unavailable`, quoting nothing. */
  async load(): Promise<void> {
    if (!this.#secret) return
    const { ca = [], pins = [], cert, key } = this.#declared
    const roots = (await Promise.all(ca.map((c) => this.#texts(c)))).flat()
    for (const [i, root] of roots.entries()) certificateOf(root, `certificate ${i + 1} of tls.ca`)
    const pair =
      cert === undefined || key === undefined ? undefined : matching(await this.#texts(cert), await this.#texts(key))
    const next: Trust = { ca: roots, pins, ...(pair ? { cert: pair.cert, key: pair.key } : {}) }
    this.#ours = pair?.expires
    if (same(next, this.current)) return
    const first = this.current.cert === undefined && this.current.ca?.length === 0
    this.current = next
    this.tokens.current = unpinned(next)
    if (!first) this.#runtime.log.write('info', 'connection.tls', { connection: this.#name, change: 'rotated' })
  }

  /** From now on looks for rotations and for the end of our own certificate. */
  watch(): void {
    if (!this.#secret || this.#closed) return
    this.#alarm('ours', this.#ours)
    this.#timer = this.#runtime.clock.after(every, () => void this.#look())
  }

  peer(origin: string, expires: number): void {
    if (this.#theirs.size < mostOrigins || this.#theirs.has(origin)) this.#theirs.set(origin, expires)
    this.#alarm(origin, expires)
  }

  /** Undefined when no certificate is known. */
  state(): Certificates | undefined {
    const now = this.#runtime.clock.now()
    const theirs = this.#theirs.size > 0 ? Math.min(...this.#theirs.values()) : undefined
    if (this.#ours === undefined && theirs === undefined) return undefined
    return {
      ...(this.#ours === undefined ? {} : { ours: stateOf(this.#ours, now) }),
      ...(theirs === undefined ? {} : { theirs: stateOf(theirs, now) }),
    }
  }

  close(): void {
    this.#closed = true
    this.#timer?.()
  }

  /** Owned by the timer: settles always. */
  async #look(): Promise<void> {
    try {
      await this.load()
      this.#troubled = false
    } catch (e) {
      if (!this.#troubled) {
        const { code, message } = isFault(e) ? e : { code: 'bug', message: 'an unexpected error' }
        this.#runtime.log.write('warn', 'connection.tls', {
          connection: this.#name,
          change: 'kept',
          code,
          reason: message,
        })
      }
      this.#troubled = true
    }
    this.watch()
  }

  /** Once a day for each certificate. `whose`: ours, or the origin that showed it. */
  #alarm(whose: string, expires: number | undefined): void {
    const { clock, log } = this.#runtime
    const now = clock.now()
    if (expires === undefined || expires - now >= soon) return void this.#alarms.delete(whose)
    const last = this.#alarms.get(whose)
    if (last !== undefined && now - last < day) return
    if (last === undefined && this.#alarms.size > mostOrigins) return
    this.#alarms.set(whose, now)
    const { expires: at, days } = stateOf(expires, now)
    log.write(days < 0 ? 'error' : 'warn', 'connection.certificate', {
      connection: this.#name,
      whose,
      expires: at,
      days,
    })
  }

  /** All current values, each taught to the redactor. */
  async #texts(of: string | Secret): Promise<readonly string[]> {
    if (typeof of === 'string') return [of]
    return (await this.#runtime.secrets.read(of.name)).map((value) => {
      this.#runtime.redact.learn(value.reveal())
      return value.reveal()
    })
  }
}

/** For each connection, checked: with `needed` what is wrong with them stops the start, all problems at once. */
export async function openCertificates(
  into: Map<string, ConnectionTls>,
  definitions: Definitions,
  runtime: Pick<Runtime, 'clock' | 'secrets' | 'log' | 'redact'>,
  needed: boolean,
): Promise<void> {
  const problems: Problem[] = []
  for (const { name, options } of definitions.connections.values()) {
    const tls = new ConnectionTls(name, options.tls ?? {}, runtime)
    into.set(name, tls)
    try {
      await tls.load()
    } catch (e) {
      const message = isFault(e) ? e.message : 'cannot be read'
      problems.push({ path: `connection(${name}).tls`, message, fix: 'correct the secrets that it names' })
    }
    tls.watch()
  }
  if (needed && problems.length > 0) throw configFault(problems)
}

/**
 * The newest certificate with the newest key that belongs to it: while both are rotated, one of them may have been read anew
 * and the other not yet.
 */
function matching(certs: readonly string[], keys: readonly string[]): { cert: string; key: string; expires: number } {
  for (const cert of certs) {
    const leaf = certificateOf(cert, 'tls.cert')
    for (const key of keys) {
      if (leaf.checkPrivateKey(keyOf(key))) return { cert, key, expires: leaf.validToDate.getTime() }
    }
  }
  throw fault('config.secret', { message: 'the key of tls.key does not belong to the certificate of tls.cert' })
}

function certificateOf(pem: string, what: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch {
    // Their cause may quote what it could not read.
    throw fault('config.secret', { message: `${what} is not a certificate in PEM` })
  }
}

function keyOf(pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch {
    throw fault('config.secret', { message: 'tls.key is not a private key in PEM without a passphrase' })
  }
}

function unpinned(trust: Trust): Trust {
  return { ...trust, pins: [] }
}

function same(a: Trust, b: Trust): boolean {
  const [x = [], y = []] = [a.ca, b.ca]
  return a.cert === b.cert && a.key === b.key && x.length === y.length && x.every((c, i) => c === y[i])
}

function stateOf(expires: number, now: number): CertificateState {
  return {
    expires: new Date(expires).toISOString(),
    days: Math.floor((expires - now) / day),
    expiring: expires - now < soon,
  }
}
