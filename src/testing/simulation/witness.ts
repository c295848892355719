import type { Guard, Outcome, Sync, Unit, Write } from '#adapters/stores/port.ts'
import type { Coverage } from './coverage.ts'

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

type Seen = { readonly units: readonly Unit[]; outcomes: readonly Outcome[] | undefined; known: boolean }

/** Stands at the store's door, keeps its own account of who owns what, and says when a commit should not have landed. */
export class Witness {
  readonly #coverage: Coverage
  /** Undefined: a commit that may have changed it was never answered. */
  readonly #leases = new Map<string, { epoch: number; worker: string | null } | undefined>()
  /** Commits in the order in which they were applied: answers come in another. */
  #seen: Seen[] = []

  constructor(coverage: Coverage) {
    this.#coverage = coverage
  }

  /** Units are being applied now. Returns where to say how that ended: undefined when nobody will ever know. */
  applied(units: readonly Unit[]): (outcomes: readonly Outcome[] | undefined) => void {
    const seen: Seen = { units, outcomes: undefined, known: false }
    this.#seen.push(seen)
    return (outcomes) => {
      seen.outcomes = outcomes
      seen.known = true
      while (this.#seen[0]?.known === true) this.#judge(this.#seen.shift()!)
    }
  }

  #judge({ units, outcomes }: Seen): void {
    units.forEach((unit, i) => {
      if (outcomes === undefined) return this.#doubt(unit)
      const outcome = outcomes[i]
      if (!outcome?.ok) return
      const lease = unit.guards?.find((g) => g.guard === 'lease')
      if (lease) this.#fenced(lease)
      const byPerson = unit.writes.some((w) => w.write === 'audit')
      unit.writes.forEach((w, n) => {
        if (ownersOnly.has(w.write))
          this.#coverage.check('I5', lease !== undefined || byPerson, () => `${w.write} without a lease`)
        this.#note(w, outcome.results[n])
      })
    })
  }

  /** A commit is about to be answered: `held` says whether a power cut at this moment would keep it. */
  answered(units: readonly Unit[], sync: Sync, held: boolean): void {
    const told = units.flatMap((u) => u.writes).find((w) => mustBeDurable.has(w.write))
    if (told || sync === 'durable')
      this.#coverage.check('I1', held, () => `${told?.write ?? 'a durable commit'} is answered before it is on disk`)
  }

  /** Somebody is about to be told how far the log reaches. */
  promised(held: boolean, what: string): void {
    this.#coverage.check('I6', held, () => `${what} tells of what is not on disk`)
  }

  #fenced(g: Extract<Guard, { guard: 'lease' }>): void {
    const now = this.#leases.get(g.name)
    if (now === undefined && this.#leases.has(g.name)) return
    this.#coverage.check(
      'I5',
      now?.worker != null && now.epoch === g.epoch,
      () => `a commit under epoch ${g.epoch} of ${g.name} landed, the epoch is ${now?.epoch}`,
    )
  }

  #doubt(unit: Unit): void {
    for (const w of unit.writes) {
      if (w.write === 'lease' || w.write === 'release') this.#leases.set(w.name, undefined)
      if (w.write === 'gone')
        for (const [name, l] of this.#leases) if (l?.worker === w.worker) this.#leases.set(name, undefined)
    }
  }

  #note(w: Write, result: unknown): void {
    if (w.write === 'lease' && typeof result === 'number' && result > 0) {
      const before = this.#leases.get(w.name)
      if (before)
        this.#coverage.check('I5', result > before.epoch, () => `epoch ${result} of ${w.name} after ${before.epoch}`)
      this.#leases.set(w.name, { epoch: result, worker: w.worker })
    } else if (w.write === 'release' || w.write === 'gone') {
      for (const [name, l] of this.#leases)
        if (l?.worker === w.worker && (w.write === 'gone' || w.name === name)) l.worker = null
    }
  }

  /** The power was cut: leases were synced when they were taken, what was given back may not have been. */
  powerCut(): void {
    this.#leases.clear()
    this.#seen = []
  }
}
