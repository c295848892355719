import { milliseconds, type Duration } from '#kernel/duration.ts'
import { toFault } from '#kernel/fault.ts'
import type { TopicHandle } from '#kernel/handle.ts'
import { hash53 } from '#kernel/hash.ts'
import type { HttpResponse } from '#kernel/http.ts'
import { parseJson } from '#kernel/json.ts'
import type { Runtime } from '#kernel/runtime.ts'
import { changesOf, leastAnswers, settle, type Severity, type What } from './changes.ts'
import { decodeShape, encodeShape } from './codec.ts'
import { sampleAt } from './sample.ts'
import { Shape } from './shape.ts'

export type DriftOptions = {
  /** At most one answer of each operation and status is looked at in this time. Default 1 minute. */
  readonly every?: Duration
  /** How long, and over at least 50 answers, a shape is learned before anything is told. Default 7 days: a week has its own rhythm. */
  readonly learn?: Duration
  /** Changes are also published here, each once. */
  readonly to?: TopicHandle<Drift>
}

/** A change in what an operation answers: what an operator sees, and what `to` gets. Plain JSON. */
export type Drift = {
  /** Short and stable: the same change has the same id in every process. */
  readonly id: string
  readonly connection: string
  readonly operation: string
  readonly status: number
  /** `items[].price`; `*` stands for names that are data. */
  readonly path: string
  readonly what: What
  readonly severity: Severity
  readonly before?: string
  readonly now?: string
  /** What stands there now: names, words, types. */
  readonly sample?: string
  /** RFC 3339: the first answer that was different, and when that was certain. */
  readonly first: string
  readonly time: string
  /** Answers that had it by then (of what has gone: answers without it), and answers looked at since the first. */
  readonly count: number
  readonly delay: number
}

/** Where shapes are kept and changes told. `swap` is compare-and-set by version, 0 for a name that is not there. */
export type DriftKeep = {
  get(name: string): Promise<{ readonly value: string; readonly version: number } | null>
  swap(name: string, version: number, value: string): Promise<boolean>
  /** Not told a second time while the first has not been accepted; may resolve later. Must not throw. */
  announce(drift: Drift, to: TopicHandle<Drift> | undefined): Promise<void>
}

/** Longest answer that is looked at: parsing 1 MiB takes about 6 ms, once a minute. */
const mostBytes = 1_048_576
/** Statuses of one operation that are learned; further ones are not. */
const mostStatuses = 8
/** What was learned since is lost in a crash. */
const saveEvery = 600_000
const mostText = 262_144

type Watched = {
  readonly name: string
  /** Monotonic: not before. */
  due: number
  shape: Shape | 'unread' | 'reading'
  version: number
  saved: number
}

/**
 * Learns what the operations of one connection answer, status by status, and tells of changes. The calls pay a comparison of two
 * numbers; once in `every` one of them pays for parsing its answer again and taking it in, 50 µs for 1 KB.
 *
 * Processes of a fleet keep one shape a status in the store. Whoever saves second finds the version moved, takes the other's and
 * forgets its own last minutes: a shape is always what one row of answers has taught it.
 */
export class DriftWatch {
  readonly #connection: string
  readonly #runtime: Pick<Runtime, 'clock' | 'log' | 'redact'>
  readonly #keep: DriftKeep
  readonly #every: number
  readonly #learn: number
  readonly #to: TopicHandle<Drift> | undefined
  readonly #watched = new Map<string, Map<number, Watched>>()
  readonly #names = new Map<string, boolean>()
  #writing: Promise<void> = Promise.resolve()

  constructor(
    connection: string,
    options: DriftOptions,
    runtime: Pick<Runtime, 'clock' | 'log' | 'redact'>,
    keep: DriftKeep,
  ) {
    this.#connection = connection
    this.#runtime = runtime
    this.#keep = keep
    this.#every = milliseconds(options.every ?? '1m')
    this.#learn = milliseconds(options.learn ?? '7d')
    this.#to = options.to
  }

  /** `mono`: about now, monotonic. */
  look(operation: string, response: HttpResponse, mono: number): void {
    const { status } = response
    const watched = this.#watched.get(operation)?.get(status) ?? this.#watch(operation, status)
    if (watched === undefined || mono < watched.due) return
    watched.due = mono + this.#every
    if (typeof watched.shape === 'string') return this.#read(watched)
    const { body } = response
    if (body.byteLength === 0 || body.byteLength > mostBytes) return
    let answer: unknown
    try {
      answer = parseJson(body)
    } catch {
      // Not JSON: the call itself says so where that is wrong.
      return
    }
    this.#take(operation, status, watched, watched.shape, answer)
  }

  /** Saves what was learned and waits until it is saved. Does not reject. */
  async save(): Promise<void> {
    for (const statuses of this.#watched.values()) for (const w of statuses.values()) this.#save(w)
    await this.#writing
  }

  #watch(operation: string, status: number): Watched | undefined {
    let statuses = this.#watched.get(operation)
    if (!statuses) this.#watched.set(operation, (statuses = new Map()))
    if (statuses.size >= mostStatuses) return undefined
    const name = `drift/shape/${this.#connection}/${operation}/${status}`
    const watched: Watched = { name, due: 0, shape: 'unread', version: 0, saved: 0 }
    statuses.set(status, watched)
    return watched
  }

  /** This answer is not looked at; what is known is read meanwhile. */
  #read(w: Watched): void {
    if (w.shape !== 'unread') return
    w.shape = 'reading'
    w.due = 0
    this.#then(async () => {
      try {
        await this.#load(w)
      } finally {
        if (typeof w.shape === 'string') w.shape = 'unread'
      }
    })
  }

  async #load(w: Watched): Promise<void> {
    const { clock } = this.#runtime
    const stored = await this.#keep.get(w.name)
    w.version = stored?.version ?? 0
    w.shape = (stored && decodeShape(stored.value, this.#hidden)) ?? new Shape(clock.now(), this.#hidden)
    w.saved = clock.mono()
  }

  #take(operation: string, status: number, w: Watched, shape: Shape, answer: unknown): void {
    const { clock } = this.#runtime
    const now = clock.now()
    shape.learn(answer, now)
    if (!shape.settled) {
      if (shape.answers >= leastAnswers && now - shape.born >= this.#learn) settle(shape)
    } else {
      for (const { path, what, severity, first, time, ...rest } of changesOf(shape, now)) {
        const sample = what === 'field-gone' ? undefined : sampleAt(answer, path, this.#hidden)
        const drift: Drift = {
          id: hash53([this.#connection, operation, status, path, what, rest.now].join(' ')).toString(36),
          connection: this.#connection,
          operation,
          status,
          path,
          what,
          severity,
          ...rest,
          ...(sample === undefined ? {} : { sample }),
          first: new Date(first).toISOString(),
          time: new Date(time).toISOString(),
        }
        this.#then(() => this.#keep.announce(drift, this.#to))
        w.saved = Number.NEGATIVE_INFINITY
      }
    }
    if (clock.mono() - w.saved >= saveEvery) this.#save(w)
  }

  #save(w: Watched): void {
    const { shape } = w
    if (typeof shape === 'string') return
    w.saved = this.#runtime.clock.mono()
    this.#then(async () => {
      const text = encodeShape(shape)
      if (text.length > mostText) return
      if (await this.#keep.swap(w.name, w.version, text)) w.version++
      else await this.#load(w)
    })
  }

  /** One after the other; what fails is told, and tried again with the next. */
  #then(work: () => Promise<void>): void {
    this.#writing = this.#writing.then(work).catch((error: unknown) => {
      const { message } = toFault(error, 'bug')
      this.#runtime.log.write('warn', 'connection.drift_unsaved', { connection: this.#connection, fault: message })
    })
  }

  /** Whether values of this name are masked. Answers are remembered, at most 4,096 of them. */
  readonly #hidden = (name: string): boolean => {
    let known = this.#names.get(name)
    if (known === undefined) {
      const tried = this.#runtime.redact.value({ [name]: 'x' }) as Readonly<Record<string, unknown>>
      known = tried[name] !== 'x'
      if (this.#names.size >= 4_096) this.#names.clear()
      this.#names.set(name, known)
    }
    return known
  }
}
