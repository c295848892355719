import type { Clock } from '#kernel/clock.ts'
import { checkOptions, type Problem } from '#kernel/definition.ts'
import { milliseconds, type Duration } from '#kernel/duration.ts'
import { fault, type Fault } from '#kernel/fault.ts'
import { streamOf, type HttpOut, type HttpRequest, type HttpResponse } from '#kernel/http.ts'
import type { HttpStream, HttpStreamRequest } from '#kernel/http.ts'
import type { Random } from '#kernel/random.ts'

/** What goes wrong with the calls to others, and how often. All that is given happens together. */
export type ChaosRule = {
  /** Name of a connection. Default: all. */
  readonly connection?: string
  /** Share of the requests that it happens to, 0 to 1. Default 1. */
  readonly rate?: number
  /** Before anything is sent; of two, by chance between them. */
  readonly delay?: Duration | readonly [Duration, Duration]
  /**
   * A status: answered with it, without asking them. `refuse`: nothing is sent. `lose`: they do what was asked, and the answer is
   * lost. `cut`: they do it, and the answer ends in the middle. `hang`: nothing is sent, and no answer comes.
   */
  readonly fail?: number | 'refuse' | 'lose' | 'cut' | 'hang'
  /** `Retry-After` of a status. */
  readonly retryAfter?: Duration
}

const fails = ['refuse', 'lose', 'cut', 'hang'] as const

/** Everything wrong in a list of rules. */
export function chaosProblems(path: string, rules: readonly unknown[]): Problem[] {
  return rules.flatMap((rule, i) => {
    const at = `${path}[${i}]`
    const problems = checkOptions(at, rule, ['connection', 'rate', 'delay', 'fail', 'retryAfter'])
    if (typeof rule !== 'object' || rule === null) return problems
    const { rate, delay, fail, retryAfter } = rule as Readonly<Record<string, unknown>>
    const add = (name: string, message: string, fix: string): void => {
      problems.push({ path: `${at}.${name}`, message, fix })
    }
    if (rate !== undefined && !(typeof rate === 'number' && rate >= 0 && rate <= 1))
      add('rate', 'is not a share', 'use a number from 0 to 1')
    const spans = Array.isArray(delay) && delay.length === 2 ? delay : [delay]
    if (delay !== undefined && !spans.every(isDuration)) add('delay', 'is not a time', "use '200ms' or ['50ms', '2s']")
    if (retryAfter !== undefined && !isDuration(retryAfter)) add('retryAfter', 'is not a time', "use '30s'")
    const status = typeof fail === 'number' && Number.isInteger(fail) && fail >= 200 && fail <= 599
    if (fail !== undefined && !status && !(fails as readonly unknown[]).includes(fail))
      add('fail', 'is neither a status nor a way to fail', `use 429, or ${fails.join(', ')}`)
    if (fail === undefined && delay === undefined)
      add('fail', 'is missing: nothing would happen', 'use 429, or a delay')
    return problems
  })
}

function isDuration(value: unknown): boolean {
  try {
    return milliseconds(value as Duration) >= 0
  } catch {
    return false
  }
}

/**
 * Goes between the connections and the world, and lets go wrong what rules say: for tests, and for trying an integration by
 * hand (`fairlead dev --chaos`). The first rule that a request meets, by chance where its rate says so, happens to it; policies, records and
 * deadlines around it are the real ones.
 */
export class ChaosHttp implements HttpOut {
  readonly #inner: HttpOut
  readonly #clock: Clock
  readonly #random: Random
  #rules: readonly ChaosRule[] = []
  /** Requests that something happened to. */
  hit = 0

  constructor(inner: HttpOut, runtime: { readonly clock: Clock; readonly random: Random }) {
    this.#inner = inner
    this.#clock = runtime.clock
    this.#random = runtime.random
  }

  /** These rules from now on, in place of those before; none: peace. Throws `config.option`. */
  set(rules: readonly ChaosRule[]): void {
    const [problem] = chaosProblems('chaos', rules)
    if (problem) throw fault('config.option', { message: `${problem.path} ${problem.message}: ${problem.fix}` })
    this.#rules = rules
  }

  send(request: HttpRequest): Promise<HttpResponse> {
    const rule = this.#rules.find((r) => this.#meets(r, request))
    if (rule === undefined) return this.#inner.send(request)
    this.hit++
    return this.#play(rule, request)
  }

  stream(request: HttpStreamRequest): Promise<HttpStream> {
    const rule = this.#rules.find((r) => this.#meets(r, request))
    if (rule === undefined) return this.#inner.stream(request)
    this.hit++
    return this.#playStream(rule, request)
  }

  #meets({ connection, rate = 1 }: ChaosRule, request: Pick<HttpRequest, 'pool'>): boolean {
    return (connection === undefined || connection === request.pool) && (rate === 1 || this.#random.float() < rate)
  }

  async #play(rule: ChaosRule, request: HttpRequest): Promise<HttpResponse> {
    const { fail } = rule
    const rest = await this.#begun(rule, request)
    if (typeof fail === 'number') return answer(fail, rule)
    switch (fail) {
      case 'lose':
        await this.#inner.send(rest)
        throw lost()
      case 'cut': {
        const { status } = await this.#inner.send(rest)
        throw fault('connection.response', {
          message: 'chaos: the answer was cut',
          detail: { reason: 'truncated', status, chaos: true },
        })
      }
      default:
        return this.#inner.send(rest)
    }
  }

  /** A stream that is cut ends after the first bytes that came. */
  async #playStream(rule: ChaosRule, request: HttpStreamRequest): Promise<HttpStream> {
    const { fail } = rule
    const rest = await this.#begun(rule, request)
    if (typeof fail === 'number') return streamOf(answer(fail, rule))
    const stream = await this.#inner.stream(rest)
    if (fail !== 'lose' && fail !== 'cut') return stream
    if (fail === 'cut') return { ...stream, chunks: cutAfterOne(stream) }
    await stream.chunks.return?.()
    throw lost()
  }

  /** What comes before anything is sent. Gives the request with the time that is left. */
  async #begun<R extends HttpRequest | HttpStreamRequest>({ fail, delay }: ChaosRule, request: R): Promise<R> {
    const started = this.#clock.mono()
    if (delay !== undefined) await this.#wait(this.#span(delay), request)
    const left = Math.max(1, request.timeouts.total - (this.#clock.mono() - started))
    const rest = { ...request, timeouts: { ...request.timeouts, total: left } }
    if (fail === 'refuse')
      throw fault('connection.unreachable', { message: 'chaos: refused', detail: { phase: 'connect', chaos: true } })
    if (fail === 'hang') return this.#wait(Number.POSITIVE_INFINITY, rest)
    return rest
  }

  #span(delay: Duration | readonly [Duration, Duration]): number {
    if (!Array.isArray(delay)) return milliseconds(delay as Duration)
    const [least, most] = (delay as readonly [Duration, Duration]).map((d) => milliseconds(d)) as [number, number]
    return least + (most - least) * this.#random.float()
  }

  /** Ends as the transport would: when the time of the request is over, or its caller is gone. */
  #wait(ms: number, { timeouts, signal }: Timed): Promise<never>
  #wait(ms: number, request: Timed): Promise<void>
  #wait(ms: number, { timeouts, signal }: Timed): Promise<void> {
    const limit = Math.min(timeouts.firstByte, timeouts.total)
    return new Promise((resolve, reject) => {
      const end = (reason: Fault | undefined): void => {
        cancel()
        signal?.removeEventListener('abort', aborted)
        if (reason) reject(reason)
        else resolve()
      }
      const aborted = (): void => end(fault('cancelled'))
      const late = (): void =>
        end(fault('connection.timeout', { message: 'chaos: no answer', detail: { phase: 'first-byte', chaos: true } }))
      const cancel = this.#clock.after(Math.min(ms, limit), ms < limit ? () => end(undefined) : late)
      if (signal?.aborted) aborted()
      else signal?.addEventListener('abort', aborted, { once: true })
    })
  }
}

type Timed = Pick<HttpRequest, 'timeouts' | 'signal'>

function lost(): Fault {
  return fault('connection.cut', {
    message: 'chaos: the answer is lost',
    detail: { phase: 'first-byte', chaos: true },
  })
}

function cutAfterOne({ chunks, status }: HttpStream): HttpStream['chunks'] {
  let first = true
  return {
    async next() {
      const result = first ? await chunks.next() : undefined
      first = false
      if (result?.done === false) return result
      await chunks.return?.()
      const detail = { phase: 'body', status, chaos: true }
      throw fault('connection.cut', { message: 'chaos: the stream was cut', detail })
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

function answer(status: number, { retryAfter }: ChaosRule): HttpResponse {
  const seconds = retryAfter === undefined ? undefined : String(Math.ceil(milliseconds(retryAfter) / 1_000))
  return {
    status,
    headers: { 'content-type': 'application/json', ...(seconds === undefined ? {} : { 'retry-after': seconds }) },
    body: new TextEncoder().encode('{"error":"chaos"}'),
    phases: { total: 0 },
  }
}

/**
 * `payments:10%:503`, `*:lose`, `crm:50%:200ms-2s`, `*:429`: connection (`*` for all), share, and what happens. Undefined when it cannot be
 * read.
 */
export function parseChaos(text: string): ChaosRule | undefined {
  const found = /^(\*|[\w.-]+)(?::(\d{1,3}(?:\.\d+)?)%)?:([\w.-]+)$/.exec(text)
  if (!found) return undefined
  const [, name, percent, what = ''] = found
  const times = what.split('-')
  const rule = {
    ...(name === '*' ? {} : { connection: name! }),
    ...(percent === undefined ? {} : { rate: Number(percent) / 100 }),
    ...(/^\d+$/.test(what)
      ? { fail: Number(what) }
      : (fails as readonly string[]).includes(what)
        ? { fail: what as 'lose' }
        : { delay: (times.length === 2 ? times : what) as Duration }),
  }
  return chaosProblems('', [rule]).length === 0 ? rule : undefined
}
