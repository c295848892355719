import { isSensitiveName, mask, redactor } from '#kernel/redact.ts'
import { fault, type Fault } from '#kernel/fault.ts'

/** Why one record was not mapped: one row a field. Safe to log, store and show. */
export type Reject = {
  /** Position of the record in what `many` was given; 0 for a single call. */
  readonly index: number
  /** Where it should have gone: the target's path. */
  readonly field: string
  /** Where it came from: the source's path; empty when no single field is to blame. */
  readonly path: string
  /** The value, at most 80 characters; `[masked]` when the name of field or path is sensitive. */
  readonly value: unknown
  /** The transform, `required`, `null`, `arrow`, `schema` or `record`. */
  readonly rule: string
  /** For people; holds no value. */
  readonly reason: string
}

/** At most this many rows a record: a wrong file must not fill the memory with reasons. */
export const mostRejects = 20

const redact = redactor()

/** A value as it may be shown: bounded, masked by name, card numbers masked by content. */
export function showValue(value: unknown, names: readonly string[], sensitive = false): unknown {
  if (value === undefined || value === null) return value
  if (sensitive || names.some(isSensitivePath)) return mask
  if (typeof value === 'string') return bounded(redact.text(value))
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value === 'boolean') return value
  if (typeof value === 'bigint') return bounded(String(value))
  if (Array.isArray(value)) return `[array of ${value.length}]`
  return `[${value instanceof Date ? 'Date' : typeof value}]`
}

/** `household/pin` and `card.cvc` are sensitive because one of their names is. */
export function isSensitivePath(path: string): boolean {
  return path.split(/[./[\]"]+/).some((name) => name !== '' && isSensitiveName(name))
}

function bounded(shown: string): string {
  return shown.length > 80 ? `${shown.slice(0, 80)}…` : shown
}

export function rejectedFault(name: string, rejects: readonly Reject[]): Fault {
  const first = rejects[0]
  const where = first ? `: ${first.field || 'record'}: ${first.reason}` : ''
  return fault('mapping.rejected', {
    message: `${name} rejected the record${where}`,
    detail: { mapping: name, rejects },
  })
}
