import { dice, seedOf } from '../random.ts'

/** What goes wrong with one request. `effect` says whether what was asked for happens all the same. */
export type Trouble =
  | { readonly kind: 'none'; readonly delay: number }
  | { readonly kind: '429'; readonly effect: false }
  | { readonly kind: '500' | 'cut'; readonly effect: boolean; readonly delay: number }
  | { readonly kind: 'truncated' | 'hang'; readonly effect: true }

export type TroubleKind = Trouble['kind']

/** A request that has failed so often is left alone, so that everything can be finished within a minute. */
export const mostTroubles = 4

/**
 * The fault of the `n`th request (from 1) for the same thing (`GET …`, `POST …`). Drawn from the seed and what is asked,
 * not from when: the same seed gives each piece of work the same bad luck, however the run goes. Of 100 first writes 76
 * are only slow, of 100 reads 86: their troubles are 429 and 500.
 */
export function troubleOf(seed: number, what: string, n: number): Trouble {
  const d = dice(seedOf(seed, what, n))
  const delay = Math.round(5 + 295 * d.float() ** 2)
  const draw = d.float() * (what.startsWith('GET ') ? 0.88 : 1)
  if (n > mostTroubles || draw < 0.76) return { kind: 'none', delay }
  if (draw < 0.79) return { kind: '429', effect: false }
  if (draw < 0.85) return { kind: '500', effect: false, delay }
  if (draw < 0.89) return { kind: '500', effect: true, delay }
  if (draw < 0.92) return { kind: 'cut', effect: false, delay }
  if (draw < 0.95) return { kind: 'cut', effect: true, delay }
  if (draw < 0.975) return { kind: 'truncated', effect: true }
  return { kind: 'hang', effect: true }
}
