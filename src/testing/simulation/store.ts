import type { Outcome, Read, ReadResult, Store, StoreCan, StoreTransaction, Sync, Unit } from '#adapters/stores/port.ts'
import { fault } from '#kernel/fault.ts'
import type { Disk } from './disk.ts'
import type { Chance, Process } from './machine.ts'
import type { Scheduler } from './scheduler.ts'
import type { Witness } from './witness.ts'

/** What goes wrong at the store at the moment: shares of the calls, and how long they take at most. */
export type Weather = {
  /** Refused as a whole, nothing applied. */
  full: number
  busy: number
  /** Applied, and reported as failed. */
  unknown: number
  /** As `unknown`, and from then on everything is refused until the store is opened again. */
  broken: number
  /** A read fails. */
  read: number
  /** Milliseconds that a call takes at most, half of it before it is applied. */
  slow: number
}

export const fair: Readonly<Weather> = { full: 0, busy: 0, unknown: 0, broken: 0, read: 0, slow: 0 }

type Fate = 'applied' | 'unknown' | 'broken' | 'full' | 'busy'

/**
 * The real SQLite store behind the world's weather, of one process. Every answer goes through the process: a dead one
 * hears nothing any more, a frozen one hears it later.
 */
export class UnreliableStore implements Store {
  readonly can: StoreCan
  readonly #inner: Store
  readonly #process: Process
  readonly #world: Scheduler
  readonly #disk: Disk
  readonly #weather: Weather
  readonly #chance: Chance
  readonly #witness: Witness
  #open: StoreTransaction | undefined
  #closed: Promise<void> | undefined
  broken = false

  constructor(
    inner: Store,
    of: {
      process: Process
      world: Scheduler
      disk: Disk
      weather: Weather
      chance: Chance
      witness: Witness
    },
  ) {
    this.#inner = inner
    this.can = inner.can
    this.#process = of.process
    this.#world = of.world
    this.#disk = of.disk
    this.#weather = of.weather
    this.#chance = of.chance
    this.#witness = of.witness
  }

  commit(units: readonly Unit[], sync: Sync): Promise<readonly Outcome[]> {
    return new Promise((resolve, reject) => {
      if (this.#refuses(reject)) return
      const fate = this.#fate()
      this.#disk.lock.take(
        this.#process,
        () =>
          this.#later(() => {
            if (fate === 'full' || fate === 'busy') return this.#end(() => reject(fault(`store.${fate}`)))
            this.#inner.commit(units, 'relaxed').then(
              (outcomes) => {
                this.#applied(units, outcomes, sync === 'durable')
                this.#end(() => (fate === 'applied' ? resolve(outcomes) : reject(this.#break(fate))))
              },
              (e: unknown) => this.#end(() => reject(e)),
            )
          }),
        () => this.#answer(() => reject(fault('store.busy'))),
      )
    })
  }

  read<R extends Read>(query: R): Promise<ReadResult<R>> {
    return new Promise((resolve, reject) => {
      if (this.#refuses(reject)) return
      if (this.#chance.likely(this.#weather.read)) return this.#answer(() => reject(fault('store.busy')))
      this.#later(() => {
        if (this.#refuses(reject)) return
        this.#read(query).then(
          (result) => this.#answer(() => resolve(result)),
          (e: unknown) => this.#answer(() => reject(e)),
        )
      })
    })
  }

  /** `heads` and `bounds` sync the file, which is I/O of another thread: their answers are made of `newest` instead. */
  async #read<R extends Read>(query: R): Promise<ReadResult<R>> {
    if (query.read !== 'bounds' && query.read !== 'heads') return this.#inner.read(query)
    const out = []
    for (const slot of query.read === 'heads' ? await this.#slots() : query.slots) {
      const [newest] = await this.#inner.read({ read: 'newest', slot, below: Number.MAX_SAFE_INTEGER, limit: 1 })
      const [oldest] = await this.#inner.read({
        read: 'log',
        slot,
        from: 0,
        below: Number.MAX_SAFE_INTEGER,
        limit: 1,
        bytes: 1,
      })
      out.push({ slot, first: oldest?.offset ?? 0, next: newest ? newest.offset + 1 : 0 })
    }
    this.#disk.synced()
    return out as unknown as ReadResult<R>
  }

  async #slots(): Promise<number[]> {
    const topics = await this.#inner.read({ read: 'topics' })
    return topics.flatMap((t) => Array.from({ length: t.partitions }, (_, p) => t.slot + p))
  }

  begin(limit: number): Promise<StoreTransaction> {
    return new Promise((resolve, reject) => {
      if (this.#refuses(reject)) return
      const fate = this.#fate()
      this.#disk.lock.take(
        this.#process,
        () =>
          this.#later(() => {
            if (fate === 'full' || fate === 'busy') return this.#end(() => reject(fault(`store.${fate}`)))
            this.#inner.begin(1e9).then(
              (inner) => {
                const transaction = this.#transaction(inner, limit)
                this.#answer(() => resolve(transaction))
              },
              (e: unknown) => this.#end(() => reject(e)),
            )
          }),
        () => this.#answer(() => reject(fault('store.busy'))),
      )
    })
  }

  #transaction(inner: StoreTransaction, limit: number): StoreTransaction {
    this.#open = inner
    const undo = async (): Promise<void> => {
      if (this.#open !== inner) return
      this.#open = undefined
      cancel()
      await inner.rollback()
      this.#disk.lock.give(this.#process)
    }
    const cancel = this.#process.after(limit, () => void undo())
    const assertOpen = (): void => {
      if (this.#open !== inner) throw fault('store.transaction')
    }
    return {
      query: async (statement) => {
        assertOpen()
        return inner.query(statement)
      },
      commit: async (units) => {
        assertOpen()
        const fate = this.#fate()
        if (fate === 'full' || fate === 'busy') {
          await undo()
          throw fault(`store.${fate}`)
        }
        this.#open = undefined
        cancel()
        const outcomes = await this.#world.real(inner.commit(units))
        if (outcomes.every((o) => o.ok)) this.#applied(units, outcomes, true)
        return new Promise((resolve, reject) =>
          this.#end(() => (fate === 'applied' ? resolve(outcomes) : reject(this.#break(fate)))),
        )
      },
      rollback: undo,
    }
  }

  watch(changed: () => void): () => void {
    return this.#disk.watch(this.#process, changed)
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /** Waits for its turn as any other; the transaction before it ends by itself in time. */
  async #close(): Promise<void> {
    while (this.#open !== undefined) await this.#process.sleep(100)
    await this.#world.real(this.#inner[Symbol.asyncDispose]())
  }

  /** The process has died: the system closes its files, SQLite undoes what was not committed. */
  async kill(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    await open?.rollback()
    this.#disk.forget(this.#process)
    this.#closed = this.#world.real(this.#inner[Symbol.asyncDispose]())
    await this.#closed
  }

  #refuses(reject: (e: unknown) => void): boolean {
    if (this.#process.state === 'dead') return true
    if (this.#closed) reject(fault('store.closed'))
    else if (this.broken) reject(fault('store.broken'))
    else return false
    return true
  }

  #fate(): Fate {
    const { full, busy, unknown, broken } = this.#weather
    const drawn = this.#chance.weighted({ full, busy, unknown, broken, applied: 1 - full - busy - unknown - broken })
    return drawn
  }

  #break(fate: 'unknown' | 'broken'): Error {
    if (fate === 'broken') this.broken = true
    return fault('store.broken')
  }

  #applied(units: readonly Unit[], outcomes: readonly Outcome[], durable: boolean): void {
    this.#witness.applied(units, outcomes, durable)
    if (durable) this.#disk.synced()
    this.#disk.wrote(this.#process)
  }

  /** Lets go of the writer, then answers. */
  #end(fn: () => void): void {
    this.#disk.lock.give(this.#process)
    this.#answer(fn)
  }

  #later(fn: () => void): void {
    if (this.#weather.slow === 0) this.#process.reach(fn)
    else this.#process.after(this.#chance.whole(0, this.#weather.slow) / 2, fn)
  }

  #answer(fn: () => void): void {
    this.#later(fn)
  }
}
