import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'

export type Row = Readonly<Record<string, unknown>>

/** Statements by their text, each prepared once. */
export class Statements {
  readonly #db: DatabaseSync
  readonly #known = new Map<string, StatementSync>()

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  run(text: string, ...values: SQLInputValue[]): number {
    return Number(this.#prepare(text).run(...values).changes)
  }

  get(text: string, ...values: SQLInputValue[]): Row | undefined {
    const s = this.#prepare(text)
    return tolerant(s, () => s.get(...values))
  }

  all(text: string, ...values: SQLInputValue[]): Row[] {
    const s = this.#prepare(text)
    return tolerant(s, () => s.all(...values))
  }

  #prepare(text: string): StatementSync {
    let s = this.#known.get(text)
    if (!s) this.#known.set(text, (s = this.#db.prepare(text)))
    return s
  }
}

/**
 * A number beyond 2^53 was not written by us, and Node refuses to read it. A damaged row must not make those beside it
 * unreadable: then all numbers are read as bigint, and what is not safe stays one.
 */
export function tolerant<T>(s: StatementSync, read: () => T): T {
  try {
    return read()
  } catch (e) {
    if ((e as { code?: unknown }).code !== 'ERR_OUT_OF_RANGE') throw e
  }
  s.setReadBigInts(true)
  try {
    return safe(read()) as T
  } finally {
    s.setReadBigInts(false)
  }
}

function safe(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (Array.isArray(value)) return value.map(safe)
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, safe(v)]))
}
