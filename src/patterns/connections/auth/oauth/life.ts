import type { Random } from '#kernel/random.ts'
import { inHeader, type Credential } from '../credential.ts'
import type { Granted } from './endpoint.ts'
import type { Grant, TokenRow } from './row.ts'

/** A token in use. Times are monotonic milliseconds. */
export type Current = {
  readonly grant: Grant
  readonly credential: Credential
  readonly renewAt: number
  readonly endsAt: number
}

/** `from`: when it was asked for. Renewed at 80 % of its life, ±5 % of that. */
export function currentOf(grant: Grant, from: number, random: Random): Current {
  const endsAt = from + usable(grant.life)
  const renewAt = Math.min(endsAt, from + grant.life * 0.8 * (0.95 + random.float() / 10))
  return { grant, credential: inHeader(grant.access, 'authorization', `Bearer ${grant.access}`), renewAt, endsAt }
}

/** What they gave, to be kept. What they did not say again stays: a refresh token that is not replaced, the scopes. */
export function kept(
  { access, refresh, life, scopes }: Granted,
  obtained: number,
  before: { readonly grant: Grant | undefined; readonly row: TokenRow | undefined },
): { readonly grant: Grant; readonly row: TokenRow } {
  const again = refresh ?? before.grant?.refresh
  const granted = scopes ?? before.row?.granted
  return {
    grant: { access, life, obtained, ...(again === undefined ? {} : { refresh: again }) },
    row: {
      state: 'valid',
      since: before.row?.state === 'valid' ? before.row.since : obtained,
      ends: obtained + usable(life),
      ...(granted === undefined ? {} : { granted }),
    },
  }
}

/** Of a life: less 30 s or a tenth, whichever is shorter. */
export function usable(life: number): number {
  return life - Math.min(30_000, life / 10)
}
