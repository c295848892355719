import type { KeyRow, Write } from '#adapters/stores/port.ts'
import type { Lease } from './workers.ts'

/**
 * What the holder of a partition leaves for the next one, as the key `trace/<lease>`. It is written when a lease is given
 * back, and while messages are recovered; never per message of the happy path. None, or one of an older epoch: the last
 * holder ended without a word.
 */
export type Trace =
  /** It gave the lease back under this epoch with nothing of its own open; below `below` an earlier holder may have begun some. */
  | { readonly left: number; readonly below: number }
  /** It recovers: these offsets were written down before their handlers began. */
  | { readonly begun: readonly number[] }

const prefix = 'trace/'

export function traceName(lease: string): string {
  return prefix + lease
}

export function writeTrace(lease: string, trace: Trace): Write {
  return { write: 'put', name: traceName(lease), value: JSON.stringify(trace), expires: null }
}

export function readTrace(lease: string, keys: readonly (KeyRow & { readonly name: string })[]): Trace | undefined {
  const key = keys.find((k) => k.name === traceName(lease))
  try {
    return key && (JSON.parse(key.value) as Trace)
  } catch {
    return undefined
  }
}

/**
 * Of a partition that was taken: below which offset an earlier holder may have begun messages that it did not finish, and
 * those among them that were written down as begun (pure).
 */
export function inherited(
  lease: Lease,
  trace: Trace | undefined,
  /** The furthest that an earlier holder can have read. */
  furthest: number,
): { readonly below: number; readonly begun: ReadonlySet<number> } {
  if (lease.epoch === 1) return { below: 0, begun: new Set() }
  if (trace && 'left' in trace && trace.left === lease.epoch - 1) return { below: trace.below, begun: new Set() }
  return { below: furthest, begun: new Set(trace && 'begun' in trace ? trace.begun : []) }
}
