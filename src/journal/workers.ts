import { schemaLevel } from '#adapters/stores/migrations/index.ts'
import type { Store, Unit, Worker, Write } from '#adapters/stores/port.ts'
import type { Cancel } from '#kernel/clock.ts'
import { isFault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import { cardName, cardPrefix, readCard, skewOf, type Card } from './card.ts'
import type { GroupCommit } from './commit.ts'

/** A worker that gives no sign of life for this long is gone, and its leases are free. */
const lifeSpan = 15_000
/** Between 4.5 and 5.5 s: workers that were started together do not stay together. */
const beatEvery = 5_000

export type Lease = { readonly name: string; readonly epoch: number }

/** A beat of another worker: when we saw it first (monotonic), and how far its clock seemed to be off by it. */
type Sighting = { readonly beat: number; readonly at: number; readonly skew: number }

/**
 * Who is alive, and who owns what. Each process is a worker with a beat in the store; a lease belongs to a worker and
 * carries an epoch that rises with every owner, so that a commit of a former owner can be refused.
 *
 * Life is judged by watching the beat change on one's own monotonic clock, never by comparing wall clocks: a clock that
 * jumps expires nothing. Workers of this machine whose process has ended are known to be gone at once, so a restart
 * after a crash does not wait for the lease. That wall clocks differ is seen, said (`journal.clock_skew`) and shown, no more.
 */
export class Workers {
  readonly id: string
  readonly #runtime: Runtime<Store>
  readonly #commit: GroupCommit
  readonly #me: Worker
  readonly #works: readonly string[]
  readonly #sightings = new Map<string, Sighting>()
  readonly #skew = new Map<string, number>()
  /** What the others said when we last looked. */
  #cards: ReadonlyMap<string, Card> = new Map()
  #looked: number | undefined
  #looking: Promise<void> | undefined
  #beat = 0
  #cancel: Cancel | undefined
  #leaving = false
  #stopped = false
  /** Called after each beat, when we have looked around: what was refused before may be free now. */
  onChange: () => void = () => {}
  /** A newer worker has migrated the store: we lease nothing more. */
  outdated = false

  /** `works`: the subscriptions that this process handles. */
  constructor(runtime: Runtime<Store>, commit: GroupCommit, works: readonly string[] = []) {
    this.#runtime = runtime
    this.#commit = commit
    this.#works = works
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
    await this.look()
    this.#arm()
  }

  /** The live workers that take partitions of this subscription, as far as we know. */
  candidates(subscription: string): readonly string[] {
    const others = [...this.#cards].filter(([, card]) => card.works.includes(subscription)).map(([id]) => id)
    return this.#takes.includes(subscription) ? [...others, this.id] : others
  }

  /**
   * Takes those leases that nobody alive holds, in one commit. Idempotent for their holder: they are given anew, under a
   * higher epoch.
   */
  async lease(names: readonly string[]): Promise<ReadonlyMap<string, Lease>> {
    if (this.outdated || this.#stopped || names.length === 0) return new Map()
    // Together with the word that we live: we may have been taken for gone meanwhile, and a lease of a worker that nobody
    // knows would never be free again.
    const alive = this.#alive()
    const leases = names.map((name): Write => ({ write: 'lease', name, worker: this.id, from: this.id }))
    const results = await this.#commit.add({ writes: [...alive, ...leases] }, 'durable')
    const epochs = results.slice(alive.length)
    return new Map(names.flatMap((name, i) => (epochs[i] ? [[name, { name, epoch: Number(epochs[i]) }]] : [])))
  }

  /** Gives a lease back, together with what its holder has to say to the next one. Rejects with `journal.fenced` when it is not ours. */
  async release(lease: Lease, word: readonly Write[] = []): Promise<void> {
    await this.#commit.add(
      {
        guards: [{ guard: 'lease', name: lease.name, epoch: lease.epoch }],
        writes: [...word, { write: 'release', name: lease.name, worker: this.id }],
      },
      'durable',
    )
  }

  /** Gives a lease back that nobody works under. Whoever asks has to ask again when that failed. */
  async drop(name: string): Promise<void> {
    await this.#commit.add({ writes: [{ write: 'release', name, worker: this.id }] }, 'relaxed')
  }

  /** Says that we take nothing more, so that others get ready. */
  async leave(): Promise<void> {
    this.#leaving = true
    await this.#sayAlive()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#commit.add(this.#gone(this.id), 'durable')
  }

  #arm(): void {
    // Nobody else can reach a store that lives in this process.
    if (this.#stopped || this.#runtime.store.can.shared === 'process') return
    this.#cancel = this.#runtime.clock.after(beatEvery * (0.9 + 0.2 * this.#runtime.random.float()), () => {
      this.#sayAlive()
        .then(() => this.look())
        .then(() => this.onChange())
        .catch((e: unknown) => {
          if (!isFault(e, 'store.closed')) this.#runtime.log.write('warn', 'journal.beat_failed', { fault: e })
        })
        .finally(() => this.#arm())
    })
  }

  #sayAlive(): Promise<unknown> {
    this.#beat++
    return this.#commit.add({ writes: this.#alive() }, 'durable')
  }

  #alive(): readonly Write[] {
    const card: Card = {
      beat: this.#beat,
      works: this.#takes,
      wall: this.#runtime.clock.now(),
      outdated: this.outdated,
      skew: Object.fromEntries(this.#skew),
    }
    return [
      { write: 'worker', worker: { ...this.#me, beat: this.#beat } },
      { write: 'put', name: cardName(this.id), value: JSON.stringify(card), expires: null },
    ]
  }

  get #takes(): readonly string[] {
    return this.outdated || this.#leaving || this.#stopped ? [] : this.#works
  }

  #gone(worker: string): Unit {
    return {
      writes: [
        { write: 'gone', worker },
        { write: 'drop', name: cardName(worker) },
      ],
    }
  }

  /** Looks at the others: who is there, who is gone, what they take. One look at a time. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined))
    return this.#looking
  }

  async #look(): Promise<void> {
    const { clock, store } = this.#runtime
    const last = this.#looked
    this.#looked = clock.mono()
    // Cards first: one without its row would be of a worker that is gone, not of one that has just come.
    const said = await store.read({ read: 'keys', prefix: cardPrefix, now: clock.now() })
    const rows = await store.read({ read: 'workers' })
    const cards = new Map(said.map((k) => [k.name.slice(cardPrefix.length), readCard(k.value)]))
    const known = new Map<string, Card>()
    const now = clock.mono()
    for (const w of rows) {
      if (w.id === this.id) continue
      if (w.level > schemaLevel) this.#stepDown(w)
      const card = cards.get(w.id)
      this.#see(w, card, now, now - (last ?? now))
      if (this.#dead(w, now)) await this.#bury(w)
      else if (card) known.set(w.id, card)
    }
    for (const id of this.#sightings.keys()) if (!rows.some((w) => w.id === id)) this.#forget(id)
    this.#cards = known
  }

  #stepDown(newer: Worker): void {
    if (this.outdated) return
    this.outdated = true
    this.#runtime.log.write('warn', 'journal.outdated', { level: schemaLevel, newer: newer.level, worker: newer.id })
  }

  /** `since`: ms since the look before this one. */
  #see(w: Worker, card: Card | undefined, now: number, since: number): void {
    const before = this.#sightings.get(w.id)
    if (before?.beat === w.beat) return
    // Nobody knows how old the first beat is that we see, nor what a card says that is of another beat.
    const measured = before !== undefined && card?.beat === w.beat
    const skew = measured ? skewOf(card.wall, this.#runtime.clock.now(), since) : 0
    this.#sightings.set(w.id, { beat: w.beat, at: now, skew })
    if (skew === 0) {
      if (measured) this.#skew.delete(w.id)
      return
    }
    // One alone may have been held up on its way: a frozen worker is not a skewed one.
    if (Math.sign(before?.skew ?? 0) !== Math.sign(skew)) return
    if (!this.#skew.has(w.id))
      this.#runtime.log.write('warn', 'journal.clock_skew', { worker: w.id, host: w.host, ahead: Math.round(skew) })
    this.#skew.set(w.id, Math.round(skew))
  }

  #dead(w: Worker, now: number): boolean {
    const { host } = this.#runtime
    if (w.host === host.name && !host.alive(w.pid)) return true
    return now - (this.#sightings.get(w.id)?.at ?? now) >= lifeSpan
  }

  async #bury(w: Worker): Promise<void> {
    this.#runtime.log.write('info', 'journal.worker_gone', { worker: w.id, host: w.host, pid: w.pid })
    await this.#commit.add(this.#gone(w.id), 'durable')
    this.#forget(w.id)
  }

  #forget(worker: string): void {
    this.#sightings.delete(worker)
    this.#skew.delete(worker)
  }
}
