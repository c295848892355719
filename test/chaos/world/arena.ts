import type { Random } from '#kernel/random.ts'
import { seededRandom } from '#testing/random.ts'
import type { Env, Result } from '../scenario.ts'
import { audit, type Verdict } from './audit.ts'
import { Client, factory, Ledger } from './client.ts'
import { look } from './look.ts'
import { Member, type MemberOptions } from './member.ts'
import { Outside } from './outside.ts'
import { pause } from './pause.ts'
import type { Place } from './place.ts'

/** How long everything accepted may take to end once the faults are over. */
const calm = 60_000

/** One store, the engines on it, their client, the API that they call; in the end the books of all of them. */
export class Arena {
  readonly place: Place
  readonly ledger = new Ledger()
  readonly client: Client
  readonly random: Random
  readonly outside = new Outside()
  readonly recovery: number[] = []
  readonly #members = new Set<Member>()
  #url = ''
  /** The member that the client talks to. */
  current: Member | undefined
  #faultAt: number | undefined

  constructor(env: Env, seed = env.seed, prefix = 'f') {
    this.place = env.fresh()
    this.random = seededRandom(seed)
    this.client = new Client({
      ledger: this.ledger,
      member: () => (this.current?.alive ? this.current : undefined),
      make: factory(seededRandom(seed + 1), prefix),
      random: seededRandom(seed + 2),
    })
    this.client.onAccepted = () => {
      if (this.#faultAt === undefined) return
      this.recovery.push(performance.now() - this.#faultAt)
      this.#faultAt = undefined
    }
  }

  async open(): Promise<void> {
    this.#url = await this.outside.listen()
  }

  /** Recovery is measured from here to the next acknowledgement. */
  fault(): void {
    this.#faultAt ??= performance.now()
  }

  /** An engine on the store, or on another one (`at`). */
  spawn({
    at = this.place,
    ...options
  }: Omit<MemberOptions, 'place' | 'outside'> & { at?: Pick<Place, 'kind' | 'address'> } = {}): Member {
    const member = new Member({ place: at, outside: this.#url, ...options })
    this.#members.add(member)
    void member.ended.then(() => this.#members.delete(member))
    return member
  }

  /** The faults are over: one engine is left to finish everything, and the books are made. */
  async finish(): Promise<Verdict> {
    const last = this.current?.alive ? this.current : (this.current = this.spawn())
    await last.ready
    await this.client.end()
    const until = performance.now() + calm
    let state = ''
    let verdict: Verdict | undefined
    while (performance.now() < until) {
      const answer = await last.ask({ do: 'quiet' })
      if (answer === undefined) throw new Error(`the last engine ended by itself:\n${last.trouble}`)
      if ('state' in answer) ({ state } = answer)
      else if ('message' in answer) state = `${answer.code} ${answer.message}`
      if ('quiet' in answer && answer.quiet) {
        verdict = await this.books()
        // A late one may still be on its way: it is looked at again.
        if (verdict.lost.length === 0) break
      }
      await pause(50)
    }
    this.current = undefined
    await last.stop()
    if (verdict !== undefined) return verdict
    const books = await this.books()
    return { ...books, strange: [`work did not end within ${calm} ms: ${state}`, ...books.strange] }
  }

  async books(): Promise<Verdict> {
    const seen = await look(this.place)
    return audit({ entries: this.ledger.entries.values(), charges: this.outside.effects, ...seen })
  }

  /** The figures of a run that ended with `verdict`; `again`: the command that repeats it. */
  result(verdict: Verdict, again: string, more: Partial<Result> = {}): Result {
    const { lost, doubled, disordered, strange } = verdict
    const broken = [
      ...doubled.map((s) => `double effect: ${s}`),
      ...disordered.map((s) => `out of order: ${s}`),
      ...strange,
      ...lost.map((s) => `lost: ${s}`),
      ...this.ledger.broken,
      ...(more.broken ?? []),
    ]
    return {
      injected: 0,
      acknowledged: this.ledger.acknowledged,
      lost: lost.length,
      doubled: doubled.length,
      ...(this.recovery.length === 0 ? {} : { recovery: this.recovery }),
      ...more,
      more: { ...more.more, ...refusals(this.ledger) },
      broken: broken.map((b) => `${b} (again: ${again})`),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const m of this.#members) m.kill('SIGKILL')
    await Promise.all([...this.#members].map((m) => m.ended))
    await this.outside[Symbol.asyncDispose]()
    this.place.remove()
  }
}

function refusals(ledger: Ledger): Record<string, number> {
  return Object.fromEntries([...ledger.refusals].map(([code, n]) => [code === 'nothing' ? 'unanswered' : code, n]))
}
