/** Randomness as the core sees it: one source, so that a seed can replay a run. */
export interface Random {
  /** Uniform in [0, 1). */
  float(): number
  /** `n` unpredictable bytes (secrets, ids). */
  bytes(n: number): Uint8Array
}
