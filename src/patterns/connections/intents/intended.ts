import type { Intents } from '#journal/intents.ts'
import { fault, isFault, type Fault } from '#kernel/fault.ts'
import type { CallOptions } from '../call.ts'
import type { Ready, Rendered } from '../operation.ts'
import type { Shared } from '../run.ts'
import {
  fingerprintOf,
  intentName,
  keptAnswer,
  keptInput,
  meaning,
  operationOf,
  type Intent,
  type Known,
} from './intent.ts'

/** Others that begin or settle the same intent meanwhile: each loses to at most one of them. */
const mostTries = 10

/** Where intents are kept, and whether also of calls that belong to no message: nobody but a person asks for those again. */
export type IntentDeps = { readonly store: Intents; readonly unbound: boolean }

/** Whether a call is written down before it is sent. What may be repeated freely is not, nor what leaves nothing to be found. */
export function isIntended(ready: Ready, options: CallOptions, intents: IntentDeps | undefined): boolean {
  return (
    ready.risky &&
    intents !== undefined &&
    options.resent !== true &&
    (options.message !== undefined || intents.unbound)
  )
}

/** The intent of one call, from before it is sent until it has ended. */
export class Intended {
  readonly name: string
  readonly #shared: Shared
  readonly #ready: Ready
  readonly #input: unknown
  readonly #options: CallOptions
  /** Wall-clock milliseconds. */
  readonly #until: number
  #version: number | undefined
  #intent: Intent | undefined
  #listed = false
  /** When whoever began it before gives up. */
  #before = 0

  constructor(shared: Shared, ready: Ready, input: unknown, options: CallOptions, of: { id: string; until: number }) {
    this.#shared = shared
    this.#ready = ready
    this.#input = input
    this.#options = options
    this.#until = of.until
    this.name = intentName(ready, options.key ?? of.id)
  }

  /**
   * Writes down what is about to be sent. Resolves to what is known of the same call, undefined when it was never begun. Without
   * key and `verify` a call that may have happened is not begun again: `connection.unverified`, and it is listed for a person;
   * while it may still be on its way, `connection.underway`.
   */
  async begin(rendered: Rendered): Promise<Known | undefined> {
    const { store } = this.#shared.deps.intents!
    const { clock } = this.#shared.deps.runtime
    const { keyed, spec } = this.#ready
    const fingerprint = fingerprintOf(this.#ready, rendered)
    let found: Intent | undefined
    let version = 0
    for (let tries = 0; tries < mostTries; tries++) {
      const known = found && meaning(this.name, found, fingerprint, clock.now())
      if (typeof known === 'object') return known
      const intent = this.#written(rendered, fingerprint, found)
      if (!keyed && spec.verify === undefined) {
        if (known === 'underway') throw this.underway(found!.until)
        if (known === 'maybe') {
          this.#version = version
          this.#intent = intent
          throw fault('connection.unverified', { detail: { ...operationOf(this.name), intent: this.name } })
        }
      }
      const list = this.#options.message === undefined
      try {
        this.#version = await store.begin(this.name, version, JSON.stringify(intent), list)
        this.#intent = intent
        this.#listed = list
        this.#before = found?.until ?? 0
        return known
      } catch (e) {
        if (!isFault(e, 'journal.conflict')) throw e
      }
      const row = await store.find(this.name)
      found = row === null ? undefined : (JSON.parse(row.value) as Intent)
      version = row?.version ?? 0
    }
    throw fault('journal.conflict', { detail: { intent: this.name } })
  }

  /** Waits for the end of who began it before, `until` (wall-clock milliseconds) at the latest. */
  underway(until = this.#before): Fault {
    const retryAfter = Math.max(1, until - this.#shared.deps.runtime.clock.now())
    return fault('connection.underway', { retryAfter, detail: { ...operationOf(this.name), intent: this.name } })
  }

  /** It has happened, and this is what was answered. */
  happened(body: unknown): void {
    const answer = keptAnswer(body)
    this.#settle('happened', answer === undefined ? {} : { answer })
  }

  /** It has happened, as `verify` says: whoever makes it again asks that once more, since what it finds is not what they answered. */
  verified(): void {
    this.#settle('happened', {})
  }

  /** It ended with a fault; `maybe`: and may have happened all the same. */
  failed(code: string, maybe: boolean): void {
    this.#settle(maybe ? 'unknown' : 'nothing', { code })
  }

  #settle(outcome: NonNullable<Intent['outcome']>, more: Pick<Intent, 'answer' | 'code'>): void {
    if (this.#version === undefined || this.#intent === undefined) return
    const open = outcome === 'unknown'
    // Nobody else knows the key of a call that came with none.
    const kept = open || this.#options.key !== undefined
    const ready = this.#ready
    const decided = open && (this.#options.message === undefined || (!ready.keyed && ready.spec.verify === undefined))
    this.#shared.deps.intents!.store.settle(this.name, this.#version, {
      value: kept ? JSON.stringify({ ...this.#intent, outcome, ...more }) : undefined,
      open,
      listed: this.#listed,
      list: decided,
    })
    this.#version = undefined
  }

  /** Method, path and input are kept only where a person, or `verify`, may have to ask what they were. */
  #written(rendered: Rendered, fingerprint: string, before: Intent | undefined): Intent {
    const { message, correlation } = this.#options
    const { keyed, spec, method } = this.#ready
    const asked = message === undefined || (!keyed && spec.verify === undefined)
    const input = asked ? keptInput(this.#input) : undefined
    return {
      fingerprint,
      begun: (before?.begun ?? 0) + 1,
      at: before?.at ?? this.#shared.deps.runtime.clock.now(),
      until: this.#until,
      ...(message === undefined ? {} : { message }),
      ...(correlation === undefined ? {} : { correlation }),
      ...(asked ? { line: `${method} ${rendered.path}` } : {}),
      ...(input === undefined ? {} : { input }),
    }
  }
}
