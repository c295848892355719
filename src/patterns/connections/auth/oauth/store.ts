import type { Runtime } from '#kernel/runtime.ts'
import type { Secret } from '#kernel/secret.ts'
import type { Keys } from '#journal/keys.ts'
import { readGrant, readRow, tokenKeyOf, type Grant, type TokenRow } from './row.ts'
import { Sealer } from './sealer.ts'

export type TokenKeys = Pick<Keys, 'get' | 'swap'>

/** What the store says. `version` 0: nothing. */
export type Seen = {
  readonly version: number
  readonly row: TokenRow | undefined
  readonly grant: Grant | undefined
}

export type Lease = { release(): Promise<void> }

/** For so long one process may renew alone: it makes at most two requests of 15 s, one for each current client secret. */
const leased = 45_000

/**
 * The token of one connection in the journal's keys: compare-and-set, so that of two writers one notices; sealed, so that a
 * copy of the store gives nothing away and a row cannot be moved to another connection. Without a key only its state is kept.
 */
export class TokenStore {
  readonly #connection: string
  readonly #sealer: Sealer | undefined
  readonly #keys: TokenKeys
  readonly #runtime: Pick<Runtime, 'clock' | 'random' | 'ids' | 'secrets' | 'redact'>

  constructor(
    connection: string,
    tokenKey: Secret | undefined,
    keys: TokenKeys,
    runtime: Pick<Runtime, 'clock' | 'random' | 'ids' | 'secrets' | 'redact'>,
  ) {
    this.#connection = connection
    this.#sealer = tokenKey && new Sealer('token', connection, tokenKey, runtime)
    this.#keys = keys
    this.#runtime = runtime
  }

  /** Whether tokens are kept, and with that shared. */
  get keeps(): boolean {
    return this.#sealer !== undefined
  }

  async read(): Promise<Seen> {
    const stored = await this.#keys.get(tokenKeyOf(this.#connection))
    const row = stored ? readRow(stored.value) : undefined
    const opened = row?.sealed === undefined ? undefined : await this.#sealer?.unseal(row.sealed)
    return { version: stored?.version ?? 0, row, grant: readGrant(opened) }
  }

  /** Durable when it resolves. False when somebody else has written since `version` was read. */
  async write(version: number, row: Omit<TokenRow, 'sealed'>, grant: Grant | undefined): Promise<boolean> {
    const sealed = grant && this.#sealer ? { sealed: await this.#sealer.seal(grant) } : {}
    const value: TokenRow = { ...row, ...sealed }
    return this.#keys.swap(tokenKeyOf(this.#connection), version, JSON.stringify(value))
  }

  /** The right to renew, for 45 s; undefined while another process has it. */
  async lease(): Promise<Lease | undefined> {
    const name = `token-lease/${this.#connection}`
    const mine = this.#runtime.ids.next()
    if (!(await this.#keys.swap(name, 0, mine, leased))) return undefined
    return {
      release: async () => {
        const row = await this.#keys.get(name)
        // Ours may have ended, and be another's by now.
        if (row?.value === mine) await this.#keys.swap(name, row.version, '', 0)
      },
    }
  }
}
