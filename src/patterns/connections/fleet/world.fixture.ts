import { fault } from '#kernel/fault.ts'
import type { Clock } from '#kernel/clock.ts'
import type { Random } from '#kernel/random.ts'
import { breaker, type BreakerOptions } from '#resilience/breaker.ts'
import { compose, type Pipeline } from '#resilience/compose.ts'
import { limit } from '#resilience/limiter.ts'
import type { Policy } from '#resilience/policy.ts'
import { retry, type RetryOptions } from '#resilience/retry.ts'
import type { Rate } from '#resilience/rate.ts'
import { virtualClock, type VirtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { Fleet, type FleetKeys } from './fleet.ts'
import { SharedConnection } from './share.ts'

export type WorldOptions = {
  readonly seed: number
  readonly rates?: readonly Rate[]
  readonly breaker?: BreakerOptions
  readonly retry?: RetryOptions | false
  /** Whether a process of this fleet that has died is known to be dead at once: they run on one machine. */
  readonly oneHost?: boolean
  /** True wall time at the beginning. */
  readonly start?: number
}

/** Where a model of the keys is, as one process sees it. */
export type Way = { cut: boolean; slow: number; lossy: number }

/** One process: its own clocks, its own way to the store and to the other side. */
export type Member = {
  readonly id: string
  readonly fleet: Fleet
  readonly pipeline: Pipeline
  readonly way: Way
  readonly clock: Clock
  /** What the other side answers this process; may throw. */
  answer: () => unknown
  call(deadline?: number): Promise<unknown>
  /** As kill -9 does: nothing of it happens any more. */
  kill(): void
  stop(): Promise<void>
  readonly alive: boolean
}

export type Send = { readonly at: number; readonly by: string }

/**
 * Processes on one model of the keys: versions, compare-and-set, commits that are slow, fail, are applied although the answer
 * is lost, or land long after their sender was told that nobody knows. Each process has a wall clock and a monotonic one of its own, which are off
 * and drift. An auditor outside sees true times.
 */
export class World {
  readonly clock: VirtualClock
  readonly random: Random
  readonly sends: Send[] = []
  readonly members: Member[] = []
  readonly rows = new Map<string, { value: string; version: number }>()
  readonly #options: WorldOptions
  readonly #watchers = new Set<() => void>()
  #next = 0

  constructor(options: WorldOptions) {
    this.#options = options
    this.clock = virtualClock(options.start === undefined ? {} : { start: options.start })
    this.random = seededRandom(options.seed)
  }

  get writes(): number {
    return this.members.reduce((n, m) => n + m.fleet.counts.writes, 0)
  }

  async join(skew = 0, cut = false): Promise<Member> {
    const { rates = [], oneHost = false } = this.#options
    const pid = ++this.#next
    const id = `p${pid}`
    const own = skewed(this.clock, skew, 1 + (this.random.float() - 0.5) * 4e-4, pid * 1e6)
    const way: Way = { cut, slow: 0, lossy: 0 }
    const fleet = new Fleet({
      runtime: {
        clock: own,
        random: this.random,
        ids: { next: () => id },
        log: { write: () => {} },
        host: { name: oneHost ? 'one' : id, pid, alive: (p) => this.members.some((m) => m.id === `p${p}` && m.alive) },
      },
      keys: this.#keys(way, own),
      watch: (fn) => {
        const look = (): void => void own.after(100, fn)
        this.#watchers.add(look)
        return () => void this.#watchers.delete(look)
      },
    })
    const shared = new SharedConnection(fleet, 'api', rates, own)
    const policies: Policy[] = []
    if (this.#options.retry !== false && this.#options.retry !== undefined) policies.push(retry(this.#options.retry))
    if (rates.length > 0) policies.push(limit({ rate: rates, waiting: 5_000 }))
    policies.push(breaker(this.#options.breaker))
    const pipeline = compose(
      { clock: own, random: this.random, observe: (e) => shared.observe(e), quotas: () => shared.quotas },
      ...policies,
    )
    shared.attach(pipeline)
    let alive = true
    const member: Member = {
      id,
      fleet,
      pipeline,
      way,
      clock: own,
      answer: () => undefined,
      call: (deadline) =>
        pipeline.run(
          async () => {
            this.sends.push({ at: this.clock.mono(), by: id })
            await new Promise<void>((resolve) => this.clock.after(5, resolve))
            return member.answer()
          },
          { idempotent: true, ...(deadline === undefined ? {} : { deadline: own.mono() + deadline }) },
        ),
      kill: () => {
        alive = false
        own.kill()
      },
      stop: async () => {
        pipeline.close()
        await fleet.stop()
        alive = false
        own.kill()
      },
      get alive() {
        return alive
      },
    }
    this.members.push(member)
    const joined = fleet.start()
    for (let i = 0; i < 200; i++) {
      if (await Promise.race([joined.then(() => true), this.clock.advance(5).then(() => false)])) break
    }
    return member
  }

  async close(): Promise<void> {
    for (const m of this.members) {
      m.pipeline.close()
      m.kill()
    }
    await this.clock.advance(0)
  }

  /** The most sends in any window of `span` ms. */
  most(span: number): number {
    let most = 0
    let from = 0
    for (let to = 0; to < this.sends.length; to++) {
      while (this.sends[to]!.at - this.sends[from]!.at >= span) from++
      most = Math.max(most, to - from + 1)
    }
    return most
  }

  #keys(way: Way, own: Clock): FleetKeys {
    const travel = (): Promise<void> =>
      new Promise((resolve) => own.after(1 + this.random.float() * 10 + way.slow * this.random.float(), resolve))
    const act = async <T>(write: boolean, fn: () => T): Promise<T> => {
      await travel()
      if (way.cut) throw fault('store.unreachable')
      if (write && this.random.float() < way.lossy) {
        // Applied, and nobody hears of it; or on its way for a while yet.
        if (this.random.float() < 0.5) fn()
        else this.clock.after(this.random.float() * 20_000, fn)
        throw fault('store.broken')
      }
      const result = fn()
      if (write) for (const w of this.#watchers) w()
      await travel()
      return result
    }
    const put = (name: string, value: string): number => {
      const version = (this.rows.get(name)?.version ?? 0) + 1
      this.rows.set(name, { value, version })
      return version
    }
    return {
      list: (prefix) =>
        act(false, () => [...this.rows].filter(([n]) => n.startsWith(prefix)).map(([name, row]) => ({ name, ...row }))),
      put: (name, value) => act(true, () => put(name, value)),
      swap: (name, version, value) =>
        act(true, () => {
          if ((this.rows.get(name)?.version ?? 0) !== version) return false
          put(name, value)
          return true
        }),
      drop: (name) => act(true, () => void this.rows.delete(name)),
    }
  }
}

/** Clocks of a process: its wall clock is off by `skew` ms, its monotonic one runs a little too fast or too slow. */
function skewed(clock: VirtualClock, skew: number, rate: number, start: number): Clock & { kill(): void } {
  let dead = false
  return {
    now: () => clock.now() + skew,
    mono: () => start + clock.mono() * rate,
    // A hair late, never early: what is due must be due by this clock too, whatever was rounded.
    after: (ms, fn) => clock.after(ms / rate + 1e-4, () => void (dead || fn())),
    soon: (fn) => clock.soon(() => void (dead || fn())),
    kill: () => void (dead = true),
  }
}
