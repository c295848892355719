import { fault, isFault, type Fault } from '#kernel/fault.ts'
import { parseJsonText } from '#kernel/json.ts'
import { SecretValue, type Secrets } from '#kernel/secret.ts'
import type { Common } from './options.ts'
import type { SecretsRuntime } from './port.ts'

/** One version of what a source holds under one address: a text, or named texts. */
export type Document = string | Readonly<Record<string, unknown>>

/** Where a secret stands: what is asked for, and which field of it. Absent field: the whole text, or the source's own default. */
export type Place = { readonly item: string; readonly field?: string }

/** What differs between the sources. */
export type Source = {
  readonly kind: string
  /** Reads an address as it was configured; undefined when it is none. */
  locate(address: string): Place | undefined
  /**
   * The current versions, newest first. Rejects with `config.secret` when there is none or it may not be read (then the old
   * value is given up at once), with `secret.unavailable` when nobody could say (then it is kept for a while).
   */
  fetch(item: string): Promise<readonly Document[]>
}

type Held = {
  readonly item: string
  documents: readonly Document[]
  /** When they were read, monotonic. */
  at: number
  /** By name of the secret: the same promise for every caller, so that a read that is served from memory makes nothing. */
  values: Map<string, Promise<readonly SecretValue[]>>
  reading: Promise<void> | undefined
  failures: number
  failure: Fault | undefined
  /** Not asked again before, monotonic. */
  next: number
}

/** Longest pause after failures, milliseconds. */
const longestPause = 60_000

/**
 * What every source that must be asked shares. Younger than `refresh` a value is served from memory. Up to twice that it is
 * served while it is read anew, so that no call waits for a vault; older ones are waited for. While the source is away the
 * last good value serves, until it is `keep` old. One request at a time for one item, whoever asks, and after failures with
 * growing pauses (1 s to 1 min, never longer than `refresh`).
 */
export class SecretCache implements Secrets {
  readonly #source: Source
  readonly #common: Common
  readonly #runtime: SecretsRuntime
  readonly #places = new Map<string, Place>()
  readonly #held = new Map<string, Held>()

  constructor(source: Source, common: Common, runtime: SecretsRuntime) {
    this.#source = source
    this.#common = common
    this.#runtime = runtime
  }

  read(name: string): Promise<readonly SecretValue[]> {
    const place = this.#places.get(name) ?? this.#locate(name)
    if (!place) return Promise.reject(missing(name, 'is not a name that this source can hold'))
    const held = this.#held.get(place.item) ?? this.#hold(place.item)
    const age = this.#runtime.clock.mono() - held.at
    if (age < this.#common.refresh) return this.#values(held, name, place)
    const reading = this.#refresh(held)
    // Known to be away: nobody waits for the next failure while a last good value may serve.
    const known = age < 2 * this.#common.refresh || (held.failures > 0 && age < this.#common.keep)
    if (known) return this.#values(held, name, place)
    return this.#afterwards(reading, held, name, place)
  }

  async #afterwards(
    reading: Promise<void> | undefined,
    held: Held,
    name: string,
    place: Place,
  ): Promise<readonly SecretValue[]> {
    await reading
    const age = this.#runtime.clock.mono() - held.at
    if (age < this.#common.keep) return this.#values(held, name, place)
    const { code, message, detail } = held.failure ?? fault('secret.unavailable')
    // A fault of its own for each secret: what could not be asked may hold several.
    throw fault(code === 'config.secret' ? code : 'secret.unavailable', {
      message: `the secret ${name} cannot be read from ${this.#source.kind}: ${message}`,
      detail: { ...detail, secret: name, source: this.#source.kind },
      cause: held.failure?.cause,
    })
  }

  #locate(name: string): Place | undefined {
    const place = this.#source.locate(this.#common.names.get(name) ?? name)
    if (place) this.#places.set(name, place)
    return place
  }

  #hold(item: string): Held {
    const held: Held = {
      item,
      documents: [],
      at: Number.NEGATIVE_INFINITY,
      values: new Map(),
      reading: undefined,
      failures: 0,
      failure: undefined,
      next: Number.NEGATIVE_INFINITY,
    }
    this.#held.set(item, held)
    return held
  }

  #values(held: Held, name: string, place: Place): Promise<readonly SecretValue[]> {
    let values = held.values.get(name)
    if (!values) {
      values = Promise.resolve(held.documents).then((documents) => this.#pick(documents, name, place))
      // Whoever asks sees it.
      values.catch(() => undefined)
      held.values.set(name, values)
    }
    return values
  }

  #pick(documents: readonly Document[], name: string, place: Place): readonly SecretValue[] {
    const values: SecretValue[] = []
    for (const [i, document] of documents.entries()) {
      const value = textOf(document, place.field)
      if (value === undefined) {
        // An older version may have had other fields; the current one decides.
        if (i > 0) continue
        const what = place.field === undefined ? 'a text' : `a text in its field "${place.field}"`
        throw missing(name, `is not ${what}`)
      }
      this.#runtime.redact.learn(value)
      if (!values.some((v) => v.reveal() === value)) values.push(new SecretValue(name, value))
    }
    return values
  }

  /** The read under way, a new one, or nothing while it is too early to try again. Never rejects. */
  #refresh(held: Held): Promise<void> | undefined {
    if (!held.reading && this.#runtime.clock.mono() < held.next) return undefined
    held.reading ??= this.#read(held).finally(() => (held.reading = undefined))
    return held.reading
  }

  async #read(held: Held): Promise<void> {
    const { clock, random, log } = this.#runtime
    // The answer may be older than its arrival, not older than the question.
    const asked = clock.mono()
    const source = this.#source.kind
    try {
      const documents = await this.#source.fetch(held.item)
      held.documents = documents
      held.values = new Map()
      held.at = asked
      if (held.failures > 0) log.write('info', 'secrets.back', { source, item: held.item })
      held.failures = 0
      held.failure = undefined
    } catch (e) {
      const gone = isFault(e, 'config.secret')
      held.failure = isFault(e) ? e : fault('secret.unavailable', { message: 'it could not be asked', cause: e })
      if (gone) {
        held.at = Number.NEGATIVE_INFINITY
        held.documents = []
        held.values = new Map()
      }
      if (held.failures === 0) {
        log.write('warn', 'secrets.failed', {
          source,
          item: held.item,
          code: held.failure.code,
          reason: held.failure.message,
        })
      }
      const pause = Math.min(this.#common.refresh, longestPause, 1_000 * 2 ** Math.min(held.failures, 10))
      held.failures++
      held.next = clock.mono() + pause * (1 + random.float() / 4)
    }
  }
}

/** The text, or the text under an own field of the document; a document that is a text is JSON where a field is asked for. */
function textOf(document: Document, field: string | undefined): string | undefined {
  let found: unknown = document
  if (field !== undefined) {
    const fields = typeof document === 'string' ? parsed(document) : document
    found =
      typeof fields === 'object' && fields !== null && Object.hasOwn(fields, field)
        ? (fields as Record<string, unknown>)[field]
        : undefined
  }
  return typeof found === 'string' && found !== '' ? found : undefined
}

function parsed(text: string): unknown {
  try {
    return parseJsonText(text)
  } catch {
    return undefined
  }
}

function missing(name: string, why: string): Fault {
  return fault('config.secret', { message: `the secret ${name} ${why}`, detail: { secret: name } })
}

/** `billing/payments#key`: what is asked for, and the field of it. */
export function placeOf(address: string): Place {
  const at = address.indexOf('#')
  return at < 0 ? { item: address } : { item: address.slice(0, at), field: address.slice(at + 1) }
}
