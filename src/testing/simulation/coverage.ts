import type { Read, Write } from '#adapters/stores/port.ts'

/** What a run must never break. The numbers have gaps: docs/simulation.md says what the others wait for. */
export const invariants = {
  I1: 'what was accepted is kept, and answered only when it is on disk',
  I2: 'nothing is handled that nobody handed in',
  I3: 'an effect in the transaction of its message happens once',
  I4: 'messages of a key are handled one after the other',
  I5: 'epochs rise, and no commit of a former owner lands',
  I6: 'a position never changes, and what was read stays in the log',
  I7: 'a message of a transaction is there if and only if its rows are',
  I10: 'a failed message is not tried again before its backoff, nor more often than planned',
  I11: 'a repeated id is answered with the first position',
  I13: 'no secret in what is logged or shown',
  I14: 'when the faults stop, all work ends',
  I15: 'never more runs at once, or larger batches, than allowed',
  I16: 'a paused subscription starts nothing',
  I17: 'what ended well before its process did is not run again',
  I18: 'nothing reaches the host beside the Runtime',
} as const

export type Invariant = keyof typeof invariants

/** What goes wrong, and which operations it can meet. */
const meets = {
  'disk full': 'write',
  busy: 'write',
  'no answer': 'write',
  'failed sync': 'write',
  'read refused': 'read',
  crash: 'any',
  freeze: 'any',
  'power cut': 'any',
} as const

export type FaultKind =
  | keyof typeof meets
  | 'wall clock jump'
  | 'slow store'
  | 'lost tail'
  | 'torn tail'
  | 'handler failed'

export type Operation = Write['write'] | 'transaction' | Read['read'] | 'handler'

const operations = (names: string): readonly Operation[] => names.trim().split(/\s+/) as Operation[]

/** What these worlds do to the store. Not here: calls (no connections), and what only people read. */
const writes = operations(`
  append advance park repark unpark postpone put drop lease worker
  gone delay fire audit topic subscription trim compact transaction
`)
const reads = operations(`
  log heads topics subscriptions cursors parked due nextDue parkedKeys parkedFirst
  parkedCounts keys leases workers nextDelayed
`)

/** Every fault × operation pair that these worlds can play. */
const possible: ReadonlySet<string> = new Set(
  Object.entries(meets).flatMap(([fault, what]) => {
    const operations = what === 'write' ? writes : what === 'read' ? reads : [...writes, ...reads, 'handler']
    return operations.map((o) => `${fault} × ${o}`)
  }),
)

/** What was injected and what was looked at, of one run or of many. */
export class Coverage {
  readonly faults = new Map<FaultKind, number>()
  readonly #pairs = new Set<string>()
  readonly checks = new Map<Invariant, number>()
  /** Broken invariants, each with what was seen. */
  readonly broken: string[] = []

  fault(kind: FaultKind, meeting: Iterable<Operation> = []): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1)
    for (const operation of meeting) this.#pairs.add(`${kind} × ${operation}`)
  }

  check(invariant: Invariant, holds: boolean, seen: () => string): void {
    this.checks.set(invariant, (this.checks.get(invariant) ?? 0) + 1)
    if (!holds) this.broken.push(`${invariant}: ${seen()}`)
  }

  /** Adds what another run has counted; its broken invariants stay with it. */
  add(other: Coverage): void {
    for (const [k, n] of other.faults) this.faults.set(k, (this.faults.get(k) ?? 0) + n)
    for (const [k, n] of other.checks) this.checks.set(k, (this.checks.get(k) ?? 0) + n)
    for (const p of other.#pairs) this.#pairs.add(p)
  }

  get pairs(): { readonly covered: number; readonly of: number; readonly never: readonly string[] } {
    const never = [...possible].filter((p) => !this.#pairs.has(p))
    return { covered: possible.size - never.length, of: possible.size, never }
  }
}
