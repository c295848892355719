import type { Clock } from '#kernel/clock.ts'
import type { BreakerHandle, BreakerPeers } from '#resilience/breaking.ts'
import type { Fleet, Part, Swap, View } from './fleet.ts'
import { fleetPrefix } from './peers.ts'

/**
 * What all processes know of one breaker, `fleet/breaker/<connection>`. `alone`: the processes in `sick` see failures while
 * another one was answered: each judges for itself.
 */
export type BreakerNotice = {
  readonly state: 'closed' | 'open' | 'probing' | 'alone' | 'isolated'
  /** Id of the process that wrote it; the operator, for `isolated`. */
  readonly by: string
  /** Wall time of the writer, for people and for whoever comes later. */
  readonly at: number
  /** Milliseconds from then until a probe is allowed (`open`), or until the prober has lost its turn (`probing`). */
  readonly wait: number
  readonly openings: number
  /** Processes that opened it by what they saw themselves. Two are enough to believe it. */
  readonly sick: readonly string[]
  readonly reason?: string
}

export const breakerPrefix = `${fleetPrefix}breaker/`

/** Milliseconds that the store has for the question who probes. Then everybody decides alone: nothing hangs on the store. */
const patience = 1_000
/** Milliseconds for which nobody believes a process by itself that was alone with what it saw. */
const doubtFor = 600_000
/** As many as are remembered: enough to say that it is not one alone. */
const mostSick = 8

/**
 * One breaker over all processes. Who opens it tells the others; they stop too, unless what they see themselves speaks
 * against it: a process with good answers lately asks once itself, at its next call (*second opinion*), and one whose call under way is
 * answered well after the news needs not even ask. If it is well, only the one who complained stays open. When the open time is over one
 * process probes, the one that wins the compare-and-set; if it dies, the next one has its turn.
 */
export class BreakerPart implements Part, BreakerPeers {
  readonly active = false
  readonly #name: string
  readonly #clock: Clock
  readonly #fleet: Pick<Fleet, 'id' | 'keys' | 'away' | 'poke'>
  readonly #breaker: BreakerHandle
  #version = -1
  #notice: BreakerNotice | undefined
  /** Whether calls were answered well here when it was opened by somebody else. */
  #well = false
  /** We ask for a second opinion: what comes of it says whether the one who complained is alone. */
  #second = false
  /** Who was alone with what it saw, and when we heard of it (monotonic): it is not believed by itself for a while. */
  readonly #doubted = new Map<string, number>()
  /** What is to be written, made from what stands there when it is. */
  #wanted: ((now: BreakerNotice | undefined, view: View) => BreakerNotice | undefined) | undefined
  #claiming: ((granted: boolean) => void)[] | undefined

  constructor(name: string, clock: Clock, fleet: Pick<Fleet, 'id' | 'keys' | 'away' | 'poke'>, breaker: BreakerHandle) {
    this.#name = breakerPrefix + name
    this.#clock = clock
    this.#fleet = fleet
    this.#breaker = breaker
    breaker.join(this)
  }

  judged(to: 'open' | 'closed'): void {
    const me = this.#fleet.id
    if (to === 'closed') {
      const second = this.#second
      this.#second = false
      this.#want((now, view) => {
        if (this.#breaker.state !== 'closed') return undefined
        if (now === undefined || now.state === 'closed' || now.state === 'isolated') return undefined
        const sick = now.sick.filter((id) => id !== me && view.peers.alive(id))
        for (const id of sick) if (second) this.#doubted.set(id, view.now)
        // They are well for us. Only those who complained keep their own opinion, until they have been answered themselves.
        if (second && sick.length > 0) return this.#say(view, 'alone', { openings: now.openings, sick })
        if (now.state === 'alone' && sick.length > 0) return this.#say(view, 'alone', { openings: now.openings, sick })
        return this.#say(view, 'closed', {})
      })
      return
    }
    const second = this.#second
    this.#second = false
    if (second && this.#notice !== undefined) {
      // The same opening, confirmed: it does not make the next one longer.
      this.#breaker.restore({ state: 'open', left: this.#notice.wait, openings: this.#notice.openings })
    }
    this.#want((now, view) => {
      if (now?.state === 'isolated' || this.#breaker.state !== 'open') return undefined
      const { left, openings } = this.#breaker.export()
      const known = now?.sick.filter((id) => id !== me && view.peers.alive(id)) ?? []
      if (now?.state === 'alone' && now.sick.includes(me)) return undefined
      if (now?.state === 'open' && (now.sick.includes(me) || known.length >= 2)) return undefined
      if (now?.state === 'probing' && now.by !== me) return undefined
      const sick = [...(now?.state === 'closed' ? [] : known), me].slice(-mostSick)
      return this.#say(view, 'open', {
        wait: left,
        openings: Math.max(openings, now?.state === 'open' ? now.openings : 0),
        sick,
      })
    })
  }

  /** Only what is answered after the news speaks against it. */
  answered(): void {
    const n = this.#notice
    if (n?.state !== 'open' || !this.#well || n.sick.includes(this.#fleet.id) || this.#breaker.state !== 'open') return
    this.#well = false
    this.#second = false
    this.#breaker.close()
    this.#want((now, view) => {
      if (now?.state !== 'open') return undefined
      return this.#say(view, 'alone', { openings: now.openings, sick: now.sick })
    })
  }

  claim(decided: (granted: boolean) => void): void {
    if (this.#claiming) {
      this.#claiming.push(decided)
      return
    }
    const state = this.#notice?.state
    const me = this.#fleet.id
    const own = state === undefined || state === 'closed' || state === 'alone'
    if (this.#fleet.away || own || (state === 'probing' && this.#notice?.by === me)) return decided(true)
    this.#claiming = [decided]
    const settle = (granted: boolean): void => {
      cancel()
      const all = this.#claiming ?? []
      this.#claiming = undefined
      // One is let through; the breaker refuses the others, because the turn has begun.
      for (const fn of all) fn(granted)
    }
    let over = false
    const cancel = this.#clock.after(patience, () => {
      over = true
      settle(true)
    })
    this.#take().then(
      (granted) => void (over || settle(granted)),
      () => void (over || settle(true)),
    )
  }

  see(view: View): void {
    const row = view.rows.get(this.#name)
    if (row === undefined) return
    // A look that began before our own last word knows less than we do.
    if (row.version <= this.#version) return this.#inherit(view)
    this.#version = row.version
    const notice = noticeOf(row.value)
    if (notice === undefined) return
    this.#notice = notice
    const passed = view.continuous ? 0 : Math.max(0, view.wall - notice.at)
    this.#adopt(notice, Math.max(0, notice.wait - passed), view)
    this.#inherit(view)
  }

  wish(view: View): Swap | undefined {
    const wanted = this.#wanted
    if (wanted === undefined) return undefined
    const row = view.rows.get(this.#name)
    const next = wanted(row && noticeOf(row.value), view)
    if (next === undefined) {
      this.#wanted = undefined
      return undefined
    }
    const version = row?.version ?? 0
    return {
      name: this.#name,
      version,
      value: JSON.stringify(next),
      done: (outcome) => {
        if (outcome !== 'written') return
        if (this.#wanted === wanted) this.#wanted = undefined
        this.#version = version + 1
        this.#notice = next
      },
    }
  }

  /** A prober that ends passes its turn on; who complained takes the complaint along. */
  leave(view: View): Swap | undefined {
    const row = view.rows.get(this.#name)
    const now = row && noticeOf(row.value)
    if (now === undefined || row === undefined) return undefined
    const sick = now.sick.filter((id) => id !== view.me)
    if (now.state === 'probing' && now.by === view.me) {
      return this.#leaving(row.version, { ...now, state: 'open', wait: 0, at: view.wall })
    }
    if (now.state === 'alone' && sick.length < now.sick.length) {
      return this.#leaving(row.version, { ...now, state: sick.length > 0 ? 'alone' : 'closed', sick })
    }
    return undefined
  }

  #leaving(version: number, next: BreakerNotice): Swap {
    return { name: this.#name, version, value: JSON.stringify(next), done: () => {} }
  }

  #adopt(notice: BreakerNotice, left: number, view: View): void {
    const breaker = this.#breaker
    const me = view.me
    const mine = notice.sick.includes(me)
    switch (notice.state) {
      case 'closed':
        if (breaker.state !== 'closed') breaker.close()
        return
      case 'alone':
        for (const id of notice.sick) this.#doubted.set(id, view.now)
        if (!mine && breaker.state !== 'closed') breaker.close()
        return
      case 'isolated':
        breaker.isolate()
        return
      case 'open': {
        if (breaker.state === 'open' && mine) return
        // Our own judgement, made at the same time: it stays, and confirms theirs.
        if (breaker.state === 'open' && this.#wanted !== undefined) return
        const alone = notice.sick.filter((id) => view.peers.alive(id)).length === 1 && !mine
        this.#well = breaker.state === 'closed' && breaker.well()
        const doubted = notice.sick.some((id) => view.now - (this.#doubted.get(id) ?? -Infinity) < doubtFor)
        this.#second = alone && (this.#well || doubted)
        breaker.restore({ state: 'open', left: this.#second ? 0 : left, openings: notice.openings })
        return
      }
      case 'probing':
        if (notice.by === me) return
        breaker.restore({ state: 'half-open', left, openings: notice.openings })
    }
  }

  /** A prober that is gone loses its turn at once; of those who complained, whoever is gone no longer does. */
  #inherit(view: View): void {
    const n = this.#notice
    if (n === undefined || n.by === view.me) return
    if (n.state === 'probing' && !view.peers.alive(n.by) && this.#breaker.state === 'half-open') {
      this.#breaker.restore({ state: 'open', left: 0, openings: n.openings })
    }
  }

  /** Takes the turn, if nobody has it. */
  async #take(): Promise<boolean> {
    const { keys, id: me } = this.#fleet
    for (let i = 0; i < 2; i++) {
      const n = this.#notice
      if (n === undefined || n.state === 'closed' || n.state === 'alone') return true
      if (n.state === 'isolated') return false
      const wait = Math.max(1_000, n.wait)
      const next: BreakerNotice = { ...n, state: 'probing', by: me, at: this.#clock.now(), wait }
      const version = this.#version
      if (await keys.swap(this.#name, version, JSON.stringify(next))) {
        this.#version = version + 1
        this.#notice = next
        return true
      }
      const row = (await keys.list(this.#name)).find((r) => r.name === this.#name)
      if (row === undefined) return true
      // Somebody else has it, or it was decided meanwhile.
      this.#version = row.version
      const now = noticeOf(row.value)
      this.#notice = now
      if (now?.state === 'closed' || (now?.state === 'alone' && !now.sick.includes(me))) {
        this.#breaker.close()
        return false
      }
      if (now?.state === 'isolated') this.#breaker.isolate()
      if (now?.state !== 'open' || now.wait > 0) {
        if (now?.state === 'probing')
          this.#breaker.restore({ state: 'half-open', left: now.wait, openings: now.openings })
        if (now?.state === 'open') this.#breaker.restore({ state: 'open', left: now.wait, openings: now.openings })
        return now?.state === 'alone'
      }
    }
    return false
  }

  #want(make: (now: BreakerNotice | undefined, view: View) => BreakerNotice | undefined): void {
    this.#wanted = make
    this.#fleet.poke()
  }

  #say(view: View, state: BreakerNotice['state'], more: Partial<BreakerNotice>): BreakerNotice {
    return { state, by: view.me, at: view.wall, wait: 0, openings: 0, sick: [], ...more }
  }
}

export function noticeOf(text: string): BreakerNotice | undefined {
  try {
    const n = JSON.parse(text) as Partial<BreakerNotice>
    const { state, by, at, wait, openings, sick } = n
    if (!known.includes(state!) || typeof by !== 'string' || !Array.isArray(sick)) return undefined
    if (![at, wait, openings].every((x) => typeof x === 'number')) return undefined
    return n as BreakerNotice
  } catch {
    return undefined
  }
}

const known: readonly unknown[] = ['closed', 'open', 'probing', 'alone', 'isolated']
