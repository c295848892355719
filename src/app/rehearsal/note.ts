import { createHash } from 'node:crypto'
import type { Stored } from '#adapters/stores/port.ts'
import { faultRecord, type Fault, type FaultRecord } from '#kernel/fault.ts'
import type { CallRecord } from '#patterns/connections/records/record.ts'
import type { OperationDeps } from '../operations/deps.ts'
import { derivedId } from '../context.ts'
import { mayHaveHappened, sameRequest } from './first-calls.ts'
import type { NotedCall, NotedPublish, NotingVerbs } from './verbs.ts'

/**
 * Against what the first run did. `same`: it would be recognised and not be done again. `different`: under the same id or key, with other
 * content. `new`: it would be done. `missing`: the first run did it, this one does not. `unknown`: there is no record to compare with any
 * more, or it is a delayed message that is not in the log yet.
 */
export type Verdict = 'same' | 'different' | 'new' | 'missing' | 'unknown'

/** Data is masked, and absent where it is longer than 4,096 characters. */
export type RehearsedEffect =
  | {
      readonly publish: string
      readonly id: string
      readonly verdict: Verdict
      readonly now?: unknown
      readonly before?: unknown
    }
  | {
      /** `payments.charge` */
      readonly call: string
      /** `POST /charges` */
      readonly line: string
      readonly key?: string
      readonly verdict: Verdict
      readonly now?: string
      readonly before?: string
    }

export type RehearsedMessage = {
  readonly position: string
  readonly id: string
  /** `unanswered`: it asked for something of which no answer is on record, so what comes after is not known. */
  readonly outcome: 'same' | 'different' | 'failed' | 'unanswered'
  readonly fault?: FaultRecord
  /** It wrote through ctx.tx: rolled back, and not compared. */
  readonly transaction: boolean
  readonly effects: readonly RehearsedEffect[]
}

/** Whose effects they are. */
export type Owner = {
  readonly topic: string
  readonly subscription: string
  /** No other subscription reads the topic: whatever a message of it has caused, this one did. */
  readonly alone: boolean
}

/** Derived ids that are looked for when one was hashed: the order of the effects counts them from 1. */
const counted = 20
const shownBody = 4_096

/** What the rehearsal of one message has shown. Of bodies it keeps a digest, and what a person may see. */
export class Note {
  readonly id: string
  readonly time: number
  readonly #position: string
  readonly #owner: Owner
  readonly #deps: OperationDeps
  readonly #ended: { readonly fault: Fault | undefined; readonly transaction: boolean }
  readonly #unanswered: boolean
  readonly #calls: readonly RehearsedEffect[]
  readonly #publishes: readonly Published[]
  readonly #missing: RehearsedEffect[] = []

  constructor(
    deps: OperationDeps,
    owner: Owner,
    of: {
      readonly position: string
      readonly message: Stored
      readonly verbs: NotingVerbs
      readonly ended: { readonly fault: Fault | undefined; readonly transaction: boolean }
      /** Call records reach back to the message. */
      readonly recorded: boolean
    },
  ) {
    const { verbs, message } = of
    this.id = message.id
    this.time = message.time
    this.#deps = deps
    this.#owner = owner
    this.#position = of.position
    this.#ended = of.ended
    this.#unanswered = verbs.unanswered.length > 0
    const complete = of.ended.fault === undefined && !this.#unanswered
    this.#calls = [
      ...verbs.calls.map((c) => callEffect(c, of.recorded)),
      // Of a run that was not followed to its end nothing is missing.
      ...(complete ? verbs.unmatched.filter((r) => mayHaveHappened(r) && this.#made(r)).map(missedCall) : []),
    ]
    this.#publishes = verbs.publishes.map((p) => new Published(deps, p))
  }

  /** Ids that this run would publish under. */
  get published(): readonly { readonly topic: string; readonly id: string }[] {
    return this.#publishes
  }

  /** A message that stands in the log under an id of ours, or was caused by our message. */
  found(topic: string, m: Stored): void {
    const mine = this.#publishes.filter((p) => p.topic === topic && p.id === m.id)
    for (const p of mine) p.found(m)
    if (mine.length > 0 || this.#ended.fault !== undefined || this.#unanswered || !this.#caused(topic, m.id)) return
    const before = shown(this.#deps, m.body)
    this.#missing.push({ publish: topic, id: m.id, verdict: 'missing', ...(before === undefined ? {} : { before }) })
  }

  shown(): RehearsedMessage {
    const effects = [...this.#calls, ...this.#publishes.map((p) => p.effect()), ...this.#missing]
    const { fault, transaction } = this.#ended
    const same = effects.every((e) => e.verdict === 'same')
    return {
      position: this.#position,
      id: this.id,
      outcome: this.#unanswered ? 'unanswered' : fault ? 'failed' : same ? 'same' : 'different',
      ...(fault === undefined ? {} : { fault: this.#deps.runtime.redact.value(faultRecord(fault)) as FaultRecord }),
      transaction,
      effects,
    }
  }

  /** Whether the call was made by this subscription, and not by another reader of the message. */
  #made({ key, connection, operation }: CallRecord): boolean {
    return this.#owner.alone || (key !== undefined && this.#derives(key, `${connection}.${operation}`))
  }

  #caused(topic: string, id: string): boolean {
    return this.#owner.alone || this.#derives(id, topic) || this.#derives(id, 'tx')
  }

  #derives(id: string, what: string): boolean {
    const { topic, subscription } = this.#owner
    for (let n = 1; n <= counted; n++) if (derivedId(topic, this.id, subscription, what, n) === id) return true
    return false
  }
}

/** A publish that was noted, and what stands in the log under its id. */
class Published {
  readonly topic: string
  readonly id: string
  readonly #deps: OperationDeps
  readonly #digest: string
  readonly #key: string | null
  readonly #now: unknown
  #verdict: Verdict
  #before: unknown

  constructor(deps: OperationDeps, { topic, draft, delayed }: NotedPublish) {
    this.topic = topic
    this.id = draft.id
    this.#deps = deps
    this.#digest = digest(draft.body)
    this.#key = draft.key
    this.#now = shown(deps, draft.body)
    this.#verdict = delayed ? 'unknown' : 'new'
  }

  found(m: Stored): void {
    const same = this.#digest === digest(m.body) && this.#key === m.key
    this.#verdict = same ? 'same' : 'different'
    if (!same) this.#before = shown(this.#deps, m.body)
  }

  effect(): RehearsedEffect {
    const { topic: publish, id } = this
    return {
      publish,
      id,
      verdict: this.#verdict,
      ...(this.#now === undefined ? {} : { now: this.#now }),
      ...(this.#before === undefined ? {} : { before: this.#before }),
    }
  }
}

function callEffect({ record, first }: NotedCall, recorded: boolean): RehearsedEffect {
  const verdict = first ? (sameRequest(first, record) ? 'same' : 'different') : recorded ? 'new' : 'unknown'
  const { body: now } = record.request
  const before = verdict === 'different' ? first?.request.body : undefined
  return {
    ...nameOf(record),
    verdict,
    ...(now === undefined ? {} : { now }),
    ...(before === undefined ? {} : { before }),
  }
}

function missedCall(record: CallRecord): RehearsedEffect {
  const { body: before } = record.request
  return { ...nameOf(record), verdict: 'missing', ...(before === undefined ? {} : { before }) }
}

function nameOf({ connection, operation, method, path, key }: CallRecord) {
  return { call: `${connection}.${operation}`, line: `${method} ${path}`, ...(key === undefined ? {} : { key }) }
}

function digest(body: string | Uint8Array): string {
  return createHash('sha256').update(body).digest('base64')
}

function shown(deps: OperationDeps, body: string | Uint8Array): unknown {
  if (body.length > shownBody) return undefined
  return deps.runtime.redact.value(typeof body === 'string' ? JSON.parse(body) : body)
}
