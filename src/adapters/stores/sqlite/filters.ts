const bitsPerId = 32
const probes = 8
/** Bits of a filter: those of 32,768 ids, and of all larger runs. */
const full = 2 ** 20

/**
 * The Bloom filters of all runs, asked together. One after the other they cost a cache miss each: 8 µs a message at a million
 * ids, 66 µs at ten million. So the filters of 32 runs lie beside each other, word `i` holding bit `i` of each: three words
 * say that none of the 32 has an id. False positives: 6 in a million for each run of 32,768.
 */
export class Filters<Run> {
  readonly #groups: Group<Run>[] = []

  /** `bloom` as `bloomOf` made it. Runs are added from the oldest to the newest. */
  add(run: Run, bloom: Uint8Array): void {
    let group = this.#groups.at(-1)
    if (group === undefined || group.runs.length === 32) {
      this.#groups.push((group = { words: new Uint32Array(full), runs: [], alive: 0 }))
    }
    const lane = 1 << group.runs.length
    group.runs.push(run)
    group.alive |= lane
    // A smaller filter is repeated: its bits are found with fewer of the same hash bits. A larger one would be folded.
    const { words } = group
    const mask = full - 1
    for (let at = 0; at < Math.max(full, bloom.length * 8); at += 8) {
      const byte = bloom[(at >> 3) & (bloom.length - 1)]!
      for (let left = byte; left !== 0; left &= left - 1) words[(at & mask) + 31 - Math.clz32(left & -left)]! |= lane
    }
  }

  delete(run: Run): void {
    const index = this.#groups.findIndex((g) => g.runs.includes(run))
    const group = this.#groups[index]
    if (group === undefined) return
    const lane = group.runs.indexOf(run)
    group.alive &= ~(1 << lane)
    if (group.alive === 0) {
      this.#groups.splice(index, 1)
    } else if (lane === group.runs.length - 1) {
      // The newest run is deleted when it grows: its lane is used again.
      group.runs.pop()
      for (let i = 0; i < full; i++) group.words[i]! &= ~(1 << lane)
    }
  }

  clear(): void {
    this.#groups.length = 0
  }

  /** The runs that may have this hash, the oldest first; nearly always none. */
  find(hash: number): readonly Run[] {
    let found: Run[] | undefined
    const first = hash | 0
    const step = ((hash / 4294967296) | 0) * 2 + 1
    for (const { words, runs, alive } of this.#groups) {
      let lanes = alive
      for (let i = 0, at = first; i < probes && lanes !== 0; i++, at = (at + step) | 0) lanes &= words[at & (full - 1)]!
      for (; lanes !== 0; lanes &= lanes - 1) (found ??= []).push(runs[31 - Math.clz32(lanes & -lanes)]!)
    }
    return found ?? none
  }
}

type Group<Run> = {
  readonly words: Uint32Array
  readonly runs: Run[]
  /** Lanes of runs that are still there. */
  alive: number
}

const none: readonly never[] = []

/** The filter of these hashes as it is kept in the file: bit `i` is bit `i & 7` of byte `i >> 3`, a power of two of them. */
export function bloomOf(hashes: Float64Array): Uint8Array {
  const bits = Math.min(full, 2 ** Math.ceil(Math.log2(Math.max(512, hashes.length * bitsPerId))))
  const bloom = new Uint8Array(bits / 8)
  for (const hash of hashes) {
    let at = hash | 0
    const step = ((hash / 4294967296) | 0) * 2 + 1
    for (let i = 0; i < probes; i++, at = (at + step) | 0) {
      const bit = at & (bits - 1)
      bloom[bit >> 3]! |= 1 << (bit & 7)
    }
  }
  return bloom
}
