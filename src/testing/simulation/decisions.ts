import { hash53 } from '#kernel/hash.ts'
import { seededRandom } from '../random.ts'

/** Label → what was decided under it, in order. What is absent, and what comes after the end of a list, is 0. */
export type Decisions = Readonly<Record<string, readonly number[]>>

/**
 * Where every choice of a simulated world comes from: a whole number per draw, under a label that says what it is for
 * (`step/14 what`, `p101 commit`). Each label has a stream of its own, made of the seed and the label, so that a draw more or less in
 * one place changes nothing elsewhere.
 *
 * 0 is always the dullest choice: no fault, no wait, nothing happens. So a recorded list is shortened by writing zeros, and
 * what remains of a failing one is what the failure needs.
 */
export class Chance {
  readonly #seed: number
  readonly #given: Decisions | undefined
  readonly #streams = new Map<string, Stream>()
  /** Of a replayed list: what each decision that is not 0 stood for, in the order of the run. */
  readonly told: string[] = []

  /** From a seed, or again from a recorded list. */
  constructor(from: number | Decisions) {
    this.#seed = typeof from === 'number' ? from : 0
    this.#given = typeof from === 'number' ? undefined : from
  }

  /** True in `share` of the cases. */
  likely(label: string, share: number): boolean {
    const yes = this.#draw(label, 2, (f) => (f < share ? 1 : 0)) === 1 && share > 0
    if (yes) this.#tell(label, 'yes')
    return yes
  }

  /** A whole number from `low` to `high`. */
  whole(label: string, low: number, high: number): number {
    const n = Math.max(1, high - low + 1)
    const drawn = this.#draw(label, n, (f) => Math.floor(f * n))
    if (drawn > 0) this.#tell(label, low + drawn)
    return low + drawn
  }

  /** One of the list, the dullest of which comes first. */
  one<T>(label: string, list: readonly T[]): T {
    const at = this.#draw(label, list.length, (f) => Math.floor(f * list.length))
    if (at > 0) this.#tell(label, typeof list[at] === 'object' ? `number ${at}` : list[at])
    return list[at]!
  }

  /** One of the names, as often as their weights say; the dullest comes first. */
  weighted<K extends string>(label: string, weights: Readonly<Record<K, number>>): K {
    const names = Object.keys(weights) as K[]
    const at = this.#draw(label, names.length, (f) => {
      let left = f * names.reduce((sum, n) => sum + weights[n], 0)
      return Math.max(
        0,
        names.findIndex((n) => (left -= weights[n]) < 0),
      )
    })
    // In a list that is being shortened the weight may be gone: then this does not happen any more.
    const name = weights[names[at]!] > 0 ? names[at]! : names[0]!
    if (at > 0) this.#tell(label, name)
    return name
  }

  /** Uniform in [0, 1). */
  float(label: string): number {
    return this.#draw(label, 2 ** 32, (f) => Math.floor(f * 2 ** 32)) / 2 ** 32
  }

  /** Everything that was drawn so far. */
  get recorded(): Decisions {
    return Object.fromEntries([...this.#streams].map(([label, s]) => [label, s.drawn]))
  }

  #tell(label: string, what: unknown): void {
    if (this.#given) this.told.push(`${label}: ${typeof what === 'string' ? what : JSON.stringify(what)}`)
  }

  #draw(label: string, n: number, pick: (float: number) => number): number {
    let s = this.#streams.get(label)
    if (!s) this.#streams.set(label, (s = { next: this.#stream(label), drawn: [] }))
    const value = this.#given ? Math.min(n - 1, this.#given[label]?.[s.drawn.length] ?? 0) : pick(s.next())
    s.drawn.push(value)
    return value
  }

  #stream(label: string): () => number {
    const random = seededRandom(this.#given ? 0 : hash53(label, this.#seed))
    return () => random.float()
  }
}

type Stream = { readonly next: () => number; readonly drawn: number[] }
