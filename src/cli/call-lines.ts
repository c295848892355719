import type { NumberedCall } from '#app/operations/call-record.ts'
import type { CallRecord, CallSide } from '#patterns/connections/records/record.ts'
import { fields } from './render.ts'

/** One call record whole, for people. */
export function callLines(c: NumberedCall): string[] {
  return fields([
    ['number', `${c.call}`],
    ['operation', `${c.connection}.${c.operation}`],
    ['time', c.time],
    ['request', `${c.method} ${c.path}`],
    ['status', c.status === undefined ? undefined : `${c.status}`],
    ['outcome', c.outcome],
    ['answered by', c.fellBack && JSON.stringify(c.fellBack)],
    ['took', `${c.ms} ms`],
    ['key', c.key],
    ['message', c.message],
    ['correlation', c.correlation],
    ['attempts', c.attempts.flatMap(attemptLine)],
    ...side('sent', c.request),
    ...side('received', c.response),
  ])
}

function attemptLine(a: CallRecord['attempts'][number]): string[] {
  const phases = Object.entries(a.phases ?? {}).map(([name, ms]) => `${name} ${ms}`)
  const what = [a.purpose, a.status, a.code ?? (a.status === undefined ? undefined : 'ok')].filter(
    (v) => v !== undefined,
  )
  return fields([
    [`at ${a.at} ms`, `${what.join(' ')}, took ${a.ms} ms${phases.length > 0 ? ` (${phases.join(', ')})` : ''}`],
  ])
}

function side(name: string, of: CallSide | undefined): (readonly [string, string[] | string | undefined])[] {
  if (of === undefined) return []
  return [
    [`${name}: headers`, fields(Object.entries(of.headers))],
    [`${name}: body`, of.body === undefined ? undefined : fields([['', of.body]]).map((line) => line.trimStart())],
  ]
}
