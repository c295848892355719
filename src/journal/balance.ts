import type { LeaseRow, Store } from '#adapters/stores/port.ts'
import type { Cancel } from '#kernel/clock.ts'
import { isFault, toFault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Partition } from './partition.ts'
import { shares } from './shares.ts'
import type { Subscription } from './subscription.ts'
import type { Workers } from './workers.ts'

/** A partition that stays free for this long is not wanted by the one who should have it: it is full, wedged, or sees it otherwise. */
const patience = 5_000
/** For this long nobody counts on it for that subscription. */
const reluctance = 300_000
/** Leases are claimed within this time after something has become free: what becomes free together is claimed together. */
const gather = 100
/**
 * A partition that is handed over starts nothing for at most this long; if its handlers have not ended by then it goes on,
 * and is tried again after the same time, with twice the patience: slow handlers do not stop the keys beside them.
 */
const handOver = 10_000
/** How long we wait before we take a lost partition up again, and before a failed look is repeated. */
const lookAgain = 1_000

/** A partition that is free and should be ours. */
type Free = { readonly subscription: Subscription; readonly partition: number; readonly name: string }

/**
 * Shares the partitions of all subscriptions among the live workers (`shares.ts`), and keeps to it: claims what should be
 * ours and is free, all in one commit; hands over what should be another's. It is a preference and no more: a lease decides
 * who owns a partition, and two workers that see the fleet differently at most wait for each other: what its preferred
 * owner leaves free for 5 s goes to the next.
 */
export class Balance {
  readonly #runtime: Runtime<Store>
  readonly #workers: Workers
  readonly #subscriptions: ReadonlyMap<string, Subscription>
  /** Lease name → since when we have seen it free and meant for that other worker. */
  readonly #free = new Map<string, { readonly worker: string; readonly since: number }>()
  /** `worker subscription` → until when we do not count on it. */
  readonly #reluctant = new Map<string, number>()
  /** Partitions that are being handed over, or were tried to be. */
  readonly #tries = new WeakMap<Partition, { readonly wait: number; readonly next: number }>()
  readonly #timers = new Set<Cancel>()
  /** What the last decision was made of: it is made again only when that has changed. */
  #decided = ''
  #claiming: Promise<void> = Promise.resolve()
  #cancel: Cancel | undefined
  #due = Number.POSITIVE_INFINITY
  #stopped = false

  constructor(runtime: Runtime<Store>, workers: Workers, subscriptions: ReadonlyMap<string, Subscription>) {
    this.#runtime = runtime
    this.#workers = workers
    this.#subscriptions = subscriptions
  }

  /** Lets go of what the store says is not ours any more, and answers with the leases as they were read for it. */
  async fence(): Promise<readonly LeaseRow[]> {
    const owned = [...this.#subscriptions.values()].map((s) => [s, s.owned] as const)
    const rows = await this.#runtime.store.read({ read: 'leases' })
    const epochs = new Map(rows.map((l) => [l.name, l.epoch]))
    for (const [s, partitions] of owned) s.fence(partitions, epochs)
    return rows
  }

  /** Decides anew, when something has changed: hands over at once, claims in a moment. */
  look(rows: readonly LeaseRow[]): void {
    const seen = this.#fingerprint(rows)
    if (this.#stopped || (seen === this.#decided && this.#free.size === 0)) return
    this.#decided = seen
    if (this.#decide(rows).length > 0) this.soon(gather * this.#runtime.random.float())
  }

  /** Claims what should be ours and is free. One call at a time: two would lease a partition twice, and the second would fence the first. */
  claim(): Promise<void> {
    const next = this.#claiming.then(() => this.#claim())
    this.#claiming = next.catch(() => {})
    return next
  }

  async #claim(): Promise<void> {
    if (this.#stopped) return
    const rows = await this.fence()
    const wanted = this.#decide(rows)
    this.#decided = ''
    if (wanted.length === 0) return
    const leases = await this.#workers.lease(wanted.map((w) => w.name))
    for (const [s, mine] of Map.groupBy(wanted, (w) => w.subscription)) {
      const got = mine.flatMap(({ partition, name }) => {
        const lease = leases.get(name)
        return lease ? [[partition, lease] as const] : []
      })
      if (got.length > 0) await s.take(new Map(got))
    }
  }

  /** Claims in so many milliseconds, if that is not planned for earlier. */
  soon(ms: number): void {
    const due = this.#runtime.clock.mono() + ms
    if (this.#stopped || due >= this.#due) return
    this.#cancel?.()
    this.#due = due
    this.#cancel = this.#runtime.clock.after(ms, () => {
      this.#due = Number.POSITIVE_INFINITY
      this.claim().catch((e: unknown) => {
        if (isFault(e, 'store.closed')) return
        this.soon(lookAgain)
        this.#runtime.log.write('warn', 'journal.claim_failed', { fault: toFault(e, 'bug').toJSON() })
      })
    })
  }

  /** A partition was lost, or its last handler has ended. */
  readonly freed = (): void => this.soon(lookAgain)

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
    for (const cancel of this.#timers) cancel()
  }

  #fingerprint(rows: readonly LeaseRow[]): string {
    const fleet = [...this.#subscriptions.keys()].map((s) => this.#workers.candidates(s).join())
    return [...fleet, ...rows.map((l) => `${l.name} ${l.worker} ${l.epoch}`)].join('\n')
  }

  #decide(rows: readonly LeaseRow[]): readonly Free[] {
    const holders = new Map(rows.map((l) => [l.name, l.worker]))
    return [...this.#subscriptions.values()].flatMap((s) => this.#decideFor(s, holders))
  }

  /** Begins to hand over what should be another's; returns what should be ours and is free. */
  #decideFor(s: Subscription, holders: ReadonlyMap<string, string>): readonly Free[] {
    const me = this.#workers.id
    const names = Array.from({ length: s.topic.partitions }, (_, p) => s.leaseName(p))
    const plan = shares({
      subscription: s.name,
      partitions: names.length,
      candidates: this.#workers.candidates(s.name).filter((id) => id === me || !this.#isReluctant(id, s)),
      holders: names.map((name) => holders.get(name)),
    })
    const wanted: Free[] = []
    for (const [p, name] of names.entries()) {
      const ours = s.partitions.get(p)
      const holder = holders.get(name)
      if (ours) this.#keep(s, ours, plan[p] === me)
      if (ours || (holder !== undefined && holder !== me)) this.#free.delete(name)
      else if (s.busy(p)) continue
      else if (plan[p] === me) wanted.push({ subscription: s, partition: p, name })
      // It was leased and never taken up, or lost: nobody else can have it as long as we live.
      else if (holder === me) this.#workers.drop(name).catch(() => this.soon(lookAgain))
      else if (plan[p] !== undefined && this.#waitedFor(s, name, plan[p])) return this.#decideFor(s, holders)
    }
    return wanted
  }

  #keep(s: Subscription, partition: Partition, ours: boolean): void {
    if (ours) s.stay(partition)
    else if (!partition.leaving) this.#handOver(s, partition)
  }

  #handOver(s: Subscription, partition: Partition): void {
    const { clock } = this.#runtime
    const now = clock.mono()
    const before = this.#tries.get(partition)
    if (before && now < before.next) return this.soon(before.next - now)
    const wait = before ? 2 * before.wait : handOver
    this.#tries.set(partition, { wait, next: now + 2 * wait })
    const cancel = clock.after(wait, () => {
      this.#timers.delete(cancel)
      if (s.stay(partition)) this.soon(wait)
    })
    this.#timers.add(cancel)
    void s.leave(partition).finally(() => {
      cancel()
      this.#timers.delete(cancel)
    })
  }

  /** Whether the worker has left the partition free for too long. */
  #waitedFor(s: Subscription, name: string, worker: string): boolean {
    const now = this.#runtime.clock.mono()
    const known = this.#free.get(name)
    const since = known?.worker === worker ? known.since : now
    if (now - since < patience) {
      this.#free.set(name, { worker, since })
      this.soon(since + patience - now + gather * this.#runtime.random.float())
      return false
    }
    this.#runtime.log.write('info', 'journal.partition_left_free', { lease: name, worker })
    this.#reluctant.set(`${worker} ${s.name}`, now + reluctance)
    this.#free.delete(name)
    return true
  }

  #isReluctant(worker: string, s: Subscription): boolean {
    const name = `${worker} ${s.name}`
    const until = this.#reluctant.get(name)
    if (until === undefined) return false
    if (this.#runtime.clock.mono() < until) return true
    this.#reluctant.delete(name)
    return false
  }
}
