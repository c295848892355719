import { Buffer } from 'node:buffer'
import { checkOptions } from '#kernel/definition.ts'
import { milliseconds, type Duration } from '#kernel/duration.ts'
import type { Code } from '#kernel/codes.ts'
import { fault, isFault, type Fault } from '#kernel/fault.ts'
import { streamOf, type HttpOut, type HttpRequest, type HttpResponse } from '#kernel/http.ts'
import type { HttpStream, HttpStreamRequest } from '#kernel/http.ts'
import { redactor, type Redactor } from '#kernel/redact.ts'
import type { World } from '#app/fairlead.ts'
import { systemClock } from '#app/runtime.ts'
import { Disguise, type DisguiseOptions } from './disguise.ts'
import { shapeChanges } from './shape.ts'
import { readTape, writeTape, type Tape, type TapedBody, type TapedExchange } from './tape.ts'

export type CassetteOptions = DisguiseOptions & {
  /**
   * `replay` answers from the tape and sends nothing. `record` sends, and writes a new tape at the end. `compare` sends, and says
   * at the end what has changed since. Default: the environment variable FAIRLEAD_CASSETTES, or `replay`.
   */
  readonly mode?: CassetteMode
  /** A tape that is older is not replayed: an API that nobody has asked for months may have changed. Default 180 days; `never`. */
  readonly expires?: Duration | 'never'
}

export type CassetteMode = 'replay' | 'record' | 'compare'

export type CassetteChange = {
  /** `GET https://api.example.com/charges` */
  readonly request: string
  /** `items[].price: was number, is string` */
  readonly changes: readonly string[]
}

export interface Cassette {
  readonly mode: CassetteMode
  /** Second argument of `fairlead()`; `harness({ cassette })` takes the cassette itself. */
  readonly world: World
  /** Requests on the tape that were not replayed (yet). */
  readonly unused: readonly string[]
  /** Ends it: writes what was recorded, or says what has changed since. Idempotent. */
  end(): Promise<readonly CassetteChange[]>
  /** As `end`, and rejects with `cassette.changed` when something has. */
  [Symbol.asyncDispose](): Promise<void>
}

const modes: readonly string[] = ['replay', 'record', 'compare']

/**
 * Real exchanges with the APIs of others, kept in a file and played back: a test that speaks to nobody and still gets what they
 * really answer. Masked before it is written: what records mask, every secret that the app has read, and the fields named
 * in `mask`; an answer keeps another value of the same form in its place. A request finds the first exchange of its connection
 * with its method, address and body that was not played yet; `volatile` fields are not compared.
 *
 * Faults: `cassette.missing` (no tape), `cassette.expired`, `cassette.file`; of a call in replay `cassette.unmatched`.
 *
 * @example
 * await using tape = await cassette('test/charge.cassette.json', { volatile: ['created'] })
 * await using t = await harness({ use: [payments], cassette: tape })
 * await t.call(payments.charge, { order: 'o1', amount: 990 })   // FAIRLEAD_CASSETTES=record npm test, once
 */
export async function cassette(path: string, options: CassetteOptions = {}): Promise<Cassette> {
  const mode = options.mode ?? process.env['FAIRLEAD_CASSETTES'] ?? 'replay'
  const [problem] = checkOptions('cassette', options, ['mode', 'expires', 'volatile', 'mask'])
  if (problem) throw fault('config.option', { message: `${problem.path} ${problem.message}: ${problem.fix}` })
  if (!isMode(mode))
    throw fault('config.option', { message: `a cassette is played in ${modes.join(', ')}, not ${mode}` })
  const tape = mode === 'record' ? undefined : await readTape(path)
  if (mode !== 'record') {
    if (tape === undefined)
      throw fault('cassette.missing', { message: `there is no cassette ${path}`, detail: { path } })
    assertFresh(path, tape, mode, options.expires ?? '180d')
  }
  return new Player(path, mode, tape, options)
}

function isMode(mode: string): mode is CassetteMode {
  return modes.includes(mode)
}

function assertFresh(path: string, tape: Tape, mode: CassetteMode, expires: Duration | 'never'): void {
  if (expires === 'never' || mode === 'compare') return
  if (systemClock.now() <= Date.parse(tape.recorded) + milliseconds(expires)) return
  throw fault('cassette.expired', {
    message: `the cassette ${path} is of ${tape.recorded.slice(0, 10)}`,
    detail: { path },
  })
}

class Player implements Cassette, HttpOut {
  readonly mode: CassetteMode
  readonly world: World
  readonly #path: string
  readonly #options: CassetteOptions
  readonly #tape: readonly TapedExchange[]
  readonly #used = new Set<TapedExchange>()
  /** Bytes as they were, in the order of the requests: what is a secret may be known only at the end. */
  readonly #heard: (() => TapedExchange)[] = []
  readonly #redact: Redactor = redactor()
  readonly #disguise: Disguise
  #inner: HttpOut | undefined
  #ended: Promise<readonly CassetteChange[]> | undefined

  constructor(path: string, mode: CassetteMode, tape: Tape | undefined, options: CassetteOptions) {
    this.mode = mode
    this.#path = path
    this.#options = options
    this.#tape = tape?.exchanges ?? []
    this.#disguise = new Disguise(this.#redact, options)
    this.world = {
      redact: this.#redact,
      around: (inner) => {
        this.#inner = inner
        return this
      },
    }
  }

  get unused(): readonly string[] {
    return this.#tape.filter((e) => !this.#used.has(e)).map(lineOf)
  }

  async send(request: HttpRequest): Promise<HttpResponse> {
    if (this.mode === 'replay') return this.#replay(request)
    const at = this.#heard.push(() => this.#asked(request)) - 1
    try {
      const answer = await this.#inner!.send(request)
      this.#heard[at] = () => ({ ...this.#asked(request), answer: this.#answered(answer) })
      return answer
    } catch (e) {
      if (isFault(e)) this.#heard[at] = () => ({ ...this.#asked(request), fault: failed(e) })
      throw e
    }
  }

  /** A stream is on the tape as what had come of it when its reader was done, in one piece. */
  async stream(request: HttpStreamRequest): Promise<HttpStream> {
    if (this.mode === 'replay') return streamOf(await this.#replay(request))
    const at = this.#heard.push(() => this.#asked(request)) - 1
    try {
      const stream = await this.#inner!.stream(request)
      const parts: Uint8Array[] = []
      this.#heard[at] = () => ({
        ...this.#asked(request),
        answer: this.#answered({ ...stream, trailers: stream.trailers?.() ?? {}, body: Buffer.concat(parts) }),
      })
      return { ...stream, chunks: kept(stream.chunks, parts) }
    } catch (e) {
      if (isFault(e)) this.#heard[at] = () => ({ ...this.#asked(request), fault: failed(e) })
      throw e
    }
  }

  end(): Promise<readonly CassetteChange[]> {
    return (this.#ended ??= this.#end())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const changes = await this.end()
    if (changes.length === 0) return
    const [first] = changes
    throw fault('cassette.changed', {
      message: `${this.#path}: ${first!.request}: ${first!.changes[0]}${changes.length > 1 ? `, and ${changes.length - 1} more requests` : ''}`,
      detail: { changes },
    })
  }

  async #end(): Promise<readonly CassetteChange[]> {
    if (this.mode === 'replay') return []
    const exchanges = this.#heard.map((taped) => taped())
    if (this.mode === 'compare') return this.#compare(exchanges)
    await writeTape(this.#path, { version: 1, recorded: new Date(systemClock.now()).toISOString(), exchanges })
    return []
  }

  #replay(request: Sent): Promise<HttpResponse> {
    const asked = this.#asked(request)
    const exchange = this.#tape.find((e) => !this.#used.has(e) && isSame(e, asked))
    if (exchange === undefined) return Promise.reject(this.#unmatched(asked))
    this.#used.add(exchange)
    const { answer, fault: failure } = exchange
    if (answer === undefined) {
      const { code = 'connection.unreachable', phase } = failure ?? {}
      return Promise.reject(fault(code as Code, phase === undefined ? {} : { detail: { phase } }))
    }
    const body = bytesOf(answer.body)
    return Promise.resolve({ status: answer.status, headers: answer.headers, body, phases: { total: 0 } })
  }

  #unmatched(asked: TapedExchange): Fault {
    const line = lineOf(asked)
    const same = this.#tape.filter((e) => lineOf(e) === line)
    const why =
      same.length === 0
        ? 'no such request is on the tape'
        : same.some((e) => isSame(e, asked))
          ? `it was made more often than recorded (${same.length})`
          : 'its body is another than the recorded one'
    return fault('cassette.unmatched', { message: `${line}: ${why}`, detail: { path: this.#path } })
  }

  #compare(fresh: readonly TapedExchange[]): readonly CassetteChange[] {
    const volatile = new Set(this.#options.volatile)
    const ignored = (name: string, at: string): boolean => volatile.has(name) || volatile.has(at.replaceAll('[]', ''))
    const found: CassetteChange[] = []
    for (const now of fresh) {
      const before = this.#tape.find((e) => !this.#used.has(e) && isSame(e, now))
      if (before) this.#used.add(before)
      const changes = before === undefined ? ['is not on the tape'] : changesOf(before, now, ignored)
      if (changes.length > 0) found.push({ request: lineOf(now), changes })
    }
    return [...found, ...this.unused.map((request) => ({ request, changes: ['was not made'] }))]
  }

  #asked({ pool, method, origin, path, headers, body }: Sent): TapedExchange {
    const taped = this.#disguise.request(body, headers['content-type'] ?? '')
    return {
      connection: pool,
      method,
      url: origin + this.#disguise.path(path),
      headers: this.#disguise.headers(headers),
      ...(taped === undefined ? {} : { body: taped }),
    }
  }

  #answered({ status, headers, body, trailers }: Omit<HttpResponse, 'phases'>): NonNullable<TapedExchange['answer']> {
    const taped = this.#disguise.answer(body, headers['content-type'] ?? '')
    return {
      status,
      headers: this.#disguise.headers({ ...headers, ...trailers }),
      ...(taped === undefined ? {} : { body: taped }),
    }
  }
}

type Sent = HttpRequest | HttpStreamRequest

/** The chunks as they pass, kept. The reader's end is handed on, also one that has read nothing. */
function kept(chunks: HttpStream['chunks'], parts: Uint8Array[]): HttpStream['chunks'] {
  return {
    async next() {
      const result = await chunks.next()
      if (result.done !== true) parts.push(result.value)
      return result
    },
    async return() {
      await chunks.return?.()
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

function failed(e: Fault): NonNullable<TapedExchange['fault']> {
  const { phase } = e.detail
  return { code: e.code, ...(typeof phase === 'string' ? { phase } : {}) }
}

function lineOf({ method, url }: TapedExchange): string {
  return `${method} ${url}`
}

/** What varies was replaced on both sides, so it fits. */
function isSame(a: TapedExchange, b: TapedExchange): boolean {
  return a.connection === b.connection && lineOf(a) === lineOf(b) && JSON.stringify(a.body) === JSON.stringify(b.body)
}

function changesOf(
  before: TapedExchange,
  now: TapedExchange,
  ignored: (name: string, path: string) => boolean,
): readonly string[] {
  const outcome = ({ answer, fault: f }: TapedExchange): string =>
    answer ? String(answer.status) : (f?.code ?? 'nothing')
  if (outcome(before) !== outcome(now)) return [`was answered ${outcome(before)}, is answered ${outcome(now)}`]
  const [a, b] = [before.answer?.body, now.answer?.body]
  if (a === undefined && b === undefined) return []
  const kind = (body: TapedBody | undefined): string => (body === undefined ? 'empty' : Object.keys(body)[0]!)
  if (kind(a) !== kind(b)) return [`the answer was ${kind(a)}, is ${kind(b)}`]
  return a && b && 'json' in a && 'json' in b ? shapeChanges(a.json, b.json, ignored) : []
}

function bytesOf(body: TapedBody | undefined): Uint8Array {
  if (body === undefined) return new Uint8Array()
  if ('base64' in body) return Uint8Array.from(Buffer.from(body.base64, 'base64'))
  return new TextEncoder().encode('json' in body ? JSON.stringify(body.json) : body.text)
}
