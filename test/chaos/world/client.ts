import type { Random } from '#kernel/random.ts'
import type { Fact } from './definitions.ts'
import type { Member, Told } from './member.ts'
import { pause } from './pause.ts'

export type Entry = {
  readonly fact: Fact
  /** Where its publisher was told that it stands; of a late one nothing but that it is accepted. */
  at: readonly [number, number] | undefined
  accepted: boolean
  attempts: number
}

/** What clients handed in and what they were told. Nothing else is believed of it. */
export class Ledger {
  readonly entries = new Map<string, Entry>()
  /** Refusals by code; `nothing`: the process died before it answered. */
  readonly refusals = new Map<string, number>()
  readonly broken: string[] = []

  entry(fact: Fact): Entry {
    let entry = this.entries.get(fact.u)
    if (!entry) this.entries.set(fact.u, (entry = { fact, at: undefined, accepted: false, attempts: 0 }))
    return entry
  }

  get acknowledged(): number {
    let n = 0
    for (const e of this.entries.values()) if (e.accepted) n++
    return n
  }

  accepted(entry: Entry, at: readonly [number, number]): void {
    entry.accepted = true
    if (at[1] < 0) return
    if (entry.at && entry.at.join() !== at.join())
      this.broken.push(`${entry.fact.u} was told to stand at ${entry.at.join('/')}, and at ${at.join('/')}`)
    entry.at = at
  }

  refused(code: string): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1)
  }
}

/** Facts of a run, from its seed: keys that come again, some that fail once, some that nobody wants, some that are late. */
export function factory(random: Random, prefix: string): () => Fact {
  let n = 0
  return () => {
    const u = `${prefix}-${n++}`
    const draw = random.float()
    if (draw < 0.03) return { u, key: null, manner: 'dead' }
    if (draw < 0.08) return { u, key: null, manner: 'late' }
    const key = random.float() < 0.2 ? null : `k${Math.floor(random.float() * 12)}`
    return { u, key, manner: draw < 0.18 ? 'retry' : 'ok' }
  }
}

/** How long a client waits for an engine: longer than any scenario leaves it without one. */
const alone = 60_000

/**
 * Hands facts in, several at a time, until it is told to end, and each one again until it is accepted: what a careful
 * client does. A publish without an answer, and one that was accepted, is now and then repeated with the same id.
 */
export class Client {
  readonly ledger: Ledger
  readonly #member: () => Member | undefined
  readonly #make: () => Fact
  readonly #random: Random
  #ending = false
  #loops: Promise<void>[] = []
  /** Which engine is asked next, where there are several; undefined: none at the moment. */
  pick: (() => Member | undefined) | undefined
  /** Called with each acceptance. */
  onAccepted: () => void = () => {}
  /** Called with each answer: which engine, what it said, and when it was asked. */
  onTold: (member: Member, told: Told, asked: number) => void = () => {}

  constructor(of: { ledger: Ledger; member: () => Member | undefined; make: () => Fact; random: Random }) {
    this.ledger = of.ledger
    this.#member = of.member
    this.#make = of.make
    this.#random = of.random
  }

  /** `pauseMs` between two facts of one of the `senders`: bounds how much a long run piles up. */
  start(senders: number, pauseMs: number): void {
    this.#ending = false
    this.#loops = Array.from({ length: senders }, async () => {
      while (!this.#ending) {
        await this.hand(this.#make())
        if (pauseMs > 0) await pause(pauseMs)
      }
    })
  }

  /** Makes no new facts; resolves when all that were begun are accepted, for which a member must be there. */
  async end(): Promise<void> {
    this.#ending = true
    await Promise.all(this.#loops)
  }

  async hand(fact: Fact): Promise<void> {
    const entry = this.ledger.entry(fact)
    let since = performance.now()
    for (;;) {
      const member = (this.pick ?? this.#member)()
      if (member === undefined) {
        if (performance.now() - since > alone)
          throw new Error(`for ${alone} ms there was no engine to hand ${fact.u} to`)
        await pause(5)
        continue
      }
      since = performance.now()
      entry.attempts++
      const asked = performance.now()
      const answer = await member.publish(fact)
      this.onTold(member, answer, asked)
      if (answer.told === 'accepted') {
        this.ledger.accepted(entry, answer.at)
        this.onAccepted()
        if (fact.manner !== 'late' && this.#random.float() < 0.03) continue
        return
      }
      this.ledger.refused(answer.told === 'nothing' ? 'nothing' : answer.code)
      await pause(answer.told === 'nothing' ? 5 : 20)
    }
  }
}
