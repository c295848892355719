import type { Outcome, Unit, Write } from '#adapters/stores/port.ts'
import { openStore } from '#adapters/stores/sqlite/open.fixture.ts'
import type { Cancel, Clock } from '#kernel/clock.ts'
import { settle, virtualClock, type VirtualClock } from '#testing/clock.ts'
import type { JournalOptions } from './journal.ts'
import type { SubscriptionOptions } from './subscription.ts'
import { HookedStore, journalWorld, runtimeOf, type JournalWorld } from './world.fixture.ts'

/** A process: live, frozen (what reaches it is held back), or dead (nothing reaches it any more). */
export class Process {
  #state: 'live' | 'frozen' | 'dead' = 'live'
  #held: (() => void)[] = []
  /** What its wall clock shows beside the truth. */
  skew = 0

  reach(fn: () => void): void {
    if (this.#state === 'live') fn()
    else if (this.#state === 'frozen') this.#held.push(fn)
  }

  set state(to: 'live' | 'frozen' | 'dead') {
    this.#state = to
    const held = this.#held.splice(0)
    if (to === 'live') for (const fn of held) fn()
  }

  get live(): boolean {
    return this.#state !== 'dead'
  }

  clock(of: VirtualClock): VirtualClock {
    const after: Clock['after'] = (ms, fn) => {
      let over = false
      const cancel: Cancel = of.after(ms, () => this.reach(() => over || fn()))
      return () => {
        over = true
        cancel()
      }
    }
    return { ...of, now: () => of.now() + this.skew, mono: () => of.mono(), after }
  }

  /** The same calls, whose answers come when the process can hear them. A frozen one sends nothing either. */
  store(of: HookedStore): HookedStore {
    const through = <T>(call: () => Promise<T>): Promise<T> =>
      new Promise<T>((resolve, reject) =>
        this.reach(() => {
          call().then(
            (v) => this.reach(() => resolve(v)),
            (e: Error) => this.reach(() => reject(e)),
          )
        }),
      )
    const seat = new HookedStore(of)
    seat.onCommit = (_units, _sync, go) => through(go)
    seat.onRead = (_query, go) => through(go)
    seat.watch = (changed) => of.watch(() => this.reach(changed))
    seat.begin = (limit) => through(() => of.begin(limit))
    return seat
  }
}

export type Member = JournalWorld & {
  readonly process: Process
  /** Its process ends without a word; known at once, or (on another host) when its beat has stopped. */
  die(): void
  partitionsOf(subscription: string): readonly number[]
}

export type Fleet = {
  readonly clock: VirtualClock
  /** Of all; its hooks see every commit. */
  readonly store: HookedStore
  readonly members: readonly Member[]
  start(
    subscriptions: readonly SubscriptionOptions[] | ((process: Process) => readonly SubscriptionOptions[]),
    options?: { readonly host?: string; readonly journal?: Partial<JournalOptions> },
  ): Promise<Member>
  /** Who holds each partition of the subscription: the member's number in the order of starting. */
  owners(subscription?: string): Promise<readonly (number | undefined)[]>
  [Symbol.asyncDispose](): Promise<void>
}

/** Several processes of one virtual world over one store, which tells them of each other's commits after 10 ms. */
export async function fleet(partitions: number): Promise<Fleet> {
  const clock = virtualClock()
  const store = new HookedStore(await openStore(':memory:', clock))
  store.can = { ...store.can, shared: 'machine' }
  const members: Member[] = []
  let told = true
  const tell = (): void => {
    if (!told) return
    told = false
    clock.after(10, () => {
      told = true
      for (const changed of store.watchers) changed()
    })
  }
  const commit = store.commit.bind(store)
  store.commit = async (units, sync) => {
    const outcomes = await commit(units, sync)
    tell()
    return outcomes
  }
  return {
    clock,
    store,
    members,
    async start(subscriptions, options = {}) {
      const process = new Process()
      const pid = members.length + 1
      const seat = process.store(store)
      const base = await runtimeOf({ pid, store: seat, clock: process.clock(clock) })
      const alive = (p: number): boolean => members[p - 1]?.process.live ?? p === pid
      const runtime = { ...base, host: { name: options.host ?? 'here', pid, alive } }
      const definitions = typeof subscriptions === 'function' ? subscriptions(process) : subscriptions
      const world = await journalWorld(definitions, { runtime, partitions, journal: options.journal ?? {} })
      const member: Member = {
        ...world,
        process,
        die: () => (process.state = 'dead'),
        partitionsOf: (name) =>
          [...(world.journal.subscriptions.get(name)?.partitions.keys() ?? [])].sort((a, b) => a - b),
      }
      members.push(member)
      await clock.advance(0)
      return member
    },
    async owners(subscription = 'reader') {
      const leases = await store.inner.read({ read: 'leases' })
      const numbers = new Map(members.map((m, i) => [m.journal.workers.id, i]))
      return Array.from({ length: partitions }, (_, p) => {
        const lease = leases.find((l) => l.name === `subscription/${subscription}/${p}`)
        return lease && numbers.get(lease.worker)
      })
    },
    async [Symbol.asyncDispose]() {
      for (const m of members) m.process.state = m.process.live ? 'live' : 'dead'
      const stops = members.filter((m) => m.process.live).map((m) => m.journal.stop(0))
      await clock.advance(10_000)
      await Promise.all(stops)
      await settle()
      await store[Symbol.asyncDispose]()
    },
  }
}

/** How many of the list are each number, least first. */
export function counted(owners: readonly (number | undefined)[]): readonly number[] {
  return [...Map.groupBy(owners, (o) => o).values()].map((g) => g.length).sort((a, b) => a - b)
}

/** Whether some unit writes this. */
export function writes(units: readonly Unit[], what: Write['write']): boolean {
  return units.some((u) => u.writes.some((w) => w.write === what))
}

export type Commit = { readonly units: readonly Unit[]; readonly outcomes: readonly Outcome[] }

/** Notes every commit of the store from now on. */
export function watched(store: HookedStore): Commit[] {
  const seen: Commit[] = []
  store.onCommit = async (units, _sync, go) => {
    const outcomes = await go()
    seen.push({ units, outcomes })
    return outcomes
  }
  return seen
}
