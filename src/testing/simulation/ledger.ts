import type { Process } from './machine.ts'

/** What a client handed in, and what it was told. A repeat hands in the same fact under the same id. */
export type Fact = {
  readonly u: string
  readonly topic: 'orders' | 'out'
  readonly key: string | null
  readonly id: string | undefined
  /** With a row of the client's own, in one transaction. */
  readonly row: boolean
  accepted: boolean
  /** At least one attempt ended without an answer that is a fact: it may be in the log, or not. */
  unknown: boolean
  /** Where its publisher was told that it stands. */
  position: string | undefined
}

export type Run = {
  readonly sub: string
  readonly u: string
  readonly key: string | null
  readonly edited: boolean
  readonly process: Process
  /** The same for the messages of one batch. */
  readonly batch: object
  readonly attempt: number
  readonly began: number
  readonly order: number
  ended: number | undefined
  endOrder: number
  ok: boolean
}

/** Everything that the outside saw: clients, handlers, operators. The auditor is given nothing else. */
export class Ledger {
  readonly facts = new Map<string, Fact>()
  readonly runs: Run[] = []
  /** `sub u` of messages that an operator discarded, or may have: nobody answered. */
  readonly discarded = new Set<string>()
  readonly edited = new Set<string>()
  readonly broken: string[] = []
  readonly timeline: string[] = []
  #order = 0
  readonly #now: () => number

  /** Hours pass: an id may be forgotten before it is repeated. */
  readonly #forgetful: boolean

  constructor(now: () => number, forgetful: boolean) {
    this.#now = now
    this.#forgetful = forgetful
  }

  /** Whether a person has decided about the message, or may have. */
  decided(of: { readonly sub: string; readonly u: string }): boolean {
    const name = `${of.sub} ${of.u}`
    return this.discarded.has(name) || this.edited.has(name)
  }

  note(text: string): void {
    this.timeline.push(`${String(Math.round(this.#now())).padStart(8)} ${text}`)
  }

  fact(of: Omit<Fact, 'accepted' | 'unknown' | 'position'>): Fact {
    const known = this.facts.get(of.u)
    if (known) return known
    const fact: Fact = { ...of, accepted: false, unknown: false, position: undefined }
    this.facts.set(of.u, fact)
    return fact
  }

  accepted(fact: Fact, position: string | undefined): void {
    fact.accepted = true
    this.note(`accepted ${fact.u} at ${position ?? 'a later time'}`)
    if (position === undefined) return
    // What a batch publishes is recognised only when the same batch runs again.
    const loose = this.#forgetful || fact.u.endsWith('>batch')
    if (fact.position !== undefined && fact.position !== position && !loose)
      this.broken.push(`L6: ${fact.u} was told to stand at ${fact.position} and at ${position}`)
    fact.position = position
  }

  refused(fact: Fact, why: unknown): void {
    fact.unknown = true
    this.note(`refused ${fact.u}: ${String((why as { code?: unknown } | null)?.code ?? why)}`)
  }

  began(of: Omit<Run, 'began' | 'order' | 'ended' | 'endOrder' | 'ok'>): Run {
    const run: Run = { ...of, began: this.#now(), order: this.#order++, ended: undefined, endOrder: 0, ok: false }
    this.runs.push(run)
    this.note(`${of.process.name} ${of.sub} begins ${of.u} #${of.attempt}${of.edited ? ' edited' : ''}`)
    return run
  }

  ended(run: Run, ok: boolean, how: string): void {
    run.ended = this.#now()
    run.endOrder = this.#order++
    run.ok = ok
    this.note(`${run.process.name} ${run.sub} ends ${run.u}: ${how}`)
  }
}
