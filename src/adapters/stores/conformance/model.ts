import { isDeepStrictEqual } from 'node:util'
import {
  type Appended,
  type Entry,
  type Guard,
  type Outcome,
  type Parked,
  type ParkedAt,
  type Stored,
  type Unit,
  type Worker,
  type Write,
  type WriteResult,
} from '../port.ts'

type Kept = Stored & { readonly slot: number }
type Key = { readonly value: string; readonly version: number; readonly expires: number | null }
type Of<W extends Write['write']> = Extract<Write, { write: W }>

/**
 * The port in memory, as plainly as it can be said: what any store must answer. Numbers that the port leaves open (slots
 * and subscription numbers) are given as the embedded store gives them; which rows a `limit` chooses is not modelled.
 */
export class Model {
  topics: { name: string; slot: number; partitions: number }[] = []
  subscriptions: { id: number; name: string; topic: string }[] = []
  log: Kept[] = []
  parked: Parked[] = []
  keys = new Map<string, Key>()
  leases = new Map<string, { worker: string | null; epoch: number }>()
  workers = new Map<string, Worker>()
  delayed: { due: number; entry: Entry }[] = []
  calls: Omit<Of<'call'>, 'write'>[] = []
  audit: Omit<Of<'audit'>, 'write'>[] = []
  #seen: { topic: number; id: string; time: number; at: Appended }[] = []
  #next = new Map<number, number>()
  /** `subscription/partition` → offsets that are done. */
  #done = new Map<string, Set<number>>()

  /** `whole`: as an interactive transaction, in which one failed guard takes everything back. */
  commit(units: readonly Unit[], whole = false): Outcome[] {
    const restore = this.#saved()
    const outcomes = units.map((unit): Outcome => {
      const failed = unit.guards?.find((g) => !this.#holds(g))
      return failed ? { ok: false, failed } : { ok: true, results: unit.writes.map((w) => this.#apply(w)) }
    })
    if (whole && outcomes.some((o) => !o.ok)) restore()
    return outcomes
  }

  bounds(slot: number): { slot: number; first: number; next: number } {
    const kept = this.log.filter((m) => m.slot === slot).map((m) => m.offset)
    return { slot, first: kept.length === 0 ? 0 : Math.min(...kept), next: this.#next.get(slot) ?? 0 }
  }

  cursors(subscription: number): { partition: number; low: number; done: Uint8Array | null }[] {
    return [...this.#done]
      .map(([name, done]) => ({ name: name.split('/').map(Number), done }))
      .filter((c) => c.name[0] === subscription)
      .map(({ name, done }) => {
        let low = 0
        while (done.has(low)) low++
        const above = [...done].filter((o) => o > low)
        const bits = above.length === 0 ? null : new Uint8Array(((Math.max(...above) - low) >> 3) + 1)
        for (const o of above) bits![(o - low) >> 3]! |= 1 << ((o - low) & 7)
        return { partition: name[1]!, low, done: bits }
      })
      .sort((a, b) => a.partition - b.partition)
  }

  #holds(g: Guard): boolean {
    if (g.guard === 'lease')
      return this.leases.get(g.name)?.epoch === g.epoch && this.leases.get(g.name)!.worker !== null
    if (g.guard === 'key') return (live(this.keys.get(g.name), g.now)?.version ?? 0) === g.version
    const there = this.parked.find(isAt(g.at))
    if (there === undefined || !g.states.includes(there.state)) return false
    return g.body === undefined || isDeepStrictEqual(there.body, g.body)
  }

  #apply(w: Write): WriteResult {
    switch (w.write) {
      case 'append':
        return w.entries.map((e) => this.#append(e))
      case 'advance':
        return this.#advance(w)
      case 'park':
        return this.#park(w.parked)
      case 'repark': {
        const { write: _, at, ...change } = w
        this.parked = this.parked.map((p) => (isAt(at)(p) ? { ...p, ...change } : p))
        return 0
      }
      case 'quarantine': // nothing is ever damaged here
        return 0
      case 'unpark':
        return this.#unpark(w)
      case 'postpone':
        this.parked = this.parked.map((p) =>
          p.subscription === w.subscription && p.state === 'held' && p.heldBy === w.heldBy
            ? { ...p, due: Math.max(p.due, w.due) }
            : p,
        )
        return 0
      case 'put': {
        const version = (this.keys.get(w.name)?.version ?? 0) + 1
        this.keys.set(w.name, { value: w.value, version, expires: w.expires })
        return version
      }
      case 'drop':
        return Number(this.keys.delete(w.name))
      case 'lease': {
        const { worker, epoch } = this.leases.get(w.name) ?? { worker: null, epoch: 0 }
        if (worker !== null && worker !== w.from) return 0
        this.leases.set(w.name, { worker: w.worker, epoch: epoch + 1 })
        return epoch + 1
      }
      case 'release':
        return this.#free(w.worker, w.name)
      case 'worker':
        return this.workers.set(w.worker.id, w.worker).size
      case 'gone':
        this.workers.delete(w.worker)
        return this.#free(w.worker)
      case 'delay':
        return this.delayed.push({ due: w.due, entry: w.entry })
      case 'fire':
        return this.#fire(w)
      case 'call':
      case 'audit': {
        const { write, ...row } = w
        return (write === 'call' ? this.calls : this.audit).push(row as never)
      }
      case 'trim':
        return this.#trim(w)
      case 'shed':
        return 0
      case 'compact':
        return this.#remove(
          (m) =>
            m.slot === w.slot &&
            m.key !== null &&
            m.offset >= w.from &&
            m.offset < w.below &&
            this.log.some((n) => n.slot === m.slot && n.key === m.key && n.offset > m.offset),
        )
      case 'topic':
        return this.#topic(w)
      case 'subscription':
        return this.#subscription(w)
    }
  }

  #append(e: Entry, time = e.time): Appended {
    const topic = this.topics.find((t) => e.slot >= t.slot && e.slot < t.slot + t.partitions)!.slot
    const same = (s: { topic: number; id: string }): boolean => s.topic === topic && s.id === e.id
    const first = e.dedupe > 0 && this.#seen.findLast((s) => same(s) && s.time >= time - e.dedupe)
    if (first) return { ...first.at, duplicate: true }
    const offset = this.#next.get(e.slot) ?? 0
    this.#next.set(e.slot, offset + 1)
    const at = { slot: e.slot, offset, duplicate: false }
    this.log.push({ slot: e.slot, offset, time, id: e.id, key: e.key, meta: e.meta, body: e.body })
    if (e.dedupe > 0) this.#seen.push({ topic, id: e.id, time, at })
    return at
  }

  #advance(w: Of<'advance'>): number {
    const name = `${w.subscription}/${w.partition}`
    const done = this.#done.get(name) ?? new Set()
    for (let o = 0; o < w.low; o++) done.add(o)
    w.done?.forEach((byte, i) => {
      for (let bit = 0; bit < 8; bit++) if ((byte & (1 << bit)) !== 0) done.add(w.low + i * 8 + bit)
    })
    this.#done.set(name, done)
    return 1
  }

  #park(p: Parked): number {
    if (this.parked.some(isAt(p))) return 0
    const alone = p.state === 'behind' && !this.parked.some((q) => ofKey(p)(q) && q.offset < p.offset)
    return this.parked.push(alone ? { ...p, state: 'retry' } : p)
  }

  #unpark({ at, now }: Of<'unpark'>): number {
    const gone = this.parked.find(isAt(at))
    this.parked = this.parked.filter((p) => p !== gone)
    if (!gone || gone.key === null) return 0
    const left = this.parked.filter(ofKey(gone)).sort((a, b) => a.offset - b.offset)
    const next = left[0]
    if (next?.state === 'behind') {
      this.parked = this.parked.map((p) => (p === next ? { ...p, state: 'retry', due: now } : p))
    }
    return left.length
  }

  #free(worker: string, only?: string): number {
    for (const [name, l] of this.leases) {
      if (l.worker === worker && (only ?? name) === name) this.leases.set(name, { ...l, worker: null })
    }
    return 0
  }

  #fire({ now, limit }: Of<'fire'>): number {
    const due = this.delayed
      .filter((d) => d.due <= now)
      .toSorted((a, b) => a.due - b.due)
      .slice(0, limit)
    for (const { entry } of due) this.#append(entry, now)
    this.delayed = this.delayed.filter((d) => !due.includes(d))
    return due.length
  }

  #trim(w: Of<'trim'>): number {
    if (w.what === 'log') {
      const newest = this.bounds(w.slot).next - 1
      return this.#remove((m) => m.slot === w.slot && m.time < w.before && m.offset < w.below && m.offset !== newest)
    }
    if (w.what === 'seen') return 0
    if (w.what === 'keys') {
      const old = [...this.keys].filter(([, k]) => k.expires !== null && k.expires < w.before)
      for (const [name] of old) this.keys.delete(name)
      return old.length
    }
    const rows: { readonly time: number }[] = this[w.what]
    const kept = rows.filter((r) => r.time >= w.before)
    return rows.splice(0, rows.length, ...kept).length - kept.length
  }

  #remove(old: (m: Kept) => boolean): number {
    const kept = this.log.filter((m) => !old(m))
    const removed = this.log.length - kept.length
    this.log = kept
    return removed
  }

  #topic({ name, partitions }: Of<'topic'>): number {
    const known = this.topics.find((t) => t.name === name)
    if (known) return known.slot
    const slot = Math.max(0, ...this.topics.map((t) => t.slot + t.partitions))
    this.topics.push({ name, slot, partitions })
    return slot
  }

  #subscription(w: Of<'subscription'>): number {
    const known = this.subscriptions.find((s) => s.name === w.name)
    if (known) return known.id
    const id = this.subscriptions.length + 1
    this.subscriptions.push({ id, name: w.name, topic: w.topic })
    const topic = this.topics.find((t) => t.name === w.topic)
    const partitions = topic?.partitions ?? 0
    for (let partition = 0; partition < partitions; partition++) {
      const low = w.from === 'now' ? this.bounds(topic!.slot + partition).next : 0
      this.#advance({ write: 'advance', subscription: id, partition, low, done: null })
    }
    return id
  }

  /** Keeps everything as it is now; the returned function brings it back. */
  #saved(): () => void {
    const { topics, subscriptions, log, parked, keys, leases, workers, delayed, calls, audit } = this
    const open = { topics, subscriptions, log, parked, keys, leases, workers, delayed, calls, audit }
    const kept = structuredClone({ open, seen: this.#seen, next: this.#next, done: this.#done })
    return () => {
      Object.assign(this, kept.open)
      this.#seen = kept.seen
      this.#next = kept.next
      this.#done = kept.done
    }
  }
}

/** The key, unless it has expired. */
export function live<K extends { readonly expires: number | null }>(key: K | undefined, now: number): K | undefined {
  return key && (key.expires === null || key.expires > now) ? key : undefined
}

function isAt(at: ParkedAt): (p: ParkedAt) => boolean {
  return (p) => p.subscription === at.subscription && p.partition === at.partition && p.offset === at.offset
}

function ofKey(of: Parked): (p: Parked) => boolean {
  return (p) => p.key !== null && p.key === of.key && p.subscription === of.subscription && p.partition === of.partition
}
