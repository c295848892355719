import type { Code, FaultKind } from '#kernel/codes.ts'
import type { FellBack } from '#kernel/context.ts'
import { fault, isFault, toFault, type Fault } from '#kernel/fault.ts'
import type { HttpResponse } from '#kernel/http.ts'
import { parse } from '#kernel/schema.ts'
import type { Attempt, RunOptions } from '#resilience/policy.ts'
import { bodyOf, outputOf } from './answers/output.ts'
import { Visit } from './cache/visit.ts'
import { answered, named, unanswered, wired, type Request, type Trail } from './exchange.ts'
import { fallsBack } from './fallback/fallback.ts'
import { Intended, isIntended } from './intents/intended.ts'
import type { Known } from './intents/intent.ts'
import { isSafe, type Ready, type Rendered } from './operation.ts'
import type { PageStep } from './paging/paging.ts'
import { noteCall } from './records/note.ts'
import type { Exchanged } from './protocols/protocol.ts'
import type { Shared } from './run.ts'
import { isLasting } from './answers/verdict.ts'

export type CallOptions = {
  /** Idempotency key, 1 to 255 visible characters. Default for an operation with a key: a fresh one, the same for all attempts. */
  readonly key?: string
  /** Monotonic milliseconds. Default and latest: the operation's total from now. */
  readonly deadline?: number
  readonly signal?: AbortSignal
  readonly correlation?: string
  /** Id of the message that is being handled. */
  readonly message?: string
  /** Sent as it is, instead of what the input would be. */
  readonly as?: Rendered
  /** A person sends it once more, whatever is known of the first: no intent is looked at or written. */
  readonly resent?: true
  /** Above 1: this same call may have been made before, by a handling that did not finish. */
  readonly attempt?: number
  /** That handling may have made it under another key: what it did cannot be looked up, so `verify` is asked above attempt 1. */
  readonly keyMayDiffer?: boolean
  /** Header fields that ask only for what has changed: 304 is then an answer, without output. */
  readonly conditions?: Readonly<Record<string, string>>
  /** Only the operation itself answers: no fallback of it is used. */
  readonly direct?: true
  /** Asks them, whatever the cache holds. */
  readonly refresh?: true
  /** Told before the call resolves with what a fallback answered. */
  readonly onFallback?: (by: FellBack) => void
}

export type Answered = {
  readonly output: unknown
  /** As it came, before the output schema. */
  readonly body: unknown
  readonly response: Exchanged
  /** What was asked, without credential. */
  readonly path: string
  /** It is an earlier answer, out of the cache. */
  readonly kept: boolean
}

/**
 * One call from input to answer, all attempts included. What may have happened is never forgotten: `#uncertain` is set by an
 * attempt whose outcome is unknown, and cleared only by an answer that settles it (P9).
 */
export class OneCall {
  readonly #shared: Shared
  readonly #ready: Ready
  readonly #input: unknown
  readonly #options: CallOptions
  readonly #step: PageStep | undefined
  readonly #id: string
  readonly #trail: Trail
  readonly #deadline: number
  readonly #intended: Intended | undefined
  answer: Answered | undefined
  /** The answer is one that `verify` has found. */
  #found = false
  #uncertain: Fault | 'before' | undefined
  #visit: Visit | undefined
  /** Of a connection with a cache: what this call itself asks for, whatever is read to verify it. */
  #path = ''
  /** The one before us has not ended: what `verify` does not find yet is not repeated. */
  #underway = false

  constructor(shared: Shared, ready: Ready, input: unknown, options: CallOptions, step: PageStep | undefined) {
    const { clock, ids } = shared.deps.runtime
    const started = clock.mono()
    const intended = isIntended(ready, options, shared.deps.intents)
    const before = (options.attempt ?? 1) > 1 && (!intended || options.keyMayDiffer === true)
    this.#shared = shared
    this.#ready = ready
    this.#input = input
    this.#options = options
    this.#step = step
    this.#id = ids.next()
    const key = ready.keyed ? (options.key ?? this.#id) : undefined
    this.#trail = { started, key, before, attempts: [], sent: undefined, response: undefined }
    this.#deadline = Math.min(options.deadline ?? Number.POSITIVE_INFINITY, started + ready.timeouts.total)
    this.#uncertain = before && ready.spec.verify ? 'before' : undefined
    if (intended) {
      const until = Math.ceil(clock.now() + this.#deadline - started)
      this.#intended = new Intended(shared, ready, input, options, { id: this.#id, until })
    }
  }

  /** Makes the call. `answer` tells more about it afterwards. */
  async run(): Promise<unknown> {
    const shared = this.#shared
    shared.counters.calls++
    try {
      const rendered = this.#rendered()
      let ready = rendered instanceof Promise ? await rendered : rendered
      const { conditions } = this.#options
      if (conditions !== undefined) {
        // Whoever asks so has the last answer: the cache is not in between.
        ready = { ...ready, headers: { ...ready.headers, ...conditions }, conditional: true }
      } else if (shared.cache !== undefined) {
        this.#path = ready.path
        const kept = await this.#kept(ready)
        if (kept) return await this.#given(kept, ready)
      }
      this.#refuseWhileOpen()
      const known = this.#intended && (await this.#intended.begin(ready))
      let output: unknown
      if (typeof known === 'object') {
        // The same call has been answered before: its answer is the answer.
        output = await outputOf(this.#shared, this.#ready, known.answer)
      } else {
        if (known !== undefined) this.#doubt(known)
        const { signal } = this.#options
        const { judge } = this.#ready
        const bounds = { deadline: this.#deadline, classify: this.#visit?.mayStandIn ? once(judge) : judge }
        const options = signal ? { ...bounds, signal } : bounds
        try {
          output = await shared.pipeline.run((attempt) => this.#attempt(attempt, ready), options)
        } catch (error) {
          output = await this.#lastResort(this.#ours(toFault(error, 'bug')), options)
        }
        if (shared.auth) shared.credential = 'accepted'
      }
      shared.counters.succeeded++
      if (this.#found) this.#intended?.verified()
      else this.#intended?.happened(this.answer?.body)
      if (shared.cache !== undefined) this.#changed()
      if (this.answer?.response.stream === undefined) this.note('ok')
      return output
    } catch (error) {
      const failure = this.#surfaced(toFault(error, 'bug'))
      const kept = this.#visit?.insteadOf(failure)
      if (kept) {
        shared.lastFault = { code: failure.code, at: shared.deps.runtime.clock.now() }
        return await this.#given(kept, this.#visit!.rendered)
      }
      if (this.#trail.attempts.length > 0) shared.counters.failed++
      else shared.counters.refused++
      if (failure.code === 'connection.unauthorized') shared.credential = 'refused'
      if (failure.kind !== 'cancelled') shared.lastFault = { code: failure.code, at: shared.deps.runtime.clock.now() }
      this.#intended?.failed(failure.code, this.#mayHaveHappened(failure))
      if (shared.cache !== undefined && this.#mayHaveHappened(failure)) this.#changed()
      // With fallbacks it is noted when it is known which of them answered.
      if (!fallsBack(this.#ready.spec, this.#options)) this.note(failure.code)
      throw failure
    } finally {
      this.#visit?.end()
    }
  }

  /** A stream that this call has begun is over: `seen` is what its record may show of it. */
  ended(failure: Fault | undefined, seen: Uint8Array): void {
    const { response } = this.#trail
    if (response) this.#trail.response = { ...response, body: seen }
    if (failure && failure.kind !== 'cancelled')
      this.#shared.lastFault = { code: failure.code, at: this.#shared.deps.runtime.clock.now() }
    this.note(failure?.code ?? 'ok')
  }

  /** What is kept and may be given, before anything is spent on the call. */
  #kept(rendered: Rendered): Promise<HttpResponse | undefined> | undefined {
    const shared = this.#shared
    const ready = this.#ready
    const { cache } = shared
    if (ready.cache === undefined || this.#options.resent) return undefined
    this.#visit = Visit.of(cache!, {
      ready,
      rendered,
      auth: shared.auth,
      clock: shared.deps.runtime.clock,
      until: this.#deadline,
      signal: this.#options.signal,
      refreshes: this.#options.refresh === true,
      refresh: () => this.#refreshed(),
    })
    return this.#visit?.look()
  }

  /** The same call once more, behind the back of a caller who has an answer: for nobody, with a time of its own. */
  #refreshed(): Promise<unknown> {
    const { correlation, message } = this.#options
    const options: CallOptions = {
      direct: true,
      refresh: true,
      ...(correlation === undefined ? {} : { correlation }),
      ...(message === undefined ? {} : { message }),
    }
    // Its record says what it fails with.
    return new OneCall(this.#shared, this.#ready, this.#input, options, this.#step).run().catch(() => undefined)
  }

  async #given(response: HttpResponse, rendered: Rendered): Promise<unknown> {
    const ready = this.#ready
    const body = bodyOf(response, ready)
    const output = await outputOf(this.#shared, ready, body, response.body)
    this.answer = { output, body, response, path: rendered.path, kept: true }
    if (this.#trail.sent === undefined) {
      const headers = { ...ready.headers, ...rendered.headers }
      this.#trail.sent = { ready, path: rendered.path, headers, body: rendered.body, signature: undefined }
      this.#trail.response = response
    }
    this.#shared.counters.succeeded++
    this.note('ok')
    return output
  }

  /** What is kept of what this call may have changed is forgotten. */
  #changed(): void {
    if (isSafe(this.#ready.method) || this.#path === '') return
    const { sent, response } = this.#trail
    this.#shared.cache!.changed(this.#path, sent?.ready === this.#ready ? response?.headers : undefined)
  }

  /** Takes over what is known of an earlier beginning of the same call. */
  #doubt(known: Exclude<Known, object>): void {
    if (known === 'nothing') return
    this.#uncertain = 'before'
    this.#trail.before = true
    this.#underway = known === 'underway'
  }

  /** Whether the call ends with its effect in doubt: also when it was sent, and no answer says that it was refused. */
  #mayHaveHappened(failure: Fault): boolean {
    if (this.#uncertain !== undefined || failure.kind === 'ambiguous') return true
    return this.#trail.sent !== undefined && !refusing.has(failure.kind)
  }

  /** Asks `verify`, apart from any call: whether it finds that this call has happened. */
  async verify(): Promise<boolean> {
    const options = { deadline: this.#deadline, classify: this.#ready.judge }
    return this.#shared.pipeline.run((attempt) => this.#verified(attempt), options)
  }

  #rendered(): Rendered | Promise<Rendered> {
    const { key } = this.#trail
    if (key !== undefined && !/^[\x21-\x7e]{1,255}$/.test(key)) {
      const message = 'an idempotency key is 1 to 255 visible ASCII characters'
      throw fault('schema.invalid', { message, detail: { issues: [{ path: 'key', message }] } })
    }
    const { input } = this.#ready.spec
    if (this.#options.as !== undefined) return this.#options.as
    if (input === undefined) return this.#ready.render(this.#input, this.#step)
    const parsed = parse(input, this.#input)
    if (parsed instanceof Promise) return parsed.then((p) => this.#ready.render(p, this.#step))
    return this.#ready.render(parsed, this.#step)
  }

  /** Said at once, not after a wait for a place in the bulkhead: the message can then be held, and nothing was spent on it. */
  #refuseWhileOpen(): void {
    const { state, openUntil } = this.#shared.pipeline.breaker ?? { state: 'closed', openUntil: 0 }
    if (state !== 'open' && state !== 'isolated') return
    const left = openUntil - this.#shared.deps.runtime.clock.mono()
    if (left > 0) throw this.#breakerOpen(left)
  }

  /** No repetition is left, but perhaps time to ask whether it worked. */
  async #lastResort(failure: Fault, options: RunOptions): Promise<unknown> {
    const { pipeline, deps } = this.#shared
    const unknown = this.#uncertain !== undefined && failure.kind === 'ambiguous'
    if (!unknown || !this.#ready.spec.verify || deps.runtime.clock.mono() >= this.#deadline) throw failure
    try {
      if (await pipeline.run((attempt) => this.#verified(attempt), options)) return this.answer!.output
    } catch {
      // It could not be asked: what is known is still the first fault.
    }
    throw failure
  }

  #attempt(attempt: Attempt, rendered: Rendered): Promise<unknown> {
    if (this.#uncertain !== undefined && this.#ready.spec.verify) return this.#askedFirst(attempt, rendered)
    const request = { ready: this.#ready, rendered, verifying: false }
    return this.#send(attempt, request, (response) => this.#taken(response, rendered))
  }

  async #askedFirst(attempt: Attempt, rendered: Rendered): Promise<unknown> {
    if (await this.#verified(attempt)) return this.answer!.output
    if (this.#underway) throw this.#intended!.underway()
    this.#uncertain = undefined
    return this.#attempt(attempt, rendered)
  }

  /** Reads an answer, and keeps it. A promise only where the output schema makes one. */
  #taken(response: Exchanged, { path, conditional }: Rendered): unknown {
    if (response.status === 304 && conditional) {
      this.answer = { output: undefined, body: undefined, response, path, kept: false }
      return undefined
    }
    const streams = this.#ready.protocol?.stream !== undefined
    const body = streams ? undefined : bodyOf(response, this.#ready)
    const output = streams ? undefined : outputOf(this.#shared, this.#ready, body, response.body)
    if (output instanceof Promise) return output.then((checked: unknown) => this.#took(checked, body, response, path))
    return this.#took(output, body, response, path)
  }

  #took(output: unknown, body: unknown, response: Exchanged, path: string): unknown {
    this.answer = { output, body, response, path, kept: false }
    this.#visit?.keep(response, this.#trail.sent!.headers)
    return output
  }

  /** Asks the declared read whether the call has happened, and takes its answer if so. A 404 says that it has not. */
  async #verified(attempt: Attempt): Promise<boolean> {
    const verify = this.#ready.spec.verify!
    const ready = this.#shared.operations.get(verify.call)!
    const input = verify.input(this.#input)
    const rendered = ready.render(ready.spec.input === undefined ? input : await parse(ready.spec.input, input))
    let response: Exchanged
    try {
      response = await this.#send(attempt, { ready, rendered, verifying: true }, itself)
    } catch (error) {
      if (isFault(error, 'connection.not_found')) return false
      throw error
    }
    const body = bodyOf(response, ready)
    const output = verify.found(await outputOf(this.#shared, ready, body, response.body), this.#input)
    if (output === undefined || output === null) return false
    this.#shared.counters.verified++
    this.#uncertain = undefined
    // As the caller gets it: the output schema has made it, or never will.
    this.answer = { output, body: undefined, response, path: rendered.path, kept: false }
    this.#found = true
    return true
  }

  /**
   * One attempt, and what `read` makes of its answer. A second request only where the first is known not to have counted: a stale
   * socket, a refused credential. The answer is read in here because an async function more costs each call a promise or three.
   */
  async #send<T>(attempt: Attempt, request: Request, read: (response: Exchanged) => T | PromiseLike<T>): Promise<T> {
    const shared = this.#shared
    const trail = this.#trail
    const { auth } = shared
    const { http, clock } = shared.deps.runtime
    const { ready, verifying } = request
    const visit = this.#visit
    const signal = this.#options.signal && attempt.signal
    let refused: readonly string[] = none
    let stale = false
    const until = Math.min(attempt.deadline, this.#deadline) - 1
    let credential = auth && (await auth(refused, until))
    for (;;) {
      // 1 ms before the pipeline gives up: the transport knows whether anything was sent, the pipeline does not.
      const from = clock.mono()
      const total = Math.max(1, until - from)
      let response: Exchanged | undefined
      let failure: Fault | undefined
      try {
        const asked = visit === undefined ? request : visit.asked(request, credential)
        const wire = wired(shared, trail, asked, credential, total, signal)
        const send = ready.protocol?.send
        response = await (send ? send(http, wire, this.#options, from) : http.send(wire))
        failure = answered(shared, trail, asked, from, response)
        if (failure === undefined && asked.validating === true && response.status === 304) {
          response = visit!.whole(response)
          if (response === undefined) continue
        }
        // A stream that a rule refuses by its head: nobody will read it.
        if (failure !== undefined) void response?.stream?.chunks.return?.()
      } catch (error) {
        failure = unanswered(shared, trail, request, from, error)
      }
      if (failure === undefined) return read(response!)
      if (failure.code === 'connection.cut' && failure.detail['reused'] === true && ready.repeatable && !stale) {
        stale = true
        continue
      }
      if (failure.code === 'connection.credential' && auth && credential) {
        refused = [...refused, credential.secret]
        shared.cache?.refused(credential)
        const other = refused.length < 2 ? await auth(refused, until) : undefined
        if (other) {
          credential = other
          continue
        }
        shared.credential = 'refused'
      }
      if (!verifying) this.#remember(failure)
      throw failure
    }
  }

  #remember(failure: Fault): void {
    if (failure.kind === 'ambiguous' && !isLasting(failure)) this.#uncertain = failure
    // Under the same key a refusal of what it says is the judgement of the first request too.
    else if (this.#ready.keyed && (failure.kind === 'rejected' || failure.kind === 'conflict'))
      this.#uncertain = undefined
  }

  /** What tells this call from others: its key where it has one. */
  get identity(): string {
    return this.#options.key ?? this.#id
  }

  note(outcome: string, fellBack?: FellBack): void {
    const theirs = this.#step?.path !== undefined
    const of = { id: this.#id, ready: this.#ready, trail: this.#trail, options: this.#options }
    noteCall(this.#shared, of, { theirs, outcome, fellBack, cache: this.#visit?.how })
  }

  /** The words of the pipeline as those of a connection. */
  #ours(f: Fault): Fault {
    if (f.code === 'resilience.breaker_open') return this.#breakerOpen(f.retryAfter ?? 0)
    if (f.code === 'resilience.timeout') {
      const late = named('connection.timeout', this.#ready, f)
      this.#uncertain ??= late
      return late
    }
    const code = refusals[f.code]
    return code === undefined ? f : named(code, this.#ready, f)
  }

  #breakerOpen(left: number): Fault {
    const detail = { connection: this.#ready.connection, operation: this.#ready.name }
    return fault('connection.breaker_open', { detail, retryAfter: Math.max(1, Math.ceil(Math.min(left, 3_600_000))) })
  }

  /**
   * What the caller is told. A fault that says "nothing was sent" must not hide that an earlier attempt may have worked,
   * unless the nature of the call or a key of the caller's own makes another call safe. Without key and `verify` nobody
   * but a person can tell.
   */
  #surfaced(f: Fault): Fault {
    const ready = this.#ready
    const first = this.#uncertain
    if (first === undefined || first === 'before' || ready.natural) return f
    if (ready.keyed && this.#options.key !== undefined) return f
    const code = ready.keyed || ready.spec.verify ? (first.code as Code) : 'connection.unverified'
    if (f.code === code || (f.kind === 'ambiguous' && code !== 'connection.unverified')) return f
    const intent = this.#intended ? { intent: this.#intended.name } : {}
    const detail = { ...first.detail, reason: first.code, last: f.code, ...intent }
    return named(code, ready, fault(code, { detail, cause: f }))
  }
}

/** Where another answer is at hand, nobody waits for a repetition. */
function once(judge: Ready['judge']): Ready['judge'] {
  return (error) => ({ ...judge(error), retry: false })
}

const none: readonly string[] = []

function itself(response: Exchanged): Exchanged {
  return response
}

/** What an answer, or its absence, says so that nothing has happened. */
const refusing: ReadonlySet<FaultKind> = new Set(['transient', 'throttled', 'credential', 'conflict', 'rejected'])

const refusals: Readonly<Record<string, Code>> = {
  'resilience.bulkhead_full': 'connection.overloaded',
  'resilience.limited': 'connection.limited',
  'resilience.deadline': 'connection.deadline',
}
