import type { Random } from '#kernel/random.ts'

/** A seeded generator (mulberry32): the same seed gives the same run. Not for secrets. */
export function seededRandom(seed: number): Random {
  let a = seed >>> 0
  const float = (): number => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  return { float, bytes: (n) => Uint8Array.from({ length: n }, () => Math.floor(float() * 256)) }
}
