import type { Outcome, Read, ReadResult, Store, StoreCan, StoreTransaction, Sync, Unit } from '#adapters/stores/port.ts'
import { fault, isFault } from '#kernel/fault.ts'
import type { Coverage, Operation } from './coverage.ts'
import type { Chance } from './decisions.ts'
import type { Disk } from './disk.ts'
import type { Process } from './machine.ts'
import type { Weather } from './swarm.ts'
import type { Witness } from './witness.ts'

type Fate = 'applied' | 'unknown' | 'full' | 'busy'

/**
 * The real SQLite store behind the world's weather, of one process. Every answer goes through the process: a dead one
 * hears nothing any more, a frozen one hears it later.
 */
export class UnreliableStore implements Store {
  readonly can: StoreCan
  readonly #inner: Store
  readonly #process: Process
  readonly #disk: Disk
  readonly #weather: Weather
  readonly #chance: Chance
  readonly #witness: Witness
  readonly #coverage: Coverage
  /** Asked for and not yet answered: what a fault of the process meets. */
  readonly #under = new Set<readonly Operation[]>()
  #open: StoreTransaction | undefined
  #closed: Promise<void> | undefined
  #innerClosed: Promise<void> | undefined
  broken = false

  constructor(
    inner: Store,
    of: {
      process: Process
      disk: Disk
      weather: Weather
      chance: Chance
      witness: Witness
      coverage: Coverage
    },
  ) {
    this.#inner = inner
    this.can = inner.can
    this.#process = of.process
    this.#disk = of.disk
    this.#weather = of.weather
    this.#chance = of.chance
    this.#witness = of.witness
    this.#coverage = of.coverage
  }

  /** Operations under way. */
  get underWay(): readonly Operation[] {
    return [...this.#under].flat()
  }

  commit(units: readonly Unit[], sync: Sync): Promise<readonly Outcome[]> {
    const operations = operationsOf(units)
    return this.#tracked(operations, (resolve, reject) => {
      if (this.#refuses(reject)) return
      const fate = this.#fate(operations)
      this.#take(reject, () => {
        if (fate === 'full' || fate === 'busy') return this.#end(() => reject(fault(`store.${fate}`)))
        // Nobody else has the writer, so it is applied when this returns; what is still to come is the sync.
        const answer = this.#inner.commit(units, sync)
        this.#applied(units, sync, answer, operations, fate, resolve, reject)
        this.#disk.lock.give(this.#process)
      })
    })
  }

  read<R extends Read>(query: R): Promise<ReadResult<R>> {
    return this.#tracked([query.read], (resolve, reject) => {
      if (this.#refuses(reject)) return
      if (this.#chance.likely(this.#label('read'), this.#weather.read)) {
        this.#coverage.fault('read refused', [query.read])
        return this.#later(() => reject(fault('store.busy')))
      }
      this.#later(() => {
        if (this.#refuses(reject)) return
        const mark = query.read === 'bounds' || query.read === 'heads' ? this.#disk.mark() : undefined
        this.#inner.read(query).then(
          (result) => {
            if (mark && this.#process.state === 'live') this.#witness.promised(this.#disk.holds(mark), query.read)
            this.#later(() => resolve(result))
          },
          (e: unknown) => this.#later(() => reject(this.#noticed(e, [query.read]))),
        )
      })
    })
  }

  begin(limit: number): Promise<StoreTransaction> {
    const operations: readonly Operation[] = ['transaction']
    return this.#tracked(operations, (resolve, reject) => {
      if (this.#refuses(reject)) return
      const fate = this.#fate(operations)
      this.#take(reject, () => {
        if (fate === 'full' || fate === 'busy') return this.#end(() => reject(fault(`store.${fate}`)))
        this.#inner.begin(1e9).then(
          (inner) => {
            const transaction = this.#transaction(inner, limit)
            this.#later(() => resolve(transaction))
          },
          (e: unknown) => this.#end(() => reject(this.#noticed(e, operations))),
        )
      })
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
        const operations: readonly Operation[] = ['transaction', ...operationsOf(units)]
        const fate = this.#fate(operations)
        if (fate === 'full' || fate === 'busy') {
          await undo()
          throw fault(`store.${fate}`)
        }
        this.#open = undefined
        cancel()
        return this.#tracked(operations, (resolve, reject) => {
          const answer = inner.commit(units)
          this.#applied(units, 'durable', answer, operations, fate, resolve, reject)
          this.#disk.lock.give(this.#process)
        })
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
    await this.#closeInner()
  }

  /** The process has died: the system closes its files, SQLite undoes what was not committed. */
  async kill(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    await open?.rollback()
    this.#disk.forget(this.#process)
    // Not what it was waiting for itself when it was to close: it does not hear of that any more.
    this.#closed = this.#closeInner()
    await this.#closed
  }

  /** After a failed sync it says so once more, and closes all the same. */
  #closeInner(): Promise<void> {
    const close = async (): Promise<void> => {
      try {
        await this.#inner[Symbol.asyncDispose]()
      } catch (e) {
        if (!isFault(e, 'store.broken')) throw e
      } finally {
        this.#disk.closed()
      }
    }
    return (this.#innerClosed ??= close())
  }

  #label(what: string): string {
    return `${this.#process.name} ${what}`
  }

  #tracked<T>(
    operations: readonly Operation[],
    work: (resolve: (value: T) => void, reject: (e: unknown) => void) => void,
  ): Promise<T> {
    const under = [...operations]
    this.#under.add(under)
    return new Promise<T>((resolve, reject) => {
      work(
        (value) => {
          this.#under.delete(under)
          resolve(value)
        },
        (e) => {
          this.#under.delete(under)
          reject(e)
        },
      )
    })
  }

  #refuses(reject: (e: unknown) => void): boolean {
    if (this.#process.state === 'dead') return true
    if (this.#closed) reject(fault('store.closed'))
    else if (this.broken) reject(fault('store.broken'))
    else return false
    return true
  }

  #fate(operations: readonly Operation[]): Fate {
    const { full, busy, unknown } = this.#weather
    const applied = Math.max(0, 1 - full - busy - unknown)
    const fate = this.#chance.weighted(this.#label('fate'), { applied, unknown, full, busy })
    if (fate === 'unknown') this.#coverage.fault('no answer', operations)
    else if (fate !== 'applied') this.#coverage.fault(fate === 'full' ? 'disk full' : 'busy', operations)
    return fate
  }

  /** Waits for the writer; 5 s at most. */
  #take(reject: (e: unknown) => void, go: () => void): void {
    this.#disk.lock.take(
      this.#process,
      () => this.#later(go),
      () => this.#later(() => reject(fault('store.busy'))),
    )
  }

  #applied(
    units: readonly Unit[],
    sync: Sync,
    answer: Promise<readonly Outcome[]>,
    operations: readonly Operation[],
    fate: Fate,
    resolve: (outcomes: readonly Outcome[]) => void,
    reject: (e: unknown) => void,
  ): void {
    const mark = this.#disk.mark()
    const seen = this.#witness.applied(units)
    this.#disk.wrote(this.#process)
    answer.then(
      (outcomes) => {
        seen(outcomes)
        const changed = outcomes.some((o) => o.ok && o.results.length > 0)
        if (this.#process.state === 'live' && changed) this.#witness.answered(units, sync, this.#disk.holds(mark))
        this.#later(() => (fate === 'unknown' ? reject(fault('store.broken')) : resolve(outcomes)))
      },
      (e: unknown) => {
        seen(undefined)
        this.#later(() => reject(this.#noticed(e, operations)))
      },
    )
  }

  #noticed(e: unknown, operations: readonly Operation[]): unknown {
    if (isFault(e, 'store.broken')) {
      this.broken = true
      this.#coverage.fault('failed sync', operations)
    }
    return e
  }

  /** Lets go of the writer, then answers. */
  #end(fn: () => void): void {
    this.#disk.lock.give(this.#process)
    this.#later(fn)
  }

  #later(fn: () => void): void {
    if (this.#weather.slow === 0) return this.#process.reach(fn)
    this.#coverage.fault('slow store')
    this.#process.after(this.#chance.whole(this.#label('slow'), 0, this.#weather.slow) / 2, fn)
  }
}

function operationsOf(units: readonly Unit[]): readonly Operation[] {
  return [...new Set(units.flatMap((u) => u.writes.map((w) => w.write)))]
}
