import type { Keys } from '#journal/keys.ts'

const prefix = 'scopes/'

/** Operations of a connection that have been called since it was first run: name → when first (wall-clock milliseconds). */
export type Used = Readonly<Record<string, number>>

/**
 * Which operations with scopes are ever called, durable: one write for the first call of each. What a crash loses is written
 * with the next call.
 */
export class ScopeUse {
  readonly #keys: Keys
  readonly #seen = new Set<string>()

  constructor(keys: Keys) {
    this.#keys = keys
  }

  called(connection: string, operation: string, now: number): void {
    const name = `${connection}/${operation}`
    if (this.#seen.has(name)) return
    this.#seen.add(name)
    this.#note(connection, operation, now).catch(() => this.#seen.delete(name))
  }

  async of(connection: string): Promise<Used> {
    const row = await this.#keys.get(prefix + connection)
    return row ? (JSON.parse(row.value) as Used) : {}
  }

  async #note(connection: string, operation: string, now: number): Promise<void> {
    for (;;) {
      const row = await this.#keys.get(prefix + connection)
      const used = row ? (JSON.parse(row.value) as Used) : {}
      if (Object.hasOwn(used, operation)) return
      const value = JSON.stringify({ ...used, [operation]: now })
      if (await this.#keys.swap(prefix + connection, row?.version ?? 0, value)) return
    }
  }
}
