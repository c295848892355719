/** A seeded generator (mulberry32): the same seed gives the same run. Not for secrets. */
export type Dice = {
  /** Uniform in [0, 1). */
  float(): number
  /** A whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number
  pick<T>(from: readonly [T, ...T[]]): T
  /** True once in `n` on average. */
  once(n: number): boolean
  hex(digits: number): string
}

export function dice(seed: number): Dice {
  let a = seed >>> 0
  const float = (): number => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const whole = (low: number, high: number): number => low + Math.floor(float() * (high - low + 1))
  return {
    float,
    whole,
    pick: (from) => from[whole(0, from.length - 1)] ?? from[0],
    once: (n) => float() < 1 / n,
    hex: (digits) => Array.from({ length: digits }, () => whole(0, 15).toString(16)).join(''),
  }
}

/** A number from text (FNV-1a, 32 bits): dice that depend on what is asked, not on when. */
export function seedOf(...parts: readonly (string | number)[]): number {
  let hash = 0x811c9dc5
  for (const char of parts.join('\u0000')) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193)
  return hash >>> 0
}
