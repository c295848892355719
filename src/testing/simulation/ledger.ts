import type { Coverage } from './coverage.ts'
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
  /** How it ended, for people and for what follows from it. */
  how: string
}

/** Everything that the outside saw: clients, handlers, operators. The auditor is given nothing else. */
export class Ledger {
  readonly facts = new Map<string, Fact>()
  readonly runs: Run[] = []
  /** `sub u` of messages that an operator discarded, or may have: nobody answered. */
  readonly discarded = new Set<string>()
  readonly edited = new Set<string>()
  /** Of those, what an operator was told is edited. */
  readonly corrected = new Set<string>()
  readonly coverage: Coverage
  readonly timeline: string[] = []
  /** Subscriptions that an operator was told are paused, since when. */
  readonly #paused = new Map<string, number>()
  #pausing = 0
  readonly #resuming = new Map<string, number>()
  /** The store refused to have them go on: they may still be paused. */
  readonly #unresumed = new Set<string>()
  /** Milliseconds until every process has heard of a pause. */
  readonly #hearing: number
  #order = 0
  readonly #now: () => number

  /** Hours pass: an id may be forgotten before it is repeated. */
  readonly #forgetful: boolean

  constructor(now: () => number, coverage: Coverage, of: { readonly forgetful: boolean; readonly hearing: number }) {
    this.#now = now
    this.coverage = coverage
    this.#forgetful = of.forgetful
    this.#hearing = of.hearing
  }

  /** An operator asks for a pause. Returns what to call when that was answered. */
  pausing(): () => void {
    this.#pausing++
    return () => void this.#pausing--
  }

  /** Whether something is paused, or will be when a process goes on that stood still. */
  get mayBePaused(): boolean {
    return this.#pausing > 0 || this.#paused.size > 0 || this.#unresumed.size > 0
  }

  /** An operator was told that the subscription is paused: unless somebody was just having it resumed, it is. */
  paused(sub: string): void {
    if ((this.#resuming.get(sub) ?? 0) === 0) this.#paused.set(sub, this.#now())
  }

  /** An operator asks for it to go on: from now on it may. Returns what to call when that was answered, well or not. */
  resuming(sub: string): (well: boolean) => void {
    this.#paused.delete(sub)
    this.#resuming.set(sub, (this.#resuming.get(sub) ?? 0) + 1)
    return (well) => {
      this.#resuming.set(sub, this.#resuming.get(sub)! - 1)
      if (well) this.#unresumed.delete(sub)
      else this.#unresumed.add(sub)
    }
  }

  /** Whether a person has decided about the message, or may have. */
  decided(of: { readonly sub: string; readonly u: string }): boolean {
    const name = `${of.sub} ${of.u}`
    return this.discarded.has(name) || this.edited.has(name)
  }

  running(sub: string, u: string): boolean {
    return this.runs.some((r) => r.ended === undefined && r.sub === sub && r.u === u)
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
    if (fact.position !== undefined && !loose) {
      const first = fact.position
      this.coverage.check('I11', first === position, () => `${fact.u} was told to stand at ${first} and at ${position}`)
    }
    fact.position = position
  }

  refused(fact: Fact, why: unknown): void {
    fact.unknown = true
    this.note(`refused ${fact.u}: ${String((why as { code?: unknown } | null)?.code ?? why)}`)
  }

  began(of: Omit<Run, 'began' | 'order' | 'ended' | 'endOrder' | 'ok' | 'how'>): Run {
    const run: Run = {
      ...of,
      began: this.#now(),
      order: this.#order++,
      ended: undefined,
      endOrder: 0,
      ok: false,
      how: '',
    }
    this.runs.push(run)
    const since = this.#paused.get(of.sub)
    if (since !== undefined && of.process.wokenBy <= this.#now())
      this.coverage.check(
        'I16',
        run.began <= since + this.#hearing,
        () => `${of.process.name} runs ${of.u} for ${of.sub}, which is paused since ${since}`,
      )
    this.note(`${of.process.name} ${of.sub} begins ${of.u} #${of.attempt}${of.edited ? ' edited' : ''}`)
    return run
  }

  ended(run: Run, ok: boolean, how: string): void {
    run.ended = this.#now()
    run.endOrder = this.#order++
    run.ok = ok
    run.how = how
    this.note(`${run.process.name} ${run.sub} ends ${run.u}: ${how}`)
  }
}
