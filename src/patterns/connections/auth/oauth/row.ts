/**
 * What the store knows about the token of a connection, under `token/<connection>`: its state in the clear, for the status of
 * any process, and the token itself sealed.
 */
export type TokenRow = {
  readonly state: 'valid' | 'unauthorized'
  /** Wall-clock milliseconds. */
  readonly since: number
  /** Until then the token may be used, by the wall clock. */
  readonly ends?: number
  /** As they have said; absent when they have not, which means those that were asked for. */
  readonly granted?: readonly string[]
  /** Their word for why: `invalid_grant`. */
  readonly error?: string
  readonly sealed?: string
}

export const tokenPrefix = 'token/'

export function tokenKeyOf(connection: string): string {
  return tokenPrefix + connection
}

/** Undefined for what is no row of ours. */
export function readRow(value: string): TokenRow | undefined {
  try {
    const row = JSON.parse(value) as TokenRow
    return row.state === 'valid' || row.state === 'unauthorized' ? row : undefined
  } catch {
    return undefined
  }
}

/** What is sealed: the words of the token endpoint that are worth keeping. */
export type Grant = {
  readonly access: string
  readonly refresh?: string
  /** Milliseconds that it may live, counted from the request. */
  readonly life: number
  /** Wall-clock milliseconds of the request. */
  readonly obtained: number
}

export function readGrant(opened: unknown): Grant | undefined {
  const grant = opened as Grant | undefined
  return typeof grant?.access === 'string' && typeof grant.life === 'number' ? grant : undefined
}
