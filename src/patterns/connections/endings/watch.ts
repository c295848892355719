import { toFault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { ApiVersion } from './version.ts'
import { endingOf, type Ending } from './headers.ts'

/** What is known of the end of an operation, as it is stored; dates are RFC 3339. */
export type StoredEnding = {
  readonly connection: string
  readonly operation: string
  readonly deprecated?: string | true
  readonly sunset?: string
  readonly link?: string
  /** First and last day on which an answer said so. */
  readonly first: string
  readonly last: string
}

/** Where endings are kept: compare-and-set by version, 0 for a name that is not there; `keep` in milliseconds. */
export type EndingKeep = {
  get(name: string): Promise<{ readonly value: string; readonly version: number } | null>
  swap(name: string, version: number, value: string, keep: number): Promise<boolean>
}

const day = 86_400_000
/** What was not said again for so long is no longer true. */
export const endingKept = 90 * day
/** Days before an end on which it is told, once each by every process. */
const warnings = [90, 30, 7, 1]

export function endingKey(connection: string, operation: string): string {
  return `ending/${connection}/${operation}`
}

/**
 * Collects what the answers of one connection say about their own end (Deprecation, Sunset), and tells of it: when it is first
 * said or moved, and 90, 30, 7 and 1 days before the end. An answer that says nothing costs three comparisons.
 */
export class EndingWatch {
  readonly #connection: string
  readonly #runtime: Pick<Runtime, 'clock' | 'log'>
  readonly #keep: EndingKeep
  readonly #ends: number | undefined
  /** Monotonic: the next look at the declared end. */
  #due: number
  readonly #seen = new Map<string, { readonly said: string; readonly until: number }>()
  readonly #warned = new Set<string>()
  #writing: Promise<void> = Promise.resolve()

  constructor(
    connection: string,
    version: ApiVersion | undefined,
    runtime: Pick<Runtime, 'clock' | 'log'>,
    keep: EndingKeep,
  ) {
    this.#connection = connection
    this.#runtime = runtime
    this.#keep = keep
    this.#ends = version?.ends === undefined ? undefined : Date.parse(version.ends)
    this.#due = this.#ends === undefined ? Number.POSITIVE_INFINITY : 0
  }

  look(operation: string, headers: Readonly<Record<string, string>>, mono: number): void {
    if (mono >= this.#due) {
      this.#due = mono + day
      this.#warn('declared', this.#ends!, undefined)
    }
    if (headers['deprecation'] === undefined && headers['sunset'] === undefined && headers['link'] === undefined) return
    const now = this.#runtime.clock.now()
    const ending = endingOf(headers, now)
    if (ending === undefined) return
    const said = JSON.stringify(ending)
    const before = this.#seen.get(operation)
    if (before && before.said === said && now < before.until) return
    this.#seen.set(operation, { said, until: now + day })
    if (ending.sunset !== undefined) this.#warn(operation, ending.sunset, operation)
    this.#writing = this.#writing.then(() => this.#store(operation, ending, now))
  }

  /** Waits until everything is written. Does not reject. */
  saved(): Promise<void> {
    return this.#writing
  }

  async #store(operation: string, { deprecated, sunset, link }: Ending, now: number): Promise<void> {
    const name = endingKey(this.#connection, operation)
    const time = new Date(now).toISOString()
    try {
      const stored = await this.#keep.get(name)
      const before = stored ? (JSON.parse(stored.value) as StoredEnding) : undefined
      const next: StoredEnding = {
        connection: this.#connection,
        operation,
        ...(deprecated === undefined ? {} : { deprecated: deprecated === true || new Date(deprecated).toISOString() }),
        ...(sunset === undefined ? {} : { sunset: new Date(sunset).toISOString() }),
        ...(link === undefined ? {} : { link }),
        first: before?.first ?? time,
        last: time,
      }
      // Another process was first: it says the same.
      if (!(await this.#keep.swap(name, stored?.version ?? 0, JSON.stringify(next), endingKept))) return
      if (before && before.deprecated === next.deprecated && before.sunset === next.sunset) return
      const { first: _first, last: _last, ...told } = next
      this.#runtime.log.write('warn', 'connection.deprecated', told)
    } catch (error) {
      const fault = toFault(error, 'bug').message
      this.#runtime.log.write('warn', 'connection.deprecated_unsaved', {
        connection: this.#connection,
        operation,
        fault,
      })
    }
  }

  #warn(what: string, at: number, operation: string | undefined): void {
    const left = Math.ceil((at - this.#runtime.clock.now()) / day)
    const step = warnings.findLast((days) => left <= days)
    if (step === undefined || this.#warned.has(`${what} ${at} ${step}`)) return
    this.#warned.add(`${what} ${at} ${step}`)
    this.#runtime.log.write(left <= 7 ? 'error' : 'warn', 'connection.ends', {
      connection: this.#connection,
      ...(operation === undefined ? {} : { operation }),
      ends: new Date(at).toISOString(),
      days: left,
    })
  }
}
