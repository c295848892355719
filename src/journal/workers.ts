import { schemaLevel } from '#adapters/stores/migrations/index.ts'
import type { Store, Worker, Write } from '#adapters/stores/port.ts'
import type { Cancel } from '#kernel/clock.ts'
import { isFault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { GroupCommit } from './commit.ts'

/** A worker that gives no sign of life for this long is gone, and its leases are free. */
const lifeSpan = 15_000
const beatEvery = 5_000

export type Lease = { readonly name: string; readonly epoch: number }

/**
 * Who is alive, and who owns what. Each process is a worker with a beat in the store; a lease belongs to a worker and
 * carries an epoch that rises with every owner, so that a commit of a former owner can be refused.
 *
 * Life is judged by watching the beat change on one's own monotonic clock, never by comparing wall clocks: a clock that
 * jumps expires nothing. Workers of this machine whose process has ended are known to be gone at once, so a restart
 * after a crash does not wait for the lease.
 */
export class Workers {
  readonly id: string
  readonly #runtime: Runtime<Store>
  readonly #commit: GroupCommit
  readonly #me: Worker
  readonly #sightings = new Map<string, { beat: number; at: number }>()
  readonly #leases = new Map<string, number>()
  #beat = 0
  #cancel: Cancel | undefined
  #stopped = false
  /** Called after each look around: what was refused before may be free now. */
  onChange: () => void = () => {}
  /** A newer worker has migrated the store: we stop leasing. */
  outdated = false

  constructor(runtime: Runtime<Store>, commit: GroupCommit) {
    this.#runtime = runtime
    this.#commit = commit
    this.id = runtime.ids.next()
    this.#me = {
      id: this.id,
      beat: 0,
      level: schemaLevel,
      host: runtime.host.name,
      pid: runtime.host.pid,
      started: runtime.clock.now(),
    }
  }

  async start(): Promise<void> {
    await this.#sayAlive()
    await this.#lookAround()
    this.#arm()
  }

  /** Takes the lease if nobody alive holds it; undefined otherwise. Idempotent for its holder. */
  async lease(name: string): Promise<Lease | undefined> {
    if (this.outdated || this.#stopped) return undefined
    // Together with the word that we live: we may have been taken for gone meanwhile, and a lease of a worker that nobody
    // knows would never be free again.
    const [, epoch] = await this.#commit.add(
      { writes: [this.#alive(), { write: 'lease', name, worker: this.id, from: this.id }] },
      'durable',
    )
    if (typeof epoch !== 'number' || epoch === 0) return undefined
    this.#leases.set(name, epoch)
    return { name, epoch }
  }

  async release(name: string): Promise<void> {
    this.#leases.delete(name)
    await this.#commit.add({ writes: [{ write: 'release', name, worker: this.id }] }, 'relaxed')
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#commit.add({ writes: [{ write: 'gone', worker: this.id }] }, 'relaxed')
  }

  #arm(): void {
    // Nobody else can reach a store that lives in this process.
    if (this.#stopped || this.#runtime.store.can.shared === 'process') return
    this.#cancel = this.#runtime.clock.after(beatEvery, () => {
      this.#sayAlive()
        .then(() => this.#lookAround())
        .catch((e: unknown) => {
          if (!isFault(e, 'store.closed')) this.#runtime.log.write('warn', 'journal.beat_failed', { fault: e })
        })
        .finally(() => this.#arm())
    })
  }

  #sayAlive(): Promise<unknown> {
    this.#beat++
    return this.#commit.add({ writes: [this.#alive()] }, 'relaxed')
  }

  #alive(): Write {
    return { write: 'worker', worker: { ...this.#me, beat: this.#beat } }
  }

  async #lookAround(): Promise<void> {
    const { clock, host, log, store } = this.#runtime
    const now = clock.mono()
    const others = (await store.read({ read: 'workers' })).filter((w) => w.id !== this.id)
    for (const w of others) {
      if (w.level > schemaLevel && !this.outdated) {
        this.outdated = true
        log.write('warn', 'journal.outdated', { level: schemaLevel, newer: w.level, worker: w.id })
      }
      const seen = this.#sightings.get(w.id)
      if (seen?.beat !== w.beat) this.#sightings.set(w.id, { beat: w.beat, at: now })
      const dead = w.host === host.name && !host.alive(w.pid)
      if (!dead && now - (this.#sightings.get(w.id)?.at ?? now) < lifeSpan) continue
      log.write('info', 'journal.worker_gone', { worker: w.id, host: w.host, pid: w.pid })
      await this.#commit.add({ writes: [{ write: 'gone', worker: w.id }] }, 'durable')
      this.#sightings.delete(w.id)
    }
    this.onChange()
  }
}
