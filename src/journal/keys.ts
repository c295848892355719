import type { KeyRow, Store } from '#adapters/stores/port.ts'
import { isFault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { GroupCommit } from './commit.ts'

/**
 * Small named values with compare-and-set and expiry: idempotent responses, tokens, breaker state, pauses. A value is
 * text, at most a few KiB by custom; reads are of the store, not of a cache.
 */
export class Keys {
  readonly #runtime: Runtime<Store>
  readonly #commit: GroupCommit

  constructor(runtime: Runtime<Store>, commit: GroupCommit) {
    this.#runtime = runtime
    this.#commit = commit
  }

  get(name: string): Promise<KeyRow | null> {
    return this.#runtime.store.read({ read: 'key', name, now: this.#runtime.clock.now() })
  }

  list(prefix: string): Promise<readonly (KeyRow & { readonly name: string })[]> {
    return this.#runtime.store.read({ read: 'keys', prefix, now: this.#runtime.clock.now() })
  }

  /** Sets the value; returns its new version. `keep`: ms until it expires. */
  async put(name: string, value: string, keep?: number): Promise<number> {
    const expires = keep === undefined ? null : this.#runtime.clock.now() + keep
    const [version] = await this.#commit.add(
      { writes: [{ write: 'put', name, value, expires }] },
      'durable',
      value.length,
    )
    return Number(version)
  }

  /** Sets the value if the key still has `version` (0: absent or expired). False when somebody else was first. */
  async swap(name: string, version: number, value: string, keep?: number): Promise<boolean> {
    const now = this.#runtime.clock.now()
    try {
      await this.#commit.add(
        {
          guards: [{ guard: 'key', name, version, now }],
          writes: [{ write: 'put', name, value, expires: keep === undefined ? null : now + keep }],
        },
        'durable',
        value.length,
      )
      return true
    } catch (e) {
      if (isFault(e, 'journal.conflict')) return false
      throw e
    }
  }

  async drop(name: string): Promise<void> {
    await this.#commit.add({ writes: [{ write: 'drop', name }] }, 'durable')
  }
}
