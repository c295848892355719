import { isDuration, milliseconds, type Duration } from '#kernel/duration.ts'
import { fault } from '#kernel/fault.ts'

/** A moment: a date, `'2026-01-31T12:00:00Z'`, or how long ago (`'2h'`). */
export type When = Date | Duration | (string & {})

const time = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/

/** Milliseconds since 1970. A date without a time is midnight UTC; a time without a zone is refused: nobody knows which one it is. */
export function timeOf(when: When, now: number): number {
  if (typeof when === 'string' && isDuration(when)) return now - milliseconds(when)
  const at = when instanceof Date ? when.getTime() : time.test(when) ? Date.parse(when) : Number.NaN
  if (!Number.isNaN(at)) return at
  throw fault('config.option', {
    message: `${JSON.stringify(String(when).slice(0, 80))} is not a moment: write 2026-01-31T12:00:00Z, or how long ago (2h)`,
  })
}
