import type { DatabaseSync } from 'node:sqlite'
import { wait, type Clock } from '#kernel/clock.ts'
import { fault, isFault } from '#kernel/fault.ts'
import type { Sql, SqlRow } from '#kernel/sql.ts'
import type {
  Entry,
  Joinable,
  Outcome,
  Read,
  ReadResult,
  Store,
  StoreAdapter,
  StoreCan,
  StoreTransaction,
  Sync,
  Unit,
} from '../port.ts'
import { endsTransaction } from '../statement.ts'
import { Apply } from './apply.ts'
import { Checkpointer } from './checkpoint.ts'
import { delayedSum } from './delayed.ts'
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
    open: (runtime: { readonly clock: Clock }) => open(path, runtime.clock),
  })
}

/** Another process may be creating, migrating or closing the file just now: that is waited for like any other lock. */
async function open(path: string, clock: Clock): Promise<Store> {
  for (const until = clock.mono() + busyLimit; ; await wait(clock, 100)) {
    try {
      const db = openFile(path)
      try {
        return new SqliteStore(path, db, clock)
      } catch (e) {
        db.close()
        throw storeFault(e, path, 'store.open')
      }
    } catch (e) {
      if (!isFault(e, 'store.busy') || clock.mono() >= until) throw e
    }
  }
}

class SqliteStore implements Store, Joinable {
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
  readonly #watchers = new Set<Parameters<Store['watch']>[0]>()
  #stopWatching: (() => void) | undefined
  #seenVersion: number | undefined = 0
  #closed: Promise<void> | undefined

  constructor(path: string, db: DatabaseSync, clock: Clock) {
    const memory = path === ':memory:'
    this.can = {
      durable: !memory,
      shared: memory ? 'process' : 'machine',
      writers: 'one',
      segments: false,
      joins: !memory,
    }
    this.#path = path
    this.#db = db
    this.#clock = clock
    this.#heads = new Heads(db)
    this.#apply = new Apply(db, this.#heads)
    this.#reader = new Reader(db, this.#heads)
    this.#checkpoints = memory ? undefined : new Checkpointer(path, db)
    this.#sync = memory ? undefined : new WalSync(path) // last: it opens a descriptor
  }

  async commit(units: readonly Unit[], sync: Sync): Promise<readonly Outcome[]> {
    this.#assertOpen()
    if (!this.#writer.take()) await this.#writer.wait()
    let outcomes: readonly Outcome[]
    try {
      this.#sync?.assertSound()
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
      if ((query.read === 'bounds' || query.read === 'heads') && this.#sync) await this.#sync.durable()
      return result
    } catch (e) {
      throw storeFault(e, this.#path)
    }
  }

  async begin(limit: number): Promise<StoreTransaction> {
    this.#assertOpen()
    if (!this.#writer.take()) await this.#writer.wait()
    try {
      this.#sync?.assertSound()
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
    /** SQLite itself has ended it (a full disk, `on conflict rollback`): what follows would commit one by one. */
    const noticeEnd = (): void => {
      if (open && !this.#db.isTransaction) undo()
    }
    const assertOpen = (): void => {
      if (!open)
        throw fault('store.transaction', {
          message: 'the transaction has ended: it ran longer than its limit, or was finished',
        })
    }
    return {
      query: async (statement) => {
        assertOpen()
        try {
          return this.#user(statement)
        } finally {
          noticeEnd()
        }
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

  handOver(entry: Entry): Sql {
    const { slot, id, key, time, meta, body, dedupe } = entry
    return {
      text: [
        'insert into fl_delayed (slot, id, key, time, meta, body, dedupe, sum, due) values (',
        ...Array<string>(7).fill(', '),
        ', 0)',
      ],
      values: [slot, id, key, time, meta, body, dedupe, delayedSum(0, entry)],
    }
  }

  watch(changed: Parameters<Store['watch']>[0]): () => void {
    if (this.can.shared === 'process' || this.#closed) return () => {}
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
      this.#writeHeads()
      await this.#sync?.durable()
    } finally {
      await this.#checkpoints?.close()
      this.#sync?.close()
      this.#db.close()
    }
  }

  /** As far as the log goes: damage that takes its end is noticed by that. Not worth waiting for, nor failing. */
  #writeHeads(): void {
    if (this.#sync === undefined || !this.#heads.slots.unsaved) return
    try {
      this.#sync.assertSound()
      this.#db.exec('begin immediate')
      this.#heads.refresh()
      this.#heads.slots.save(this.#heads.next)
      this.#db.exec('commit')
    } catch {
      this.#rollback()
    }
  }

  #look(): void {
    // Armed first: a watcher may stop watching, or close the store, from within its call.
    this.#stopWatching = this.#clock.after(watchEvery, () => this.#look())
    const version = this.#versionNow()
    if (version !== undefined && version === this.#seenVersion) return
    this.#seenVersion = version
    for (const w of this.#watchers) w()
  }

  /** Undefined when it cannot be told: who looks closer gets the fault. A timer has nobody to give it to. */
  #versionNow(): number | undefined {
    try {
      return this.#heads.version()
    } catch {
      return undefined
    }
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

  /** Never throws: the fault that led here says more. If even this fails, every later begin is refused by SQLite. */
  #rollback(): void {
    this.#heads.forget()
    try {
      if (this.#db.isTransaction) this.#db.exec('rollback')
    } catch {}
  }

  #user(statement: Sql): readonly SqlRow[] {
    const text = statement.text.join('?')
    if (endsTransaction.test(text)) {
      throw fault('store.sql', { message: 'the transaction is begun and ended by its owner, not by a statement' })
    }
    try {
      const prepared = this.#db.prepare(text)
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
