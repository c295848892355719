import { fault, faultRecord, type Fault, type FaultRecord } from '#kernel/fault.ts'
import type { Redactor } from '#kernel/redact.ts'

/** How a run of a parked message ended, as it is kept with it. */
export type Failure = FaultRecord & { readonly at: number }

/** Failures kept with a parked message, the last ones. */
const kept = 10

/** A fault as it is stored: masked. What a handler puts into a fault cannot stop it from being parked. */
export function failure(f: Fault, now: number, redact: Redactor): Failure {
  try {
    const record = redact.value({ at: now, ...faultRecord(f) }) as Failure
    JSON.stringify(record)
    return record
  } catch {
    return { at: now, code: f.code, kind: f.kind, message: 'the fault has a detail that cannot be written down' }
  }
}

/** Written down before a run begins, and taken back when it ends: what stays is a run whose process ended in it. */
export function crash(now: number, attempt: number, alone: boolean): Failure {
  return { at: now, ...fault('subscription.crashed', { detail: { attempt, alone } }).toJSON() }
}

export function withFailure(faults: string | null, last: Failure): string {
  const before = faults === null ? [] : (JSON.parse(faults) as Failure[])
  return JSON.stringify([...before, last].slice(-kept))
}

export function lastFailure(faults: string | null): Failure | undefined {
  return faults === null ? undefined : (JSON.parse(faults) as Failure[]).at(-1)
}

/** The last run of the message never ended. `alone`: no other suspect ran beside it. */
export function lastCrash(faults: string | null): { readonly alone: boolean } | undefined {
  const last = lastFailure(faults)
  return last?.code === 'subscription.crashed' ? { alone: last.detail?.['alone'] === true } : undefined
}
