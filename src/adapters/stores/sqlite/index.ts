import type { DatabaseSync } from 'node:sqlite'
import { wait, type Clock } from '#kernel/clock.ts'
import { fault } from '#kernel/fault.ts'
import type { Sql, SqlRow } from '#kernel/sql.ts'
import type { Outcome, Read, ReadResult, Store, StoreAdapter, StoreCan, StoreTransaction, Sync, Unit } from '../port.ts'
import { Apply } from './apply.ts'
import { Checkpointer } from './checkpoint.ts'
import { primaryCode, storeFault } from './errors.ts'
import { openFile } from './file.ts'
import { Heads } from './heads.ts'
import { Reader } from './read.ts'
import { WalSync } from './sync.ts'

/** How long a commit waits for another process that holds the write lock. */
const busyLimit = 5_000
/** How often another process's commits are looked for: one read of shared memory, about 1 µs. */
const watchEvery = 100

/**
 * The embedded store: one SQLite file (WAL), nothing to install. `':memory:'` keeps everything in memory, for tests.
 *
 * Acknowledged means synced. Several processes of one machine may share the file; a network file system may not hold it.
 * Rejects at start with `store.open`, `store.corrupt`, `store.newer`, `store.foreign` or `store.readonly`, each naming the path.
 *
 * @example
 * await using app = await fairlead({ store: sqlite('./data/fairlead.db'), use: [orders] })
 */
export function sqlite(path: string): StoreAdapter {
  return Object.freeze({
    kind: 'sqlite',
    path,
    open: (runtime: { readonly clock: Clock }) =>
      Promise.resolve().then(() => new SqliteStore(path, openFile(path), runtime.clock)),
  })
}

class SqliteStore implements Store {
  readonly can: StoreCan
  readonly #path: string
  readonly #db: DatabaseSync
  readonly #clock: Clock
  readonly #heads: Heads
  readonly #apply: Apply
  readonly #reader: Reader
  readonly #sync: WalSync | undefined
  readonly #checkpoints: Checkpointer | undefined
  readonly #writer = new Turn()
  readonly #watchers = new Set<() => void>()
  #stopWatching: (() => void) | undefined
  #seenVersion = 0
  #closed: Promise<void> | undefined

  constructor(path: string, db: DatabaseSync, clock: Clock) {
    const memory = path === ':memory:'
    this.can = { durable: !memory, shared: memory ? 'process' : 'machine' }
    this.#path = path
    this.#db = db
    this.#clock = clock
    this.#heads = new Heads(db)
    this.#apply = new Apply(db, this.#heads, () => clock.now())
    this.#reader = new Reader(db)
    this.#sync = memory ? undefined : new WalSync(path)
    this.#checkpoints = memory ? undefined : new Checkpointer(path, db)
  }

  async commit(units: readonly Unit[], sync: Sync): Promise<readonly Outcome[]> {
    this.#assertOpen()
    if (!this.#writer.take()) await this.#writer.wait()
    let outcomes: readonly Outcome[]
    try {
      const began = this.#begin()
      if (began) await began
      outcomes = this.#inTransaction(() => this.#apply.units(units))
      const pause = this.#checkpoints?.wrote()
      if (pause) await pause
    } finally {
      this.#writer.give()
    }
    if (sync === 'durable' && this.#sync) await this.#sync.durable()
    return outcomes
  }

  async read<R extends Read>(query: R): Promise<ReadResult<R>> {
    this.#assertOpen()
    try {
      const result = this.#reader.answer(query)
      // What another process has written may not be on disk yet: nobody may act on it before it is.
      if (query.read === 'bounds' && this.#sync) await this.#sync.durable()
      return result
    } catch (e) {
      throw storeFault(e, this.#path)
    }
  }

  async begin(limit: number): Promise<StoreTransaction> {
    this.#assertOpen()
    if (!this.#writer.take()) await this.#writer.wait()
    try {
      await this.#begin()
    } catch (e) {
      this.#writer.give()
      throw e
    }
    let open = true
    const end = (): void => {
      open = false
      cancel()
      this.#writer.give()
    }
    const undo = (): void => {
      if (!open) return
      this.#rollback()
      end()
    }
    const cancel = this.#clock.after(limit, undo)
    const assertOpen = (): void => {
      if (!open)
        throw fault('store.transaction', {
          message: 'the transaction has ended: it ran longer than its limit, or was finished',
        })
    }
    return {
      query: async (statement) => {
        assertOpen()
        return this.#user(statement)
      },
      commit: async (units) => {
        assertOpen()
        let outcomes: readonly Outcome[]
        try {
          outcomes = this.#apply.units(units)
          if (outcomes.some((o) => !o.ok)) {
            undo()
            return outcomes
          }
          this.#db.exec('commit')
        } catch (e) {
          undo()
          throw storeFault(e, this.#path)
        }
        end()
        if (this.#sync) await this.#sync.durable()
        return outcomes
      },
      rollback: async () => undo(),
    }
  }

  watch(changed: () => void): () => void {
    if (this.can.shared === 'process') return () => {}
    this.#watchers.add(changed)
    if (this.#stopWatching === undefined) this.#look()
    return () => {
      this.#watchers.delete(changed)
      if (this.#watchers.size > 0) return
      this.#stopWatching?.()
      this.#stopWatching = undefined
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#stopWatching?.()
    this.#watchers.clear()
    if (!this.#writer.take()) await this.#writer.wait()
    try {
      await this.#sync?.durable()
    } finally {
      await this.#checkpoints?.close()
      this.#sync?.close()
      this.#db.close()
    }
  }

  #look(): void {
    const version = this.#heads.version()
    if (version !== this.#seenVersion) {
      this.#seenVersion = version
      for (const w of this.#watchers) w()
    }
    this.#stopWatching = this.#clock.after(watchEvery, () => this.#look())
  }

  /** Opens the write transaction. A lock held by another process is waited for without stopping the event loop for more than 20 ms at a time. */
  #begin(): Promise<void> | undefined {
    try {
      this.#db.exec('begin immediate')
      return undefined
    } catch (e) {
      if (primaryCode(e) !== 5) throw storeFault(e, this.#path)
      return this.#beginLater()
    }
  }

  async #beginLater(): Promise<void> {
    const until = this.#clock.mono() + busyLimit
    for (let pause = 1; ; pause = Math.min(50, pause * 2)) {
      await wait(this.#clock, pause)
      try {
        this.#db.exec('begin immediate')
        return
      } catch (e) {
        if (primaryCode(e) !== 5 || this.#clock.mono() >= until) throw storeFault(e, this.#path)
      }
    }
  }

  #inTransaction<T>(work: () => T): T {
    try {
      const result = work()
      this.#db.exec('commit')
      return result
    } catch (e) {
      this.#rollback()
      throw storeFault(e, this.#path)
    }
  }

  #rollback(): void {
    if (this.#db.isTransaction) this.#db.exec('rollback')
    this.#heads.reload()
  }

  #user(statement: Sql): readonly SqlRow[] {
    try {
      const prepared = this.#db.prepare(statement.text.join('?'))
      const values = statement.values.map((v) => (typeof v === 'boolean' ? Number(v) : v))
      if (prepared.columns().length > 0) return prepared.all(...values)
      prepared.run(...values)
      return []
    } catch (cause) {
      throw fault('store.sql', { cause, message: cause instanceof Error ? cause.message : 'the statement failed' })
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw fault('store.closed')
  }
}

/** One writer at a time, first come first served. */
class Turn {
  #taken = false
  readonly #waiting: (() => void)[] = []

  take(): boolean {
    if (this.#taken) return false
    this.#taken = true
    return true
  }

  wait(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  give(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#taken = false
  }
}
