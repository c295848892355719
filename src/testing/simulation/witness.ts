import type { Guard, Outcome, Unit, Write } from '#adapters/stores/port.ts'

/** Writes that somebody is told about, or that others act on: they must be on disk before the answer. */
const mustBeDurable: ReadonlySet<Write['write']> = new Set([
  'append',
  'delay',
  'fire',
  'put',
  'drop',
  'lease',
  'audit',
  'topic',
  'subscription',
])
/** Writes of a partition's owner: only under its lease, or by a person (with an audit entry). */
const ownersOnly: ReadonlySet<Write['write']> = new Set(['advance', 'park', 'repark', 'unpark', 'postpone'])

/** Stands at the store's door, keeps its own account of who owns what, and says when a commit should not have landed. */
export class Witness {
  readonly broken: string[] = []
  readonly #leases = new Map<string, { epoch: number; worker: string | null }>()

  /** Units that were applied, in order. */
  applied(units: readonly Unit[], outcomes: readonly Outcome[], durable: boolean): void {
    units.forEach((unit, i) => {
      const outcome = outcomes[i]
      if (!outcome?.ok) return
      const lease = unit.guards?.find((g) => g.guard === 'lease')
      if (lease) this.#fenced(lease)
      const byPerson = unit.writes.some((w) => w.write === 'audit')
      unit.writes.forEach((w, n) => {
        if (!durable && mustBeDurable.has(w.write))
          this.broken.push(`P1: ${w.write} was answered before it was on disk`)
        if (ownersOnly.has(w.write) && !lease && !byPerson) this.broken.push(`L5: ${w.write} without a lease`)
        this.#note(w, outcome.results[n])
      })
    })
  }

  #fenced(g: Extract<Guard, { guard: 'lease' }>): void {
    const now = this.#leases.get(g.name)
    if (now?.worker == null || now.epoch !== g.epoch)
      this.broken.push(`L5: a commit under epoch ${g.epoch} of ${g.name} landed, the epoch is ${now?.epoch}`)
  }

  #note(w: Write, result: unknown): void {
    if (w.write === 'lease' && typeof result === 'number' && result > 0) {
      const before = this.#leases.get(w.name)
      if (before && result <= before.epoch) this.broken.push(`L5: epoch ${result} of ${w.name} after ${before.epoch}`)
      this.#leases.set(w.name, { epoch: result, worker: w.worker })
    } else if (w.write === 'release' || w.write === 'gone') {
      for (const [name, l] of this.#leases)
        if (l.worker === w.worker && (w.write === 'gone' || w.name === name)) l.worker = null
    }
  }

  /** The power was cut: leases were synced when they were taken, what was given back may not have been. */
  powerCut(): void {
    this.#leases.clear()
  }

  knows(name: string): boolean {
    return this.#leases.has(name)
  }
}
